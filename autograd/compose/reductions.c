/* reductions.c: functions over axes made of sums. Read next: classes.c. */
#include "autograd/compose.h"

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
    tp_var from_mean = tp_sub(x, tp_mean(x, axes, true));
    return tp_div(tp_sum(tp_square(from_mean), axes, keepdim),
                  tp_scalar(x.tape, tp_dtype_of(x), freedom));
}
