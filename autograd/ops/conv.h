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

/* The shape [N,O,OH,OW] of what x [N,C,H,W] and weight [O,C/groups,kh,kw] make. TP_ESHAPE, TP_EARG. Fills o in. */
tp_status tp_conv_shape(tp_shape x, tp_shape weight, tp_conv_opts *o, tp_shape *y);

/* The options of the transposed convolution that gives images of x's shape. */
tp_conv_opts tp_conv_back(tp_conv_opts o, tp_shape x, tp_shape w);

#endif
