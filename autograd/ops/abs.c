/* abs: the elementwise absolute value. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_abs(tp_var x)
{
    return tp_apply(&tp_op_abs, 1, &x, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map1(c->y, c->x[0], TP_K_abs);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_var zero = tp_full(c->gy.tape, tp_dtype_of(c->gy), TP_SHAPE(), 0);
    tp_var negative = tp_greater(zero, c->x[0]), positive = tp_greater(c->x[0], zero);
    gx[0] = tp_where(positive, c->gy, tp_where(negative, tp_neg(c->gy), zero));
}

TP_CALL1(tp_abs)

static const tp_sample samples[] = {
    {"matrix", 1, {{TP_DIMS(3, 4)}}, NULL},
    {"scalar", 1, {{TP_DIMS()}}, NULL},
    {"large", 1, {{TP_DIMS(5), .lo = -1e6, .hi = 1e6}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"integers", 1, {{TP_DIMS(2), TP_I64, 0}}, NULL, TP_EDTYPE, "f32 or f64 needed"},
};

TP_DEFINE_OP(abs, .arity = 1, .layout = TP_AS_INPUT, .smooth = TP_PIECEWISE, .reads = TP_READS(0),
             .text = "|#0|", .tex = "\\lvert #0 \\rvert", .index = "y[…] = abs(#0[…])",
             .index_vjp = {"#0'[…] = y'[…]·([#0[…] > 0] − [#0[…] < 0])"},
             .jacobian = {TP_JACOBIAN_DIAGONAL},
             .why = "the sign of x; at the kink x = 0 the gradient is 0", .shape = tp_shape_same,
             .forward = forward, .vjp = vjp, .call = call, TP_REFUSALS);
