/* vae.c: the variational autoencoder (Kingma and Welling 2014; Rezende et al. 2014).
 *
 * Architecture only: the posterior is nn/dist.h, the objective nn/objective.h. The same model for one
 * screen, without options, is examples/06_vae.c. */
#include "models/vae.h"
#include "autograd/compose.h"

tp_status tp_vae_init(tp_vae *m, tp_params *ps, const tp_model_config *config, bool stochastic)
{
    int n = config->hidden_layers;
    int64_t down[TP_MLP_LAYERS + 1], up[TP_MLP_LAYERS + 1];
    down[0] = up[n + 1] = config->data_dim;
    for (int i = 0; i < n; i++)
        down[i + 1] = up[n - i] = config->hidden[i];
    up[0] = config->latent_dim;
    m->likelihood = config->likelihood;
    m->beta = config->beta;
    m->stochastic = stochastic;
    TP_TRY(tp_nn_mlp_init(&m->encoder, ps, "encoder", down, n, config->activation,
                          config->activation));
    TP_TRY(tp_nn_linear_init(&m->mu, ps, "mu", down[n], config->latent_dim));
    if (stochastic)
        TP_TRY(tp_nn_linear_init(&m->logvar, ps, "logvar", down[n], config->latent_dim));
    return tp_nn_mlp_init(&m->decoder, ps, "decoder", up, n + 1, config->activation, TP_IDENTITY);
}

static tp_status init(void *self, tp_params *ps, const tp_model_config *config)
{
    return tp_vae_init(self, ps, config, true);
}

/* q(z|x) = N(μ(x), e^{logvar(x)}); without spread for the autoencoder */
static tp_dist encode(const void *self, tp_ctx *c, tp_var x)
{
    const tp_vae *m = self;
    tp_dist q;
    tp_scope_begin(c->tape, "encoder");
    tp_var h = tp_nn_mlp_apply(&m->encoder, c, x);         /* [batch, nh] */
    tp_var mu = tp_nn_linear_apply(&m->mu, c, TP_NAME(h)); /* [batch, nz] */
    if (m->stochastic) {
        tp_var logvar = tp_nn_linear_apply(&m->logvar, c, h); /* [batch, nz] */
        q = tp_normal_logvar(TP_NAME(mu), TP_NAME(logvar));
    } else {
        q = tp_normal_fixed(TP_NAME(mu), -200); /* σ = e^-100 is nothing beside any μ */
    }
    tp_scope_end(c->tape);
    return q;
}

/* z -> the decoder's last layer, before the sigmoid */
static tp_var logits(const tp_vae *m, tp_ctx *c, tp_var z)
{
    tp_scope_begin(c->tape, "decoder");
    tp_var y = tp_nn_mlp_apply(&m->decoder, c, z); /* [batch, nx] */
    tp_scope_end(c->tape);
    return y;
}

static tp_var decode(const void *self, tp_ctx *c, tp_var z)
{
    return tp_sigmoid(logits(self, c, z)); /* the mean of both likelihoods */
}

/* log p(x|z), [batch] */
static tp_var logprob(const tp_vae *m, tp_var y, tp_var x)
{
    if (m->likelihood == TP_GAUSSIAN)
        return tp_dist_logprob(tp_normal_fixed(tp_sigmoid(y), 0), x);
    return tp_dist_logprob(tp_bernoulli_logits(y), x);
}

static tp_objective loss(const void *self, tp_ctx *c, tp_var x)
{
    const tp_vae *m = self;
    tp_dist q = encode(self, c, x);
    if (!m->stochastic)
        return tp_reconstruction(logprob(m, logits(m, c, tp_dist_mean(q)), x));
    tp_var z = tp_dist_rsample(q, c); /* reparameterize */
    return tp_negative_elbo(logprob(m, logits(m, c, TP_NAME(z)), x),
                            tp_kl(q, tp_normal_standard(z)), (tp_elbo_opts){.beta = m->beta});
}

const tp_model_type tp_model_vae = {.name = "vae",
                                    .summary = "variational autoencoder",
                                    .objective = "E_q[−log p(x|z)] + β·KL(q(z|x) ‖ N(0,1))",
                                    .size = sizeof(tp_vae),
                                    .has_prior = true,
                                    .init = init,
                                    .loss = loss,
                                    .encode = encode,
                                    .decode = decode};
