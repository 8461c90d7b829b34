/* hierarchical_vae.c: a VAE with two levels of latent variables, each of which explains the one below:
 *
 *     p(z2) = N(0,1), p(z1|z2), p(x|z1)        q(z1|x), q(z2|z1)
 *
 * z1 and z2 depend on each other under q. So only the KL of z2 is a closed form, given z1; that of z1 is the log-ratio at
 * the same draws. The closed form KL(q(z1|x) ‖ p(z1|z2)) at a z2 drawn from q(z2|z1), as textbooks have it, takes them for
 * independent: it stays below log p(x) by at least their mutual information. textbook_kl minimises that; log weights and
 * what is made of them are of the model itself all the same. Read next: nn/objective.h. */
#include "autograd/compose.h"
#include "models/vae.h"

typedef struct hierarchical_vae {
    tp_vae vae;          /* q(z1|x), p(x|z1) */
    tp_encoder up, down; /* q(z2|z1), p(z1|z2) */
    int64_t latent2;
} hierarchical_vae;

enum { LATENT2, HIDDEN2, WARMUP, UNIT_VARIANCE, TEXTBOOK_KL, ONE_ACTIVATION };
static const tp_model_option options[] = {
    {"latent2", 20, 1, 1e6, "latent dimensions of the upper level", true},
    {"hidden2", 100, 1, 1e6, "size of the hidden layers between the levels", true},
    TP_WARMUP_OPTION,
    {"unit_variance", 0, 0, 1, "1: p(z1|z2) has variance 1, and learns its mean only", true},
    {"textbook_kl", 0, 0, 1, "1: the KL of z1 in closed form, as if z2 had not been drawn from z1",
     true},
    {"one_activation", 0, 0, 1, "1: between the levels that of the other layers, not tanh", true},
    {0},
};

/* Between the levels it is tanh: what comes in are no pictures in [0,1] but any numbers, and with little weight on the
 * KLs they become large. Log-variances out of unbounded units overflow then. */
static tp_status init(void *self, tp_params *ps, const tp_model_config *config)
{
    hierarchical_vae *m = self;
    int64_t n1 = config->latent_dim, n2 = (int64_t)config->option[LATENT2];
    int64_t hidden = (int64_t)config->option[HIDDEN2];
    tp_activation a = config->option[ONE_ACTIVATION] != 0 ? config->activation : TP_TANH;
    bool unit = config->option[UNIT_VARIANCE] != 0;
    m->latent2 = n2;
    TP_TRY(tp_vae_init(&m->vae, ps, config));
    TP_TRY(tp_encoder_init_named(&m->up, ps, "up", n1, hidden, n2, a, config->posterior_scale));
    return tp_encoder_init_named(&m->down, ps, "down", n2, hidden, n1, a,
                                 unit ? TP_SCALE_ONE : TP_SCALE_LOGVAR);
}

/* q(z2|z1) | p(z1|z2) */
static tp_dist up(const hierarchical_vae *m, tp_ctx *c, tp_var z1)
{
    tp_scope_begin(c->tape, "up");
    tp_dist q2 = tp_encoder_apply(&m->up, c, z1);
    tp_scope_end(c->tape);
    return q2;
}

static tp_dist down(const hierarchical_vae *m, tp_ctx *c, tp_var z2)
{
    tp_scope_begin(c->tape, "down");
    tp_dist p1 = tp_encoder_apply(&m->down, c, z2);
    tp_scope_end(c->tape);
    return p1;
}

/* One draw of both levels, from q1 = q(z1|x), and what they came from and are to come from. */
typedef struct levels {
    tp_var z1, z2;
    tp_dist q1, q2, p1, p2; /* q(z1|x), q(z2|z1), p(z1|z2), p(z2) */
} levels;

