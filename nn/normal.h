/* normal.h: the diagonal normal distribution.
 *
 * Its canonical parameters are the mean and the log-variance v = log σ²; σ is e^{v/2} and appears nowhere
 * else. The last event_dims axes are one event: log_prob and kl sum over them, in nats. Samples lead:
 * [K, batch, event…]. Read next: bernoulli.h, then objective.h.
 */
#ifndef TP_NN_NORMAL_H
#define TP_NN_NORMAL_H

#include "nn/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_normal {
    tp_var mu, logvar; /* equal shapes [.., event…] */
    int event_dims;    /* 1: the last axis is the event */
} tp_normal;

/* From mean and log-variance of equal shapes; TP_ESHAPE otherwise. */
tp_normal tp_normal_logvar(tp_var mu, tp_var logvar);
/* From a mean, with the same constant log-variance everywhere (0: unit variance). */
tp_normal tp_normal_fixed(tp_var mu, double logvar);

/* z = μ + e^{v/2} ⊙ ε, ε ~ N(0,1): differentiable in μ and v (Kingma and Welling 2014). Shape of mu. */
tp_var tp_normal_rsample(tp_normal q, tp_ctx *c);
/* log N(x; μ, e^v) = −½ Σ [((x−μ)e^{−v/2})² + v + log 2π], summed over the event: [batch]. x has the
 * shape of mu (TP_ESHAPE otherwise: losses do not broadcast). */
tp_var tp_normal_logprob(tp_normal p, tp_var x);
/* KL(q ‖ N(0,1)) = ½ Σ (μ² + e^v − v − 1), summed over the event: [batch] (Kingma and Welling 2014,
 * appendix B). */
tp_var tp_normal_kl_std(tp_normal q);
/* The same before summing: [batch, event…]. */
tp_var tp_normal_kl_std_elements(tp_normal q);

#ifdef __cplusplus
}
#endif
#endif
