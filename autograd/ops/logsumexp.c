/* logsumexp: log Σ e^x over axes, shifted by the maximum so that nothing overflows. Of nothing, and of
 * −∞ alone, it is −∞ with gradient 0; a +∞ gives +∞, whose gradient is NaN. */
#include "autograd/attrs.h"
#include "autograd/compose.h"
#include "tensor/map.h"
#include "tensor/reduce.h"

#include <float.h>
#include <math.h>

tp_var tp_logsumexp(tp_var x, tp_axes axes, bool keepdim)
{
    return tp_apply(&tp_op_logsumexp, 1, &x, &(tp_reduce_attr){axes, keepdim});
}

/* y = m + log Σ e^(x − m) with the temporaries m, the maximum, and e */
static tp_status compute(const tp_op_call *c, tp_tensor *m, tp_tensor *e)
{
    tp_shape s = c->x[0]->shape;
    tp_dtype dtype = c->y->dtype;
    double limit = dtype == TP_F32 ? FLT_MAX : DBL_MAX;
    bool mask[TP_MAX_DIMS];
    tp_tensor y; /* with the reduced axes kept */
    TP_TRY(tp_axes_mask(s, ((const tp_reduce_attr *)c->attr)->axes, mask));
    TP_TRY(tp_view_reshape(c->y, tp_shape_reduced(s, mask, true), &y));
    TP_TRY(tp_scratch(c, m, dtype, y.shape));
    TP_TRY(tp_scratch(c, e, dtype, s));
    TP_TRY(tp_reduce(TP_MAX, m, c->x[0], mask));
    /* ±∞ − ±∞ would be NaN; with a finite m, 0 and ∞ come out right */
    TP_TRY(tp_map(TP_K_clamp, m, (const tp_tensor *[]){m}, (const double[]){-limit, limit}));
    TP_TRY(tp_map2(e, c->x[0], m, TP_K_exp_sub));
    TP_TRY(tp_reduce(TP_SUM, &y, e, mask));
    TP_TRY(tp_map1(&y, &y, TP_K_log));
    return tp_map2(&y, &y, m, TP_K_add);
}

static tp_status forward(const tp_op_call *c)
{
    tp_tensor m = {0}, e = {0};
    tp_status s = compute(c, &m, &e);
    tp_scratch_done(&m);
    tp_scratch_done(&e);
    return s;
}

/* softmax = e / Σ e with e = e^(x − y). Σ e would be 1 if y were not rounded, which at y = 1000 in f32
 * costs 3e-5; the division cancels that, and any other constant put for y: hence detach. */
static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_shape from = tp_shape_of(c->x[0]);
    tp_axes axes = ((const tp_reduce_attr *)c->attr)->axes;
    tp_var zero = tp_full(c->gy.tape, tp_dtype_of(c->gy), TP_SHAPE(), 0);
    tp_var y = tp_keep_axes(tp_detach(c->y), from, axes);
    /* 1 where y = −∞: there every e is 0, and is divided by 0 + 1 */
    tp_var none = tp_inside(y, -INFINITY, -INFINITY);
    tp_var e = tp_exp(tp_sub(c->x[0], tp_where(none, zero, y)));
    tp_var total = tp_add(tp_sum(e, axes, true), none);
    gx[0] = tp_mul(tp_keep_axes(c->gy, from, axes), tp_div(e, total));
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    const tp_reduce_attr *a = attr;
    (void)t, (void)n;
    return tp_logsumexp(x[0], a->axes, a->keepdim);
}

static const tp_sample samples[] = {
    {"everything", 1, {{TP_DIMS(3, 4)}}, &(const tp_reduce_attr){{0, {0}}, false}},
    {"rows, kept", 1, {{TP_DIMS(3, 4)}}, &(const tp_reduce_attr){{1, {-1}}, true}},
    {"outer and inner axis", 1, {{TP_DIMS(2, 3, 4)}}, &(const tp_reduce_attr){{2, {0, 2}}, false}},
    {"where e^x overflows",
     1,
     {{TP_DIMS(2, 3), .lo = 998, .hi = 1002}},
     &(const tp_reduce_attr){{1, {1}}, false}},
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

TP_DEFINE_OP(logsumexp, .arity = 1, .smooth = TP_SMOOTH, .reads = TP_READS(0) | TP_READS_Y,
             .text = "log Σ[@axes] exp(#0)", .tex = "\\log \\sum\\nolimits_{@axes} e^{#0}",
             .index = "y[…] = log(Σ_K exp(#0[…,K@axes]))",
             .index_vjp = {"#0'[…,K@axes] = y'[…]·exp(#0[…,K@axes] − y[…])"},
             .jacobian = {TP_JACOBIAN_LINES}, .why = "d log Σ e^x/dx = e^x / Σ e^x, the softmax",
             .shape = tp_shape_reduce, .forward = forward, .vjp = vjp, .call = call, TP_REDUCE_ATTR,
             TP_REFUSALS);
