/* div: the elementwise quotient. Division by 0 follows IEEE 754. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_div(tp_var a, tp_var b)
{
    return tp_apply(&tp_op_div, 2, (tp_var[]){a, b}, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map2(c->y, c->x[0], c->x[1], TP_K_div);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_var g = tp_div(c->gy, c->x[1]);
    gx[0] = g;
    if (c->want[1])
        gx[1] = tp_neg(tp_mul(g, c->y));
}

TP_CALL2(tp_div)

static const tp_sample samples[] = {
    {"equal shapes", 2, {{TP_DIMS(3, 4)}, {TP_DIMS(3, 4), TP_FILL_POSITIVE}}, NULL},
    {"a row by a column", 2, {{TP_DIMS(1, 4)}, {TP_DIMS(3, 1), .lo = -3, .hi = -0.3}}, NULL},
    {"a scalar", 2, {{TP_DIMS()}, {TP_DIMS(2, 3), TP_FILL_POSITIVE}}, NULL},
    {"by small and by large",
     2,
     {{TP_DIMS(2, 3), .lo = -1e3, .hi = 1e3}, {TP_DIMS(2, 3), .lo = 1e-2, .hi = 1e3}},
     NULL},
    {"no elements", 2, {{TP_DIMS(0, 3)}, {TP_DIMS(3), TP_FILL_POSITIVE}}, NULL},
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

TP_DEFINE_OP(div, .arity = 2, .layout = TP_AS_INPUT, .smooth = TP_SMOOTH,
             .reads = TP_READS(1) | TP_READS_Y, .broadcasts = true, .text = "#0 / #1",
             .tex = "\\frac{#0}{#1}", .prec = 1, .index = "y[…] = #0[…] / #1[…]",
             .index_vjp = {"#0'[…] = y'[…] / #1[…]", "#1'[…] = −y'[…]·y[…] / #1[…]"},
             .jacobian = {TP_JACOBIAN_DIAGONAL, TP_JACOBIAN_DIAGONAL},
             .why = "the quotient rule: 1/b for a, and −a/b² = −y/b for b", .domain = "b ≠ 0",
             .shape = tp_shape_broadcast_all, .forward = forward, .vjp = vjp, .call = call,
             TP_REFUSALS);
