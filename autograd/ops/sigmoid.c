/* sigmoid: 1 / (1 + e^−x), elementwise. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_sigmoid(tp_var x)
{
    return tp_apply(&tp_op_sigmoid, 1, &x, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map1(c->y, c->x[0], TP_K_sigmoid);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_mul(c->gy, tp_mul(c->y, tp_sigmoid(tp_neg(c->x[0]))));
}

TP_CALL1(tp_sigmoid)

static const tp_sample samples[] = {
    {"matrix", 1, {{TP_DIMS(3, 4)}}, NULL},
    {"scalar", 1, {{TP_DIMS()}}, NULL},
    {"into both tails", 1, {{TP_DIMS(5), .lo = -12, .hi = 12}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"integers", 1, {{TP_DIMS(2), TP_I64, 0}}, NULL, TP_EDTYPE, "f32 or f64 needed"},
};

TP_DEFINE_OP(sigmoid, .arity = 1, .layout = TP_AS_INPUT, .smooth = TP_SMOOTH,
             .reads = TP_READS(0) | TP_READS_Y, .text = "σ(#0)", .tex = "\\sigma(#0)",
             .index = "y[…] = 1 / (1 + exp(−#0[…]))",
             .index_vjp = {"#0'[…] = y'[…]·y[…]·(1 − y[…])"}, .jacobian = {TP_JACOBIAN_DIAGONAL},
             .why = "σ'(x) = σ(x)(1 − σ(x)), and 1 − σ(x) = σ(−x) does not cancel for large x",
             .shape = tp_shape_same, .forward = forward, .vjp = vjp, .call = call, TP_REFUSALS);
