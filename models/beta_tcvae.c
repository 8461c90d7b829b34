/* beta_tcvae.c: the β-TCVAE (Chen et al. 2018): a VAE that pays more for the total correlation of its codes than for the
 * rest of the KL.
 *
 * Parts are the VAE's; the split of the KL is nn/objective/total_correlation.c. Read next: factor_vae.c, which estimates
 * the same term by an adversary. */
#include "models/vae.h"
#include "autograd/compose.h"

typedef struct tp_beta_tcvae {
    tp_vae vae;
    int64_t examples;
} tp_beta_tcvae;

enum { ALPHA, TC, GAMMA, ESTIMATOR };
static const tp_model_option options[] = {
    {"alpha", 1, 0, 1e6, "weight of the mutual information of code and example"},
    {"tc", 6, 0, 1e6, "weight of the total correlation: β of the paper"},
    {"gamma", 1, 0, 1e6, "weight of each dimension's KL to the prior"},
    {"estimator", 0, 0, 1, "of q(z) from a batch: 0 stratified (MSS), 1 weighted (MWS)", true},
    {0},
};

static tp_status init(void *self, tp_params *ps, const tp_model_config *config)
{
    if (config->examples < 1)
        return tp_fail(TP_EARG, "it estimates q(z) over all training data and wants to know their "
                                "number: examples must be at least 1");
    ((tp_beta_tcvae *)self)->examples = config->examples;
    return tp_vae_init(self, ps, config);
}

/* log q(z_{i,d}|x_j) of all pairs of a batch: [B, B, D]. */
static tp_var pairs(tp_dist q, tp_var z)
{
    tp_shape s = tp_shape_of(z);
    q.event_dims = 0; /* every dimension for itself */
    tp_scope_begin(z.tape, "density");
    tp_var rows = tp_expand(tp_unsqueeze(z, 1), TP_SHAPE(s.dim[0], s.dim[0], s.dim[1]));
    tp_scope_end(z.tape);
    return tp_posterior_logprob(q, rows);
}

/* A batch of one, as the last of an epoch may be, has no other example to stratify by. All that it knows of q(z) is its
 * own q(z|x), as if it were the data set: then MI and TC are 0, and KL_dim is the sampled KL. (The weighted estimate with
 * N = 1 says that, and is the same for any N but for constants.) A batch of more than N examples, from other data than
 * those of training, likewise counts as the data set. */
static tp_tc_opts estimate(const tp_beta_tcvae *m, int64_t batch)
{
    if (batch == 1)
        return (tp_tc_opts){TP_TC_MWS, 1};
    return (tp_tc_opts){m->vae.option[ESTIMATOR] == 1 ? TP_TC_MWS : TP_TC_MSS,
                        m->examples > batch ? m->examples : batch};
}

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    const tp_beta_tcvae *m = self;
    const double *o = m->vae.option;
    tp_vae_pass v = tp_vae_forward(self, c, x);
    tp_var log_prior = tp_prior_logprob(tp_normal_standard(v.z), v.z); /* [B] */
    tp_tc_parts parts =
        tp_tc_decompose(pairs(v.q, v.z), log_prior, estimate(m, tp_shape_of(v.z).dim[0]));
    return tp_tc_elbo(v.logprob, parts, (tp_tc_weights){o[ALPHA], o[TC], o[GAMMA]});
}

const tp_model_type tp_model_beta_tcvae = {
    .name = "beta_tcvae",
    .summary = "VAE that pays extra for dependence between the dimensions of z",
    .objective = "E_q[−log p(x|z)] + α·MI + tc·TC + γ·Σ_d KL(q(z_d) ‖ N(0,1))",
    .source = "Chen, Li, Grosse and Duvenaud 2018",
    .size = sizeof(tp_beta_tcvae),
    .options = options,
    .coupled = true,
    .scale = true,
    .init = init,
    .loss = loss,
    .posterior = tp_vae_posterior,
    .prior = tp_vae_prior,
    .decode = tp_vae_decode};
