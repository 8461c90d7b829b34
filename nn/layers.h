/* layers.h: linear layers, multilayer perceptrons, dropout.
 *
 * tp_linear is the op x·Wᵀ + b; tp_nn_linear is the layer that owns W and b (as F.linear and nn.Linear).
 * Initial values are PyTorch's default. Read next: normal.h for what the outputs mean.
 */
#ifndef TP_NN_LAYERS_H
#define TP_NN_LAYERS_H

#include "nn/ctx.h"
#include "nn/init.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_nn_linear {
    tp_parameter weight; /* [out, in] */
    tp_parameter bias;   /* [out] */
} tp_nn_linear;

/* Registers "<name>.weight" and "<name>.bias", both drawn from U(±1/√in): torch.nn.Linear's default,
 * He et al. 2015 with a = √5. TP_ESHAPE unless in and out are positive; TP_EARG for a name
 * of more than 120 bytes or one that is taken. */
tp_status tp_nn_linear_init(tp_nn_linear *l, tp_params *ps, const char *name, int64_t in,
                            int64_t out);
/* x [.., in] -> [.., out] */
tp_var tp_nn_linear_apply(const tp_nn_linear *l, tp_ctx *c, tp_var x);

typedef enum tp_activation { TP_RELU, TP_TANH, TP_SIGMOID, TP_SOFTPLUS, TP_IDENTITY } tp_activation;

/* The activation of x, elementwise, same shape; TP_IDENTITY gives x back. */
tp_var tp_activate(tp_activation a, tp_var x);

enum { TP_MLP_LAYERS = 8 };

typedef struct tp_nn_mlp {
    int layers;
    tp_nn_linear layer[TP_MLP_LAYERS];
    tp_activation activation; /* after every layer but the last, */
    tp_activation last;       /* and after the last */
} tp_nn_mlp;

/* Layers size[0] -> size[1] -> … -> size[layers], named as torch.nn.Sequential names them when every
 * activation counts as a module: "<name>.0", "<name>.2", …. */
tp_status tp_nn_mlp_init(tp_nn_mlp *m, tp_params *ps, const char *name, const int64_t *size,
                         int layers, tp_activation activation, tp_activation last);
/* x [.., size[0]] -> [.., size[layers]]; layers 0 gives x back. A layer and TP_RELU are one operation
 * (tp_linear_relu), with the values and gradients of the two. */
tp_var tp_nn_mlp_apply(const tp_nn_mlp *m, tp_ctx *c, tp_var x);

/* In training zeroes each element with probability p and divides the rest by 1 − p (inverted dropout,
 * Srivastava et al. 2014); gives x back in eval mode. TP_EARG unless 0 <= p < 1. */
tp_var tp_dropout(tp_ctx *c, tp_var x, double p);

#ifdef __cplusplus
}
#endif
#endif
