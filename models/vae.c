/* vae.c: the variational autoencoder (Kingma and Welling 2014; Rezende et al. 2014).
 *
 * Architecture only: the posterior is nn/dist.h, the objective nn/objective.h. The same model for one
 * screen, without options, is examples/06_vae.c. */
#include "models/vae.h"
#include "autograd/compose.h"

#include <string.h>

void tp_vae_configure(tp_vae *m, const tp_model_config *config)
{
    m->latent_dim = config->latent_dim;
    m->beta = config->beta;
    memcpy(m->option, config->option, sizeof m->option);
}

tp_status tp_vae_init(void *self, tp_params *ps, const tp_model_config *config)
{
    tp_vae *m = self;
    tp_vae_configure(m, config);
    TP_TRY(tp_encoder_init(&m->encoder, ps, config, config->data_dim, false));
    return tp_decoder_init(&m->decoder, ps, config, config->latent_dim);
}

tp_dist tp_vae_posterior(void *self, tp_ctx *c, tp_var x)
{
    return tp_encoder_apply(&((tp_vae *)self)->encoder, c, x);
}

tp_dist tp_vae_prior(void *self, tp_ctx *c)
{
    const tp_vae *m = self;
    tp_dtype dtype = m->encoder.mu.bias.value.dtype;
    return tp_normal_standard(tp_full(c->tape, dtype, TP_SHAPE(m->latent_dim), 0));
}

tp_dist tp_vae_decode(void *self, tp_ctx *c, tp_var z)
{
    return tp_decoder_apply(&((tp_vae *)self)->decoder, c, z);
}

tp_vae_pass tp_vae_forward(void *self, tp_ctx *c, tp_var x)
{
    tp_dist q = tp_vae_posterior(self, c, x);
    tp_var z = tp_dist_rsample(q, c); /* reparameterize */
    tp_var logprob = tp_data_logprob(tp_vae_decode(self, c, TP_NAME(z)), x);
    return (tp_vae_pass){q, z, logprob, tp_kl(q, tp_normal_standard(z))};
}

tp_vae_pass tp_vae_forward_sampled(void *self, tp_ctx *c, tp_var x, tp_dist q, tp_dist p)
{
    tp_var log_q, z = tp_dist_rsample_logprob(q, c, &log_q);
    tp_var logprob = tp_data_logprob(tp_vae_decode(self, c, TP_NAME(z)), x);
    return (tp_vae_pass){q, z, logprob, tp_sampled_kl(TP_NAME(log_q), tp_prior_logprob(p, z))};
}

tp_elbo_opts tp_vae_weight(const tp_vae *m, const tp_ctx *c, double warmup)
{
    return (tp_elbo_opts){.beta = tp_ramp(c->step, (uint64_t)warmup, 0, m->beta)};
}

enum { WARMUP };
static const tp_model_option options[] = {
    TP_WARMUP_OPTION,
    {0},
};

tp_objective tp_vae_loss(void *self, tp_ctx *c, tp_var x)
{
    const tp_vae *m = self;
    tp_vae_pass v = tp_vae_forward(self, c, x);
    return tp_negative_elbo(v.logprob, v.kl, tp_vae_weight(m, c, m->option[WARMUP]));
}

const tp_model_type tp_model_vae = {.name = "vae",
                                    .summary = "variational autoencoder",
                                    .objective = "E_q[−log p(x|z)] + β·KL(q(z|x) ‖ N(0,1))",
                                    .source = "Kingma and Welling 2014; β: Higgins et al. 2017",
                                    .size = sizeof(tp_vae),
                                    .options = options,
                                    .beta = true,
                                    .scale = true,
                                    .init = tp_vae_init,
                                    .loss = tp_vae_loss,
                                    .posterior = tp_vae_posterior,
                                    .prior = tp_vae_prior,
                                    .decode = tp_vae_decode};
