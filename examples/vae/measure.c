/* measure.c: active units, KL per dimension, whether the posterior has collapsed, and what is made of mean pixels: the
 * baseline of independent pixels, and an output bias to begin with.
 *
 * The objective itself is measured by tp_evaluate. Read next: eval.c. */
#include "measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const double *stats_term(const tp_stats *s, const char *name)
{
    for (int i = 0; i < s->terms; i++)
        if (strcmp(s->name[i], name) == 0)
            return &s->term[i];
    return NULL;
}

/* --- latent dimensions -------------------------------------------------------------------------- */

void latents_free(latents *l)
{
    free(l->mean);
    free(l->spread);
    free(l->kl);
    *l = (latents){0};
}

/* Zeros; NULL for none. */
static tp_status zeros(double **to, int64_t n)
{
    *to = n > 0 ? calloc((size_t)n, sizeof **to) : NULL;
    return *to != NULL || n == 0
               ? TP_OK
               : tp_fail(TP_ENOMEM, "no memory for %lld latent dimensions", (long long)n);
}

static tp_status latents_make(latents *l, int64_t dims, int64_t kl_dims)
{
    l->dims = dims;
    l->kl_dims = kl_dims;
    TP_TRY(zeros(&l->mean, dims));
    TP_TRY(zeros(&l->spread, dims));
    return zeros(&l->kl, kl_dims);
}

/* Numbers of one example. */
static int64_t width_of(const tp_tensor *t)
{
    return t == NULL ? 0 : tp_numel(t) / t->shape.dim[0];
}

/* Running means and sums of squares after Welford, row by row, so that threads do not matter. */
static void add_batch(latents *l, int64_t n, const tp_tensor *code, const tp_tensor *kl)
{
    for (int64_t i = 0; i < n; i++) {
        double weight = 1.0 / (double)++l->samples;
        for (int64_t j = 0; j < l->dims; j++) {
            double x = tp_flat(code, i * l->dims + j), d = x - l->mean[j];
            l->mean[j] += d * weight;
            l->spread[j] += d * (x - l->mean[j]);
        }
        for (int64_t j = 0; j < l->kl_dims; j++)
            l->kl[j] += (tp_flat(kl, i * l->kl_dims + j) - l->kl[j]) * weight;
    }
}

static tp_status measure_batch(run *r, const tp_batch *batch, uint64_t number, latents *l)
{
    const tp_tensor *code = NULL, *kl = NULL;
    tp_var z, elements;
    tp_tape_reset(r->tape);
    tp_no_grad_begin(r->tape);
    tp_ctx c = tp_ctx_eval(r->tape, r->o.seed, number);
    c.index = &batch->index;
    c.labels = &batch->labels;
    tp_var x = tp_constant(r->tape, &batch->x);
    tp_model_latents(&r->model, &c, x, &z, &elements); /* [n, nz], [n, dims] */
    tp_no_grad_end(r->tape);
    TP_TRY(tp_tape_status(r->tape));
    if (z.tape != NULL && !r->model.type->discrete)
        code = tp_value(z);
    if (elements.tape != NULL)
        kl = tp_value(elements);
    if (number == 0)
        TP_TRY(latents_make(l, width_of(code), width_of(kl)));
    add_batch(l, batch->n, code, kl);
    return TP_OK;
}

tp_status measure_latents(run *r, tp_batches *b, latents *l)
{
    *l = (latents){.posterior = r->model.type->posterior != NULL};
    tp_batches_rewind(b);
    for (uint64_t number = 0;; number++) {
        tp_batch batch;
        bool got;
        tp_status s = tp_batches_next(b, &batch, &got);
        if (s == TP_OK && got)
            s = measure_batch(r, &batch, number, l);
        if (s != TP_OK) {
            latents_free(l);
            return s;
        }
        if (!got)
            break;
    }
    for (int64_t j = 0; j < l->dims; j++)
        l->active += l->spread[j] / (double)l->samples > 0.01;
    return TP_OK;
}

double latents_kl(const latents *l, const tp_stats *s)
{
    const double *term = l->posterior ? stats_term(s, "kl") : NULL;
    double sum = 0;
    for (int64_t j = 0; j < l->kl_dims; j++)
        sum += l->kl[j];
    return l->kl != NULL ? sum : term != NULL ? *term : NAN;
}

use latents_use(const latents *l, const tp_stats *s, uint64_t step)
{
    double kl = latents_kl(l, s), variance = 0;
    if (isnan(kl) || step < USE_STEPS)
        return USE_UNKNOWN;
    for (int64_t j = 0; j < l->dims; j++)
        variance += l->spread[j] / (double)l->samples;
    return kl < 0.5 || (l->dims > 0 && variance < 0.01) ? USE_COLLAPSED : USE_FINE;
}

/* --- the baseline ------------------------------------------------------------------------------- */

/* Adds all pictures of an epoch to sum. */
static tp_status add_pictures(tp_batches *b, double *sum)
{
    int64_t width = tp_dataset_width(b->data);
    for (;;) {
        tp_batch batch;
        bool got;
        TP_TRY(tp_batches_next(b, &batch, &got));
        if (!got)
            return TP_OK;
        const double *x = tp_data(&batch.x);
        for (int64_t i = 0; i < batch.n * width; i++)
            sum[i % width] += x[i];
    }
}

/* Mean of every pixel, in [0,1], binarized as for measuring. The caller frees it. */
static tp_status pixel_means(const run *r, const tp_dataset *d, double **out)
{
    int64_t width = tp_dataset_width(d);
    tp_batches b;
    double *mean = calloc((size_t)width, sizeof *mean);
    if (mean == NULL)
        return tp_fail(TP_ENOMEM, "no memory for mean pictures");
    tp_status s = run_batches(r, &b, d, 100, TP_F64);
    if (s == TP_OK) {
        s = add_pictures(&b, mean);
        tp_batches_free(&b);
    }
    for (int64_t j = 0; j < width; j++)
        mean[j] /= (double)tp_dataset_size(d);
    if (s == TP_OK)
        *out = mean;
    else
        free(mean);
    return s;
}

tp_status factorised_bernoulli(const run *r, double *nll)
{
    double *p = NULL, *x = NULL, sum = 0;
    tp_status s = pixel_means(r, &r->train, &p);
    if (s == TP_OK)
        s = pixel_means(r, &r->test, &x);
    for (int64_t j = 0; s == TP_OK && j < tp_dataset_width(&r->test); j++) {
        double q = fmin(fmax(p[j], 1e-3), 1 - 1e-3);
        sum -= x[j] * log(q) + (1 - x[j]) * log1p(-q); /* linear in x: the mean picture is enough */
    }
    free(p);
    free(x);
    *nll = sum;
    return s;
}

/* --- the output bias ---------------------------------------------------------------------------- */

tp_status set_output_bias(run *r)
{
    double *mean;
    if (r->o.output_bias == BIAS_INIT)
        return TP_OK;
    TP_TRY(pixel_means(r, &r->train, &mean));
    tp_status s = tp_model_output_bias(&r->model, mean);
    if (s != TP_OK)
        tp_fail_prefix("--output-bias mean: ");
    free(mean);
    return s;
}
