/* dropout.c: see dropout.h. */
#include "nn/layers/dropout.h"
#include "autograd/compose.h"

tp_var tp_dropout(tp_ctx *c, tp_var x, double p)
{
    if (!(p >= 0 && p < 1)) {
        tp_fail(TP_EARG, "dropout with probability %g: 0 <= p < 1 needed", p);
        return tp_tape_poison(c->tape, TP_EARG);
    }
    if (c->mode == TP_EVAL || p == 0)
        return x;
    tp_var keep =
        tp_noise_bernoulli(tp_full(c->tape, tp_dtype_of(x), tp_shape_of(x), 1 - p), tp_ctx_draw(c));
    return tp_scale(tp_mul(x, keep), 1 / (1 - p));
}
