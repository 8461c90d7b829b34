/* select.c: whole slices picked by index; gather picks single elements. Read next: ../ops/gather.c. */
#include "autograd/compose/refuse.h"

tp_var tp_index_select(tp_var x, tp_var index, int axis)
{
    tp_shape s = tp_shape_of(x), list = tp_shape_of(index), along = {s.ndim, {0}};
    char text[TP_SHAPE_TEXT];
    tp_status status = tp_axis_normal(s.ndim, axis, &axis);
    if (status == TP_OK && list.ndim != 1)
        status =
            tp_fail(TP_ESHAPE, "index of shape %s: a list [k] needed", tp_shape_text(list, text));
    if (status != TP_OK)
        return tp_both_valid(x, index) ? tp_refuse_both("tp_index_select", x, index, status)
                                       : tp_gather(x, index, axis); /* which refuses */
    for (int i = 0; i < s.ndim; i++)
        along.dim[i] = i == axis ? list.dim[0] : 1;
    s.dim[axis] = list.dim[0];
    return tp_gather(x, tp_expand(tp_reshape(index, along), s), axis);
}

tp_var tp_embedding(tp_var weight, tp_var index)
{
    tp_shape w = tp_shape_of(weight), s = tp_shape_of(index);
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    if (tp_both_valid(weight, index) && (w.ndim != 2 || s.ndim == TP_MAX_DIMS))
        return tp_refuse_both(
            "tp_embedding", weight, index,
            tp_fail(TP_ESHAPE,
                    "weight of shape %s and index of shape %s: [V,D] and at most %d "
                    "dimensions needed",
                    tp_shape_text(w, a), tp_shape_text(s, b), TP_MAX_DIMS - 1));
    tp_var rows = tp_index_select(weight, tp_reshape(index, TP_SHAPE(tp_shape_numel(s))), 0);
    if (s.ndim < TP_MAX_DIMS)
        s.dim[s.ndim++] = w.dim[1];
    return tp_reshape(rows, s); /* [..,D] */
}
