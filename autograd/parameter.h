/* parameter.h: a tensor that is learned, and its gradient.
 *
 * Belongs to the caller (in practice to the tp_params of nn/params.h), outlives every tape. The gradient
 * is written by tp_backward and added to until tp_zero_grad, which costs no pass: the next contribution
 * overwrites. Read next: sweep.h.
 */
#ifndef TP_AUTOGRAD_PARAMETER_H
#define TP_AUTOGRAD_PARAMETER_H

#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_parameter {
    char *name;      /* owned copy, e.g. "encoder.0.weight" */
    tp_tensor value; /* f32 or f64; write through tp_data_mut or tp_copy */
    tp_tensor grad;  /* same shape; valid while has_grad: until then backward works in its memory */
    bool has_grad;   /* a gradient has arrived since tp_zero_grad */
    bool frozen;     /* takes part in forward only */
    uint32_t slot;   /* number of the parameter among those that live: tapes find its leaf by it */
} tp_parameter;

/* A zero parameter. TP_EDTYPE unless f32 or f64, TP_ESHAPE, TP_ENOMEM; *p untouched on failure. */
tp_status tp_parameter_init(tp_parameter *p, const char *name, tp_dtype dtype, tp_shape shape);
/* Frees name, value and gradient; an empty one is fine. */
void tp_parameter_free(tp_parameter *p);
/* The gradient, or NULL if none has arrived. */
const tp_tensor *tp_parameter_grad(const tp_parameter *p);
/* Forgets the gradient: tp_parameter_grad is NULL, and the next backward writes instead of adding. */
void tp_zero_grad(tp_parameter *p);

#ifdef __cplusplus
}
#endif
#endif
