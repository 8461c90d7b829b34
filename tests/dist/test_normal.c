/* test_normal.c: what only the normal distribution has: its constructors, and KL to the standard normal at the numbers
 * where other formulas break, evaluated with 30 digits. Read next: test_shapes.c. */
#include "tests/support/dists.h"

#include <math.h>
#include <string.h>

#include "autograd/check.h"
#include "autograd/sweep.h"

static tp_var kl_standard(fixture *f, tp_dtype dtype, double mu, double logvar)
{
    tp_var m = one(f, dtype, mu);
    return tp_kl(tp_normal_logvar(m, one(f, dtype, logvar)), tp_normal_standard(m));
}

static void test_kl_numbers(void **state)
{
    (void)state;
    static const struct {
        double mu, logvar, want;
    } rows[] = {
        {0, 1, 0.359140914229522601},        {0, 1e-8, 2.50000000833333335e-17},
        {0, -1e-8, 2.49999999166666669e-17}, {0, 1e-4, 2.50008333541670835e-9},
        {3, -2, 5.06766764161830618},        {0, -100, 49.5},
        {0, 20, 2.42582587204895139e8},
    };
    for (int d = TP_F32; d <= TP_F64; d++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            fixture *f = fixture_new();
            double kl = tp_item_of(kl_standard(f, (tp_dtype)d, rows[i].mu, rows[i].logvar));
            assert_true(kl > 0);
            assert_close(kl, rows[i].want, 0, d == TP_F64 ? 2e-15 : 4e-7);
            fixture_free(f);
        }
}

/* The textbook form ½(μ² + e^v − v − 1) would fail the row of 1e-4 in f32. */
static void test_textbook_form(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_var v = one(f, TP_F32, 3e-4);
    tp_var kl = tp_scale(tp_shift(tp_sub(tp_exp(v), v), -1), 0.5);
    assert_true(fabs(tp_item_of(kl) / 2.25022501687601255e-8 - 1) > 0.01);
    assert_close(tp_item_of(kl_standard(f, TP_F32, 0, 3e-4)), 2.25022501687601255e-8, 0, 1e-6);
    fixture_free(f);
}

/* The largest finite log-variance, and beyond it an error that names the culprit. */
static void test_kl_overflow(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    assert_close(tp_item_of(kl_standard(f, TP_F32, 0, 89)), 2.24480640958717e38, 0, 2e-6);
    assert_status(tp_var_status(kl_standard(f, TP_F32, 0, 90)), TP_EVALUE);
    assert_non_null(strstr(tp_tape_message(f->tape), "logvar"));
    fixture_free(f);
}

/* KL to N(0,1) is the fused row, bit for bit, and the general form gives the same bits. */
static void test_standard(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_F64; d++) {
        fixture *f = fixture_new();
        tp_var mu = tp_leaf(f->tape, fixture_draw(f, (tp_dtype)d, TP_SHAPE(4, 3), 1, 1, 0));
        tp_var logvar = tp_leaf(f->tape, fixture_draw(f, (tp_dtype)d, TP_SHAPE(4, 3), 2, 1, 0));
        tp_dist q = tp_normal_logvar(mu, logvar), prior = tp_normal_standard(mu);
        tp_var fused = tp_gaussian_kl(mu, logvar);
        assert_false(tp_needs_grad(prior.param[0]) || tp_needs_grad(prior.param[1]));
        assert_true(same_values(tp_value(fused), tp_value(tp_kl_elements(q, prior))));
        assert_true(
            same_values(tp_value(tp_sum(fused, TP_AXES(-1), false)), tp_value(tp_kl(q, prior))));
        assert_true(same_values(tp_value(tp_kl(q, tp_normal_fixed(tp_zeros_like(mu), 0))),
                                tp_value(tp_kl(q, prior))));
        fixture_free(f);
    }
}

/* A fixed log-variance is the same as one given elementwise, and gets no gradient. */
static void test_fixed(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_var mu = drawn(f, TP_SHAPE(3, 4), 1), x = drawn(f, TP_SHAPE(3, 4), 2);
    tp_dist fixed = tp_normal_fixed(mu, -1.5);
    tp_dist full = tp_normal_logvar(mu, tp_full(f->tape, TP_F64, TP_SHAPE(3, 4), -1.5));
    assert_true(
        same_values(tp_value(tp_dist_logprob(fixed, x)), tp_value(tp_dist_logprob(full, x))));
    assert_false(tp_needs_grad(fixed.param[1]));
    fixture_free(f);
}

/* --- a scale by softplus ------------------------------------------------------------------------------------ */

static tp_var softplus_density(tp_tape *t, void *user)
{
    tp_var raw = tp_param(t, user), mu = tp_zeros_like(raw);
    return tp_dist_logprob(tp_normal_softplus(mu, raw), tp_scale(mu, 1));
}

