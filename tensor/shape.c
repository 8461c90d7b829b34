/* shape.c: size arithmetic, broadcasting and axis lists. */
#include "tensor/shape.h"

#include <stdio.h>

/* Where an address has fewer bits, a number of bytes that passed tp_shape_check would be cut on its way to tp_alloc. */
_Static_assert(sizeof(size_t) >= sizeof(int64_t), "tapir needs 64-bit addresses");

int64_t tp_shape_numel(tp_shape s)
{
    int64_t n = 1;
    for (int i = 0; i < s.ndim; i++)
        n *= s.dim[i];
    return n;
}

tp_status tp_shape_check(tp_shape s, int64_t element_size)
{
    if (s.ndim < 0 || s.ndim > TP_MAX_DIMS)
        return tp_fail(TP_ESHAPE, "a shape has %d dimensions: at most %d are supported", s.ndim,
                       TP_MAX_DIMS);
    int64_t limit = ((int64_t)1 << 62) / element_size, n = 1;
    char text[TP_SHAPE_TEXT];
    for (int i = 0; i < s.ndim; i++) {
        if (s.dim[i] < 0)
            return tp_fail(TP_ESHAPE, "shape %s has a negative size", tp_shape_text(s, text));
        int64_t size = s.dim[i] > 0 ? s.dim[i] : 1;
        if (__builtin_mul_overflow(n, size, &n) || n > limit)
            return tp_fail(TP_ESHAPE, "shape %s has more elements than memory can address",
                           tp_shape_text(s, text));
    }
    return TP_OK;
}

bool tp_shape_equal(tp_shape a, tp_shape b)
{
    if (a.ndim != b.ndim)
        return false;
    for (int i = 0; i < a.ndim; i++)
        if (a.dim[i] != b.dim[i])
            return false;
    return true;
}

tp_status tp_shape_broadcast(tp_shape a, tp_shape b, tp_shape *out)
{
    tp_shape y = {a.ndim > b.ndim ? a.ndim : b.ndim, {0}};
    for (int i = 1; i <= y.ndim; i++) { /* i counts from the last axis */
        int64_t da = i <= a.ndim ? a.dim[a.ndim - i] : 1;
        int64_t db = i <= b.ndim ? b.dim[b.ndim - i] : 1;
        if (da != db && da != 1 && db != 1) {
            char ta[TP_SHAPE_TEXT], tb[TP_SHAPE_TEXT];
            return tp_fail(
                TP_ESHAPE, "shapes %s and %s do not broadcast\n  axis -%d: %lld against %lld",
                tp_shape_text(a, ta), tp_shape_text(b, tb), i, (long long)da, (long long)db);
        }
        y.dim[y.ndim - i] = da == 1 ? db : da;
    }
    *out = y;
    return TP_OK;
}

tp_status tp_axis_normal(int ndim, int axis, int *out)
{
    if (axis < -ndim || axis >= ndim)
        return tp_fail(TP_ESHAPE, "axis %d is out of range for %d dimension%s", axis, ndim,
                       ndim == 1 ? "" : "s");
    *out = axis < 0 ? axis + ndim : axis;
    return TP_OK;
}

tp_status tp_axes_mask(tp_shape s, tp_axes axes, bool mask[TP_MAX_DIMS])
{
    if (axes.n < 0 || axes.n > TP_MAX_DIMS)
        return tp_fail(TP_ESHAPE, "a list of %d axes: at most %d are possible", axes.n,
                       TP_MAX_DIMS);
    for (int i = 0; i < TP_MAX_DIMS; i++)
        mask[i] = axes.n == 0 && i < s.ndim;
    for (int i = 0; i < axes.n; i++) {
        int axis = 0;
        TP_TRY(tp_axis_normal(s.ndim, axes.axis[i], &axis));
        if (mask[axis])
            return tp_fail(TP_ESHAPE, "axis %d is named twice", axes.axis[i]);
        mask[axis] = true;
    }
    return TP_OK;
}

tp_shape tp_shape_reduced(tp_shape s, const bool mask[TP_MAX_DIMS], bool keepdim)
{
    tp_shape y = {0, {0}};
    for (int i = 0; i < s.ndim; i++) {
        if (!mask[i])
            y.dim[y.ndim++] = s.dim[i];
        else if (keepdim)
            y.dim[y.ndim++] = 1;
    }
    return y;
}

char *tp_shape_text(tp_shape s, char text[TP_SHAPE_TEXT])
{
    int used = snprintf(text, TP_SHAPE_TEXT, "[");
    for (int i = 0; i < s.ndim && i < TP_MAX_DIMS; i++)
        used += snprintf(text + used, (size_t)(TP_SHAPE_TEXT - used), i ? ",%lld" : "%lld",
                         (long long)s.dim[i]);
    snprintf(text + used, (size_t)(TP_SHAPE_TEXT - used), "]");
    return text;
}
