/* test_importance.c: the importance-weighted bounds against truth: ELBO <= L_K <= L_{K+1} <= log p(x).
 *
 * With four states the expectation over all tuples of K samples is a finite sum, so the order of the bounds is shown
 * without noise; on the linear-Gaussian model with error bars. Wrong formulas of well-known zoos are the controls.
 * Read next: test_dreg.c.
 */
#include "tests/objective/exact.h"

#include "autograd/sweep.h"
#include "nn/objective.h"

/* --- the bounds, exactly ---------------------------------------------------------------------------- */

/* Formulas for log w [K, n] -> [n] that call themselves the bound. */
typedef tp_var (*bound_fn)(tp_var log_w);

/* The self-normalised mean of log w: the gradient is the right one if the weights are detached, the number is not. */
static tp_var mean_of_log_weights(tp_var log_w)
{
    return tp_sum(tp_mul(tp_softmax(log_w, 0), log_w), TP_AXES(0), false);
}

static tp_var detached_mean_of_log_weights(tp_var log_w)
{
    return tp_sum(tp_mul(tp_detach(tp_softmax(log_w, 0)), log_w), TP_AXES(0), false);
}

/* The loss taken for the log-weight: the worst sample has most of the say. */
static tp_var worst_sample_first(tp_var log_w)
{
    return tp_sum(tp_mul(tp_softmax(tp_neg(log_w), 0), log_w), TP_AXES(0), false);
}

static tp_var without_log_k(tp_var log_w)
{
    return tp_logsumexp(log_w, TP_AXES(0), false);
}

static tp_var mean_of_log(tp_var log_w)
{
    return tp_mean(log_w, TP_AXES(0), false);
}

/* E[bound] over all k-tuples of states drawn from q, exactly. */
static double expected(const states *m, int k, bound_fn bound)
{
    fixture *f = fixture_new();
    static int pick[5 * TUPLES];
    static double probability[TUPLES], log_w[5 * TUPLES];
    int n = tuples(m, k, pick, probability);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < k; j++)
            log_w[j * n + i] = log_weight(m, pick[k * i + j]);
    tp_var y = bound(given(f, TP_SHAPE(k, n), log_w));
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += probability[i] * numbers(y)[i];
    fixture_free(f);
    return sum;
}

/* Whether L_1 is the ELBO, and L_1 < L_2 < … < L_5 < log p. */
static bool is_a_bound(const states *m, bound_fn bound)
{
    double evidence = states_evidence(m), last = evidence - states_kl_to_posterior(m);
    if (!(fabs(expected(m, 1, bound) - last) <= 1e-12))
        return false;
    for (int k = 2; k <= 5; k++) {
        double next = expected(m, k, bound);
        if (!(next > last && next < evidence))
            return false;
        last = next;
    }
    return true;
}

static void test_order(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bound_fn bound;
    } wrong[] = {{"Σ w̃ log w", mean_of_log_weights},
                 {"Σ w̃ log w, weights detached", detached_mean_of_log_weights},
                 {"weights from the loss", worst_sample_first},
                 {"log Σ w", without_log_k},
                 {"mean of log w", mean_of_log}};
    for (int i = 0; i < MODELS; i++) {
        states m = enumerable(i);
        assert_true(is_a_bound(&m, tp_importance_logprob));
    }
    /* Where the gap is large, five samples may not be enough for Σ w̃ log w to rise beyond log p. */
    for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
        int refuted = 0;
        for (int i = 0; i < MODELS; i++) {
            states m = enumerable(i);
            refuted += !is_a_bound(&m, wrong[w].bound);
        }
        print_message("%s: refuted on %d of %d models\n", wrong[w].name, refuted, MODELS);
        assert_true(refuted >= MODELS / 2);
    }
}

/* --- M bounds of K samples -------------------------------------------------------------------------- */

static tp_var miwae(tp_var log_w)
{
    return tp_neg(tp_miwae(log_w).total);
}

/* Normalised over the first axis instead: hidden wherever M = K. */
static tp_var over_m(tp_var log_w)
{
    double m = (double)tp_shape_of(log_w).dim[0];
    return tp_mean(tp_shift(tp_logsumexp(log_w, TP_AXES(0), false), -log(m)), TP_ALL_AXES, false);
}

static tp_var over_both(tp_var log_w)
{
    double n = (double)(tp_shape_of(log_w).dim[0] * tp_shape_of(log_w).dim[1]);
    return tp_mean(tp_shift(tp_logsumexp(log_w, TP_AXES(0, 1), false), -log(n)), TP_ALL_AXES,
                   false);
}

/* E over all tuples of m·k states, each a batch of one. */
static double expected_miwae(const states *s, int m, int k, tp_var (*bound)(tp_var))
{
    static int pick[4 * TUPLES];
    static double probability[TUPLES];
    double sum = 0;
    int n = tuples(s, m * k, pick, probability);
    fixture *f = fixture_new();
    tp_tensor *log_w = fixture_tensor(f, TP_F64, TP_SHAPE(m, k, 1), (double[4]){0});
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < m * k; j++)
            assert_ok(tp_set_flat(log_w, j, log_weight(s, pick[m * k * i + j])));
        tp_tape_reset(f->tape);
        sum += probability[i] * tp_item_of(bound(tp_constant(f->tape, log_w)));
    }
    fixture_free(f);
    return sum;
}

