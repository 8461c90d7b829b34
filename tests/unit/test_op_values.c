/* test_op_values.c: values and gradients of the elementwise ops and the reductions where formulas break:
 * zeros, kinks, ties, both tails, infinities and NaN, in f64 and in f32.
 *
 * The references come from 40-digit arithmetic and are written as f64; f32 must be within the same
 * number of ulps of the nearest float. That rules match their functions everywhere else is shown by the
 * tests of the op table (tests/ops). Read next: autograd/ops/logsumexp.c. */
#include "tests/unit/fixture.h"

/* --- functions of one number -------------------------------------------------------------------- */

static const struct point points[] = {
    {"neg", tp_neg, 2, -2, -1},
    {"neg", tp_neg, INFINITY, -INFINITY, -1},
    {"abs", tp_abs, -2, 2, -1},
    {"abs", tp_abs, 0, 0, 0},
    {"abs", tp_abs, -0.0, 0, 0},
    {"abs", tp_abs, -INFINITY, INFINITY, -1},
    {"abs", tp_abs, NAN, NAN, 0},
    {"square", tp_square, -3, 9, -6},
    {"square", tp_square, 0, 0, 0},
    {"square", tp_square, -INFINITY, INFINITY, -INFINITY},
    {"sqrt", tp_sqrt, 4, 2, 0.25},
    {"sqrt", tp_sqrt, 0, 0, INFINITY},
    {"sqrt", tp_sqrt, INFINITY, INFINITY, 0},
    {"sqrt", tp_sqrt, -1, NAN, NAN},
    {"exp", tp_exp, 1000, INFINITY, INFINITY},
    {"exp", tp_exp, -1000, 0, 0},
    {"exp", tp_exp, NAN, NAN, NAN},
    {"expm1", tp_expm1, 0, 0, 1},
    {"expm1", tp_expm1, 0x1p-30, 9.31322575049159385e-10, 1.00000000093132258},
    {"expm1", tp_expm1, -50, -1, 1.92874984796391778e-22}, /* y + 1 would be 0 */
    {"expm1", tp_expm1, -INFINITY, -1, 0},
    {"log", tp_log, 1, 0, 1},
    {"log", tp_log, 0x1p-40, -27.7258872223978124, 0x1p40},
    {"log", tp_log, 0, -INFINITY, INFINITY},
    {"log", tp_log, INFINITY, INFINITY, 0},
    {"log", tp_log, -1, NAN, -1},
    {"log1p", tp_log1p, 0, 0, 1},
    {"log1p", tp_log1p, 0x1p-30, 9.31322574181797647e-10, 0.999999999068677426},
    {"log1p", tp_log1p, -1, -INFINITY, INFINITY},
    {"log1p", tp_log1p, INFINITY, INFINITY, 0},
    {"sigmoid", tp_sigmoid, 0, 0.5, 0.25},
    {"sigmoid", tp_sigmoid, 1, 0.731058578630004879, 0.196611933241481853},
    {"sigmoid", tp_sigmoid, 40, 1, 4.24835425529158896e-18}, /* y (1 − y) would be 0 */
    {"sigmoid", tp_sigmoid, -40, 4.24835425529158898e-18, 4.24835425529158896e-18},
    {"sigmoid", tp_sigmoid, 1000, 1, 0},
    {"sigmoid", tp_sigmoid, -1000, 0, 0},
    {"sigmoid", tp_sigmoid, INFINITY, 1, 0},
    {"sigmoid", tp_sigmoid, -INFINITY, 0, 0},
    {"sigmoid", tp_sigmoid, NAN, NAN, NAN},
    {"tanh", tp_tanh, 0, 0, 1},
    {"tanh", tp_tanh, 0.5, 0.462117157260009759, 0.78644773296592741},
    {"tanh", tp_tanh, 0x1p-30, 0x1p-30, 1},
    {"tanh", tp_tanh, 20, 1, 1.69934170211663558e-17}, /* 1 − y² would be 0 */
    {"tanh", tp_tanh, -20, -1, 1.69934170211663558e-17},
    {"tanh", tp_tanh, 1000, 1, 0},
    {"tanh", tp_tanh, -INFINITY, -1, 0},
    {"tanh", tp_tanh, NAN, NAN, NAN},
    {"relu", tp_relu, 2, 2, 1},
    {"relu", tp_relu, -1, 0, 0},
    {"relu", tp_relu, 0, 0, 0},
    {"relu", tp_relu, INFINITY, INFINITY, 1},
    {"relu", tp_relu, -INFINITY, 0, 0},
    {"relu", tp_relu, NAN, NAN, 0},
    {"softplus", tp_softplus, 0, 0.693147180559945309, 0.5},
    {"softplus", tp_softplus, -20, 2.0611536203143807e-9, 2.06115361819020358e-9},
    {"softplus", tp_softplus, -104, 6.81355682154529851e-46, 6.81355682154529851e-46},
    {"softplus", tp_softplus, 1000, 1000, 1},
    {"softplus", tp_softplus, -1000, 0, 0},
    {"softplus", tp_softplus, INFINITY, INFINITY, 1},
    {"softplus", tp_softplus, NAN, NAN, NAN},
};