static levels draw(const hierarchical_vae *m, tp_ctx *c, tp_dist q1)
{
    tp_var z1 = tp_dist_rsample(q1, c);
    tp_dist q2 = up(m, c, TP_NAME(z1));
    tp_var z2 = tp_dist_rsample(q2, c);
    return (levels){z1, TP_NAME(z2), q1, q2, down(m, c, z2), tp_normal_standard(z2)};
}

static tp_var log_ratio(tp_dist q, tp_dist p, tp_var z)
{
    return tp_sampled_kl(tp_posterior_logprob(q, z), tp_prior_logprob(p, z));
}

/* What z1 costs, given z2: by dimension where the events of its distributions are single numbers. */
static tp_var cost(const hierarchical_vae *m, const levels *l)
{
    if (m->vae.option[TEXTBOOK_KL] == 0)
        return log_ratio(l->q1, l->p1, l->z1);
    return l->q1.event_dims == 0 ? tp_kl_elements(l->q1, l->p1) : tp_kl(l->q1, l->p1);
}

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    const hierarchical_vae *m = self;
    double beta = tp_vae_weight(&m->vae, c, m->vae.option[WARMUP]).beta;
    levels l = draw(m, c, tp_vae_posterior(self, c, x));
    tp_var kl1 = cost(m, &l), kl2 = tp_kl(l.q2, l.p2); /* [batch] */
    tp_objective recon = tp_reconstruction(tp_data_logprob(tp_vae_decode(self, c, l.z1), x));
    tp_scope_begin(c->tape, "KL");
    kl1 = tp_mean(kl1, TP_ALL_AXES, false);
    kl2 = tp_mean(kl2, TP_ALL_AXES, false);
    tp_scope_end(c->tape);
    return tp_objective_of(3, (tp_term[]){recon.term[0], {"kl1", kl1, beta}, {"kl2", kl2, beta}});
}

static tp_log_densities densities(void *self, tp_ctx *c, tp_dist q, tp_var x, int64_t k)
{
    const hierarchical_vae *m = self;
    levels l = draw(m, c, tp_dist_repeat(q, TP_SHAPE(k)));
    return (tp_log_densities){
        tp_data_logprob(tp_vae_decode(self, c, l.z1), x), /* [k, batch] each */
        tp_add(tp_prior_logprob(l.p1, l.z1), tp_prior_logprob(l.p2, l.z2)),
        tp_add(tp_posterior_logprob(l.q1, l.z1), tp_posterior_logprob(l.q2, l.z2))};
}

/* Per dimension, first those of z1: their elements are log-ratios at one draw, so that single ones may be negative. */
static tp_var kl(void *self, tp_ctx *c, tp_var x)
{
    levels l = draw(self, c, tp_vae_posterior(self, c, x));
    l.q1.event_dims = l.p1.event_dims = 0;
    return tp_concat((tp_var[]){cost(self, &l), tp_kl_elements(l.q2, l.p2)}, 2, -1);
}

static tp_dist generate(void *self, tp_ctx *c, int64_t n)
{
    const hierarchical_vae *m = self;
    tp_dtype dtype = m->up.mu.bias.value.dtype;
    tp_dist p2 = tp_normal_standard(tp_full(c->tape, dtype, TP_SHAPE(n, m->latent2), 0));
    tp_var z1 = tp_dist_sample(down(m, c, tp_dist_sample(p2, c)), c);
    return tp_vae_decode(self, c, TP_NAME(z1));
}

const tp_model_type tp_model_hierarchical_vae = {
    .name = "hierarchical_vae",
    .summary = "VAE with two levels of latent variables",
    .objective = "E_q[−log p(x|z1) + β·(log q(z1|x) − log p(z1|z2) + KL(q(z2|z1) ‖ N(0,1)))]",
    .source = "Rezende et al. 2014",
    .size = sizeof(hierarchical_vae),
    .options = options,
    .beta = true,
    .scale = true,
    .init = init,
    .loss = loss,
    .posterior = tp_vae_posterior,
    .decode = tp_vae_decode,
    .generate = generate,
    .densities = densities,
    .kl = kl};
