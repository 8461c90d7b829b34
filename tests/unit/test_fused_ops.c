/* test_fused_ops.c: the numbers that the fused ops, the matrix ops and the views must hit.
 *
 * Values and gradients in f64 and f32 against constants made with 40 digits or by hand. That rules agree
 * with finite differences is the business of tests/ops; what no gradient check sees is here. */
#include "tests/support/check.h"

#include <math.h>
#include <string.h>

#include "autograd/compose.h"
#include "autograd/sweep.h"

static const tp_dtype types[] = {TP_F64, TP_F32};

/* Two units in the last place, denormal numbers included. */
static double rel_of(tp_dtype d)
{
    return d == TP_F32 ? 2.4e-7 : 1e-15;
}
static double abs_of(tp_dtype d)
{
    return d == TP_F32 ? 2.9e-45 : 0;
}

/* --- a tape and tensors that live for one test ---------------------------------------------------- */

enum { MAX_TENSORS = 64 };

static tp_tape *tape;
static tp_tensor owned[MAX_TENSORS];
static int owned_count;

static int setup(void **state)
{
    (void)state;
    return tp_tape_new(&tape) != TP_OK;
}

static void forget(void)
{
    tp_tape_reset(tape);
    while (owned_count > 0)
        tp_tensor_free(&owned[--owned_count]);
}

static int teardown(void **state)
{
    (void)state;
    forget();
    tp_tape_free(tape);
    return 0;
}

static tp_tensor *tensor(tp_dtype dtype, tp_shape shape, const double *value)
{
    assert_true(owned_count < MAX_TENSORS);
    tp_tensor *t = &owned[owned_count];
    assert_ok(tp_tensor_new(t, dtype, shape));
    owned_count++;
    for (int64_t i = 0; i < tp_numel(t); i++)
        assert_ok(tp_set_flat(t, i, value[i]));
    return t;
}

static tp_var leaf(tp_dtype dtype, tp_shape shape, const double *value)
{
    return tp_leaf(tape, tensor(dtype, shape, value));
}

static tp_var constant(tp_dtype dtype, tp_shape shape, const double *value)
{
    return tp_constant(tape, tensor(dtype, shape, value));
}

static tp_var scalar_leaf(tp_dtype dtype, double value)
{
    return leaf(dtype, TP_SHAPE(), &value);
}

static tp_var total(tp_var x)
{
    return tp_sum(x, TP_ALL_AXES, false);
}

static void assert_values(tp_var v, const double *want, int64_t n)
{
    const tp_tensor *t = tp_value(v);
    if (t == NULL)
        print_error("%s\n", tp_last_error());
    assert_non_null(t);
    double rel = rel_of(t->dtype);
    assert_tensor_close(t, want, n, rel, rel);
}

static void assert_gradient(tp_var v, const double *want, int64_t n)
{
    const tp_tensor *t = tp_leaf_grad(v);
    assert_non_null(t);
    double rel = rel_of(t->dtype);
    assert_tensor_close(t, want, n, rel, rel);
}

/* Backward by the fused rules or by the composed ones. */
static void backward(tp_var root, bool composed)
{
    assert_ok(tp_backward_opts(root, (tp_sweep_opts){.composed = composed}));
}

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

/* --- matrices ------------------------------------------------------------------------------------- */

static void test_matmul(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        forget();
        tp_var a = leaf(types[d], TP_SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6});
        tp_var b = leaf(types[d], TP_SHAPE(3, 1), (double[]){1, -1, 2});
        tp_var y = tp_matmul(a, b);
        assert_values(y, (double[]){5, 11}, 2);
        assert_ok(
            tp_backward(total(tp_mul(y, constant(types[d], TP_SHAPE(2, 1), (double[]){1, 10})))));
        assert_gradient(a, (double[]){1, -1, 2, 10, -10, 20}, 6);
        assert_gradient(b, (double[]){41, 52, 63}, 3);

        forget(); /* one right factor for a batch collects from all of it */
        a = leaf(types[d], TP_SHAPE(2, 1, 2), (double[]){1, 2, 3, 4});
        b = leaf(types[d], TP_SHAPE(2, 1), (double[]){5, 6});
        y = tp_matmul(a, b);
        assert_values(y, (double[]){17, 39}, 2);
        assert_ok(tp_backward(total(y)));
        assert_gradient(a, (double[]){5, 6, 5, 6}, 4);
        assert_gradient(b, (double[]){4, 6}, 2);
    }
}