/* logvar = 2 log softplus(raw): known numbers from both tails, and σ itself. */
static void test_softplus(void **state)
{
    (void)state;
    static const struct {
        double raw, logvar;
    } rows[] = {
        {0, -0.733025841163328628},
        {1, 0.545027761005166805},
        {-20, -40.0000000020611536},
        {-20.5, -41.0000000012501529},
        {-19.5, -39.0000000033982678},
        {-700, -1400},
        {-2000, -4000},
        {30, 6.80239476332431721},
        {1000, 13.8155105579642741},
    };
    for (int d = TP_F32; d <= TP_F64; d++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            fixture *f = fixture_new();
            tp_var raw =
                tp_leaf(f->tape, fixture_tensor(f, (tp_dtype)d, TP_SHAPE(1), &rows[i].raw));
            tp_dist q = tp_normal_softplus(tp_zeros_like(raw), raw);
            assert_close(tp_item_of(q.param[1]), rows[i].logvar, 0, d == TP_F64 ? 2e-15 : 4e-7);
            assert_ok(tp_backward(tp_sum(q.param[1], TP_ALL_AXES, false)));
            double slope = 2 / (1 + exp(-rows[i].raw)) / log1p(exp(rows[i].raw)); /* 2σ'/σ */
            if (rows[i].raw < -30 || rows[i].raw > 500)
                slope = rows[i].raw < 0 ? 2 : 2 / rows[i].raw;
            assert_close(tp_flat(tp_leaf_grad(raw), 0), slope, 0, d == TP_F64 ? 1e-13 : 1e-6);
            fixture_free(f);
        }
    tp_parameter p;
    const double at[] = {-60, -21, -19, -2, 0.5, 3, 40};
    tp_parameter *wrt = &p;
    assert_ok(tp_parameter_init(&p, "raw", TP_F64, TP_SHAPE(7)));
    for (int i = 0; i < 7; i++)
        assert_ok(tp_set_flat(&p.value, i, at[i]));
    assert_ok(tp_gradcheck(softplus_density, &p, 1, &wrt, (tp_check_opts){.order = 2}, NULL));
    tp_parameter_free(&p);
}

/* dz/dμ = 1 and dz/dlogvar = ½ σ ε = ½ (z − μ). */
static void test_rsample_gradient(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_var mu = tp_leaf(f->tape, fixture_draw(f, TP_F64, TP_SHAPE(4, 3), 1, 1, 0));
    tp_var logvar = tp_leaf(f->tape, fixture_draw(f, TP_F64, TP_SHAPE(4, 3), 2, 1, 0));
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var z = tp_dist_rsample(tp_normal_logvar(mu, logvar), &c);
    assert_ok(tp_backward(tp_sum(z, TP_ALL_AXES, false)));
    for (int64_t i = 0; i < 12; i++) {
        double gap = tp_flat(tp_value(z), i) - tp_flat(tp_value(mu), i);
        assert_close(tp_flat(tp_leaf_grad(mu), i), 1, 0, 0);
        assert_close(tp_flat(tp_leaf_grad(logvar), i), gap / 2, 1e-15, 1e-14);
    }
    fixture_free(f);
}

/* Above the floor always, the inverse as good as the numbers are, and where nothing is to be undone the floor. */
static void test_floor(void **state)
{
    (void)state;
    const double floor = -6;
    for (int d = TP_F32; d <= TP_F64; d++)
        for (double v = -25; v < 100; v += v < 0 ? 0.5 : 7) {
            fixture *f = fixture_new();
            tp_var raw = one(f, (tp_dtype)d, v), above = tp_logvar_above(raw, floor);
            assert_close(tp_item_of(above),
                         floor + log1p(exp(-fabs(v - floor))) + fmax(v - floor, 0),
                         d == TP_F64 ? 1e-15 : 1e-6, d == TP_F64 ? 1e-15 : 1e-6);
            double back = tp_item_of(tp_logvar_above_inverse(above, floor));
            if (v > -8)
                assert_close(back, v, d == TP_F64 ? 1e-14 : 2e-5, 0);
            tp_var low = tp_logvar_above_inverse(one(f, (tp_dtype)d, floor - 1), floor);
            assert_close(tp_item_of(low), floor + log(1e-9), 1e-5, 0);
            assert_close(tp_item_of(tp_logvar_above(low, floor)), floor, 1.1e-9, 1e-15);
            fixture_free(f);
        }
    /* The control: a clamp has no gradient below, so what sinks under the floor never comes back. */
    fixture *f = fixture_new();
    tp_tensor *x = fixture_tensor(f, TP_F64, TP_SHAPE(), (double[]){-9});
    tp_var raw = tp_leaf(f->tape, x), g[2];
    tp_var two[] = {tp_logvar_above(raw, floor), tp_clamp(raw, floor, INFINITY)};
    for (int i = 0; i < 2; i++)
        assert_ok(tp_grad(1, &two[i], 1, &raw, &g[i], (tp_grad_opts){0}));
    assert_close(tp_item_of(g[0]), 1 / (1 + exp(3)), 0, 1e-14);
    assert_true(tp_item_of(g[1]) == 0);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floor),         cmocka_unit_test(test_kl_numbers),
        cmocka_unit_test(test_textbook_form), cmocka_unit_test(test_kl_overflow),
        cmocka_unit_test(test_standard),      cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_softplus),      cmocka_unit_test(test_rsample_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
