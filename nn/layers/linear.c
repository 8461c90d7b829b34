/* linear.c: see linear.h. */
#include "nn/layers/linear.h"
#include "autograd/compose.h"
#include "nn/layers/layer.h"

tp_status tp_nn_linear_init(tp_nn_linear *l, tp_params *ps, const char *name, int64_t in,
                            int64_t out)
{
    if (in < 1 || out < 1)
        return tp_fail(
            TP_ESHAPE,
            "linear layer '%.120s' of %lld inputs and %lld outputs: at least 1 of each needed",
            name, (long long)in, (long long)out);
    TP_TRY(tp_layer_parameter(ps, &l->weight, name, "weight", TP_SHAPE(out, in)));
    TP_TRY(tp_layer_parameter(ps, &l->bias, name, "bias", TP_SHAPE(out)));
    return tp_init_layer(ps, &l->weight, &l->bias, (double)in);
}

tp_var tp_nn_linear_apply(const tp_nn_linear *l, tp_ctx *c, tp_var x)
{
    /* In this order with every compiler: arguments are evaluated in any. */
    tp_var weight = tp_params_var(c, &l->weight), bias = tp_params_var(c, &l->bias);
    return tp_linear(x, weight, bias);
}
