/* ais.c: see ais.h. One walk over the temperatures serves both directions: read walk first. */
#include "models/ais.h"
#include "autograd/compose.h"
#include "models/uses.h"
#include "nn/dist_type.h"
#include "nn/hmc.h"
#include "tensor/mem.h"

#include <math.h>
#include <string.h>

tp_ais_opts tp_ais_defaults(void)
{
    return (tp_ais_opts){.chains = 16,
                         .temperatures = 1000,
                         .leapfrog = 10,
                         .sharpness = 4,
                         .acceptance = 0.65,
                         .pilot = 4};
}

/* σ(a) − σ(−δ) = (1 + tanh(a/2))/2 − …, by which the ends are exact. */
double tp_ais_beta(const tp_ais_opts *o, int64_t t)
{
    double at = 2 * (double)t / (double)o->temperatures - 1;
    return t == o->temperatures ? 1
                                : 0.5 * (1 + tanh(o->sharpness * at / 2) / tanh(o->sharpness / 2));
}

bool tp_model_has_ais(const tp_model_type *type)
{
    return type->prior != NULL && type->decode != NULL && !type->discrete;
}

static tp_status check_type(const tp_model *m, const tp_tensor *labels)
{
    const tp_model_type *type = m->type;
    const char *lacks = type->prior == NULL    ? "prior p(z)"
                        : type->decode == NULL ? "decoder"
                        : type->discrete       ? "latents that are real numbers"
                                               : NULL;
    if (lacks != NULL)
        return tp_fail(TP_EARG, "model '%s' has no %s", type->name, lacks);
    if (type->labels && (labels == NULL || labels->storage == NULL))
        return tp_fail(TP_EARG, "model '%s' wants labels, and there are none", type->name);
    return TP_OK;
}

/* --- distributions that outlive a tape -------------------------------------------------------------------- */

/* A distribution and the values of its parameters: a prior or posterior is computed once, and entered on each tape. */
typedef struct kept {
    tp_dist d;
    tp_tensor value[TP_DIST_PARAMS];
} kept;

/* What is of d: "prior", "posterior". Events must be vectors whose density is known everywhere. */
static tp_status keep(kept *k, tp_dist d, const tp_model *m, const char *what)
{
    char text[TP_SHAPE_TEXT];
    for (int i = 0; i < TP_DIST_PARAMS; i++)
        if (d.param[i].tape != NULL) {
            TP_TRY(tp_var_status(d.param[i]));
            TP_TRY(tp_clone(&k->value[i], tp_value(d.param[i])));
        }
    if (d.flows > 0)
        return tp_fail(TP_EARG,
                       "the %s of '%s' goes through flows: its density at any z is not known", what,
                       m->type->name);
    if (d.event_dims != 1)
        return tp_fail(TP_ESHAPE, "the %s of '%s' draws %s: vectors needed", what, m->type->name,
                       tp_shape_text(tp_dist_shape(&d), text));
    k->d = d;
    return TP_OK;
}

static void drop(kept *k)
{
    for (int i = 0; i < TP_DIST_PARAMS; i++)
        tp_tensor_free(&k->value[i]);
}

static tp_dist enter(const kept *k, tp_tape *t)
{
    tp_dist d = k->d;
    for (int i = 0; i < TP_DIST_PARAMS; i++)
        if (k->value[i].storage != NULL)
            d.param[i] = tp_constant(t, &k->value[i]);
    return d;
}

/* --- the densities ---------------------------------------------------------------------------------------- */

typedef struct problem {
    const tp_model *m;
    tp_tape *tape;
    const tp_batch *batch;
    tp_ais_opts o;
    tp_ais_result *r;
    kept prior, q;         /* q: without type unless chains start there */
    int64_t nz, *number;   /* latent dimensions; of the examples: their streams */
    double *step;          /* [temperatures, n]: sizes of the leapfrog steps */
    double *log_w;         /* [chains, n] */
    double done, whole;    /* chains times temperatures */
    double accepted, seen; /* of transitions that count */
} problem;

static tp_ctx context(const problem *p)
{
    tp_ctx c = tp_ctx_eval(p->tape, p->o.seed, 0);
    c.index = &p->batch->index, c.labels = &p->batch->labels;
    return c;
}

