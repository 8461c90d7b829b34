/* test_fused_ops.c: the numbers that the fused ops must hit.
 *
 * Values and gradients in f64 and f32 against constants made with 40 digits or by hand. That rules agree
 * with finite differences is the business of tests/ops; what no gradient check sees is here. Read next:
 * test_matrix_ops.c. */
#include "tests/unit/ops_fixture.h"

#include <math.h>
#include <string.h>

/* --- losses of two scalars ------------------------------------------------------------------------ */

typedef struct point {
    double a, b, want, ga, gb;
} point;

static void check_points(tp_var (*op)(tp_var, tp_var), const point *p, size_t n, bool b_is_data)
{
    for (int d = 0; d < 2; d++)
        for (size_t i = 0; i < n; i++)
            for (int composed = 0; composed < 2; composed++) {
                forget();
                double abs = abs_of(types[d]), rel = rel_of(types[d]);
                tp_var a = scalar_leaf(types[d], p[i].a), b = scalar_leaf(types[d], p[i].b);
                tp_var y = op(a, b);
                assert_close(tp_item_of(y), p[i].want, abs, rel);
                backward(y, composed);
                assert_close(tp_item(tp_leaf_grad(a)), p[i].ga, abs, rel);
                if (b_is_data)
                    assert_null(tp_leaf_grad(b));
                else
                    assert_close(tp_item(tp_leaf_grad(b)), p[i].gb, abs, rel);
            }
}

static void test_bce(void **state)
{
    (void)state;
    static const point points[] = {
        {0, 1, 0.693147180559945309, -0.5, 0},
        {0, 0, 0.693147180559945309, 0.5, 0},
        {100, 1, 3.720075976020835963e-44, -3.720075976020835963e-44, 0},
        {-100, 1, 100, -1, 0},
        {-100, 0, 3.720075976020835963e-44, 3.720075976020835963e-44, 0},
        {1000, 0.5, 500, 0.5, 0},
        {-1000, 0, 0, 0, 0},
        {1e30, 0, 1e30, 1, 0},
        {-1e30, 1, 1e30, -1, 0},
        {40, 1, 4.248354255291588986e-18, -4.248354255291588977e-18, 0}, /* not σ(40) − 1 = 0 */
    };
    check_points(tp_bce_with_logits, points, sizeof points / sizeof *points, true);
}

static void test_bce_refuses_targets(void **state)
{
    (void)state;
    double zero[6] = {0};
    double targets[][6] = {
        {0, 1, 0.5, 0, 0, 1.5}, {0, 1, 0.5, 0, 0, -0.25}, {0, 1, 0.5, 0, 0, NAN}};
    const char *says[] = {"target 1.5 at [1,2] outside [0,1]", "target -0.25 at [1,2] outside",
                          "at [1,2] outside [0,1]"};
    for (int d = 0; d < 2; d++)
        for (int i = 0; i < 3; i++) {
            forget();
            tp_var x = leaf(types[d], TP_SHAPE(2, 3), zero);
            tp_var y = tp_bce_with_logits(x, constant(types[d], TP_SHAPE(2, 3), targets[i]));
            assert_null(tp_value(y));
            assert_status(tp_tape_status(tape), TP_EVALUE);
            assert_non_null(strstr(tp_tape_message(tape), says[i]));
        }
}

static void test_gaussian_kl(void **state)
{
    (void)state;
    static const point points[] = {
        {0, 0, 0, 0, 0},
        {0, 1, 0.359140914229522618, 0, 0.859140914229522618},
        {0, 1e-8, 2.500000008333333354e-17, 0, 5.000000025000000083e-9},
        {0, -1e-8, 2.499999991666666688e-17, 0, -4.999999975000000083e-9},
        {0, 1e-4, 2.500083335416708334e-9, 0, 5.000250008333541671e-5},
        {0, 3e-4, 2.250225016876012551e-8, 0,
         1.500225022501687601e-4}, /* textbook form in f32: 0 */
        {3, -2, 5.067667641618306346, 3, -0.432332358381693654},
        {0, -100, 49.5, 0, -0.5},
        {0, 20, 242582587.204895139, 0, 242582597.204895139},
    };
    check_points(tp_gaussian_kl, points, sizeof points / sizeof *points, false);
}

static void test_gaussian_kl_overflow(void **state)
{
    (void)state;
    tp_var v = scalar_leaf(TP_F32, 89);
    tp_var y = tp_gaussian_kl(scalar_leaf(TP_F32, 0), v);
    assert_close(tp_item_of(y), 2.24480640958717262e38, 0, 2.4e-7);
    backward(y, false);
    assert_close(tp_item(tp_leaf_grad(v)), 2.24480640958717262e38, 0, 2.4e-7);

    forget();
    y = tp_gaussian_kl(constant(TP_F32, TP_SHAPE(2, 2), (double[]){0, 0, 0, 0}),
                       leaf(TP_F32, TP_SHAPE(2, 2), (double[]){0, 0, 90, -5}));
    assert_null(tp_value(y));
    assert_status(tp_tape_status(tape), TP_EVALUE);
    assert_non_null(
        strstr(tp_tape_message(tape), "logvar reaches 90: e^logvar overflows f32, at [1,0]"));

    forget(); /* the same number is harmless in f64 */
    y = tp_gaussian_kl(scalar_leaf(TP_F64, 0), scalar_leaf(TP_F64, 90));
    assert_close(tp_item_of(y), (exp(90.0) - 91) / 2, 0, 1e-15);

    /* what was not finite before passes */
    static const double bad[][2] = {{NAN, 0}, {0, NAN}, {INFINITY, 0}, {0, INFINITY}};
    for (int i = 0; i < 4; i++)
        for (int d = 0; d < 2; d++) {
            forget();
            y = tp_gaussian_kl(scalar_leaf(types[d], bad[i][0]), scalar_leaf(types[d], bad[i][1]));
            assert_false(isfinite(tp_item_of(y)));
            assert_status(tp_tape_status(tape), TP_OK);
        }
}

