/* planar_vae.c: the VAE whose posterior is a normal distribution sent through planar flows that the encoder chooses.
 *
 * A normal posterior with independent dimensions cannot be the true one; each layer bends it along one direction. The
 * density is exact, its KL to the prior is not known and sampled. Read next: nn/flow.h, vamp_vae.c. */
#include "autograd/compose.h"
#include "models/vae.h"

#include <math.h>

typedef struct planar_vae {
    tp_vae vae;
    tp_nn_linear u, w, b; /* h -> the flow's parameters, for each example its own */
} planar_vae;

enum { LAYERS, WARMUP };
static const tp_model_option options[] = {
    {"layers", 8, 1, 256, "planar maps, one behind the other", true},
    TP_WARMUP_OPTION,
    {0},
};

static tp_status init(void *self, tp_params *ps, const tp_model_config *config)
{
    planar_vae *m = self;
    int64_t h = config->hidden[config->hidden_layers - 1], n = (int64_t)config->option[LAYERS];
    TP_TRY(tp_vae_init(&m->vae, ps, config));
    /* n <= 256 times latents that memory has been found for: no overflow */
    TP_TRY(tp_nn_linear_init(&m->u, ps, "flow.u", h, n * config->latent_dim));
    TP_TRY(tp_nn_linear_init(&m->w, ps, "flow.w", h, n * config->latent_dim));
    TP_TRY(tp_nn_linear_init(&m->b, ps, "flow.b", h, n));
    /* A small u: the flow begins near the identity. Not a small w, by whose square it divides. */
    TP_TRY(tp_init_normal(ps, &m->u.weight, 0.01 / sqrt((double)h)));
    return tp_init_constant(&m->u.bias, 0);
}

static tp_flow flow(const planar_vae *m, tp_ctx *c, tp_var h)
{
    int64_t nz = m->vae.latent_dim;
    tp_scope_begin(c->tape, "flow");
    tp_var w = tp_split_last(tp_nn_linear_apply(&m->w, c, h), nz); /* [.., layers, nz] */
    tp_var u = tp_split_last(tp_nn_linear_apply(&m->u, c, h), nz);
    tp_var b = tp_nn_linear_apply(&m->b, c, h); /* [.., layers] */
    u = tp_add(u, tp_flow_planar_identity(TP_NAME(w)));
    tp_scope_end(c->tape);
    return tp_flow_planar(TP_NAME(u), w, TP_NAME(b));
}

static tp_dist posterior(void *self, tp_ctx *c, tp_var x)
{
    const planar_vae *m = self;
    tp_var h = tp_encoder_hidden(&m->vae.encoder, c, x);
    tp_flow f = flow(m, c, h);
    return tp_transformed(tp_encoder_heads(&m->vae.encoder, c, h), 1, &f);
}

/* Where the middle of the normal distribution goes: the mean of what comes out has no closed form. */
static tp_var code(void *self, tp_ctx *c, tp_var x)
{
    const planar_vae *m = self;
    tp_var h = tp_encoder_hidden(&m->vae.encoder, c, x), logdet;
    tp_flow f = flow(m, c, h);
    return tp_flow_forward(&f, tp_dist_mean(tp_encoder_heads(&m->vae.encoder, c, h)), &logdet);
}

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    const planar_vae *m = self;
    tp_dist q = posterior(self, c, x);
    tp_vae_pass v = tp_vae_forward_sampled(self, c, x, q, tp_vae_prior(self, c));
    return tp_negative_elbo(v.logprob, v.kl, tp_vae_weight(&m->vae, c, m->vae.option[WARMUP]));
}

const tp_model_type tp_model_planar_vae = {
    .name = "planar_vae",
    .summary = "VAE whose posterior goes through planar flows",
    .objective = "E_q[−log p(x|z) + β·(log q_0(z_0|x) − Σ_i log |det ∂f_i/∂z| − log N(z; 0,1))]",
    .source = "Rezende and Mohamed 2015",
    .size = sizeof(planar_vae),
    .options = options,
    .beta = true,
    .scale = true,
    .init = init,
    .loss = loss,
    .posterior = posterior,
    .prior = tp_vae_prior,
    .decode = tp_vae_decode,
    .code = code};
