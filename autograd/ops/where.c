/* where: a where mask is not 0, else b. It selects: nothing leaks from the branch not taken, not even
 * NaN, in values or in gradients. The mask gets no gradient. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_where(tp_var mask, tp_var a, tp_var b)
{
    return tp_apply(&tp_op_where, 3, (tp_var[]){mask, a, b}, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map3(c->y, c->x[0], c->x[1], c->x[2], TP_K_where);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_var zero = tp_full(c->gy.tape, tp_dtype_of(c->gy), TP_SHAPE(), 0);
    if (c->want[1])
        gx[1] = tp_where(c->x[0], c->gy, zero);
    if (c->want[2])
        gx[2] = tp_where(c->x[0], zero, c->gy);
}

TP_CALL3(tp_where)

static const tp_sample samples[] = {
    {"equal shapes", 3, {{TP_DIMS(3, 4), TP_FILL_MASK}, {TP_DIMS(3, 4)}, {TP_DIMS(3, 4)}}, NULL},
    {"a row by a column",
     3,
     {{TP_DIMS(3, 1), TP_FILL_MASK}, {TP_DIMS(1, 4)}, {TP_DIMS(3, 4)}},
     NULL},
    {"else a scalar",
     3,
     {{TP_DIMS(5), TP_FILL_MASK}, {TP_DIMS(5), .lo = -1e6, .hi = 1e6}, {TP_DIMS()}},
     NULL},
    {"the mask smallest", 3, {{TP_DIMS(), TP_FILL_MASK}, {TP_DIMS(2, 3)}, {TP_DIMS(3)}}, NULL},
    {"no elements", 3, {{TP_DIMS(3), TP_FILL_MASK}, {TP_DIMS(0, 3)}, {TP_DIMS(3)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"shapes that clash",
     3,
     {{TP_DIMS(4, 3), TP_F32, 1}, {TP_DIMS(4, 3), TP_F32, 0}, {TP_DIMS(4), TP_F32, 0}},
     NULL,
     TP_ESHAPE,
     "shapes [4,3] and [4] do not broadcast"},
    {"a mask of integers",
     3,
     {{TP_DIMS(2), TP_I64, 1}, {TP_DIMS(2), TP_F32, 0}, {TP_DIMS(2), TP_F32, 0}},
     NULL,
     TP_EDTYPE,
     "input 0 is i64: f32 or f64 needed"},
};

TP_DEFINE_OP(where, .arity = 3, .layout = TP_AS_INPUT, .smooth = TP_SMOOTH, .reads = TP_READS(0),
             .broadcasts = true, .text = "where(#0, #1, #2)",
             .tex = "\\begin{cases} #1 & #0 \\ne 0 \\\\ #2 & \\text{else} \\end{cases}",
             .index = "y[…] = [#0[…] ≠ 0]·#1[…] + [#0[…] = 0]·#2[…]",
             .index_vjp = {NULL, "#1'[…] = [#0[…] ≠ 0]·y'[…]", "#2'[…] = [#0[…] = 0]·y'[…]"},
             .jacobian = {TP_JACOBIAN_NONE, TP_JACOBIAN_DIAGONAL, TP_JACOBIAN_DIAGONAL},
             .why = "each element of ȳ goes to the branch that was taken",
             .shape = tp_shape_broadcast_all, .forward = forward, .vjp = vjp, .call = call,
             TP_REFUSALS);
