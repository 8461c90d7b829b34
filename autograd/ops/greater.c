/* greater: 1 where a > b, else 0 (also where either is NaN). */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_greater(tp_var a, tp_var b)
{
    return tp_apply(&tp_op_greater, 2, (tp_var[]){a, b}, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map2(c->y, c->x[0], c->x[1], TP_K_gt);
}

TP_CALL2(tp_greater)

static const tp_sample samples[] = {
    {"equal shapes", 2, {{TP_DIMS(3, 4)}, {TP_DIMS(3, 4)}}, NULL},
    {"a row against a column", 2, {{TP_DIMS(1, 4)}, {TP_DIMS(3, 1)}}, NULL},
    {"ties", 2, {{TP_DIMS(2, 3), TP_FILL_MASK}, {TP_DIMS(2, 3), TP_FILL_MASK}}, NULL},
    {"a scalar", 2, {{TP_DIMS()}, {TP_DIMS(2, 3), .lo = -1e6, .hi = 1e6}}, NULL},
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

TP_DEFINE_OP(greater, .arity = 2, .layout = TP_AS_INPUT, .smooth = TP_NO_GRADIENT,
             .broadcasts = true, .text = "[#0 > #1]", .tex = "[#0 > #1]",
             .index = "y[…] = [#0[…] > #1[…]]",
             .why = "constant on both sides of the step at a = b", .shape = tp_shape_broadcast_all,
             .forward = forward, .call = call, TP_REFUSALS);
