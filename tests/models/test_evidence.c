/* test_evidence.c: log p(x) of a data set (models/evidence.c): that each example is encoded once, that the draws of all
 * portions are those of one context, and that what is said of them is right.
 *
 * Log-weights are had from tp_model_log_weight, and summed up here in plain C. Where log p(x) is known, the estimate of p(x)
 * is unbiased and its error bars hold; those that one would write by mistake do not. Read next: test_truth.c. */
#include "tests/models/exact_types.h"
#include "tests/models/small.h"

#include "autograd/tape.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

#include <string.h>

/* The library weighs as many draws at a time as make so many rows with a batch, at least one. */
enum { ROWS = 512, EXAMPLES = 10, MOST = 300 };

typedef struct set {
    tp_dataset data;
    tp_batches batches;
    tp_tape *tape;
} set;

/* f64 [n, width], in [0,1] */
static void set_new(set *s, int64_t n, int64_t width, int64_t batch)
{
    *s = (set){.data.x = uniform(TP_F64, n, width, 2)};
    assert_ok(tp_batches_init(&s->batches, &s->data, batch, TP_F64));
    assert_ok(tp_tape_new(&s->tape));
}

static void set_free(set *s)
{
    tp_tape_free(s->tape);
    tp_batches_free(&s->batches);
    tp_dataset_free(&s->data);
}

static tp_evidence measure(const tp_model *m, set *s, uint64_t seed, int64_t samples, double *each)
{
    tp_evidence e;
    tp_evidence_opts opts = {.seed = seed, .samples = samples, .each = each};
    assert_ok(tp_model_evidence(m, s->tape, &s->batches, opts, &e));
    return e;
}

/* --- the draws ------------------------------------------------------------------------------------------ */

/* The first MOST log-weights of each example: w[draw][example]. One context draws for a batch, portion by portion. */
static void all_weights(const tp_model *m, set *s, uint64_t seed, double w[MOST][EXAMPLES])
{
    int64_t size = s->batches.batch_size, portion = ROWS / size > 0 ? ROWS / size : 1, first = 0;
    for (uint64_t number = 0; first < EXAMPLES; number++, first += size) {
        int64_t n = EXAMPLES - first < size ? EXAMPLES - first : size;
        tp_tensor x;
        assert_ok(tp_view_slice(&s->data.x, 0, first, first + n, 1, &x));
        tp_ctx c = tp_ctx_eval(s->tape, seed, number);
        for (int64_t done = 0; done < MOST; done += portion) {
            tp_tape_reset(s->tape);
            const double *got =
                numbers(tp_model_log_weight(m, &c, tp_constant(s->tape, &x), portion));
            for (int64_t i = 0; i < portion * n && done + i / n < MOST; i++)
                w[done + i / n][first + i % n] = got[i];
        }
    }
}

/* Of k draws, without the tricks. */
typedef struct plain {
    double nll[EXAMPLES], elbo[EXAMPLES], effective[EXAMPLES], variance;
} plain;

static plain plainly(double w[MOST][EXAMPLES], int k)
{
    plain p = {.variance = 0};
    for (int i = 0; i < EXAMPLES; i++) {
        double sum = 0, squares = 0, spread = 0, elbo = 0;
        for (int j = 0; j < k; j++) {
            sum += exp(w[j][i]);
            squares += exp(2 * w[j][i]);
            elbo += w[j][i] / k;
        }
        for (int j = 0; j < k; j++)
            spread += pow(exp(w[j][i]) - sum / k, 2) / (k - 1); /* Var w */
        p.nll[i] = -log(sum / k);
        p.elbo[i] = elbo;
        p.effective[i] = sum * sum / squares;
        p.variance += spread / k / pow(sum / k, 2) / (EXAMPLES * EXAMPLES);
    }
    return p;
}

