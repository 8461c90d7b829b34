/* iwae.c: the importance weighted autoencoder: the VAE with the bound of several draws.
 *
 * Architecture only: the bound and its two gradients are nn/objective/importance.c. Read next: miwae.c. */
#include "models/uses.h"
#include "models/vae.h"

enum { SAMPLES, DREG };
static const tp_model_option options[] = {
    {"samples", 5, 1, 10000, "K, draws of z in one bound", true},
    {"dreg", 0, 0, 1,
     "1: the encoder gets the doubly reparameterized gradient (Tucker et al. 2018)", true},
    {0},
};

/* The same draws and the same value as of tp_type_log_weight; q is reached through z alone. */
static tp_objective doubly_reparameterized(void *self, tp_ctx *c, tp_var x, int64_t k)
{
    tp_dist q = tp_vae_posterior(self, c, x);
    tp_var z = tp_dist_rsample_n(q, c, k); /* [k, batch, nz] */
    tp_var logprob = tp_data_logprob(tp_vae_decode(self, c, TP_NAME(z)), x);
    tp_var log_prior = tp_prior_logprob(tp_vae_prior(self, c), z);
    tp_var log_q = tp_posterior_logprob(tp_dist_detach(q), z);
    return tp_dreg(tp_log_weight(logprob, log_prior, log_q), z);
}

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    const tp_vae *m = self;
    int64_t k = (int64_t)m->option[SAMPLES];
    if (m->option[DREG] != 0)
        return doubly_reparameterized(self, c, x, k);
    return tp_iwae(tp_type_log_weight(&tp_model_iwae, self, c, x, k));
}

const tp_model_type tp_model_iwae = {.name = "iwae",
                                     .summary = "importance weighted autoencoder",
                                     .objective = "−E_q[log 1/K Σ_k w_k], w = p(x|z) p(z)/q(z|x)",
                                     .source = "Burda, Grosse and Salakhutdinov 2016",
                                     .size = sizeof(tp_vae),
                                     .options = options,
                                     .scale = true,
                                     .init = tp_vae_init,
                                     .loss = loss,
                                     .posterior = tp_vae_posterior,
                                     .prior = tp_vae_prior,
                                     .decode = tp_vae_decode};
