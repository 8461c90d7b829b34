/* test_flows.c: maps of vectors: the log-determinant against differences, the way back, and densities of what they make.
 *
 * Read next: nn/flow.c. */
#include "tests/support/dists.h"

#include <math.h>
#include <string.h>

#include "autograd/check.h"
#include "autograd/sweep.h"

enum { DRAWS = SANITIZED ? 4000 : 20000, D = 2, LAYERS = 3 };

static const double U[] = {0.5, -1, 1.2, 0.3, -2, 1.5}, W[] = {1, 0.4, -0.7, 1.1, 1.5, -0.8},
                    B[] = {0.2, -0.5, 0}, SHIFT[] = {0.3, -2}, LOGSCALE[] = {0.4, -1};

static tp_flow planar(fixture *f)
{
    return tp_flow_planar(given(f, TP_SHAPE(LAYERS, D), U), given(f, TP_SHAPE(LAYERS, D), W),
                          given(f, TP_SHAPE(LAYERS), B));
}

static tp_flow affine(fixture *f)
{
    return tp_flow_affine(given(f, TP_SHAPE(D), SHIFT), given(f, TP_SHAPE(D), LOGSCALE));
}

/* log |det ∂f/∂z| by central differences of fourth order. */
static double log_determinant(fixture *f, const tp_flow *flow, const double z[D])
{
    static const double step = 1e-3, at[] = {-2, -1, 1, 2},
                        weight[] = {1.0 / 12, -2.0 / 3, 2.0 / 3, -1.0 / 12};
    double jacobian[D][D] = {{0}};
    for (int i = 0; i < D; i++)
        for (int k = 0; k < 4; k++) {
            double moved[D] = {z[0], z[1]};
            moved[i] += at[k] * step;
            tp_var logdet, y = tp_flow_forward(flow, given(f, TP_SHAPE(D), moved), &logdet);
            for (int j = 0; j < D; j++)
                jacobian[j][i] += weight[k] * tp_flat(tp_value(y), j) / step;
        }
    return log(jacobian[0][0] * jacobian[1][1] - jacobian[0][1] * jacobian[1][0]);
}

static void test_log_determinant(void **state)
{
    (void)state;
    const double at[][D] = {{0, 0}, {1, -1}, {-0.4, 2}, {-3, -2}};
    for (int kind = 0; kind < 2; kind++)
        for (int i = 0; i < 4; i++) {
            fixture *f = fixture_new();
            tp_flow flow = kind == 0 ? affine(f) : planar(f);
            tp_var logdet;
            tp_flow_forward(&flow, given(f, TP_SHAPE(D), at[i]), &logdet);
            assert_close(tp_item_of(logdet), log_determinant(f, &flow, at[i]), 1e-9, 1e-8);
            fixture_free(f);
        }
}

/* The third layer has wᵀu = −4.2: without the correction of u the map would fold, and its determinant be negative. */
static void test_planar_is_invertible(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    double wu = 0, last = -INFINITY;
    tp_flow one_layer =
        tp_flow_planar(given(f, TP_SHAPE(1, D), U + 4), given(f, TP_SHAPE(1, D), W + 4),
                       given(f, TP_SHAPE(1), B + 2));
    for (int i = 0; i < D; i++)
        wu += U[4 + i] * W[4 + i];
    assert_true(1 + wu < 0); /* the control: where tanh is 0 that would be it */
    for (int k = 0; k < 20; k++) {
        double t = 0.2 * (k - 10), along[] = {t * W[4], t * W[5]}, place = 0;
        tp_var logdet, y = tp_flow_forward(&one_layer, given(f, TP_SHAPE(D), along), &logdet);
        for (int i = 0; i < D; i++)
            place += W[4 + i] * tp_flat(tp_value(y), i);
        assert_true(place > last && isfinite(tp_item_of(logdet)));
        last = place;
    }
    fixture_free(f);
}

/* With the u that is the identity for w, z stays what it is. The control: with u = 0 it does not, for û is −0.31 w/|w|². */
static void test_planar_identity(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double zero[LAYERS * D] = {0};
    tp_var w = given(f, TP_SHAPE(LAYERS, D), W), b = given(f, TP_SHAPE(LAYERS), B), logdet;
    tp_var z = drawn(f, TP_SHAPE(6, D), 1);
    tp_flow same = tp_flow_planar(tp_flow_planar_identity(w), w, b);
    tp_flow control = tp_flow_planar(given(f, TP_SHAPE(LAYERS, D), zero), w, b);
    const tp_tensor *y = tp_value(tp_flow_forward(&same, z, &logdet));
    for (int i = 0; i < 6 * D; i++)
        assert_close(tp_flat(y, i), tp_flat(tp_value(z), i), 1e-15, 1e-15);
    for (int i = 0; i < 6; i++)
        assert_close(tp_flat(tp_value(logdet), i), 0, 1e-15, 0);
    tp_flow_forward(&control, z, &logdet);
    for (int i = 0; i < 6; i++)
        assert_true(tp_flat(tp_value(logdet), i) < -1e-3);
    fixture_free(f);
}

