/* vq_vae.c: the vector-quantised VAE: every latent is one of some vectors, the one nearest to what the encoder gives.
 *
 * Architecture only: the codebook is nn/layers/codebook.h, the objective nn/objective/quantise.c. A latent z is the
 * vectors themselves, one behind the other. The prior is how often each latent is which code, counted beside the
 * training, which does not need to know it (the paper fits a PixelCNN afterwards). Read next: gumbel_vae.c. */
#include "autograd/compose.h"
#include "models/nets.h"

typedef struct self {
    tp_nn_mlp encoder;
    tp_nn_codebook codebook;
    tp_buffer usage; /* of each code by each latent, a running mean: [latent_dim, codes] */
    tp_decoder decoder;
    int64_t latent_dim, codes, width;
    double commitment, decay;
} self;

/* The fewer numbers a code has, the more of the codes are found: on the digits of examples/data all of 64 are in use, and
 * with 2 numbers the loss is lower than with 4, 8 or 64. */
enum { CODES, WIDTH, COMMITMENT, DECAY };
static const tp_model_option options[] = {
    {"codes", 64, 2, 65536, "vectors in the codebook", true},
    {"code_width", 2, 1, 4096, "numbers in each of them", true},
    {"commitment", 0.25, 0, 1e6, "weight of what holds the encoder to the codes"},
    {"decay", 0.99, 0.001, 0.999999, "of the running means that codes and prior are"},
    {0},
};

static tp_status init(void *of, tp_params *ps, const tp_model_config *config)
{
    self *m = of;
    m->latent_dim = config->latent_dim;
    m->codes = (int64_t)config->option[CODES];
    m->width = (int64_t)config->option[WIDTH];
    m->commitment = config->option[COMMITMENT];
    m->decay = config->option[DECAY];
    TP_TRY(tp_encoder_mlp_init(&m->encoder, ps, config, config->data_dim, m->latent_dim, m->width));
    TP_TRY(tp_nn_codebook_init(&m->codebook, ps, "codebook", m->codes, m->width,
                               (tp_nn_codebook_opts){.decay = m->decay}));
    TP_TRY(tp_params_add_buffer(ps, &m->usage, "prior.usage", ps->dtype,
                                TP_SHAPE(m->latent_dim, m->codes)));
    TP_TRY(tp_fill(&m->usage.value, 1 / (double)m->codes));
    return tp_decoder_init(&m->decoder, ps, config, m->latent_dim * m->width);
}

/* What the encoder gives: [.., latent_dim, width]. */
static tp_var encode(const self *m, tp_ctx *c, tp_var x)
{
    tp_scope_begin(c->tape, "encoder");
    tp_var z = tp_split_last(tp_nn_mlp_apply(&m->encoder, c, x), m->width);
    tp_scope_end(c->tape);
    return TP_NAME(z);
}

static tp_dist decode(void *of, tp_ctx *c, tp_var z)
{
    return tp_decoder_apply(&((self *)of)->decoder, c, z);
}

/* p(z) as of code numbers. What was never seen stays possible. */
static tp_dist prior(const self *m, tp_ctx *c)
{
    tp_var seen = tp_shift(tp_constant(c->tape, &m->usage.value), 1e-4);
    tp_dist p = tp_categorical_logits(tp_log(seen));
    p.event_dims = 1;
    return p;
}

static void count(self *m, tp_ctx *c, tp_var index)
{
    tp_var hot = tp_one_hot(index, m->codes, m->usage.value.dtype); /* [batch, latent_dim, codes] */
    tp_buffer_average(c, &m->usage, tp_mean(hot, TP_AXES(0), false), 1 - m->decay);
}

static tp_objective loss(void *of, tp_ctx *c, tp_var x)
{
    self *m = of;
    tp_var z = encode(m, c, x);
    tp_var index = tp_nn_codebook_nearest(&m->codebook, c, z);      /* [batch, latent_dim] */
    tp_var nearest = tp_nn_codebook_lookup(&m->codebook, c, index); /* as z */
    tp_scope_begin(c->tape, "codebook");
    tp_var quantised = tp_join_last(tp_straight_through(nearest, z));
    tp_scope_end(c->tape);
    tp_nn_codebook_learn(&m->codebook, c, z, index);
    count(m, c, index);
    tp_var logprob = tp_data_logprob(decode(of, c, TP_NAME(quantised)), x);
    tp_objective o = tp_vq(logprob, tp_commitment(z, nearest), m->commitment);
    tp_var used = tp_nn_codebook_perplexity(&m->codebook, c);
    return tp_objective_of(3, (tp_term[]){o.term[0], o.term[1], {"perplexity", used, 0}});
}

static tp_var code(void *of, tp_ctx *c, tp_var x)
{
    const self *m = of;
    tp_var index = tp_nn_codebook_nearest(&m->codebook, c, encode(m, c, x));
    return tp_join_last(tp_nn_codebook_lookup(&m->codebook, c, index));
}

static tp_dist generate(void *of, tp_ctx *c, int64_t n)
{
    const self *m = of;
    tp_var index = tp_dist_sample_n(prior(m, c), c, n);
    return decode(of, c, tp_join_last(tp_nn_codebook_lookup(&m->codebook, c, index)));
}

/* q(z|x) is sure of its one z, so log q is 0, and all draws weigh the same. */
static tp_log_densities densities(void *of, tp_ctx *c, tp_dist q, tp_var x, int64_t k)
{
    (void)q;
    const self *m = of;
    tp_var index = tp_nn_codebook_nearest(&m->codebook, c, encode(m, c, x));
    tp_var z = tp_join_last(tp_nn_codebook_lookup(&m->codebook, c, index));
    tp_shape all = TP_SHAPE(k, tp_shape_of(x).dim[0]);
    return (tp_log_densities){.logprob = tp_expand(tp_data_logprob(decode(of, c, z), x), all),
                              .log_prior = tp_expand(tp_prior_logprob(prior(m, c), index), all)};
}

/* What it costs to say which code a latent is: [batch, latent_dim]. */
static tp_var kl(void *of, tp_ctx *c, tp_var x)
{
    const self *m = of;
    tp_dist p = prior(m, c);
    p.event_dims = 0;
    tp_var index = tp_nn_codebook_nearest(&m->codebook, c, encode(m, c, x));
    return tp_neg(tp_dist_logprob(p, index));
}

const tp_model_type tp_model_vq_vae = {
    .name = "vq_vae",
    .summary = "vector-quantised VAE: latents are vectors out of a codebook of running means",
    .objective = "−log p(x|e) + β·‖z − sg(e)‖², e the codes nearest to z = encoder(x)",
    .source = "van den Oord, Vinyals and Kavukcuoglu 2017",
    .size = sizeof(self),
    .options = options,
    .discrete = true,
    .init = init,
    .loss = loss,
    .decode = decode,
    .code = code,
    .generate = generate,
    .densities = densities,
    .kl = kl,
    .estimated = "encoder"};
