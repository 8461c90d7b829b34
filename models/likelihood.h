/* likelihood.h: p(x|z) of pictures: what the numbers that a decoder puts out mean.
 *
 * Data are floats, for pictures in [0,1]; a distribution may want them otherwise (grey levels as class numbers), and the
 * functions below translate. They take any distribution, not only those made here. Read next: nets.h.
 */
#ifndef TP_MODELS_LIKELIHOOD_H
#define TP_MODELS_LIKELIHOOD_H

#include "nn/dist.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y are the decoder's numbers for one element of x, σ the sigmoid. */
typedef enum tp_likelihood {
    TP_BERNOULLI, /* bits, by logits y; of grey values the cross-entropy, which is no log p(x) */
    TP_GAUSSIAN,  /* N(σ(y), 1) */
    TP_GAUSSIAN_LEARNED, /* N(σ(y_1), e^v), v = −6 + softplus(y_2 + 6), so that σ² > e^−6 */
    TP_CATEGORICAL, /* grey levels 0, 1/(levels − 1), … 1, each a class, by logits y_1 … y_levels */
    TP_LIKELIHOODS
} tp_likelihood;

/* "bernoulli", …; NULL behind the last. */
const char *tp_likelihood_name(int likelihood);
/* How many numbers the decoder has to give for one element of x. */
int64_t tp_likelihood_width(tp_likelihood likelihood, int64_t levels);
/* From y [.., data_dim · width]: of the learned variance first all means, then all variances; of levels all those of one
 * element together. One event is data_dim numbers. TP_ESHAPE, in the parameters, unless y divides like that. The bound of
 * the learned variance: Rybkin, Daniilidis and Levine 2021. */
tp_dist tp_likelihood_dist(tp_likelihood likelihood, int64_t levels, tp_var y);

/* log p(x) for data x [batch, data_dim], where p has [batch] or [samples, batch] before the event: that shape. Samples are
 * all that broadcasts, TP_ESHAPE otherwise. A categorical p with n classes takes x as the nearest of n grey levels, in the
 * middle as the darker one; TP_EVALUE for an x outside [0,1]. */
tp_var tp_data_logprob(tp_dist p, tp_var x);
/* log p(z) and log q(z|x) of draws z: tp_dist_logprob in the scopes "prior" and "density". */
tp_var tp_prior_logprob(tp_dist p, tp_var z);
tp_var tp_posterior_logprob(tp_dist q, tp_var z);
/* E_p[x] as the data are: [.., data_dim], of a categorical p the mean grey value. */
tp_var tp_data_mean(tp_dist p);
/* A draw, likewise. */
tp_var tp_data_sample(tp_dist p, tp_ctx *c);

#ifdef __cplusplus
}
#endif
#endif