/* The expectation is that of IWAE with K samples, whatever M is. */
static void test_miwae(void **state)
{
    (void)state;
    for (int i = 0; i < MODELS; i += SANITIZED ? 4 : 1) {
        states s = enumerable(i);
        double one = expected(&s, 1, tp_importance_logprob);
        double two = expected(&s, 2, tp_importance_logprob);
        double three = expected(&s, 3, tp_importance_logprob);
        assert_close(expected_miwae(&s, 1, 3, miwae), three, 0, 1e-12);
        assert_close(expected_miwae(&s, 3, 1, miwae), one, 0, 1e-12);
        assert_close(expected_miwae(&s, 1, 2, miwae), two, 0, 1e-12);
        assert_close(expected_miwae(&s, 2, 2, miwae), two, 0, 1e-12);
        assert_true(fabs(expected_miwae(&s, 1, 3, over_m) - three) > 1e-3);
        assert_true(fabs(expected_miwae(&s, 3, 1, over_m) - one) > 1e-3);
        assert_close(expected_miwae(&s, 2, 2, over_m), two, 0, 1e-12); /* where it hides */
        assert_true(fabs(expected_miwae(&s, 2, 2, over_both) - two) > 1e-3);
    }
}

/* By hand: weights 1, 3 | 2, 6 | 5, 5 for M = 3 and K = 2, and twice these for a second example. */
static void test_miwae_by_hand(void **state)
{
    (void)state;
    const double w[] = {1, 2, 3, 6, 2, 4, 6, 12, 5, 10, 5, 10};
    double log_w[12];
    for (int i = 0; i < 12; i++)
        log_w[i] = log(w[i]);
    fixture *f = fixture_new();
    tp_objective o = tp_miwae(given(f, TP_SHAPE(3, 2, 2), log_w));
    double want = (log(2) + log(4) + log(5)) / 3 + log(2) / 2;
    assert_close(tp_item_of(o.total), -want, 0, 1e-15);
    assert_int_equal(o.terms, 1);
    assert_string_equal(o.term[0].name, "miwae");
    fixture_free(f);
}

/* --- gradients -------------------------------------------------------------------------------------- */

/* Differentiating gives −w̃/batch, normalised over K and over nothing else. */
static void test_gradients(void **state)
{
    (void)state;
    enum { M = 3, K = 4, N = 2 };
    fixture *f = fixture_new();
    tp_tensor *values = fixture_draw(f, TP_F64, TP_SHAPE(M, K, N), 5, 3, -500);
    tp_var log_w = tp_leaf(f->tape, values), second = tp_slice(log_w, 0, 1, 2, 1);
    tp_objective iwae = tp_iwae(tp_reshape(second, TP_SHAPE(K, N)));
    const double *v = tp_data(values);
    for (int which = 0; which < 2; which++) {
        tp_var loss = which ? tp_miwae(log_w).total : iwae.total, grad;
        assert_ok(tp_grad(1, &loss, 1, &log_w, &grad, (tp_grad_opts){0}));
        for (int i = 0; i < M * K * N; i++) {
            int m = i / (K * N), n = i % N;
            double sum = 0;
            for (int k = 0; k < K; k++)
                sum += exp(v[(m * K + k) * N + n] - v[i]);
            double want = which ? -1 / sum / (M * N) : m == 1 ? -1 / sum / N : 0;
            assert_close(numbers(grad)[i], want, 0, 1e-13);
        }
    }
    /* A mean of log w with weights that are not detached has the gradient of another function. */
    tp_var grad[2], flat = tp_reshape(second, TP_SHAPE(K, N));
    tp_var wrong[] = {tp_sum(mean_of_log_weights(flat), TP_ALL_AXES, false),
                      tp_sum(detached_mean_of_log_weights(flat), TP_ALL_AXES, false)};
    for (int i = 0; i < 2; i++)
        assert_ok(tp_grad(1, &wrong[i], 1, &flat, &grad[i], (tp_grad_opts){0}));
    tp_var right;
    assert_ok(tp_grad(1, &iwae.total, 1, &second, &right, (tp_grad_opts){0}));
    double off[2] = {0, 0};
    for (int i = 0; i < K * N; i++)
        for (int j = 0; j < 2; j++)
            off[j] = fmax(off[j], fabs(numbers(grad[j])[i] + N * numbers(right)[i]));
    assert_true(off[0] > 0.01 && off[1] < 1e-12);
    fixture_free(f);
}

/* --- with error bars -------------------------------------------------------------------------------- */

static const double X[NX] = {0.8, -0.5, 1.1};

