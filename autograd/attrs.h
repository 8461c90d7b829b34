/* attrs.h: attributes that several operations share, each with its field table and shape rule.
 * An op whose attributes are its own keeps them in its file. */
#ifndef TP_AUTOGRAD_ATTRS_H
#define TP_AUTOGRAD_ATTRS_H

#include "autograd/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reductions over an axis list. */
typedef struct tp_reduce_attr {
    tp_axes axes;
    bool keepdim;
} tp_reduce_attr;
extern const tp_field tp_reduce_fields[2];
#define TP_REDUCE_ATTR                                                                             \
    .attr_size = sizeof(tp_reduce_attr), .fields = tp_reduce_fields, .field_count = 2
/* x without the reduced axes, or with size 1 there. TP_ESHAPE for an axis out of range or named twice. */
tp_status tp_shape_reduce(const tp_op_call *c);

/* An interval [lo, hi]. */
typedef struct tp_range_attr {
    double lo, hi;
} tp_range_attr;
extern const tp_field tp_range_fields[2];
#define TP_RANGE_ATTR                                                                              \
    .attr_size = sizeof(tp_range_attr), .fields = tp_range_fields, .field_count = 2
/* x itself. TP_EARG unless lo <= hi (NaN included). */
tp_status tp_shape_range(const tp_op_call *c);

#ifdef __cplusplus
}
#endif
#endif
