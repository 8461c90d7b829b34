/* test_ais.c: annealed importance sampling on models whose log p(x) is known: E[w] = p(x) there and E[1/w] = 1/p(x) back,
 * bounds that close as temperatures become more, and error bars that hold. What the statistic makes of mistakes in the weights
 * is shown by a walk in plain C.
 *
 * One chain for each of many copies of an x: then each bound is the log of one weight. Read next: models/ais.c,
 * test_ais_use.c.
 */
#include "tests/models/exact_types.h"

#include <string.h>

#include "models/ais.h"

enum { COPIES = SANITIZED ? 1000 : 2000 };

/* --- what weights say ----------------------------------------------------------------------------------------------- */

/* Of many log w: their mean, and how far the mean of w/p is from 1, in standard errors. */
typedef struct said {
    double mean, bias;
} said;

static said of_weights(const double *log_w, const double *log_p, int64_t n, double sign)
{
    double mean = 0, sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        double ratio = exp(sign * (log_w[i] - log_p[i]));
        mean += (log_w[i] - log_p[i]) / (double)n;
        sum += ratio / (double)n, squares += ratio * ratio / (double)n;
    }
    return (said){mean, fabs(sum - 1) / sqrt((squares - sum * sum) / (double)n)};
}

static said of_same(const double *log_w, double log_p, int64_t n, double sign)
{
    double *all = malloc((size_t)n * sizeof *all);
    assert_non_null(all);
    for (int64_t i = 0; i < n; i++)
        all[i] = log_p;
    said s = of_weights(log_w, all, n, sign);
    free(all);
    return s;
}

/* --- the same in plain C, right and wrong ------------------------------------------------------------------------------ */

typedef enum mistake {
    RIGHT,
    LATE,    /* the weight looks at z_t, where z_{t−1} belongs */
    AHEAD,   /* transitions are on f_{t+1} */
    BEHIND,  /* transitions are on f_{t−1} */
    NO_LAST, /* the last gain is forgotten */
    MISTAKES
} mistake;

/* z ~ N(0,1), x|z ~ N(z, s²): f_t is N(m, 1/A) with A = 1 + β/s², m = βx/(s²A), from which transitions draw. */
static double plain_ais(double x, double s2, int T, const double *noise, mistake m)
{
    double z = noise[0], log_w = 0;
    for (int t = 1; t <= T; t++) {
        double beta = (double)t / T, gain = 1.0 / T, d = x - z;
        double at = m == AHEAD ? fmin(1, beta + gain) : m == BEHIND ? beta - gain : beta;
        double a = 1 + at / s2, next = at * x / s2 / a + noise[t] / sqrt(a);
        if (m == LATE)
            d = x - next;
        if (m != NO_LAST || t < T)
            log_w += gain * -0.5 * (d * d / s2 + log(s2) + LOG_2PI);
        z = next;
    }
    return log_w;
}

static void test_mistakes(void **state)
{
    (void)state;
    enum { T = 8, MANY = 5000 };
    double x = 1.3, s2 = 0.25, log_p = -0.5 * (x * x / (1 + s2) + log(1 + s2) + LOG_2PI);
    fixture *f = fixture_new();
    const double *noise = tp_data(fixture_draw(f, TP_F64, TP_SHAPE(MANY, T + 1), 5, 1, 0));
    double *log_w = malloc(MANY * sizeof *log_w);
    for (int m = RIGHT; m < MISTAKES; m++) {
        for (int i = 0; i < MANY; i++)
            log_w[i] = plain_ais(x, s2, T, noise + i * (T + 1), (mistake)m);
        said s = of_same(log_w, log_p, MANY, 1);
        assert_true(m == RIGHT ? s.bias < 3.5 : s.bias > 6);
    }
    free(log_w);
    fixture_free(f);
}

/* --- temperatures ----------------------------------------------------------------------------------------------------------- */

static double sigma(double x)
{
    return 1 / (1 + exp(-x));
}

static void test_schedule(void **state)
{
    (void)state;
    const int64_t counts[] = {1, 2, 7, 1000};
    const double sharp[] = {1e-6, 4, 30}, error[] = {1e-9, 1e-12, 1e-12}; /* of the formula below */
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 3; k++) {
            tp_ais_opts o = tp_ais_defaults();
            double d = o.sharpness = sharp[k];
            int64_t T = o.temperatures = counts[i];
            assert_true(tp_ais_beta(&o, 0) == 0 && tp_ais_beta(&o, T) == 1);
            for (int64_t t = 0; t < T; t++) {
                double want = (sigma(d * (2.0 * (double)t / (double)T - 1)) - sigma(-d)) /
                              (sigma(d) - sigma(-d));
                assert_close(tp_ais_beta(&o, t), want, error[k], 0);
                assert_true(tp_ais_beta(&o, t) < tp_ais_beta(&o, t + 1));
            }
        }
    assert_true(tp_ais_defaults().sharpness == 4 && tp_ais_defaults().chains == 16);
}