static void test_points(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        for (int d = 0; d < 2; d++) {
            check_point(&points[i], dtypes[d], false);
            check_point(&points[i], dtypes[d], true);
        }
}

static void test_affine(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(3), (double[]){3, -INF, NAN}), y = tp_affine(x, -2, 1);
        CHECK_VALUE(y, ((double[]){-5, INF, NAN}), 3);
        sum_backward(y);
        CHECK_GRAD(x, ((double[]){-2, -2, -2}), 3);
        bench_free(&b);
    }
}

/* --- kinks and steps ---------------------------------------------------------------------------- */

static void test_clamp(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(8), (double[]){-3, -1, 0, 2, 3, -INF, INF, NAN});
        tp_var y = tp_clamp(x, -1, 2), one_sided = tp_clamp(x, -INF, 2), point = tp_clamp(x, 2, 2);
        CHECK_VALUE(y, ((double[]){-1, -1, 0, 2, 2, -1, 2, NAN}), 8);
        CHECK_VALUE(one_sided, ((double[]){-3, -1, 0, 2, 2, -INF, 2, NAN}), 8);
        CHECK_VALUE(point, ((double[]){2, 2, 2, 2, 2, 2, 2, NAN}), 8);
        sum_backward(y);
        CHECK_GRAD(x, ((double[]){0, 1, 1, 1, 0, 0, 0, 0}), 8);
        tp_var in = tp_inside(x, -1, 2);
        CHECK_VALUE(in, ((double[]){0, 1, 1, 1, 0, 0, 0, 0}), 8);
        assert_false(tp_needs_grad(in));
        bench_free(&b);
    }
}

static void test_clamp_refuses(void **state)
{
    (void)state;
    const double bad[][2] = {{1, -1}, {NAN, 1}, {0, NAN}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct bench b = bench_new(TP_F64);
        tp_var x = leaf(&b, TP_SHAPE(), (double[]){0});
        assert_status(tp_var_status(tp_clamp(x, bad[i][0], bad[i][1])), TP_EARG);
        assert_message("lo <= hi needed");
        tp_tape_reset(b.tape);
        x = tp_leaf(b.tape, &b.tensor[0]);
        assert_status(tp_var_status(tp_inside(x, bad[i][0], bad[i][1])), TP_EARG);
        tp_tape_reset(b.tape);
        bench_free(&b);
    }
}

