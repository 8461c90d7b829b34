/* matmul.h: matrix products of strided, batched tensors.
 *
 * One driver serves every layout (transposes are strides) in f32 and f64, with micro-kernels chosen per
 * ISA level. Threads take rectangles of the result and the inner dimension is never split across them,
 * so bits do not depend on their number. Method: Goto and van de Geijn 2008, Van Zee
 * and van de Geijn 2015 (BLIS). Read next: kernels/.
 */
#ifndef TP_TENSOR_MATMUL_H
#define TP_TENSOR_MATMUL_H

#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_matmul_opts {
    const tp_tensor *bias; /* [n], added to every row of the product; NULL: none */
    bool accumulate;       /* add to y instead of overwriting it; not together with bias */
    bool relu;             /* max(0, .) of the result (Nair and Hinton 2010); NaN stays NaN */
} tp_matmul_opts;

/* y[…,m,n] = a[…,m,k] · b[…,k,n]: at least two dimensions each, leading dimensions broadcast to those of y;
 * any strides for a and b, y must not overlap itself or an input. k = 0 gives zeros (plus bias).
 * TP_ESHAPE, TP_EDTYPE, TP_ENOMEM (packing buffers are kept for reuse). */
tp_status tp_matmul_into(tp_tensor *y, const tp_tensor *a, const tp_tensor *b, tp_matmul_opts opts);

/* Frees the packing buffers that products called from this thread have left for reuse. */
void tp_matmul_release(void);

#ifdef __cplusplus
}
#endif
#endif
