/* test_model_uses.c: what can be done with a model (models/uses.h), for every row and likelihood: codes, reconstructions,
 * samples, weights and likelihoods have the shapes they say, are finite, the same each time, and in the order that
 * theory has them.
 *
 * Exact values on models with a known log p(x): test_truth.c. Read next: conformance.h.
 */
#include "tests/models/conformance.h"

#include "autograd/ops.h"
#include "nn/dist_type.h"

enum { SAMPLES = 64, REPEATS = SANITIZED ? 10 : 30 };

/* A value of this shape, all finite. */
static void whole(tp_var v, tp_shape shape)
{
    char got[TP_SHAPE_TEXT], want[TP_SHAPE_TEXT];
    assert_ok(tp_var_status(v));
    if (!tp_shape_equal(tp_shape_of(v), shape))
        fail_msg("%s instead of %s", tp_shape_text(tp_shape_of(v), got),
                 tp_shape_text(shape, want));
    assert_ok(tp_var_finite(v));
}

/* Within what data are: [0,1], where a mean can be nothing else. */
static void pictures(const specimen *s, tp_var v)
{
    tp_likelihood l = s->model.config.likelihood;
    bool bounded = !s->model.type->any_real || l == TP_BERNOULLI || l == TP_CATEGORICAL;
    for (int64_t i = 0; bounded && i < tp_numel(tp_value(v)); i++)
        assert_true(tp_flat(tp_value(v), i) >= 0 && tp_flat(tp_value(v), i) <= 1);
}

/* --- shapes ------------------------------------------------------------------------------------------------- */

static void use_codes(specimen *s, tp_ctx *c, tp_var x)
{
    const tp_model *m = &s->model;
    uint64_t first = c->key.draw;
    tp_var code = tp_model_code(m, c, x), again = tp_model_code(m, c, x);
    assert_ok(tp_var_status(code));
    assert_int_equal(tp_shape_of(code).dim[0], BATCH); /* whatever a code is, there is one each */
    assert_int_equal(c->key.draw, first);              /* and nothing was drawn */
    assert_true(equal_bits(tp_value(code), tp_value(again)));
    if (m->type->decode == NULL)
        return;
    tp_var y = tp_model_reconstruct(m, c, x);
    whole(y, TP_SHAPE(BATCH, m->config.data_dim));
    pictures(s, y);
}

static void use_samples(specimen *s, tp_ctx *c)
{
    int64_t n = s->model.type->labels ? BATCH : BATCH - 1; /* those of the labels */
    tp_dist p = tp_model_generate(&s->model, c, n);
    tp_var mean = tp_data_mean(p), drawn = tp_data_sample(p, c);
    whole(mean, TP_SHAPE(n, s->model.config.data_dim));
    whole(drawn, TP_SHAPE(n, s->model.config.data_dim));
    pictures(s, mean);
}

/* Leading axes of z go through: [batch], and [samples, batch] as weights need them. */
static void use_parts(specimen *s, tp_ctx *c, tp_var x)
{
    enum { K = 4 };
    const tp_model *m = &s->model;
    if (m->type->posterior == NULL || m->type->decode == NULL)
        return;
    tp_dist q = tp_model_posterior(m, c, x);
    whole(tp_data_logprob(tp_model_decode(m, c, tp_dist_sample(q, c)), x), TP_SHAPE(BATCH));
    tp_var log_q, z = tp_dist_sample_n(q, c, K);
    if (tp_dist_has_rsample(&q)) /* some densities are known of their own draws only */
        z = tp_dist_rsample_logprob(tp_dist_repeat(q, TP_SHAPE(K)), c, &log_q);
    else
        log_q = tp_dist_logprob(q, z);
    whole(tp_data_logprob(tp_model_decode(m, c, z), x), TP_SHAPE(K, BATCH));
    whole(log_q, TP_SHAPE(K, BATCH));
    if (m->type->prior != NULL)
        whole(tp_dist_logprob(tp_model_prior(m, c), z), TP_SHAPE(K, BATCH));
}

static void use_likelihood(specimen *s, tp_ctx *c, tp_var x)
{
    enum { K = 4 };
    const tp_model *m = &s->model;
    tp_var kl;
    uint64_t first;
    if (tp_model_has_weights(m->type))
        whole(tp_model_log_weight(m, c, x, K), TP_SHAPE(K, BATCH));
    if (m->type->logprob != NULL)
        whole(m->type->logprob(m->self, c, x), TP_SHAPE(BATCH));
    first = c->key.draw;
    if (tp_model_kl(m, c, x, &kl)) {
        bool sampled = c->key.draw != first; /* then it may fall below 0 */
        assert_int_equal(tp_shape_of(kl).ndim, 2);
        whole(kl, TP_SHAPE(BATCH, tp_shape_of(kl).dim[1]));
        for (int64_t i = 0; i < tp_numel(tp_value(kl)); i++)
            assert_true(sampled || tp_flat(tp_value(kl), i) >= 0);
    }
}

