/* dip_vae.c: DIP-VAE, the VAE whose codes of a batch shall be uncorrelated and of variance 1.
 *
 * Of the kind I it holds the covariance of the means of q(z|x), of the kind II that of z, which has the mean of their
 * variances besides. Read next: vae.c, nn/objective/dip.c.
 */
#include "models/vae.h"

enum { OFF_DIAGONAL, DIAGONAL, KIND };
static const tp_model_option options[] = {
    {"off_diagonal", 10, 0, 1e6, "weight of the squared covariances"},
    {"diagonal", 10, 0, 1e6, "weight of the squared distances of the variances from 1"},
    {"kind", 2, 1, 2, "1: covariance of the means of q(z|x); 2: of z", true},
    {0},
};

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    const tp_vae *m = self;
    tp_vae_pass v = tp_vae_forward(self, c, x);
    tp_var mu = v.q.param[0], logvar = v.q.param[1];
    if (m->option[KIND] == 1)
        logvar = (tp_var){0}; /* none: the covariance of the means alone */
    return tp_dip_elbo(v.logprob, v.kl, mu, logvar,
                       (tp_dip_opts){m->option[OFF_DIAGONAL], m->option[DIAGONAL]});
}

const tp_model_type tp_model_dip_vae = {.name = "dip_vae",
                                        .summary = "VAE with uncorrelated codes",
                                        .objective =
                                            "−ELBO + λ_od·Σ_{i≠j} Cov_ij² + λ_d·Σ_i (Cov_ii − 1)²",
                                        .source = "Kumar, Sattigeri and Balakrishnan 2018",
                                        .size = sizeof(tp_vae),
                                        .options = options,
                                        .coupled = true,
                                        .scale = true,
                                        .init = tp_vae_init,
                                        .loss = loss,
                                        .posterior = tp_vae_posterior,
                                        .prior = tp_vae_prior,
                                        .decode = tp_vae_decode};
