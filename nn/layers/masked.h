/* masked.h: a linear layer in which some connections do not exist: what MADE and its kin are made of.
 *
 * A masked weight is a number that nothing reads: no output depends on it, and its gradient is 0 exactly.
 */
#ifndef TP_NN_LAYERS_MASKED_H
#define TP_NN_LAYERS_MASKED_H

#include "nn/ctx.h"
#include "nn/init.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_nn_masked_linear {
    tp_parameter weight; /* [out, in] */
    tp_parameter bias;   /* [out] */
    tp_buffer mask;      /* [out, in], 1 where there is a connection, else 0 */
} tp_nn_masked_linear;

/* Registers "<name>.weight" and "<name>.bias", as tp_nn_linear_init, and "<name>.mask", a copy of mask [out, in],
 * of any type. Order may be drawn, so the mask is saved with the weights. TP_ESHAPE unless mask is a matrix that
 * is not empty, TP_EVALUE unless it holds only 0 and 1; TP_EARG for the name. */
tp_status tp_nn_masked_linear_init(tp_nn_masked_linear *l, tp_params *ps, const char *name,
                                   const tp_tensor *mask);
/* x [.., in] -> x·(W where the mask is 1, else 0)ᵀ + b [.., out] */
tp_var tp_nn_masked_linear_apply(const tp_nn_masked_linear *l, tp_ctx *c, tp_var x);
/* Outputs first, …, end − 1 of it alone: [.., end − first]. What a model needs that makes its outputs one by one. */
tp_var tp_nn_masked_linear_rows(const tp_nn_masked_linear *l, tp_ctx *c, tp_var x, int64_t first,
                                int64_t end);

/* mask[o,i] = 1 where in[i] <= out[o], or in[i] < out[o] if strict, else 0. in and out number the units of two layers:
 * an input is known to units of its number and more, and an output may know only inputs of smaller numbers, so the last
 * layer is strict (Germain et al., MADE, 2015, equations 8 and 9, where the inputs are 1 … D). mask is [outs, ins],
 * of any type; TP_ESHAPE otherwise. */
tp_status tp_made_mask(tp_tensor *mask, const int64_t *in, const int64_t *out, bool strict);

#ifdef __cplusplus
}
#endif
#endif
