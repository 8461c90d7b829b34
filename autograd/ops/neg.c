/* neg: the elementwise negative. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_neg(tp_var x)
{
    return tp_apply(&tp_op_neg, 1, &x, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map1(c->y, c->x[0], TP_K_neg);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_neg(c->gy);
}

TP_CALL1(tp_neg)

static const tp_sample samples[] = {
    {"matrix", 1, {{TP_DIMS(3, 4)}}, NULL},
    {"scalar", 1, {{TP_DIMS()}}, NULL},
    {"large", 1, {{TP_DIMS(5), .lo = -1e6, .hi = 1e6}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"integers", 1, {{TP_DIMS(2), TP_I64, 0}}, NULL, TP_EDTYPE, "f32 or f64 needed"},
};

TP_DEFINE_OP(neg, .arity = 1, .layout = TP_AS_INPUT, .smooth = TP_SMOOTH, .text = "−#0",
             .tex = "-#0", .prec = 1, .index = "y[…] = −#0[…]", .index_vjp = {"#0'[…] = −y'[…]"},
             .jacobian = {TP_JACOBIAN_DIAGONAL}, .why = "the derivative is −1",
             .shape = tp_shape_same, .forward = forward, .vjp = vjp, .call = call, TP_REFUSALS);
