/* linear_vae.c: the VAE whose two networks are linear: probabilistic principal component analysis (Tipping and Bishop
 * 1999), whose log p(x) is known.
 *
 * What training such a VAE finds is the principal subspace: at its optimum the bound is tight (Lucas et al. 2019). The
 * exact optimum, by eigenvectors, is tests/models/test_linear_vae.c. */
#include "autograd/compose.h"
#include "models/model.h"

typedef struct linear_vae {
    tp_nn_linear mu, decoder;          /* x -> z and z -> x; W is the decoder's weight [nx, nz] */
    tp_parameter logvar, noise_logvar; /* [nz], of q(z|x) for every x; [1], log σ² of p(x|z) */
} linear_vae;

static tp_status init(void *self, tp_params *ps, const tp_model_config *config)
{
    linear_vae *m = self;
    int64_t nx = config->data_dim, nz = config->latent_dim;
    TP_TRY(tp_nn_linear_init(&m->mu, ps, "mu", nx, nz));
    TP_TRY(tp_params_add(ps, &m->logvar, "logvar", TP_SHAPE(nz)));
    TP_TRY(tp_nn_linear_init(&m->decoder, ps, "decoder", nz, nx));
    return tp_params_add(ps, &m->noise_logvar, "noise_logvar", TP_SHAPE(1));
}

/* N(mu, e^logvar) with a log-variance shared by what leads, and by what follows if it is a single number. */
static tp_dist normal(tp_ctx *c, tp_var mu, const tp_parameter *logvar)
{
    return tp_normal_logvar(TP_NAME(mu), tp_expand(tp_params_var(c, logvar), tp_shape_of(mu)));
}

static tp_dist posterior(void *self, tp_ctx *c, tp_var x)
{
    const linear_vae *m = self;
    tp_scope_begin(c->tape, "heads");
    tp_dist q = normal(c, tp_nn_linear_apply(&m->mu, c, x), &m->logvar);
    tp_scope_end(c->tape);
    return q;
}

static tp_dist prior(void *self, tp_ctx *c)
{
    return tp_normal_standard(tp_params_var(c, &((linear_vae *)self)->logvar));
}

static tp_dist decode(void *self, tp_ctx *c, tp_var z)
{
    const linear_vae *m = self;
    tp_scope_begin(c->tape, "decoder");
    tp_dist p = normal(c, tp_nn_linear_apply(&m->decoder, c, z), &m->noise_logvar);
    tp_scope_end(c->tape);
    return p;
}

/* Bayes' theorem, log p(x) = log p(x|z) + log p(z) − log p(z|x) for any z: here the mean of p(z|x) = N(m, A⁻¹), with
 * A = I + WᵀW/σ² and m = A⁻¹Wᵀ(x − b)/σ². No matrix is larger than [nz, nz], and rounding errors of m count squared. */
static tp_var logprob(void *self, tp_ctx *c, tp_var x)
{
    const linear_vae *m = self;
    tp_var w = tp_params_var(c, &m->decoder.weight), b = tp_params_var(c, &m->decoder.bias);
    tp_var precision = tp_exp(tp_neg(tp_params_var(c, &m->noise_logvar))); /* [1] */
    tp_var one = tp_diag(tp_ones_like(tp_params_var(c, &m->logvar)));      /* [nz, nz] */
    tp_var a = tp_add(one, tp_mul(tp_matmul(tp_transpose(w), w), precision));
    tp_var l = tp_cholesky(a);
    tp_var inverse = tp_triangular_solve(l, tp_triangular_solve(l, one, false), true);
    tp_var z = tp_matmul(tp_mul(tp_matmul(tp_sub(x, b), w), precision), inverse); /* [batch, nz] */
    tp_var zero = tp_zeros_like(tp_params_var(c, &m->logvar));
    tp_var log_peak = tp_dist_logprob(tp_mvn_covariance(zero, inverse), zero); /* log p(z|x), [] */
    tp_var log_joint = tp_add(tp_data_logprob(decode(self, c, z), x),
                              tp_dist_logprob(prior(self, c), z)); /* [batch] */
    return tp_sub(log_joint, log_peak);
}

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    tp_dist q = posterior(self, c, x);
    tp_var z = tp_dist_rsample(q, c); /* [batch, nz] */
    tp_var log_x = tp_data_logprob(decode(self, c, TP_NAME(z)), x);
    return tp_negative_elbo(log_x, tp_kl(q, prior(self, c)), tp_elbo_defaults());
}

const tp_model_type tp_model_linear_vae = {
    .name = "linear_vae",
    .summary = "linear VAE, which is probabilistic PCA; has no hidden layers",
    .objective = "E_q[−log N(x; Wz + b, σ²)] + KL(q(z|x) ‖ N(0,1)), σ² learned",
    .source = "Tipping and Bishop 1999; Lucas et al. 2019",
    .size = sizeof(linear_vae),
    .likelihoods = 1u << TP_GAUSSIAN,
    .any_real = true,
    .init = init,
    .loss = loss,
    .posterior = posterior,
    .prior = prior,
    .decode = decode,
    .logprob = logprob};
