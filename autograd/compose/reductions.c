/* reductions.c: functions over axes made of sums. Read next: classes.c. */
#include "autograd/compose/refuse.h"

#include <math.h>

/* How many elements of x go into one of the result; 0 if the axes do not fit, which the op then refuses. */
static int64_t reduced_count(tp_var x, tp_axes axes)
{
    tp_shape s = tp_shape_of(x);
    bool mask[TP_MAX_DIMS];
    int64_t n = 1;
    if (tp_axes_mask(s, axes, mask) != TP_OK)
        return 0;
    for (int i = 0; i < s.ndim; i++)
        n *= mask[i] ? s.dim[i] : 1;
    return n;
}

tp_var tp_variance(tp_var x, tp_axes axes, int correction, bool keepdim)
{
    int64_t n = reduced_count(x, axes);
    double freedom = n > correction ? (double)(n - correction) : (double)NAN;
    /* The mean is rounded, and the square of what that leaves would show where x is far from 0. As the mean of
     * a difference from the mean is 0, taking it away is not differentiated. */
    tp_var from_mean = tp_sub(x, tp_mean(x, axes, true));
    from_mean = tp_sub(from_mean, tp_detach(tp_mean(from_mean, axes, true)));
    return tp_div(tp_sum(tp_square(from_mean), axes, keepdim),
                  tp_scalar(x.tape, tp_dtype_of(x), freedom));
}

tp_var tp_norm(tp_var x, tp_axes axes, bool keepdim)
{
    if (reduced_count(x, axes) == 0)
        return tp_sum(x, axes, keepdim); /* 0, or the axes are refused */
    tp_shape from = tp_shape_of(x);
    bool mask[TP_MAX_DIMS];
    tp_dtype dtype = tp_dtype_of(x);
    tp_var zero = tp_scalar_like("tp_norm", x, 0), one = tp_scalar_like("tp_norm", x, 1);
    /* The norm does not depend on the scale, so that is a constant: the largest |x|, or 1 if that is 0, ∞ or NaN. */
    tp_var largest = tp_max(tp_abs(tp_detach(x)), axes, true);
    tp_var usable = tp_logical_and(tp_greater(largest, zero),
                                   tp_less(largest, tp_scalar(x.tape, dtype, INFINITY)));
    tp_var scale = tp_where(usable, largest, one);
    tp_var sum = tp_sum(tp_square(tp_div(x, scale)), axes, true);
    /* At 0 the root would have an infinite gradient: it sees 1 there, and is not selected. NaN goes with 0. */
    tp_var positive = tp_greater(sum, zero);
    tp_var root = tp_mul(scale, tp_sqrt(tp_where(positive, sum, one)));
    tp_var y = tp_where(positive, root, tp_detach(sum));
    if (keepdim || tp_axes_mask(from, axes, mask) != TP_OK)
        return y;
    return tp_reshape(y, tp_shape_reduced(from, mask, false));
}

tp_var tp_min(tp_var x, tp_axes axes, bool keepdim)
{
    return tp_neg(tp_max(tp_neg(x), axes, keepdim));
}

tp_var tp_argmin(tp_var x, int axis, bool keepdim)
{
    return tp_argmax(tp_neg(x), axis, keepdim);
}
