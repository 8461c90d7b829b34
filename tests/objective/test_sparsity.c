/* test_sparsity.c: the penalties of sparse codes by numbers worked out by hand, where they saturate, and against formulas
 * that look alike. Read next: test_whole.c.
 */
#include "tests/objective/exact.h"

#include "autograd/sweep.h"
#include "nn/objective.h"

static double bernoulli_kl(double q, double p)
{
    return q * log(q / p) + (1 - q) * log((1 - q) / (1 - p));
}

/* σ of the logits is [[½, ⅘], [¾, ⅕]], its mean over the batch (⅝, ½). */
static const double LOGITS[] = {0, 1.38629436111989062, 1.09861228866810969, -1.38629436111989062};

/* KL(¼ ‖ ⅝) + KL(¼ ‖ ½) = ¼ log ⅖ + ¾ log 2 + ¼ log ½ + ¾ log 3/2. The controls: the other way round, the mean of KLs
 * instead of the KL of the mean, and the σ of the mean logit. */
static void test_kl_by_hand(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_var logits = tp_leaf(f->tape, fixture_tensor(f, TP_F64, TP_SHAPE(2, 2), LOGITS));
    tp_var kl = tp_sparsity_kl(logits, 0.25);
    double want = 0.25 * log(0.4) + 0.75 * log(2) + 0.25 * log(0.5) + 0.75 * log(1.5);
    assert_close(want, 0.42159973839255716, 0, 1e-15);
    assert_close(tp_item_of(kl), want, 0, 1e-14);
    double reverse = bernoulli_kl(0.625, 0.25) + bernoulli_kl(0.5, 0.25);
    double each = 0.5 * (bernoulli_kl(0.25, 0.5) + bernoulli_kl(0.25, 0.75) +
                         bernoulli_kl(0.25, 0.8) + bernoulli_kl(0.25, 0.2));
    double middle = bernoulli_kl(0.25, 1 / (1 + exp(-LOGITS[2] / 2))) + bernoulli_kl(0.25, 0.5);
    const double controls[] = {reverse, each, middle};
    for (int i = 0; i < 3; i++)
        assert_true(fabs(controls[i] - want) > 1e-3);
    /* ∂/∂a_ij = (ρ̂_j − ρ)/(ρ̂_j(1 − ρ̂_j)) · σ(a_ij)(1 − σ(a_ij))/2 */
    const double outer[] = {0.375 / (0.625 * 0.375), 0.25 / 0.25};
    const double grad[] = {outer[0] * 0.125, outer[1] * 0.08, outer[0] * 0.09375, outer[1] * 0.08};
    assert_ok(tp_backward(kl));
    assert_tensor_close(tp_leaf_grad(logits), grad, 4, 0, 1e-14);
    fixture_free(f);
}

/* Nothing to pay where the mean is ρ, however it comes about. */
static void test_kl_is_zero_at_rho(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double mixed[] = {-1.38629436111989062, 1.38629436111989062};
    assert_close(tp_item_of(tp_sparsity_kl(given(f, TP_SHAPE(2, 1), mixed), 0.5)), 0, 1e-16, 0);
    assert_close(tp_item_of(tp_sparsity_kl(given(f, TP_SHAPE(1, 1), mixed), 0.2)), 0, 1e-16, 0);
    fixture_free(f);
}

/* Where all are off or all on, the mean activation as a number is 0 or 1 and its KL infinite; by logits it is what it
 * should be, with a gradient that leads out: ρ̂ − ρ in all, half of it to each of two equal ones. */
static void test_saturated(void **state)
{
    (void)state;
    for (int dtype = TP_F32; dtype <= TP_F64; dtype++)
        for (int sign = -1; sign <= 1; sign += 2) {
            fixture *f = fixture_new();
            const double rho = 0.25, far[] = {sign * 1000.0, sign * 1000.0};
            const double away = sign < 0 ? rho : 1 - rho; /* KL = away·1000 − H(ρ) */
            tp_var a = tp_leaf(f->tape, fixture_tensor(f, (tp_dtype)dtype, TP_SHAPE(2, 1), far));
            tp_var kl = tp_sparsity_kl(a, rho);
            double want = away * 1000 + rho * log(rho) + (1 - rho) * log(1 - rho);
            assert_close(tp_item_of(kl), want, 0, dtype == TP_F32 ? 1e-6 : 1e-14);
            assert_ok(tp_backward(kl));
            const double grad[] = {sign * away / 2, sign * away / 2};
            assert_tensor_close(tp_leaf_grad(a), grad, 2, 0, dtype == TP_F32 ? 1e-6 : 1e-14);
            fixture_free(f);
        }
}

/* A sum over the code, a mean over the batch; the sum over both, and the mean over both, are the controls. */
static void test_l1(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double code[] = {1, -2, 0, 3, 0.5, -0.5}, grad[] = {0.5, -0.5, 0, 0.5, 0.5, -0.5};
    tp_var z = tp_leaf(f->tape, fixture_tensor(f, TP_F64, TP_SHAPE(2, 3), code));
    tp_var l1 = tp_sparsity_l1(z);
    assert_true(tp_item_of(l1) == 3.5);
    assert_ok(tp_backward(l1));
    assert_tensor_close(tp_leaf_grad(z), grad, 6, 0, 0);
    fixture_free(f);
}

static void test_objective(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double p[] = {-1, -4}, z[] = {0.5, 0.8, 0.75, 0.2};
    tp_var logprob = given(f, TP_SHAPE(2), p), code = given(f, TP_SHAPE(2, 2), z);
    tp_var logits = given(f, TP_SHAPE(2, 2), LOGITS);
    tp_sparse_opts opts = {.l1 = 2, .kl = 3, .rho = 0.25};
    tp_objective o = tp_sparse_reconstruction(logprob, code, logits, opts);
    assert_int_equal(o.terms, 3);
    assert_string_equal(o.term[0].name, "recon");
    assert_string_equal(o.term[1].name, "l1");
    assert_string_equal(o.term[2].name, "sparsity");
    assert_close(tp_item_of(o.term[1].value), 1.125, 0, 1e-15);
    assert_close(tp_item_of(o.total), 2.5 + 2 * 1.125 + 3 * 0.42159973839255716, 0, 1e-14);
    tp_objective l1 = tp_sparse_reconstruction(logprob, code, (tp_var){0}, opts);
    assert_int_equal(l1.terms, 2);
    assert_close(tp_item_of(l1.total), 2.5 + 2 * 1.125, 0, 1e-15);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kl_by_hand), cmocka_unit_test(test_kl_is_zero_at_rho),
        cmocka_unit_test(test_saturated),  cmocka_unit_test(test_l1),
        cmocka_unit_test(test_objective),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
