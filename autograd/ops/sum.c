/* sum: adds the elements along axes. The adjoint of expand. */
#include "autograd/attrs.h"
#include "autograd/compose.h"
#include "tensor/reduce.h"

tp_var tp_sum(tp_var x, tp_axes axes, bool keepdim)
{
    return tp_apply(&tp_op_sum, 1, &x, &(tp_reduce_attr){axes, keepdim});
}

static tp_status forward(const tp_op_call *c)
{
    bool mask[TP_MAX_DIMS];
    TP_TRY(tp_axes_mask(c->x[0]->shape, ((const tp_reduce_attr *)c->attr)->axes, mask));
    return tp_reduce(TP_SUM, c->y, c->x[0], mask);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_shape from = tp_shape_of(c->x[0]);
    gx[0] = tp_expand(tp_keep_axes(c->gy, from, ((const tp_reduce_attr *)c->attr)->axes), from);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    const tp_reduce_attr *a = attr;
    (void)t, (void)n;
    return tp_sum(x[0], a->axes, a->keepdim);
}

static const tp_sample samples[] = {
    {"everything", 1, {{TP_DIMS(3, 4)}}, &(const tp_reduce_attr){{0, {0}}, false}},
    {"rows, kept", 1, {{TP_DIMS(3, 4)}}, &(const tp_reduce_attr){{1, {-1}}, true}},
    {"columns", 1, {{TP_DIMS(3, 4)}}, &(const tp_reduce_attr){{1, {0}}, false}},
    {"outer and inner axis", 1, {{TP_DIMS(2, 3, 4)}}, &(const tp_reduce_attr){{2, {0, 2}}, false}},
    {"an empty axis", 1, {{TP_DIMS(3, 0)}}, &(const tp_reduce_attr){{1, {1}}, false}},
    {"a scalar", 1, {{TP_DIMS()}}, &(const tp_reduce_attr){{0, {0}}, false}},
};

static const tp_refusal refusals[] = {
    {"an axis out of range",
     1,
     {{TP_DIMS(3, 4), TP_F32, 0}},
     &(const tp_reduce_attr){{1, {2}}, false},
     TP_ESHAPE,
     "axis 2 is out of range for 2 dimensions"},
    {"an axis twice",
     1,
     {{TP_DIMS(3, 4), TP_F32, 0}},
     &(const tp_reduce_attr){{2, {1, -1}}, false},
     TP_ESHAPE,
     "axis -1 is named twice"},
};

TP_DEFINE_OP(sum, .arity = 1, .smooth = TP_SMOOTH, .text = "Σ[@axes] #0",
             .tex = "\\sum\\nolimits_{@axes} #0", .index = "y[…] = Σ_K #0[…,K@axes]",
             .index_vjp = {"#0'[…,K@axes] = y'[…]"}, .jacobian = {TP_JACOBIAN_SUM},
             .why = "every element enters its sum with weight 1, so each gets the sum's gradient",
             .shape = tp_shape_reduce, .forward = forward, .vjp = vjp, .call = call, TP_REDUCE_ATTR,
             TP_REFUSALS);
