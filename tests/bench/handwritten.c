/* handwritten.c: forward, backward and update of the VAE as a C programmer would write them on top of
 * tensor/: no tape, no rules, no allocation. Loss and gradients are those of models/vae.c. */
#include "tests/bench/handwritten.h"
#include "tests/bench/bench.h"

#include <stdlib.h>

#include "tensor/map.h"
#include "tensor/matmul.h"
#include "tensor/reduce.h"

/* --- forward ------------------------------------------------------------------------------------ */

/* y = x·Wᵀ + b, or relu of it */
static void linear(tp_tensor *y, const tp_tensor *x, const tp_nn_linear *l, bool relu)
{
    tp_tensor wt;
    bench_must(tp_view_transpose(&l->weight.value, 0, 1, &wt));
    bench_must(tp_matmul_into(y, x, &wt, (tp_matmul_opts){.bias = &l->bias.value, .relu = relu}));
}

/* Sum over the event, mean over the batch. */
static double mean_of_sums(handwritten *w, const tp_tensor *elements)
{
    static const bool event[TP_MAX_DIMS] = {false, true}, batch[TP_MAX_DIMS] = {true};
    bench_must(tp_reduce(TP_SUM, &w->per_example, elements, event));
    bench_must(tp_reduce(TP_SUM, &w->sum, &w->per_example, batch));
    return tp_item(&w->sum) / (double)w->batches.batch_size;
}

/* Whether the model has layers that handwritten_conv.c knows. */
static bool convolves(const tp_vae *m)
{
    return m->encoder.down.layers > 0;
}

static void decode(handwritten *w, const tp_vae *m)
{
    linear(&w->d, &w->z, &m->decoder.body.layer[0], true);
    if (!convolves(m)) {
        linear(&w->logits, &w->d, &m->decoder.body.layer[1], false);
        return;
    }
    linear(&w->conv.up_features, &w->d, &m->decoder.body.layer[1], true);
    handwritten_conv_up(&w->conv, m, &w->logits);
}

static void forward(handwritten *w, const tp_vae *m, const tp_tensor *x)
{
    if (convolves(m))
        handwritten_conv_down(&w->conv, m, x);
    linear(&w->h, convolves(m) ? &w->conv.features : x, &m->encoder.body.layer[0], true);
    linear(&w->mu, &w->h, &m->encoder.mu, false);
    linear(&w->logvar, &w->h, &m->encoder.logvar, false);
    bench_must(tp_random_normal(&w->eps, tp_stream_key(BENCH_SEED, TP_STREAM_TRAIN, w->step)));
    bench_must(tp_map3(&w->z, &w->mu, &w->logvar, &w->eps, TP_K_reparameterize));
    decode(w, m);
    bench_must(tp_map2(&w->bce, &w->logits, x, TP_K_bce));
    bench_must(tp_map2(&w->kl, &w->mu, &w->logvar, TP_K_gaussian_kl));
    w->loss = mean_of_sums(w, &w->bce) + mean_of_sums(w, &w->kl);
}

/* --- backward ----------------------------------------------------------------------------------- */

/* The gradients of W and b, and of x unless gx is NULL, added to gx if accumulate. */
static void linear_backward(tp_nn_linear *l, const tp_tensor *x, const tp_tensor *gy, tp_tensor *gx,
                            bool accumulate)
{
    static const bool rows[TP_MAX_DIMS] = {true};
    tp_tensor gyt;
    bench_must(tp_view_transpose(gy, 0, 1, &gyt));
    bench_must(tp_matmul_into(&l->weight.grad, &gyt, x, (tp_matmul_opts){0}));
    bench_must(tp_reduce(TP_SUM, &l->bias.grad, gy, rows));
    l->weight.has_grad = l->bias.has_grad = true;
    if (gx != NULL)
        bench_must(
            tp_matmul_into(gx, gy, &l->weight.value, (tp_matmul_opts){.accumulate = accumulate}));
}

/* z has come from μ and logvar, and both pay the KL. */
static void latent_backward(handwritten *w)
{
    tp_tensor each;
    bench_must(tp_view_expand(&w->each, w->gkl.shape, &each));
    bench_must(tp_map2(&w->gkl, &each, &w->mu, TP_K_mul));
    bench_must(tp_map2(&w->gmu, &w->gz, &w->gkl, TP_K_add));
    bench_must(tp_map2(&w->gkl, &w->logvar, &each, TP_K_gaussian_kl_vjp));
    bench_must(tp_map3(&w->glogvar, &w->logvar, &w->eps, &w->gz, TP_K_reparameterize_vjp));
    bench_must(tp_map2(&w->glogvar, &w->glogvar, &w->gkl, TP_K_add));
}