static void test_maximum(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var a = leaf(&b, TP_SHAPE(6), (double[]){2, 1, 1, INF, -INF, -0.0});
        tp_var c = leaf(&b, TP_SHAPE(6), (double[]){1, 2, 1, INF, 0, 0.0});
        tp_var y = tp_maximum(a, c);
        CHECK_VALUE(y, ((double[]){2, 2, 1, INF, 0, 0}), 6);
        sum_backward(y);
        CHECK_GRAD(a, ((double[]){1, 0, 0.5, 0.5, 0, 0.5}), 6);
        CHECK_GRAD(c, ((double[]){0, 1, 0.5, 0.5, 1, 0.5}), 6);
        tp_var low = tp_minimum(a, c);
        CHECK_VALUE(low, ((double[]){1, 1, 1, INF, -INF, 0}), 6);
        tp_var nan = constant(&b, TP_SHAPE(), (double[]){NAN});
        CHECK_VALUE(tp_maximum(a, nan), ((double[]){NAN, NAN, NAN, NAN, NAN, NAN}), 6);
        CHECK_VALUE(tp_maximum(nan, c), ((double[]){NAN, NAN, NAN, NAN, NAN, NAN}), 6);
        bench_free(&b);
    }
}

static void test_greater(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var a = leaf(&b, TP_SHAPE(6), (double[]){2, 1, 1, INF, NAN, 0.0});
        tp_var c = leaf(&b, TP_SHAPE(6), (double[]){1, 2, 1, -INF, 0, -0.0});
        tp_var y = tp_greater(a, c);
        CHECK_VALUE(y, ((double[]){1, 0, 0, 1, 0, 0}), 6);
        assert_status(tp_backward(tp_sum(y, TP_ALL_AXES, false)), TP_EGRAD);
        tp_tape_reset(b.tape);
        bench_free(&b);
    }
}

/* An infinite gradient is turned away by the branch that was not taken, not multiplied by 0. */
static void test_infinite_gradients_do_not_leak(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(2), (double[]){-1, 4});
        tp_var zero = constant(&b, TP_SHAPE(), (double[]){0});
        sum_backward(tp_sqrt(tp_maximum(x, zero))); /* sqrt'(0) = ∞ */
        CHECK_GRAD(x, ((double[]){0, 0.25}), 2);
        sum_backward(tp_sqrt(tp_relu(x)));
        CHECK_GRAD(x, ((double[]){0, 0.5}), 2);
        sum_backward(tp_sqrt(tp_clamp(x, 0, 9)));
        CHECK_GRAD(x, ((double[]){0, 0.75}), 2);
        sum_backward(tp_sqrt(tp_abs(tp_scale(x, 0))));
        CHECK_GRAD(x, ((double[]){0, 0.75}), 2);
        bench_free(&b);
    }
}

static void test_where(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var mask = leaf(&b, TP_SHAPE(4), (double[]){0, 1, 0, -2});
        tp_var a = leaf(&b, TP_SHAPE(4), (double[]){NAN, 1, INF, 4});
        tp_var c = leaf(&b, TP_SHAPE(4), (double[]){2, NAN, 3, -INF});
        tp_var w = constant(&b, TP_SHAPE(4), (double[]){INF, INF, NAN, 1});
        tp_var y = tp_where(mask, a, c);
        CHECK_VALUE(y, ((double[]){2, 1, 3, 4}), 4);
        sum_backward(tp_mul(y, w));
        CHECK_GRAD(a, ((double[]){0, INF, 0, 1}), 4);
        CHECK_GRAD(c, ((double[]){INF, 0, NAN, 0}), 4);
        assert_null(tp_leaf_grad(mask));
        bench_free(&b);
    }
}

static void test_div(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var a = leaf(&b, TP_SHAPE(5), (double[]){6, 1, -1, 0, 1});
        tp_var c = leaf(&b, TP_SHAPE(5), (double[]){3, 0, 0, 0, INF});
        tp_var y = tp_div(a, c);
        CHECK_VALUE(y, ((double[]){2, INF, -INF, NAN, 0}), 5);
        sum_backward(y);
        CHECK_GRAD(a, ((double[]){1.0 / 3, INF, INF, INF, 0}), 5);
        CHECK_GRAD(c, ((double[]){-2.0 / 3, -INF, INF, NAN, 0}), 5);
        bench_free(&b);
    }
}

