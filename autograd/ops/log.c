/* log: the natural logarithm, elementwise. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_log(tp_var x)
{
    return tp_apply(&tp_op_log, 1, &x, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map1(c->y, c->x[0], TP_K_log);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_div(c->gy, c->x[0]);
}

TP_CALL1(tp_log)

static const tp_sample samples[] = {
    {"matrix", 1, {{TP_DIMS(3, 4), TP_FILL_POSITIVE}}, NULL},
    {"scalar", 1, {{TP_DIMS(), TP_FILL_POSITIVE}}, NULL},
    {"near 0 and far", 1, {{TP_DIMS(5), TP_FILL_POSITIVE, 1e-2, 1e4}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 3), TP_FILL_POSITIVE}}, NULL},
};

static const tp_refusal refusals[] = {
    {"integers", 1, {{TP_DIMS(2), TP_I64, 0}}, NULL, TP_EDTYPE, "f32 or f64 needed"},
};

TP_DEFINE_OP(log, .arity = 1, .layout = TP_AS_INPUT, .smooth = TP_SMOOTH, .reads = TP_READS(0),
             .text = "log(#0)", .tex = "\\log(#0)", .index = "y[…] = log(#0[…])",
             .index_vjp = {"#0'[…] = y'[…] / #0[…]"}, .jacobian = {TP_JACOBIAN_DIAGONAL},
             .why = "d log x/dx = 1/x", .domain = "x > 0; log 0 = −∞, below NaN",
             .shape = tp_shape_same, .forward = forward, .vjp = vjp, .call = call, TP_REFUSALS);
