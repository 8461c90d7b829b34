/* gaussian_kl: KL(N(μ, e^v) ‖ N(0, 1)) = ½(μ² + e^v − 1 − v) per element in nats, v = logvar. Computed so that it
 * stays exact near v = 0, where the textbook form cancels to nothing. */
#include "autograd/compose.h"
#include "tensor/gather.h"
#include "tensor/map.h"
#include "tensor/scan.h"

#include <float.h>
#include <math.h>

tp_var tp_gaussian_kl(tp_var mu, tp_var logvar)
{
    return tp_apply(&tp_op_gaussian_kl, 2, (tp_var[]){mu, logvar}, NULL);
}

/* Finite inputs must not give infinity; inputs that were not finite themselves pass. */
static tp_status check_overflow(const tp_op_call *c)
{
    const tp_tensor *mu = c->x[0], *logvar = c->x[1];
    const char *type = tp_dtype_name(c->y->dtype);
    char at[TP_SHAPE_TEXT];
    bool suspect = !tp_all_finite(c->y);
    for (int64_t i = 0; suspect && i < tp_numel(c->y); i++) {
        double m = tp_flat(mu, i), v = tp_flat(logvar, i);
        if (!isinf(tp_flat(c->y, i)) || !isfinite(m) || !isfinite(v))
            continue;
        tp_index_text(c->y->shape, i, at);
        if (v > log(c->y->dtype == TP_F32 ? FLT_MAX : DBL_MAX))
            return tp_fail(TP_EVALUE, "logvar reaches %g: e^logvar overflows %s, at %s", v, type,
                           at);
        return tp_fail(TP_EVALUE, "mu reaches %g: its square overflows %s, at %s", m, type, at);
    }
    return TP_OK;
}

static tp_status forward(const tp_op_call *c)
{
    TP_TRY(tp_map2(c->y, c->x[0], c->x[1], TP_K_gaussian_kl));
    return check_overflow(c);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    if (c->want[0])
        gx[0] = tp_mul(c->gy, c->x[0]);
    if (c->want[1])
        gx[1] = tp_mul(c->gy, tp_scale(tp_expm1(c->x[1]), 0.5));
}

static tp_status vjp_fused(const tp_fused_call *c)
{
    if (c->want[0])
        TP_TRY(tp_map2(&c->gx[0], c->gy, c->x[0], TP_K_mul));
    if (c->want[1])
        TP_TRY(tp_map2(&c->gx[1], c->x[1], c->gy, TP_K_gaussian_kl_vjp));
    return TP_OK;
}

TP_CALL2(tp_gaussian_kl)

static const tp_sample samples[] = {
    {"a batch", 2, {{TP_DIMS(4, 3)}, {TP_DIMS(4, 3)}}, NULL},
    {"near collapse",
     2,
     {{TP_DIMS(5), .lo = -1e-3, .hi = 1e-3}, {TP_DIMS(5), .lo = -1e-3, .hi = 1e-3}},
     NULL},
    {"from sharp to wide",
     2,
     {{TP_DIMS(2, 3, 2), .lo = -20, .hi = 20}, {TP_DIMS(2, 3, 2), .lo = -40, .hi = 10}},
     NULL},
    {"scalars", 2, {{TP_DIMS()}, {TP_DIMS()}}, NULL},
    {"no elements", 2, {{TP_DIMS(0, 3)}, {TP_DIMS(0, 3)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"overflow in f32",
     2,
     {{TP_DIMS(2, 2), TP_F32, 0}, {TP_DIMS(2, 2), TP_F32, 90}},
     NULL,
     TP_EVALUE,
     "logvar reaches 90: e^logvar overflows f32, at [0,0]"},
    {"overflow in f64",
     2,
     {{TP_DIMS(2), TP_F64, 0}, {TP_DIMS(2), TP_F64, 720}},
     NULL,
     TP_EVALUE,
     "logvar reaches 720: e^logvar overflows f64"},
    {"a mean too large",
     2,
     {{TP_DIMS(2), TP_F32, 1e20}, {TP_DIMS(2), TP_F32, 0}},
     NULL,
     TP_EVALUE,
     "mu reaches 1e+20: its square overflows f32"},
    {"shapes that differ",
     2,
     {{TP_DIMS(4, 3), TP_F32, 0}, {TP_DIMS(3), TP_F32, 0}},
     NULL,
     TP_ESHAPE,
     "shapes [4,3] and [3] differ: this operation does not broadcast"},
};

TP_DEFINE_OP(gaussian_kl, .arity = 2, .smooth = TP_SMOOTH, .reads = TP_READS(0) | TP_READS(1),
             .text = "½(#0² + expm1(#1) − #1)",
             .tex = "\\tfrac12\\left({#0}^2 + e^{#1} - 1 - #1\\right)", .prec = 1,
             .index = "y[…] = (#0[…]² + exp(#1[…]) − 1 − #1[…]) / 2",
             .index_vjp = {"#0'[…] = y'[…]·#0[…]", "#1'[…] = y'[…]·(exp(#1[…]) − 1) / 2"},
             .jacobian = {TP_JACOBIAN_DIAGONAL, TP_JACOBIAN_DIAGONAL},
             .why = "the means pull with μ, the variances with ½(e^v − 1): both are 0 at the prior",
             .domain = "e^logvar and mu² do not overflow", .shape = tp_shape_equal_all,
             .forward = forward, .vjp = vjp, .vjp_fused = vjp_fused, .call = call, TP_REFUSALS);
