/* residual.h: x plus a small network of x. */
#ifndef TP_NN_LAYERS_RESIDUAL_H
#define TP_NN_LAYERS_RESIDUAL_H

#include "nn/layers/mlp.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_nn_residual {
    tp_nn_mlp body; /* width -> hidden -> width */
} tp_nn_residual;

/* Registers the linear layers "<name>.0" (width -> hidden) and "<name>.2" (hidden -> width), with an activation
 * between them; refuses as tp_nn_linear_init. */
tp_status tp_nn_residual_init(tp_nn_residual *r, tp_params *ps, const char *name, int64_t width,
                              int64_t hidden, tp_activation activation);
/* x [.., width] -> x + W₂·a(W₁·x + b₁) + b₂, same shape: He et al. 2016. With W₂ = 0 and b₂ = 0 (tp_init_constant)
 * it begins as the identity. */
tp_var tp_nn_residual_apply(const tp_nn_residual *r, tp_ctx *c, tp_var x);

#ifdef __cplusplus
}
#endif
#endif
