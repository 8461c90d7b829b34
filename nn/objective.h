/* objective.h: what is minimised. The only place where objectives exist; a formula stands in one file of nn/objective/.
 *
 * Functions here take vars (log-densities, KLs, log weights, samples), not models: whoever has them can use them.
 * Convention: the distribution sums over the event, the objective takes the mean over the batch; nats; samples lead,
 * [K, batch]. Nothing broadcasts: shapes that do not fit are TP_ESHAPE, with a message that starts with "objective: ".
 * Read next: objective/elbo.c, one file per section below; train.h.
 *
 *   what                              minimised, as a mean over the batch                  from
 *   tp_reconstruction                 −log p(x|z)                                          logprob
 *   tp_negative_loglikelihood         −log p(x)                                            logprob
 *   tp_negative_elbo                  −log p(x|z) + β·KL                                   logprob, kl
 *   tp_capacity_elbo                  −log p(x|z) + γ·|KL − C|                             logprob, kl
 *   tp_free_bits_elbo                 −log p(x|z) + Σ_j max(λ, mean KL_j)                  logprob, kl by group
 *   tp_iwae, tp_dreg                  −log 1/K Σ_k w_k                                     log weights [K, batch]
 *   tp_miwae                          −1/M Σ_m log 1/K Σ_k w_mk                            log weights [M, K, batch]
 *   tp_wae, tp_info_elbo              −log p(x|z) + (1−α)·KL + (α+λ−1)·MMD                 logprob, kl, tp_mmd
 *   tp_tc_elbo                        −log p(x|z) + α·MI + β·TC + γ·KL_dim                 logprob, log q(z_i|x_j)
 *   tp_factor_elbo                    −log p(x|z) + KL + γ·TC, and a discriminator's loss    logprob, kl, log q/Πq_d
 *   tp_vq                             −log p(x|z) + β·‖z_e − sg(e)‖²                       logprob, tp_commitment
 *   tp_dip_elbo                       ELBO + λ_od·Σ_{i≠j} Cov_ij² + λ_d·Σ (Cov_ii − 1)²    logprob, kl, mu, logvar
 *   tp_sparse_reconstruction          −log p(x|z) + λ·Σ|z_j| + β·Σ_j KL(ρ ‖ mean z_j)      logprob, code, logits
 *
 * "Additive" below: a sum over examples, so the loss of a union of batches is the mean of theirs, weighted by size. MMD,
 * TC, its adversary, DIP, free bits and the KL of sparse codes are not: they look at the minibatch as a whole.
 */
#ifndef TP_NN_OBJECTIVE_H
#define TP_NN_OBJECTIVE_H

#include "autograd/tape.h"
#include "tensor/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- an objective and its terms (objective/terms.c) ------------------------------------------------- */

enum { TP_MAX_TERMS = 4 };

typedef struct tp_term {
    const char *name; /* lives as long as the tape: a literal */
    tp_var value;     /* 0-d, mean over the batch, before weighting */
    double weight;    /* in the total; 0: only logged */
} tp_term;

/* One loss node together with its named terms; logs print these very nodes. */
typedef struct tp_objective {
    tp_var total; /* 0-d: Σ weight · value */
    int terms;
    tp_term term[TP_MAX_TERMS];
} tp_objective;

/* An objective of one's own: the total is Σ weight · value, added from the left; values get the names of their terms.
 * Terms of weight 0 are left out, infinite ones too. TP_ESHAPE names a value that is not 0-d; TP_EARG unless
 * 1 <= n <= TP_MAX_TERMS. */
tp_objective tp_objective_of(int n, const tp_term *term);

/* --- the evidence lower bound (objective/elbo.c) ---------------------------------------------------- */
/*
 * log p(x) = ELBO + KL(q(z|x) ‖ p(z|x)), ELBO = E_q[log p(x|z)] − KL(q(z|x) ‖ p(z)).
 * The first part is nearly always sampled, z ~ q. The second is a closed form where there is one, else sampled too:
 *
 *   analytic, one sample     tp_negative_elbo(logprob, kl, …)
 *   L samples, [L, batch]    tp_negative_elbo(tp_sample_mean(logprob), kl, …)
 *   no closed form           tp_negative_elbo(tp_sample_mean(logprob), tp_sample_mean(tp_sampled_kl(log_q, log_p)), …)
 */

/* x [L, batch] -> [batch]: the mean over the samples. TP_ESHAPE unless it has these two axes and L > 0. */
tp_var tp_sample_mean(tp_var x);