static void compare(const tp_evidence *e, const double *each, const plain *p, int k)
{
    double se, least = INFINITY, unbiased = sqrt(EXAMPLES / (EXAMPLES - 1.0));
    assert_int_equal(e->examples, EXAMPLES);
    for (int i = 0; i < EXAMPLES; i++) {
        assert_close(each[i], p->nll[i], 1e-12, 1e-12);
        least = fmin(least, p->effective[i]);
    }
    assert_close(e->nll, mean_of(p->nll, EXAMPLES, 1, &se), 1e-12, 1e-12);
    assert_close(e->nll_error, se * unbiased, 1e-12, 1e-12);
    assert_close(e->reconstruction + e->kl, -mean_of(p->elbo, EXAMPLES, 1, &se), 1e-12, 1e-12);
    assert_close(e->elbo_error, se * unbiased, 1e-12, 1e-12);
    assert_close(e->effective, mean_of(p->effective, EXAMPLES, 1, &se), 0, 1e-12);
    assert_close(e->least_effective, least, 0, 1e-12);
    if (k > 1)
        assert_close(e->draws_error, sqrt(p->variance), 0, 1e-9);
    else
        assert_true(isnan(e->draws_error)); /* one draw does not say how far off it is */
}

/* At the borders of portions and within, for batches of all sizes; the first of many draws are those of few. */
static void test_draws(void **state)
{
    (void)state;
    static const int64_t batches[] = {1, 4, EXAMPLES, 33, 600};
    static const int draws[] = {1, 2, 14, 15, 16, 17, 51, 52, 127, 128, 129, 256, MOST};
    static double w[MOST][EXAMPLES];
    tp_model m;
    exact_model(&m, &linear_wrong);
    for (int b = 0; b < 5; b++) {
        set s;
        set_new(&s, EXAMPLES, NX, batches[b]);
        all_weights(&m, &s, 3, w);
        for (int i = 0; i < (int)(sizeof draws / sizeof *draws); i++) {
            double each[EXAMPLES];
            tp_evidence e = measure(&m, &s, 3, draws[i], each);
            plain p = plainly(w, draws[i]);
            compare(&e, each, &p, draws[i]);
        }
        set_free(&s);
    }
    tp_model_free(&m);
}

/* Log-weights far from 0, where e^w is 0 or infinite: the maximum that is subtracted is each example's own. */
static tp_log_densities far_away(void *self, tp_ctx *c, tp_dist q, tp_var x, int64_t k)
{
    (void)self, (void)q;
    tp_shape shape = TP_SHAPE(k, tp_shape_of(x).dim[0]);
    tp_var first = tp_slice(x, 1, 0, 1, 1); /* [batch, 1] */
    tp_var offset = tp_expand(tp_permute(first, TP_AXES(1, 0)), shape);
    return (tp_log_densities){.logprob = tp_scale(offset, 20000),
                              .log_q = tp_noise_uniform(c->tape, TP_F64, shape, tp_ctx_draw(c))};
}

static tp_status no_init(void *self, tp_params *ps, const tp_model_config *config)
{
    (void)self, (void)ps, (void)config;
    return TP_OK;
}

static void test_far_away(void **state)
{
    (void)state;
    const tp_model_type type = {.name = "far", .size = 1, .init = no_init, .densities = far_away};
    tp_model m;
    set s;
    double each[EXAMPLES];
    assert_ok(tp_model_init(&m, &type, tp_model_defaults(&type), TP_F64, 1));
    set_new(&s, EXAMPLES, NX, 4);
    for (int i = 0; i < EXAMPLES; i++)
        assert_ok(tp_set_flat(&s.data.x, i * NX, i % 2 == 0 ? -1 : 1));
    measure(&m, &s, 1, 20000, each);
    /* E e^−u = 1 − 1/e; its standard deviation is 0.18 */
    for (int i = 0; i < EXAMPLES; i++)
        assert_close(each[i], (i % 2 == 0 ? 20000 : -20000) - log(1 - exp(-1)), 0.01, 0);
    set_free(&s);
    tp_model_free(&m);
}

/* An image that the model cannot draw makes −log p(x) infinite, not NaN, and leaves the others as they are. */
static void test_impossible(void **state)
{
    (void)state;
    const tp_model_type type = {.name = "far", .size = 1, .init = no_init, .densities = far_away};
    tp_model m;
    set s;
    double before[EXAMPLES], each[EXAMPLES];
    assert_ok(tp_model_init(&m, &type, tp_model_defaults(&type), TP_F64, 1));
    set_new(&s, EXAMPLES, NX, 4);
    measure(&m, &s, 1, 5, before);
    assert_ok(tp_set_flat(&s.data.x, 0, -1e306));
    tp_evidence e = measure(&m, &s, 1, 5, each);
    assert_true(each[0] == INFINITY && e.nll == INFINITY);
    assert_true(e.least_effective == 0 && e.effective > 0);
    assert_memory_equal(each + 1, before + 1, (EXAMPLES - 1) * sizeof *each);
    set_free(&s);
    tp_model_free(&m);
}

