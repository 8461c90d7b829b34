/* exp: the exponential function, elementwise. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_exp(tp_var x)
{
    return tp_apply(&tp_op_exp, 1, &x, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map1(c->y, c->x[0], TP_K_exp);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_mul(c->gy, c->y);
}

TP_CALL1(tp_exp)

static const tp_sample samples[] = {
    {"matrix", 1, {{TP_DIMS(3, 4)}}, NULL},
    {"scalar", 1, {{TP_DIMS()}}, NULL},
    {"far into both tails", 1, {{TP_DIMS(5), .lo = -30, .hi = 30}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"integers", 1, {{TP_DIMS(2), TP_I64, 0}}, NULL, TP_EDTYPE, "f32 or f64 needed"},
};

TP_DEFINE_OP(exp, .arity = 1, .layout = TP_AS_INPUT, .smooth = TP_SMOOTH, .reads = TP_READS_Y,
             .text = "exp(#0)", .tex = "e^{#0}", .index = "y[…] = exp(#0[…])",
             .index_vjp = {"#0'[…] = y'[…]·y[…]"}, .jacobian = {TP_JACOBIAN_DIAGONAL},
             .why = "exp is its own derivative",
             .domain = "finite up to x = 88.72 in f32, 709.78 in f64", .shape = tp_shape_same,
             .forward = forward, .vjp = vjp, .call = call, TP_REFUSALS);
