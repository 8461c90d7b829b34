/* gumbel_vae.c: a VAE whose latents are classes, trained through draws that are nearly one-hot and differentiable.
 *
 * The model is the discrete one: z are class numbers, i64, and everything but training goes by them. Training replaces the
 * draw, and only that, by the relaxed one of nn/dist/relaxed_one_hot.c; its loss then is no bound of log p(x), but tends to
 * one as the temperature falls. Read next: conditional_vae.c. */
#include "autograd/compose.h"
#include "models/nets.h"

#include <math.h>

typedef struct self {
    tp_nn_mlp encoder;
    tp_decoder decoder;
    int64_t latent_dim, categories;
    double beta, tau_min, rate;
} self;

/* Down to ½ within some hundred steps: in 20 epochs of the digits in examples/data that is 5 nats better than a rate of
 * 3e-5, which is meant for runs of many epochs, and how fast it goes does not matter then. */
enum { CATEGORIES, TAU_MIN, RATE };
static const tp_model_option options[] = {
    {"categories", 10, 2, 65536, "classes of each latent", true},
    {"tau_min", 0.5, 0.01, 100, "the temperature of the draws in training is max(tau_min, …"},
    {"rate", 1e-3, 0, 1, "… e^(−rate·step))"},
    {0},
};

static tp_status init(void *of, tp_params *ps, const tp_model_config *config)
{
    self *m = of;
    m->latent_dim = config->latent_dim;
    m->categories = (int64_t)config->option[CATEGORIES];
    m->beta = config->beta;
    m->tau_min = config->option[TAU_MIN];
    m->rate = config->option[RATE];
    TP_TRY(tp_encoder_mlp_init(&m->encoder, ps, config, config->data_dim, m->latent_dim,
                               m->categories));
    return tp_decoder_init(&m->decoder, ps, config, m->latent_dim * m->categories);
}

/* One event is the classes of all latents. */
static tp_dist classes(tp_var logits)
{
    tp_dist d = tp_categorical_logits(logits);
    d.event_dims = 1;
    return d;
}

static tp_dist posterior(void *of, tp_ctx *c, tp_var x)
{
    const self *m = of;
    tp_scope_begin(c->tape, "encoder");
    tp_var logits = tp_split_last(tp_nn_mlp_apply(&m->encoder, c, x), m->categories);
    tp_scope_end(c->tape);
    return classes(TP_NAME(logits)); /* [.., latent_dim, categories] */
}

static tp_dist prior(void *of, tp_ctx *c)
{
    const self *m = of;
    tp_dtype dtype = m->encoder.layer[0].bias.value.dtype;
    tp_scope_begin(c->tape, "prior");
    tp_dist p = classes(tp_full(c->tape, dtype, TP_SHAPE(m->latent_dim, m->categories), 0));
    tp_scope_end(c->tape);
    return p;
}

/* Of a vector for each latent, one-hot or nearly so: [.., latent_dim, categories]. */
static tp_dist decode_vectors(const self *m, tp_ctx *c, tp_var z)
{
    tp_scope_begin(c->tape, "decoder");
    tp_var flat = tp_join_last(z);
    tp_scope_end(c->tape);
    return tp_decoder_apply(&m->decoder, c, flat);
}

static tp_dist decode(void *of, tp_ctx *c, tp_var z)
{
    const self *m = of;
    return decode_vectors(m, c, tp_one_hot(z, m->categories, m->encoder.layer[0].bias.value.dtype));
}

static tp_objective loss(void *of, tp_ctx *c, tp_var x)
{
    const self *m = of;
    double tau = fmax(m->tau_min, exp(-m->rate * (double)c->step));
    tp_dist q = posterior(of, c, x), p;
    tp_var z;
    if (c->mode == TP_TRAIN) {
        z = tp_dist_rsample(tp_relaxed_one_hot(q.param[0], tau), c);
        p = decode_vectors(m, c, TP_NAME(z));
    } else {
        z = tp_dist_sample(q, c);
        p = decode(of, c, TP_NAME(z));
    }
    return tp_negative_elbo(tp_data_logprob(p, x), tp_kl(q, prior(of, c)),
                            (tp_elbo_opts){.beta = m->beta});
}

/* The likeliest classes, i64 [.., latent_dim]. */
static tp_var code(void *of, tp_ctx *c, tp_var x)
{
    return tp_argmax(posterior(of, c, x).param[0], -1, false);
}

const tp_model_type tp_model_gumbel_vae = {
    .name = "gumbel_vae",
    .summary = "VAE with classes as latents, trained by Gumbel-Softmax draws",
    .objective = "E_q[−log p(x|z)] + β·KL(q(z|x) ‖ uniform), z = softmax((logits + g)/τ), g Gumbel",
    .source = "Jang, Gu and Poole 2017; Maddison, Mnih and Teh 2017",
    .size = sizeof(self),
    .options = options,
    .beta = true,
    .discrete = true,
    .init = init,
    .loss = loss,
    .posterior = posterior,
    .prior = prior,
    .decode = decode,
    .code = code};