/* --- a linear-Gaussian model ---------------------------------------------------------------------------------------------- */

static const double X[NX] = {0.9, -1.1, 0.7};

/* COPIES of X with draws from p(z|x), and their bounds by one chain each. */
typedef struct copies {
    tp_tensor x, z;
    double lower[COPIES], upper[COPIES];
} copies;

static copies *copies_new(void)
{
    double mean[NZ], l[NZ * NZ];
    copies *c = calloc(1, sizeof *c);
    assert_non_null(c);
    assert_ok(tp_tensor_new(&c->x, TP_F64, TP_SHAPE(COPIES, NX)));
    assert_ok(tp_tensor_new(&c->z, TP_F64, TP_SHAPE(COPIES, NZ)));
    assert_ok(tp_random_normal(&c->z, (tp_rng_key){.seed = 21}));
    linear_posterior(X, mean, l);
    for (int i = 0; i < COPIES; i++) {
        memcpy((double *)tp_data_mut(&c->x) + i * NX, X, sizeof X);
        double *z = (double *)tp_data_mut(&c->z) + i * NZ;
        backward(NZ, l, z); /* covariance (LLᵀ)⁻¹ */
        for (int k = 0; k < NZ; k++)
            z[k] += mean[k];
    }
    return c;
}

static void copies_free(copies *c)
{
    tp_tensor_free(&c->x);
    tp_tensor_free(&c->z);
    free(c);
}

static tp_ais_result run(const tp_model_type *type, copies *c, tp_ais_opts o)
{
    tp_model m;
    tp_tape *t;
    tp_batch b = {.x = c->x, .n = COPIES};
    tp_ais_result r = {.lower = c->lower, .upper = c->upper};
    exact_model(&m, type);
    assert_ok(tp_tape_new(&t));
    assert_ok(tp_model_ais(&m, t, &b, &c->z, o, &r));
    tp_tape_free(t);
    tp_model_free(&m);
    return r;
}

/* From the prior and from a wrong posterior; the steps of a pilot keep all exact. */
static void test_bounds(void **state)
{
    (void)state;
    const int64_t T[] = {1, 3, 12, 60};
    double log_p = linear_evidence(X);
    for (int start = 0; start < 2; start++) {
        double gap = INFINITY;
        for (int i = 0; i < 4; i++) {
            copies *c = copies_new();
            tp_ais_opts o = {.chains = 1,
                             .temperatures = T[i],
                             .leapfrog = 3,
                             .sharpness = 4,
                             .acceptance = 0.65,
                             .pilot = 2,
                             .posterior = start == 1,
                             .seed = 7};
            tp_ais_result r = run(&linear_wrong, c, o);
            said lower = of_same(c->lower, log_p, COPIES, 1),
                 upper = of_same(c->upper, log_p, COPIES, -1);
            assert_true(lower.bias < 4);
            assert_true(upper.bias < 4 || T[i] < 12); /* the variance of 1/w is infinite there */
            assert_true(lower.mean < 0 && upper.mean > 0);
            assert_true(upper.mean - lower.mean < gap);
            gap = upper.mean - lower.mean;
            assert_true(i == 0 ? isnan(r.acceptance) : r.acceptance > 0.4 && r.acceptance <= 1);
            assert_close(r.effective, 1, 1e-12, 0);
            assert_false(r.stopped);
            copies_free(c);
        }
        assert_true(gap < 0.3);
    }
}

/* Steps are adapted to the acceptance that is wanted. */
static void test_acceptance(void **state)
{
    (void)state;
    const double want[] = {0.5, 0.9};
    for (int i = 0; i < 2; i++) {
        copies *c = copies_new();
        tp_ais_opts o = tp_ais_defaults();
        o.chains = 1, o.temperatures = 100, o.leapfrog = 3, o.acceptance = want[i];
        double got = run(&linear_wrong, c, o).acceptance;
        assert_close(got, want[i], 0.1, 0);
        copies_free(c);
    }
}

/* A posterior that is right leaves nothing to be annealed: each weight is p(x). Control: one that is wrong. */
static void test_right_posterior(void **state)
{
    (void)state;
    double log_p = linear_evidence(X), worst[2] = {0};
    for (int wrong = 0; wrong < 2; wrong++) {
        copies *c = copies_new();
        tp_ais_opts o = tp_ais_defaults();
        o.chains = 1, o.temperatures = 3, o.posterior = true;
        run(wrong ? &linear_wrong : &linear_right, c, o);
        for (int i = 0; i < COPIES; i++)
            worst[wrong] =
                fmax(worst[wrong], fmax(fabs(c->lower[i] - log_p), fabs(c->upper[i] - log_p)));
        copies_free(c);
    }
    assert_true(worst[0] < 1e-10 && worst[1] > 0.1);
}

