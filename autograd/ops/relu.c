/* relu: max(x, 0), elementwise. NaN stays NaN. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_relu(tp_var x)
{
    return tp_apply(&tp_op_relu, 1, &x, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map1(c->y, c->x[0], TP_K_relu);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_var zero = tp_full(c->gy.tape, tp_dtype_of(c->gy), TP_SHAPE(), 0);
    gx[0] = tp_where(tp_greater(c->y, zero), c->gy, zero);
}

static tp_status vjp_fused(const tp_fused_call *c)
{
    return tp_map2(&c->gx[0], c->gy, c->y, TP_K_relu_vjp);
}

TP_CALL1(tp_relu)

static const tp_sample samples[] = {
    {"matrix", 1, {{TP_DIMS(3, 4)}}, NULL},
    {"scalar", 1, {{TP_DIMS()}}, NULL},
    {"large", 1, {{TP_DIMS(5), .lo = -1e6, .hi = 1e6}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"integers", 1, {{TP_DIMS(2), TP_I64, 0}}, NULL, TP_EDTYPE, "f32 or f64 needed"},
};

TP_DEFINE_OP(relu, .arity = 1, .layout = TP_AS_INPUT, .smooth = TP_PIECEWISE, .reads = TP_READS_Y,
             .text = "relu(#0)", .tex = "\\operatorname{relu}(#0)", .index = "y[…] = max(#0[…], 0)",
             .index_vjp = {"#0'[…] = [y[…] > 0]·y'[…]"}, .jacobian = {TP_JACOBIAN_DIAGONAL},
             .why = "1 where y > 0, else 0; at the kink x = 0 the gradient is 0",
             .shape = tp_shape_same, .forward = forward, .vjp = vjp, .vjp_fused = vjp_fused,
             .fused_over_gy = true, .call = call, TP_REFUSALS);
