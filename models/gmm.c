/* gmm.c: a mixture of normal distributions with diagonal covariance (Pearson 1894): the latent variable is the number of
 * the component, one of latent_dim.
 *
 * Posterior and log p(x) are exact. Learned by the gradient of log p(x), as other models are, or by gmm_em.c. */
#include "models/gmm.h"
#include "autograd/compose.h"

enum { CENTER, SIGMA, LOGVAR, FLOOR, SPEED };
static const tp_model_option options[] = {
    {"center", 0.2, -1e6, 1e6, "the first means of the components are drawn around this …"},
    {"sigma", 0.1, 0, 1e6, "… with this standard deviation"},
    {"logvar", -2, -80, 80, "their first log-variance; too large, and one takes everything"},
    {"floor", -6, -80, 80, "below which no log-variance falls: some pixels are black in all data"},
    {"speed", 10, 1, 1e6, "how many times faster its numbers move than the weights of a network"},
    {0},
};

static tp_status init(void *self, tp_params *ps, const tp_model_config *config)
{
    tp_gmm *m = self;
    tp_shape all = TP_SHAPE(config->latent_dim, config->data_dim);
    const double *o = config->option;
    m->floor = o[FLOOR];
    m->speed = o[SPEED];
    TP_TRY(tp_params_add(ps, &m->logits, "logits", TP_SHAPE(config->latent_dim)));
    TP_TRY(tp_params_add(ps, &m->mu, "mu", all));
    TP_TRY(tp_params_add(ps, &m->spread, "spread", all));
    TP_TRY(tp_init_constant(&m->spread, o[LOGVAR] / m->speed));
    TP_TRY(tp_init_normal(ps, &m->mu, o[SIGMA] / m->speed));
    for (int64_t i = 0; i < tp_numel(&m->mu.value); i++)
        TP_TRY(tp_set_flat(&m->mu.value, i, tp_flat(&m->mu.value, i) + o[CENTER] / m->speed));
    return TP_OK;
}

/* The number that a parameter stands for: an optimizer whose steps have one size for all would be slow with these. */
static tp_var number(const tp_gmm *m, tp_ctx *c, const tp_parameter *p)
{
    return tp_scale(tp_params_var(c, p), m->speed);
}

/* p(x|z) of all components: batch [components] */
static tp_dist components(const tp_gmm *m, tp_ctx *c)
{
    tp_scope_begin(c->tape, "components");
    tp_var mu = number(m, c, &m->mu); /* [components, data_dim] each */
    tp_var logvar = tp_logvar_above(number(m, c, &m->spread), m->floor);
    tp_scope_end(c->tape);
    return tp_normal_logvar(mu, logvar);
}

static tp_dist prior(void *self, tp_ctx *c)
{
    const tp_gmm *m = self;
    tp_scope_begin(c->tape, "prior");
    tp_var logits = number(m, c, &m->logits);
    tp_scope_end(c->tape);
    return tp_categorical_logits(logits);
}

/* log p(x|z) for every z: x [batch, data_dim] -> [batch, components] */
static tp_var each(const tp_gmm *m, tp_ctx *c, tp_var x)
{
    tp_dist p = components(m, c);
    tp_shape s = tp_shape_of(x), all = tp_dist_shape(&p);
    if (tp_var_status(x) == TP_OK && s.ndim == 2)
        x = tp_expand(tp_unsqueeze(x, 1), TP_SHAPE(s.dim[0], all.dim[0], s.dim[1]));
    return tp_dist_logprob(p, x);
}

/* p(z|x) ∝ p(z)·p(x|z): how much of x each component is responsible for. */
static tp_dist posterior(void *self, tp_ctx *c, tp_var x)
{
    tp_var log_prior = tp_log_softmax(prior(self, c).param[0], -1);
    return tp_categorical_logits(tp_add(log_prior, each(self, c, x)));
}

static tp_dist decode(void *self, tp_ctx *c, tp_var z)
{
    tp_dist p = components(self, c);
    return tp_normal_logvar(tp_embedding(p.param[0], z), tp_embedding(p.param[1], z));
}

/* The most responsible component. */
static tp_var code(void *self, tp_ctx *c, tp_var x)
{
    return tp_argmax(posterior(self, c, x).param[0], -1, false);
}

static tp_var kl(void *self, tp_ctx *c, tp_var x)
{
    return tp_unsqueeze(tp_kl(posterior(self, c, x), prior(self, c)), -1);
}

static tp_var logprob(void *self, tp_ctx *c, tp_var x)
{
    return tp_data_logprob(tp_mixture(prior(self, c).param[0], components(self, c)), x);
}

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    return tp_negative_loglikelihood(logprob(self, c, x));
}

const tp_model_type tp_model_gmm = {.name = "gmm",
                                    .summary = "mixture of diagonal normal distributions",
                                    .objective = "−log Σ_z p(z)·N(x; μ_z, e^{v_z})",
                                    .source = "Pearson 1894; EM: Dempster, Laird and Rubin 1977",
                                    .size = sizeof(tp_gmm),
                                    .likelihoods = 1u << TP_GAUSSIAN_LEARNED,
                                    .options = options,
                                    .any_real = true,
                                    .discrete = true,
                                    .init = init,
                                    .loss = loss,
                                    .posterior = posterior,
                                    .prior = prior,
                                    .decode = decode,
                                    .code = code,
                                    .logprob = logprob,
                                    .kl = kl};
