/* test_truth.c: what uses.c makes of a posterior, a prior and a decoder, on models whose log p(x) is known.
 *
 * log p = ELBO + KL(q ‖ p(z|x)), the order of the bounds, and the likelihood of data from samples of the posterior: of as
 * many as were asked for. Where a model has few states, expectations are sums; the linear-Gaussian one has log-weights
 * that are quadratic in the noise, so a few draws say them all. Wrong formulas of well-known zoos are the controls.
 * Read next: exact_types.h, test_uses.c.
 */
#include "tests/models/exact_types.h"

#include <string.h>

/* Data of a model, one of its inputs in each row. */
enum { POINTS = 10 };

typedef struct truth {
    const tp_model_type *type;
    int64_t width;
    double x[POINTS * NX];
} truth;

static truth linear_truth(const tp_model_type *type)
{
    truth t = {.type = type, .width = NX};
    for (int i = 0; i < POINTS * NX; i++)
        t.x[i] = sin(1 + 1.7 * i) * 1.2;
    return t;
}

static truth discrete_truth(void)
{
    truth t = {.type = &discrete_type, .width = 1};
    for (int i = 0; i < POINTS; i++)
        t.x[i] = i % SYMBOLS / 2.0;
    return t;
}

static truth mixture_truth(void)
{
    truth t = {.type = &mixture_type, .width = 2};
    for (int i = 0; i < POINTS * 2; i++)
        t.x[i] = 1.5 * sin(1 + 1.7 * i);
    return t;
}

/* The states of input i, of one that has some. */
static states states_of(const truth *t, int i)
{
    const double *x = t->x + i * t->width;
    return t->width == 1 ? discrete_model((int)(2 * x[0])) : mixture_model(x[0], x[1]);
}

static double evidence(const truth *t, int i)
{
    states s;
    if (t->width == NX)
        return linear_evidence(t->x + i * NX);
    s = states_of(t, i);
    return states_evidence(&s);
}

/* Input i, as often as needed: f64 [copies, width] */
static tp_var enter(fixture *f, const truth *t, int i, int64_t copies)
{
    tp_var x = given(f, TP_SHAPE(1, t->width), t->x + i * t->width);
    return tp_expand(x, TP_SHAPE(copies, t->width));
}

/* --- log p(x) = ELBO + KL ------------------------------------------------------------------------------ */

/* The log-weight of each state, out of many draws: which state a draw hit is known from the same draws of q alone. */
static void weights_by_state(const truth *t, int i, double log_w[STATES])
{
    enum { DRAWS = 200 };
    fixture *f = fixture_new();
    tp_model m;
    bool seen[STATES] = {false};
    exact_model(&m, t->type);
    tp_ctx c = tp_ctx_eval(f->tape, 1, 0), again = c;
    tp_var x = enter(f, t, i, 1);
    const double *w = numbers(tp_model_log_weight(&m, &c, x, DRAWS)); /* [DRAWS, 1] */
    tp_var z = tp_dist_sample_n(tp_model_posterior(&m, &again, x), &again, DRAWS);
    for (int k = 0; k < DRAWS; k++) {
        int s = (int)tp_flat(tp_value(z), k);
        assert_true(!seen[s] || log_w[s] == w[k]);
        log_w[s] = w[k];
        seen[s] = true;
    }
    for (int s = 0; s < STATES; s++)
        assert_true(seen[s]);
    tp_model_free(&m);
    fixture_free(f);
}

static void test_states(void **state)
{
    (void)state;
    truth both[] = {discrete_truth(), mixture_truth()};
    for (int b = 0; b < 2; b++)
        for (int i = 0; i < POINTS; i++) {
            states s = states_of(&both[b], i);
            double log_w[STATES], elbo = 0, p = 0;
            weights_by_state(&both[b], i, log_w);
            for (int k = 0; k < STATES; k++) {
                elbo += exp(s.q[k]) * log_w[k];
                p += exp(s.q[k] + log_w[k]);
            }
            double log_p = evidence(&both[b], i);
            assert_close(elbo + states_kl_to_posterior(&s), log_p, 1e-10, 0);
            assert_close(log(p), log_p, 1e-10, 0);
            assert_true(elbo < log_p - 1e-3);
        }
}

