/* test_estimators.c: score-function and pathwise gradients of an expectation, side by side, against the exact one.
 *
 * With few states the mean of the score-function estimate is a finite sum, so that it is unbiased can be shown to the
 * last digits, and that common variants are not. For a normal both estimators are compared within four standard errors,
 * and their variances are printed. Read next: test_mmd.c.
 */
#include "tests/objective/exact.h"

#include "autograd/sweep.h"
#include "nn/objective.h"

/* --- exactly: q = softmax(φ) over the states, f a table ------------------------------------------------ */

static const double PHI[STATES] = {0.3, -0.8, 0.5, 0.1}, F[STATES] = {2, -1, 0.5, 4};

typedef tp_var (*baseline_fn)(tp_var f);

static tp_var none(tp_var f)
{
    (void)f;
    return (tp_var){0};
}

static tp_var constant(tp_var f)
{
    return tp_full(f.tape, TP_F64, tp_shape_of(f), 1.7);
}

/* Wrong: z is part of its own baseline. */
static tp_var mean_of_all(tp_var f)
{
    return tp_expand(tp_mean(f, TP_AXES(0), true), tp_shape_of(f));
}

/* The mean over all k-tuples of the estimate's gradient by the logits, and by the table f. */
static void expected_gradient(int k, baseline_fn baseline, double by_phi[STATES],
                              double by_f[STATES])
{
    static int pick[4 * TUPLES];
    static double probability[TUPLES], weight[4 * TUPLES];
    fixture *f = fixture_new();
    states m = {.q = {PHI[0], PHI[1], PHI[2], PHI[3]}};
    normalise(m.q);
    int n = tuples(&m, k, pick, probability);
    tp_tensor *index = &f->tensor[f->n++];
    assert_ok(tp_tensor_new(index, TP_I64, TP_SHAPE(k * n)));
    for (int i = 0; i < n; i++)
        for (int j = 0; j < k; j++) {
            ((int64_t *)tp_data_mut(index))[j * n + i] = pick[k * i + j];
            weight[j * n + i] = probability[i] / k;
        }
    tp_shape tuple = TP_SHAPE(k, n);
    tp_var phi = tp_leaf(f->tape, fixture_tensor(f, TP_F64, TP_SHAPE(STATES), PHI));
    tp_var table = tp_leaf(f->tape, fixture_tensor(f, TP_F64, TP_SHAPE(STATES), F));
    tp_var at = tp_constant(f->tape, index);
    tp_var value = tp_reshape(tp_index_select(table, at, 0), tuple);
    tp_var log_q = tp_reshape(tp_index_select(tp_log_softmax(phi, 0), at, 0), tuple);
    tp_var y = tp_score_function(value, log_q, baseline(value)); /* [k, n] */
    assert_true(same_values(tp_value(y), tp_value(value)));
    assert_ok(tp_backward(tp_sum(tp_mul(y, given(f, tuple, weight)), TP_ALL_AXES, false)));
    for (int s = 0; s < STATES; s++) {
        by_phi[s] = tp_flat(tp_leaf_grad(phi), s);
        by_f[s] = tp_flat(tp_leaf_grad(table), s);
    }
    fixture_free(f);
}

/* d/dφ_s Σ q f = q_s (f_s − E f), and d/df_s = q_s */
static void test_unbiased(void **state)
{
    (void)state;
    double q[STATES] = {PHI[0], PHI[1], PHI[2], PHI[3]}, mean = 0, by_phi[STATES], by_f[STATES];
    const struct {
        int k;
        baseline_fn baseline;
        double shrinks; /* to this part of the truth */
    } rows[] = {{1, none, 1},
                {1, constant, 1},
                {3, none, 1},
                {2, tp_leave_one_out, 1},
                {3, tp_leave_one_out, 1},
                {2, mean_of_all, 0.5},
                {3, mean_of_all, 2.0 / 3}};
    normalise(q);
    for (int s = 0; s < STATES; s++)
        mean += exp(q[s]) * F[s];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expected_gradient(rows[i].k, rows[i].baseline, by_phi, by_f);
        for (int s = 0; s < STATES; s++) {
            assert_close(by_phi[s], rows[i].shrinks * exp(q[s]) * (F[s] - mean), 1e-14, 0);
            assert_close(by_f[s], exp(q[s]), 1e-14, 0);
        }
    }
}

/* The ELBO of a discrete latent variable, by the score alone: over all tuples the estimate has the mean q_s (log w_s −
 * ELBO), the gradient by the logits; with −log q in the function detached or not. */