/* log q(z|x) − log p(z) at a sample z of q, of equal shapes [batch] or [L, batch]: an unbiased estimate of KL(q ‖ p),
 * which one sample can make negative. */
tp_var tp_sampled_kl(tp_var log_q, tp_var log_p);

typedef struct tp_elbo_opts {
    double beta; /* weight of the KL term */
} tp_elbo_opts;

/* beta 1: the evidence lower bound itself. */
tp_elbo_opts tp_elbo_defaults(void);

/* −ELBO = mean(−log p(x|z)) + β·mean(KL(q(z|x)‖p(z))), from logprob [batch] and kl [batch]; terms "recon"
 * and "kl". Additive. TP_ESHAPE unless both are [batch] of one length. Kingma and Welling 2014, equation 3; β: Higgins
 * et al. 2017. */
tp_objective tp_negative_elbo(tp_var logprob, tp_var kl, tp_elbo_opts opts);

/* mean(−log p(x|z)) alone, the objective of an autoencoder; term "recon". Additive. TP_ESHAPE unless
 * logprob is [batch]. */
tp_objective tp_reconstruction(tp_var logprob);

/* mean(−log p(x)) of a model that knows it exactly; term "nll". Additive. TP_ESHAPE unless logprob is [batch]. */
tp_objective tp_negative_loglikelihood(tp_var logprob);

/* mean(−log p(x|z)) + γ·mean(|KL − C|), the difference taken per example, as Burgess et al. 2018 have it
 * (others take it of the batch's mean: then a loss is no sum over examples). Terms "recon", "capacity" (weight γ) and
 * "kl" (weight 0). Additive. γ is large (1000 there), C comes from tp_ramp. TP_EARG if C is negative. */
tp_objective tp_capacity_elbo(tp_var logprob, tp_var kl, double gamma, double capacity);

/* Free bits: Σ_j max(λ, mean over the batch of kl[:, j]) for kl [batch, groups], 0-d; a group is a dimension, or
 * several summed. No gradient where the mean lies below λ, half of it on λ. λ is in nats, per group. The mean over
 * the minibatch comes first (Kingma et al. 2016, appendix C.8); not the variant that takes the maximum per example.
 * TP_ESHAPE unless [batch, groups]; TP_EARG if λ is negative. */
tp_var tp_free_bits(tp_var kl, double lambda);

/* mean(−log p(x|z)) + tp_free_bits(kl, λ): terms "recon", "free_bits" and, with weight 0, "kl" = mean Σ_j kl_j. */
tp_objective tp_free_bits_elbo(tp_var logprob, tp_var kl, double lambda);

/* from + (to − from)·min(1, step/steps): the warm-up of β (tp_ramp(step, steps, 0, 1)) and the capacity C of a step.
 * A function of the step and nothing else, so a run that is resumed needs no state for it. steps 0: `to`. */
double tp_ramp(uint64_t step, uint64_t steps, double from, double to);

/* --- importance weights (objective/importance.c) ---------------------------------------------------- */
/*
 * With z_k ~ q(z|x) and w_k = p(x|z_k)·p(z_k)/q(z_k|x), the mean of K weights is an unbiased estimate of p(x). Its
 * logarithm is a lower bound of log p(x) in expectation, which rises with K: ELBO = L_1 <= L_K <= L_{K+1} <= log p(x).
 */

/* log w = log p(x|z) + log p(z) − log q(z|x), of equal shapes: [K, batch] or [M, K, batch]. */
tp_var tp_log_weight(tp_var logprob, tp_var log_prior, tp_var log_q);

/* log_w [K, batch] -> [batch]: log 1/K Σ_k w_k, the estimate of log p(x) from exactly these K samples; its negative is
 * the importance-sampled NLL. For more samples than fit: the estimates of chunks of equal size, stacked as
 * [chunks, batch], go through it once more. TP_ESHAPE unless it has these two axes and K > 0. */
tp_var tp_importance_logprob(tp_var log_w);

/* −mean(log 1/K Σ_k w_k), term "iwae". The gradient is −mean Σ_k w̃_k ∇log w_k with w̃ = w/Σw, which is what
 * differentiating gives. Additive. Burda, Grosse and Salakhutdinov 2016. */
tp_objective tp_iwae(tp_var log_w);

