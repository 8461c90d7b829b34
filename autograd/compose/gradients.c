/* gradients.c: shapes of gradients. The sweep sums what was broadcast, rules give reduced axes back.
 * Read next: ../sweep.c. */
#include "autograd/compose/refuse.h"

tp_var tp_sum_to(tp_var x, tp_shape shape)
{
    tp_shape from = tp_shape_of(x);
    if (tp_shape_equal(from, shape))
        return x;
    tp_status s = tp_shape_check(shape, 1);
    if (s != TP_OK)
        return tp_refuse("tp_sum_to", x, s);
    tp_axes axes = {0, {0}};
    tp_shape both;
    if (tp_shape_broadcast(shape, from, &both) != TP_OK || !tp_shape_equal(both, from)) {
        char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
        return tp_refuse("tp_sum_to", x,
                         tp_fail(TP_ESHAPE,
                                 "%s does not broadcast to %s, so nothing sums back to it",
                                 tp_shape_text(shape, a), tp_shape_text(from, b)));
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
    tp_status s = tp_shape_check(from, 1);
    if (s != TP_OK)
        return tp_refuse("tp_keep_axes", x, s);
    if (tp_shape_of(x).ndim == from.ndim || tp_axes_mask(from, axes, mask) != TP_OK)
        return x;
    return tp_reshape(x, tp_shape_reduced(from, mask, true));
}
