/* softplus: log(1 + e^x), without overflow. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_softplus(tp_var x)
{
    return tp_apply(&tp_op_softplus, 1, &x, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map1(c->y, c->x[0], TP_K_softplus);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_mul(c->gy, tp_sigmoid(c->x[0]));
}

TP_CALL1(tp_softplus)

static const tp_sample samples[] = {
    {"matrix", 1, {{TP_DIMS(3, 4)}}, NULL},
    {"scalar", 1, {{TP_DIMS()}}, NULL},
    {"far into both tails", 1, {{TP_DIMS(5), .lo = -30, .hi = 30}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"integers", 1, {{TP_DIMS(2), TP_I64, 0}}, NULL, TP_EDTYPE, "f32 or f64 needed"},
};

TP_DEFINE_OP(softplus, .arity = 1, .layout = TP_AS_INPUT, .smooth = TP_SMOOTH, .reads = TP_READS(0),
             .text = "softplus(#0)", .tex = "\\log(1 + e^{#0})",
             .index = "y[…] = log(1 + exp(#0[…]))",
             .index_vjp = {"#0'[…] = y'[…] / (1 + exp(−#0[…]))"},
             .jacobian = {TP_JACOBIAN_DIAGONAL}, .why = "e^x / (1 + e^x) is the sigmoid",
             .shape = tp_shape_same, .forward = forward, .vjp = vjp, .call = call, TP_REFUSALS);
