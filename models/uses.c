/* uses.c: see uses.h. */
#include "models/uses.h"
#include "autograd/compose.h"
#include "nn/dist_type.h"
#include "tensor/mem.h"

#include <math.h>

bool tp_model_has_code(const tp_model_type *type)
{
    return type->code != NULL || type->posterior != NULL;
}

bool tp_model_has_samples(const tp_model_type *type)
{
    return type->generate != NULL || (type->prior != NULL && type->decode != NULL);
}

bool tp_model_has_weights(const tp_model_type *type)
{
    bool parts = type->posterior != NULL && type->prior != NULL && type->decode != NULL;
    return type->log_weight != NULL || parts;
}

bool tp_model_has_nll(const tp_model_type *type)
{
    return type->logprob != NULL || tp_model_has_weights(type);
}

static tp_var lacks(const tp_model_type *type, tp_ctx *c, const char *what)
{
    return tp_tape_poison(c->tape, tp_fail(TP_EARG, "model '%s' has no %s", type->name, what));
}

static tp_dist lacks_dist(const tp_model_type *type, tp_ctx *c, const char *what)
{
    return tp_normal_standard(lacks(type, c, what));
}

/* --- the parts ---------------------------------------------------------------------------------------- */

tp_dist tp_model_posterior(const tp_model *m, tp_ctx *c, tp_var x)
{
    return m->type->posterior != NULL ? m->type->posterior(m->self, c, x)
                                      : lacks_dist(m->type, c, "posterior");
}

tp_dist tp_model_prior(const tp_model *m, tp_ctx *c)
{
    return m->type->prior != NULL ? m->type->prior(m->self, c) : lacks_dist(m->type, c, "prior");
}

tp_dist tp_model_decode(const tp_model *m, tp_ctx *c, tp_var z)
{
    return m->type->decode != NULL ? m->type->decode(m->self, c, z)
                                   : lacks_dist(m->type, c, "decoder");
}

/* --- pictures ----------------------------------------------------------------------------------------- */

tp_var tp_model_code(const tp_model *m, tp_ctx *c, tp_var x)
{
    if (m->type->code != NULL)
        return m->type->code(m->self, c, x);
    return tp_dist_mean(tp_model_posterior(m, c, x));
}

tp_var tp_model_reconstruct(const tp_model *m, tp_ctx *c, tp_var x)
{
    return tp_data_mean(tp_model_decode(m, c, tp_model_code(m, c, x)));
}

tp_dist tp_model_generate(const tp_model *m, tp_ctx *c, int64_t n)
{
    if (m->type->generate != NULL)
        return m->type->generate(m->self, c, n);
    return tp_model_decode(m, c, tp_dist_sample_n(tp_model_prior(m, c), c, n));
}

/* --- likelihood ---------------------------------------------------------------------------------------- */

tp_var tp_type_log_weight(const tp_model_type *type, void *self, tp_ctx *c, tp_var x, int64_t k)
{
    if (!tp_model_has_weights(type))
        return lacks(type, c, "posterior over a latent variable with a prior");
    if (type->log_weight != NULL)
        return type->log_weight(self, c, x, k);
    tp_dist q = type->posterior(self, c, x);
    tp_var z, log_q;
    if (tp_dist_has_rsample(&q)) {
        tp_scope_begin(c->tape, "repeat");
        tp_dist many = tp_dist_repeat(q, TP_SHAPE(k));
        tp_scope_end(c->tape);
        z = tp_dist_rsample_logprob(many, c, &log_q);
    } else {
        z = tp_dist_sample_n(q, c, k);
        log_q = tp_posterior_logprob(q, z);
    }
    tp_var logprob = tp_data_logprob(type->decode(self, c, TP_NAME(z)), x); /* [k, batch] each */
    return tp_log_weight(logprob, tp_prior_logprob(type->prior(self, c), z), TP_NAME(log_q));
}

tp_var tp_model_log_weight(const tp_model *m, tp_ctx *c, tp_var x, int64_t k)
{
    return tp_type_log_weight(m->type, m->self, c, x, k);
}