/* --- reparameterize ------------------------------------------------------------------------------- */

static void test_reparameterize(void **state)
{
    (void)state;
    const double s = 0.367879441171442322, t = 7.389056098930650227; /* e^{−2/2}, e^{4/2} */
    for (int d = 0; d < 2; d++)
        for (int composed = 0; composed < 2; composed++) {
            forget();
            tp_var mu = leaf(types[d], TP_SHAPE(2), (double[]){1, -1});
            tp_var logvar = leaf(types[d], TP_SHAPE(2), (double[]){-2, 4});
            tp_var eps = leaf(types[d], TP_SHAPE(2), (double[]){3, -0.5});
            tp_var z = tp_reparameterize(mu, logvar, eps);
            assert_values(z, (double[]){1 + 3 * s, -1 - 0.5 * t}, 2);
            tp_var w = constant(types[d], TP_SHAPE(2), (double[]){1, 2});
            backward(total(tp_mul(z, w)), composed);
            assert_gradient(mu, (double[]){1, 2}, 2);
            assert_gradient(logvar, (double[]){1.5 * s, -0.5 * t}, 2);
            assert_gradient(eps, (double[]){s, 2 * t}, 2);
        }
}

/* Var[z] = σ² = e^logvar. Noise scaled by e^logvar would give e^{2 logvar}: no gradient check sees that. */
static void test_variance_of_draws(void **state)
{
    (void)state;
    enum { N = 200000 };
    static const double logvars[] = {-1.5, 2};
    for (int d = 0; d < 2; d++)
        for (int k = 0; k < 2; k++) {
            forget();
            tp_shape n = TP_SHAPE(N);
            tp_var eps = tp_noise_normal(tape, types[d], n, (tp_rng_key){11, 0, (uint32_t)k});
            tp_var z = tp_reparameterize(tp_full(tape, types[d], n, 0.7),
                                         tp_full(tape, types[d], n, logvars[k]), eps);
            tp_var mean = tp_mean(z, TP_ALL_AXES, false);
            double var = tp_item_of(tp_mean(tp_square(tp_sub(z, mean)), TP_ALL_AXES, false));
            double want = exp(logvars[k]);
            assert_close(tp_item_of(mean), 0.7, 5 * sqrt(want / N), 0);
            assert_close(var, want, 0, 5 * sqrt(2.0 / N));
        }
}

/* --- scatter and Bernoulli noise ------------------------------------------------------------------ */

static void test_scatter_add(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        forget();
        tp_var x = leaf(types[d], TP_SHAPE(2, 3), (double[]){1, 2, 4, 8, 16, 32});
        tp_var index = constant(TP_I64, TP_SHAPE(2, 3), (double[]){3, 0, 3, 1, 1, 1});
        tp_var y = tp_scatter_add(x, index, 1, 4), w;
        assert_values(y, (double[]){2, 0, 0, 5, 0, 56, 0, 0}, 8);
        w = constant(types[d], TP_SHAPE(2, 4), (double[]){1, 2, 3, 4, 5, 6, 7, 8});
        assert_ok(tp_backward(total(tp_mul(y, w))));
        assert_gradient(x, (double[]){4, 1, 4, 6, 6, 6}, 6);
    }
}

static void test_noise_bernoulli(void **state)
{
    (void)state;
    enum { N = 100000 };
    for (int d = 0; d < 2; d++) {
        forget();
        tp_rng_key key = {5, 6, 7};
        tp_var p = tp_full(tape, types[d], TP_SHAPE(N), 0.3);
        tp_var a = tp_noise_bernoulli(p, key), b = tp_noise_bernoulli(p, key);
        assert_close(tp_item_of(tp_mean(a, TP_ALL_AXES, false)), 0.3, 5 * sqrt(0.21 / N), 0);
        assert_close(tp_item_of(total(tp_abs(tp_sub(a, b)))), 0, 0, 0); /* the key replays it */
        assert_close(tp_item_of(total(tp_mul(a, tp_affine(a, -1, 1)))), 0, 0, 0); /* 0 or 1 */

        tp_var sure = leaf(types[d], TP_SHAPE(4), (double[]){0, 1, 0, 1});
        tp_var drawn = tp_noise_bernoulli(sure, key);
        assert_values(drawn, (double[]){0, 1, 0, 1}, 4);
        assert_status(tp_backward(total(drawn)), TP_EGRAD);
        assert_message("it has no derivative");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bce, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bce_refuses_targets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gaussian_kl, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gaussian_kl_overflow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reparameterize, setup, teardown),
        cmocka_unit_test_setup_teardown(test_variance_of_draws, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scatter_add, setup, teardown),
        cmocka_unit_test_setup_teardown(test_noise_bernoulli, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