/* log w [K, n] of samples of a normal that is not the posterior. */
static tp_var linear_log_weights(fixture *f, int64_t k, int64_t n, uint64_t seed)
{
    const double m[NZ] = {0.4, -0.3}, v[NZ] = {-1, -0.6};
    tp_shape each = TP_SHAPE(k, n, NZ);
    tp_var mu = tp_expand(given(f, TP_SHAPE(NZ), m), each);
    tp_var logvar = tp_expand(given(f, TP_SHAPE(NZ), v), each);
    tp_var eps = tp_noise_normal(f->tape, TP_F64, each, (tp_rng_key){.seed = seed});
    tp_var z = tp_reparameterize(mu, logvar, eps);
    return tp_log_weight(linear_logprob(f, z, X, given(f, TP_SHAPE(NX), B)), standard_logprob(f, z),
                         log_normal(z, mu, logvar));
}

/* Each bound is above the one before by more than four standard errors of the difference, made of the same samples,
 * and below the evidence by as much. */
static void test_order_with_error_bars(void **state)
{
    (void)state;
    enum { N = 6000, TOP = 32 };
    fixture *f = fixture_new();
    tp_var log_w = linear_log_weights(f, TOP, N, 21), last = {0};
    double se;
    for (int64_t k = 1; k <= TOP; k *= 2) {
        tp_var bound = tp_importance_logprob(tp_slice(log_w, 0, 0, k, 1)); /* [N] */
        if (k > 1) {
            double rise = mean_of(numbers(tp_sub(bound, last)), N, 1, &se);
            assert_true(rise > 4 * se);
        }
        double mean = mean_of(numbers(bound), N, 1, &se);
        assert_close(-tp_item_of(tp_iwae(tp_slice(log_w, 0, 0, k, 1)).total), mean, 0, 1e-12);
        assert_true(mean < linear_evidence(X) - 4 * se);
        last = bound;
    }
    fixture_free(f);
}

/* The estimate of log p(x) comes to the truth as 1/√K, and a chunked one is the same number. */
static void test_nll_converges(void **state)
{
    (void)state;
    enum { RUNS = 24 };
    double truth = linear_evidence(X), before = INFINITY;
    for (int64_t k = 10; k <= 10000; k *= 10) {
        fixture *f = fixture_new();
        tp_var log_w = linear_log_weights(f, k, RUNS, 22); /* [K, RUNS] */
        tp_var logprob = tp_importance_logprob(log_w);
        double se, squares = 0, mean = mean_of(numbers(logprob), RUNS, 1, &se);
        for (int i = 0; i < RUNS; i++)
            squares += pow(numbers(logprob)[i] - truth, 2) / RUNS;
        assert_true(sqrt(squares) < before / 2); /* 3.2 in the limit */
        before = sqrt(squares);
        if (k >= 1000)
            assert_close(mean, truth, 4 * se, 0);
        tp_var chunk[2];
        for (int i = 0; i < 2; i++)
            chunk[i] = tp_importance_logprob(tp_slice(log_w, 0, i * k / 2, (i + 1) * k / 2, 1));
        tp_var again = tp_importance_logprob(tp_stack(chunk, 2, 0));
        for (int i = 0; i < RUNS; i++)
            assert_close(numbers(again)[i], numbers(logprob)[i], 0, 1e-13);
        fixture_free(f);
    }
    assert_true(before < 0.03);
}

/* All samples that were asked for are used, and the sign is that of log p. Seen elsewhere: as many samples as the batch has
 * examples; −log p returned as log p. */
static void test_nll_by_hand(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double log_w[] = {log(1), log(2), log(2), log(2), log(9), log(5)};
    tp_var y = tp_importance_logprob(given(f, TP_SHAPE(3, 2), log_w));
    assert_close(numbers(y)[0], log(4), 0, 1e-15);
    assert_close(numbers(y)[1], log(3), 0, 1e-15);
    tp_var two = tp_importance_logprob(given(f, TP_SHAPE(2, 2), log_w)); /* batch-size samples */
    assert_true(fabs(numbers(two)[0] - log(4)) > 0.1);
    assert_close(tp_item_of(tp_iwae(given(f, TP_SHAPE(3, 2), log_w)).total), -log(12) / 2, 0,
                 1e-15);
    /* One sample is its own estimate; a sample that cannot have made x weighs nothing; huge weights stay finite. */
    const double one[] = {-3, 5}, mixed[] = {-INFINITY, 1000, 0, 1000, -INFINITY, -INFINITY};
    assert_tensor_close(tp_value(tp_importance_logprob(given(f, TP_SHAPE(1, 2), one))), one, 2, 0,
                        1e-15);
    y = tp_importance_logprob(given(f, TP_SHAPE(3, 2), mixed));
    assert_close(numbers(y)[0], -log(3), 0, 1e-15);
    assert_close(numbers(y)[1], 1000 + log(2.0 / 3), 0, 1e-15);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_miwae),
        cmocka_unit_test(test_miwae_by_hand),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_order_with_error_bars),
        cmocka_unit_test(test_nll_converges),
        cmocka_unit_test(test_nll_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