/* Fan-out and broadcasting meet in the sweep. */
static void test_sums_back(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var row = leaf(&b, TP_SHAPE(1, 3), (double[]){1, 2, 3});
        tp_var column = leaf(&b, TP_SHAPE(2, 1), (double[]){10, 20});
        tp_var y = tp_sub(tp_add(row, column), tp_add(column, column)); /* row − column */
        CHECK_VALUE(y, ((double[]){-9, -8, -7, -19, -18, -17}), 6);
        sum_backward(y);
        CHECK_GRAD(row, ((double[]){2, 2, 2}), 3);
        CHECK_GRAD(column, ((double[]){-3, -3}), 2);
        bench_free(&b);
    }
}

/* --- reductions --------------------------------------------------------------------------------- */

static void test_mean(void **state)
{
    (void)state;
    double ones[49], share[49];
    for (int i = 0; i < 49; i++) {
        ones[i] = 1;
        share[i] = 1.0 / 49;
    }
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(7, 7), ones), y = tp_mean(x, TP_ALL_AXES, false);
        assert_close(tp_item_of(y), 1, 0, 0); /* 49 · (1/49) is not 1 */
        assert_ok(tp_backward(y));
        CHECK_GRAD(x, share, 49);

        tp_var z = leaf(&b, TP_SHAPE(2, 3), (double[]){1, 2, 6, INF, 1, 1});
        CHECK_VALUE(tp_mean(z, TP_AXES(-1), true), ((double[]){3, INF}), 2);
        tp_var nothing = leaf(&b, TP_SHAPE(2, 0), NULL);
        tp_var none = tp_mean(nothing, TP_AXES(1), false);
        CHECK_VALUE(none, ((double[]){NAN, NAN}), 2);
        sum_backward(none);
        assert_int_equal(tp_numel(tp_leaf_grad(nothing)), 0);
        bench_free(&b);
    }
}

static void check_logsumexp(tp_shape shape, const double *x, const double *y, const double *gx)
{
    int n = (int)tp_shape_numel(shape), rows = n / (int)shape.dim[1];
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var in = leaf(&b, shape, x), out = tp_logsumexp(in, TP_AXES(1), false);
        CHECK_VALUE(out, y, rows);
        sum_backward(out);
        CHECK_GRAD(in, gx, n);
        bench_free(&b);
    }
}

static void test_logsumexp(void **state)
{
    (void)state;
    const double zeros[10] = {0};
    const double tenths[10] = {0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1};
    check_logsumexp(TP_SHAPE(1, 10), zeros, (double[]){2.30258509299404568}, tenths);
    check_logsumexp(TP_SHAPE(3, 2), (double[]){1000, 1000, 1000, -1000, -1000, -1000},
                    (double[]){1000.69314718055989, 1000, -999.306852819440055},
                    (double[]){0.5, 0.5, 1, 0, 0.5, 0.5});
    /* −∞ is e^x = 0: alone with gradient 0, beside numbers of no effect */
    check_logsumexp(TP_SHAPE(3, 2), (double[]){-INF, -INF, -INF, 3, -INF, -1000},
                    (double[]){-INF, 3, -1000}, (double[]){0, 0, 0, 1, 0, 1});
    /* each row for itself; the largest number is no infinity */
    check_logsumexp(TP_SHAPE(4, 2), (double[]){NAN, 1, INF, 1, FLT_MAX, 0, -FLT_MAX, -FLT_MAX},
                    (double[]){NAN, INF, FLT_MAX, -FLT_MAX},
                    (double[]){NAN, NAN, NAN, NAN, 1, 0, 0.5, 0.5});
    /* e^(x − y) alone is off by 3e-5 here in f32, where y is rounded */
    check_logsumexp(TP_SHAPE(1, 3), (double[]){1000, 1001, 1002}, (double[]){1002.40760596444438},
                    (double[]){0.090030573170380458, 0.244728471054797652, 0.66524095577482189});
}

