/* vae.h: the variational autoencoder's parts, for models that are one with another objective: they begin their own
 * struct with it, or have nothing to add. Read next: vae.c, beta_vae.c.
 */
#ifndef TP_MODELS_VAE_H
#define TP_MODELS_VAE_H

#include "models/nets.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_vae {
    tp_encoder encoder;
    tp_decoder decoder;
    int64_t latent_dim;
    double beta;
    double option[TP_MODEL_OPTIONS]; /* the configured ones */
} tp_vae;

/* As in tp_model_type, for a self that begins with a tp_vae: q(z|x) is the encoder's normal distribution, p(z) = N(0,1),
 * p(x|z) the decoder's. */
tp_status tp_vae_init(void *self, tp_params *ps, const tp_model_config *config);
/* All of it but the networks. */
void tp_vae_configure(tp_vae *m, const tp_model_config *config);
tp_dist tp_vae_posterior(void *self, tp_ctx *c, tp_var x);
tp_dist tp_vae_prior(void *self, tp_ctx *c);
tp_dist tp_vae_decode(void *self, tp_ctx *c, tp_var z);

/* The objective of vae.c, −E_q[log p(x|z)] + β·KL, for a type whose first option is the warm-up: the same model with other
 * networks. */
tp_objective tp_vae_loss(void *self, tp_ctx *c, tp_var x);

/* The row of an option "warmup", and the weight of the KL that comes of it: beta·min(1, step/warmup), beta itself
 * for 0 and in evaluation (Sønderby et al., Ladder Variational Autoencoders, 2016). */
#define TP_WARMUP_OPTION                                                                           \
    {                                                                                              \
        "warmup", 0, 0, 1e9, "steps in which the weight of the KL rises from 0 to beta", true      \
    }
tp_elbo_opts tp_vae_weight(const tp_vae *m, const tp_ctx *c, double warmup);

/* One draw z ~ q(z|x) and what an objective is made of. */
typedef struct tp_vae_pass {
    tp_dist q;      /* q(z|x) */
    tp_var z;       /* [batch, latent_dim], reparameterized */
    tp_var logprob; /* log p(x|z), [batch] */
    tp_var kl;      /* KL(q(z|x) ‖ N(0,1)) in closed form, [batch] */
} tp_vae_pass;
tp_vae_pass tp_vae_forward(void *self, tp_ctx *c, tp_var x);
/* The same for any posterior q with tp_dist_rsample and any prior p: .kl = log q(z|x) − log p(z) at the draw, which needs
 * no closed form (tp_sampled_kl). */
tp_vae_pass tp_vae_forward_sampled(void *self, tp_ctx *c, tp_var x, tp_dist q, tp_dist p);

#ifdef __cplusplus
}
#endif
#endif