/* −mean over m and the batch of log 1/K Σ_k w_mk for log_w [M, K, batch], term "miwae": M bounds of K samples each, so
 * the expectation is IWAE's with K. M is the first axis. Additive. Rainforth et al. 2018. */
tp_objective tp_miwae(tp_var log_w);

/* The value of tp_iwae, with the doubly reparameterized gradient for the inference network:
 *     ∇_φ = −mean Σ_k w̃_k² (∂log w_k/∂z_k) ∂z_k/∂φ
 * (Tucker et al. 2018), of the same expectation and with a noise that does not drown it as K grows; all that log_w
 * depends on otherwise (decoder, prior) gets the gradient of tp_iwae. log_w [K, batch] must be made from z [K, batch, …],
 * one var (several latents: concatenated), with the parameters of q detached in log q(z|x), so that φ is reached through
 * z only. Costs one more pass back to z. Term "iwae". An estimator: differences of its value are not its gradient.
 * TP_EGRAD if log_w does not depend on z. Where log_w or z needs no gradient it is tp_iwae. */
tp_objective tp_dreg(tp_var log_w, tp_var z);

/* --- two gradients of an expectation (objective/estimators.c) --------------------------------------- */
/*
 * ∇_φ E_{q_φ(z)}[f(z)], both unbiased:
 *   pathwise          z = g(φ, ε) by an rsample; differentiate f(z). Needs ∂f/∂z; the noise is small.
 *   score function    z a plain sample (detached); E[(f(z) − b)·∇log q(z)]. Asks nothing of f or z, which may be
 *                     discrete; the noise is large, and a baseline b that does not depend on z lowers it.
 */

/* The value of f, with the gradient ∇f + (f − baseline)·∇log_q; f, log_q and baseline of equal shapes, [batch] or
 * [K, batch]; baseline may be the zero var: none. What f itself depends on (a decoder) gets its gradient as usual. z must
 * be detached, or f's gradient would count its path as well. Where f contains −log_q, as a log-weight does, what that
 * sends to q has mean 0: noise, unless q's parameters are detached there. An estimator. Williams 1992 (REINFORCE). */
tp_var tp_score_function(tp_var f, tp_var log_q, tp_var baseline);

/* f [K, batch] -> [K, batch]: for each sample the mean of the K−1 others, a baseline that needs no learning and keeps
 * the estimate unbiased (the mean of all K would not: it shrinks the gradient by (K−1)/K). Detached. TP_ESHAPE unless
 * K > 1. Kool, van Hoof and Welling 2019. */
tp_var tp_leave_one_out(tp_var f);

/* --- distances of samples (objective/mmd.c) --------------------------------------------------------- */

typedef enum tp_mmd_kernel {
    TP_MMD_RBF, /* exp(−r²/h) */
    TP_MMD_IMQ  /* h/(h + r²): heavier tails, so that far outliers are still pulled in */
} tp_mmd_kernel;

/* Unbiased is the U-statistic, which may be negative. The biased one, the V-statistic, never is: it also counts the
 * pairs of a point with itself, and so is (1 − E k(x,x'))/n + (1 − E k(y,y'))/m too large. */
typedef struct tp_mmd_opts {
    tp_mmd_kernel kernel;
    double h; /* squared length; 0: 2·d, the mean squared distance of two draws from N(0, I_d) */
    bool biased;
} tp_mmd_opts;

/* MMD² = E k(x,x') + E k(y,y') − 2 E k(x,y) between samples x [n, d] and y [m, d], 0-d; for the aggregate posterior
 * against the prior, x are the codes of a batch and y as many draws of the prior. TP_ESHAPE unless both are matrices of
 * one width with at least 2 rows (1 if biased); TP_EARG unless h >= 0 is finite. Gretton et al. 2012, lemma 6; the
 * IMQ kernel with h = 2d: Tolstikhin et al. 2018. */
tp_var tp_mmd(tp_var x, tp_var y, tp_mmd_opts opts);

/* The unbiased tp_mmd of the codes x [n, d] of a minibatch against as many draws y of the prior; 0, a constant, for n = 1,
 * as the last minibatch of an epoch may be: E k(x,x') cannot be estimated from one code. The biased estimate would see
 * to it that the code is drawn to the prior's centre and to no other that it is kept away from there. */
tp_var tp_mmd_of_batch(tp_var x, tp_var y, tp_mmd_kernel kernel, double h);

/* mean(−log p(x|z)) + λ·divergence, a 0-d divergence of codes from the prior such as tp_mmd: the Wasserstein
 * autoencoder. Terms "recon" and "mmd". Tolstikhin et al. 2018. */
