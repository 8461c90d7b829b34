/* bernoulli.h: independent Bernoulli variables, given by logits.
 *
 * The canonical parameter is the logit log(p/(1−p)); probabilities are only ever an output. The last
 * event_dims axes are one event. Read next: objective.h.
 */
#ifndef TP_NN_BERNOULLI_H
#define TP_NN_BERNOULLI_H

#include "nn/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_bernoulli {
    tp_var logits; /* [.., event…] */
    int event_dims;
} tp_bernoulli;

/* From logits of any shape; the last axis is the event until event_dims is set otherwise. */
tp_bernoulli tp_bernoulli_logits(tp_var logits);
/* σ(logits), shape of logits. */
tp_var tp_bernoulli_mean(tp_bernoulli p);
/* 0/1 draws, shape of logits; no gradient flows through them. */
tp_var tp_bernoulli_sample(tp_bernoulli p, tp_ctx *c);
/* Σ x log p + (1−x) log(1−p) over the event, in nats: [batch]. x in [0,1] of the shape of logits; for x
 * strictly between 0 and 1 this is the usual cross-entropy, not a log-likelihood. TP_ESHAPE, TP_EVALUE. */
tp_var tp_bernoulli_logprob(tp_bernoulli p, tp_var x);

#ifdef __cplusplus
}
#endif
#endif
