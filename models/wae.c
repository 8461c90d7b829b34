/* wae.c: the Wasserstein autoencoder with an MMD penalty (Tolstikhin et al. 2018): an autoencoder whose codes, all
 * together, are to look like draws of the prior.
 *
 * The autoencoder's parts and a prior, no posterior: so there is no log p(x). Read next: info_vae.c, which has one. */
#include "models/ae.h"
#include "autograd/compose.h"

enum { LAMBDA, KERNEL, LENGTH };
static const tp_model_option options[] = {
    {"lambda", 100, 0, 1e9, "weight of the distance of the codes from the prior"},
    {"kernel", 0, 0, 1, "of that distance: 0 inverse multiquadric (IMQ), 1 Gaussian (RBF)", true},
    {"h", 0, 0, 1e9, "squared length of the kernel; 0: 2·latent_dim"},
    {0},
};

static tp_dist prior(void *self, tp_ctx *c)
{
    const tp_ae *m = self; /* one code has the shape of the bias it is made with */
    return tp_normal_standard(tp_params_var(c, &m->encoder.mu.bias));
}

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    const tp_ae *m = self;
    const double *o = m->option;
    tp_var z = tp_ae_code(self, c, x);                       /* [batch, nz] */
    tp_var drawn = tp_dist_sample(tp_normal_standard(z), c); /* as many of the prior */
    tp_var mmd = tp_mmd_of_batch(z, drawn, o[KERNEL] == 1 ? TP_MMD_RBF : TP_MMD_IMQ, o[LENGTH]);
    return tp_wae(tp_data_logprob(tp_ae_decode(self, c, z), x), mmd, o[LAMBDA]);
}

const tp_model_type tp_model_wae = {.name = "wae",
                                    .summary = "autoencoder whose codes together fit the prior",
                                    .objective = "−log p(x|z) + λ·MMD²(z, N(0,1)), z = encoder(x)",
                                    .source = "Tolstikhin, Bousquet, Gelly and Schölkopf 2018",
                                    .size = sizeof(tp_ae),
                                    .options = options,
                                    .coupled = true,
                                    .init = tp_ae_init,
                                    .loss = loss,
                                    .prior = prior,
                                    .code = tp_ae_code,
                                    .decode = tp_ae_decode};
