/* beta_vae.c: the β-VAE with controlled capacity: the code may carry C nats of each example, and C rises.
 *
 * With a fixed weight of the KL instead it is the VAE and its beta (vae.c). Evaluation is at the final C, so a loss
 * measured before the rise is over is large: it also says what is still to come. Read next: dip_vae.c.
 */
#include "models/vae.h"

enum { GAMMA, CAPACITY, STEPS };
static const tp_model_option options[] = {
    {"gamma", 3, 0, 1e6, "weight of |KL − C|"},
    {"capacity", 20, 0, 1e6, "the final C, in nats"},
    {"steps", 500, 0, 1e9, "steps in which C rises from 0", true},
    {0},
};

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    const tp_vae *m = self;
    tp_vae_pass v = tp_vae_forward(self, c, x);
    double capacity = tp_ramp(c->step, (uint64_t)m->option[STEPS], 0, m->option[CAPACITY]);
    return tp_capacity_elbo(v.logprob, v.kl, m->option[GAMMA], capacity);
}

const tp_model_type tp_model_beta_vae = {.name = "beta_vae",
                                         .summary = "β-VAE with controlled capacity",
                                         .objective =
                                             "E_q[−log p(x|z)] + γ·|KL(q(z|x) ‖ N(0,1)) − C|",
                                         .source = "Burgess et al. 2018",
                                         .size = sizeof(tp_vae),
                                         .options = options,
                                         .scale = true,
                                         .init = tp_vae_init,
                                         .loss = loss,
                                         .posterior = tp_vae_posterior,
                                         .prior = tp_vae_prior,
                                         .decode = tp_vae_decode};
