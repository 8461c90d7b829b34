/* measure.h: what is measured on a model beside its loss. Read next: measure.c. */
#ifndef VAE_MEASURE_H
#define VAE_MEASURE_H

#include "run.h"

/* Per latent dimension, over a data set. Zero-initialise; freed with latents_free. */
typedef struct latents {
    int64_t dims, samples;
    double *mean;   /* of E_q[z|x] over x */
    double *spread; /* Σ (E_q[z|x] − mean)² */
    double *kl;     /* mean KL in nats; NULL if the model has none */
    int64_t
        active; /* dimensions whose variance of E_q[z|x] over x is above 0.01 (Burda et al. 2016) */
} latents;

tp_status measure_latents(run *r, tp_batches *b, bool has_kl, latents *l);
void latents_free(latents *l);

/* Mean −log p(x) in nats over r->test for the independent pixels of r->train: each has the mean of the training
 * pixel as its probability, clipped to [0.001, 0.999]; both binarized as for measuring. The value that every
 * Bernoulli decoder should beat by far. */
tp_status factorised_bernoulli(const run *r, double *nll);

/* The value of a term of an epoch, or NULL if the model has none of that name. */
const double *stats_term(const tp_stats *s, const char *name);

#endif