static void test_elbo(void **state)
{
    (void)state;
    static int pick[3 * TUPLES];
    static double probability[TUPLES], weight[3 * TUPLES];
    for (int which = 0; which < 2 * MODELS; which++) {
        fixture *f = fixture_new();
        states m = enumerable(which / 2);
        double bound = states_evidence(&m) - states_kl_to_posterior(&m);
        int k = 3, n = tuples(&m, k, pick, probability);
        tp_shape tuple = TP_SHAPE(k, n), list = TP_SHAPE(STATES);
        tp_tensor *index = &f->tensor[f->n++];
        assert_ok(tp_tensor_new(index, TP_I64, TP_SHAPE(k * n)));
        for (int i = 0; i < k * n; i++) {
            ((int64_t *)tp_data_mut(index))[i] = pick[i % n * k + i / n];
            weight[i] = probability[i % n] / k;
        }
        tp_var phi = tp_leaf(f->tape, fixture_tensor(f, TP_F64, list, m.q));
        tp_var at = tp_constant(f->tape, index), drawn_at[3];
        tp_var density[] = {given(f, list, m.logprob), given(f, list, m.prior),
                            tp_log_softmax(phi, 0)};
        for (int i = 0; i < 3; i++)
            drawn_at[i] = tp_reshape(tp_index_select(density[i], at, 0), tuple);
        tp_var log_q = which % 2 ? tp_detach(drawn_at[2]) : drawn_at[2];
        tp_var log_w = tp_log_weight(drawn_at[0], drawn_at[1], log_q);
        tp_var y = tp_score_function(log_w, drawn_at[2], tp_leave_one_out(log_w));
        tp_var total = tp_sum(tp_mul(y, given(f, tuple, weight)), TP_ALL_AXES, false);
        assert_close(tp_item_of(total), bound, 1e-13, 0);
        assert_ok(tp_backward(total));
        for (int s = 0; s < STATES; s++)
            assert_close(tp_flat(tp_leaf_grad(phi), s), exp(m.q[s]) * (log_weight(&m, s) - bound),
                         1e-13, 0);
        fixture_free(f);
    }
}

static void test_leave_one_out(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double x[] = {1, 10, 2, 20, 6, 60}, want[] = {4, 40, 3.5, 35, 1.5, 15};
    tp_var leaf = tp_leaf(f->tape, fixture_tensor(f, TP_F64, TP_SHAPE(3, 2), x));
    tp_var b = tp_leave_one_out(leaf);
    assert_tensor_close(tp_value(b), want, 6, 0, 1e-15);
    assert_false(tp_needs_grad(b));
    fixture_free(f);
}

/* --- side by side: q = N(m, e^v), f(z) = (z − a)², so E f = (m − a)² + e^v ------------------------------ */

enum { K = 4, N = 20000 };

static const double M = 0.7, V = -0.4, A = -0.5;

typedef enum kind { PATHWISE, SCORE, SCORE_CONSTANT, SCORE_OTHERS, NOT_DETACHED } kind;

static const char *const kind_name[] = {"pathwise", "score function", "with a constant baseline",
                                        "with the others as baseline", "z not detached"};

/* Gradients by m and v, one of each per example; each is the mean over K samples. */
static void draw_gradients(kind which, double by_m[N], double by_v[N])
{
    fixture *f = fixture_new();
    tp_var m = tp_leaf(f->tape, fixture_draw(f, TP_F64, TP_SHAPE(N), 1, 0, M));
    tp_var v = tp_leaf(f->tape, fixture_draw(f, TP_F64, TP_SHAPE(N), 1, 0, V));
    tp_shape each = TP_SHAPE(K, N);
    tp_var mu = tp_expand(m, each), logvar = tp_expand(v, each);
    tp_var z = tp_reparameterize(mu, logvar,
                                 tp_noise_normal(f->tape, TP_F64, each, (tp_rng_key){.seed = 41}));
    if (which != PATHWISE && which != NOT_DETACHED)
        z = tp_detach(z);
    tp_var y = tp_square(tp_shift(z, -A)); /* [K, N] */
    if (which != PATHWISE) {
        tp_var one = tp_unsqueeze(z, -1);
        tp_var log_q = log_normal(one, tp_unsqueeze(mu, -1), tp_unsqueeze(logvar, -1));
        tp_var b = {0};
        if (which == SCORE_CONSTANT)
            b = tp_full(f->tape, TP_F64, each, (M - A) * (M - A) + exp(V));
        if (which == SCORE_OTHERS)
            b = tp_leave_one_out(y);
        y = tp_score_function(y, log_q, b);
    }
    assert_ok(tp_backward(tp_sum(tp_sample_mean(y), TP_ALL_AXES, false)));
    for (int i = 0; i < N; i++) {
        by_m[i] = tp_flat(tp_leaf_grad(m), i);
        by_v[i] = tp_flat(tp_leaf_grad(v), i);
    }
    fixture_free(f);
}

static void test_side_by_side(void **state)
{
    (void)state;
    static double by_m[N], by_v[N];
    double variance[NOT_DETACHED + 1], se_m, se_v;
    for (int i = PATHWISE; i <= NOT_DETACHED; i++) {
        draw_gradients((kind)i, by_m, by_v);
        double m = mean_of(by_m, N, 1, &se_m), v = mean_of(by_v, N, 1, &se_v);
        variance[i] = (se_m * se_m + se_v * se_v) * N;
        print_message("%-28s mean %7.4f %7.4f (truth %.4f %.4f), variance %8.3f\n", kind_name[i], m,
                      v, 2 * (M - A), exp(V), variance[i]);
        bool right = fabs(m - 2 * (M - A)) <= 4 * se_m && fabs(v - exp(V)) <= 4 * se_v;
        assert_true(right == (i != NOT_DETACHED));
    }
    assert_true(variance[PATHWISE] < variance[SCORE_CONSTANT] / 2);
    assert_true(variance[SCORE_CONSTANT] < variance[SCORE]);
    assert_true(variance[SCORE_OTHERS] < variance[SCORE]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unbiased),
        cmocka_unit_test(test_elbo),
        cmocka_unit_test(test_leave_one_out),
        cmocka_unit_test(test_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
