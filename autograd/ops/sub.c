/* sub: the elementwise difference. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_sub(tp_var a, tp_var b)
{
    return tp_apply(&tp_op_sub, 2, (tp_var[]){a, b}, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map2(c->y, c->x[0], c->x[1], TP_K_sub);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = c->gy;
    if (c->want[1])
        gx[1] = tp_neg(c->gy);
}

TP_CALL2(tp_sub)

static const tp_sample samples[] = {
    {"equal shapes", 2, {{TP_DIMS(3, 4)}, {TP_DIMS(3, 4)}}, NULL},
    {"a column against a row", 2, {{TP_DIMS(3, 1)}, {TP_DIMS(1, 4)}}, NULL},
    {"a scalar", 2, {{TP_DIMS()}, {TP_DIMS(2, 3)}}, NULL},
    {"far apart in size",
     2,
     {{TP_DIMS(3, 2), .lo = -1e6, .hi = 1e6}, {TP_DIMS(2), .lo = -1e-3, .hi = 1e-3}},
     NULL},
    {"no elements", 2, {{TP_DIMS(0, 3)}, {TP_DIMS(3)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"shapes that clash",
     2,
     {{TP_DIMS(4, 3), TP_F32, 0}, {TP_DIMS(4), TP_F32, 0}},
     NULL,
     TP_ESHAPE,
     "shapes [4,3] and [4] do not broadcast\n  axis -1: 3 against 4"},
    {"mixed types",
     2,
     {{TP_DIMS(2), TP_F32, 0}, {TP_DIMS(2), TP_F64, 0}},
     NULL,
     TP_EDTYPE,
     "f32 and f64"},
};

TP_DEFINE_OP(sub, .arity = 2, .layout = TP_AS_INPUT, .smooth = TP_SMOOTH, .broadcasts = true,
             .text = "#0 − #1", .tex = "#0 - #1", .prec = 2, .index = "y[…] = #0[…] − #1[…]",
             .index_vjp = {"#0'[…] = y'[…]", "#1'[…] = −y'[…]"},
             .jacobian = {TP_JACOBIAN_DIAGONAL, TP_JACOBIAN_DIAGONAL},
             .why = "the sum rule: the derivatives are 1 and −1", .shape = tp_shape_broadcast_all,
             .forward = forward, .vjp = vjp, .call = call, TP_REFUSALS);