/* A batch, samples before it, and a flow for each example: the same as one by one. */
static void test_shapes(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_flow shared = planar(f), each = shared;
    tp_var z = drawn(f, TP_SHAPE(4, 3, D), 1), logdet, of_each;
    for (int i = 0; i < 3; i++) {
        tp_shape s = tp_shape_of(shared.param[i]), wide = TP_SHAPE(3);
        for (int k = 0; k < s.ndim; k++)
            wide.dim[wide.ndim++] = s.dim[k];
        each.param[i] = tp_expand(shared.param[i], wide);
    }
    tp_var y = tp_flow_forward(&shared, z, &logdet), again = tp_flow_forward(&each, z, &of_each);
    assert_true(tp_shape_equal(tp_shape_of(y), TP_SHAPE(4, 3, D)));
    assert_true(tp_shape_equal(tp_shape_of(logdet), TP_SHAPE(4, 3)));
    assert_true(same_values(tp_value(y), tp_value(again)));
    assert_true(same_values(tp_value(logdet), tp_value(of_each)));
    tp_var part = tp_reshape(tp_slice(tp_slice(z, 0, 1, 2, 1), 1, 2, 3, 1), TP_SHAPE(D)), alone;
    y = tp_flow_forward(&shared, part, &alone);
    assert_close(tp_item_of(alone), tp_flat(tp_value(logdet), 5), 0, 1e-15);
    fixture_free(f);
}

static void test_way_back(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_flow flow = affine(f);
    tp_var z = drawn(f, TP_SHAPE(5, D), 1), there, back, y = tp_flow_forward(&flow, z, &there);
    tp_var again = tp_flow_inverse(&flow, y, &back);
    for (int i = 0; i < 5 * D; i++)
        assert_close(tp_flat(tp_value(again), i), tp_flat(tp_value(z), i), 1e-14, 1e-14);
    assert_true(same_values(tp_value(there), tp_value(back)));
    fixture_free(f);
}

/* --- what they make --------------------------------------------------------------------------------------------- */

static tp_dist through(fixture *f)
{
    const double zero[D] = {0};
    const tp_flow flow[] = {affine(f), planar(f)};
    return tp_transformed(tp_normal_standard(given(f, TP_SHAPE(D), zero)), 2, flow);
}

/* E_q[p/q] = ∫ p = 1 for any density p: what a density that is not normalised fails. The control leaves the log-
 * determinants away. */
static void test_normalised(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_dist q = through(f);
    tp_ctx c = tp_ctx_train(f->tape, 5, 0);
    tp_var logq, z = tp_dist_rsample_logprob(tp_dist_repeat(q, TP_SHAPE(DRAWS)), &c, &logq),
                 logdet[2];
    tp_var middle = tp_dist_part(&q).param[0]; /* where q has much of its mass, f(0) */
    for (int i = 0; i < q.flows; i++)
        middle = tp_flow_forward(&q.flow[i], middle, &logdet[i]);
    tp_dist p = tp_normal_fixed(middle, -3);
    tp_var ratio = tp_exp(tp_sub(tp_dist_logprob(p, z), logq));
    double error = sqrt(tp_item_of(tp_variance(ratio, TP_ALL_AXES, 1, false)) / DRAWS);
    assert_close(tp_item_of(tp_mean(ratio, TP_ALL_AXES, false)), 1, 4 * error, 0);
    assert_true(error < 0.05);
    c = tp_ctx_train(f->tape, 5, 0);
    tp_var base = tp_dist_rsample(tp_dist_repeat(tp_dist_part(&q), TP_SHAPE(DRAWS)), &c), y = base;
    for (int i = 0; i < q.flows; i++)
        y = tp_flow_forward(&q.flow[i], y, &logdet[i]);
    assert_true(same_values(tp_value(y), tp_value(z)));
    tp_var wrong = tp_exp(tp_sub(tp_dist_logprob(p, z), tp_dist_logprob(tp_dist_part(&q), base)));
    assert_true(fabs(tp_item_of(tp_mean(wrong, TP_ALL_AXES, false)) - 1) > 8 * error);
    fixture_free(f);
}

/* Through an affine map alone: the normal with that mean and spread. Its KL, which no row has, by sampling. */
static void test_affine_is_normal(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double zero[D] = {0}, logvar[] = {2 * LOGSCALE[0], 2 * LOGSCALE[1]};
    const tp_flow flow = affine(f);
    tp_dist q = tp_transformed(tp_normal_standard(given(f, TP_SHAPE(D), zero)), 1, &flow);
    tp_dist same = tp_normal_logvar(given(f, TP_SHAPE(D), SHIFT), given(f, TP_SHAPE(D), logvar));
    tp_dist p = tp_normal_standard(same.param[0]);
    tp_var x = drawn(f, TP_SHAPE(6, D), 3), error;
    for (int i = 0; i < 6; i++)
        assert_close(tp_flat(tp_value(tp_dist_logprob(q, x)), i),
                     tp_flat(tp_value(tp_dist_logprob(same, x)), i), 1e-13, 1e-13);
    tp_ctx c = tp_ctx_train(f->tape, 6, 0);
    tp_var estimate = tp_kl_monte_carlo(q, p, &c, DRAWS, &error);
    assert_close(tp_item_of(estimate), tp_item_of(tp_kl(same, p)), 4 * tp_item_of(error), 0);
    assert_true(tp_item_of(error) < 0.05);
    fixture_free(f);
}

