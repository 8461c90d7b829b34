/* demand.c: see demand.h. */
#include "nn/objective/demand.h"

bool tp_demand_valid(tp_var x)
{
    return x.tape != NULL && tp_var_status(x) == TP_OK;
}

tp_var tp_demand_size(tp_var x, int ndim, int axis, int64_t least, const char *what,
                      const char *needed)
{
    char text[TP_SHAPE_TEXT];
    tp_shape s = tp_shape_of(x);
    if (!tp_demand_valid(x) || (s.ndim == ndim && s.dim[axis] >= least))
        return x;
    return tp_tape_poison(x.tape, tp_fail(TP_ESHAPE, "objective: the %s has shape %s, but %s", what,
                                          tp_shape_text(s, text), needed));
}

tp_var tp_demand_axes(tp_var x, int ndim, const char *what, const char *needed)
{
    return tp_demand_size(x, ndim, 0, 0, what, needed);
}

tp_var tp_demand_batch(tp_var x, const char *what)
{
    return tp_demand_axes(x, 1, what, "[batch] is needed: sum over the event first");
}

tp_var tp_demand_same(tp_var like, tp_var x, const char *like_what, const char *what,
                      const char *needed)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    tp_shape s = tp_shape_of(like), t = tp_shape_of(x);
    if (!tp_demand_valid(like) || !tp_demand_valid(x) || tp_shape_equal(s, t))
        return x;
    return tp_tape_poison(
        like.tape, tp_fail(TP_ESHAPE, "objective: the %s has shape %s, the %s %s: %s", like_what,
                           tp_shape_text(s, a), what, tp_shape_text(t, b), needed));
}

tp_var tp_demand_option(tp_var x, bool right, const char *name, double value, const char *needed)
{
    if (right || !tp_demand_valid(x))
        return x;
    return tp_tape_poison(x.tape, tp_fail(TP_EARG, "objective: %s is %g: %s", name, value, needed));
}

tp_var tp_scoped_mean(tp_var x, const char *scope)
{
    tp_scope_begin(x.tape, scope);
    tp_var mean = tp_mean(x, TP_ALL_AXES, false);
    tp_scope_end(x.tape);
    return mean;
}
