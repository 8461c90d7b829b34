/* log1p: log(1 + x), accurate near 0. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_log1p(tp_var x)
{
    return tp_apply(&tp_op_log1p, 1, &x, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map1(c->y, c->x[0], TP_K_log1p);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_div(c->gy, tp_shift(c->x[0], 1));
}

TP_CALL1(tp_log1p)

static const tp_sample samples[] = {
    {"matrix", 1, {{TP_DIMS(3, 4), TP_FILL_POSITIVE}}, NULL},
    {"scalar", 1, {{TP_DIMS(), TP_FILL_POSITIVE}}, NULL},
    {"near 0", 1, {{TP_DIMS(5), .lo = -1e-6, .hi = 1e-6}}, NULL},
    {"near −1 and far", 1, {{TP_DIMS(5), .lo = -0.99, .hi = 1e3}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"integers", 1, {{TP_DIMS(2), TP_I64, 0}}, NULL, TP_EDTYPE, "f32 or f64 needed"},
};

TP_DEFINE_OP(log1p, .arity = 1, .layout = TP_AS_INPUT, .smooth = TP_SMOOTH, .reads = TP_READS(0),
             .text = "log1p(#0)", .tex = "\\log(1 + #0)", .index = "y[…] = log(1 + #0[…])",
             .index_vjp = {"#0'[…] = y'[…] / (1 + #0[…])"}, .jacobian = {TP_JACOBIAN_DIAGONAL},
             .why = "d log(1 + x)/dx = 1/(1 + x)", .domain = "x > −1; at −1 it is −∞, below NaN",
             .shape = tp_shape_same, .forward = forward, .vjp = vjp, .call = call, TP_REFUSALS);