/* The mean over many chains is within its error, by the delta method: Var[mean w]/p² = 1/effective − 1/K. */
static void test_error(void **state)
{
    (void)state;
    enum { K = 2000 };
    fixture *f = fixture_new();
    tp_model m;
    double lower, log_p = linear_evidence(X);
    tp_batch b = {.x = *fixture_tensor(f, TP_F64, TP_SHAPE(1, NX), X), .n = 1};
    exact_model(&m, &linear_wrong);
    for (int pilot = 0; pilot <= 4; pilot += 4) { /* without one only nearly exact */
        tp_ais_result r = {.lower = &lower};
        tp_ais_opts o = {K, 5, 3, 4, 0.65, pilot, false, 2, NULL, NULL};
        assert_ok(tp_model_ais(&m, f->tape, &b, NULL, o, &r));
        double error = sqrt(1 / r.effective - 1.0 / K);
        assert_true(error > 0.005 && error < 0.1);
        assert_true(fabs(lower - log_p) < 4 * error);
    }
    tp_model_free(&m);
    fixture_free(f);
}

/* An x that the model cannot draw: −∞, not NaN, and its neighbour as it is without it. */
static void test_impossible(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_model m;
    double alone, both[2], x[2 * NX] = {X[0], X[1], X[2], 1e200, 0, 0};
    tp_ais_opts o = tp_ais_defaults();
    o.chains = 3, o.temperatures = 4;
    exact_model(&m, &linear_wrong);
    tp_batch one = {.x = *fixture_tensor(f, TP_F64, TP_SHAPE(1, NX), x), .n = 1};
    assert_ok(tp_model_ais(&m, f->tape, &one, NULL, o, &(tp_ais_result){.lower = &alone}));
    tp_batch two = {.x = *fixture_tensor(f, TP_F64, TP_SHAPE(2, NX), x), .n = 2};
    assert_ok(tp_model_ais(&m, f->tape, &two, NULL, o, &(tp_ais_result){.lower = both}));
    assert_true(both[1] == -INFINITY);
    assert_close(both[0], alone, 1e-12, 1e-12);
    tp_model_free(&m);
    fixture_free(f);
}

/* With one temperature it is importance sampling from the prior: log 1/K Σ_k p(x|z_k), to the bit of the weights. */
static void test_one_temperature(void **state)
{
    (void)state;
    enum { K = 9, N = 3 };
    fixture *f = fixture_new();
    tp_model m;
    double lower[N];
    tp_ais_result r = {.lower = lower};
    tp_tensor *x = fixture_draw(f, TP_F64, TP_SHAPE(N, NX), 4, 1, 0);
    int64_t number[N] = {5, 0, 7};
    tp_batch b = {.x = *x, .n = N};
    assert_ok(tp_tensor_from(&b.index, TP_I64, TP_SHAPE(N), number));
    tp_ais_opts o = tp_ais_defaults();
    o.chains = K, o.temperatures = 1, o.seed = 11;
    exact_model(&m, &linear_wrong);
    assert_ok(tp_model_ais(&m, f->tape, &b, NULL, o, &r));
    for (int j = 0; j < N; j++) {
        tp_tape_reset(f->tape);
        tp_ctx c = tp_ctx_eval(f->tape, 0, 0);
        c.key = tp_stream_key(11, TP_STREAM_CHAIN, ((uint64_t)1 << 40) + (uint64_t)number[j]);
        tp_var z = tp_dist_sample_n(tp_model_prior(&m, &c), &c, K);
        const double *to = tp_data(x);
        double sum = 0;
        const double *log_p = numbers(linear_logprob(f, z, to + j * NX, given(f, TP_SHAPE(NX), B)));
        for (int k = 0; k < K; k++)
            sum += exp(log_p[k]) / K;
        assert_close(lower[j], log(sum), 1e-13, 0);
    }
    tp_tensor_free(&b.index);
    tp_model_free(&m);
    fixture_free(f);
}

/* --- a nonlinear decoder, against quadrature ---------------------------------------------------------------------------------- */

enum { CODES = 8 }; /* of three bits */

