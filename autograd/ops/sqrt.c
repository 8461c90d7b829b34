/* sqrt: the elementwise square root. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_sqrt(tp_var x)
{
    return tp_apply(&tp_op_sqrt, 1, &x, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map1(c->y, c->x[0], TP_K_sqrt);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_div(c->gy, tp_scale(c->y, 2));
}

TP_CALL1(tp_sqrt)

static const tp_sample samples[] = {
    {"matrix", 1, {{TP_DIMS(3, 4), TP_FILL_POSITIVE}}, NULL},
    {"scalar", 1, {{TP_DIMS(), TP_FILL_POSITIVE}}, NULL},
    {"near 0 and far", 1, {{TP_DIMS(5), TP_FILL_POSITIVE, 1e-2, 1e4}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 3), TP_FILL_POSITIVE}}, NULL},
};

static const tp_refusal refusals[] = {
    {"integers", 1, {{TP_DIMS(2), TP_I64, 0}}, NULL, TP_EDTYPE, "f32 or f64 needed"},
};

TP_DEFINE_OP(sqrt, .arity = 1, .layout = TP_AS_INPUT, .smooth = TP_SMOOTH, .reads = TP_READS_Y,
             .text = "√#0", .tex = "\\sqrt{#0}", .index = "y[…] = sqrt(#0[…])",
             .index_vjp = {"#0'[…] = y'[…] / (2·y[…])"}, .jacobian = {TP_JACOBIAN_DIAGONAL},
             .why = "d √x/dx = 1/(2√x), which is infinite at 0", .domain = "x ≥ 0; below, NaN",
             .shape = tp_shape_same, .forward = forward, .vjp = vjp, .call = call, TP_REFUSALS);