/* part[0] = log f_0, part[1] = log f_1 − log f_0 */
static void record(void *user, tp_ctx *c, tp_var z, tp_var *part)
{
    const problem *p = user;
    c->index = &p->batch->index, c->labels = &p->batch->labels;
    tp_var x = tp_constant(c->tape, &p->batch->x);
    tp_var logprob = tp_data_logprob(tp_model_decode(p->m, c, z), x); /* [chains, n] each */
    tp_var log_p = tp_prior_logprob(enter(&p->prior, c->tape), z);
    part[0] = log_p, part[1] = logprob;
    if (p->q.d.type == NULL)
        return;
    part[0] = tp_posterior_logprob(enter(&p->q, c->tape), z);
    part[1] = tp_log_weight(logprob, log_p, part[0]);
}

static tp_status find_densities(problem *p)
{
    char a[TP_SHAPE_TEXT];
    tp_tape_reset(p->tape);
    tp_no_grad_begin(p->tape);
    tp_ctx c = context(p);
    TP_TRY(keep(&p->prior, tp_model_prior(p->m, &c), p->m, "prior"));
    tp_shape prior = tp_dist_shape(&p->prior.d), s;
    if (prior.ndim != 1)
        return tp_fail(TP_ESHAPE, "the prior of '%s' draws %s: one vector needed", p->m->type->name,
                       tp_shape_text(prior, a));
    p->nz = prior.dim[0];
    if (!p->o.posterior)
        return TP_OK;
    TP_TRY(keep(&p->q, tp_model_posterior(p->m, &c, tp_constant(p->tape, &p->batch->x)), p->m,
                "posterior"));
    s = tp_dist_shape(&p->q.d);
    if (!tp_shape_equal(s, TP_SHAPE(p->batch->n, p->nz)))
        return tp_fail(TP_ESHAPE,
                       "the posterior of '%s' draws %s: one vector for each example needed",
                       p->m->type->name, tp_shape_text(s, a));
    return TP_OK;
}

/* --- where chains start ----------------------------------------------------------------------------------- */

/* Runs have draws of their own. */
enum { PILOT, FORWARD, BACK };

#define NUMBERS 0x1p40 /* of examples, each with a stream */

/* The stream of a run; the number of the example is added to the step. */
static tp_rng_key run_key(const problem *p, int run)
{
    tp_rng_key key = tp_stream_key(p->o.seed, TP_STREAM_CHAIN, (uint64_t)run * (uint64_t)NUMBERS);
    key.draw = 8; /* those before are for the start */
    return key;
}

/* f_0 of example j alone. */
static tp_dist start_of(const problem *p, int64_t j)
{
    if (p->q.d.type == NULL)
        return enter(&p->prior, p->tape); /* [nz] */
    tp_dist d = enter(&p->q, p->tape);
    for (int i = 0; i < TP_DIST_PARAMS; i++)
        if (d.param[i].tape != NULL)
            d.param[i] = tp_slice(d.param[i], 0, j, j + 1, 1); /* [1, nz] */
    return d;
}

/* z [chains, n, nz] ~ f_0; each example draws from its own stream. */
static tp_status draw_start(problem *p, int run, tp_tensor *z)
{
    tp_tensor to, from;
    int64_t chains = z->shape.dim[0];
    for (int64_t j = 0; j < p->batch->n; j++) {
        tp_tape_reset(p->tape);
        tp_no_grad_begin(p->tape);
        tp_ctx c = context(p);
        c.key = run_key(p, run);
        c.key.step += (uint64_t)p->number[j];
        c.key.draw = 0;
        tp_var drawn = tp_dist_sample_n(start_of(p, j), &c, chains);
        drawn = tp_reshape(drawn, TP_SHAPE(chains, p->nz));
        TP_TRY(tp_var_status(drawn));
        from = *tp_value(drawn);
        TP_TRY(tp_view_select(z, 1, j, &to));
        TP_TRY(tp_copy(&to, &from));
    }
    return TP_OK;
}

/* --- the walk ----------------------------------------------------------------------------------------------- */

