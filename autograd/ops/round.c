/* round: to the nearest whole number, halves to the even one, elementwise. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_round(tp_var x)
{
    return tp_apply(&tp_op_round, 1, &x, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map1(c->y, c->x[0], TP_K_round);
}

TP_CALL1(tp_round)

static const tp_sample samples[] = {
    {"matrix", 1, {{TP_DIMS(3, 4)}}, NULL},
    {"scalar", 1, {{TP_DIMS()}}, NULL},
    {"large", 1, {{TP_DIMS(5), .lo = -1e6, .hi = 1e6}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"integers", 1, {{TP_DIMS(2), TP_I64, 0}}, NULL, TP_EDTYPE, "f32 or f64 needed"},
};

TP_DEFINE_OP(
    round, .arity = 1, .layout = TP_AS_INPUT, .smooth = TP_NO_GRADIENT, .text = "round(#0)",
    .tex = "\\operatorname{round}(#0)", .index = "y[…] = round(#0[…])",
    .why = "constant between the jumps, which lie at halves: straight_through gives it a gradient",
    .shape = tp_shape_same, .forward = forward, .call = call, TP_REFUSALS);
