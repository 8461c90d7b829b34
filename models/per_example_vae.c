/* per_example_vae.c: variational inference without an encoder (Jordan et al. 1999; Hoffman et al. 2013): every training
 * example has a posterior of its own, two rows of a table.
 *
 * What is not in the table, anything in evaluation, has its posterior sought for: infer.h. Compare vae.c, which learns a
 * network that guesses it. */
#include "models/infer.h"
#include "models/nets.h"
#include "autograd/compose.h"

typedef struct per_example {
    tp_nn_embedding mu, logvar; /* [examples, latent_dim], divided by speed */
    tp_decoder decoder;
    int64_t latent_dim;
    double speed;
    tp_infer_opts infer;
} per_example;

enum { SPEED, STEPS, RATE };
static const tp_model_option options[] = {
    {"speed", 100, 1, 1e6,
     "by how much more than a weight a posterior moves: its turn is once an epoch"},
    {"steps", 50, 1, 1e5, "in the search for the posterior of an x that is not in the table", true},
    {"rate", 0.05, 1e-6, 1, "of these steps"},
    {0},
};

static tp_status init(void *self, tp_params *ps, const tp_model_config *config)
{
    per_example *m = self;
    m->latent_dim = config->latent_dim;
    m->speed = config->option[SPEED];
    m->infer = (tp_infer_opts){(int64_t)config->option[STEPS], config->option[RATE]};
    TP_TRY(tp_nn_embedding_init(&m->mu, ps, "mu", config->examples, m->latent_dim));
    TP_TRY(tp_nn_embedding_init(&m->logvar, ps, "logvar", config->examples, m->latent_dim));
    TP_TRY(tp_init_normal(ps, &m->mu.weight, 0.1 / m->speed)); /* near the prior */
    TP_TRY(tp_init_constant(&m->logvar.weight, 0));
    return tp_decoder_init(&m->decoder, ps, config, config->latent_dim);
}

static tp_dist prior(void *self, tp_ctx *c)
{
    const per_example *m = self;
    tp_dtype dtype = m->mu.weight.value.dtype;
    return tp_normal_standard(tp_full(c->tape, dtype, TP_SHAPE(m->latent_dim), 0));
}

static tp_dist decode(void *self, tp_ctx *c, tp_var z)
{
    return tp_decoder_apply(&((per_example *)self)->decoder, c, z);
}

static tp_dist posterior(void *self, tp_ctx *c, tp_var x)
{
    const per_example *m = self;
    if (c->mode != TP_TRAIN)
        return tp_infer_normal(&tp_model_per_example_vae, self, c, x, m->infer);
    tp_scope_begin(c->tape, "posterior");
    tp_var row = tp_ctx_index(c);
    tp_var mu = tp_scale(tp_nn_embedding_apply(&m->mu, c, row), m->speed);
    tp_var logvar = tp_scale(tp_nn_embedding_apply(&m->logvar, c, row), m->speed);
    tp_dist q = tp_normal_logvar(TP_NAME(mu), TP_NAME(logvar));
    tp_scope_end(c->tape);
    return q;
}

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    tp_dist q = posterior(self, c, x);
    tp_var z = tp_dist_rsample(q, c);
    tp_var logprob = tp_data_logprob(decode(self, c, TP_NAME(z)), x);
    return tp_negative_elbo(logprob, tp_kl(q, prior(self, c)), tp_elbo_defaults());
}

const tp_model_type tp_model_per_example_vae = {
    .name = "per_example_vae",
    .summary = "VAE without encoder: a posterior for each example",
    .objective = "E_q[−log p(x_n|z)] + KL(N(μ_n, e^{v_n}) ‖ N(0,1))",
    .source = "Jordan et al. 1999; Hoffman et al. 2013",
    .size = sizeof(per_example),
    .options = options,
    .indexed = true,
    .init = init,
    .loss = loss,
    .posterior = posterior,
    .prior = prior,
    .decode = decode};
