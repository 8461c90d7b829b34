/* straight_through: the value of hard, the gradient of soft: the straight-through estimator (Bengio, Léonard
 * and Courville 2013), by which rounded or sampled values are trained through what they came from. A view of
 * hard. */
#include "autograd/compose.h"

tp_var tp_straight_through(tp_var hard, tp_var soft)
{
    return tp_apply(&tp_op_straight_through, 2, (tp_var[]){hard, soft}, NULL);
}

static tp_status view(const tp_op_call *c)
{
    *c->y = *c->x[0];
    return TP_OK;
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[1] = c->gy;
}

static tp_var surrogate(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n, (void)attr;
    return x[1];
}

TP_CALL2(tp_straight_through)

static const tp_sample samples[] = {
    {"matrices", 2, {{TP_DIMS(3, 4)}, {TP_DIMS(3, 4)}}, NULL},
    {"a mask for a probability",
     2,
     {{TP_DIMS(2, 3), TP_FILL_MASK}, {TP_DIMS(2, 3), .lo = 0.1, .hi = 0.9}},
     NULL},
    {"scalars", 2, {{TP_DIMS()}, {TP_DIMS()}}, NULL},
    {"far apart", 2, {{TP_DIMS(5), .lo = -1e6, .hi = 1e6}, {TP_DIMS(5)}}, NULL},
    {"no elements", 2, {{TP_DIMS(0, 3)}, {TP_DIMS(0, 3)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"shapes that would broadcast",
     2,
     {{TP_DIMS(4, 3), TP_F32, 0}, {TP_DIMS(3), TP_F32, 0}},
     NULL,
     TP_ESHAPE,
     "shapes [4,3] and [3] differ: this operation does not broadcast"},
    {"mixed types",
     2,
     {{TP_DIMS(2), TP_F32, 0}, {TP_DIMS(2), TP_F64, 0}},
     NULL,
     TP_EDTYPE,
     "f32 and f64"},
};

TP_DEFINE_OP(
    straight_through, .arity = 2, .smooth = TP_ESTIMATOR, .text = "straight_through(#0, #1)",
    .tex = "\\operatorname{st}(#0, #1)", .index = "y[…] = #0[…]",
    .index_vjp = {NULL, "#1'[…] = y'[…]"}, .jacobian = {TP_JACOBIAN_NONE, TP_JACOBIAN_DIAGONAL},
    .why = "an estimator: as if the value were that of soft, so soft gets ȳ and hard nothing",
    .shape = tp_shape_equal_all, .view = view, .vjp = vjp, .surrogate = surrogate, .call = call,
    TP_REFUSALS);
