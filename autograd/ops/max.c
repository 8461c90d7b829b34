/* max: the largest element over axes; NaN wins. The maximum of nothing does not exist. */
#include "autograd/attrs.h"
#include "autograd/compose.h"
#include "tensor/reduce.h"

tp_var tp_max(tp_var x, tp_axes axes, bool keepdim)
{
    return tp_apply(&tp_op_max, 1, &x, &(tp_reduce_attr){axes, keepdim});
}

static tp_status shape(const tp_op_call *c)
{
    char text[TP_SHAPE_TEXT];
    bool mask[TP_MAX_DIMS];
    tp_shape s = c->x[0]->shape;
    TP_TRY(tp_axes_mask(s, ((const tp_reduce_attr *)c->attr)->axes, mask));
    for (int i = 0; i < s.ndim; i++)
        if (mask[i] && s.dim[i] == 0)
            return tp_fail(TP_ESHAPE, "the maximum of nothing: axis %d of %s has no elements", i,
                           tp_shape_text(s, text));
    return tp_shape_reduce(c);
}

static tp_status forward(const tp_op_call *c)
{
    bool mask[TP_MAX_DIMS];
    TP_TRY(tp_axes_mask(c->x[0]->shape, ((const tp_reduce_attr *)c->attr)->axes, mask));
    return tp_reduce(TP_MAX, c->y, c->x[0], mask);
}

/* Which elements are the largest is a constant. Selects, so that an infinite gradient does not become NaN. */
static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_shape from = tp_shape_of(c->x[0]);
    tp_axes axes = ((const tp_reduce_attr *)c->attr)->axes;
    tp_var zero = tp_full(c->gy.tape, tp_dtype_of(c->gy), TP_SHAPE(), 0);
    tp_var largest = tp_greater_equal(c->x[0], tp_keep_axes(c->y, from, axes));
    tp_var share = tp_div(tp_keep_axes(c->gy, from, axes), tp_sum(largest, axes, true));
    gx[0] = tp_where(largest, share, zero);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    const tp_reduce_attr *a = attr;
    (void)t, (void)n;
    return tp_max(x[0], a->axes, a->keepdim);
}

static const tp_sample samples[] = {
    {"everything", 1, {{TP_DIMS(3, 4)}}, &(const tp_reduce_attr){{0, {0}}, false}},
    {"rows, kept", 1, {{TP_DIMS(3, 4)}}, &(const tp_reduce_attr){{1, {-1}}, true}},
    {"outer and inner axis",
     1,
     {{TP_DIMS(2, 3, 4), .lo = -1e6, .hi = 1e6}},
     &(const tp_reduce_attr){{2, {0, 2}}, false}},
    {"a scalar", 1, {{TP_DIMS()}}, &(const tp_reduce_attr){{0, {0}}, false}},
    {"no maxima", 1, {{TP_DIMS(0, 3)}}, &(const tp_reduce_attr){{1, {1}}, false}},
};

static const tp_refusal refusals[] = {
    {"of nothing",
     1,
     {{TP_DIMS(3, 0), TP_F32, 0}},
     &(const tp_reduce_attr){{1, {1}}, false},
     TP_ESHAPE,
     "the maximum of nothing: axis 1 of [3,0] has no elements"},
    {"of nothing at all",
     1,
     {{TP_DIMS(0, 3), TP_F64, 0}},
     &(const tp_reduce_attr){{0, {0}}, true},
     TP_ESHAPE,
     "the maximum of nothing: axis 0 of [0,3] has no elements"},
    {"an axis out of range",
     1,
     {{TP_DIMS(3, 4), TP_F32, 0}},
     &(const tp_reduce_attr){{1, {2}}, false},
     TP_ESHAPE,
     "axis 2 is out of range for 2 dimensions"},
    {"integers",
     1,
     {{TP_DIMS(2), TP_I64, 0}},
     &(const tp_reduce_attr){{0, {0}}, false},
     TP_EDTYPE,
     "f32 or f64 needed"},
};

TP_DEFINE_OP(
    max, .arity = 1, .smooth = TP_PIECEWISE, .reads = TP_READS(0) | TP_READS_Y,
    .text = "max[@axes] #0", .tex = "\\max\\nolimits_{@axes} #0",
    .index = "y[…] = max_K #0[…,K@axes]",
    .index_vjp = {"#0'[…,K@axes] = y'[…]·[#0[…,K@axes] = y[…]] / Σ_M [#0[…,M@axes] = y[…]]"},
    .jacobian = {TP_JACOBIAN_SELECTION},
    .why =
        "the largest element gets the gradient; at a kink, where several are largest, they share it "
        "equally",
    .domain = "at least one element per maximum", .shape = shape, .forward = forward, .vjp = vjp,
    .call = call, TP_REDUCE_ATTR, TP_REFUSALS);
