/* mean: the average over axes. The mean of nothing is NaN, as 0/0. */
#include "autograd/attrs.h"
#include "autograd/compose.h"
#include "tensor/map.h"
#include "tensor/reduce.h"

tp_var tp_mean(tp_var x, tp_axes axes, bool keepdim)
{
    return tp_apply(&tp_op_mean, 1, &x, &(tp_reduce_attr){axes, keepdim});
}

/* How many elements one mean is taken over; marks the axes. */
static double count(tp_shape s, tp_axes axes, bool mask[TP_MAX_DIMS])
{
    double n = 1;
    if (tp_axes_mask(s, axes, mask) == TP_OK)
        for (int i = 0; i < s.ndim; i++)
            n *= mask[i] ? (double)s.dim[i] : 1;
    return n;
}

static tp_status forward(const tp_op_call *c)
{
    /* dividing by n keeps the mean of equal elements exact, multiplying by 1/n does not */
    tp_tensor n;
    bool mask[TP_MAX_DIMS];
    TP_TRY(tp_scratch(c, &n, c->y->dtype, TP_SHAPE()));
    tp_status s = tp_fill(&n, count(c->x[0]->shape, ((const tp_reduce_attr *)c->attr)->axes, mask));
    if (s == TP_OK)
        s = tp_reduce(TP_SUM, c->y, c->x[0], mask);
    if (s == TP_OK)
        s = tp_map2(c->y, c->y, &n, TP_K_div);
    tp_scratch_done(&n);
    return s;
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_shape from = tp_shape_of(c->x[0]);
    tp_axes axes = ((const tp_reduce_attr *)c->attr)->axes;
    bool mask[TP_MAX_DIMS];
    tp_var g = tp_scale(c->gy, 1 / count(from, axes, mask));
    gx[0] = tp_expand(tp_keep_axes(g, from, axes), from);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    const tp_reduce_attr *a = attr;
    (void)t, (void)n;
    return tp_mean(x[0], a->axes, a->keepdim);
}

static const tp_sample samples[] = {
    {"everything", 1, {{TP_DIMS(3, 4)}}, &(const tp_reduce_attr){{0, {0}}, false}},
    {"rows, kept", 1, {{TP_DIMS(3, 4)}}, &(const tp_reduce_attr){{1, {-1}}, true}},
    {"outer and inner axis",
     1,
     {{TP_DIMS(2, 3, 4), .lo = -1e6, .hi = 1e6}},
     &(const tp_reduce_attr){{2, {0, 2}}, false}},
    {"no elements", 1, {{TP_DIMS(3, 0)}}, &(const tp_reduce_attr){{1, {0}}, false}},
    {"a scalar", 1, {{TP_DIMS()}}, &(const tp_reduce_attr){{0, {0}}, false}},
};

static const tp_refusal refusals[] = {
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
    mean, .arity = 1, .smooth = TP_SMOOTH, .text = "mean[@axes] #0",
    .tex = "\\operatorname{mean}_{@axes} #0", .index = "y[…] = Σ_K #0[…,K@axes] / |K|",
    .index_vjp = {"#0'[…,K@axes] = y'[…] / |K|"}, .jacobian = {TP_JACOBIAN_SUM},
    .why = "every element enters its mean with weight 1/n, so each gets 1/n of the mean's gradient",
    .domain = "at least one element per mean; the mean of nothing is NaN", .shape = tp_shape_reduce,
    .forward = forward, .vjp = vjp, .call = call, TP_REDUCE_ATTR, TP_REFUSALS);