static void test_logsumexp_of_nothing(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(2, 0), NULL), y = tp_logsumexp(x, TP_AXES(1), true);
        CHECK_VALUE(y, ((double[]){-INF, -INF}), 2);
        tp_var s = leaf(&b, TP_SHAPE(), (double[]){-1e4}), t = tp_logsumexp(s, TP_ALL_AXES, false);
        CHECK_VALUE(t, ((double[]){-1e4}), 1);
        assert_ok(tp_backward(t));
        CHECK_GRAD(s, ((double[]){1}), 1);
        bench_free(&b);
    }
}

/* The Hessian of logsumexp is diag(p) − p pᵀ, and 0 where nothing but −∞ was added. */
static void test_logsumexp_twice(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(3, 2), (double[]){1000, 1000, -INF, -INF, -INF, 5});
        tp_var y = tp_sum(tp_logsumexp(x, TP_AXES(1), false), TP_ALL_AXES, false), g, h;
        assert_ok(tp_grad(1, &y, 1, &x, &g, (tp_grad_opts){.create_graph = true}));
        tp_var first = tp_sum(tp_slice(g, 1, 0, 1, 1), TP_ALL_AXES, false);
        assert_ok(tp_grad(1, &first, 1, &x, &h, (tp_grad_opts){0}));
        CHECK_VALUE(g, ((double[]){0.5, 0.5, 0, 0, 0, 1}), 6);
        CHECK_VALUE(h, ((double[]){0.25, -0.25, 0, 0, 0, 0}), 6);
        bench_free(&b);
    }
}

static void test_log_softmax(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(3, 2), (double[]){1000, -1000, 1000, 1000, -INF, 7});
        tp_var w = constant(&b, TP_SHAPE(3, 2), (double[]){0, 1, 0, 1, 1, 1});
        tp_var y = tp_log_softmax(x, 1);
        CHECK_VALUE(
            y, ((double[]){0, -2000, -0.693147180559945309, -0.693147180559945309, -INF, 0}), 6);
        CHECK_VALUE(tp_softmax(x, 1), ((double[]){1, 0, 0.5, 0.5, 0, 1}), 6);
        /* gx = w − p Σ w, also where y = −∞ */
        sum_backward(tp_mul(y, w));
        CHECK_GRAD(x, ((double[]){-1, 1, -0.5, 0.5, 1, -1}), 6);
        tp_var bad = leaf(&b, TP_SHAPE(3, 2), (double[]){NAN, 1, INF, 1, -INF, -INF});
        CHECK_VALUE(tp_log_softmax(bad, -1), ((double[]){NAN, NAN, NAN, NAN, NAN, NAN}), 6);
        bench_free(&b);
    }
}

static void test_temporaries_are_given_back(void **state)
{
    (void)state;
    enum { N = 64 };
    static const double x[N * N];
    struct bench b = bench_new(TP_F64);
    tp_var in = leaf(&b, TP_SHAPE(N, N), x);
    size_t before = tp_tape_bytes(b.tape);
    tp_logsumexp(in, TP_AXES(0), false);
    tp_mean(in, TP_AXES(0), false);
    assert_true(tp_tape_bytes(b.tape) - before < N * N * sizeof(double));
    tp_log_softmax(in, 0); /* its value, but not twice that */
    assert_true(tp_tape_bytes(b.tape) - before < 2 * N * N * sizeof(double));
    bench_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_points),
        cmocka_unit_test(test_affine),
        cmocka_unit_test(test_clamp),
        cmocka_unit_test(test_clamp_refuses),
        cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_greater),
        cmocka_unit_test(test_infinite_gradients_do_not_leak),
        cmocka_unit_test(test_where),
        cmocka_unit_test(test_div),
        cmocka_unit_test(test_sums_back),
        cmocka_unit_test(test_mean),
        cmocka_unit_test(test_logsumexp),
        cmocka_unit_test(test_logsumexp_of_nothing),
        cmocka_unit_test(test_logsumexp_twice),
        cmocka_unit_test(test_log_softmax),
        cmocka_unit_test(test_temporaries_are_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
