/* measure.c: active units, KL per dimension, and the baseline of independent pixels.
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

static tp_status latents_make(latents *l, int64_t dims, bool has_kl)
{
    size_t n = (size_t)dims;
    *l = (latents){.dims = dims,
                   .mean = calloc(n, sizeof(double)),
                   .spread = calloc(n, sizeof(double)),
                   .kl = has_kl ? calloc(n, sizeof(double)) : NULL};
    if (l->mean != NULL && l->spread != NULL && (l->kl != NULL || !has_kl))
        return TP_OK;
    latents_free(l);
    return tp_fail(TP_ENOMEM, "no memory for %lld latent dimensions", (long long)dims);
}

/* Running means and sums of squares after Welford, row by row, so that threads do not matter. */
static void add_batch(latents *l, const tp_tensor *mu, const tp_tensor *kl)
{
    for (int64_t i = 0; i < mu->shape.dim[0]; i++) {
        double weight = 1.0 / (double)++l->samples;
        for (int64_t j = 0; j < l->dims; j++) {
            double x = tp_flat(mu, i * l->dims + j), d = x - l->mean[j];
            l->mean[j] += d * weight;
            l->spread[j] += d * (x - l->mean[j]);
            if (kl != NULL)
                l->kl[j] += (tp_flat(kl, i * l->dims + j) - l->kl[j]) * weight;
        }
    }
}

static tp_status measure_batch(run *r, const tp_batch *batch, latents *l)
{
    tp_tape_reset(r->tape);
    tp_no_grad_begin(r->tape);
    tp_ctx c = tp_ctx_eval(r->tape, r->o.seed, 0);
    tp_normal q = tp_model_encode(&r->model, &c, tp_constant(r->tape, &batch->x)); /* [n, nz] */
    tp_var elements = l->kl != NULL ? tp_normal_kl_std_elements(q) : q.mu;
    tp_no_grad_end(r->tape);
    TP_TRY(tp_var_status(elements));
    add_batch(l, tp_value(q.mu), l->kl != NULL ? tp_value(elements) : NULL);
    return TP_OK;
}

tp_status measure_latents(run *r, tp_batches *b, bool has_kl, latents *l)
{
    TP_TRY(latents_make(l, r->o.latent_dim, has_kl));
    tp_batches_rewind(b);
    for (;;) {
        tp_batch batch;
        bool got;
        tp_status s = tp_batches_next(b, &batch, &got);
        if (s == TP_OK && got)
            s = measure_batch(r, &batch, l);
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

/* --- the baseline ------------------------------------------------------------------------------- */

/* Mean of every pixel, in [0,1]. Sums of bytes are exact. */
static double *pixel_means(const tp_dataset *d)
{
    int64_t n = tp_dataset_size(d), width = tp_dataset_width(d);
    const unsigned char *x = tp_data(&d->x);
    double *mean = calloc((size_t)width, sizeof *mean);
    for (int64_t i = 0; i < n && mean != NULL; i++)
        for (int64_t j = 0; j < width; j++)
            mean[j] += x[i * width + j];
    for (int64_t j = 0; j < width && mean != NULL; j++)
        mean[j] /= 255.0 * (double)n;
    return mean;
}

tp_status factorised_bernoulli(const tp_dataset *train, const tp_dataset *test, double *nll)
{
    double *p = pixel_means(train), *x = pixel_means(test), sum = 0;
    for (int64_t j = 0; j < tp_dataset_width(test) && p != NULL && x != NULL; j++) {
        double q = fmin(fmax(p[j], 1e-3), 1 - 1e-3);
        sum -= x[j] * log(q) + (1 - x[j]) * log1p(-q); /* linear in x: the mean picture is enough */
    }
    tp_status s =
        p != NULL && x != NULL ? TP_OK : tp_fail(TP_ENOMEM, "no memory for mean pictures");
    free(p);
    free(x);
    *nll = sum;
    return s;
}
