/* cumsum: the running sum along one axis. */
#include "autograd/compose.h"
#include "tensor/cumsum.h"

struct attr {
    int axis;
};
static const tp_field fields[] = {TP_FIELD(struct attr, axis, INT)};

tp_var tp_cumsum(tp_var x, int axis)
{
    return tp_apply(&tp_op_cumsum, 1, &x, &(struct attr){axis});
}

static tp_status shape(const tp_op_call *c)
{
    int axis;
    TP_TRY(tp_axis_normal(c->x[0]->shape.ndim, ((const struct attr *)c->attr)->axis, &axis));
    return tp_shape_same(c);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_cumsum_into(c->y, c->x[0], ((const struct attr *)c->attr)->axis);
}

static tp_var backward(tp_var x, int axis)
{
    return tp_slice(x, axis, -1, TP_SLICE_END, -1);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    int axis = ((const struct attr *)c->attr)->axis;
    gx[0] = backward(tp_cumsum(backward(c->gy, axis), axis), axis);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n;
    return tp_cumsum(x[0], ((const struct attr *)attr)->axis);
}

static const tp_sample samples[] = {
    {"rows", 1, {{TP_DIMS(3, 4)}}, &(const struct attr){-1}},
    {"columns", 1, {{TP_DIMS(4, 3)}}, &(const struct attr){0}},
    {"the middle axis", 1, {{TP_DIMS(2, 3, 4), .lo = -1e6, .hi = 1e6}}, &(const struct attr){1}},
    {"a vector", 1, {{TP_DIMS(6)}}, &(const struct attr){0}},
    {"along an axis of 1", 1, {{TP_DIMS(3, 1)}}, &(const struct attr){1}},
    {"an empty axis", 1, {{TP_DIMS(3, 0)}}, &(const struct attr){1}},
};

static const tp_refusal refusals[] = {
    {"a scalar",
     1,
     {{TP_DIMS(), TP_F32, 0}},
     &(const struct attr){0},
     TP_ESHAPE,
     "axis 0 is out of range for 0 dimensions"},
    {"integers",
     1,
     {{TP_DIMS(2), TP_I64, 0}},
     &(const struct attr){0},
     TP_EDTYPE,
     "f32 or f64 needed"},
};

TP_DEFINE_OP(
    cumsum, .arity = 1, .smooth = TP_SMOOTH, .text = "cumsum(#0, axis @axis)",
    .tex = "\\operatorname{cumsum}_{@axis}(#0)", .index = "y[…,i@axis] = Σ_{k≤i} #0[…,k@axis]",
    .index_vjp = {"#0'[…,k@axis] = Σ_{i≥k} y'[…,i@axis]"}, .jacobian = {TP_JACOBIAN_LINES},
    .why = "an element enters every sum from its own on: the running sum of ȳ from the end",
    .domain = "at least one axis", .shape = shape, .forward = forward, .vjp = vjp, .call = call,
    TP_ATTR(struct attr), TP_REFUSALS);
