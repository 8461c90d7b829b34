/* test_families.c: what single distributions have of their own: other constructors, parts, what has no closed form,
 * divergences at numbers where other formulas break. Read next: test_flows.c. */
#include "tests/support/dists.h"

#include <math.h>
#include <string.h>

#include "autograd/check.h"
#include "autograd/sweep.h"

/* --- multivariate normal ----------------------------------------------------------------------------------- */

/* The same distribution by its factor, by an unconstrained matrix, by its covariance; with a diagonal one, by
 * variances. */
static void test_mvn_constructors(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double l[] = {2, 0, 1, 0.5}, raw[] = {log(2), 7, 1, log(0.5)},
                 covariance[] = {4, 2, 2, 1.25};
    const double deviations[] = {2, 0, 0, 0.5}, logvar[] = {2 * log(2), 2 * log(0.5)};
    tp_var mu = drawn(f, TP_SHAPE(2), 1), x = drawn(f, TP_SHAPE(5, 2), 2);
    tp_dist p = tp_mvn_cholesky(mu, given(f, TP_SHAPE(2, 2), l));
    tp_dist same[] = {tp_mvn_raw(mu, given(f, TP_SHAPE(2, 2), raw)),
                      tp_mvn_covariance(mu, given(f, TP_SHAPE(2, 2), covariance))};
    double *want = values_of(tp_dist_logprob(p, x));
    for (int k = 0; k < 2; k++)
        assert_tensor_close(tp_value(tp_dist_logprob(same[k], x)), want, 5, 0, 1e-13);
    free(want);
    tp_dist normal = tp_normal_logvar(mu, given(f, TP_SHAPE(2), logvar));
    p = tp_mvn_cholesky(mu, given(f, TP_SHAPE(2, 2), deviations));
    want = values_of(tp_dist_logprob(normal, x));
    assert_tensor_close(tp_value(tp_dist_logprob(p, x)), want, 5, 0, 1e-13);
    free(want);
    tp_ctx c = tp_ctx_train(f->tape, 1, 0), again = c; /* and the same draws */
    want = values_of(tp_dist_rsample(normal, &c));
    assert_tensor_close(tp_value(tp_dist_rsample(p, &again)), want, 2, 0, 1e-14);
    free(want);
    assert_close(tp_item_of(tp_kl(p, normal)), 0, 1e-15, 0);
    fixture_free(f);
}

static tp_var raw_density(tp_tape *t, void *user)
{
    tp_parameter *p = user;
    tp_var mu = tp_param(t, &p[0]), m = tp_param(t, &p[1]);
    tp_var spd = tp_add(tp_matmul(m, tp_transpose(m)), tp_diag(tp_ones_like(mu)));
    tp_var a = tp_dist_logprob(tp_mvn_raw(mu, m), tp_zeros_like(mu));
    return tp_add(a, tp_dist_logprob(tp_mvn_covariance(mu, spd), tp_ones_like(mu)));
}

static void test_mvn_gradients(void **state)
{
    (void)state;
    tp_parameter p[2], *wrt[] = {&p[0], &p[1]};
    const tp_shape shape[] = {TP_SHAPE(2, 3), TP_SHAPE(2, 3, 3)};
    for (int i = 0; i < 2; i++) {
        assert_ok(tp_parameter_init(&p[i], "p", TP_F64, shape[i]));
        assert_ok(tp_random_normal(&p[i].value, (tp_rng_key){3, 0, (uint32_t)i}));
    }
    for (int order = 1; order <= 2; order++)
        assert_ok(tp_gradcheck(raw_density, p, 2, wrt,
                               (tp_check_opts){.order = order, .rounding = 16}, NULL));
    tp_parameter_free(&p[0]);
    tp_parameter_free(&p[1]);
}

/* --- mixtures ------------------------------------------------------------------------------------------------ */

