/* 10_recompute.c: less memory for more time. Forty layers are recorded twice, once plainly and once in
 * segments whose values backward computes again; the gradients are the same bits.
 * Read autograd/recompute.c next: it is short. */
#include "models/tapir.h"

#include <stdio.h>
#include <string.h>

enum { LAYERS = 40, SEGMENT = 8, BATCH = 256, WIDTH = 128 };

/* w is used by every layer, as in a recurrent network. */
static tp_var forward(tp_tape *tape, const tp_tensor *x, const tp_tensor *w, bool in_segments,
                      tp_var *leaf)
{
    *leaf = tp_leaf(tape, w);
    tp_var h = tp_constant(tape, x);
    for (int i = 0; i < LAYERS; i++) {
        if (in_segments && i % SEGMENT == 0)
            tp_recompute_begin(tape);
        h = tp_tanh(tp_matmul(h, *leaf));
        if (in_segments && i % SEGMENT == SEGMENT - 1)
            tp_recompute_end(tape, 1, &h); /* h stays; the 15 other values go */
    }
    return tp_sum(tp_square(h), TP_ALL_AXES, false);
}

static tp_status run(void)
{
    tp_tensor x = {0}, w = {0}, plain = {0};
    TP_TRY(tp_tensor_new(&x, TP_F32, TP_SHAPE(BATCH, WIDTH)));
    TP_TRY(tp_random_normal(&x, (tp_rng_key){.seed = 1}));
    TP_TRY(tp_tensor_new(&w, TP_F32, TP_SHAPE(WIDTH, WIDTH)));
    TP_TRY(tp_random_normal(&w, (tp_rng_key){.seed = 2}));
    TP_TRY(tp_map(TP_K_affine, &w, (const tp_tensor *[]){&w}, (double[]){0.1, 0}));

    tp_tape *tape;
    TP_TRY(tp_tape_new(&tape));
    for (int in_segments = 0; in_segments < 2; in_segments++) {
        tp_var leaf;
        tp_tape_reset(tape);
        tp_var y = forward(tape, &x, &w, in_segments, &leaf);
        printf("%s forward keeps %4zu KiB\n", in_segments ? "in segments," : "plainly,    ",
               tp_tape_bytes(tape) / 1024);
        TP_TRY(tp_backward(y));
        const tp_tensor *g = tp_leaf_grad(leaf);
        if (in_segments)
            printf("the gradients are %s\n",
                   memcmp(tp_data(g), tp_data(&plain), sizeof(float) * WIDTH * WIDTH) == 0
                       ? "the same bits"
                       : "different");
        else
            TP_TRY(tp_clone(&plain, g));
    }
    tp_tape_free(tape);
    tp_tensor_free(&x);
    tp_tensor_free(&w);
    tp_tensor_free(&plain);
    return TP_OK;
}

int main(void)
{
    if (run() == TP_OK)
        return 0;
    fprintf(stderr, "%s\n", tp_last_error());
    return 1;
}
