/* attrs.c: field tables and shape rules of shared attributes. */
#include "autograd/attrs.h"

const tp_field tp_reduce_fields[2] = {TP_FIELD(tp_reduce_attr, axes, AXES),
                                      TP_FIELD(tp_reduce_attr, keepdim, BOOL)};

tp_status tp_shape_reduce(const tp_op_call *c)
{
    const tp_reduce_attr *a = c->attr;
    bool mask[TP_MAX_DIMS];
    TP_TRY(tp_axes_mask(c->x[0]->shape, a->axes, mask));
    c->y->shape = tp_shape_reduced(c->x[0]->shape, mask, a->keepdim);
    return TP_OK;
}

const tp_field tp_range_fields[2] = {TP_FIELD(tp_range_attr, lo, DOUBLE),
                                     TP_FIELD(tp_range_attr, hi, DOUBLE)};

tp_status tp_shape_range(const tp_op_call *c)
{
    const tp_range_attr *a = c->attr;
    if (!(a->lo <= a->hi))
        return tp_fail(TP_EARG, "bounds %g and %g: lo <= hi needed", a->lo, a->hi);
    return tp_shape_same(c);
}
