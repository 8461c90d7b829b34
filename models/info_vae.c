/* info_vae.c: InfoVAE with MMD (Zhao, Song and Ermon 2019): a VAE with less KL, or none, that holds the codes of a batch
 * to the prior all together instead, so that z need not forget x.
 *
 * Parts are the VAE's. alpha 0 and lambda 1 are the VAE; alpha 1 is wae.c with a stochastic encoder. */
#include "models/vae.h"
#include "autograd/compose.h"

enum { ALPHA, LAMBDA, KERNEL };
static const tp_model_option options[] = {
    {"alpha", 0.5, 0, 1, "how much of the KL is left out: its weight is 1 - alpha"},
    {"lambda", 100, 1, 1e9,
     "the distance of the codes from the prior has weight alpha + lambda - 1"},
    {"kernel", 0, 0, 1, "of that distance: 0 inverse multiquadric (IMQ), 1 Gaussian (RBF)", true},
    {0},
};

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    const double *o = ((tp_vae *)self)->option;
    tp_vae_pass v = tp_vae_forward(self, c, x);
    tp_var drawn = tp_dist_sample(tp_normal_standard(v.z), c); /* as many of the prior */
    tp_var mmd = tp_mmd_of_batch(v.z, drawn, o[KERNEL] == 1 ? TP_MMD_RBF : TP_MMD_IMQ, 0);
    return tp_info_elbo(v.logprob, v.kl, mmd, o[ALPHA], o[LAMBDA]);
}

const tp_model_type tp_model_info_vae = {
    .name = "info_vae",
    .summary = "VAE that trades KL for a distance of all codes from the prior",
    .objective = "E_q[−log p(x|z)] + (1−α)·KL(q(z|x) ‖ N(0,1)) + (α+λ−1)·MMD²(z, N(0,1))",
    .source = "Zhao, Song and Ermon 2019",
    .size = sizeof(tp_vae),
    .options = options,
    .coupled = true,
    .scale = true,
    .init = tp_vae_init,
    .loss = loss,
    .posterior = tp_vae_posterior,
    .prior = tp_vae_prior,
    .decode = tp_vae_decode};