/* log p(x) of a mixture of vectors, as of VampPrior, by hand: log of the sum, not the sum of logs. */
static void check_mixture(int family)
{
    enum { B = 2, N = 3, D = 2 };
    fixture *f = fixture_new();
    tp_var logits = drawn(f, TP_SHAPE(B, N), 1), a = drawn(f, TP_SHAPE(B, N, D), 2);
    tp_dist part = family == 0   ? tp_normal_fixed(a, -0.5)
                   : family == 1 ? tp_bernoulli_logits(a)
                                 : tp_relaxed_one_hot(a, 0.4);
    tp_dist mix = tp_mixture(logits, part);
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var x = tp_dist_sample(mix, &c); /* [B, D] */
    double *got = values_of(tp_dist_logprob(mix, x)), *weight = values_of(tp_softmax(logits, -1));
    double *each =
        values_of(tp_dist_logprob(part, tp_expand(tp_unsqueeze(x, 1), TP_SHAPE(B, N, D))));
    assert_int_equal(mix.event_dims, 1);
    assert_true(tp_shape_equal(tp_shape_of(x), TP_SHAPE(B, D)));
    for (int i = 0; i < B; i++) {
        double sum = 0;
        for (int k = 0; k < N; k++)
            sum += weight[i * N + k] * exp(each[i * N + k]);
        assert_close(got[i], log(sum), 0, 1e-13);
    }
    free(got), free(weight), free(each);
    fixture_free(f);
}

static void test_mixture_of_vectors(void **state)
{
    (void)state;
    for (int family = 0; family < 3; family++)
        check_mixture(family);
}

/* A draw of a mixture of vectors is one component's as a whole, and components come as often as their weights say. */
static void test_mixture_draws(void **state)
{
    (void)state;
    enum { DRAWS = 5000 };
    fixture *f = fixture_new();
    const double logits[] = {0, 1}, mean[] = {-10, -10, 10, 10};
    tp_dist mix = tp_mixture(given(f, TP_SHAPE(2), logits),
                             tp_normal_fixed(given(f, TP_SHAPE(2, 2), mean), 0));
    tp_ctx c = tp_ctx_train(f->tape, 2, 0);
    double *z = values_of(tp_dist_sample_n(mix, &c, DRAWS)), second = 0, p = 1 / (1 + exp(-1));
    for (int i = 0; i < DRAWS; i++) {
        assert_true((z[2 * i] > 0) == (z[2 * i + 1] > 0));
        second += z[2 * i] > 0;
    }
    assert_close(second / DRAWS, p, 4 * sqrt(p * (1 - p) / DRAWS), 0);
    free(z);
    double *m = values_of(tp_dist_mean(mix)), *v = values_of(tp_dist_variance(mix));
    for (int i = 0; i < 2; i++) {
        assert_close(m[i], 10 * (2 * p - 1), 0, 1e-14);
        assert_close(v[i], 1 + 400 * p * (1 - p), 0, 1e-14);
    }
    free(m), free(v);
    fixture_free(f);
}

/* --- what there is not ------------------------------------------------------------------------------------------ */

