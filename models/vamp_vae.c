/* vamp_vae.c: the VAE with a VampPrior: p(z) is the mixture of the posteriors of pictures that are learned.
 *
 * Not another posterior or decoder: those are the VAE's. Where N(0,1) asks every posterior to be alike, this prior has the
 * shape of what encoders give. Read next: planar_vae.c, which keeps the prior and bends the posterior. */
#include "autograd/compose.h"
#include "models/vae.h"

typedef struct vamp_vae {
    tp_vae vae;
    tp_parameter pseudo_inputs; /* logits of C pictures u_c: [C, data_dim] */
} vamp_vae;

enum { COMPONENTS, WARMUP };
static const tp_model_option options[] = {
    {"components", 100, 1, 1e5, "pseudo-inputs, whose posteriors are the prior", true},
    TP_WARMUP_OPTION,
    {0},
};

/* A black picture with some noise: few pixels of a digit are lit, and no two pseudo-inputs may be the same, for they
 * would stay so. */
static tp_status init_pseudo_inputs(const tp_params *ps, tp_parameter *p)
{
    TP_TRY(tp_init_normal(ps, p, 0.1));
    for (int64_t i = 0; i < tp_numel(&p->value); i++)
        TP_TRY(tp_set_flat(&p->value, i, tp_flat(&p->value, i) - 2)); /* σ(−2) = 0.12 */
    return TP_OK;
}

static tp_status init(void *self, tp_params *ps, const tp_model_config *config)
{
    vamp_vae *m = self;
    tp_shape shape = TP_SHAPE((int64_t)config->option[COMPONENTS], config->data_dim);
    TP_TRY(tp_vae_init(&m->vae, ps, config));
    TP_TRY(tp_params_add(ps, &m->pseudo_inputs, "pseudo_inputs", shape));
    return init_pseudo_inputs(ps, &m->pseudo_inputs);
}

static tp_dist prior(void *self, tp_ctx *c)
{
    const vamp_vae *m = self;
    const tp_tensor *logits = &m->pseudo_inputs.value;
    tp_scope_begin(c->tape, "prior");
    tp_var u = tp_sigmoid(tp_params_var(c, &m->pseudo_inputs)); /* [C, nx] */
    tp_var equal = tp_full(c->tape, logits->dtype, TP_SHAPE(logits->shape.dim[0]), 0);
    tp_dist p = tp_mixture(equal, tp_vae_posterior(self, c, TP_NAME(u)));
    tp_scope_end(c->tape);
    return p;
}

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    const vamp_vae *m = self;
    tp_dist q = tp_vae_posterior(self, c, x);
    tp_vae_pass v = tp_vae_forward_sampled(self, c, x, q, prior(self, c));
    return tp_negative_elbo(v.logprob, v.kl, tp_vae_weight(&m->vae, c, m->vae.option[WARMUP]));
}

const tp_model_type tp_model_vamp_vae = {
    .name = "vamp_vae",
    .summary = "VAE whose prior is the mixture of the posteriors of learned pseudo-inputs",
    .objective = "E_q[−log p(x|z) + β·(log q(z|x) − log 1/C Σ_c q(z|u_c))]",
    .source = "Tomczak and Welling 2018",
    .size = sizeof(vamp_vae),
    .options = options,
    .beta = true,
    .scale = true,
    .init = init,
    .loss = loss,
    .posterior = tp_vae_posterior,
    .prior = prior,
    .decode = tp_vae_decode};
