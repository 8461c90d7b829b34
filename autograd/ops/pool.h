/* pool.h: what the rows of pooling share. Private to autograd/ops/. */
#ifndef TP_AUTOGRAD_OPS_POOL_H
#define TP_AUTOGRAD_OPS_POOL_H

#include "autograd/ops.h"

/* The attributes of all four; size is of avg_unpool2d only. */
typedef struct tp_pool_attr {
    tp_pool_opts opts;
    int64_t size[2];
} tp_pool_attr;

/* Their table. Maxima take the first TP_POOL_FIELDS of them, averages one more, avg_unpool2d all. */
enum { TP_POOL_FIELDS = 6, TP_POOL_AVERAGE_FIELDS = 7, TP_POOL_UNPOOL_FIELDS = 9 };
extern const tp_field tp_pool_fields[TP_POOL_UNPOOL_FIELDS];

/* Parts of their index forms: the pixel that element u,v of window i,j lies on, over all of them; whether window i,j holds
 * pixel p,q; and where the largest of a window is in it, row by row. What is seen of a tensor at the edge. */
#define TP_POOL_PIXEL "(@stride_h·i + u − @padding_h),(@stride_w·j + v − @padding_w)"
#define TP_POOL_ELEMENTS "{u<@kernel_h,v<@kernel_w}"
#define TP_POOL_ROW "p + @padding_h − @stride_h·i"
#define TP_POOL_COLUMN "q + @padding_w − @stride_w·j"
#define TP_POOL_IN_ROWS "[0 ≤ " TP_POOL_ROW " < @kernel_h]"
#define TP_POOL_IN_COLUMNS "[0 ≤ " TP_POOL_COLUMN " < @kernel_w]"
#define TP_POOL_ARGMAX "argmax_" TP_POOL_ELEMENTS " #0[n,c," TP_POOL_PIXEL "]"
#define TP_POOL_EDGE(tensor, is) "{@padding_h + @padding_w > 0: ; " tensor " = " is " outside}"

/* That x is images of at least one row and column; name is what the message calls it. TP_ESHAPE. */
tp_status tp_pool_images(const char *name, tp_shape x);

/* Whether a node has its options as the functions leave them, of averages with a divisor: TP_EARG. */
tp_status tp_pool_opts_filled(const tp_pool_opts *o, bool average);

/* The shape [n,c,oh,ow] of the windows in x, with options filled in. TP_ESHAPE. */
tp_status tp_pool_shape(tp_shape x, const tp_pool_opts *o, tp_shape *y);
/* Of maxima, which have no divisor: options with the other defaults filled in | the same as .shape. */
tp_pool_opts tp_pool_max_opts(tp_pool_opts o);
tp_status tp_pool_max_shape(const tp_op_call *c);

#endif
