/* evidence.c: log p(x) of a data set from weighted draws of the posterior: importance sampling.
 *
 * An example is encoded once, on the caller's tape; its draws are weighted on a tape of their own, some at a time, for which
 * q(z|x) and p(z) are data. Read next: uses.c for what a weight is, nn/objective/importance.c for weights in a loss. */
#include "models/uses.h"
#include "tensor/mem.h"

#include <math.h>

/* Rows of the decoder's input at a time: what one operation leaves for the next is still in the cache then. */
enum { ROWS = 512 };

/* --- the draws of one example --------------------------------------------------------------------------- */

typedef struct draws {
    double most, sum, squares; /* Σ w = e^most · sum, Σ w² = e^(2·most) · squares */
    double reconstruction, kl; /* sums of −log p(x|z) and log q − log p */
} draws;

static void add(draws *d, double logprob, double log_prior, double log_q)
{
    double log_w = logprob + log_prior - log_q;
    if (log_w > d->most) {
        double scale = exp(d->most - log_w);
        d->sum = d->sum * scale + 1;
        d->squares = d->squares * scale * scale + 1;
        d->most = log_w;
    } else if (log_w != -INFINITY) { /* which adds nothing; −∞ − −∞ would be NaN */
        double w = exp(log_w - d->most);
        d->sum += w;
        d->squares += w * w;
    }
    d->reconstruction -= logprob;
    d->kl += log_q - log_prior;
}

/* --- sums over examples ---------------------------------------------------------------------------------- */

/* The running mean is for the spread: infinite numbers have a sum, but make it NaN. */
typedef struct series {
    int64_t n;
    double sum, mean, spread; /* spread: Σ (x − mean)² */
} series;

static void append(series *s, double x)
{
    double d = x - s->mean;
    s->sum += x;
    s->mean += d / (double)++s->n;
    s->spread += d * (x - s->mean);
}

static double mean_of(const series *s)
{
    return s->n > 0 ? s->sum / (double)s->n : NAN;
}

static double error_of(const series *s)
{
    return s->n > 1 ? sqrt(s->spread / (double)(s->n - 1) / (double)s->n) : NAN;
}

typedef struct evidence {
    const tp_model *m;
    const tp_evidence_opts *opts;
    tp_tape *encoding, *weighing;
    int64_t size, batch_size;
    draws *of; /* [batch_size] */
    series nll, reconstruction, kl, elbo, effective;
    double least, variance; /* the latter a sum: of log p(x) by its draws */
    bool stopped;
} evidence;

static void note_nll(evidence *e, double nll)
{
    if (e->opts->each != NULL)
        e->opts->each[e->nll.n] = nll;
    append(&e->nll, nll);
}

/* Var log w̄ ≈ Var w̄ / w̄² = (n Σ w² / (Σ w)² − 1)/(n − 1) */
static void note_draws(evidence *e, const draws *d)
{
    double n = (double)e->opts->samples;
    double effective = d->sum > 0 ? d->sum * d->sum / d->squares : 0;
    note_nll(e, log(n) - log(d->sum) - d->most);
    append(&e->reconstruction, d->reconstruction / n);
    append(&e->kl, d->kl / n);
    append(&e->elbo, (d->reconstruction + d->kl) / n);
    append(&e->effective, effective);
    e->least = fmin(e->least, effective);
    e->variance += n > 1 ? fmax(n / effective - 1, 0) / (n - 1) : NAN;
}

static tp_evidence result(const evidence *e)
{
    double n = (double)e->nll.n;
    bool drawn = e->elbo.n > 0;
    return (tp_evidence){.examples = e->nll.n,
                         .nll = mean_of(&e->nll),
                         .nll_error = error_of(&e->nll),
                         .draws_error = drawn   ? sqrt(e->variance) / n
                                        : n > 0 ? 0
                                                : NAN,
                         .reconstruction = mean_of(&e->reconstruction),
                         .kl = mean_of(&e->kl),
                         .elbo_error = error_of(&e->elbo),
                         .effective = mean_of(&e->effective),
                         .least_effective = drawn ? e->least : NAN};
}

/* --- a batch --------------------------------------------------------------------------------------------- */

/* Values of k draws of n examples; the zero var is 0. */
static tp_status add_portion(evidence *e, const tp_log_densities *d, int64_t n, int64_t k)
{
    tp_var all[] = {d->logprob, d->log_prior, d->log_q};
    const tp_tensor *of[3];
    for (int j = 0; j < 3; j++) {
        of[j] = all[j].tape != NULL ? tp_value(all[j]) : NULL;
        if (all[j].tape != NULL)
            TP_TRY(tp_var_status(all[j]));
    }
    for (int64_t i = 0; i < n * k; i++) {
        double value[3];
        for (int j = 0; j < 3; j++)
            value[j] = of[j] != NULL ? tp_flat(of[j], i) : 0;
        add(&e->of[i % n], value[0], value[1], value[2]);
    }
    return TP_OK;
}

/* False: enough. */
static bool go_on(evidence *e, double examples)
{
    const tp_evidence_opts *o = e->opts;
    return o->on_progress == NULL || o->on_progress(o->user, examples / (double)e->size);
}

