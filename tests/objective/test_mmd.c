/* test_mmd.c: the maximum mean discrepancy against hand-computed values and the closed form for normals.
 *
 * E k(x, y) of the RBF kernel for independent normals is a product over dimensions, so MMD² is known. The unbiased
 * estimate must have that mean within four standard errors, the biased one a known bias. Read next:
 * test_total_correlation.c.
 */
#include "tests/objective/exact.h"

#include "autograd/sweep.h"
#include "nn/objective.h"

/* --- by hand -------------------------------------------------------------------------------------------- */

/* x = {0, 1}, y = {2, 2, 4} on a line, h = 2: r² within x 1; within y 0, 4, 4; across 4, 4, 16, 1, 1, 9. */
static double by_hand(double (*k)(double r2), bool biased)
{
    double across = (2 * k(4) + k(16) + 2 * k(1) + k(9)) / 6;
    if (biased)
        return (2 * k(0) + 2 * k(1)) / 4 + (3 * k(0) + 2 * (k(0) + 2 * k(4))) / 9 - 2 * across;
    return k(1) + (k(0) + 2 * k(4)) / 3 - 2 * across;
}

static double rbf(double r2)
{
    return exp(-r2 / 2);
}

static double imq(double r2)
{
    return 2 / (2 + r2);
}

static void test_by_hand(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double a[] = {0, 1}, b[] = {2, 2, 4};
    tp_var x = given(f, TP_SHAPE(2, 1), a), y = given(f, TP_SHAPE(3, 1), b);
    for (int biased = 0; biased < 2; biased++)
        for (int kernel = TP_MMD_RBF; kernel <= TP_MMD_IMQ; kernel++)
            for (int explicit_h = 0; explicit_h < 2; explicit_h++) { /* the default is 2·d = 2 */
                tp_mmd_opts o = {(tp_mmd_kernel)kernel, explicit_h ? 2 : 0, biased};
                double want = by_hand(kernel == TP_MMD_RBF ? rbf : imq, biased);
                assert_close(tp_item_of(tp_mmd(x, y, o)), want, 1e-15, 0);
                assert_close(tp_item_of(tp_mmd(y, x, o)), want, 1e-15, 0);
            }
    /* a sample against itself: 0 for the biased one, below 0 for the other, which leaves out the equal pairs */
    assert_close(tp_item_of(tp_mmd(y, y, (tp_mmd_opts){.biased = true})), 0, 1e-15, 0);
    assert_true(tp_item_of(tp_mmd(y, y, (tp_mmd_opts){0})) < -0.1);
    fixture_free(f);
}

/* --- normals ---------------------------------------------------------------------------------------------- */

enum { D = 2, ROWS_X = 20, ROWS_Y = 30, RUNS = 800 };

static const double H = 3;

/* E exp(−|x − y|²/h) where each dimension of x − y is N(gap, s2) */
static double expected_kernel(double gap, double s2)
{
    return pow(exp(-gap * gap / (H + 2 * s2)) / sqrt(1 + 2 * s2 / H), D);
}

/* x ~ N(gap, var I) and y ~ N(0, I); the mean of RUNS estimates and its standard error. */
static double mean_estimate(double gap, double var, bool biased, double *se)
{
    static double value[RUNS];
    fixture *f = fixture_new();
    tp_tensor *xs = fixture_draw(f, TP_F64, TP_SHAPE(ROWS_X, D), 0, 1, 0);
    tp_tensor *ys = fixture_draw(f, TP_F64, TP_SHAPE(ROWS_Y, D), 0, 1, 0);
    for (int i = 0; i < RUNS; i++) {
        tp_tape_reset(f->tape);
        assert_ok(tp_random_normal(xs, (tp_rng_key){.seed = 1, .step = (uint64_t)i}));
        assert_ok(tp_random_normal(ys, (tp_rng_key){.seed = 2, .step = (uint64_t)i}));
        tp_var x = tp_shift(tp_scale(tp_constant(f->tape, xs), sqrt(var)), gap);
        tp_var y = tp_constant(f->tape, ys);
        value[i] = tp_item_of(tp_mmd(x, y, (tp_mmd_opts){.h = H, .biased = biased}));
        assert_true(!biased || value[i] >= 0);
    }
    fixture_free(f);
    return mean_of(value, RUNS, 1, se);
}

