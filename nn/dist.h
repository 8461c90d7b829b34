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

#include "nn/flow.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_dist_type tp_dist_type; /* nn/dist_type.h */

enum { TP_DIST_PARAMS = 3, TP_DIST_FLOWS = 4 };

typedef struct tp_dist {
    const tp_dist_type *type;
    tp_var param[TP_DIST_PARAMS]; /* as the constructors say; the others are the zero var */
    int event_dims;     /* at least the axes of what is one draw by nature: 1 for vectors */
    bool standard;      /* N(0,1), as tp_normal_standard made it */
    double temperature; /* of a relaxed one-hot vector */
    /* Of a mixture the type of its components, of a transformed distribution that of its base; and the axes of their
     * events. flow[0] is next to the base. */
    const tp_dist_type *part;
    int part_dims, flows;
    tp_flow flow[TP_DIST_FLOWS];
} tp_dist;

/* --- constructors. Arguments that do not fit poison the parameters, and with them all that follows ----- */

/* Normal: param mu, logvar = log σ², equal shapes [.., event…]; TP_ESHAPE otherwise. */
tp_dist tp_normal_logvar(tp_var mu, tp_var logvar);
/* The same log-variance everywhere, a constant (0: unit variance). */
tp_dist tp_normal_fixed(tp_var mu, double logvar);
/* From a head whose scale is σ = softplus(raw), turned into logvar = 2 log softplus(raw) without underflow. */
tp_dist tp_normal_softplus(tp_var mu, tp_var raw);
/* A log-variance above a floor, v = floor + softplus(raw − floor), for data with elements that never change: without one
 * their density would rise for ever. The gradient never vanishes, as that of a clamp would. Rybkin, Daniilidis and Levine
 * 2021 | The raw that gives logvar; what lies less than 1e-9 above floor, or below, is taken to be there. */
tp_var tp_logvar_above(tp_var raw, double floor);
tp_var tp_logvar_above_inverse(tp_var logvar, double floor);
/* N(0,1), in the shape and type of like: the usual prior. */
tp_dist tp_normal_standard(tp_var like);

/* Independent bits: param logits = log(p/(1−p)), any shape. */
tp_dist tp_bernoulli_logits(tp_var logits);

/* A class each: param logits [.., classes]; x is i64 [..], a class number. event_dims is 0 unless set otherwise: the
 * last axis of logits is not one of x. Mean and variance are those of the one-hot vector, [.., classes]: the mean is
 * softmax(logits). */
tp_dist tp_categorical_logits(tp_var logits);

/* Laplace: param mu, logscale = log b, equal shapes; density e^{−|x−μ|/b}/2b. */
tp_dist tp_laplace_logscale(tp_var mu, tp_var logscale);

/* Uniform on [low, high]: equal shapes; TP_EVALUE unless low < high everywhere. log p is −inf outside. */
tp_dist tp_uniform_between(tp_var low, tp_var high);

/* Multivariate normal on vectors: param mu [.., n], cholesky [.., n, n], the lower factor L of the covariance L·Lᵀ; what
 * stands above its diagonal does not matter. TP_EVALUE unless the diagonal is positive. */
tp_dist tp_mvn_cholesky(tp_var mu, tp_var cholesky);
/* From any square matrix, as a network gives it: L has e^{raw} on the diagonal, raw below. */
tp_dist tp_mvn_raw(tp_var mu, tp_var raw);
/* From the covariance itself; TP_EVALUE unless positive definite. */
tp_dist tp_mvn_covariance(tp_var mu, tp_var covariance);

/* Relaxed one-hot vectors ("Gumbel-Softmax", "Concrete"): param logits [.., classes]; draws are tp_gumbel_softmax at
 * this temperature, in the inside of the simplex. TP_EARG unless temperature > 0. No mean, variance or entropy. */
tp_dist tp_relaxed_one_hot(tp_var logits, double temperature);

/* A mixture of n components of one family: logits [.., n] of their weights, and a distribution whose batch ends with
 * the components: draws of shape [.., n, event…], event_dims of it being what one component emits. Draws of the
 * mixture are [.., event…], without gradient; its event_dims are those of a component unless set otherwise. */