/* Both from one posterior, which may cost a search (models/infer.c). */
void tp_model_latents(const tp_model *m, tp_ctx *c, tp_var x, tp_var *code, tp_var *kl)
{
    const tp_model_type *type = m->type;
    bool mean = code != NULL && type->code == NULL;
    bool closed = type->kl == NULL && type->prior != NULL;
    tp_dist q = {0};
    *kl = (tp_var){0};
    if (type->posterior != NULL && (mean || closed))
        q = type->posterior(m->self, c, x);
    if (mean)
        *code = q.type != NULL ? tp_dist_mean(q) : (tp_var){0};
    else if (code != NULL)
        *code = type->code(m->self, c, x);
    if (type->kl != NULL) {
        *kl = type->kl(m->self, c, x);
    } else if (closed && q.type != NULL) {
        tp_dist p = type->prior(m->self, c);
        if (tp_kl_known(&q, &p))
            *kl = tp_kl_elements(q, p);
    }
}

bool tp_model_kl(const tp_model *m, tp_ctx *c, tp_var x, tp_var *kl)
{
    tp_model_latents(m, c, x, NULL, kl);
    return kl->tape != NULL;
}

/* --- over a data set ------------------------------------------------------------------------------------ */

/* log Σ e^x of what has been added, in double. */
typedef struct log_sum {
    double most, rest; /* e^most · rest */
} log_sum;

static void add(log_sum *s, double x)
{
    if (x > s->most) {
        s->rest = s->rest * exp(s->most - x) + 1;
        s->most = x;
    } else if (x != -INFINITY) { /* which adds nothing; −∞ − −∞ would be NaN */
        s->rest += exp(x - s->most);
    }
}

enum { CHUNK = 16 }; /* samples at a time: what a tape of them takes stays some megabytes */

/* Evaluates log p(x), or log w of some samples, in no-grad mode on an empty tape. */
static tp_status weigh(const tp_model *m, tp_ctx *c, const tp_batch *batch, int64_t k, tp_var *out)
{
    tp_tape_reset(c->tape);
    tp_no_grad_begin(c->tape);
    tp_var x = tp_constant(c->tape, &batch->x);
    *out = m->type->logprob != NULL ? m->type->logprob(m->self, c, x)
                                    : tp_model_log_weight(m, c, x, k);
    tp_no_grad_end(c->tape);
    return tp_var_status(*out);
}

/* Adds log p(x) of each example of a batch to *sum. */
static tp_status add_batch(const tp_model *m, tp_ctx *c, const tp_batch *batch, int64_t samples,
                           log_sum *each, double *sum)
{
    int64_t total = m->type->logprob != NULL ? 1 : samples;
    for (int64_t i = 0; i < batch->n; i++)
        each[i] = (log_sum){-INFINITY, 0};
    for (int64_t done = 0; done < total; done += CHUNK) {
        int64_t k = total - done < CHUNK ? total - done : CHUNK;
        tp_var log_w;
        TP_TRY(weigh(m, c, batch, k, &log_w));
        for (int64_t i = 0; i < k * batch->n; i++)
            add(&each[i % batch->n], tp_flat(tp_value(log_w), i));
    }
    for (int64_t i = 0; i < batch->n; i++)
        *sum += each[i].most + log(each[i].rest) - log((double)total);
    return TP_OK;
}

tp_status tp_model_nll(const tp_model *m, tp_tape *t, tp_batches *b, uint64_t seed, int64_t samples,
                       double *nll)
{
    double sum = 0;
    int64_t seen = 0;
    if (samples < 1)
        return tp_fail(TP_EARG, "log p(x) from %lld samples: 1 or more needed", (long long)samples);
    size_t bytes = (size_t)b->batch_size * sizeof(log_sum);
    log_sum *each = tp_alloc(bytes);
    tp_status s = each == NULL ? TP_ENOMEM : TP_OK;
    if (s != TP_OK)
        tp_fail_prefix("log p(x) of a data set: ");
    tp_batches_rewind(b);
    for (bool got = true; s == TP_OK && got;) {
        tp_batch batch;
        s = tp_batches_next(b, &batch, &got);
        if (s != TP_OK || !got)
            break;
        tp_ctx c = tp_ctx_eval(t, seed, (uint64_t)(seen / b->batch_size));
        c.index = &batch.index, c.labels = &batch.labels;
        s = add_batch(m, &c, &batch, samples, each, &sum);
        seen += batch.n;
    }
    tp_free(each, bytes);
    if (s == TP_OK)
        *nll = -sum / (double)seen;
    return s;
}
