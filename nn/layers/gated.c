/* gated.c: see gated.h. */
#include "nn/layers/gated.h"
#include "autograd/compose.h"

#include <stdio.h>

tp_status tp_nn_gated_init(tp_nn_gated *l, tp_params *ps, const char *name, int64_t in, int64_t out)
{
    char part[160]; /* a name that does not fit is refused by the layer */
    snprintf(part, sizeof part, "%.140s.h", name);
    TP_TRY(tp_nn_linear_init(&l->h, ps, part, in, out));
    snprintf(part, sizeof part, "%.140s.g", name);
    return tp_nn_linear_init(&l->g, ps, part, in, out);
}

tp_var tp_nn_gated_apply(const tp_nn_gated *l, tp_ctx *c, tp_var x)
{
    tp_var h = tp_nn_linear_apply(&l->h, c, x);
    return tp_mul(h, tp_sigmoid(tp_nn_linear_apply(&l->g, c, x)));
}
