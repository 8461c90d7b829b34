/* sin: the elementwise sine of an angle in radians. Of ±∞ it is NaN. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_sin(tp_var x)
{
    return tp_apply(&tp_op_sin, 1, &x, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map1(c->y, c->x[0], TP_K_sin);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_mul(c->gy, tp_cos(c->x[0]));
}

TP_CALL1(tp_sin)

static const tp_sample samples[] = {
    {"matrix", 1, {{TP_DIMS(3, 4)}}, NULL},
    {"scalar", 1, {{TP_DIMS()}}, NULL},
    {"many turns", 1, {{TP_DIMS(5), .lo = -1e3, .hi = 1e3}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"integers", 1, {{TP_DIMS(2), TP_I64, 0}}, NULL, TP_EDTYPE, "f32 or f64 needed"},
};

TP_DEFINE_OP(sin, .arity = 1, .layout = TP_AS_INPUT, .smooth = TP_SMOOTH, .reads = TP_READS(0),
             .text = "sin(#0)", .tex = "\\sin(#0)", .index = "y[…] = sin(#0[…])",
             .index_vjp = {"#0'[…] = y'[…]·cos(#0[…])"}, .jacobian = {TP_JACOBIAN_DIAGONAL},
             .why = "the derivative of the sine is the cosine", .domain = "finite x",
             .shape = tp_shape_same, .forward = forward, .vjp = vjp, .call = call, TP_REFUSALS);
