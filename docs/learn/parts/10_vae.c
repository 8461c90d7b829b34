/* 10_vae.c: the VAE of chapters 10 and 11 in tapir. Read 10_elbo_by_hand.md beside it. */
#include "docs/learn/parts/10_vae.h"

#include <math.h>
#include <string.h>

static tp_status set_weights(tiny_vae *m, const tiny_weights *w)
{
    double from[TINY_COUNT];
    int64_t at = 0;
    memcpy(from, w, sizeof from);
    for (int i = 0; i < m->params.n; i++) {
        tp_tensor *value = &m->params.item[i]->value;
        for (int64_t k = 0; k < tp_numel(value); k++)
            TP_TRY(tp_set_flat(value, k, from[at++]));
    }
    return at == TINY_COUNT ? TP_OK : tp_fail(TP_EVALUE, "%d parameters", (int)at);
}

tp_status tiny_vae_init(tiny_vae *m, const tiny_weights *w, int n, const double *x,
                        const double *eps)
{
    *m = (tiny_vae){.params = tp_params_make(TP_F64, 0)};
    TP_TRY(tp_nn_linear_init(&m->enc, &m->params, "enc", NX, NH));
    TP_TRY(tp_nn_linear_init(&m->mu, &m->params, "mu", NH, NZ));
    TP_TRY(tp_nn_linear_init(&m->logvar, &m->params, "logvar", NH, NZ));
    TP_TRY(tp_nn_linear_init(&m->dec, &m->params, "dec", NZ, NH));
    TP_TRY(tp_nn_linear_init(&m->out, &m->params, "out", NH, NX));
    TP_TRY(set_weights(m, w));
    TP_TRY(tp_tensor_from(&m->x, TP_F64, TP_SHAPE(n, NX), x));
    TP_TRY(tp_tensor_from(&m->eps, TP_F64, TP_SHAPE(n, NZ), eps));
    return tp_tape_new(&m->tape);
}

tp_status tiny_vae_start(tiny_vae *m)
{
    tiny_weights w = tiny_start();
    return tiny_vae_init(m, &w, 1, tiny_x, tiny_eps);
}

void tiny_vae_free(tiny_vae *m)
{
    tp_tape_free(m->tape);
    tp_tensor_free(&m->x);
    tp_tensor_free(&m->eps);
    tp_params_free(&m->params);
}

const tp_symbol tiny_symbols[] = {
    {"mu", "μ", NULL},           {"logvar", "v", NULL},      {"eps", "ε", NULL},
    {"logits", "l", NULL},       {"enc.weight", "W1", NULL}, {"enc.bias", "b1", NULL},
    {"mu.weight", "Wμ", NULL},   {"mu.bias", "bμ", NULL},    {"logvar.weight", "Wv", NULL},
    {"logvar.bias", "bv", NULL}, {"dec.weight", "W2", NULL}, {"dec.bias", "b2", NULL},
    {"out.weight", "W3", NULL},  {"out.bias", "b3", NULL},   {0}};

tiny_graph tiny_vae_loss(tiny_vae *m, double beta)
{
    tp_tape_reset(m->tape);
    tp_ctx ctx = tp_ctx_train(m->tape, 0, 0);
    tp_var x = tp_constant(m->tape, &m->x), eps = tp_constant(m->tape, &m->eps);

    tp_var a = tp_nn_linear_apply(&m->enc, &ctx, TP_NAME(x)); /* [batch, 4] */
    tp_var h = tp_relu(TP_NAME(a));
    tp_var mu = tp_nn_linear_apply(&m->mu, &ctx, TP_NAME(h)); /* [batch, 2] */
    tp_var logvar = tp_nn_linear_apply(&m->logvar, &ctx, h);  /* [batch, 2] */
    tp_var z = tp_reparameterize(TP_NAME(mu), TP_NAME(logvar), TP_NAME(eps));
    tp_var c = tp_nn_linear_apply(&m->dec, &ctx, TP_NAME(z)); /* [batch, 4] */
    tp_var g = tp_relu(TP_NAME(c));
    tp_var logits = tp_nn_linear_apply(&m->out, &ctx, TP_NAME(g)); /* [batch, 3] */

    /* Sum over the pixels or latents of one example, mean over the batch. */
    tp_var bce = tp_bce_with_logits(TP_NAME(logits), x);      /* [batch, 3] */
    tp_var kld = tp_gaussian_kl(mu, logvar);                  /* [batch, 2] */
    tp_var sum_bce = tp_sum(TP_NAME(bce), TP_AXES(1), false); /* [batch] */
    tp_var sum_kld = tp_sum(TP_NAME(kld), TP_AXES(1), false); /* [batch] */
    tp_var recon = tp_mean(TP_NAME(sum_bce), TP_ALL_AXES, false);
    tp_var kl = tp_mean(TP_NAME(sum_kld), TP_ALL_AXES, false);
    tp_var weighted = beta == 1 ? TP_NAME(kl) : tp_scale(TP_NAME(kl), beta);
    tp_var loss = tp_add(TP_NAME(recon), weighted);
    return (tiny_graph){h, mu, logvar, z, kld, sum_bce, sum_kld, TP_NAME(loss)};
}

void tiny_vae_values(const tiny_vae *m, double values[TINY_COUNT])
{
    for (int i = 0, at = 0; i < m->params.n; i++)
        for (int64_t k = 0; k < tp_numel(&m->params.item[i]->value); k++)
            values[at++] = tp_flat(&m->params.item[i]->value, k);
}

void tiny_vae_gradients(const tiny_vae *m, double gradients[TINY_COUNT])
{
    for (int i = 0, at = 0; i < m->params.n; i++)
        for (int64_t k = 0; k < tp_numel(&m->params.item[i]->value); k++)
            gradients[at++] = tp_flat(&m->params.item[i]->grad, k);
}
