/* pow: a to the power b, elementwise, as C's pow: a^0 = 1 and 1^b = 1 whatever the other is, NaN included; a
 * negative a has powers by whole b only, else NaN; 0^b is ∞ for b < 0. */
#include "autograd/compose.h"
#include "tensor/map.h"

#include <float.h>
#include <math.h>

tp_var tp_pow(tp_var a, tp_var b)
{
    return tp_apply(&tp_op_pow, 2, (tp_var[]){a, b}, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_map2(c->y, c->x[0], c->x[1], TP_K_pow);
}

/* Where a formula would meet 0·∞, a is replaced by 1 inside it: selecting the result instead would be right
 * at first order and NaN at second. */
static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_var a = c->x[0], b = c->x[1];
    tp_dtype dtype = tp_dtype_of(a);
    tp_var one = tp_full(a.tape, dtype, TP_SHAPE(), 1);
    if (c->want[0]) { /* b·a^(b−1), which is 0 for b = 0 even if 1/a is no number */
        tp_var finite = tp_inside(tp_abs(a), dtype == TP_F32 ? FLT_MIN : DBL_MIN, INFINITY);
        tp_var base = tp_where(tp_inside(b, 0, 0), tp_where(finite, a, one), a);
        gx[0] = tp_mul(c->gy, tp_mul(b, tp_pow(base, tp_shift(b, -1))));
    }
    if (c->want[1]) { /* y·log a, which tends to 0 with a if b is positive, and is 0 also for 0^0 */
        tp_var zero = tp_full(a.tape, dtype, TP_SHAPE(), 0);
        tp_var vanishes = tp_mul(tp_inside(a, 0, 0), tp_greater_equal(b, zero));
        gx[1] = tp_mul(c->gy, tp_mul(c->y, tp_log(tp_where(vanishes, one, a))));
    }
}

TP_CALL2(tp_pow)

static const tp_sample samples[] = {
    {"equal shapes", 2, {{TP_DIMS(3, 4), TP_FILL_POSITIVE}, {TP_DIMS(3, 4)}}, NULL},
    {"a row by a column", 2, {{TP_DIMS(1, 4), TP_FILL_POSITIVE}, {TP_DIMS(3, 1)}}, NULL},
    {"powers of a scalar", 2, {{TP_DIMS(), TP_FILL_POSITIVE}, {TP_DIMS(2, 3)}}, NULL},
    {"large and small",
     2,
     {{TP_DIMS(2, 3), .lo = 1e-3, .hi = 1e3}, {TP_DIMS(2, 3), .lo = -4, .hi = 4}},
     NULL},
    {"of any sign, to 0 or 1", 2, {{TP_DIMS(3, 4)}, {TP_DIMS(3, 4), TP_FILL_MASK}}, NULL},
    {"no elements", 2, {{TP_DIMS(0, 3), TP_FILL_POSITIVE}, {TP_DIMS(3)}}, NULL},
};

static const tp_refusal refusals[] = {
    {"shapes that clash",
     2,
     {{TP_DIMS(4, 3), TP_F32, 1}, {TP_DIMS(4), TP_F32, 1}},
     NULL,
     TP_ESHAPE,
     "shapes [4,3] and [4] do not broadcast\n  axis -1: 3 against 4"},
    {"mixed types",
     2,
     {{TP_DIMS(2), TP_F32, 1}, {TP_DIMS(2), TP_F64, 1}},
     NULL,
     TP_EDTYPE,
     "f32 and f64"},
};

TP_DEFINE_OP(
    pow, .arity = 2, .layout = TP_AS_INPUT, .smooth = TP_SMOOTH,
    .reads = TP_READS(0) | TP_READS(1) | TP_READS_Y, .broadcasts = true, .text = "pow(#0, #1)",
    .tex = "{#0}^{#1}", .index = "y[…] = #0[…]^(#1[…])",
    .index_vjp = {"#0'[…] = y'[…]·#1[…]·#0[…]^(#1[…] − 1)", "#1'[…] = y'[…]·y[…]·log(#0[…])"},
    .jacobian = {TP_JACOBIAN_DIAGONAL, TP_JACOBIAN_DIAGONAL},
    .why = "the power rule b·a^(b−1) for a, 0 where b = 0; for b, a^b = e^(b·log a) gives y·log a, "
           "taken as 0 where a = 0 ≤ b",
    .domain = "a > 0; a = 0 with b ≥ 0; negative a with whole b, where b has no gradient (NaN)",
    .shape = tp_shape_broadcast_all, .forward = forward, .vjp = vjp, .call = call, TP_REFUSALS);
