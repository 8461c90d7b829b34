/* rows_conv.c: the convolutions of conv_vae at batch 128: kernels of 4x4, stride 2, padding 1.
 *
 * The decoder's layers are the encoder's turned around, so each row stands for two pieces of a training step:
 *   forward  values of the encoder's layer | in the decoder, the gradient of what goes in
 *   image    the gradient of what goes in | in the decoder, values of the layer
 *   weight   the gradient of the weights of both
 * The model makes no use of the image row of the encoder's first layer but as the decoder's last layer. Read next:
 * tensor/conv.h. */
#include "tests/bench/bench.h"

#include <stdlib.h>

#include "tensor/conv.h"
#include "tensor/layout.h"
#include "tensor/mem.h"

enum { BATCH = 128, KERNEL = 4 };

typedef struct problem {
    tp_tensor x, w, y; /* [N,C,H,W], [O,C,4,4], [N,O,H/2,W/2] */
    tp_conv_opts opts;
    tp_arena scratch;
} problem;

static void run_forward(void *state)
{
    problem *p = state;
    bench_must(tp_conv_into(&p->y, &p->x, &p->w, &p->opts, &p->scratch));
    tp_arena_reset(&p->scratch);
}

static void run_image(void *state)
{
    problem *p = state;
    bench_must(tp_conv_image_into(&p->x, &p->y, &p->w, &p->opts, &p->scratch));
    tp_arena_reset(&p->scratch);
}

static void run_weight(void *state)
{
    problem *p = state;
    bench_must(tp_conv_kernel_into(&p->w, &p->x, &p->y, &p->opts, &p->scratch));
    tp_arena_reset(&p->scratch);
}

static bool begin(bench_row *r)
{
    int64_t channels = r->arg[0], size = r->arg[1], out = r->arg[2], half = size / 2;
    problem *p = bench_calloc(1, sizeof *p);
    p->opts = (tp_conv_opts){.stride = {2, 2}, .padding = {1, 1}};
    bench_must(tp_conv_opts_check(&p->opts));
    p->x = bench_uniform(TP_SHAPE(BATCH, channels, size, size), -1, 1);
    p->w = bench_uniform(TP_SHAPE(out, channels, KERNEL, KERNEL), -1, 1);
    p->y = bench_uniform(TP_SHAPE(BATCH, out, half, half), -1, 1);
    tp_make_channels_last(&p->x); /* as they lie between two layers */
    tp_make_channels_last(&p->y);
    r->state = p;
    r->work = r->flops = 2.0 * (double)(tp_numel(&p->y) * channels * KERNEL * KERNEL);
    return true;
}

static void end(bench_row *r)
{
    problem *p = r->state;
    tp_tensor_free(&p->x);
    tp_tensor_free(&p->w);
    tp_tensor_free(&p->y);
    tp_arena_free(&p->scratch);
    free(p);
}

/* Images of channels × size × size to out channels of half the size. */
static void add(int channels, int size, int out)
{
    static const struct {
        const char *name;
        void (*run)(void *state);
    } pieces[] = {{"forward", run_forward}, {"image", run_image}, {"weight", run_weight}};
    for (int i = 0; i < 3; i++) {
        bench_row *r = bench_add(BENCH_GFLOPS, "conv/%dx%dx%d-%dx%dx%d-%s", channels, size, size,
                                 out, size / 2, size / 2, pieces[i].name);
        r->begin = begin, r->run = pieces[i].run, r->end = end;
        r->arg[0] = channels, r->arg[1] = size, r->arg[2] = out;
    }
}

void bench_rows_conv(void)
{
    add(1, 28, 32);
    add(32, 14, 64);
}