tp_dist tp_mixture(tp_var logits, tp_dist components);

/* Vectors of base (event_dims 1) sent through n <= TP_DIST_FLOWS maps, the first one first (nn/flow.h). log p of
 * any x needs all maps to have an inverse, TP_EARG otherwise; of its own draws: tp_dist_rsample_logprob. */
tp_dist tp_transformed(tp_dist base, int n, const tp_flow *flow);

/* --- what every distribution can do ---------------------------------------------------------------------- */

/* log p(x), summed over the event, in nats: [batch…], or [K…, batch…] for x with leading sample axes. Nothing
 * else broadcasts: the last axes of x must be exactly those of a draw, TP_ESHAPE otherwise. TP_EVALUE for x that
 * no parameter allows (a bit outside [0,1], a class that does not exist); −inf where these parameters do not.
 * The gradient reaches parameters and, unless it is data by nature, x. Where p has more axes than the data, because
 * it was decoded from several samples, say so: tp_dist_logprob(p, tp_expand(x, tp_dist_shape(&p))). */
tp_var tp_dist_logprob(tp_dist d, tp_var x);

/* A draw through which gradients reach the parameters (reparameterization): [batch…, event…], or of k draws
 * [k, batch…, event…]. TP_EGRAD for a distribution that has none. TP_EARG unless k > 0. */
tp_var tp_dist_rsample(tp_dist d, tp_ctx *c);
tp_var tp_dist_rsample_n(tp_dist d, tp_ctx *c, int64_t k);
/* The same draws without gradient; every distribution has them. */
tp_var tp_dist_sample(tp_dist d, tp_ctx *c);
tp_var tp_dist_sample_n(tp_dist d, tp_ctx *c, int64_t k);

/* A draw and its log-density together: what a flow without inverse has, and cheaper for any flow. */
tp_var tp_dist_rsample_logprob(tp_dist d, tp_ctx *c, tp_var *logprob);

/* Mean and variance of every element of a draw, in its shape. TP_EARG where there is no closed form. */
tp_var tp_dist_mean(tp_dist d);
tp_var tp_dist_variance(tp_dist d);
/* −E log p, summed over the event, in nats (of a density: differential, may be negative): [batch…]. */
tp_var tp_dist_entropy(tp_dist d);

/* The shape of one draw. */
tp_shape tp_dist_shape(const tp_dist *d);
/* Whether tp_dist_rsample works. */
bool tp_dist_has_rsample(const tp_dist *d);
/* d with parameters through which no gradient flows. */
tp_dist tp_dist_detach(tp_dist d);
/* d on another tape: its parameters enter t as constants, whose memory stays that of d's tape. */
tp_dist tp_dist_enter(tp_dist d, tp_tape *t);
/* Independent copies of d along new leading axes. */
tp_dist tp_dist_repeat(tp_dist d, tp_shape lead);

/* --- Kullback–Leibler divergence --------------------------------------------------------------------------- */

/* KL(q ‖ p) = E_q[log q − log p] in closed form, summed over the event: [batch…] of q. p may lack leading axes
 * of q (one prior for a batch); events must be equal, TP_ESHAPE otherwise. TP_EARG for a pair that is not in
 * kl.def. */
tp_var tp_kl(tp_dist q, tp_dist p);
/* The same before summing over the event: what each dimension costs. */
tp_var tp_kl_elements(tp_dist q, tp_dist p);
/* Whether the pair is in kl.def. */
bool tp_kl_known(const tp_dist *q, const tp_dist *p);
/* An unbiased estimate of it out of samples draws, for any pair: [batch…]; where standard_error is not NULL, how far
 * off it is to be expected (without gradient; needs two samples). Gradients flow through the draws, so where q has
 * parameters to learn it must have tp_dist_rsample: TP_EGRAD. */
tp_var tp_kl_monte_carlo(tp_dist q, tp_dist p, tp_ctx *c, int64_t samples, tp_var *standard_error);

#ifdef __cplusplus
}
#endif
#endif
