/* measure.h: what is measured on a model beside its loss. Read next: measure.c. */
#ifndef VAE_MEASURE_H
#define VAE_MEASURE_H

#include "run.h"

/* What a model's latent variables are used for, over a data set. Zero-initialise; freed with latents_free. */
typedef struct latents {
    bool posterior; /* there is a q(z|x): a term "kl" is its KL to the prior */
    int64_t samples;
    int64_t dims;   /* numbers of the code; 0: there is none, or z is not made of real numbers */
    double *mean;   /* of the code (mostly E_q[z|x]) over x */
    double *spread; /* Σ (code − mean)² */
    int64_t kl_dims;
    double *kl; /* mean KL(q(z|x) ‖ p(z)) in nats by dimension; NULL if there is no closed form */
    int64_t
        active; /* dimensions whose variance of the code over x is above 0.01 (Burda et al. 2016) */
} latents;

tp_status measure_latents(run *r, tp_batches *b, latents *l);
void latents_free(latents *l);

/* The whole KL in nats: the sum over the dimensions, else the objective's term "kl", else NaN. */
double latents_kl(const latents *l, const tp_stats *s);

/* Posterior collapse: q(z|x) is the same for every x, and what is decoded has nothing to do with it. It is said of a KL
 * below half a nat, or of codes whose variances over x add up to less than 0.01. Not of having no active dimension: 400
 * of them can share a few nats. A run in its first 100 steps is not judged, nor a model without a KL. */
enum { USE_STEPS = 100 };
typedef enum use { USE_UNKNOWN, USE_COLLAPSED, USE_FINE } use;
use latents_use(const latents *l, const tp_stats *s, uint64_t step);

/* Begins a fresh model with the output bias that the settings ask for: of the mean training image, binarized as for
 * measuring. TP_EARG if the model has none. */
tp_status set_output_bias(run *r);

/* Mean −log p(x) in nats over r->test for the independent pixels of r->train: each has the mean of the training
 * pixel as its probability, clipped to [0.001, 0.999]; both binarized as for measuring. The value that every
 * Bernoulli decoder should beat by far. */
tp_status factorised_bernoulli(const run *r, double *nll);

/* The value of a term of an epoch, or NULL if the model has none of that name. */
const double *stats_term(const tp_stats *s, const char *name);

#endif
