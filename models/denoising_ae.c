/* denoising_ae.c: the denoising autoencoder: it sees the example spoilt and has to say how it was.
 *
 * Only training spoils; the target is always the clean example. Read next: ae.c, sparse_ae.c.
 */
#include "models/ae.h"
#include "autograd/compose.h"

enum { SIGMA, DROPOUT };
static const tp_model_option options[] = {
    {"sigma", 0, 0, 10, "standard deviation of the normal noise added to x"},
    {"dropout", 0.25, 0, 1, "probability of a number of x to be set to 0"},
    {0},
};

/* What is left is not scaled up by 1/(1 − p), as layers of dropout do: a spoilt picture still looks like one. */
static tp_var corrupt(const tp_ae *m, tp_ctx *c, tp_var x)
{
    double sigma = m->option[SIGMA], drop = m->option[DROPOUT];
    tp_var corrupted = x; /* [batch, nx] */
    tp_dtype dtype = tp_dtype_of(x);
    if (c->mode == TP_EVAL)
        return x;
    tp_scope_begin(c->tape, "corruption");
    if (sigma > 0) {
        tp_var noise = tp_noise_normal(c->tape, dtype, tp_shape_of(x), tp_ctx_draw(c));
        corrupted = tp_add(x, tp_scale(noise, sigma));
    }
    if (drop > 0) {
        tp_var kept = tp_full(c->tape, dtype, tp_shape_of(x), 1 - drop);
        corrupted = tp_mul(corrupted, tp_noise_bernoulli(kept, tp_ctx_draw(c)));
    }
    tp_scope_end(c->tape);
    return TP_NAME(corrupted);
}

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    tp_var z = tp_ae_code(self, c, corrupt(self, c, x)); /* [batch, nz] */
    return tp_reconstruction(tp_data_logprob(tp_ae_decode(self, c, z), x));
}

const tp_model_type tp_model_denoising_ae = {
    .name = "denoising_ae",
    .summary = "autoencoder that restores spoilt examples",
    .objective = "−log p(x|z), z = encoder(m ⊙ (x + σε)), m ~ Bernoulli(1 − p)",
    .source = "Vincent, Larochelle, Bengio and Manzagol 2008",
    .size = sizeof(tp_ae),
    .options = options,
    .init = tp_ae_init,
    .loss = loss,
    .code = tp_ae_code,
    .decode = tp_ae_decode};