/* Solves a·c = y for n unknowns, by elimination with pivots; a and y are overwritten. */
static void solve(int n, double *a, double *y)
{
    for (int j = 0; j < n; j++) {
        int p = j;
        for (int i = j; i < n; i++)
            if (fabs(a[i * n + j]) > fabs(a[p * n + j]))
                p = i;
        for (int k = 0; k < n; k++) {
            double swap = a[j * n + k];
            a[j * n + k] = a[p * n + k], a[p * n + k] = swap;
        }
        double swap = y[j];
        y[j] = y[p], y[p] = swap;
        for (int i = 0; i < n; i++) {
            double by = a[i * n + j] / a[j * n + j];
            for (int k = j; k < n && i != j; k++)
                a[i * n + k] -= by * a[j * n + k];
            y[i] -= i != j ? by * y[j] : 0;
        }
    }
    for (int j = 0; j < n; j++)
        y[j] /= a[j * n + j];
}

/* 1, e₀, e₁, e₀², e₁², e₀e₁: of a quadratic function of standard normal noise, c₀ + c₃ + c₄ is the mean. */
enum { TERMS = 6 };

static void quadratic(const double *e, double *out)
{
    const double terms[TERMS] = {1, e[0], e[1], e[0] * e[0], e[1] * e[1], e[0] * e[1]};
    memcpy(out, terms, sizeof terms);
}

/* E[log w] over z = μ + σ^power·ε; of power 1 the ELBO. */
static double linear_elbo(const truth *t, int i, double power)
{
    enum { DRAWS = TERMS + 20 };
    fixture *f = fixture_new();
    tp_model m;
    exact_model(&m, t->type);
    tp_ctx c = tp_ctx_eval(f->tape, 1, 0), again = c;
    tp_var x = enter(f, t, i, 1);
    const double *w = numbers(tp_model_log_weight(&m, &c, x, DRAWS)); /* [DRAWS, 1] */
    tp_dist q = tp_model_posterior(&m, &again, x);
    const double *z = numbers(tp_dist_rsample_n(q, &again, DRAWS)), *mu = numbers(q.param[0]);
    double noise[DRAWS][NZ], a[TERMS * TERMS], fit[TERMS];
    for (int k = 0; k < DRAWS; k++)
        for (int j = 0; j < NZ; j++)
            noise[k][j] = (z[k * NZ + j] - mu[j]) / pow(SIGMA[j], power);
    for (int k = 0; k < TERMS; k++) {
        quadratic(noise[k], a + k * TERMS);
        fit[k] = w[k];
    }
    solve(TERMS, a, fit);
    for (int k = TERMS; k < DRAWS; k++) {
        double terms[TERMS], sum = 0;
        quadratic(noise[k], terms);
        for (int j = 0; j < TERMS; j++)
            sum += fit[j] * terms[j];
        assert_close(w[k], sum, 1e-10, 0);
    }
    tp_model_free(&m);
    fixture_free(f);
    return fit[0] + fit[3] + fit[4];
}

static void test_linear(void **state)
{
    (void)state;
    truth t = linear_truth(&linear_wrong);
    for (int i = 0; i < POINTS; i++) {
        const double *x = t.x + i * NX, c[] = {SIGMA[0], 0, 0, SIGMA[1]};
        double mean[NZ];
        for (int k = 0; k < NZ; k++) {
            mean[k] = SHIFT[k];
            for (int j = 0; j < NX; j++)
                mean[k] += GAIN[k * NX + j] * x[j];
        }
        double kl = linear_kl_to_posterior(x, mean, c);
        assert_true(kl > 0.01);
        assert_close(linear_elbo(&t, i, 1) + kl, evidence(&t, i), 1e-10, 0);
        /* Control: over draws spread by σ², as of a sampler that takes e^logvar for σ, the mean is another. */
        assert_true(fabs(linear_elbo(&t, i, 2) + kl - evidence(&t, i)) > 1e-3);
    }
}

