/* hmc.h: Hamiltonian Monte Carlo: Markov chains whose stationary density is any differentiable one, known up to a factor.
 *
 * Knows nothing of models: it gets a function that records a log-density. Chains advance side by side, so that matrices
 * are large. Neal, MCMC using Hamiltonian dynamics, 2011. Read next: hmc.c, models/ais.h.
 */
#ifndef TP_NN_HMC_H
#define TP_NN_HMC_H

#include "nn/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TP_HMC_PARTS = 2 };

/* log π(z) = Σ_i weight_i · part_i(z), up to a constant. With two parts, log f_0 and log f_1 − log f_0, the weights 1 and β
 * walk from one density to the other, and nothing has to be computed again for a new β. */
typedef struct tp_hmc_density {
    /* Records part[0 … parts−1] [chains, batch] of z [chains, batch, nz]. c is that of an evaluation, and frozen: what
     * layers learn is constant. Data enter the tape anew with each call: it is reset before. */
    void (*record)(void *user, tp_ctx *c, tp_var z, tp_var *part);
    void *user;
    int parts;
} tp_hmc_density;

typedef struct tp_hmc_opts {
    int64_t leapfrog;      /* steps of one transition */
    double step;           /* their size to begin with, of every example */
    tp_rng_key key;        /* example j of the batch draws under key.step + number[j] */
    const int64_t *number; /* [batch]; NULL: 0, 1, … */
} tp_hmc_opts;

/* 10 leapfrog steps of size 0.1; key 0. */
tp_hmc_opts tp_hmc_defaults(void);

/* A place of all chains, with what is known there. f64, whatever the density is computed in. */
typedef struct tp_hmc_point {
    tp_tensor z;                  /* [chains, batch, nz] */
    tp_tensor part[TP_HMC_PARTS]; /* [chains, batch] */
    tp_tensor grad[TP_HMC_PARTS]; /* of each part by z: [chains, batch, nz] */
} tp_hmc_point;

typedef struct tp_hmc {
    tp_tape *tape;
    tp_hmc_density density;
    tp_hmc_opts opts;
    double weight[TP_HMC_PARTS]; /* 1 at first; may be changed between steps */
    tp_tensor step;              /* f64 [batch]: sizes of the leapfrog steps; likewise */
    tp_tensor accepted; /* f64 [batch]: mean probability of acceptance in the last transition */
    tp_hmc_point at;    /* where the chains are */
    uint64_t steps;     /* transitions done */
    tp_hmc_point
        next; /* the rest: where they may go, momenta, energies, and what enters the tape */
    tp_tensor momentum, uniform, start, leaf;
} tp_hmc;

/* Chains that start at z [chains, batch, nz], f32 or f64: in that type the density is computed. Resets t, as each step
 * does. TP_ESHAPE for another z or parts of another shape, TP_EARG for options, TP_ENONFINITE where a part is NaN at the
 * start, TP_ENOMEM, or what record fails with. */
tp_status tp_hmc_init(tp_hmc *h, tp_tape *t, tp_hmc_density density, tp_hmc_opts opts,
                      const tp_tensor *z);
/* Frees everything; an empty one is fine. */
void tp_hmc_free(tp_hmc *h);

/* One transition of every chain, which leaves π invariant: momenta from N(0, I), leapfrog steps, and acceptance with
 * probability min(1, e^{−ΔH}), in double (Neal 2011, equations 5.18 to 5.20 and 5.22). Where the way leads to no number
 * the chain stays. Costs one gradient for each leapfrog step: that of the start is known. The same draws for any number
 * of threads, and for an example whatever else is in the batch. On failure chains are where they were. */
tp_status tp_hmc_step(tp_hmc *h);
/* Makes the steps of each example larger where more than the target was accepted last, else smaller: log step += 0.5 ·
 * (accepted − target). A chain whose steps depend on its own past leaves π invariant only in the limit: where that
 * matters, find sizes with chains of their own and keep them. */
void tp_hmc_adapt(tp_hmc *h, double target);

#ifdef __cplusplus
}
#endif
#endif