/* --- gradients, refusals ------------------------------------------------------------------------------------------ */

static tp_var free_energy(tp_tape *t, void *user)
{
    tp_parameter *p = user;
    tp_ctx c = tp_ctx_train(t, 1, 0);
    const tp_flow flow[] = {
        tp_flow_planar(tp_param(t, &p[0]), tp_param(t, &p[1]), tp_param(t, &p[2]))};
    tp_dist q = tp_transformed(tp_normal_logvar(tp_param(t, &p[3]), tp_param(t, &p[4])), 1, flow);
    return tp_kl_monte_carlo(q, tp_normal_standard(tp_param(t, &p[3])), &c, 3, NULL);
}

static void test_gradients(void **state)
{
    (void)state;
    const tp_shape shape[] = {TP_SHAPE(LAYERS, D), TP_SHAPE(LAYERS, D), TP_SHAPE(LAYERS),
                              TP_SHAPE(D), TP_SHAPE(D)};
    const double *const at[] = {U, W, B, SHIFT, LOGSCALE};
    tp_parameter p[5], *wrt[5];
    for (int i = 0; i < 5; i++) {
        assert_ok(tp_parameter_init(&p[i], "p", TP_F64, shape[i]));
        for (int64_t k = 0; k < tp_numel(&p[i].value); k++)
            assert_ok(tp_set_flat(&p[i].value, k, at[i][k]));
        wrt[i] = &p[i];
    }
    for (int order = 1; order <= 2; order++)
        assert_ok(tp_gradcheck(free_energy, p, 5, wrt,
                               (tp_check_opts){.order = order, .rounding = 16}, NULL));
    for (int i = 0; i < 5; i++)
        tp_parameter_free(&p[i]);
}

static tp_status status_of(tp_dist d)
{
    return tp_var_status(d.param[0]);
}

static void test_refusals(void **state)
{
    (void)state;
    for (int k = 0; k < 8; k++) {
        fixture *f = fixture_new();
        tp_var x = drawn(f, TP_SHAPE(3, D), 1), v = drawn(f, TP_SHAPE(3), 1), logdet = {0}, y = x;
        tp_flow a = affine(f), p = planar(f), bad;
        const tp_flow many[TP_DIST_FLOWS + 1] = {a, a, a, a, a};
        tp_dist base = tp_normal_standard(x), bits = tp_bernoulli_logits(x), d = base;
        tp_status want = TP_EARG;
        if (k == 0)
            y = tp_flow_inverse(&p, x, &logdet);
        if (k == 1)
            y = tp_dist_logprob(tp_transformed(base, 1, &p), x);
        if (k == 2)
            d = tp_transformed(base, TP_DIST_FLOWS + 1, many);
        if (k == 3)
            d = tp_transformed(base, 0, many);
        if (k == 4)
            d = tp_transformed(bits, 1, many);
        base.event_dims = 2;
        if (k == 5)
            d = tp_transformed(base, 1, many);
        bad = tp_flow_planar(p.param[0], p.param[1], v);
        bad.param[2] = tp_slice(v, 0, 0, 2, 1);
        if (k == 6)
            y = tp_flow_forward(&bad, x, &logdet), want = TP_ESHAPE;
        bad = tp_flow_affine(v, v);
        if (k == 7)
            y = tp_flow_forward(&bad, x, &logdet), want = TP_ESHAPE;
        static const char *const says[] = {
            "planar flow: its inverse has no closed form",
            "planar flow: its inverse has no closed form",
            "transformed: 5 maps: 1 to 4",
            "transformed: 0 maps",
            "transformed: of a bernoulli",
            "event_dims 2: vectors",
            "planar flow: parameters of shapes [3,2], [3,2], [2] do not fit vectors [3,2]",
            "affine flow: parameters of shapes [3], [3] do not fit vectors [3,2]"};
        assert_status(k >= 2 && k <= 5 ? status_of(d) : tp_var_status(y), want);
        assert_message(says[k]);
        if (k == 0 || k > 5)
            assert_status(tp_var_status(logdet), want);
        fixture_free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_determinant),  cmocka_unit_test(test_planar_is_invertible),
        cmocka_unit_test(test_planar_identity),  cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_way_back),         cmocka_unit_test(test_normalised),
        cmocka_unit_test(test_affine_is_normal), cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