static void test_cholesky(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        forget();
        tp_var x =
            leaf(types[d], TP_SHAPE(3, 3), (double[]){4, 12, -16, 12, 37, -43, -16, -43, 98});
        assert_values(tp_cholesky(x), (double[]){2, 0, 0, 6, 1, 0, -8, 5, 3}, 9);

        /* only the symmetric part counts; d L11 / dx by hand */
        forget();
        x = leaf(types[d], TP_SHAPE(2, 2), (double[]){4, 1, 3, 5});
        tp_var l = tp_cholesky(x), w = constant(types[d], TP_SHAPE(2, 2), (double[]){0, 0, 0, 1});
        assert_values(l, (double[]){2, 0, 1, 2}, 4);
        assert_ok(tp_backward(total(tp_mul(l, w))));
        assert_gradient(x, (double[]){0.0625, -0.125, -0.125, 0.25}, 4);

        /* d log det x / dx = x⁻¹, and the constant zeros above the diagonal do not matter */
        forget();
        x = leaf(types[d], TP_SHAPE(2, 2), (double[]){4, 2, 2, 5});
        tp_var flat = tp_reshape(tp_cholesky(x), TP_SHAPE(-1));
        tp_var logdet = tp_scale(total(tp_log(tp_slice(flat, 0, 0, TP_SLICE_END, 3))), 2);
        assert_close(tp_item_of(logdet), 2.77258872223978124, 0, rel_of(types[d])); /* log 16 */
        assert_ok(tp_backward(logdet));
        assert_gradient(x, (double[]){0.3125, -0.125, -0.125, 0.25}, 4);

        forget();
        tp_var y =
            tp_cholesky(leaf(types[d], TP_SHAPE(2, 2, 2), (double[]){1, 0, 0, 1, 1, 2, 2, 3}));
        assert_null(tp_value(y));
        assert_status(tp_tape_status(tape), TP_EVALUE);
        assert_non_null(
            strstr(tp_tape_message(tape), "not positive definite: pivot 1 of matrix 1 is -1"));
        assert_int_equal(tp_tape_length(tape), 1); /* nothing was published */
    }
}

static void test_triangular_solve(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        forget();
        tp_var l = leaf(types[d], TP_SHAPE(2, 2), (double[]){2, NAN, 1, 4}); /* upper part unread */
        tp_var b = leaf(types[d], TP_SHAPE(2, 1), (double[]){2, 9});
        tp_var y = tp_triangular_solve(l, b, false);
        assert_values(y, (double[]){1, 2}, 2);
        assert_ok(tp_backward(total(y)));
        assert_gradient(b, (double[]){0.375, 0.25}, 2);
        assert_gradient(l, (double[]){-0.375, 0, -0.25, -0.5}, 4);

        forget();
        l = leaf(types[d], TP_SHAPE(2, 2), (double[]){2, NAN, 1, 4});
        b = leaf(types[d], TP_SHAPE(2, 1), (double[]){2, 9});
        y = tp_triangular_solve(l, b, true);
        assert_values(y, (double[]){-0.125, 2.25}, 2);
        assert_ok(tp_backward(total(y)));
        assert_gradient(b, (double[]){0.5, 0.125}, 2);
        assert_gradient(l, (double[]){0.0625, 0, -1.125, -0.28125}, 4);

        forget(); /* one matrix for two right sides: its gradient is the sum */
        l = leaf(types[d], TP_SHAPE(1, 1), (double[]){2});
        b = leaf(types[d], TP_SHAPE(2, 1, 1), (double[]){2, 6});
        y = tp_triangular_solve(l, b, false);
        assert_values(y, (double[]){1, 3}, 2);
        assert_ok(tp_backward(total(y)));
        assert_gradient(l, (double[]){-2}, 1);

        forget();
        y = tp_triangular_solve(leaf(types[d], TP_SHAPE(2, 2), (double[]){1, 0, 1, 0}),
                                leaf(types[d], TP_SHAPE(2, 1), (double[]){1, 1}), false);
        assert_null(tp_value(y));
        assert_status(tp_tape_status(tape), TP_EVALUE);
        assert_non_null(
            strstr(tp_tape_message(tape), "singular: element [1,1] of triangular matrix 0 is 0"));
    }
}

