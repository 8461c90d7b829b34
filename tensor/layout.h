/* layout.h: pictures [n,c,h,w] in memory: row by row as all tensors, or channels-last, as convolutions work on them.
 *
 * Shapes do not change: a picture that lies channels-last is a tensor with other strides. Read next: conv.h.
 */
#ifndef TP_TENSOR_LAYOUT_H
#define TP_TENSOR_LAYOUT_H

#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Four axes without gaps, of which the second is innermost in memory; false for what is contiguous as well. */
bool tp_is_channels_last(const tp_tensor *t);
/* Gives a contiguous tensor of four axes the strides of that order; others, and what has one channel or one pixel, stay
 * as they are. Moves nothing: for what is to be written. */
void tp_make_channels_last(tp_tensor *t);
/* t, of four axes or fewer, as [n,h,w,c]: a view with axes of one in front. */
tp_tensor tp_view_channels_last(const tp_tensor *t);
/* y = x, of one shape and float type in any layout each, on all threads; as tp_map1 with TP_K_copy, whose errors it has,
 * but faster between the two layouts. */
tp_status tp_lay_out(tp_tensor *y, const tp_tensor *x);

#ifdef __cplusplus
}
#endif
#endif
