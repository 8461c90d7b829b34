/* conditional_vae.c: a VAE of x given a label: encoder and decoder are told the class, the latents need not hold it.
 *
 * Everything is conditional: the loss bounds log p(x|label), and pictures are drawn for the labels in the context. Read
 * next: vamp_vae.c, whose prior is learned. */
#include "autograd/compose.h"
#include "models/vae.h"

typedef struct self {
    tp_vae vae; /* first: its prior serves */
    int64_t classes;
} self;

static tp_status init(void *of, tp_params *ps, const tp_model_config *config)
{
    self *m = of;
    int64_t classes = m->classes = config->classes;
    m->vae.latent_dim = config->latent_dim;
    m->vae.beta = config->beta;
    if (classes > INT64_MAX - config->data_dim || classes > INT64_MAX - config->latent_dim)
        return tp_fail(TP_ESHAPE, "%lld classes are too many", (long long)classes);
    TP_TRY(tp_encoder_init(&m->vae.encoder, ps, config, config->data_dim + classes, false));
    return tp_decoder_init(&m->vae.decoder, ps, config, config->latent_dim + classes);
}

/* The labels of the batch [batch], unless x [.., batch, n] is of another size: one label would do for all in silence. */
static tp_var labels_for(tp_ctx *c, tp_var x)
{
    tp_var labels = tp_ctx_labels(c);
    tp_shape s = tp_shape_of(x);
    if (tp_var_status(labels) != TP_OK || tp_var_status(x) != TP_OK || s.ndim < 2)
        return labels;
    int64_t n = tp_shape_of(labels).dim[0], batch = s.dim[s.ndim - 2];
    if (n == batch)
        return labels;
    return tp_tape_poison(c->tape, tp_fail(TP_ESHAPE, "%lld labels for a batch of %lld: one each",
                                           (long long)n, (long long)batch));
}

/* x with the labels behind, one-hot: [.., batch, n + classes]. */
static tp_var labelled(const self *m, tp_ctx *c, tp_var x)
{
    tp_scope_begin(c->tape, "labels");
    tp_var hot = tp_one_hot(labels_for(c, x), m->classes, tp_dtype_of(x)); /* [batch, classes] */
    tp_shape wide = tp_shape_of(x);
    if (wide.ndim > 0)
        wide.dim[wide.ndim - 1] = m->classes;
    tp_var both = tp_concat((tp_var[]){x, tp_expand(hot, wide)}, 2, -1);
    tp_scope_end(c->tape);
    return both;
}

static tp_dist posterior(void *of, tp_ctx *c, tp_var x)
{
    const self *m = of;
    return tp_encoder_apply(&m->vae.encoder, c, labelled(m, c, x));
}

static tp_dist decode(void *of, tp_ctx *c, tp_var z)
{
    const self *m = of;
    return tp_decoder_apply(&m->vae.decoder, c, labelled(m, c, z));
}

static tp_objective loss(void *of, tp_ctx *c, tp_var x)
{
    const self *m = of;
    tp_dist q = posterior(of, c, x);
    tp_var z = tp_dist_rsample(q, c);
    return tp_negative_elbo(tp_data_logprob(decode(of, c, TP_NAME(z)), x),
                            tp_kl(q, tp_vae_prior(of, c)), (tp_elbo_opts){.beta = m->vae.beta});
}

const tp_model_type tp_model_conditional_vae = {
    .name = "conditional_vae",
    .summary = "VAE of x given its label",
    .objective = "E_q[−log p(x|z,y)] + β·KL(q(z|x,y) ‖ N(0,1)), y the label of x",
    .source = "Kingma et al. 2014 (M2); Sohn, Lee and Yan 2015",
    .size = sizeof(self),
    .beta = true,
    .scale = true,
    .labels = true,
    .init = init,
    .loss = loss,
    .posterior = posterior,
    .prior = tp_vae_prior,
    .decode = decode};