/* One draw is that of the loss, where the loss is −ELBO with nothing in closed form. */
static void test_one_draw(void **state)
{
    (void)state;
    const tp_model_type *types[] = {&tp_model_planar_vae, &tp_model_vamp_vae};
    for (int i = 0; i < 2; i++) {
        tp_model m;
        set s;
        tp_stats stats;
        assert_ok(tp_model_init(&m, types[i], small(types[i]), TP_F64, 1));
        set_new(&s, EXAMPLES, 3, 4);
        tp_trainer t = {.tape = s.tape, .loss = tp_model_loss, .model = &m, .seed = 9};
        assert_ok(tp_evaluate(&t, &s.batches, &stats));
        tp_evidence e = measure(&m, &s, 9, 1, NULL);
        assert_close(e.nll, stats.loss, 0, 1e-13);
        assert_close(e.reconstruction + e.kl, e.nll, 0, 1e-13);
        assert_close(e.reconstruction, stats.term[0], 0, 1e-13);
        assert_close(e.kl, stats.term[1], 1e-13, 1e-13);
        assert_true(e.effective == 1 && e.least_effective == 1);
        assert_true(fabs(measure(&m, &s, 10, 1, NULL).nll - e.nll) > 1e-4); /* another seed */
        set_free(&s);
        tp_model_free(&m);
    }
}

/* --- against the truth ------------------------------------------------------------------------------------ */

/* p̂ is unbiased, log p̂ is not; over seeds nll scatters as draws_error says, not as a mean over examples that share their
 * draws would, and not as the weights' own spread. */
static void test_error_bars(void **state)
{
    (void)state;
    enum { SEEDS = SANITIZED ? 200 : 600, DRAWS = 100 };
    static double ratio[SEEDS], nll[SEEDS];
    double each[EXAMPLES], se, variance = 0, truth = 0;
    tp_model m;
    set s;
    exact_model(&m, &linear_wrong);
    set_new(&s, EXAMPLES, NX, 4);
    for (int i = 0; i < EXAMPLES; i++)
        truth -= linear_evidence((const double *)tp_data(&s.data.x) + i * NX) / EXAMPLES;
    for (int k = 0; k < SEEDS; k++) {
        tp_evidence e = measure(&m, &s, (uint64_t)k, DRAWS, each);
        nll[k] = e.nll;
        variance += e.draws_error * e.draws_error / SEEDS;
        ratio[k] = 0;
        for (int i = 0; i < EXAMPLES; i++)
            ratio[k] +=
                exp(-each[i] - linear_evidence((const double *)tp_data(&s.data.x) + i * NX)) /
                EXAMPLES;
    }
    double mean = mean_of(ratio, SEEDS, 1, &se);
    print_message("p estimated / p = %.5f ± %.5f\n", mean, se);
    assert_close(mean, 1, 4 * se, 0);
    mean = mean_of(nll, SEEDS, 1, &se);
    double spread = se * sqrt(SEEDS);
    print_message("nll %.5f ± %.5f, the truth %.5f; spread %.5f, error bar %.5f\n", mean, se, truth,
                  spread, sqrt(variance));
    /* By Jensen the bias is half the variance of each log p̂: EXAMPLES times that of their mean. */
    assert_close(mean - truth, 0.5 * variance * EXAMPLES, 4 * se, 0);
    assert_close(spread / sqrt(variance), 1, 4 / sqrt(2 * SEEDS) + 0.05, 0);
    set_free(&s);
    tp_model_free(&m);
}

