/* gated.h: a linear layer with a second one that says, element by element, how much of it passes.
 *
 * Read next: residual.h.
 */
#ifndef TP_NN_LAYERS_GATED_H
#define TP_NN_LAYERS_GATED_H

#include "nn/layers/linear.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_nn_gated {
    tp_nn_linear h, g;
} tp_nn_gated;

/* Registers the linear layers "<name>.h" and "<name>.g"; refuses as tp_nn_linear_init. */
tp_status tp_nn_gated_init(tp_nn_gated *l, tp_params *ps, const char *name, int64_t in,
                           int64_t out);
/* x [.., in] -> h(x) ⊙ σ(g(x)) [.., out]: Dauphin et al. 2017; the layer of VampPrior, Tomczak and Welling
 * 2018. */
tp_var tp_nn_gated_apply(const tp_nn_gated *l, tp_ctx *c, tp_var x);

#ifdef __cplusplus
}
#endif
#endif