static void decode_backward(handwritten *w, tp_vae *m)
{
    tp_tensor *gy = &w->glogits;
    if (convolves(m)) {
        handwritten_conv_up_backward(&w->conv, m, &w->glogits);
        gy = &w->conv.gup_features;
        bench_must(tp_map2(gy, gy, &w->conv.up_features, TP_K_relu_vjp));
    }
    linear_backward(&m->decoder.body.layer[1], &w->d, gy, &w->gd, false);
    bench_must(tp_map2(&w->gd, &w->gd, &w->d, TP_K_relu_vjp));
    linear_backward(&m->decoder.body.layer[0], &w->z, &w->gd, &w->gz, false);
}

static void backward(handwritten *w, tp_vae *m, const tp_tensor *x)
{
    tp_tensor each;
    bench_must(tp_view_expand(&w->each, w->glogits.shape, &each));
    bench_must(tp_map3(&w->glogits, &w->logits, x, &each, TP_K_bce_vjp));
    decode_backward(w, m);
    latent_backward(w);
    linear_backward(&m->encoder.logvar, &w->h, &w->glogvar, &w->gh, false);
    linear_backward(&m->encoder.mu, &w->h, &w->gmu, &w->gh, true);
    bench_must(tp_map2(&w->gh, &w->gh, &w->h, TP_K_relu_vjp));
    if (!convolves(m)) {
        linear_backward(&m->encoder.body.layer[0], x, &w->gh, NULL, false);
        return;
    }
    linear_backward(&m->encoder.body.layer[0], &w->conv.features, &w->gh, &w->conv.gfeatures,
                    false);
    handwritten_conv_down_backward(&w->conv, m, x);
}

/* --- the loop ----------------------------------------------------------------------------------- */

void handwritten_run(void *state)
{
    handwritten *w = state;
    tp_batches_shuffle(&w->batches, BENCH_SEED, ++w->epoch);
    for (int64_t i = 0; i < w->window; i++, w->step++) {
        tp_batch batch;
        bool got;
        bench_must(tp_batches_next(&w->batches, &batch, &got));
        forward(w, w->model.self, &batch.x);
        backward(w, w->model.self, &batch.x);
        bench_must(tp_optimizer_step(&w->adam));
    }
}

/* --- making and freeing ------------------------------------------------------------------------- */

/* Calls DO(member, columns) for everything of shape [batch, columns]. */
/* clang-format off */
#define EACH_BUFFER(DO)                                                                            \
    DO(h, hidden) DO(mu, LATENT) DO(logvar, LATENT) DO(eps, LATENT) DO(z, LATENT) DO(d, hidden)    \
    DO(logits, PIXELS) DO(bce, PIXELS) DO(kl, LATENT) DO(gh, hidden) DO(gmu, LATENT)               \
    DO(glogvar, LATENT) DO(gz, LATENT) DO(gd, hidden) DO(glogits, PIXELS) DO(gkl, LATENT)
/* clang-format on */

handwritten *handwritten_new(const tp_model_type *type, const tp_dataset *data, int64_t hidden,
                             int64_t batch, int64_t window)
{
    handwritten *w = bench_calloc(1, sizeof *w);
    w->window = window;
    bench_must(tp_batches_init(&w->batches, data, batch, TP_F32));
    training_model_init(&w->model, &w->adam, type, hidden);
    if (convolves(w->model.self))
        handwritten_conv_init(&w->conv, w->model.self, batch);
#define NEW(member, columns)                                                                       \
    bench_must(tp_tensor_new(&w->member, TP_F32, TP_SHAPE(batch, columns)));
    EACH_BUFFER(NEW)
    bench_must(tp_tensor_new(&w->per_example, TP_F32, TP_SHAPE(batch)));
    bench_must(tp_tensor_new(&w->sum, TP_F32, TP_SHAPE()));
    bench_must(tp_tensor_new(&w->each, TP_F32, TP_SHAPE(1)));
    bench_must(tp_fill(&w->each, 1 / (double)batch));
    return w;
}

void handwritten_free(handwritten *w)
{
#define FREE(member, columns) tp_tensor_free(&w->member);
    EACH_BUFFER(FREE)
    tp_tensor_free(&w->per_example);
    tp_tensor_free(&w->sum);
    tp_tensor_free(&w->each);
    handwritten_conv_free(&w->conv);
    tp_optimizer_free(&w->adam);
    tp_model_free(&w->model);
    tp_batches_free(&w->batches);
    free(w);
}
