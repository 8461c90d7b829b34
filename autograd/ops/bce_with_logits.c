/* bce_with_logits: −log Bernoulli(t; σ(x)) = softplus(x) − t·x per element in nats. A loss for grey values t in
 * [0,1] as well as bits. The target is data and gets no gradient. */
#include "autograd/compose.h"
#include "tensor/gather.h"
#include "tensor/map.h"
#include "tensor/scan.h"

#include <math.h>

tp_var tp_bce_with_logits(tp_var logits, tp_var target)
{
    return tp_apply(&tp_op_bce_with_logits, 2, (tp_var[]){logits, target}, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    const tp_tensor *t = c->x[1];
    int64_t bad = tp_first_outside(t, 0, 1);
    char at[TP_SHAPE_TEXT];
    if (bad >= 0)
        return tp_fail(TP_EVALUE, "target %g at %s outside [0,1]", tp_flat(t, bad),
                       tp_index_text(t->shape, bad, at));
    return tp_map2(c->y, c->x[0], t, TP_K_bce);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_var x = c->x[0], t = c->x[1];
    if (!c->want[0])
        return;
    tp_var up = tp_mul(tp_affine(t, -1, 1), tp_sigmoid(x)); /* (1 − t)·σ(x) */
    tp_var down = tp_mul(t, tp_sigmoid(tp_neg(x)));         /* t·σ(−x) */
    gx[0] = tp_mul(c->gy, tp_sub(up, down));
}

static tp_status vjp_fused(const tp_fused_call *c)
{
    if (c->want[1])
        tp_scratch_done(&c->gx[1]); /* nothing to contribute */
    return !c->want[0] ? TP_OK : tp_map3(&c->gx[0], c->x[0], c->x[1], c->gy, TP_K_bce_vjp);
}

TP_CALL2(tp_bce_with_logits)

static const tp_sample samples[] = {
    {"grey values", 2, {{TP_DIMS(4, 3)}, {TP_DIMS(4, 3), TP_FILL_UNIT, .fixed = true}}, NULL},
    {"bits", 2, {{TP_DIMS(2, 3, 2)}, {TP_DIMS(2, 3, 2), TP_FILL_MASK, .fixed = true}}, NULL},
    {"sure of themselves",
     2,
     {{TP_DIMS(8), .lo = -30, .hi = 30}, {TP_DIMS(8), TP_FILL_MASK, .fixed = true}},
     NULL},
    {"a scalar", 2, {{TP_DIMS()}, {TP_DIMS(), TP_FILL_UNIT, .fixed = true}}, NULL},
    {"no elements", 2, {{TP_DIMS(0, 3)}, {TP_DIMS(0, 3), TP_FILL_UNIT, .fixed = true}}, NULL},
};

static const tp_refusal refusals[] = {
    {"a target above 1",
     2,
     {{TP_DIMS(2, 3), TP_F32, 0}, {TP_DIMS(2, 3), TP_F32, 1.5}},
     NULL,
     TP_EVALUE,
     "target 1.5 at [0,0] outside [0,1]"},
    {"a negative target",
     2,
     {{TP_DIMS(2), TP_F64, 0}, {TP_DIMS(2), TP_F64, -1}},
     NULL,
     TP_EVALUE,
     "target -1 at [0] outside [0,1]"},
    {"a target that is no number",
     2,
     {{TP_DIMS(2), TP_F32, 0}, {TP_DIMS(2), TP_F32, NAN}},
     NULL,
     TP_EVALUE,
     "at [0] outside [0,1]"},
    {"shapes that differ",
     2,
     {{TP_DIMS(4, 3), TP_F32, 0}, {TP_DIMS(3), TP_F32, 0}},
     NULL,
     TP_ESHAPE,
     "shapes [4,3] and [3] differ: this operation does not broadcast"},
};

TP_DEFINE_OP(
    bce_with_logits, .arity = 2, .smooth = TP_SMOOTH, .reads = TP_READS(0) | TP_READS(1),
    .text = "softplus(#0) − #1 ⊙ #0", .tex = "\\log\\left(1 + e^{#0}\\right) - #1 \\odot #0",
    .prec = 2, .index = "y[…] = log(1 + exp(#0[…])) − #1[…]·#0[…]",
    .index_vjp = {"#0'[…] = y'[…]·(1 / (1 + exp(−#0[…])) − #1[…])"},
    .jacobian = {TP_JACOBIAN_DIAGONAL},
    .why = "σ(x) − t, written (1 − t)σ(x) − tσ(−x) so that it does not cancel when σ(x) is "
           "close to t; the target is data and gets no gradient",
    .domain = "target in [0,1]", .shape = tp_shape_equal_all, .forward = forward, .vjp = vjp,
    .vjp_fused = vjp_fused, .call = call, TP_REFUSALS);
