/* test_op_extremes.c: powers, sines, error functions, rounding and the largest element where formulas break:
 * zeros, ties, both tails, infinities and NaN; values and gradients, f64 and f32. The other ops:
 * test_op_values.c. References come from 60-digit arithmetic. */
#include "tests/unit/fixture.h"

/* --- functions of one number -------------------------------------------------------------------- */

static const struct point points[] = {
    {"sin", tp_sin, 0, 0, 1},
    {"sin", tp_sin, -0.0, 0, 1},
    {"sin", tp_sin, 3, 0.141120008059867222, -0.989992496600445457},
    {"sin", tp_sin, 0x1.8p-41, 0x1.8p-41, 1},
    {"sin", tp_sin, 1e6, -0.349993502171292952, 0.936752127533144787},
    {"sin", tp_sin, 0x1p70, -0.99817940219330676, 0.0603148492248197851},
    {"sin", tp_sin, INFINITY, NAN, NAN},
    {"sin", tp_sin, NAN, NAN, NAN},
    {"cos", tp_cos, 0, 1, 0},
    {"cos", tp_cos, 3, -0.989992496600445457, -0.141120008059867222},
    {"cos", tp_cos, -1e6, 0.936752127533144787, -0.349993502171292952},
    {"cos", tp_cos, 0x1p70, 0.0603148492248197851, 0.99817940219330676},
    {"cos", tp_cos, -INFINITY, NAN, NAN},
    {"cos", tp_cos, NAN, NAN, NAN},
    {"erf", tp_erf, 0, 0, 1.12837916709551257},
    {"erf", tp_erf, 0.5, 0.520499877813046538, 0.878782578935444794},
    {"erf", tp_erf, 3, 0.999977909503001415, 0.000139253051946747854},
    {"erf", tp_erf, -10, -1, 4.19765623135441689e-44},
    {"erf", tp_erf, 1e30, 1, 0},
    {"erf", tp_erf, -INFINITY, -1, 0},
    {"erf", tp_erf, NAN, NAN, NAN},
    {"erfc", tp_erfc, 0, 1, -1.12837916709551257},
    {"erfc", tp_erfc, 0.5, 0.479500122186953462, -0.878782578935444794},
    {"erfc", tp_erfc, 3, 0.0000220904969985854414, -0.000139253051946747854},
    {"erfc", tp_erfc, -10, 2, -4.19765623135441689e-44},
    {"erfc", tp_erfc, 10, 2.08848758376254476e-45, -4.19765623135441689e-44},
    {"erfc", tp_erfc, 20, 5.39586561160790093e-176, -2.16103747438679846e-174},
    {"erfc", tp_erfc, 26, 5.66319240885614285e-296, -2.94703499326626954e-294},
    {"erfc", tp_erfc, INFINITY, 0, 0},
    {"erfc", tp_erfc, -INFINITY, 2, 0},
    {"erfc", tp_erfc, NAN, NAN, NAN},
};

static void test_points(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        for (int d = 0; d < 2; d++)
            check_point(&points[i], dtypes[d], false);
}

static void test_round(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(10),
                        (double[]){0.5, 1.5, 2.5, -0.5, -1.5, 1.75, 8388609, INF, -INF, NAN});
        tp_var y = tp_round(x);
        CHECK_VALUE(y, ((double[]){0, 2, 2, 0, -2, 2, 8388609, INF, -INF, NAN}), 10);
        assert_false(tp_needs_grad(y));
        assert_true(signbit(tp_flat(tp_value(y), 3)));
        bench_free(&b);
    }
}

static void test_greater_equal(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var a = leaf(&b, TP_SHAPE(7), (double[]){2, 1, 1, INF, NAN, -0.0, -INF});
        tp_var c = leaf(&b, TP_SHAPE(7), (double[]){1, 2, 1, INF, NAN, 0.0, 0});
        tp_var y = tp_greater_equal(a, c);
        CHECK_VALUE(y, ((double[]){1, 0, 1, 1, 0, 1, 0}), 7);
        assert_false(tp_needs_grad(y));
        bench_free(&b);
    }
}

/* --- pow ---------------------------------------------------------------------------------------- */

