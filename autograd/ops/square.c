/* square: the elementwise square. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_square(tp_var x)
{
    return tp_apply(&tp_op_square, 1, &x, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map1(c->y, c->x[0], TP_K_square);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_mul(c->gy, tp_scale(c->x[0], 2));
}

TP_CALL1(tp_square)

static const tp_sample samples[] = {
    {"matrix", 1, {{TP_DIMS(3, 4)}}, NULL},
    {"scalar", 1, {{TP_DIMS()}}, NULL},
    {"large", 1, {{TP_DIMS(5), .lo = -1e6, .hi = 1e6}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"integers", 1, {{TP_DIMS(2), TP_I64, 0}}, NULL, TP_EDTYPE, "f32 or f64 needed"},
};

TP_DEFINE_OP(square, .arity = 1, .layout = TP_AS_INPUT, .smooth = TP_SMOOTH, .reads = TP_READS(0),
             .text = "#0²", .tex = "{#0}^2", .index = "y[…] = #0[…]²",
             .index_vjp = {"#0'[…] = 2·#0[…]·y'[…]"}, .jacobian = {TP_JACOBIAN_DIAGONAL},
             .why = "d x²/dx = 2x", .shape = tp_shape_same, .forward = forward, .vjp = vjp,
             .call = call, TP_REFUSALS);
