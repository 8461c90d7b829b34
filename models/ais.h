/* ais.h: log p(x) by annealed importance sampling, and between two bounds by bidirectional Monte Carlo.
 *
 * For any type with a prior over real vectors and a decoder; an encoder is not asked, so that this judges models and bounds
 * that have been found with one. Neal, Annealed importance sampling, 2001; Grosse, Ancha and Roy, Measuring the reliability
 * of MCMC inference with bidirectional Monte Carlo, 2016; Wu, Burda, Salakhutdinov and Grosse, On the quantitative analysis
 * of decoder-based generative models, 2017. Read next: ais.c, nn/hmc.h.
 *
 *   f_t = f_0^{1−β_t}·f_1^{β_t}    f_1 = p(z)·p(x|z), f_0 = p(z) or q(z|x), 0 = β_0 < β_1 < … < β_T = 1
 *   from below   z_0 ~ f_0, z_t by HMC on f_t from z_{t−1}; w = Π_t f_t(z_{t−1})/f_{t−1}(z_{t−1}), and E[w] = p(x)
 *   from above   the same way back, from a z ~ p(z|x): E[1/w] = 1/p(x)
 *
 * By Jensen the logarithms of the means over all chains are at most, and at least, log p(x) in expectation. A draw from the
 * posterior is there for an x that the model has drawn itself, z ~ p(z), x ~ p(x|z).
 */
#ifndef TP_MODELS_AIS_H
#define TP_MODELS_AIS_H

#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_ais_opts {
    int64_t chains;       /* of each example */
    int64_t temperatures; /* T; 1: importance sampling with f_0 */
    int64_t leapfrog;     /* steps of a transition */
    double sharpness; /* δ of the schedule, 1e-6 to 30: the larger, the slower it is at both ends */
    double acceptance; /* that steps are adapted to, in (0,1) */
    /* Chains that find the step sizes of each example and temperature before, and count for nothing: the bounds hold
     * exactly. 0: all chains adapt their own while they go, which Wu et al. do. */
    int64_t pilot;
    bool posterior; /* f_0 = q(z|x) instead of p(z) */
    uint64_t seed;
    /* Called after every temperature, if set: how much of the whole is done, in (0,1]; false stops there. */
    bool (*on_progress)(void *user, double done);
    void *user;
} tp_ais_opts;

/* 16 chains, 1000 temperatures, 10 leapfrog steps, δ = 4, acceptance 0.65 (Wu et al. 2017, but for T: 10000 there); 4
 * chains of pilot. */
tp_ais_opts tp_ais_defaults(void);
/* β_t = (σ(δ(2t/T − 1)) − σ(−δ))/(σ(δ) − σ(−δ)), exactly 0 and 1 at the ends (Wu et al. 2017, section 4). */
double tp_ais_beta(const tp_ais_opts *o, int64_t t);

typedef struct tp_ais_result {
    double *lower;     /* [n], of the caller: log 1/K Σ_k w_k of each example */
    double *upper;     /* [n]: −log 1/K Σ_k 1/w_k; NULL: not wanted */
    double acceptance; /* mean of all transitions that count */
    /* Mean over the examples of (Σw)²/Σw², from 1 to K: near 1 one chain says it all. 0 of an x with the bound −∞. */
    double effective;
    bool stopped; /* by on_progress: the rest is not there */
} tp_ais_result;

/* Whether the two functions below can do something: a prior over real vectors and a decoder. */
bool tp_model_has_ais(const tp_model_type *type);

/* z [n, nz] ~ p(z) and x [n, data_dim] ~ p(x|z), in the model's type, which the caller frees. A type with labels wants n of
 * them, i64 [n]; else NULL. Resets t. */
tp_status tp_model_simulate(const tp_model *m, tp_tape *t, const tp_tensor *labels, int64_t n,
                            uint64_t seed, tp_tensor *z, tp_tensor *x);

/* The bounds of log p(x) in nats for each example of a batch; the upper one wants z [n, nz], draws from p(z|x). Random
 * numbers depend on the seed and on batch->index (the place in the batch if that is empty), not on what else is in the
 * batch. Costs chains · n · (temperatures − 1) · leapfrog gradients of log p(x|z) by z for each bound, and as many of the
 * pilot's chains. Resets t. An x that the model cannot draw has the bound −∞. TP_EARG for a type without a prior over real
 * vectors or decoder, options out of range, an index that is not from 0 to 2^40 − 1, labels that are not there, and with
 * posterior for a q without density; TP_EDTYPE for a z of another type than the model's; TP_ESHAPE; TP_ENONFINITE;
 * TP_ENOMEM. */
tp_status tp_model_ais(const tp_model *m, tp_tape *t, const tp_batch *batch, const tp_tensor *z,
                       tp_ais_opts o, tp_ais_result *r);

#ifdef __cplusplus
}
#endif
#endif
