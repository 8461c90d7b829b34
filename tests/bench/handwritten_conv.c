/* handwritten_conv.c: see handwritten_conv.h. A transposed layer is a convolution the other way round, so the two ways
 * share everything but who is the image. */
#include "tests/bench/handwritten_conv.h"
#include "tests/bench/bench.h"

#include "tensor/layout.h"
#include "tensor/map.h"
#include "tensor/reduce.h"

enum { LAST = TP_CONV_LAYERS - 1 };

/* A [batch,784] matrix as pictures of one channel. */
static tp_tensor pictures(const tp_tensor *x)
{
    tp_tensor view;
    bench_must(tp_view_reshape(x, TP_SHAPE(x->shape.dim[0], 1, 28, 28), &view));
    return view;
}

/* y + b of its channel, or relu of it */
static void add_bias(tp_tensor *y, const tp_parameter *bias, bool relu)
{
    tp_tensor b;
    bench_must(tp_view_reshape(&bias->value, TP_SHAPE(bias->value.shape.dim[0], 1, 1), &b));
    bench_must(tp_map2(y, y, &b, TP_K_add));
    if (relu)
        bench_must(tp_map1(y, y, TP_K_relu));
}

static void bias_backward(tp_parameter *bias, const tp_tensor *gy)
{
    static const bool but_channels[TP_MAX_DIMS] = {true, false, true, true};
    bench_must(tp_reduce(TP_SUM, &bias->grad, gy, but_channels));
    bias->has_grad = true;
}

/* --- down --------------------------------------------------------------------------------------- */

void handwritten_conv_down(handwritten_conv *w, const tp_vae *m, const tp_tensor *x)
{
    tp_tensor picture = pictures(x);
    for (int i = 0; i <= LAST; i++) {
        const tp_nn_conv2d *l = &m->encoder.down.layer[i];
        const tp_tensor *in = i == 0 ? &picture : &w->down[i - 1];
        bench_must(tp_conv_into(&w->down[i], in, &l->weight.value, &l->opts, &w->scratch));
        add_bias(&w->down[i], &l->bias, true);
    }
}

void handwritten_conv_down_backward(handwritten_conv *w, tp_vae *m, const tp_tensor *x)
{
    tp_tensor picture = pictures(x);
    for (int i = LAST; i >= 0; i--) {
        tp_nn_conv2d *l = &m->encoder.down.layer[i];
        const tp_tensor *in = i == 0 ? &picture : &w->down[i - 1];
        tp_tensor *gy = &w->gdown[i];
        bench_must(tp_map2(gy, gy, &w->down[i], TP_K_relu_vjp));
        if (i > 0)
            bench_must(tp_conv_image_kernel_into(&w->gdown[i - 1], &l->weight.grad, in,
                                                 &l->weight.value, gy, &l->opts, &w->scratch));
        else
            bench_must(tp_conv_kernel_into(&l->weight.grad, in, gy, &l->opts, &w->scratch));
        l->weight.has_grad = true;
        bias_backward(&l->bias, gy);
    }
    tp_arena_reset(&w->scratch);
}

/* --- up ----------------------------------------------------------------------------------------- */

void handwritten_conv_up(handwritten_conv *w, const tp_vae *m, tp_tensor *logits)
{
    tp_tensor picture = pictures(logits);
    for (int i = 0; i <= LAST; i++) {
        const tp_nn_conv_transpose2d *l = &m->decoder.up.layer[i];
        tp_tensor *out = i == LAST ? &picture : &w->up[i + 1];
        bench_must(tp_conv_image_into(out, &w->up[i], &l->weight.value, &l->opts, &w->scratch));
        add_bias(out, &l->bias, i < LAST);
    }
}

void handwritten_conv_up_backward(handwritten_conv *w, tp_vae *m, const tp_tensor *glogits)
{
    tp_tensor picture = pictures(glogits);
    for (int i = LAST; i >= 0; i--) {
        tp_nn_conv_transpose2d *l = &m->decoder.up.layer[i];
        tp_tensor *gy = i == LAST ? &picture : &w->gup[i + 1];
        if (i < LAST)
            bench_must(tp_map2(gy, gy, &w->up[i + 1], TP_K_relu_vjp));
        bench_must(tp_conv_places_kernel_into(&w->gup[i], &l->weight.grad, gy, &l->weight.value,
                                              &w->up[i], &l->opts, &w->scratch));
        l->weight.has_grad = true;
        bias_backward(&l->bias, gy);
    }
    tp_arena_reset(&w->scratch);
}

/* --- making and freeing ------------------------------------------------------------------------- */

/* A tensor for the pictures of a stage and its gradient, which lie channels-last but next to the dense layers. */
static void make(tp_tensor *t, tp_tensor *g, int64_t batch, const tp_conv_sizes *s, int stage)
{
    tp_shape shape = TP_SHAPE(batch, s->channels[stage], s->height[stage], s->width[stage]);
    bench_must(tp_tensor_new(t, TP_F32, shape));
    bench_must(tp_tensor_new(g, TP_F32, shape));
    if (stage < TP_CONV_LAYERS) {
        tp_make_channels_last(t);
        tp_make_channels_last(g);
    }
}

void handwritten_conv_init(handwritten_conv *w, const tp_vae *m, int64_t batch)
{
    const tp_conv_sizes *s = &m->encoder.down.sizes;
    tp_shape flat = TP_SHAPE(batch, tp_conv_features(s));
    *w = (handwritten_conv){0};
    for (int i = 0; i <= LAST; i++) {
        make(&w->down[i], &w->gdown[i], batch, s, i + 1);
        make(&w->up[i], &w->gup[i], batch, s, LAST + 1 - i);
    }
    bench_must(tp_view_reshape(&w->down[LAST], flat, &w->features));
    bench_must(tp_view_reshape(&w->gdown[LAST], flat, &w->gfeatures));
    bench_must(tp_view_reshape(&w->up[0], flat, &w->up_features));
    bench_must(tp_view_reshape(&w->gup[0], flat, &w->gup_features));
}

void handwritten_conv_free(handwritten_conv *w)
{
    for (int i = 0; i <= LAST; i++) {
        tp_tensor_free(&w->down[i]);
        tp_tensor_free(&w->up[i]);
        tp_tensor_free(&w->gdown[i]);
        tp_tensor_free(&w->gup[i]);
    }
    tp_arena_free(&w->scratch);
}