/* One transition on f_t: with the sizes of the pilot, or those that it or this run finds on its way. */
static tp_status transition(problem *p, tp_hmc *h, int run, int64_t t)
{
    int64_t n = p->batch->n;
    bool adapts = run == PILOT || p->o.pilot == 0;
    double *step = tp_data_mut(&h->step), *table = p->step + t * n;
    memcpy(adapts ? table : step, adapts ? step : table, (size_t)n * sizeof *step);
    h->weight[1] = tp_ais_beta(&p->o, t);
    TP_TRY(tp_hmc_step(h));
    if (adapts)
        tp_hmc_adapt(h, p->o.acceptance);
    for (int64_t j = 0; j < n && run != PILOT; j++)
        p->accepted += ((const double *)tp_data(&h->accepted))[j];
    p->seen += run != PILOT ? (double)n : 0;
    return TP_OK;
}

/* Forward over t = 1 … T: the weight gains (β_t − β_{t−1})·log f_1/f_0, then a transition on f_t. Back over t = T … 1: the
 * same gain, then a transition on f_{t−1}. At the far end none is needed. */
static tp_status walk(problem *p, tp_hmc *h, int run)
{
    int64_t chains = h->at.z.shape.dim[0], T = p->o.temperatures, n = p->batch->n;
    memset(p->log_w, 0, (size_t)(chains * n) * sizeof *p->log_w);
    for (int64_t i = 1; i <= T && !p->r->stopped; i++) {
        int64_t t = run == BACK ? T + 1 - i : i;
        double gain = tp_ais_beta(&p->o, t) - tp_ais_beta(&p->o, t - 1);
        const double *log_ratio = tp_data(&h->at.part[1]);
        for (int64_t k = 0; k < chains * n && gain > 0; k++) /* 0 · −∞ would be NaN */
            p->log_w[k] += gain * log_ratio[k];
        if (i < T)
            TP_TRY(transition(p, h, run, run == BACK ? t - 1 : t));
        p->done += (double)chains;
        if (p->o.on_progress != NULL && !p->o.on_progress(p->o.user, p->done / p->whole))
            p->r->stopped = true;
    }
    return TP_OK;
}

/* Walks from z [chains, n, nz]. */
static tp_status run_from(problem *p, int run, const tp_tensor *z)
{
    tp_hmc h;
    tp_hmc_opts o = tp_hmc_defaults();
    tp_hmc_density density = {.record = record, .user = p, .parts = 2};
    o.leapfrog = p->o.leapfrog, o.step = 0.1, o.number = p->number, o.key = run_key(p, run);
    TP_TRY(tp_hmc_init(&h, p->tape, density, o, z));
    if (run == BACK) /* sizes that it may change from where the way there ended */
        memcpy(tp_data_mut(&h.step), p->step + (p->o.temperatures - 1) * p->batch->n,
               (size_t)p->batch->n * sizeof(double));
    tp_status s = walk(p, &h, run);
    tp_hmc_free(&h);
    return s;
}

/* From draws of f_0. */
static tp_status run_out(problem *p, int run, int64_t chains)
{
    tp_tensor z;
    TP_TRY(tp_tensor_new(&z, p->prior.value[0].dtype, TP_SHAPE(chains, p->batch->n, p->nz)));
    tp_status s = draw_start(p, run, &z);
    if (s == TP_OK)
        s = run_from(p, run, &z);
    tp_tensor_free(&z);
    return s;
}

/* From a draw of p(z|x), the same for all chains. */
static tp_status run_back(problem *p, const tp_tensor *z)
{
    tp_tensor all;
    TP_TRY(tp_view_expand(z, TP_SHAPE(p->o.chains, p->batch->n, p->nz), &all));
    return run_from(p, BACK, &all);
}

/* --- the bounds --------------------------------------------------------------------------------------------- */

