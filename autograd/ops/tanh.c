/* tanh: the hyperbolic tangent, elementwise. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_tanh(tp_var x)
{
    return tp_apply(&tp_op_tanh, 1, &x, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map1(c->y, c->x[0], TP_K_tanh);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_var z = tp_scale(c->x[0], 2);
    gx[0] = tp_mul(c->gy, tp_scale(tp_mul(tp_sigmoid(z), tp_sigmoid(tp_neg(z))), 4));
}

TP_CALL1(tp_tanh)

static const tp_sample samples[] = {
    {"matrix", 1, {{TP_DIMS(3, 4)}}, NULL},
    {"scalar", 1, {{TP_DIMS()}}, NULL},
    {"into both tails", 1, {{TP_DIMS(5), .lo = -6, .hi = 6}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"integers", 1, {{TP_DIMS(2), TP_I64, 0}}, NULL, TP_EDTYPE, "f32 or f64 needed"},
};

TP_DEFINE_OP(tanh, .arity = 1, .layout = TP_AS_INPUT, .smooth = TP_SMOOTH, .reads = TP_READS(0),
             .text = "tanh(#0)", .tex = "\\tanh(#0)", .index = "y[…] = tanh(#0[…])",
             .index_vjp = {"#0'[…] = y'[…]·(1 − y[…]²)"}, .jacobian = {TP_JACOBIAN_DIAGONAL},
             .why = "1 − tanh²(x), as 4σ(2x)σ(−2x), which does not cancel for large |x|",
             .shape = tp_shape_same, .forward = forward, .vjp = vjp, .call = call, TP_REFUSALS);