/* With the true posterior one draw says it all: every draw counts, and none adds an error. */
static void test_true_posterior(void **state)
{
    (void)state;
    tp_model m;
    set s;
    exact_model(&m, &linear_right);
    set_new(&s, EXAMPLES, NX, 4);
    tp_evidence e = measure(&m, &s, 1, 200, NULL);
    assert_close(e.effective, 200, 0, 1e-9);
    assert_close(e.least_effective, 200, 0, 1e-9);
    assert_close(e.reconstruction + e.kl, e.nll, 0, 1e-12); /* ELBO = log p(x) */
    assert_true(e.draws_error < 1e-8);
    set_free(&s);
    tp_model_free(&m);
}

/* A model that knows log p(x), asked both ways. */
static void test_exact(void **state)
{
    (void)state;
    tp_model m;
    set s;
    double exact[EXAMPLES], drawn[EXAMPLES], se, nll;
    tp_model_config config = small(&tp_model_linear_vae);
    config.likelihood = TP_GAUSSIAN;
    assert_ok(tp_model_init(&m, &tp_model_linear_vae, config, TP_F64, 1));
    set_new(&s, EXAMPLES, 3, 4);
    tp_evidence e = measure(&m, &s, 1, 0, exact), d = measure(&m, &s, 1, 5000, drawn);
    assert_close(e.nll, mean_of(exact, EXAMPLES, 1, &se), 0, 1e-14);
    assert_close(e.nll_error, se * sqrt(EXAMPLES / (EXAMPLES - 1.0)), 0, 1e-12);
    assert_true(e.draws_error == 0);
    assert_true(isnan(e.reconstruction) && isnan(e.kl) && isnan(e.elbo_error));
    assert_true(isnan(e.effective) && isnan(e.least_effective));
    print_message("linear_vae: %.5f, from draws %.5f ± %.5f\n", e.nll, d.nll, d.draws_error);
    assert_true(d.draws_error > 0 && d.draws_error < 0.05);
    assert_close(d.nll, e.nll, 4 * d.draws_error, 0);
    assert_true(d.reconstruction + d.kl > e.nll);
    assert_ok(tp_model_nll(&m, s.tape, &s.batches, 1, 7, &nll));
    assert_true(nll == e.nll);
    set_free(&s);
    tp_model_free(&m);
}

/* --- how it is done ------------------------------------------------------------------------------------- */

static int encoded, priors;

static tp_dist counted_posterior(void *self, tp_ctx *c, tp_var x)
{
    encoded += (int)tp_shape_of(x).dim[0];
    return tp_model_vae.posterior(self, c, x);
}

static tp_dist counted_prior(void *self, tp_ctx *c)
{
    priors++;
    return tp_model_vae.prior(self, c);
}

/* Once, and never more memory for more draws. */
static void test_once(void **state)
{
    (void)state;
    tp_model_type type = tp_model_vae;
    tp_model m;
    set s;
    type.posterior = counted_posterior;
    type.prior = counted_prior;
    assert_ok(tp_model_init(&m, &type, small(&type), TP_F64, 1));
    set_new(&s, EXAMPLES, 3, 4);
    encoded = priors = 0;
    double some = measure(&m, &s, 1, 300, NULL).nll;
    assert_int_equal(encoded, EXAMPLES);
    assert_int_equal(priors, 3);
    m.type = &tp_model_vae; /* the type's own parts or these: the same numbers */
    assert_true(some == measure(&m, &s, 1, 300, NULL).nll);
    tp_mem_set_budget(tp_mem().live_bytes + ((size_t)3 << 20));
    measure(&m, &s, 1, 3000, NULL);
    tp_mem_set_budget(0);
    set_free(&s);
    tp_model_free(&m);
}

/* Sizes at which operations are split among threads, in single precision. */
static void test_threads(void **state)
{
    (void)state;
    enum { N = 60 };
    tp_model m;
    double each[3][N];
    tp_model_config config = small(&tp_model_vae);
    config.data_dim = 100;
    config.hidden[0] = 64;
    assert_ok(tp_model_init(&m, &tp_model_vae, config, TP_F32, 1));
    int before = tp_threads();
    tp_evidence e[3];
    for (int i = 0; i < 3; i++) {
        set s = {.data.x = uniform(TP_F32, N, 100, 2)};
        assert_ok(tp_set_threads(i + 1));
        assert_ok(tp_batches_init(&s.batches, &s.data, 50, TP_F32));
        assert_ok(tp_tape_new(&s.tape));
        e[i] = measure(&m, &s, 1, 40, each[i]);
        assert_memory_equal(each[i], each[0], sizeof each[0]);
        assert_memory_equal(&e[i], &e[0], sizeof e[0]);
        set_free(&s);
    }
    assert_ok(tp_set_threads(before));
    tp_model_free(&m);
}

