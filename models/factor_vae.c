/* factor_vae.c: FactorVAE (Kim and Mnih 2018): a VAE that pays for the total correlation of its codes, which a
 * discriminator measures.
 *
 * Parts are the VAE's and one more network; what it measures is nn/objective/density_ratio.c. One optimizer serves both
 * players: their gradients do not meet. Read next: beta_tcvae.c, which needs no adversary. */
#include "models/vae.h"
#include "autograd/compose.h"

typedef struct tp_factor_vae {
    tp_vae vae;
    tp_nn_mlp discriminator; /* z -> log q(z)/Πq(z_d) */
} tp_factor_vae;

enum { GAMMA, WIDTH, LAYERS };
static const tp_model_option options[] = {
    {"gamma", 10, 0, 1e6, "weight of the total correlation"},
    {"width", 200, 1, 1e5, "of the discriminator's hidden layers (1000 in the paper)", true},
    {"layers", 2, 1, TP_MLP_LAYERS - 1, "how many of them (6 in the paper)", true},
    {0},
};

static tp_status init(void *self, tp_params *ps, const tp_model_config *config)
{
    tp_factor_vae *m = self;
    const double *o = config->option;
    int64_t size[TP_MLP_LAYERS + 1] = {config->latent_dim};
    int n = (int)o[LAYERS];
    for (int i = 1; i <= n; i++)
        size[i] = (int64_t)o[WIDTH];
    size[n + 1] = 1;
    TP_TRY(tp_vae_init(self, ps, config));
    return tp_nn_mlp_init(&m->discriminator, ps, "discriminator", size, n + 1, config->activation,
                          TP_IDENTITY);
}

/* z [B, D] -> [B] */
static tp_var discriminate(const tp_factor_vae *m, tp_ctx *c, tp_var z)
{
    tp_scope_begin(c->tape, "discriminator");
    tp_var logit = tp_squeeze(tp_nn_mlp_apply(&m->discriminator, c, z), 1);
    tp_scope_end(c->tape);
    return logit;
}

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    const tp_factor_vae *m = self;
    tp_vae_pass v = tp_vae_forward(self, c, x);
    tp_ctx_freeze(c); /* the encoder pays for what the discriminator sees, which does not help it */
    tp_var log_ratio = discriminate(m, c, v.z);
    tp_ctx_thaw(c);
    tp_scope_begin(c->tape, "discriminator");
    tp_var z = tp_detach(v.z); /* nor does the encoder help the discriminator */
    tp_scope_end(c->tape);
    tp_var shuffled = tp_shuffle_dimensions(z, tp_ctx_draw(c));
    tp_var discriminator =
        tp_discriminator_loss(discriminate(m, c, z), discriminate(m, c, TP_NAME(shuffled)));
    return tp_factor_elbo(v.logprob, v.kl, log_ratio, discriminator, m->vae.option[GAMMA]);
}

const tp_model_type tp_model_factor_vae = {
    .name = "factor_vae",
    .summary = "VAE with a discriminator that finds dependence between the dimensions of z",
    .objective = "E_q[−log p(x|z)] + KL(q(z|x) ‖ N(0,1)) + γ·TC by a discriminator, and its loss",
    .source = "Kim and Mnih 2018",
    .size = sizeof(tp_factor_vae),
    .options = options,
    .coupled = true,
    .scale = true,
    .init = init,
    .loss = loss,
    .posterior = tp_vae_posterior,
    .prior = tp_vae_prior,
    .decode = tp_vae_decode,
    .adversary = "discriminator"};