tp_objective tp_wae(tp_var logprob, tp_var divergence, double lambda);

/* mean(−log p(x|z)) + (1−α)·mean(KL) + (α+λ−1)·divergence: InfoVAE; α = 0 and λ = 1 is the ELBO, α = 1 the
 * Wasserstein autoencoder. Terms "recon", "kl", "mmd". Zhao, Song and Ermon 2019. */
tp_objective tp_info_elbo(tp_var logprob, tp_var kl, tp_var divergence, double alpha,
                          double lambda);

/* --- total correlation (objective/total_correlation.c) ---------------------------------------------- */
/*
 * Averaged over the data, KL(q(z|x) ‖ p(z)) = MI + TC + Σ_d KL_d: what z says of x, how far the aggregate posterior q(z)
 * is from independent dimensions, and how far each dimension is from its prior (for a prior of independent dimensions).
 * q(z) = 1/N Σ_n q(z|x_n) is estimated from a minibatch of B out of N examples, with all pairs log q(z_i|x_j).
 */

/* MSS, stratified: q(z_i) ≈ q(z_i|x_i)/N + (N−1)/N · mean over j≠i of q(z_i|x_j). Unbiased (its logarithm is not, by
 * Jensen), exact for B = N; needs B > 1. Chen et al. give one j another weight; this is the mean of theirs over the order
 * of the batch, so it has less variance and does not depend on that order.
 * MWS, weighted: q(z_i) ≈ 1/(N·B) Σ_j q(z_i|x_j). Biased: for B = N it is q(z_i)/N, so MI is too large by log N, TC by
 * (D−1)·log N, and KL_dim too small by D·log N, each a constant without gradient. */
typedef enum tp_tc_estimator { TP_TC_MSS, TP_TC_MWS } tp_tc_estimator;

typedef struct tp_tc_opts {
    tp_tc_estimator estimator;
    int64_t data_size; /* N; no default */
} tp_tc_opts;

/* Estimates per example, [B]; they add up to log q(z_i|x_i) − log p(z_i) whatever the estimator. */
typedef struct tp_tc_parts {
    tp_var mi;     /* log q(z|x) − log q(z): index-code mutual information */
    tp_var tc;     /* log q(z) − Σ_d log q(z_d): total correlation */
    tp_var kl_dim; /* Σ_d log q(z_d) − log p(z): dimension-wise KL */
} tp_tc_parts;

/* pair [B, B, D] with pair[i, j, d] = log q(z_{i,d}|x_j), z_i a sample of q(z|x_i); log_prior [B] = log p(z_i).
 * TP_ESHAPE; TP_EARG unless data_size >= B. Chen et al. 2018, section 4 and appendix C. */
tp_tc_parts tp_tc_decompose(tp_var pair, tp_var log_prior, tp_tc_opts opts);

/* mean(−log p(x|z)) + α·mean(MI) + β·mean(TC) + γ·mean(KL_dim): terms "recon", "mi", "tc", "kl_dim". All weights 1 are
 * the ELBO with a sampled KL; β-TCVAE raises β. Chen et al. 2018. */
typedef struct tp_tc_weights {
    double alpha, beta, gamma;
} tp_tc_weights;
tp_objective tp_tc_elbo(tp_var logprob, tp_tc_parts parts, tp_tc_weights weights);

/* --- ratios of densities by an adversary (objective/density_ratio.c) --------------------------------- */
/*
 * A network d(z), one number per sample, learns to tell samples of p from as many of q: σ(d) is the probability that it
 * gives p. Where it is best, d = log p(z)/q(z), so the mean of d over samples of p estimates KL(p ‖ q); a worse d is
 * no bound of it, from either side. With p = q(z), the codes of all data, and q = Π_d q(z_d), the same with dimensions
 * shuffled apart, that KL is the total correlation.
 *
 * Two players, one graph. What is to pay for KL(p ‖ q) gets d with the network's parameters frozen (tp_ctx_freeze); the
 * network gets its own loss from detached samples. Without the first the network would lower the ratio instead of
 * learning it, without the second the samples would be made easier to tell apart.
 */

/* ½·mean(−log σ(on_p)) + ½·mean(−log(1 − σ(on_q))) for logits on_p [n] of samples of p and on_q [m] of samples of q, 0-d:
 * the cross-entropy of a classifier that sees each half of the time, log 2 where it knows nothing. TP_ESHAPE unless both
 * are vectors of at least 1. Goodfellow et al. 2014. */