static void test_normals(void **state)
{
    (void)state;
    const struct {
        double gap, var;
    } rows[] = {{0, 1}, {0.5, 1}, {0, 2.5}, {-1, 0.3}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double se, xx = expected_kernel(0, 2 * rows[i].var), yy = expected_kernel(0, 2);
        double truth = xx + yy - 2 * expected_kernel(rows[i].gap, 1 + rows[i].var);
        double unbiased = mean_estimate(rows[i].gap, rows[i].var, false, &se);
        assert_close(unbiased, truth, 4 * se, 0);
        assert_true(i == 0 ? fabs(truth) < 1e-15 : truth > 10 * se);
        double bias = (1 - xx) / ROWS_X + (1 - yy) / ROWS_Y;
        double biased = mean_estimate(rows[i].gap, rows[i].var, true, &se);
        assert_close(biased, truth + bias, 4 * se, 0);
        assert_true(biased - truth >
                    8 * se); /* so the control, pairs with itself counted, is refuted */
    }
}

/* --- minibatches, of which the last may be one code ------------------------------------------------------- */

/* Codes s·ε of the prior's own kind: at s = 1 the distance is least, so it must push s nowhere. The mean over RUNS batches
 * of n of its derivative there, and the standard error. */
static double mean_push(int64_t n, bool biased, double *se)
{
    static double push[RUNS];
    fixture *f = fixture_new();
    double unit = 1;
    tp_tensor *one = fixture_tensor(f, TP_F64, TP_SHAPE(), &unit);
    for (int i = 0; i < RUNS; i++) {
        tp_tape_reset(f->tape);
        tp_rng_key key = {.seed = 4, .step = (uint64_t)i}, other = {.seed = 5, .step = (uint64_t)i};
        tp_var s = tp_leaf(f->tape, one), g;
        tp_var x = tp_mul(s, tp_noise_normal(f->tape, TP_F64, TP_SHAPE(n, D), key));
        tp_var y = tp_noise_normal(f->tape, TP_F64, TP_SHAPE(n, D), other);
        tp_var mmd = biased ? tp_mmd(x, y, (tp_mmd_opts){.kernel = TP_MMD_IMQ, .biased = true})
                            : tp_mmd_of_batch(x, y, TP_MMD_IMQ, 0);
        assert_ok(tp_grad(1, &mmd, 1, &s, &g, (tp_grad_opts){.allow_unused = true}));
        push[i] = tp_item_of(g);
    }
    fixture_free(f);
    return mean_of(push, RUNS, 1, se);
}

static void test_minibatches(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_var x = drawn(f, TP_SHAPE(5, 2), 1), y = drawn(f, TP_SHAPE(5, 2), 2);
    for (int kernel = TP_MMD_RBF; kernel <= TP_MMD_IMQ; kernel++) {
        tp_mmd_kernel k = (tp_mmd_kernel)kernel;
        double want = tp_item_of(tp_mmd(x, y, (tp_mmd_opts){.kernel = k, .h = 3}));
        assert_true(tp_item_of(tp_mmd_of_batch(x, y, k, 3)) == want);
        tp_var one = tp_mmd_of_batch(tp_slice(x, 0, 0, 1, 1), tp_slice(y, 0, 0, 1, 1), k, 3);
        assert_true(tp_item_of(one) == 0);
    }
    fixture_free(f);
    double se;
    const int64_t sizes[] = {1, 2, 10};
    for (int i = 0; i < 3; i++) {
        double push = mean_push(sizes[i], false, &se);
        assert_close(push, 0, 4 * se, 0);
    }
    /* the control: the biased estimate of one code presses all codes together */
    assert_true(mean_push(1, true, &se) > 8 * se);
}

/* --- objectives ------------------------------------------------------------------------------------------- */

static void test_objectives(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double logprob[] = {-1, -2, -6}, kls[] = {0.5, 1, 3};
    tp_var p = given(f, TP_SHAPE(3), logprob), kl = given(f, TP_SHAPE(3), kls);
    tp_var mmd = tp_mmd(drawn(f, TP_SHAPE(4, 2), 1), drawn(f, TP_SHAPE(5, 2), 2), (tp_mmd_opts){0});
    double m = tp_item_of(mmd);
    assert_close(tp_item_of(tp_wae(p, mmd, 10).total), 3 + 10 * m, 0, 1e-15);
    assert_close(tp_item_of(tp_info_elbo(p, kl, mmd, 0.25, 100).total), 3 + 0.75 * 1.5 + 99.25 * m,
                 0, 1e-14);
    /* the two ends of InfoVAE */
    assert_close(tp_item_of(tp_info_elbo(p, kl, mmd, 0, 1).total), 4.5, 0, 1e-15);
    assert_close(tp_item_of(tp_info_elbo(p, kl, mmd, 1, 7).total),
                 tp_item_of(tp_wae(p, mmd, 7).total), 0, 1e-15);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_normals),
        cmocka_unit_test(test_minibatches),
        cmocka_unit_test(test_objectives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
