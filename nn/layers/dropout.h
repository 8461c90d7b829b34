/* dropout.h: noise that is there in training only. Owns nothing. */
#ifndef TP_NN_LAYERS_DROPOUT_H
#define TP_NN_LAYERS_DROPOUT_H

#include "nn/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In training zeroes each element with probability p and divides the rest by 1 − p (inverted dropout,
 * Srivastava et al. 2014); gives x back in eval mode. TP_EARG unless 0 <= p < 1. */
tp_var tp_dropout(tp_ctx *c, tp_var x, double p);

#ifdef __cplusplus
}
#endif
#endif
