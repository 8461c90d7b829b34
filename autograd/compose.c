/* compose.c: one or two lines of ops each. */
#include "autograd/compose.h"

tp_var tp_scalar(tp_tape *t, tp_dtype dtype, double value)
{
    return tp_full(t, dtype, TP_SHAPE(), value);
}

tp_var tp_scale(tp_var x, double c)
{
    return tp_affine(x, c, 0);
}

tp_var tp_shift(tp_var x, double c)
{
    return tp_affine(x, 1, c);
}

tp_var tp_minimum(tp_var a, tp_var b)
{
    return tp_neg(tp_maximum(tp_neg(a), tp_neg(b)));
}

tp_var tp_transpose(tp_var x)
{
    int n = tp_shape_of(x).ndim;
    tp_axes perm = {n, {0}};
    for (int i = 0; i < n; i++)
        perm.axis[i] = i < n - 2 ? i : 2 * n - 3 - i;
    if (n < 2)
        perm = TP_AXES(0, 1); /* permute refuses this with a clear message */
    return tp_permute(x, perm);
}

tp_var tp_sum_to(tp_var x, tp_shape shape)
{
    tp_shape from = tp_shape_of(x);
    if (tp_shape_equal(from, shape))
        return x;
    tp_axes axes = {0, {0}};
    tp_shape both;
    if (tp_shape_broadcast(shape, from, &both) != TP_OK || !tp_shape_equal(both, from)) {
        char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
        tp_fail(TP_ESHAPE, "tp_sum_to: %s does not broadcast to %s, so nothing sums back to it",
                tp_shape_text(shape, a), tp_shape_text(from, b));
        return x.tape == NULL ? x : tp_tape_poison(x.tape, TP_ESHAPE);
    }
    int lead = from.ndim - shape.ndim;
    for (int i = 0; i < from.ndim; i++)
        if (i < lead || (shape.dim[i - lead] == 1 && from.dim[i] != 1))
            axes.axis[axes.n++] = i;
    if (axes.n > 0) /* an empty list would mean all axes */
        x = tp_sum(x, axes, true);
    return tp_reshape(x, shape);
}

tp_var tp_keep_axes(tp_var x, tp_shape from, tp_axes axes)
{
    bool mask[TP_MAX_DIMS];
    if (tp_shape_of(x).ndim == from.ndim || tp_axes_mask(from, axes, mask) != TP_OK)
        return x;
    return tp_reshape(x, tp_shape_reduced(from, mask, true));
}

/* A shape outlives its value; a var that is not valid has none and is handed on, to be refused. */
static tp_var full_like(tp_var x, double value)
{
    tp_status s = tp_var_status(x);
    if (s != TP_OK && s != TP_EFREED)
        return x;
    return tp_full(x.tape, tp_dtype_of(x), tp_shape_of(x), value);
}

tp_var tp_zeros_like(tp_var x)
{
    return full_like(x, 0);
}

tp_var tp_ones_like(tp_var x)
{
    return full_like(x, 1);
}

tp_var tp_softmax(tp_var x, int axis)
{
    return tp_exp(tp_log_softmax(x, axis));
}