tp_var tp_discriminator_loss(tp_var on_p, tp_var on_q);

/* z [n, D] with every column in an order of its own: samples of the product of its marginals, but for what n samples have
 * in common by chance. Never within a row: that would mix up the dimensions. TP_ESHAPE unless [n, D] with n > 0. Kim and
 * Mnih 2018, algorithm 1. */
tp_var tp_shuffle_dimensions(tp_var z, tp_rng_key key);

/* mean(−log p(x|z)) + mean(KL) + γ·mean(log_ratio) + discriminator: log_ratio [batch] is d(z) with d frozen,
 * discriminator tp_discriminator_loss of d on z and tp_shuffle_dimensions of it, both detached. Terms "recon", "kl", "tc"
 * and "discriminator". Kim and Mnih 2018, equation 2; there the shuffled codes are those of a second batch. */
tp_objective tp_factor_elbo(tp_var logprob, tp_var kl, tp_var log_ratio, tp_var discriminator,
                            double gamma);

/* --- covariance of the codes (objective/dip.c) ------------------------------------------------------ */

/* Which covariance of the codes is driven to the identity. */
typedef struct tp_dip_opts {
    double off_diagonal, diagonal; /* λ_od and λ_d */
} tp_dip_opts;

/* −ELBO + λ_od·Σ_{i≠j} C_ij² + λ_d·Σ_i (C_ii − 1)² with C the covariance of mu [batch, D] over the batch (divided by its
 * size) for a zero logvar (DIP-VAE-I), plus the batch's mean of diag(e^logvar) with logvar [batch, D] (DIP-VAE-II).
 * Terms "recon", "kl", "cov" and "var". Kumar, Sattigeri and Balakrishnan 2018. */
tp_objective tp_dip_elbo(tp_var logprob, tp_var kl, tp_var mu, tp_var logvar, tp_dip_opts opts);

/* --- sparse codes (objective/sparsity.c) ------------------------------------------------------------ */

/* mean over the batch of Σ_j |code_j| for code [batch, D]: 0-d. Additive. TP_ESHAPE unless [batch, D]. */
tp_var tp_sparsity_l1(tp_var code);

/* Σ_j KL(Bernoulli(ρ) ‖ Bernoulli(ρ̂_j)) in nats, ρ̂_j the mean over the batch of σ(logits[:, j]): 0-d. The mean comes
 * first: a number of the code may be on for few examples, as long as it is off for the others. From logits, so that
 * it stays finite, with a gradient, where a mean of rounded activations is 0 or 1. TP_ESHAPE unless [batch, D];
 * TP_EARG unless 0 < ρ < 1. Ng 2011, "Sparse autoencoder" (lecture notes CS294A). */
tp_var tp_sparsity_kl(tp_var logits, double rho);

typedef struct tp_sparse_opts {
    double l1, kl; /* weights λ and β; 0: only logged */
    double rho;
} tp_sparse_opts;

/* mean(−log p(x|z)) + λ·tp_sparsity_l1(code) + β·tp_sparsity_kl(logits, ρ): terms "recon", "l1" and, unless logits is the
 * zero var, "sparsity". Additive without the last. */
tp_objective tp_sparse_reconstruction(tp_var logprob, tp_var code, tp_var logits,
                                      tp_sparse_opts opts);

/* --- quantised codes (objective/quantise.c) --------------------------------------------------------- */

/* ‖z − sg(nearest)‖² for each example, [batch]: how far the encoder's output z [batch, vectors, width] is from the codes
 * that stand in for it, summed over all numbers of an example. Only z gets a gradient: codes follow it otherwise
 * (nn/layers/codebook.h). TP_ESHAPE unless both are of this one shape. */
tp_var tp_commitment(tp_var z, tp_var nearest);

/* mean(−log p(x|z)) + β·mean(commitment), from logprob and commitment [batch]; terms "recon" and "commitment". Additive.
 * logprob is of tp_straight_through(nearest, z), so that its gradient passes to z as if there were no codes. Van den Oord,
 * Vinyals and Kavukcuoglu 2017, equation 3 without its middle term, in whose place the codes are running means (appendix
 * A.1). TP_EARG unless β >= 0 is finite. */
tp_objective tp_vq(tp_var logprob, tp_var commitment, double beta);

#ifdef __cplusplus
}
#endif
#endif
