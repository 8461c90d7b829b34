/* erf: the error function 2/√π ∫₀ˣ e^(−t²) dt, elementwise. The normal distribution function is
 * (1 + erf(x/√2))/2; for its lower tail see erfc. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_erf(tp_var x)
{
    return tp_apply(&tp_op_erf, 1, &x, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map1(c->y, c->x[0], TP_K_erf);
}

/* gy · 2/√π · e^(−x²) */
static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_var bell = tp_exp(tp_neg(tp_square(c->x[0])));
    gx[0] = tp_mul(c->gy, tp_scale(bell, 1.1283791670955126));
}

TP_CALL1(tp_erf)

static const tp_sample samples[] = {
    {"matrix", 1, {{TP_DIMS(3, 4)}}, NULL},
    {"scalar", 1, {{TP_DIMS()}}, NULL},
    {"both tails", 1, {{TP_DIMS(2, 5), .lo = -5, .hi = 5}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"integers", 1, {{TP_DIMS(2), TP_I64, 0}}, NULL, TP_EDTYPE, "f32 or f64 needed"},
};

TP_DEFINE_OP(
    erf, .arity = 1, .layout = TP_AS_INPUT, .smooth = TP_SMOOTH, .reads = TP_READS(0),
    .text = "erf(#0)", .tex = "\\operatorname{erf}(#0)", .index = "y[…] = erf(#0[…])",
    .index_vjp = {"#0'[…] = y'[…]·2·exp(−#0[…]²) / sqrt(π)"}, .jacobian = {TP_JACOBIAN_DIAGONAL},
    .why = "the derivative of an integral by its upper bound is the integrand, 2/√π·e^(−x²)",
    .shape = tp_shape_same, .forward = forward, .vjp = vjp, .call = call, TP_REFUSALS);
