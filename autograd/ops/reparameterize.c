/* reparameterize: z = μ + σ ⊙ ε with σ = e^{logvar/2}. Not e^{logvar}, which is σ². The draw ε comes in as an
 * input, so that gradients reach μ and logvar. */
#include "autograd/compose.h"
#include "tensor/map.h"

tp_var tp_reparameterize(tp_var mu, tp_var logvar, tp_var eps)
{
    return tp_apply(&tp_op_reparameterize, 3, (tp_var[]){mu, logvar, eps}, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map3(c->y, c->x[0], c->x[1], c->x[2], TP_K_reparameterize);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    if (c->want[0])
        gx[0] = c->gy;
    if (!c->want[1] && !c->want[2])
        return;
    tp_var g = tp_mul(c->gy, tp_exp(tp_scale(c->x[1], 0.5))); /* gy ⊙ σ */
    if (c->want[1])
        gx[1] = tp_mul(g, tp_scale(c->x[2], 0.5)); /* the ½ comes from the exponent */
    if (c->want[2])
        gx[2] = g;
}

static tp_status vjp_fused(const tp_fused_call *c)
{
    if (c->want[0])
        TP_TRY(tp_map1(&c->gx[0], c->gy, TP_K_copy));
    if (c->want[1])
        TP_TRY(tp_map3(&c->gx[1], c->x[1], c->x[2], c->gy, TP_K_reparameterize_vjp));
    if (c->want[2]) { /* 0 + σ ⊙ gy */
        TP_TRY(tp_fill(&c->gx[2], 0));
        TP_TRY(tp_map3(&c->gx[2], &c->gx[2], c->x[1], c->gy, TP_K_reparameterize));
    }
    return TP_OK;
}

TP_CALL3(tp_reparameterize)

static const tp_sample samples[] = {
    {"a batch", 3, {{TP_DIMS(4, 3)}, {TP_DIMS(4, 3)}, {TP_DIMS(4, 3)}}, NULL},
    {"noise as data", 3, {{TP_DIMS(2, 3)}, {TP_DIMS(2, 3)}, {TP_DIMS(2, 3), .fixed = true}}, NULL},
    {"samples of a batch", 3, {{TP_DIMS(2, 3, 2)}, {TP_DIMS(2, 3, 2)}, {TP_DIMS(2, 3, 2)}}, NULL},
    {"collapsed and wide posteriors",
     3,
     {{TP_DIMS(6)}, {TP_DIMS(6), .lo = -30, .hi = 20}, {TP_DIMS(6), .lo = -6, .hi = 6}},
     NULL},
    {"scalars", 3, {{TP_DIMS()}, {TP_DIMS()}, {TP_DIMS()}}, NULL},
    {"no elements", 3, {{TP_DIMS(0, 2)}, {TP_DIMS(0, 2)}, {TP_DIMS(0, 2)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"a logvar shared by the batch",
     3,
     {{TP_DIMS(4, 3), TP_F32, 0}, {TP_DIMS(3), TP_F32, 0}, {TP_DIMS(4, 3), TP_F32, 0}},
     NULL,
     TP_ESHAPE,
     "shapes [4,3] and [3] differ: this operation does not broadcast"},
    {"mixed types",
     3,
     {{TP_DIMS(2), TP_F32, 0}, {TP_DIMS(2), TP_F32, 0}, {TP_DIMS(2), TP_F64, 0}},
     NULL,
     TP_EDTYPE,
     "f32 and f64"},
};

TP_DEFINE_OP(reparameterize, .arity = 3, .smooth = TP_SMOOTH, .reads = TP_READS(1) | TP_READS(2),
             .text = "#0 + exp(½ #1) ⊙ #2", .tex = "#0 + e^{\\frac12 #1} \\odot #2", .prec = 2,
             .index = "y[…] = #0[…] + exp(#1[…] / 2)·#2[…]",
             .index_vjp = {"#0'[…] = y'[…]", "#1'[…] = y'[…]·exp(#1[…] / 2)·#2[…] / 2",
                           "#2'[…] = y'[…]·exp(#1[…] / 2)"},
             .jacobian = {TP_JACOBIAN_DIAGONAL, TP_JACOBIAN_DIAGONAL, TP_JACOBIAN_DIAGONAL},
             .why =
                 "the noise is an input, so z moves with μ by 1 and with logvar by ½σε: the ½ of "
                 "σ = e^{logvar/2} (Kingma and Welling 2014)",
             .domain = "e^{logvar/2} is finite up to logvar = 177.4 in f32, 1419.5 in f64",
             .shape = tp_shape_equal_all, .forward = forward, .vjp = vjp, .vjp_fused = vjp_fused,
             .call = call, TP_REFUSALS);
