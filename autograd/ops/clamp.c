/* clamp: min(max(x, lo), hi), elementwise. NaN stays NaN. */
#include "autograd/attrs.h"
#include "autograd/compose.h"
#include "tensor/map.h"

#include <math.h>

tp_var tp_clamp(tp_var x, double lo, double hi)
{
    return tp_apply(&tp_op_clamp, 1, &x, &(tp_range_attr){lo, hi});
}

static tp_status forward(const tp_op_call *c)
{
    const tp_range_attr *a = c->attr;
    return tp_map(TP_K_clamp, c->y, c->x, (const double[]){a->lo, a->hi});
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    const tp_range_attr *a = c->attr;
    tp_var zero = tp_full(c->gy.tape, tp_dtype_of(c->gy), TP_SHAPE(), 0);
    gx[0] = tp_where(tp_inside(c->x[0], a->lo, a->hi), c->gy, zero);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    const tp_range_attr *a = attr;
    (void)t, (void)n;
    return tp_clamp(x[0], a->lo, a->hi);
}

static const tp_sample samples[] = {
    {"matrix", 1, {{TP_DIMS(3, 4)}}, &(const tp_range_attr){-1, 0.5}},
    {"scalar", 1, {{TP_DIMS()}}, &(const tp_range_attr){-10, 10}},
    {"bounded above only",
     1,
     {{TP_DIMS(5), .lo = -1e6, .hi = 1e6}},
     &(const tp_range_attr){-INFINITY, 1}},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, &(const tp_range_attr){-1, 1}},
};

static const tp_refusal refusals[] = {
    {"bounds in the wrong order",
     1,
     {{TP_DIMS(2), TP_F32, 0}},
     &(const tp_range_attr){1, -1},
     TP_EARG,
     "bounds 1 and -1: lo <= hi needed"},
    {"a bound that is NaN",
     1,
     {{TP_DIMS(2), TP_F32, 0}},
     &(const tp_range_attr){-1, NAN},
     TP_EARG,
     "lo <= hi needed"},
};

TP_DEFINE_OP(clamp, .arity = 1, .layout = TP_AS_INPUT, .smooth = TP_PIECEWISE, .reads = TP_READS(0),
             .text = "clamp(#0, @lo, @hi)", .tex = "\\operatorname{clamp}(#0; @lo, @hi)",
             .index = "y[…] = min(max(#0[…], @lo), @hi)",
             .index_vjp = {"#0'[…] = [@lo ≤ #0[…] ≤ @hi]·y'[…]"},
             .jacobian = {TP_JACOBIAN_DIAGONAL},
             .why = "1 where lo <= x <= hi, which includes the kinks x = lo and x = hi; else 0",
             .shape = tp_shape_range, .forward = forward, .vjp = vjp, .call = call, TP_RANGE_ATTR,
             TP_REFUSALS);