/* log 1/K Σ_k e^{sign·log w_k} of example j, and (Σw)²/Σw². */
static double log_mean(const problem *p, int64_t j, double sign, double *effective)
{
    int64_t n = p->batch->n, chains = p->o.chains;
    double most = -INFINITY, sum = 0, squares = 0;
    for (int64_t k = 0; k < chains; k++) {
        double log_w = sign * p->log_w[k * n + j];
        most = log_w > most || isnan(log_w) ? log_w : most;
    }
    if (!isfinite(most)) { /* −∞ − −∞ would be NaN */
        *effective = 0;
        return most;
    }
    for (int64_t k = 0; k < chains; k++) {
        double w = exp(sign * p->log_w[k * n + j] - most);
        sum += w, squares += w * w;
    }
    *effective = sum * sum / squares;
    return most + log(sum / (double)chains);
}

static tp_status find_bounds(problem *p, const tp_tensor *z)
{
    double effective;
    char text[TP_SHAPE_TEXT];
    TP_TRY(find_densities(p));
    tp_dtype dtype = p->prior.value[0].dtype;
    if (p->r->upper != NULL && z->dtype != dtype)
        return tp_fail(TP_EDTYPE, "z is %s, and the model %s", tp_dtype_name(z->dtype),
                       tp_dtype_name(dtype));
    if (p->r->upper != NULL && z->shape.dim[1] != p->nz)
        return tp_fail(TP_ESHAPE, "z has shape %s, and the prior %lld dimensions",
                       tp_shape_text(z->shape, text), (long long)p->nz);
    if (p->o.pilot > 0 && p->o.temperatures > 1)
        TP_TRY(run_out(p, PILOT, p->o.pilot));
    if (!p->r->stopped)
        TP_TRY(run_out(p, FORWARD, p->o.chains));
    for (int64_t j = 0; j < p->batch->n && !p->r->stopped; j++) {
        p->r->lower[j] = log_mean(p, j, 1, &effective);
        p->r->effective += effective / (double)p->batch->n;
    }
    if (p->r->upper != NULL && !p->r->stopped)
        TP_TRY(run_back(p, z));
    for (int64_t j = 0; j < p->batch->n && p->r->upper != NULL && !p->r->stopped; j++)
        p->r->upper[j] = -log_mean(p, j, -1, &effective);
    p->r->acceptance = p->accepted / p->seen; /* NaN without transitions */
    return TP_OK;
}

static tp_status check_opts(const tp_ais_opts *o)
{
    if (o->chains < 1 || o->temperatures < 1 || o->leapfrog < 1 || o->pilot < 0)
        return tp_fail(
            TP_EARG,
            "%lld chains, %lld temperatures, %lld leapfrog steps, %lld chains of pilot: at least "
            "1, 1, 1 and 0 needed",
            (long long)o->chains, (long long)o->temperatures, (long long)o->leapfrog,
            (long long)o->pilot);
    if (o->temperatures > INT32_MAX)
        return tp_fail(TP_EARG, "%lld temperatures: at most %d possible",
                       (long long)o->temperatures, INT32_MAX);
    if (!(o->sharpness >= 1e-6 && o->sharpness <= 30)) /* beyond, temperatures fall together */
        return tp_fail(TP_EARG, "sharpness %g: from 1e-6 to 30 needed", o->sharpness);
    if (!(o->acceptance > 0 && o->acceptance < 1))
        return tp_fail(TP_EARG, "acceptance %g: above 0 and below 1 needed", o->acceptance);
    return TP_OK;
}

static tp_status check_inputs(const tp_batch *b, const tp_tensor *z, const tp_ais_result *r)
{
    char text[TP_SHAPE_TEXT];
    if (b->n < 1 || b->x.shape.ndim != 2 || b->x.shape.dim[0] != b->n)
        return tp_fail(TP_ESHAPE, "%lld examples in x %s: [n, data_dim] with n > 0 needed",
                       (long long)b->n, tp_shape_text(b->x.shape, text));
    bool numbered = b->index.storage != NULL;
    if (numbered && !tp_shape_equal(b->index.shape, TP_SHAPE(b->n)))
        return tp_fail(TP_ESHAPE, "the index of %lld examples has shape %s", (long long)b->n,
                       tp_shape_text(b->index.shape, text));
    for (int64_t j = 0; numbered && j < b->n; j++) {
        double number = tp_flat(&b->index, j);
        if (!(number >= 0 && number < NUMBERS))
            return tp_fail(TP_EARG, "index %g of example %lld: from 0 to 2^40 - 1 needed", number,
                           (long long)j);
    }
    if (r->upper != NULL && (z == NULL || z->shape.ndim != 2 || z->shape.dim[0] != b->n))
        return tp_fail(TP_ESHAPE, "an upper bound needs z [n, nz] from p(z|x), got %s",
                       z == NULL ? "none" : tp_shape_text(z->shape, text));
    return TP_OK;
}

