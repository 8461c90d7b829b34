/* mlp.h: activations, and linear layers with activations between them: the multilayer perceptron.
 *
 * Read next: gated.h.
 */
#ifndef TP_NN_LAYERS_MLP_H
#define TP_NN_LAYERS_MLP_H

#include "nn/layers/linear.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tp_activation { TP_RELU, TP_TANH, TP_SIGMOID, TP_SOFTPLUS, TP_IDENTITY } tp_activation;

/* "relu", "tanh" and so on; NULL behind the last. */
const char *tp_activation_name(int activation);

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

#ifdef __cplusplus
}
#endif
#endif
