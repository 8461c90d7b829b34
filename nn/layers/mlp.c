/* mlp.c: see mlp.h. */
#include "nn/layers/mlp.h"
#include "autograd/compose.h"
#include "nn/layers/layer.h"

#include <stdio.h>

const char *tp_activation_name(int activation)
{
    static const char *const names[] = {[TP_RELU] = "relu",
                                        [TP_TANH] = "tanh",
                                        [TP_SIGMOID] = "sigmoid",
                                        [TP_SOFTPLUS] = "softplus",
                                        [TP_IDENTITY] = "identity"};
    return activation >= 0 && activation <= TP_IDENTITY ? names[activation] : NULL;
}

tp_var tp_activate(tp_activation a, tp_var x)
{
    switch (a) {
    case TP_RELU:
        return tp_relu(x);
    case TP_TANH:
        return tp_tanh(x);
    case TP_SIGMOID:
        return tp_sigmoid(x);
    case TP_SOFTPLUS:
        return tp_softplus(x);
    default:
        return x;
    }
}

tp_status tp_nn_mlp_init(tp_nn_mlp *m, tp_params *ps, const char *name, const int64_t *size,
                         int layers, tp_activation activation, tp_activation last)
{
    if (layers < 0 || layers > TP_MLP_LAYERS)
        return tp_fail(TP_EARG, "mlp '%s' of %d layers: 0 to %d are supported", name, layers,
                       TP_MLP_LAYERS);
    m->layers = layers;
    m->activation = activation;
    m->last = last;
    for (int i = 0; i < layers; i++) {
        char part[160]; /* a name that does not fit is refused by the layer */
        snprintf(part, sizeof part, "%.140s.%d", name, 2 * i);
        TP_TRY(tp_nn_linear_init(&m->layer[i], ps, part, size[i], size[i + 1]));
    }
    return TP_OK;
}

/* A layer and its activation. relu saves its passes over memory: the product does it. */
static tp_var activated(const tp_nn_linear *l, tp_ctx *c, tp_var x, tp_activation a)
{
    if (a != TP_RELU)
        return tp_activate(a, tp_nn_linear_apply(l, c, x));
    tp_var weight = tp_params_var(c, &l->weight), bias = tp_params_var(c, &l->bias);
    return tp_linear_relu(x, weight, bias);
}

tp_var tp_nn_mlp_apply(const tp_nn_mlp *m, tp_ctx *c, tp_var x)
{
    for (int i = 0; i < m->layers; i++)
        x = activated(&m->layer[i], c, x, i + 1 < m->layers ? m->activation : m->last);
    return x;
}
