/* linear_relu: y = max(0, x·Wᵀ + b) over the last axis. The product applies relu to each tile before it
 * leaves the registers, so the values before the activation are never in memory; y has the bits that
 * relu(linear(x, W, b)) has. Everything but the mask is linear.c. */
#include "autograd/compose.h"
#include "autograd/ops/linear.h"
#include "tensor/map.h"

tp_var tp_linear_relu(tp_var x, tp_var weight, tp_var bias)
{
    return tp_apply(&tp_op_linear_relu, 3, (tp_var[]){x, weight, bias}, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_linear_forward(c, true);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_vjp_call linear = *c;
    tp_var zero = tp_full(c->gy.tape, tp_dtype_of(c->gy), TP_SHAPE(), 0);
    linear.gy = tp_where(tp_greater(c->y, zero), c->gy, zero);
    tp_linear_vjp(&linear, gx);
}

/* The masked gradient is a copy: gy may belong to others, and no input need have its shape. */
static tp_status vjp_fused(const tp_fused_call *c)
{
    tp_tensor masked;
    tp_fused_call linear = *c;
    linear.gy = &masked;
    TP_TRY(tp_scratch(&(tp_op_call){.scratch = c->scratch}, &masked, c->y->dtype, c->y->shape));
    tp_status s = tp_map2(&masked, c->gy, c->y, TP_K_relu_vjp);
    if (s == TP_OK)
        s = tp_linear_vjp_fused(&linear);
    tp_scratch_done(&masked);
    return s;
}

TP_CALL3(tp_linear_relu)

static const tp_sample samples[] = {
    {"a batch", 3, {{TP_DIMS(5, 3)}, {TP_DIMS(4, 3)}, {TP_DIMS(4)}}, NULL},
    {"one vector", 3, {{TP_DIMS(3)}, {TP_DIMS(4, 3)}, {TP_DIMS(4)}}, NULL},
    {"samples of batches", 3, {{TP_DIMS(2, 3, 4)}, {TP_DIMS(2, 4)}, {TP_DIMS(2)}}, NULL},
    {"large", 3, {{TP_DIMS(2, 3), .lo = -1e6, .hi = 1e6}, {TP_DIMS(3, 3)}, {TP_DIMS(3)}}, NULL},
    {"nothing passes",
     3,
     {{TP_DIMS(2, 3)}, {TP_DIMS(2, 3)}, {TP_DIMS(2), .lo = -20, .hi = -15}},
     NULL},
    {"an empty batch", 3, {{TP_DIMS(0, 3)}, {TP_DIMS(2, 3)}, {TP_DIMS(2)}}, NULL},
    {"no inputs: the bias alone", 3, {{TP_DIMS(2, 0)}, {TP_DIMS(3, 0)}, {TP_DIMS(3)}}, NULL},
    {"square, so that a lost transpose shows",
     3,
     {{TP_DIMS(3, 3)}, {TP_DIMS(3, 3)}, {TP_DIMS(3)}},
     NULL},
};

static const tp_refusal refusals[] = {
    {"a weight that is not transposed as PyTorch's",
     3,
     {{TP_DIMS(5, 3), TP_F32, 0}, {TP_DIMS(3, 4), TP_F32, 0}, {TP_DIMS(4), TP_F32, 0}},
     NULL,
     TP_ESHAPE,
     "x [5,3], weight [3,4] and bias [4] do not fit: [..,in], [out,in] and [out] needed"},
    {"integers",
     3,
     {{TP_DIMS(2, 3), TP_I64, 0}, {TP_DIMS(4, 3), TP_I64, 0}, {TP_DIMS(4), TP_I64, 0}},
     NULL,
     TP_EDTYPE,
     "f32 or f64 needed"},
};

TP_DEFINE_OP(
    linear_relu, .arity = 3, .smooth = TP_PIECEWISE,
    .reads = TP_READS(0) | TP_READS(1) | TP_READS_Y, .text = "relu(#0·#1ᵀ + #2)",
    .tex = "\\operatorname{relu}(#0 {#1}^\\top + #2)",
    .index = "y[…,j] = max(Σ_k #0[…,k]·#1[j,k] + #2[j], 0)",
    .index_vjp = {"#0'[…,k] = Σ_j [y[…,j] > 0]·y'[…,j]·#1[j,k]",
                  "#1'[j,k] = Σ_… [y[…,j] > 0]·y'[…,j]·#0[…,k]",
                  "#2'[j] = Σ_… [y[…,j] > 0]·y'[…,j]"},
    .jacobian = {TP_JACOBIAN_KRONECKER, TP_JACOBIAN_KRONECKER, TP_JACOBIAN_SELECTION},
    .why = "as linear's, from ȳ where y > 0 and 0 elsewhere; at the kink the gradient is 0",
    .shape = tp_linear_shape, .forward = forward, .vjp = vjp, .vjp_fused = vjp_fused, .call = call,
    TP_REFUSALS);
