/* log_softmax: x − log Σ e^x along one axis, shifted by the maximum so that nothing overflows. A slice
 * with a +∞, or of −∞ alone, has no softmax: NaN. */
#include "autograd/compose.h"
#include "tensor/map.h"
#include "tensor/reduce.h"

struct attr {
    int axis;
};
static const tp_field fields[] = {TP_FIELD(struct attr, axis, INT)};

tp_var tp_log_softmax(tp_var x, int axis)
{
    return tp_apply(&tp_op_log_softmax, 1, &x, &(struct attr){axis});
}

static tp_status shape(const tp_op_call *c)
{
    int axis;
    TP_TRY(tp_axis_normal(c->x[0]->shape.ndim, ((const struct attr *)c->attr)->axis, &axis));
    return tp_shape_same(c);
}

/* y = (x − m) − log Σ e^(x − m) with m, the maximum, and z, the logarithm; y holds the exponentials first */
static tp_status compute(const tp_op_call *c, tp_tensor *m, tp_tensor *z)
{
    tp_shape s = c->x[0]->shape;
    bool mask[TP_MAX_DIMS];
    TP_TRY(tp_axes_mask(s, TP_AXES(((const struct attr *)c->attr)->axis), mask));
    TP_TRY(tp_scratch(c, m, c->y->dtype, tp_shape_reduced(s, mask, true)));
    TP_TRY(tp_scratch(c, z, c->y->dtype, m->shape));
    TP_TRY(tp_reduce(TP_MAX, m, c->x[0], mask));
    TP_TRY(tp_map2(c->y, c->x[0], m, TP_K_exp_sub));
    TP_TRY(tp_reduce(TP_SUM, z, c->y, mask));
    TP_TRY(tp_map1(z, z, TP_K_log));
    return tp_map3(c->y, c->x[0], m, z, TP_K_sub_sub);
}

static tp_status forward(const tp_op_call *c)
{
    tp_tensor m = {0}, z = {0};
    tp_status s = compute(c, &m, &z);
    tp_scratch_done(&m);
    tp_scratch_done(&z);
    return s;
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    int axis = ((const struct attr *)c->attr)->axis;
    gx[0] = tp_sub(c->gy, tp_mul(tp_exp(c->y), tp_sum(c->gy, TP_AXES(axis), true)));
}

static tp_status vjp_fused(const tp_fused_call *c)
{
    tp_shape s = c->y->shape;
    bool mask[TP_MAX_DIMS];
    tp_tensor total;
    TP_TRY(tp_axes_mask(s, TP_AXES(((const struct attr *)c->attr)->axis), mask));
    TP_TRY(tp_scratch(&(tp_op_call){.scratch = c->scratch}, &total, c->y->dtype,
                      tp_shape_reduced(s, mask, true)));
    tp_status status = tp_reduce(TP_SUM, &total, c->gy, mask);
    if (status == TP_OK)
        status = tp_map3(&c->gx[0], c->gy, c->y, &total, TP_K_log_softmax_vjp);
    tp_scratch_done(&total);
    return status;
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n;
    return tp_log_softmax(x[0], ((const struct attr *)attr)->axis);
}

static const tp_sample samples[] = {
    {"rows", 1, {{TP_DIMS(3, 4)}}, &(const struct attr){-1}},
    {"the middle axis", 1, {{TP_DIMS(2, 3, 4)}}, &(const struct attr){1}},
    {"where e^x overflows", 1, {{TP_DIMS(2, 3), .lo = 998, .hi = 1002}}, &(const struct attr){1}},
    {"along an axis of 1", 1, {{TP_DIMS(3, 1)}}, &(const struct attr){1}},
    {"no elements", 1, {{TP_DIMS(3, 0)}}, &(const struct attr){1}},
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

TP_DEFINE_OP(log_softmax, .arity = 1, .smooth = TP_SMOOTH, .reads = TP_READS_Y,
             .text = "log_softmax(#0, axis @axis)",
             .tex = "\\log \\operatorname{softmax}_{@axis}(#0)",
             .index = "y[…,i@axis] = #0[…,i@axis] − log(Σ_k exp(#0[…,k@axis]))",
             .index_vjp = {"#0'[…,i@axis] = y'[…,i@axis] − exp(y[…,i@axis])·Σ_k y'[…,k@axis]"},
             .jacobian = {TP_JACOBIAN_LINES},
             .why = "y = x − log Σ e^x: ȳ, less the softmax e^y times the sum of ȳ along the axis",
             .shape = shape, .forward = forward, .vjp = vjp, .vjp_fused = vjp_fused, .call = call,
             TP_ATTR(struct attr), TP_REFUSALS);
