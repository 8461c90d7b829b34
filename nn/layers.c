/* layers.c: linear layers, multilayer perceptrons, dropout. */
#include "nn/layers.h"
#include "autograd/compose.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

tp_status tp_nn_linear_init(tp_nn_linear *l, tp_params *ps, const char *name, int64_t in,
                            int64_t out)
{
    enum { NAME = 128 };
    char full[NAME];
    if (strlen(name) + sizeof ".weight" > NAME)
        return tp_fail(TP_EARG, "the layer name '%.40s…' is longer than %d bytes", name,
                       NAME - (int)sizeof ".weight");
    if (in < 1 || out < 1)
        return tp_fail(
            TP_ESHAPE,
            "linear layer '%s' of %lld inputs and %lld outputs: at least 1 of each needed", name,
            (long long)in, (long long)out);
    snprintf(full, sizeof full, "%s.weight", name);
    TP_TRY(tp_params_add(ps, &l->weight, full, TP_SHAPE(out, in)));
    snprintf(full, sizeof full, "%s.bias", name);
    TP_TRY(tp_params_add(ps, &l->bias, full, TP_SHAPE(out)));
    double bound = 1 / sqrt((double)in);
    TP_TRY(tp_init_uniform(ps, &l->weight, bound));
    return tp_init_uniform(ps, &l->bias, bound);
}

/* The tape takes parameters by address and writes their gradients in backward. */
static tp_var enter(tp_ctx *c, const tp_parameter *p)
{
    return tp_param(c->tape, (tp_parameter *)p);
}

tp_var tp_nn_linear_apply(const tp_nn_linear *l, tp_ctx *c, tp_var x)
{
    return tp_linear(x, enter(c, &l->weight), enter(c, &l->bias));
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
    if (a == TP_RELU)
        return tp_linear_relu(x, enter(c, &l->weight), enter(c, &l->bias));
    return tp_activate(a, tp_nn_linear_apply(l, c, x));
}

tp_var tp_nn_mlp_apply(const tp_nn_mlp *m, tp_ctx *c, tp_var x)
{
    for (int i = 0; i < m->layers; i++)
        x = activated(&m->layer[i], c, x, i + 1 < m->layers ? m->activation : m->last);
    return x;
}

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