static void shapes(const tp_model_type *type, tp_likelihood likelihood)
{
    for (int d = TP_F32; d <= TP_F64; d++)
        for (int mode = TP_TRAIN; mode <= TP_EVAL; mode++) {
            specimen s;
            specimen_make(&s, type, tiny_of(type, likelihood), (tp_dtype)d);
            tp_ctx c =
                mode == TP_TRAIN ? train_ctx(s.tape, &s.batch, 1) : eval_ctx(s.tape, &s.batch, 1);
            tp_var x = tp_constant(s.tape, &s.batch.x);
            if (tp_model_has_code(type) && mode == TP_EVAL)
                use_codes(&s, &c, x);
            if (tp_model_has_samples(type))
                use_samples(&s, &c);
            use_parts(&s, &c, x);
            use_likelihood(&s, &c, x);
            assert_ok(tp_tape_status(s.tape));
            specimen_free(&s);
        }
}

/* Samples are of one seed, one set of bits; of another, others. */
static void samples(const tp_model_type *type, tp_likelihood likelihood)
{
    specimen s;
    tp_tensor first[2];
    if (!tp_model_has_samples(type))
        return;
    specimen_make(&s, type, tiny_of(type, likelihood), TP_F64);
    for (uint64_t seed = 0; seed < 4; seed++) {
        tp_tape_reset(s.tape);
        tp_ctx c = eval_ctx(s.tape, &s.batch, seed % 2);
        tp_var x = tp_data_sample(tp_model_generate(&s.model, &c, BATCH), &c);
        assert_ok(tp_var_status(x));
        if (seed < 2)
            assert_ok(tp_clone(&first[seed], tp_value(x)));
        else
            assert_true(equal_bits(tp_value(x), &first[seed % 2]));
    }
    assert_false(equal_bits(&first[0], &first[1]));
    tp_tensor_free(&first[0]);
    tp_tensor_free(&first[1]);
    specimen_free(&s);
}

/* --- likelihood of data ---------------------------------------------------------------------------------------- */

/* Mean and its standard error of tp_model_nll over seeds. */
typedef struct estimate {
    double mean, error;
} estimate;

static estimate nll_of(specimen *s, tp_batches *b, int64_t k)
{
    double sum = 0, squares = 0, nll, again;
    for (uint64_t seed = 0; seed < REPEATS; seed++) {
        assert_ok(tp_model_nll(&s->model, s->tape, b, 100 * (uint64_t)k + seed, k, &nll));
        assert_true(isfinite(nll));
        sum += nll, squares += nll * nll;
    }
    assert_ok(tp_model_nll(&s->model, s->tape, b, 100 * (uint64_t)k + REPEATS - 1, k, &again));
    assert_true(again == nll);
    double mean = sum / REPEATS, variance = fmax(0, squares / REPEATS - mean * mean);
    return (estimate){mean, sqrt(variance / (REPEATS - 1))};
}

/* −log of the mean of K weights, averaged over the batch and seeds: what tp_model_nll would say if log p(x) were not
 * known. */
static estimate weighted(specimen *s, int64_t k)
{
    double sum = 0, squares = 0;
    for (uint64_t seed = 0; seed < REPEATS; seed++) {
        tp_tape_reset(s->tape);
        tp_ctx c = eval_ctx(s->tape, &s->batch, seed);
        tp_var log_w = tp_model_log_weight(&s->model, &c, tp_constant(s->tape, &s->batch.x), k);
        double nll = -tp_item_of(tp_mean(tp_importance_logprob(log_w), TP_ALL_AXES, false));
        assert_ok(tp_tape_status(s->tape));
        sum += nll, squares += nll * nll;
    }
    double mean = sum / REPEATS, variance = fmax(0, squares / REPEATS - mean * mean);
    return (estimate){mean, sqrt(variance / (REPEATS - 1))};
}

static bool at_most(estimate a, estimate b)
{
    return a.mean <= b.mean + 4 * sqrt(a.error * a.error + b.error * b.error) + 1e-9;
}

/* More samples give a tighter bound; one that is known exactly lies below them all; of a type that knows it, the number of
 * samples does not matter. */
static void bounds(const tp_model_type *type, tp_likelihood likelihood)
{
    specimen s;
    tp_batches b;
    if (!tp_model_has_nll(type))
        return;
    specimen_make(&s, type, tiny_of(type, likelihood), TP_F64);
    tp_dataset d = dataset_of(&s.batch);
    assert_ok(tp_batches_init(&b, &d, 4, TP_F64));
    estimate one = nll_of(&s, &b, 1), many = nll_of(&s, &b, SAMPLES);
    if (!at_most(many, one))
        fail_msg("NLL from %d samples %.5g, from one %.5g", SAMPLES, many.mean, one.mean);
    if (type->logprob != NULL)
        assert_true(one.mean == many.mean);
    if (type->logprob != NULL && tp_model_has_weights(type)) {
        estimate w = weighted(&s, SAMPLES);
        if (!at_most(one, w))
            fail_msg("exact NLL %.5g, from %d weights %.5g", one.mean, SAMPLES, w.mean);
    }
    tp_batches_free(&b);
    tp_dataset_free(&d);
    specimen_free(&s);
}

int main(void)
{
    static const property properties[] = {
        {"shapes", shapes, false},
        {"samples", samples, false},
        {"bounds of the likelihood", bounds, false},
    };
    return rows_run(properties, sizeof properties / sizeof *properties, NULL, 0);
}
