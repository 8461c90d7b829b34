/* reduce.h: sums, maxima and minima over any axes.
 *
 * f32 is accumulated in f64; the order of additions depends on shapes and strides only, so results do
 * not depend on the number of threads. The sum of nothing is 0; the maximum of nothing is -inf.
 * Read next: matmul.h.
 */
#ifndef TP_TENSOR_REDUCE_H
#define TP_TENSOR_REDUCE_H

#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Maximum and minimum let NaN through. */
typedef enum tp_reduction { TP_SUM, TP_MAX, TP_MIN } tp_reduction;

/* y = reduction of x over the axes where mask is true. y has the reduced shape, with or without the axes
 * of size 1; same float dtype as x. TP_ESHAPE, TP_EDTYPE. */
tp_status tp_reduce(tp_reduction how, tp_tensor *y, const tp_tensor *x,
                    const bool mask[TP_MAX_DIMS]);

/* y (i64) = index of the largest (TP_MAX) or smallest (TP_MIN) element along one axis, the first of equals;
 * a NaN wins. TP_ESHAPE also for an axis of size 0. */
tp_status tp_arg_reduce(tp_reduction how, tp_tensor *y, const tp_tensor *x, int axis);

#ifdef __cplusplus
}
#endif
#endif
