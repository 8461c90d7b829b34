/* gather.h: picking elements by index, and its adjoint.
 *
 * gather and scatter-add follow PyTorch; gather_rows is the minibatch copy of a data set. Indices are
 * checked before anything is written, and negative ones are refused: they never mean "from the end".
 * Nothing here knows of gradients. Read next: gather.c.
 */
#ifndef TP_TENSOR_GATHER_H
#define TP_TENSOR_GATHER_H

#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y[i,j,k] = x[i,index[i,j,k],k] for axis 1, and so on: index (i64) has as many dimensions as x, at least
 * one, and sizes at most those of x except along axis; y has the shape of index and the dtype of x (any).
 * axis may be negative. y must not overlap itself, x or index. TP_ESHAPE, TP_EDTYPE, TP_EARG;
 * TP_EVALUE names the first index outside [0, size of axis), and then y is untouched. */
tp_status tp_gather_into(tp_tensor *y, const tp_tensor *x, const tp_tensor *index, int axis);

/* y[i,index[i,j,k],k] += src[i,j,k] for axis 1, and so on: src has the shape of index (i64), y is as x above;
 * f32 or f64. y is added to, not cleared. Contributions to one element are added in the order of their
 * position along axis, in the element type, whatever the number of threads. y must not overlap itself, src
 * or index. Errors as tp_gather_into. */
tp_status tp_scatter_add_into(tp_tensor *y, const tp_tensor *src, const tp_tensor *index, int axis);

/* y[i, …] = scale * x[rows[i], …] for i < n: x is u8, f32 or f64, y is f32 or f64 of shape [n, …]. The
 * product is made in f64 and rounded once, so u8 with scale 1/255.0 gives PyTorch's x/255. TP_ESHAPE,
 * TP_EDTYPE, TP_EARG; TP_EVALUE for a row outside [0, x.shape[0]), and then y is untouched. */
tp_status tp_gather_rows(tp_tensor *y, const tp_tensor *x, const int64_t *rows, int64_t n,
                         double scale);

/* "[3,1]": the position of element flat (row-major) in a shape, for messages. Returns text. */
char *tp_index_text(tp_shape s, int64_t flat, char text[TP_SHAPE_TEXT]);

#ifdef __cplusplus
}
#endif
#endif