/* a, b, a^b and its derivatives */
static const double powers[][5] = {
    {2, 0.5, 1.41421356237309505, 0.353553390593273762, 0.980258143468547192},
    {0.25, -1.5, 8, -48, -11.090354888959125},
    {1.5, 3, 3.375, 6.75, 1.36844473986505479},
    {0.5, 100, 7.88860905221011805e-31, 1.57772181044202361e-28, -5.46796712307910573e-31},
    {2, -140, 7.1746481373430634e-43, -5.02225369614014438e-41, 4.97308712790900766e-43},
    {2, 2000, INFINITY, INFINITY, INFINITY},
    {1, 7, 1, 7, 0},
    /* to 0: 1, and constant */
    {5, 0, 1, 0, 1.60943791243410037},
    {0, 0, 1, 0, 0},
    {-0.0, 0, 1, 0, 0},
    {0x1p-149, 0, 1, 0, -103.278929903431851},
    {-2, 0, 1, 0, NAN},
    {INFINITY, 0, 1, 0, INFINITY},
    {NAN, 0, 1, 0, NAN},
    /* of 0: the gradient for b is 0 as far as there is one */
    {0, 2, 0, 0, 0},
    {0, 1, 0, 1, 0},
    {0, 0.5, 0, INFINITY, 0},
    {0, -1, INFINITY, -INFINITY, -INFINITY},
    {-0.0, -1, -INFINITY, -INFINITY, INFINITY},
    /* of negative numbers */
    {-2, 3, -8, 12, NAN},
    {-2, -1, -0.5, -0.25, NAN},
    {-2, 1, -2, 1, NAN},
    {-2, 0.5, NAN, NAN, NAN},
    /* infinities and NaN */
    {INFINITY, 2, INFINITY, INFINITY, INFINITY},
    {INFINITY, -1, 0, 0, NAN},
    {-INFINITY, 3, -INFINITY, INFINITY, NAN},
    {2, INFINITY, INFINITY, INFINITY, INFINITY},
    {1, NAN, 1, NAN, 0},
    {NAN, 2, NAN, NAN, NAN},
    {2, NAN, NAN, NAN, NAN},
};

static void test_pow(void **state)
{
    (void)state;
    char text[80];
    for (size_t i = 0; i < sizeof powers / sizeof *powers; i++)
        for (int d = 0; d < 2; d++) {
            const double *p = powers[i];
            struct bench b = bench_new(dtypes[d]);
            tp_var x = leaf(&b, TP_SHAPE(), &p[0]), e = leaf(&b, TP_SHAPE(), &p[1]);
            tp_var y = tp_pow(x, e);
            snprintf(text, sizeof text, "pow(%g, %g), value and gradients", p[0], p[1]);
            check_number(dtypes[d], tp_item_of(y), p[2], VALUE_ULPS, text);
            assert_ok(tp_backward(y));
            check_number(dtypes[d], tp_item(tp_leaf_grad(x)), p[3], GRAD_ULPS, text);
            check_number(dtypes[d], tp_item(tp_leaf_grad(e)), p[4], GRAD_ULPS, text);
            bench_free(&b);
        }
}

/* Derivatives of the gradients of pow at (a, b): by a twice, by a and b, by b and a, by b twice. */
static void check_pow_twice(double a, double b, const double *want)
{
    for (int d = 0; d < 2; d++) {
        struct bench bench = bench_new(dtypes[d]);
        tp_var x[2] = {leaf(&bench, TP_SHAPE(), &a), leaf(&bench, TP_SHAPE(), &b)}, g[2], h[2];
        tp_var y = tp_pow(x[0], x[1]);
        assert_ok(tp_grad(1, &y, 2, x, g, (tp_grad_opts){.create_graph = true}));
        for (int i = 0; i < 2; i++) {
            assert_ok(tp_grad(1, &g[i], 2, x, h, (tp_grad_opts){.allow_unused = true}));
            check_number(dtypes[d], tp_item_of(h[0]), want[2 * i], GRAD_ULPS, "by a");
            check_number(dtypes[d], tp_item_of(h[1]), want[2 * i + 1], GRAD_ULPS, "by b");
        }
        bench_free(&bench);
    }
}

static void test_pow_twice(void **state)
{
    (void)state;
    const double log2 = 0.693147180559945309;
    check_pow_twice(2, 3, (double[]){12, 4 + 12 * log2, 4 + 12 * log2, 8 * log2 * log2});
    check_pow_twice(4, 0, (double[]){0, 0.25, 0.25, 4 * log2 * log2}); /* b = 0 is no constant */
    check_pow_twice(0, 0, (double[]){0, 1, 0, 0}); /* finite, where there is no derivative */
    check_pow_twice(0, 2, (double[]){2, 0, 0, 0});
    check_pow_twice(0, 3, (double[]){0, 0, 0, 0});
}

/* x^2 by a constant exponent, as scripts have it: every order is right at 0 and below. */
static void test_square_by_pow(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(3), (double[]){0, -3, 2});
        tp_var two = constant(&b, TP_SHAPE(), (double[]){2}), g = tp_pow(x, two);
        static const double want[4][3] = {{0, -6, 4}, {2, 2, 2}, {0, 0, 0}, {0, 0, 0}};
        for (int order = 0; order < 4; order++) {
            tp_var y = tp_sum(g, TP_ALL_AXES, false);
            assert_ok(tp_grad(1, &y, 1, &x, &g,
                              (tp_grad_opts){.create_graph = true, .allow_unused = true}));
            CHECK_VALUE(g, want[order], 3);
        }
        bench_free(&b);
    }
}

