/* conv.h: what the three rows of convolution share. Private to autograd/ops/. */
#ifndef TP_AUTOGRAD_OPS_CONV_H
#define TP_AUTOGRAD_OPS_CONV_H

#include "autograd/ops.h"

/* The attributes of all three; kernel is of conv2d_weight only. */
typedef struct tp_conv_attr {
    tp_conv_opts opts;
    int64_t kernel[2];
} tp_conv_attr;

/* Their table. conv2d takes the first TP_CONV_FIELDS of them, conv_transpose2d two more, conv2d_weight all. */
enum { TP_CONV_FIELDS = 7, TP_CONV_TRANSPOSE_FIELDS = 9, TP_CONV_WEIGHT_FIELDS = 11 };
extern const tp_field tp_conv_fields[TP_CONV_WEIGHT_FIELDS];

/* Parts of their index forms, in all of which element u,v of a kernel at position i,j lies on pixel p,q: the pixel,
 * and the element. */
#define TP_CONV_PIXEL                                                                              \
    "(@stride_h·i + @dilation_h·u − @padding_h),(@stride_w·j + @dilation_w·v − @padding_w)"
#define TP_CONV_ELEMENT                                                                            \
    "((p + @padding_h − @stride_h·i) / @dilation_h),((q + @padding_w − @stride_w·j) / @dilation_w)"
/* Of groups: where the channels of one side begin, so many to a group, that belong to a channel of the other side, of
 * which there are others to a group. */
#define TP_CONV_FIRST(sign, size, channel, others)                                                 \
    "{@groups > 1:  " sign " |" size "|·⌊" channel " / |" others "|⌋}"
/* What is seen of a tensor by positions at the edge, and between elements that dilation has moved apart. */
#define TP_CONV_EDGE(tensor) "{@padding_h + @padding_w > 0: ; " tensor " = 0 outside}"
#define TP_CONV_GAPS(tensor) "; " tensor " = 0 outside{@dilation_h + @dilation_w > 2:  and between}"

/* Whether a node has its options as tp_conv_opts_check leaves them: TP_EARG. */
tp_status tp_conv_opts_filled(const tp_conv_opts *o);

/* The shape [N,O,OH,OW] of what x [N,C,H,W] and weight [O,C/groups,kh,kw] make. TP_ESHAPE, TP_EARG. Fills o in. */
tp_status tp_conv_shape(tp_shape x, tp_shape weight, tp_conv_opts *o, tp_shape *y);

/* The options of the transposed convolution that gives images of x's shape. */
tp_conv_opts tp_conv_back(tp_conv_opts o, tp_shape x, tp_shape w);

#endif
