/* maximum: the larger of two, elementwise. NaN in either gives NaN. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_maximum(tp_var a, tp_var b)
{
    return tp_apply(&tp_op_maximum, 2, (tp_var[]){a, b}, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map2(c->y, c->x[0], c->x[1], TP_K_maximum);
}

/* Selects instead of multiplying by 0 or 1, so that an infinite gradient does not become NaN. */
static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_var zero = tp_full(c->gy.tape, tp_dtype_of(c->gy), TP_SHAPE(), 0);
    tp_var a_wins = tp_greater(c->x[0], c->x[1]), b_wins = tp_greater(c->x[1], c->x[0]);
    tp_var half = tp_scale(c->gy, 0.5);
    if (c->want[0])
        gx[0] = tp_where(b_wins, zero, tp_where(a_wins, c->gy, half));
    if (c->want[1])
        gx[1] = tp_where(a_wins, zero, tp_where(b_wins, c->gy, half));
}

TP_CALL2(tp_maximum)

static const tp_sample samples[] = {
    {"equal shapes", 2, {{TP_DIMS(3, 4)}, {TP_DIMS(3, 4)}}, NULL},
    {"a row against a column", 2, {{TP_DIMS(1, 4)}, {TP_DIMS(3, 1)}}, NULL},
    {"a scalar", 2, {{TP_DIMS()}, {TP_DIMS(2, 3)}}, NULL},
    {"large",
     2,
     {{TP_DIMS(2, 3), .lo = -1e6, .hi = 1e6}, {TP_DIMS(3), .lo = -1e6, .hi = 1e6}},
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

TP_DEFINE_OP(maximum, .arity = 2, .layout = TP_AS_INPUT, .smooth = TP_PIECEWISE,
             .reads = TP_READS(0) | TP_READS(1), .broadcasts = true, .text = "max(#0, #1)",
             .tex = "\\max(#0, #1)", .index = "y[…] = max(#0[…], #1[…])",
             .index_vjp = {"#0'[…] = y'[…]·([#0[…] > #1[…]] + [#0[…] = #1[…]] / 2)",
                           "#1'[…] = y'[…]·([#1[…] > #0[…]] + [#0[…] = #1[…]] / 2)"},
             .jacobian = {TP_JACOBIAN_DIAGONAL, TP_JACOBIAN_DIAGONAL},
             .why = "the larger input gets the gradient; at the kink a = b each gets half",
             .shape = tp_shape_broadcast_all, .forward = forward, .vjp = vjp, .call = call,
             TP_REFUSALS);
