/* linear.h: what linear.c lends to linear_relu.c. Private to autograd/ops/. */
#ifndef TP_AUTOGRAD_OPS_LINEAR_H
#define TP_AUTOGRAD_OPS_LINEAR_H

#include "autograd/op.h"

/* x [..,in], weight [out,in], bias [out] -> [..,out], or TP_ESHAPE. */
tp_status tp_linear_shape(const tp_op_call *c);
/* y = x·Wᵀ + b; what is negative becomes 0 in the same pass if relu. */
tp_status tp_linear_forward(const tp_op_call *c, bool relu);
/* The rule and its fused form, with gy the gradient of x·Wᵀ + b. Neither looks at y. */
void tp_linear_vjp(const tp_vjp_call *c, tp_var *gx);
tp_status tp_linear_vjp_fused(const tp_fused_call *c);

#endif
