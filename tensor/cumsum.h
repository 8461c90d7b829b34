/* cumsum.h: running sums along one axis.
 *
 * Not a reduction: the result is as large as the input. Read next: cumsum.c.
 */
#ifndef TP_TENSOR_CUMSUM_H
#define TP_TENSOR_CUMSUM_H

#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y[i] = x[0] + … + x[i] along axis (negative ones count from the end), added in that order; f32 is
 * accumulated in f64 and rounded at each element, so results do not depend on strides or threads. Same shape
 * and float dtype; y may be x. TP_ESHAPE, TP_EDTYPE; TP_EARG if elements of y share memory. */
tp_status tp_cumsum_into(tp_tensor *y, const tp_tensor *x, int axis);

#ifdef __cplusplus
}
#endif
#endif
