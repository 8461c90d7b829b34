/* vq_vae.c: the vector-quantised VAE: every latent is one of some vectors, the one nearest to what the encoder gives.
 *
 * Architecture only: the codebook is nn/layers/codebook.h, the objective nn/objective/quantise.c. A latent z is the
 * vectors themselves, one behind the other. The prior is uniform over the codes, which training does not need to know;
 * samples from it are what that says, until somebody fits a better one. Read next: gumbel_vae.c. */
#include "autograd/compose.h"
#include "models/nets.h"

#include <math.h>

typedef struct self {
    tp_nn_mlp encoder;
    tp_nn_codebook codebook;
    tp_decoder decoder;
    int64_t latent_dim, codes, width;
    double commitment;
} self;

/* The fewer numbers a code has, the more of the codes are found: on the digits of examples/data all of 64 are in use, and
 * with 2 numbers the loss is lower than with 4, 8 or 64. */
enum { CODES, WIDTH, COMMITMENT, DECAY };
static const tp_model_option options[] = {
    {"codes", 64, 2, 65536, "vectors in the codebook", true},
    {"code_width", 2, 1, 4096, "numbers in each of them", true},
    {"commitment", 0.25, 0, 1e6, "weight of what holds the encoder to the codes"},
    {"decay", 0.99, 0.001, 0.999999, "of the running means that the codes are"},
    {0},
};

static tp_status init(void *of, tp_params *ps, const tp_model_config *config)
{
    self *m = of;
    m->latent_dim = config->latent_dim;
    m->codes = (int64_t)config->option[CODES];
    m->width = (int64_t)config->option[WIDTH];
    m->commitment = config->option[COMMITMENT];
    TP_TRY(tp_encoder_mlp_init(&m->encoder, ps, config, config->data_dim, m->latent_dim, m->width));
    TP_TRY(tp_nn_codebook_init(&m->codebook, ps, "codebook", m->codes, m->width,
                               (tp_nn_codebook_opts){.decay = config->option[DECAY]}));
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

static tp_objective loss(void *of, tp_ctx *c, tp_var x)
{
    const self *m = of;
    tp_var z = encode(m, c, x);
    tp_var index = tp_nn_codebook_nearest(&m->codebook, c, z);      /* [batch, latent_dim] */
    tp_var nearest = tp_nn_codebook_lookup(&m->codebook, c, index); /* as z */
    tp_var quantised = tp_join_last(tp_straight_through(nearest, z));
    tp_nn_codebook_learn(&m->codebook, c, z, index);
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
    tp_var even =
        tp_full(c->tape, m->codebook.sums.value.dtype, TP_SHAPE(m->latent_dim, m->codes), 0);
    tp_var index = tp_dist_sample_n(tp_categorical_logits(even), c, n);
    return decode(of, c, tp_join_last(tp_nn_codebook_lookup(&m->codebook, c, index)));
}

/* q(z|x) is sure of its one z, so log q is 0, and all draws weigh the same. */
static tp_var log_weight(void *of, tp_ctx *c, tp_var x, int64_t k)
{
    const self *m = of;
    tp_var logprob = tp_data_logprob(decode(of, c, code(of, c, x)), x); /* [batch] */
    tp_var weight = tp_shift(logprob, -(double)m->latent_dim * log((double)m->codes));
    return tp_expand(weight, TP_SHAPE(k, tp_shape_of(weight).dim[0]));
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
    .log_weight = log_weight,
    .estimated = "encoder"};