/* log p(x) of every x by the trapezoidal rule over the plane, where nothing is beyond 8 sigma. */
static void quadrature(const tp_model *m, tp_tape *t, const double bits[CODES][NX],
                       double log_p[CODES])
{
    enum { SIDE = 161 };
    static double at[SIDE * SIDE * NZ];
    const double step = 16.0 / (SIDE - 1);
    double sum[CODES] = {0};
    tp_tensor z;
    for (int i = 0; i < SIDE * SIDE; i++)
        at[i * NZ] = -8 + step * (i / SIDE), at[i * NZ + 1] = -8 + step * (i % SIDE);
    assert_ok(tp_tensor_from(&z, TP_F64, TP_SHAPE(SIDE * SIDE, NZ), at));
    tp_tape_reset(t);
    tp_ctx c = tp_ctx_eval(t, 0, 0);
    const double *logits = numbers(tp_model_decode(m, &c, tp_constant(t, &z)).param[0]);
    for (int i = 0; i < SIDE * SIDE; i++) {
        double prior =
            exp(-0.5 * (at[i * NZ] * at[i * NZ] + at[i * NZ + 1] * at[i * NZ + 1]) - LOG_2PI);
        for (int x = 0; x < CODES; x++) {
            double p = prior * step * step;
            for (int k = 0; k < NX; k++)
                p *= sigma(bits[x][k] > 0 ? logits[i * NX + k] : -logits[i * NX + k]);
            sum[x] += p;
        }
    }
    double whole = 0;
    for (int x = 0; x < CODES; x++)
        whole += sum[x], log_p[x] = log(sum[x]);
    assert_close(whole, 1, 1e-9, 0);
    tp_tensor_free(&z);
}

static void bent_model(tp_model *m)
{
    tp_model_config c = {.data_dim = NX,
                         .hidden = {4},
                         .hidden_layers = 1,
                         .latent_dim = NZ,
                         .activation = TP_TANH,
                         .likelihood = TP_BERNOULLI,
                         .beta = 1};
    assert_ok(tp_model_init(m, &tp_model_vae, c, TP_F64, 1));
    for (int i = 0; i < m->params.n; i++) {
        tp_tensor *p = &m->params.item[i]->value;
        assert_ok(tp_random_normal(p, (tp_rng_key){.seed = 5, .step = (uint64_t)i}));
        for (int64_t k = 0; k < tp_numel(p); k++)
            assert_ok(tp_set_flat(p, k, 2 * tp_flat(p, k)));
    }
}

static int code_of(const double *x)
{
    return (int)(x[0] + 2 * x[1] + 4 * x[2]);
}

/* Data that the model draws, with what they were drawn from; the control goes back from what another x was drawn from. */
static void test_simulated(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_model m;
    double bits[CODES][NX], known[CODES], log_p[COPIES];
    static double lower[COPIES], upper[COPIES], other[COPIES];
    tp_tensor x, z, shifted;
    for (int i = 0; i < CODES; i++)
        for (int k = 0; k < NX; k++)
            bits[i][k] = i >> k & 1;
    bent_model(&m);
    quadrature(&m, f->tape, (const double(*)[NX])bits, known);
    assert_ok(tp_model_simulate(&m, f->tape, NULL, COPIES, 3, &z, &x));
    assert_true(tp_shape_equal(z.shape, TP_SHAPE(COPIES, NZ)));
    assert_true(tp_shape_equal(x.shape, TP_SHAPE(COPIES, NX)));
    for (int i = 0; i < COPIES; i++)
        log_p[i] = known[code_of((const double *)tp_data(&x) + i * NX)];
    tp_ais_opts o = {.chains = 1,
                     .temperatures = 8,
                     .leapfrog = 5,
                     .sharpness = 4,
                     .acceptance = 0.65,
                     .pilot = 2,
                     .seed = 3};
    tp_batch b = {.x = x, .n = COPIES};
    tp_ais_result r = {.lower = lower, .upper = upper};
    assert_ok(tp_model_ais(&m, f->tape, &b, &z, o, &r));
    said from_below = of_weights(lower, log_p, COPIES, 1),
         from_above = of_weights(upper, log_p, COPIES, -1);
    assert_true(from_below.bias < 4 && from_above.bias < 4);
    assert_true(from_below.mean < 0 && from_above.mean > 0 &&
                from_above.mean - from_below.mean < 0.7);
    assert_ok(tp_clone(&shifted, &z));
    for (int64_t i = 0; i < COPIES * NZ; i++)
        assert_ok(tp_set_flat(&shifted, (i + NZ) % (COPIES * NZ), tp_flat(&z, i)));
    r.upper = other;
    assert_ok(tp_model_ais(&m, f->tape, &b, &shifted, o, &r));
    assert_true(of_weights(other, log_p, COPIES, -1).bias > (SANITIZED ? 2.5 : 6));
    tp_tensor_free(&shifted);
    tp_tensor_free(&z);
    tp_tensor_free(&x);
    tp_model_free(&m);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mistakes),        cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_bounds),          cmocka_unit_test(test_right_posterior),
        cmocka_unit_test(test_impossible),      cmocka_unit_test(test_error),
        cmocka_unit_test(test_one_temperature), cmocka_unit_test(test_simulated),
        cmocka_unit_test(test_acceptance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