static void test_tril(void **state)
{
    (void)state;
    static const struct {
        int k;
        double want[6];
    } rows[] = {{0, {1, 0, 0, 4, 5, 0}},  {1, {1, 2, 0, 4, 5, 6}},         {-1, {0, 0, 0, 4, 0, 0}},
                {-2, {0, 0, 0, 0, 0, 0}}, {INT32_MAX, {1, 2, 3, 4, 5, 6}}, {INT32_MIN, {0}}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        forget();
        tp_var x = leaf(TP_F32, TP_SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6});
        assert_values(tp_tril(x, rows[i].k), rows[i].want, 6);
    }
    forget(); /* what is cut off may be anything */
    tp_var x = leaf(TP_F64, TP_SHAPE(2, 2), (double[]){1, NAN, 3, INFINITY});
    assert_values(tp_tril(x, -1), (double[]){0, 0, 3, 0}, 4);
}

/* --- views ---------------------------------------------------------------------------------------- */

static void assert_shares(tp_var y, tp_var x)
{
    assert_ptr_equal(tp_value(y)->storage, tp_value(x)->storage);
}

static void test_views_share_storage(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_I64; d++) {
        forget();
        tp_var x = constant((tp_dtype)d, TP_SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6});
        assert_shares(tp_reshape(x, TP_SHAPE(3, -1)), x);
        assert_values(tp_reshape(x, TP_SHAPE(3, -1)), (double[]){1, 2, 3, 4, 5, 6}, 6);
        assert_shares(tp_detach(x), x);
        tp_var turned = tp_permute(x, TP_AXES(1, 0));
        assert_shares(turned, x);
        assert_values(turned, (double[]){1, 4, 2, 5, 3, 6}, 6);
        tp_var wide = tp_expand(x, TP_SHAPE(2, 2, 3));
        assert_shares(wide, x);
        assert_values(wide, (double[]){1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6}, 12);
        tp_var copy = tp_reshape(turned, TP_SHAPE(2, 3)); /* no strides express this one */
        assert_ptr_not_equal(tp_value(copy)->storage, tp_value(x)->storage);
        assert_values(copy, (double[]){1, 4, 2, 5, 3, 6}, 6);
    }
}

static void test_view_gradients(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        forget();
        tp_var x = leaf(types[d], TP_SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6});
        tp_var w = constant(types[d], TP_SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6});
        tp_var y = tp_reshape(tp_permute(x, TP_AXES(1, 0)), TP_SHAPE(2, 3));
        assert_ok(tp_backward(total(tp_mul(y, w))));
        assert_gradient(x, (double[]){1, 3, 5, 2, 4, 6}, 6);

        forget(); /* b = a + a, c = b + b: 4 */
        tp_var a = leaf(types[d], TP_SHAPE(2), (double[]){1, 2});
        y = tp_expand(tp_reshape(a, TP_SHAPE(2, 1)), TP_SHAPE(2, 2, 2));
        assert_ok(tp_backward(total(y)));
        assert_gradient(a, (double[]){4, 4}, 2);
    }
}

static void test_detach(void **state)
{
    (void)state;
    tp_var x = scalar_leaf(TP_F64, 3);
    assert_ok(tp_backward(tp_mul(x, tp_detach(x))));
    assert_close(tp_item(tp_leaf_grad(x)), 3, 0, 0); /* not 6 */
    forget();
    x = scalar_leaf(TP_F64, 3);
    assert_status(tp_backward(tp_square(tp_detach(x))), TP_EGRAD);
    assert_message("the caller asked for a constant");
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
        cmocka_unit_test_setup_teardown(test_matmul, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cholesky, setup, teardown),
        cmocka_unit_test_setup_teardown(test_triangular_solve, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tril, setup, teardown),
        cmocka_unit_test_setup_teardown(test_views_share_storage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_view_gradients, setup, teardown),
        cmocka_unit_test_setup_teardown(test_detach, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scatter_add, setup, teardown),
        cmocka_unit_test_setup_teardown(test_noise_bernoulli, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