/* --- progress, stops, refusals ---------------------------------------------------------------------------- */

typedef struct watch {
    int left, calls;
    double last;
} watch;

static bool on_progress(void *user, double done)
{
    watch *w = user;
    assert_true(done > w->last && done <= 1);
    w->last = done;
    w->calls++;
    return --w->left != 0;
}

static void test_stop(void **state)
{
    (void)state;
    enum { DRAWS = 2 * (ROWS / 4) }; /* two portions for each of the batches of 4, 4 and 2 */
    tp_model m;
    set s;
    double whole[EXAMPLES];
    assert_ok(tp_model_init(&m, &tp_model_vae, small(&tp_model_vae), TP_F64, 1));
    set_new(&s, EXAMPLES, 3, 4);
    measure(&m, &s, 1, DRAWS, whole);
    for (int stop = 1; stop <= 7; stop++) {
        double each[EXAMPLES], sum = 0;
        watch w = {.left = stop};
        tp_evidence e;
        int64_t done = stop == 7 ? EXAMPLES : (stop - 1) / 2 * 4; /* whole batches count */
        for (int i = 0; i < EXAMPLES; i++)
            each[i] = -1;
        tp_evidence_opts opts = {
            .seed = 1, .samples = DRAWS, .each = each, .on_progress = on_progress, .user = &w};
        assert_ok(tp_model_evidence(&m, s.tape, &s.batches, opts, &e));
        assert_int_equal(w.calls, stop < 7 ? stop : 6);
        assert_int_equal(e.examples, done);
        for (int i = 0; i < EXAMPLES; i++) {
            assert_true(each[i] == (i < done ? whole[i] : -1));
            sum += i < done ? whole[i] : 0;
        }
        assert_close(e.nll, done > 0 ? sum / (double)done : NAN, 0, 1e-14);
        assert_true(stop < 7 || w.last == 1);
        if (done == 0)
            assert_true(isnan(e.nll_error) && isnan(e.draws_error) && isnan(e.least_effective));
    }
    set_free(&s);
    tp_model_free(&m);
}

static void test_refusals(void **state)
{
    (void)state;
    tp_model m;
    set s;
    tp_evidence e, untouched;
    memset(&e, 7, sizeof e);
    untouched = e;
    assert_ok(tp_model_init(&m, &tp_model_vae, small(&tp_model_vae), TP_F64, 1));
    set_new(&s, EXAMPLES, 3, 4);
    tp_evidence_opts opts = {.samples = -1};
    assert_status(tp_model_evidence(&m, s.tape, &s.batches, opts, &e), TP_EARG);
    assert_message("log p(x) from -1 samples");
    opts.samples = 0;
    assert_status(tp_model_evidence(&m, s.tape, &s.batches, opts, &e), TP_EARG);
    assert_message("model 'vae' has no log p(x) in closed form");
    m.type = &tp_model_made;
    opts.samples = 1;
    assert_status(tp_model_evidence(&m, s.tape, &s.batches, opts, &e), TP_EARG);
    assert_message("model 'made' has no posterior over a latent variable with a prior");
    m.type = &tp_model_vae;
    assert_ok(tp_set_flat(&s.data.x, 20, 2)); /* in the second batch */
    assert_status(tp_model_evidence(&m, s.tape, &s.batches, opts, &e), TP_EVALUE);
    assert_message("log p(x) of a data set: ");
    assert_message("outside [0,1]");
    assert_memory_equal(&e, &untouched, sizeof e);
    set_free(&s);
    tp_model_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws),          cmocka_unit_test(test_far_away),
        cmocka_unit_test(test_impossible),     cmocka_unit_test(test_one_draw),
        cmocka_unit_test(test_error_bars),     cmocka_unit_test(test_exact),
        cmocka_unit_test(test_true_posterior), cmocka_unit_test(test_once),
        cmocka_unit_test(test_threads),        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
