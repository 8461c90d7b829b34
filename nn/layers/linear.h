/* linear.h: the affine layer.
 *
 * Not the op: that is tp_linear. Read next: mlp.h.
 */
#ifndef TP_NN_LAYERS_LINEAR_H
#define TP_NN_LAYERS_LINEAR_H

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
 * He et al. 2015 with a = √5. Other values: nn/init.h, behind this. TP_ESHAPE unless in and out are positive;
 * TP_EARG for a name of more than 120 bytes or one that is taken. */
tp_status tp_nn_linear_init(tp_nn_linear *l, tp_params *ps, const char *name, int64_t in,
                            int64_t out);
/* x [.., in] -> [.., out] */
tp_var tp_nn_linear_apply(const tp_nn_linear *l, tp_ctx *c, tp_var x);

#ifdef __cplusplus
}
#endif
#endif
