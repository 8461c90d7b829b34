/* eval.h: what "vae eval" measures, for others that show it. Read next: eval.c. */
#ifndef VAE_EVAL_H
#define VAE_EVAL_H

#include "measure.h"

/* What is measured beside the loss. Zero-initialise; latents_free(&m.latents) when done. */
typedef struct evaluation {
    tp_stats stats;
    latents latents;
    tp_evidence elbo; /* the draws'; of no examples if the model has none */
    tp_evidence nll;  /* the same, or exact; of no examples if nobody has asked */
    int64_t draws;
    bool has_baseline;
    double baseline; /* nats */
} evaluation;

/* On the images of b, from o.importance draws for each, or a few. */
tp_status eval_measure(run *r, tp_batches *b, evaluation *m);
/* Whether the images that are shown are neither bits nor made ones: a Bernoulli likelihood of them is no log p(x). */
bool eval_of_grey(const run *r);

#endif