/* Memory of the problem: streams, sizes and weights. */
static tp_status solve(problem *p, const tp_tensor *z)
{
    size_t n = (size_t)p->batch->n,
           most = (size_t)(p->o.chains > p->o.pilot ? p->o.chains : p->o.pilot);
    size_t temperatures = (size_t)p->o.temperatures;
    if (most > SIZE_MAX / sizeof(double) / n || temperatures > SIZE_MAX / sizeof(double) / n)
        return tp_fail(TP_ENOMEM, "too many chains or temperatures");
    p->number = tp_alloc(n * sizeof *p->number);
    p->step = tp_alloc_zero(temperatures * n * sizeof *p->step);
    p->log_w = tp_alloc(most * n * sizeof *p->log_w);
    tp_status s = p->number == NULL || p->step == NULL || p->log_w == NULL ? TP_ENOMEM : TP_OK;
    for (int64_t j = 0; s == TP_OK && j < p->batch->n; j++)
        p->number[j] = p->batch->index.storage != NULL ? (int64_t)tp_flat(&p->batch->index, j) : j;
    if (s == TP_OK)
        s = find_bounds(p, z);
    tp_free(p->number, n * sizeof *p->number);
    tp_free(p->step, temperatures * n * sizeof *p->step);
    tp_free(p->log_w, most * n * sizeof *p->log_w);
    drop(&p->prior);
    drop(&p->q);
    return s;
}

tp_status tp_model_ais(const tp_model *m, tp_tape *t, const tp_batch *batch, const tp_tensor *z,
                       tp_ais_opts o, tp_ais_result *r)
{
    problem p = {.m = m, .tape = t, .batch = batch, .o = o, .r = r};
    double walks = 1 + (r->upper != NULL);
    p.whole = (walks * (double)o.chains + (o.temperatures > 1 ? (double)o.pilot : 0)) *
              (double)o.temperatures;
    r->acceptance = r->effective = 0;
    r->stopped = false;
    tp_status s = check_type(m, &batch->labels);
    if (s == TP_OK)
        s = check_opts(&o);
    if (s == TP_OK)
        s = check_inputs(batch, z, r);
    if (s == TP_OK)
        s = solve(&p, z);
    tp_tape_reset(t); /* gradients are recorded again */
    if (s != TP_OK)
        tp_fail_prefix("annealed importance sampling: ");
    return s;
}

/* --- data of the model's own ---------------------------------------------------------------------------------- */

static tp_status simulate(const tp_model *m, tp_ctx *c, int64_t n, tp_tensor *z, tp_tensor *x)
{
    tp_var drawn = tp_dist_sample_n(tp_model_prior(m, c), c, n);
    tp_var data = tp_data_sample(tp_model_decode(m, c, drawn), c);
    TP_TRY(tp_tape_status(c->tape));
    TP_TRY(tp_clone(z, tp_value(drawn)));
    tp_status s = tp_clone(x, tp_value(data));
    if (s != TP_OK)
        tp_tensor_free(z);
    return s;
}

tp_status tp_model_simulate(const tp_model *m, tp_tape *t, const tp_tensor *labels, int64_t n,
                            uint64_t seed, tp_tensor *z, tp_tensor *x)
{
    tp_status s = check_type(m, labels);
    tp_tape_reset(t);
    tp_no_grad_begin(t);
    tp_ctx c = tp_ctx_eval(t, seed, 0);
    c.key = tp_stream_key(seed, TP_STREAM_SAMPLE, 0);
    c.labels = labels;
    if (s == TP_OK)
        s = simulate(m, &c, n, z, x);
    tp_tape_reset(t);
    if (s != TP_OK)
        tp_fail_prefix("simulated data: ");
    return s;
}
