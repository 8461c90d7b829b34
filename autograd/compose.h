/* compose.h: functions made of ops. No row, no rule, no attributes: their gradients follow from the
 * parts. Shapes and errors are those of the ops they are made of. Read next: compose.c. */
#ifndef TP_AUTOGRAD_COMPOSE_H
#define TP_AUTOGRAD_COMPOSE_H

#include "autograd/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A 0-d constant. */
tp_var tp_scalar(tp_tape *t, tp_dtype dtype, double value);
/* x times a constant, x plus a constant. */
tp_var tp_scale(tp_var x, double c);
tp_var tp_shift(tp_var x, double c);
/* The smaller of two, as −max(−a, −b). */
tp_var tp_minimum(tp_var a, tp_var b);
/* Swaps the last two axes: matrix transpose. */
tp_var tp_transpose(tp_var x);
/* Sums x over the axes along which shape was broadcast to it; the result has that shape. TP_ESHAPE unless
 * shape broadcasts to the shape of x. */
tp_var tp_sum_to(tp_var x, tp_shape shape);
/* Gives x, which is a reduction of a tensor of shape from over axes, its reduced axes back with size 1. */
tp_var tp_keep_axes(tp_var x, tp_shape from, tp_axes axes);
/* Zeros and ones of the shape and dtype of x. */
tp_var tp_zeros_like(tp_var x);
tp_var tp_ones_like(tp_var x);
/* softmax along one axis: e^(log_softmax). */
tp_var tp_softmax(tp_var x, int axis);

#ifdef __cplusplus
}
#endif
#endif
