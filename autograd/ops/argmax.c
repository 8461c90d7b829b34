/* argmax: where the largest element along one axis is, as i64: the first of equals; a NaN wins. For gather and
 * scatter_add keep the axis. */
#include "autograd/compose.h"
#include "tensor/reduce.h"

struct attr {
    int axis;
    bool keepdim;
};
static const tp_field fields[] = {TP_FIELD(struct attr, axis, INT),
                                  TP_FIELD(struct attr, keepdim, BOOL)};

tp_var tp_argmax(tp_var x, int axis, bool keepdim)
{
    return tp_apply(&tp_op_argmax, 1, &x, &(struct attr){axis, keepdim});
}

static tp_status shape(const tp_op_call *c)
{
    const struct attr *a = c->attr;
    char text[TP_SHAPE_TEXT];
    bool mask[TP_MAX_DIMS] = {false};
    tp_shape s = c->x[0]->shape;
    int axis;
    TP_TRY(tp_axis_normal(s.ndim, a->axis, &axis));
    if (s.dim[axis] == 0)
        return tp_fail(TP_ESHAPE, "the maximum of nothing: axis %d of %s has no elements", axis,
                       tp_shape_text(s, text));
    mask[axis] = true;
    c->y->shape = tp_shape_reduced(s, mask, a->keepdim);
    c->y->dtype = TP_I64;
    return TP_OK;
}

static tp_status forward(const tp_op_call *c)
{
    return tp_arg_reduce(TP_MAX, c->y, c->x[0], ((const struct attr *)c->attr)->axis);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    const struct attr *a = attr;
    (void)t, (void)n;
    return tp_argmax(x[0], a->axis, a->keepdim);
}

static const tp_sample samples[] = {
    {"rows", 1, {{TP_DIMS(3, 4)}}, &(const struct attr){-1, false}},
    {"the middle axis, kept", 1, {{TP_DIMS(2, 3, 4)}}, &(const struct attr){1, true}},
    {"ties", 1, {{TP_DIMS(3, 5), TP_FILL_MASK}}, &(const struct attr){1, false}},
    {"large", 1, {{TP_DIMS(4), .lo = -1e6, .hi = 1e6}}, &(const struct attr){0, false}},
    {"no maxima", 1, {{TP_DIMS(0, 3)}}, &(const struct attr){1, false}},
};

static const tp_refusal refusals[] = {
    {"of nothing",
     1,
     {{TP_DIMS(3, 0), TP_F32, 0}},
     &(const struct attr){1, false},
     TP_ESHAPE,
     "the maximum of nothing: axis 1 of [3,0] has no elements"},
    {"a scalar",
     1,
     {{TP_DIMS(), TP_F32, 0}},
     &(const struct attr){0, false},
     TP_ESHAPE,
     "axis 0 is out of range for 0 dimensions"},
    {"integers",
     1,
     {{TP_DIMS(2), TP_I64, 0}},
     &(const struct attr){0, false},
     TP_EDTYPE,
     "f32 or f64 needed"},
};

TP_DEFINE_OP(argmax, .arity = 1, .smooth = TP_NO_GRADIENT, .text = "argmax(#0, axis @axis)",
             .tex = "\\operatorname{arg\\,max}_{@axis}(#0)",
             .index = "y[…] = argmax_k #0[…,k@axis]",
             .why = "a position is a whole number: it jumps and does not move",
             .domain = "at least one axis, and one element along it", .shape = shape,
             .forward = forward, .call = call, TP_ATTR(struct attr), TP_REFUSALS);
