/* objective.h: what is minimised. The only place where objectives exist.
 *
 * Convention: sum over event dimensions, mean over the batch, nats. An objective is one loss node together
 * with its named terms; logs print these very nodes. Read next: train.h.
 */
#ifndef TP_NN_OBJECTIVE_H
#define TP_NN_OBJECTIVE_H

#include "autograd/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TP_MAX_TERMS = 4 };

typedef struct tp_term {
    const char *name;
    tp_var value;  /* 0-d, mean over the batch, before weighting */
    double weight; /* in the total */
} tp_term;

typedef struct tp_objective {
    tp_var total; /* 0-d: Σ weight · value */
    int terms;
    tp_term term[TP_MAX_TERMS];
} tp_objective;

typedef struct tp_elbo_opts {
    double beta; /* weight of the KL term */
} tp_elbo_opts;

/* beta 1: the evidence lower bound itself. */
tp_elbo_opts tp_elbo_defaults(void);

/* −ELBO = mean(−log p(x|z)) + β·mean(KL(q(z|x)‖p(z))), from logprob [batch] and kl [batch]; terms "recon"
 * and "kl". TP_ESHAPE unless both are [batch] of one length. Kingma and Welling 2014, equation 3; β: Higgins et al. 2017. */
tp_objective tp_negative_elbo(tp_var logprob, tp_var kl, tp_elbo_opts opts);

/* mean(−log p(x|z)) alone, the objective of an autoencoder; term "recon". TP_ESHAPE unless
 * logprob is [batch]. */
tp_objective tp_reconstruction(tp_var logprob);

#ifdef __cplusplus
}
#endif
#endif