/* --- the order of the bounds -------------------------------------------------------------------------- */

/* Bounds of log w [K, n] -> [n]: the library's, and what others take for it. */
typedef tp_var (*bound_fn)(tp_var log_w);

static tp_var self_normalised(tp_var log_w)
{
    return tp_sum(tp_mul(tp_detach(tp_softmax(log_w, 0)), log_w), TP_AXES(0), false);
}

static tp_var worst_first(tp_var log_w)
{
    return tp_sum(tp_mul(tp_softmax(tp_neg(log_w), 0), log_w), TP_AXES(0), false);
}

/* E[bound] over all tuples of k states, with the log-weights that the library gave. */
static double expected(const states *s, const double *by_state, int k, bound_fn bound)
{
    static int pick[5 * TUPLES];
    static double probability[TUPLES], log_w[5 * TUPLES];
    fixture *f = fixture_new();
    int n = tuples(s, k, pick, probability);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < k; j++)
            log_w[j * n + i] = by_state[pick[k * i + j]];
    const double *y = numbers(bound(given(f, TP_SHAPE(k, n), log_w)));
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += probability[i] * y[i];
    fixture_free(f);
    return sum;
}

/* ELBO = L_1 < L_2 < … < L_5 < log p */
static bool in_order(const truth *t, int i, bound_fn bound)
{
    states s = states_of(t, i);
    double by_state[STATES], log_p = states_evidence(&s), last = log_p - states_kl_to_posterior(&s);
    weights_by_state(t, i, by_state);
    if (!(fabs(expected(&s, by_state, 1, bound) - last) <= 1e-12))
        return false;
    for (int k = 2; k <= 5; k++) {
        double next = expected(&s, by_state, k, bound);
        if (!(next > last && next < log_p))
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
    } wrong[] = {{"Σ w̃ log w", self_normalised}, {"weights from the loss", worst_first}};
    truth both[] = {discrete_truth(), mixture_truth()};
    enum { SOME = SYMBOLS }; /* all that the discrete one has */
    int refuted[2] = {0};
    for (int b = 0; b < 2; b++)
        for (int i = 0; i < SOME; i++) {
            assert_true(in_order(&both[b], i, tp_importance_logprob));
            for (int w = 0; w < 2; w++)
                refuted[w] += !in_order(&both[b], i, wrong[w].bound);
        }
    for (int w = 0; w < 2; w++) {
        print_message("%s: refuted on %d of %d\n", wrong[w].name, refuted[w], 2 * SOME);
        assert_true(refuted[w] >= SOME);
    }
}

/* −loss over n independent examples, and its standard error from that of ten parts of them. */
enum { PARTS = 10, COPIES = SANITIZED ? 500 : 4000 };

typedef tp_objective (*loss_fn)(tp_var log_w);

static double estimate(const truth *t, int64_t m, int64_t k, loss_fn loss, double *se)
{
    double part[PARTS];
    tp_model model;
    exact_model(&model, t->type);
    for (int p = 0; p < PARTS; p++) {
        fixture *f = fixture_new();
        tp_ctx c = tp_ctx_eval(f->tape, 7, (uint64_t)(1000 * m + 100 * k + p));
        tp_var w = tp_type_log_weight(t->type, model.self, &c, enter(f, t, 0, COPIES), m * k);
        if (loss == tp_miwae)
            w = tp_reshape(w, TP_SHAPE(m, k, COPIES));
        part[p] = -tp_item_of(loss(w).total);
        assert_ok(tp_tape_status(f->tape));
        fixture_free(f);
    }
    double mean = mean_of(part, PARTS, 1, se);
    *se *= sqrt(PARTS / (PARTS - 1.0));
    tp_model_free(&model);
    return mean;
}