/* --- over axes ---------------------------------------------------------------------------------- */

static void test_max(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x =
            leaf(&b, TP_SHAPE(6, 3),
                 (double[]){1, 3, 2, 5, 5, 1, -INF, -INF, -INF, NAN, 7, INF, INF, 0, INF, 2, 2, 2});
        tp_var y = tp_max(x, TP_AXES(-1), false);
        CHECK_VALUE(y, ((double[]){3, 5, -INF, NAN, INF, 2}), 6);
        sum_backward(y);
        double third = 1.0 / 3;
        CHECK_GRAD(x,
                   ((double[]){0, 1, 0, 0.5, 0.5, 0, third, third, third, 0, 0, 0, 0.5, 0, 0.5,
                               third, third, third}),
                   18);
        tp_var zeros = leaf(&b, TP_SHAPE(2), (double[]){-0.0, 0.0});
        sum_backward(tp_max(zeros, TP_ALL_AXES, true));
        CHECK_GRAD(zeros, ((double[]){0.5, 0.5}), 2);
        bench_free(&b);
    }
}

/* An infinite gradient goes to the largest and to no other; the choice has no derivative. */
static void test_max_selects(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(3), (double[]){-1, 0, -2}), h;
        sum_backward(tp_sqrt(tp_max(x, TP_ALL_AXES, false)));
        CHECK_GRAD(x, ((double[]){0, INF, 0}), 3);
        tp_var z = leaf(&b, TP_SHAPE(3), (double[]){3, 1, 3}), g;
        tp_var y = tp_square(tp_max(z, TP_ALL_AXES, false));
        assert_ok(tp_grad(1, &y, 1, &z, &g, (tp_grad_opts){.create_graph = true}));
        CHECK_VALUE(g, ((double[]){3, 0, 3}), 3);
        tp_var first = tp_sum(tp_slice(g, 0, 0, 1, 1), TP_ALL_AXES, false);
        assert_ok(tp_grad(1, &first, 1, &z, &h, (tp_grad_opts){0}));
        CHECK_VALUE(h, ((double[]){0.5, 0, 0.5}), 3);
        bench_free(&b);
    }
}

static void test_argmax(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(5, 3),
                        (double[]){1, 3, 2, 5, 5, 1, -INF, -INF, -INF, 7, NAN, NAN, 0, INF, INF});
        tp_var y = tp_argmax(x, 1, false), kept = tp_argmax(x, 0, true);
        assert_int_equal(tp_dtype_of(y), TP_I64);
        assert_tensor_close(tp_value(y), ((double[]){1, 0, 0, 1, 1}), 5, 0, 0);
        assert_true(tp_shape_equal(tp_shape_of(kept), TP_SHAPE(1, 3)));
        assert_tensor_close(tp_value(kept), ((double[]){3, 3, 3}), 3, 0, 0);
        assert_false(tp_needs_grad(y));
        /* what it points at is the maximum */
        tp_var at = tp_gather(x, tp_argmax(x, 1, true), 1);
        CHECK_VALUE(tp_max(x, TP_AXES(1), true), ((double[]){3, 5, -INF, NAN, INF}), 5);
        CHECK_VALUE(at, ((double[]){3, 5, -INF, NAN, INF}), 5);
        bench_free(&b);
    }
}

static void test_cumsum(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(2, 3), (double[]){1, 2, 3, INF, -INF, 1});
        tp_var w = constant(&b, TP_SHAPE(2, 3), (double[]){1, 10, 100, 0, INF, 1});
        tp_var y = tp_cumsum(x, -1);
        CHECK_VALUE(y, ((double[]){1, 3, 6, INF, NAN, NAN}), 6);
        CHECK_VALUE(tp_cumsum(x, 0), ((double[]){1, 2, 3, INF, -INF, 4}), 6);
        sum_backward(tp_mul(y, w));
        CHECK_GRAD(x, ((double[]){111, 110, 100, INF, INF, 1}), 6);
        bench_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_points),        cmocka_unit_test(test_round),
        cmocka_unit_test(test_greater_equal), cmocka_unit_test(test_pow),
        cmocka_unit_test(test_pow_twice),     cmocka_unit_test(test_square_by_pow),
        cmocka_unit_test(test_max),           cmocka_unit_test(test_max_selects),
        cmocka_unit_test(test_argmax),        cmocka_unit_test(test_cumsum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