/* All draws of a batch; c is of its encoding. */
static tp_status draw(evidence *e, tp_ctx c, const tp_batch *batch, tp_dist q, tp_dist p)
{
    int64_t samples = e->opts->samples, portion = ROWS / e->batch_size;
    portion = portion > 0 ? portion : 1;
    for (int64_t i = 0; i < batch->n; i++)
        e->of[i] = (draws){.most = -INFINITY};
    c.tape = e->weighing;
    for (int64_t done = 0; done < samples && !e->stopped;) {
        int64_t k = samples - done < portion ? samples - done : portion;
        tp_tape_reset(c.tape);
        tp_no_grad_begin(c.tape);
        tp_log_densities d =
            tp_type_densities(e->m->type, e->m->self, &c, tp_dist_enter(q, c.tape),
                              tp_dist_enter(p, c.tape), tp_constant(c.tape, &batch->x), k);
        tp_no_grad_end(c.tape);
        TP_TRY(add_portion(e, &d, batch->n, k));
        done += k;
        double part = (double)done / (double)samples;
        e->stopped = !go_on(e, (double)e->nll.n + part * (double)batch->n);
    }
    for (int64_t i = 0; i < batch->n && !e->stopped; i++)
        note_draws(e, &e->of[i]);
    return TP_OK;
}

static tp_status add_exact(evidence *e, tp_var logprob)
{
    TP_TRY(tp_var_status(logprob));
    const tp_tensor *value = tp_value(logprob); /* [batch] */
    for (int64_t i = 0; i < tp_numel(value); i++)
        note_nll(e, -tp_flat(value, i));
    e->stopped = !go_on(e, (double)e->nll.n);
    return TP_OK;
}

static tp_status add_batch(evidence *e, tp_ctx c, const tp_batch *batch)
{
    const tp_model_type *type = e->m->type;
    tp_dist q = {0}, p = {0};
    tp_tape_reset(c.tape);
    tp_no_grad_begin(c.tape);
    tp_var x = tp_constant(c.tape, &batch->x), logprob = {0};
    if (e->opts->samples == 0)
        logprob = type->logprob(e->m->self, &c, x);
    else if (type->posterior != NULL)
        q = type->posterior(e->m->self, &c, x);
    if (e->opts->samples > 0 && type->densities == NULL)
        p = type->prior(e->m->self, &c);
    tp_no_grad_end(c.tape);
    return e->opts->samples == 0 ? add_exact(e, logprob) : draw(e, c, batch, q, p);
}

/* --- all of it --------------------------------------------------------------------------------------------- */

static tp_status add_batches(evidence *e, tp_batches *b)
{
    tp_batches_rewind(b);
    for (uint64_t number = 0; !e->stopped; number++) {
        tp_batch batch;
        bool got;
        TP_TRY(tp_batches_next(b, &batch, &got));
        if (!got)
            break;
        tp_ctx c = tp_ctx_eval(e->encoding, e->opts->seed, number);
        c.index = &batch.index, c.labels = &batch.labels;
        TP_TRY(add_batch(e, c, &batch));
    }
    return TP_OK;
}

static tp_status check(const tp_model_type *type, int64_t samples)
{
    if (samples < 0)
        return tp_fail(TP_EARG, "log p(x) from %lld samples: 1 or more needed", (long long)samples);
    if (samples == 0 && type->logprob == NULL)
        return tp_fail(TP_EARG, "model '%s' has no log p(x) in closed form", type->name);
    if (samples > 0 && !tp_model_has_weights(type))
        return tp_fail(TP_EARG, "model '%s' has no posterior over a latent variable with a prior",
                       type->name);
    return TP_OK;
}

tp_status tp_model_evidence(const tp_model *m, tp_tape *t, tp_batches *b, tp_evidence_opts opts,
                            tp_evidence *out)
{
    evidence e = {m, &opts, t, .size = b->size, .batch_size = b->batch_size, .least = INFINITY};
    TP_TRY(check(m->type, opts.samples));
    size_t bytes = (size_t)b->batch_size * sizeof *e.of;
    e.of = tp_alloc(bytes);
    tp_status s = e.of == NULL ? TP_ENOMEM : tp_tape_new(&e.weighing);
    if (s == TP_OK) {
        bool trap = tp_tape_trap(t, false);
        tp_tape_trap(t, trap);
        tp_tape_trap(e.weighing, trap);
        s = add_batches(&e, b);
    }
    if (s == TP_OK)
        *out = result(&e);
    else
        tp_fail_prefix("log p(x) of a data set: ");
    tp_tape_free(e.weighing);
    tp_free(e.of, bytes);
    return s;
}

tp_status tp_model_nll(const tp_model *m, tp_tape *t, tp_batches *b, uint64_t seed, int64_t samples,
                       double *nll)
{
    tp_evidence found;
    if (samples < 1)
        return tp_fail(TP_EARG, "log p(x) from %lld samples: 1 or more needed", (long long)samples);
    bool exact = m->type->logprob != NULL;
    tp_evidence_opts opts = {.seed = seed, .samples = exact ? 0 : samples};
    TP_TRY(tp_model_evidence(m, t, b, opts, &found));
    *nll = found.nll;
    return TP_OK;
}