/* Control: the weights compared with those of other examples instead of other samples. */
static tp_objective over_the_batch(tp_var log_w)
{
    return tp_iwae(tp_permute(log_w, TP_AXES(1, 0)));
}

static void test_order_linear(void **state)
{
    (void)state;
    truth t = linear_truth(&linear_wrong);
    double last = linear_elbo(&t, 0, 1), last_se = 0, log_p = evidence(&t, 0);
    double se, first = estimate(&t, 1, 1, tp_iwae, &se);
    assert_close(first, last, 4 * se, 0);
    for (int k = 2; k <= 8; k *= 2) {
        double next = estimate(&t, 1, k, tp_iwae, &se);
        print_message("L_%d = %.4f ± %.4f, log p = %.4f\n", k, next, se, log_p);
        assert_true(next - last > 4 * hypot(se, last_se));
        assert_true(log_p - next > 4 * se);
        last = next, last_se = se;
    }
    assert_true(estimate(&t, 1, 1, over_the_batch, &se) - first > 0.1);
}

/* [M, K] taken for [K, M] */
static tp_objective miwae_swapped(tp_var log_w)
{
    tp_shape s = tp_shape_of(log_w);
    tp_var w = tp_reshape(log_w, TP_SHAPE(2, s.dim[0] / 2, s.dim[1]));
    return tp_miwae(tp_permute(w, TP_AXES(1, 0, 2)));
}

/* 2 bounds of 8 samples are worth what one of 8 is, not what 8 bounds of 2 are. */
static void test_miwae(void **state)
{
    (void)state;
    truth t = linear_truth(&linear_wrong);
    double se, se_m, se_swapped;
    double eight = estimate(&t, 1, 8, tp_iwae, &se), got = estimate(&t, 2, 8, tp_miwae, &se_m);
    double swapped = estimate(&t, 2, 8, miwae_swapped, &se_swapped);
    assert_close(got, eight, 4 * hypot(se, se_m), 0);
    assert_true(eight - swapped > 8 * hypot(se, se_swapped));
}

/* --- the likelihood of data ---------------------------------------------------------------------------- */

static double nll(const tp_model *m, const truth *t, int64_t batch, uint64_t seed, int64_t samples)
{
    tp_dataset d = {0};
    tp_batches b;
    tp_tape *tape;
    double out;
    assert_ok(tp_tensor_new(&d.x, TP_F64, TP_SHAPE(POINTS, t->width)));
    for (int64_t i = 0; i < POINTS * t->width; i++)
        assert_ok(tp_set_flat(&d.x, i, t->x[i]));
    assert_ok(tp_batches_init(&b, &d, batch, TP_F64));
    assert_ok(tp_tape_new(&tape));
    assert_ok(tp_model_nll(m, tape, &b, seed, samples, &out));
    tp_tape_free(tape);
    tp_batches_free(&b);
    tp_dataset_free(&d);
    return out;
}

static double true_nll(const truth *t)
{
    double sum = 0;
    for (int i = 0; i < POINTS; i++)
        sum -= evidence(t, i) / POINTS;
    return sum;
}

/* From too few samples it is too large in the mean; from many it is the truth. */
static void test_nll_converges(void **state)
{
    (void)state;
    enum { SEEDS = 16, MANY = SANITIZED ? 1003 : 4003 };
    truth all[] = {linear_truth(&linear_wrong), discrete_truth(), mixture_truth()};
    for (int i = 0; i < 3; i++) {
        tp_model m;
        double single[SEEDS], many[SEEDS], se, want = true_nll(&all[i]);
        exact_model(&m, all[i].type);
        for (int s = 0; s < SEEDS; s++) {
            single[s] = nll(&m, &all[i], 4, (uint64_t)s, 1);
            many[s] = nll(&m, &all[i], 4, (uint64_t)s, MANY);
        }
        double one = mean_of(single, SEEDS, 1, &se);
        assert_true(one - want > 2 * se && one - want > 0.1);
        double got = mean_of(many, SEEDS, 1, &se);
        se *= sqrt(SEEDS / (SEEDS - 1.0));
        print_message("%s: %.5f ± %.5f from %d samples, %.3f from one; the truth is %.5f\n",
                      all[i].type->name, got, se, MANY, one, want);
        assert_close(got, want, 4 * se, 0);
        assert_true(se < 0.02);
        assert_true(many[0] == nll(&m, &all[i], 4, 0, MANY)); /* a function of the seed */
        assert_true(many[0] != many[1]);
        tp_model_free(&m);
    }
}

