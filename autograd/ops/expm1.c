/* expm1: e^x − 1, accurate near 0. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_expm1(tp_var x)
{
    return tp_apply(&tp_op_expm1, 1, &x, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map1(c->y, c->x[0], TP_K_expm1);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_mul(c->gy, tp_exp(c->x[0])); /* y + 1 would cancel for very negative x */
}

TP_CALL1(tp_expm1)

static const tp_sample samples[] = {
    {"matrix", 1, {{TP_DIMS(3, 4)}}, NULL},
    {"scalar", 1, {{TP_DIMS()}}, NULL},
    {"near 0", 1, {{TP_DIMS(5), .lo = -1e-6, .hi = 1e-6}}, NULL},
    {"into both tails", 1, {{TP_DIMS(5), .lo = -12, .hi = 20}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"integers", 1, {{TP_DIMS(2), TP_I64, 0}}, NULL, TP_EDTYPE, "f32 or f64 needed"},
};

TP_DEFINE_OP(expm1, .arity = 1, .layout = TP_AS_INPUT, .smooth = TP_SMOOTH, .reads = TP_READS(0),
             .text = "expm1(#0)", .tex = "(e^{#0} - 1)", .index = "y[…] = exp(#0[…]) − 1",
             .index_vjp = {"#0'[…] = y'[…]·exp(#0[…])"}, .jacobian = {TP_JACOBIAN_DIAGONAL},
             .why = "the constant −1 does not matter: the derivative is e^x",
             .domain = "finite up to x = 88.72 in f32, 709.78 in f64", .shape = tp_shape_same,
             .forward = forward, .vjp = vjp, .call = call, TP_REFUSALS);
