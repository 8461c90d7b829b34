/* slice: elements start, start+step, … before stop along one axis; a view. The adjoint of pad. */
#include "autograd/compose.h"

struct attr {
    int axis;
    int64_t start, stop, step;
};
static const tp_field fields[] = {
    TP_FIELD(struct attr, axis, INT), TP_FIELD(struct attr, start, I64),
    TP_FIELD(struct attr, stop, I64), TP_FIELD(struct attr, step, I64)};

tp_var tp_slice(tp_var x, int axis, int64_t start, int64_t stop, int64_t step)
{
    return tp_apply(&tp_op_slice, 1, &x, &(struct attr){axis, start, stop, step});
}

static tp_status view(const tp_op_call *c)
{
    const struct attr *a = c->attr;
    return tp_view_slice(c->x[0], a->axis, a->start, a->stop, a->step, c->y);
}

static tp_status shape(const tp_op_call *c)
{
    tp_tensor y;
    const struct attr *a = c->attr;
    TP_TRY(tp_view_slice(c->x[0], a->axis, a->start, a->stop, a->step, &y));
    c->y->shape = y.shape;
    return TP_OK;
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    const struct attr *a = c->attr;
    tp_shape from = tp_shape_of(c->x[0]);
    int axis = 0;
    tp_axis_normal(from.ndim, a->axis, &axis);
    int64_t n = from.dim[axis], start = a->start < 0 ? a->start + n : a->start;
    if (a->step < 0 && start > n - 1) /* where the slice really began, as Python clips it */
        start = n - 1;
    gx[0] = tp_pad(c->gy, axis, start < 0 ? 0 : start > n ? n : start, a->step, n);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    const struct attr *a = attr;
    (void)t, (void)n;
    return tp_slice(x[0], a->axis, a->start, a->stop, a->step);
}

static const tp_sample samples[] = {
    {"the middle", 1, {{TP_DIMS(5, 3)}}, &(const struct attr){0, 1, 4, 1}},
    {"every second", 1, {{TP_DIMS(3, 7)}}, &(const struct attr){-1, 1, TP_SLICE_END, 2}},
    {"backward by two", 1, {{TP_DIMS(6)}}, &(const struct attr){0, -1, TP_SLICE_END, -2}},
    {"start beyond the end, backward", 1, {{TP_DIMS(4)}}, &(const struct attr){0, 9, 0, -1}},
    {"of no rows", 1, {{TP_DIMS(0, 4)}}, &(const struct attr){1, 1, 3, 1}},
    {"nothing", 1, {{TP_DIMS(4, 2)}}, &(const struct attr){0, 3, 1, 1}},
};

static const tp_refusal refusals[] = {
    {"step 0",
     1,
     {{TP_DIMS(4), TP_F32, 0}},
     &(const struct attr){0, 0, 4, 0},
     TP_ESHAPE,
     "a slice of axis 0 has step 0"},
    {"no such axis",
     1,
     {{TP_DIMS(4), TP_F32, 0}},
     &(const struct attr){1, 0, 4, 1},
     TP_ESHAPE,
     "axis 1 is out of range for 1 dimension"},
};

TP_DEFINE_OP(slice, .arity = 1, .smooth = TP_SMOOTH, .mixed_dtypes = true,
             .text = "#0[@start:@stop:@step, axis @axis]", .tex = "#0_{[@start:@stop:@step]}",
             .index = "y[…,i@axis] = #0[…,(@start + @step·i)@axis]",
             .index_vjp = {"#0'[…,k@axis] = Σ_i [k = @start + @step·i]·y'[…,i@axis]"},
             .jacobian = {TP_JACOBIAN_SELECTION},
             .why = "elements that were not taken do not matter: pad the gradient with zeros",
             .shape = shape, .view = view, .vjp = vjp, .call = call, TP_ATTR(struct attr),
             TP_REFUSALS);