/* With the true posterior each weight is p(x): any number of samples is enough. Batches of 4, 4 and 2. */
static void test_nll_exact(void **state)
{
    (void)state;
    static const int64_t samples[] = {1, 3, 16, 17, 40};
    truth t = linear_truth(&linear_right), wrong = linear_truth(&linear_wrong);
    tp_model m;
    exact_model(&m, t.type);
    for (int i = 0; i < 5; i++)
        assert_close(nll(&m, &t, 4, 1, samples[i]), true_nll(&t), 1e-10, 0);
    tp_model_free(&m);
    exact_model(&m, wrong.type);
    for (int i = 0; i < 5; i++)
        assert_true(fabs(nll(&m, &wrong, 4, 1, samples[i]) - true_nll(&t)) > 1e-4);
    tp_model_free(&m);
}

/* --- as many samples as asked for ----------------------------------------------------------------------- */

/* Counts them: the weight of the i-th draw of an example is i, so from n of them p(x) is (n + 1)/2. x is the example's
 * number plus one. */
typedef struct counter {
    int64_t draws[POINTS], calls;
} counter;

static tp_status counter_init(void *self, tp_params *ps, const tp_model_config *config)
{
    (void)self, (void)ps, (void)config;
    return TP_OK;
}

static tp_log_densities counter_weight(void *self, tp_ctx *c, tp_dist q, tp_var x, int64_t k)
{
    (void)q;
    counter *m = self;
    int64_t n = tp_shape_of(x).dim[0];
    tp_var all[512];
    assert_true(k <= 512);
    assert_int_equal(c->mode, TP_EVAL);
    m->calls++;
    for (int64_t i = 0; i < k; i++) {
        double w[POINTS] = {0};
        tp_var row = tp_zeros_like(x);
        for (int64_t e = 0; e < n; e++)
            w[e] = (double)++m->draws[(int)tp_flat(tp_value(x), e) - 1];
        for (int64_t e = 1; e < n; e++)
            assert_true(w[e] == w[0]);
        all[i] = tp_permute(tp_shift(row, log(w[0])), TP_AXES(1, 0)); /* [1, n] */
    }
    return (tp_log_densities){.logprob = tp_concat(all, (int)k, 0)};
}

static const tp_model_type counter_type = {
    .name = "counter", .size = sizeof(counter), .init = counter_init, .densities = counter_weight};

static void test_sample_count(void **state)
{
    (void)state;
    static const int64_t samples[] = {1, 2, 15, 16, 17, 32, 50}, batches[] = {1, 4, 10, 64};
    truth t = {.type = &counter_type, .width = 1};
    for (int i = 0; i < POINTS; i++)
        t.x[i] = i + 1;
    for (int b = 0; b < 4; b++)
        for (int i = 0; i < 7; i++) {
            tp_model m;
            exact_model(&m, &counter_type);
            double n = (double)samples[i];
            assert_close(nll(&m, &t, batches[b], 1, samples[i]), -log((n + 1) / 2), 1e-13, 0);
            for (int e = 0; e < POINTS; e++)
                assert_int_equal(((counter *)m.self)->draws[e], samples[i]);
            tp_model_free(&m);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),    cmocka_unit_test(test_linear),
        cmocka_unit_test(test_order),     cmocka_unit_test(test_order_linear),
        cmocka_unit_test(test_miwae),     cmocka_unit_test(test_nll_converges),
        cmocka_unit_test(test_nll_exact), cmocka_unit_test(test_sample_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