static void test_refusals(void **state)
{
    (void)state;
    static const char *const says[] = {"relaxed_one_hot: its mean has no closed form",
                                       "relaxed_one_hot: its variance has no closed form",
                                       "mixture: its entropy has no closed form",
                                       "relaxed_one_hot: temperature 0: more than 0 needed",
                                       "relaxed_one_hot: temperature nan",
                                       "mixture: of mixture distributions is not supported",
                                       "no closed form of KL(mixture ‖ normal)",
                                       "not positive definite",
                                       "mvn: mu has shape [2,3], its matrices [3,3]",
                                       "mixture: of categorical distributions is not supported"};
    for (int k = 0; k < 10; k++) {
        fixture *f = fixture_new();
        tp_var x = drawn(f, TP_SHAPE(2, 3), 1), square = drawn(f, TP_SHAPE(3, 3), 1), y = x;
        tp_dist mix = tp_mixture(x, (tp_dist){.type = &tp_dist_normal, .param = {x, x}});
        if (k < 2)
            y = (k == 0 ? tp_dist_mean : tp_dist_variance)(tp_relaxed_one_hot(x, 1));
        if (k == 2)
            y = tp_dist_entropy(mix);
        if (k == 3 || k == 4)
            y = tp_relaxed_one_hot(x, k == 3 ? 0 : NAN).param[0];
        if (k == 5)
            y = tp_mixture(tp_sum(x, TP_AXES(-1), false), mix).param[0];
        if (k == 6)
            y = tp_kl(mix, (tp_dist){.type = &tp_dist_normal, .param = {x, x}});
        if (k == 7)
            y = tp_mvn_covariance(tp_sum(square, TP_AXES(0), false),
                                  tp_scale(tp_matmul(square, tp_transpose(square)), -1))
                    .param[1];
        if (k == 8)
            y = tp_mvn_raw(x, square).param[0];
        if (k == 9)
            y = tp_mixture(tp_sum(x, TP_AXES(-1), false), tp_categorical_logits(x)).param[0];
        assert_true(tp_var_status(y) != TP_OK);
        if (strstr(tp_tape_message(f->tape), says[k]) == NULL)
            fail_msg("'%s' does not say '%s'", tp_tape_message(f->tape), says[k]);
        fixture_free(f);
    }
}

/* --- divergences far out ------------------------------------------------------------------------------------------ */

/* Evaluated with 40 digits. */
static void test_kl_numbers(void **state)
{
    (void)state;
    enum { BERNOULLI, LAPLACE, CATEGORICAL, NORMAL };
    static const struct {
        const char *note;
        int family;
        double q[2], p[2], want;
    } rows[] = {
        {"both sure of 1", BERNOULLI, {100}, {101}, 1.368539471173853e-44},
        {"both sure of 0", BERNOULLI, {-100}, {-101}, 1.368539471173853e-44},
        {"sure of the opposite", BERNOULLI, {100}, {-100}, 100},
        {"nearly equal", BERNOULLI, {0.3}, {0.3001}, 1.22228549194765559e-9},
        {"sharp in wide", LAPLACE, {0, -80}, {1, 0}, 80},
        {"wide around sharp", LAPLACE, {0, 0}, {0, -30}, 10686474581493.463},
        {"nearly equal", LAPLACE, {0, 0}, {0, 1e-4}, 4.99983333749991667e-9},
        {"surely one class", CATEGORICAL, {0, -200}, {0, 0}, 0.693147180559945309},
        {"nearly equal", NORMAL, {0.5, 1}, {0.5, 1.0001}, 2.49991666874995833e-9},
        {"sharp in wide", NORMAL, {0, -200}, {0, 0}, 99.5},
        {"prior far sharper", NORMAL, {0, 0}, {0, -40}, 117692633418509972.0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture *f = fixture_new();
        tp_dist d[2];
        for (int k = 0; k < 2; k++) {
            const double *v = k == 0 ? rows[i].q : rows[i].p;
            tp_var both = given(f, TP_SHAPE(2), v), a = tp_slice(both, 0, 0, 1, 1),
                   b = tp_slice(both, 0, 1, 2, 1);
            d[k] = rows[i].family == BERNOULLI ? tp_bernoulli_logits(a)
                   : rows[i].family == LAPLACE ? tp_laplace_logscale(a, b)
                   : rows[i].family == NORMAL  ? tp_normal_logvar(a, b)
                                               : tp_categorical_logits(both);
        }
        print_message("%s: %s\n", d[0].type->name, rows[i].note);
        double kl = tp_item_of(tp_kl(d[0], d[1]));
        assert_close(kl, rows[i].want, 0, strstr(rows[i].note, "nearly") ? 2e-6 : 1e-12);
        assert_true(kl > 0);
        fixture_free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mvn_constructors),   cmocka_unit_test(test_mvn_gradients),
        cmocka_unit_test(test_mixture_of_vectors), cmocka_unit_test(test_mixture_draws),
        cmocka_unit_test(test_refusals),           cmocka_unit_test(test_kl_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
