/* select.c: whole slices picked by index; gather picks single elements. Read next: ../ops/gather.c. */
#include "autograd/compose/refuse.h"
#include "tensor/gather.h"

/* gather would refuse them too, but name places in the index that it was given, which nobody wrote. Of what is no
 * list of numbers it knows more to say. */
static tp_status check_index(tp_var x, int axis, tp_var index)
{
    char place[TP_SHAPE_TEXT], type[TP_TENSOR_TEXT];
    const tp_tensor *from = tp_value(x), *list = tp_value(index);
    for (int64_t i = 0; list->dtype == TP_I64 && i < tp_numel(list); i++) {
        double v = tp_flat(list, i); /* exact for whatever could be right */
        if (v < 0 || v >= (double)from->shape.dim[axis])
            return tp_fail(TP_EVALUE, "index%s = %.0f is outside axis %d of %s (size %lld)",
                           tp_index_text(list->shape, i, place), v, axis,
                           tp_tensor_text(from, type), (long long)from->shape.dim[axis]);
    }
    return TP_OK;
}

tp_var tp_index_select(tp_var x, tp_var index, int axis)
{
    tp_shape s = tp_shape_of(x), list = tp_shape_of(index), along = {s.ndim, {0}};
    char text[TP_SHAPE_TEXT];
    tp_status status = tp_axis_normal(s.ndim, axis, &axis);
    if (status == TP_OK && list.ndim != 1)
        status =
            tp_fail(TP_ESHAPE, "index of shape %s: a list [k] needed", tp_shape_text(list, text));
    if (status == TP_OK && tp_both_valid(x, index))
        status = check_index(x, axis, index);
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
    tp_status status = tp_both_valid(weight, index) ? check_index(weight, 0, index) : TP_OK;
    if (status != TP_OK)
        return tp_refuse_both("tp_embedding", weight, index, status);
    tp_var rows = tp_index_select(weight, tp_reshape(index, TP_SHAPE(tp_shape_numel(s))), 0);
    if (s.ndim < TP_MAX_DIMS)
        s.dim[s.ndim++] = w.dim[1];
    return tp_reshape(rows, s); /* [..,D] */
}
