/* event.c: event dimensions. */
#include "nn/event.h"

tp_var tp_event_sum(tp_var x, int event_dims)
{
    if (event_dims == 0)
        return x;
    tp_axes axes = {event_dims, {0}};
    for (int i = 0; i < event_dims && i < TP_MAX_DIMS; i++)
        axes.axis[i] = i - event_dims;
    return tp_sum(x, axes, false);
}

tp_var tp_event_match(tp_var parameter, tp_var x, const char *what)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    if (parameter.tape == NULL || tp_shape_equal(tp_shape_of(parameter), tp_shape_of(x)))
        return x;
    tp_fail(TP_ESHAPE, "%s: x has shape %s, the parameters have %s: losses do not broadcast", what,
            tp_shape_text(tp_shape_of(x), a), tp_shape_text(tp_shape_of(parameter), b));
    return tp_tape_poison(parameter.tape, TP_ESHAPE);
}
