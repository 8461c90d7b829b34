/* rearrange.c: the same elements in other places. Made of view ops wherever that is possible, so most of
 * it copies nothing, and integers pass as well. Read next: select.c. */
#include "autograd/compose/refuse.h"

tp_var tp_squeeze(tp_var x, int axis)
{
    tp_shape s = tp_shape_of(x);
    char text[TP_SHAPE_TEXT];
    tp_status status = tp_axis_normal(s.ndim, axis, &axis);
    if (status == TP_OK && s.dim[axis] != 1)
        status = tp_fail(TP_ESHAPE, "axis %d of shape %s has size %lld, not 1", axis,
                         tp_shape_text(s, text), (long long)s.dim[axis]);
    if (status != TP_OK)
        return tp_refuse("tp_squeeze", x, status);
    s.ndim--;
    for (int i = axis; i < s.ndim; i++)
        s.dim[i] = s.dim[i + 1];
    return tp_reshape(x, s);
}

/* An axis of a result that has one more than ndim, which is what the message must count. */
static tp_status new_axis(int ndim, int axis, int *out)
{
    if (tp_axis_normal(ndim + 1, axis, out) == TP_OK)
        return TP_OK;
    return tp_fail(TP_ESHAPE, "axis %d is out of range for a result of %d dimension%s", axis,
                   ndim + 1, ndim == 0 ? "" : "s");
}

tp_var tp_unsqueeze(tp_var x, int axis)
{
    tp_shape s = tp_shape_of(x);
    char text[TP_SHAPE_TEXT];
    tp_status status = new_axis(s.ndim, axis, &axis);
    if (status == TP_OK && s.ndim == TP_MAX_DIMS)
        status = tp_fail(TP_ESHAPE, "shape %s has %d dimensions already, the most there can be",
                         tp_shape_text(s, text), TP_MAX_DIMS);
    if (status != TP_OK)
        return tp_refuse("tp_unsqueeze", x, status);
    for (int i = s.ndim++; i > axis; i--)
        s.dim[i] = s.dim[i - 1];
    s.dim[axis] = 1;
    return tp_reshape(x, s);
}

tp_var tp_flip(tp_var x, int axis)
{
    return tp_slice(x, axis, -1, TP_SLICE_END, -1);
}

/* Few at a time, so that no list of n vars has to be kept anywhere. */
static tp_var join(const tp_var *x, int n, int axis)
{
    enum { FEW = 8 };
    tp_var piece[FEW];
    if (n == 1)
        return tp_unsqueeze(x[0], axis);
    int pieces = n < FEW ? n : FEW;
    for (int i = 0; i < pieces; i++) {
        int64_t from = (int64_t)n * i / pieces, to = (int64_t)n * (i + 1) / pieces;
        piece[i] = join(x + from, (int)(to - from), axis);
    }
    return tp_concat(piece, pieces, axis);
}

tp_var tp_stack(const tp_var *x, int n, int axis)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    for (int i = 1; i < n; i++) {
        tp_shape first = tp_shape_of(x[0]), s = tp_shape_of(x[i]);
        if (tp_both_valid(x[0], x[i]) && !tp_shape_equal(first, s))
            return tp_refuse_both("tp_stack", x[0], x[i],
                                  tp_fail(TP_ESHAPE, "input 0 has shape %s, input %d has %s",
                                          tp_shape_text(first, a), i, tp_shape_text(s, b)));
    }
    if (n < 1)
        return tp_concat(x, n, axis); /* which refuses */
    tp_status status = TP_OK;
    if (tp_var_status(x[0]) == TP_OK) /* else concat says so */
        status = new_axis(tp_shape_of(x[0]).ndim, axis, &axis);
    return status == TP_OK ? join(x, n, axis) : tp_refuse("tp_stack", x[0], status);
}

/* TP_ESHAPE unless n sizes, none negative, add up to total. */
static tp_status check_sizes(const int64_t *sizes, int n, int axis, int64_t total)
{
    int64_t left = total;
    for (int i = 0; i < n; i++) {
        if (sizes[i] < 0 || sizes[i] > left)
            return tp_fail(TP_ESHAPE, "size %d is %lld, with %lld left of axis %d", i,
                           (long long)sizes[i], (long long)left, axis);
        left -= sizes[i];
    }
    return left == 0 ? TP_OK
                     : tp_fail(TP_ESHAPE, "the sizes leave %lld of %lld elements of axis %d over",
                               (long long)left, (long long)total, axis);
}

void tp_split(tp_var x, int axis, const int64_t *sizes, int n, tp_var *out)
{
    tp_shape s = tp_shape_of(x);
    tp_status status = tp_axis_normal(s.ndim, axis, &axis);
    if (status == TP_OK)
        status = check_sizes(sizes, n, axis, s.dim[axis]);
    tp_var refused = status == TP_OK ? x : tp_refuse("tp_split", x, status);
    int64_t at = 0;
    for (int i = 0; i < n; i++) {
        out[i] = status == TP_OK ? tp_slice(x, axis, at, at + sizes[i], 1) : refused;
        at += status == TP_OK ? sizes[i] : 0;
    }
}

tp_var tp_pad_constant(tp_var x, int axis, int64_t before, int64_t after, double value)
{
    tp_shape low = tp_shape_of(x), high = low;
    tp_dtype dtype = tp_dtype_of(x);
    tp_status status = tp_axis_normal(low.ndim, axis, &axis);
    if (status == TP_OK && (before < 0 || after < 0))
        status = tp_fail(TP_EARG, "%lld before and %lld after: 0 or more needed", (long long)before,
                         (long long)after);
    if (status != TP_OK)
        return tp_refuse("tp_pad_constant", x, status);
    if (!tp_dtype_is_float(dtype))
        return tp_scalar_like("tp_pad_constant", x, value); /* which refuses */
    low.dim[axis] = before;
    high.dim[axis] = after;
    return tp_concat(
        (tp_var[]){tp_full(x.tape, dtype, low, value), x, tp_full(x.tape, dtype, high, value)}, 3,
        axis);
}

/* x as [before, n, after], expanded by an axis of size times in front of n or behind it, and flat again. */
static tp_var multiply(const char *who, tp_var x, int axis, int64_t times, bool behind)
{
    tp_shape s = tp_shape_of(x);
    tp_status status = tp_axis_normal(s.ndim, axis, &axis);
    if (status == TP_OK && times < 0)
        status = tp_fail(TP_EARG, "%lld times: 0 or more needed", (long long)times);
    if (status == TP_OK && s.dim[axis] > 0 && times > INT64_MAX / s.dim[axis])
        status = tp_fail(TP_ESHAPE, "%lld times %lld elements are more than memory can address",
                         (long long)times, (long long)s.dim[axis]);
    if (status != TP_OK)
        return tp_refuse(who, x, status);
    int64_t n = s.dim[axis], before = 1, after = 1;
    for (int i = 0; i < s.ndim; i++)
        *(i < axis ? &before : &after) *= i == axis ? 1 : s.dim[i];
    tp_var one =
        tp_reshape(x, behind ? TP_SHAPE(before, n, 1, after) : TP_SHAPE(before, 1, n, after));
    tp_var many = tp_expand(one, behind ? TP_SHAPE(before, n, times, after)
                                        : TP_SHAPE(before, times, n, after));
    s.dim[axis] = n * times;
    return tp_reshape(many, s);
}

tp_var tp_tile(tp_var x, int axis, int64_t times)
{
    return multiply("tp_tile", x, axis, times, false);
}

tp_var tp_repeat(tp_var x, int axis, int64_t times)
{
    return multiply("tp_repeat", x, axis, times, true);
}
