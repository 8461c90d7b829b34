/* dist.h: probability distributions as values.
 *
 * A tp_dist is a row of dist.def with its parameters on the tape; the functions below work on all of them. One
 * canonical parametrisation each: log-variance, logits, log-scale. σ and probabilities are only ever outputs.
 * Shapes: one draw is [batch…, event…]. The last event_dims axes are one event (1 unless set otherwise; 0: every
 * element for itself; independent events need no type of their own): log_prob, entropy and KL sum over them, in
 * nats, and leave [batch…]. Samples lead: [K, batch…, event…].
 * Read next: dist/normal.c for what a row is, kl.def, then objective.h.
 */
#ifndef TP_NN_DIST_H
#define TP_NN_DIST_H

#include "nn/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_dist_type tp_dist_type; /* nn/dist_type.h */

enum { TP_DIST_PARAMS = 3 };

typedef struct tp_dist {
    const tp_dist_type *type;
    tp_var param[TP_DIST_PARAMS]; /* as the constructors say; the others are the zero var */
    int event_dims; /* at least the axes of what is one draw by nature: 1 for vectors */
    bool standard;  /* N(0,1), as tp_normal_standard made it */
} tp_dist;

/* --- constructors. Arguments that do not fit poison the parameters, and with them all that follows ----- */

/* Normal: param mu, logvar = log σ², equal shapes [.., event…]; TP_ESHAPE otherwise. */
tp_dist tp_normal_logvar(tp_var mu, tp_var logvar);
/* The same log-variance everywhere, a constant (0: unit variance). */
tp_dist tp_normal_fixed(tp_var mu, double logvar);
/* From a head whose scale is σ = softplus(raw), turned into logvar = 2 log softplus(raw) without underflow. */
tp_dist tp_normal_softplus(tp_var mu, tp_var raw);
/* N(0,1), in the shape and type of like: the usual prior. */
tp_dist tp_normal_standard(tp_var like);

/* Independent bits: param logits = log(p/(1−p)), any shape. */
tp_dist tp_bernoulli_logits(tp_var logits);

/* --- what every distribution can do ---------------------------------------------------------------------- */

/* log p(x), summed over the event, in nats: [batch…], or [K…, batch…] for x with leading sample axes. Nothing
 * else broadcasts: the last axes of x must be exactly those of a draw, TP_ESHAPE otherwise. TP_EVALUE for x that
 * no parameter allows (a bit outside [0,1], a class that does not exist); −inf where these parameters do not.
 * The gradient reaches parameters and, unless it is data by nature, x. */
tp_var tp_dist_logprob(tp_dist d, tp_var x);

/* A draw through which gradients reach the parameters (reparameterization): [batch…, event…], or of k draws
 * [k, batch…, event…]. TP_EGRAD for a distribution that has none. TP_EARG unless k > 0. */
tp_var tp_dist_rsample(tp_dist d, tp_ctx *c);
tp_var tp_dist_rsample_n(tp_dist d, tp_ctx *c, int64_t k);
/* The same draws without gradient; every distribution has them. */
tp_var tp_dist_sample(tp_dist d, tp_ctx *c);
tp_var tp_dist_sample_n(tp_dist d, tp_ctx *c, int64_t k);

/* Mean and variance of every element of a draw, in its shape. */
tp_var tp_dist_mean(tp_dist d);
tp_var tp_dist_variance(tp_dist d);
/* −E log p, summed over the event, in nats (of a density: differential, may be negative): [batch…]. */
tp_var tp_dist_entropy(tp_dist d);

/* The shape of one draw. */
tp_shape tp_dist_shape(const tp_dist *d);
/* Whether tp_dist_rsample works. */
bool tp_dist_has_rsample(const tp_dist *d);
/* Independent copies of d along new leading axes. */
tp_dist tp_dist_repeat(tp_dist d, tp_shape lead);

/* --- Kullback–Leibler divergence --------------------------------------------------------------------------- */

/* KL(q ‖ p) = E_q[log q − log p] in closed form, summed over the event: [batch…] of q. p may lack leading axes
 * of q (one prior for a batch); events must be equal, TP_ESHAPE otherwise. TP_EARG for a pair that is not in
 * kl.def. */
tp_var tp_kl(tp_dist q, tp_dist p);
/* The same before summing over the event: what each dimension costs. */
tp_var tp_kl_elements(tp_dist q, tp_dist p);
/* An unbiased estimate of it out of samples draws, for any pair: [batch…]; where standard_error is not NULL, how far
 * off it is to be expected (without gradient; needs two samples). Gradients flow through the draws, so where q has
 * parameters to learn it must have tp_dist_rsample: TP_EGRAD. */
tp_var tp_kl_monte_carlo(tp_dist q, tp_dist p, tp_ctx *c, int64_t samples, tp_var *standard_error);

#ifdef __cplusplus
}
#endif
#endif
