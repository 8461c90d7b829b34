/* uses.h: what can be done with any model that brings what is needed for it, and what that is.
 *
 * A function that a type lacks the parts for fails with TP_EARG, which names the model; the tp_model_has_… say it before.
 * All of it goes in both modes; pictures and measurements want a context of tp_ctx_eval. Read next: uses.c.
 */
#ifndef TP_MODELS_USES_H
#define TP_MODELS_USES_H

#include "autograd/check.h"
#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tp_model_code; and with a decoder tp_model_reconstruct. */
bool tp_model_has_code(const tp_model_type *type);
/* tp_model_generate */
bool tp_model_has_samples(const tp_model_type *type);
/* tp_model_log_weight */
bool tp_model_has_weights(const tp_model_type *type);
/* tp_model_nll: weights, or log p(x) itself */
bool tp_model_has_nll(const tp_model_type *type);

/* q(z|x), p(z), p(x|z) as the type has them. */
tp_dist tp_model_posterior(const tp_model *m, tp_ctx *c, tp_var x);
tp_dist tp_model_prior(const tp_model *m, tp_ctx *c);
tp_dist tp_model_decode(const tp_model *m, tp_ctx *c, tp_var z);

/* One z for each x [batch, data_dim], without a draw: the mean of q(z|x) unless the type says otherwise. */
tp_var tp_model_code(const tp_model *m, tp_ctx *c, tp_var x);
/* The mean of p(x|z) at that z: [batch, data_dim]. */
tp_var tp_model_reconstruct(const tp_model *m, tp_ctx *c, tp_var x);
/* p(x|z) of n draws z ~ p(z): batch [n]. A type with labels wants n of them in c: which pictures to draw. */
tp_dist tp_model_generate(const tp_model *m, tp_ctx *c, int64_t n);

/* log p(x|z) + log p(z) − log q(z|x) of k draws z ~ q(z|x): [k, batch], for nn/objective.h. Reparameterized where q can
 * be. */
tp_var tp_model_log_weight(const tp_model *m, tp_ctx *c, tp_var x, int64_t k);
/* The same for a loss, which has no model yet. */
tp_var tp_type_log_weight(const tp_model_type *type, void *self, tp_ctx *c, tp_var x, int64_t k);
/* What it is made of, for a type that has weights, with q(z|x) and p(z) as they are already: p may be {0}, and q of a type
 * without a posterior. */
tp_log_densities tp_type_densities(const tp_model_type *type, void *self, tp_ctx *c, tp_dist q,
                                   tp_dist p, tp_var x, int64_t k);

/* *kl = what each latent dimension costs, KL(q(z|x) ‖ p(z)): [batch, dims]. False where nothing is known of it in
 * closed form. */
bool tp_model_kl(const tp_model *m, tp_ctx *c, tp_var x, tp_var *kl);
/* The code, unless that is NULL, and that KL from one posterior; the zero var what the model has not. */
void tp_model_latents(const tp_model *m, tp_ctx *c, tp_var x, tp_var *code, tp_var *kl);

/* --- over a data set (evidence.c) ---------------------------------------------------------------------- */

typedef struct tp_evidence_opts {
    uint64_t seed; /* of the noise, as of tp_ctx_eval */
    int64_t
        samples;  /* draws from the posterior for each example; 0: log p(x) as the type knows it */
    double *each; /* −log p(x) of each example, in stored order; NULL: not wanted */
    /* Called now and then with the part of the work that is done, in [0,1]; false stops there. NULL: nobody asks. */
    bool (*on_progress)(void *user, double done);
    void *user;
} tp_evidence_opts;

/* What is known of log p(x), means over examples in nats; NAN where there is nothing to say. Weights are
 * w = p(x,z)/q(z|x) of the draws of one example. */
typedef struct tp_evidence {
    int64_t examples; /* measured; fewer than there are after a stop */
    double nll; /* −log p(x): the log of the mean of w, which is an upper bound in expectation */
    double nll_error; /* its standard error, as of a sample of such examples */
    double
        draws_error; /* of the draws alone: with others nll would be as far off. By the delta method */
    double reconstruction,
        kl; /* −E_q log p(x|z) and E_q[log q(z|x) − log p(z)]; their sum is −ELBO */
    double elbo_error; /* the standard error of that sum over examples */
    /* (Σ w)²/Σ w², so many equal weights would be worth as much (Kong 1992): in the mean, and of the worst example. One that
     * is near 1 had a single draw say it all: nll is too large there, and its error too small. */
    double effective, least_effective;
} tp_evidence;

/* log p(x) of all batches in stored order. Each example is encoded once; its draws come in portions, so that memory stays
 * some megabytes, and their weights are added up in double, less their maximum. A function of seed and batch size: threads
 * change no bit, and the first of many draws are those of few. Resets t. On a stop *out is of the batches that were done.
 * TP_EARG for fewer than 0 samples, and for what the type lacks. */
tp_status tp_model_evidence(const tp_model *m, tp_tape *t, tp_batches *b, tp_evidence_opts opts,
                            tp_evidence *out);

/* Its nll alone: exact where the type knows log p(x), else from so many samples. TP_EARG unless samples > 0. */
tp_status tp_model_nll(const tp_model *m, tp_tape *t, tp_batches *b, uint64_t seed, int64_t samples,
                       double *nll);

/* The gradient of the loss of a batch by every parameter against finite differences (gradcheck.c): tp_gradcheck, with its
 * errors and report (NULL: none). Model and batch are f64; noise is that of a training step. With an adversary each side is
 * checked against its own terms; parameters of which the type says that they get an estimate are left out. */
tp_status tp_model_gradcheck(const tp_model *m, const tp_batch *batch, tp_check_opts opts,
                             tp_check_report *report);

#ifdef __cplusplus
}
#endif
#endif
