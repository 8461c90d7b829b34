/* residual.c: see residual.h. */
#include "nn/layers/residual.h"
#include "autograd/compose.h"

tp_status tp_nn_residual_init(tp_nn_residual *r, tp_params *ps, const char *name, int64_t width,
                              int64_t hidden, tp_activation activation)
{
    const int64_t size[] = {width, hidden, width};
    return tp_nn_mlp_init(&r->body, ps, name, size, 2, activation, TP_IDENTITY);
}

tp_var tp_nn_residual_apply(const tp_nn_residual *r, tp_ctx *c, tp_var x)
{
    return tp_add(x, tp_nn_mlp_apply(&r->body, c, x));
}
