/* compositions.c: references of those functions of autograd/compose.h that are elementwise, from their
 * definitions and not from what they are composed of. Read next: reductions.c, where those over axes are. */
#include "tests/ops/quad/quad.h"

#define POINT(name) static void name(const quad_call *c, const quad *x, quad *y)
#define SIZE(name) static quad name(const quad_call *c, const quad *x)
#define SLOPE(name) static quad name(const quad_call *c, const quad *x, int in)
#define CURVE(name) static quad name(const quad_call *c, const quad *x, int in, int in2)

static quad logistic(quad x)
{
    return 1 / (1 + expq(-x));
}

/* --- arithmetic and comparisons ------------------------------------------------------------------ */

POINT(scale)
{
    y[STRAIGHT] = quad_attr_real(c, "c") * x[0];
}

POINT(shift)
{
    y[STRAIGHT] = x[0] + quad_attr_real(c, "c");
}

POINT(minimum)
{
    (void)c;
    y[STRAIGHT] = x[0] < x[1] ? x[0] : x[1];
}

static quad room_from_zero(const quad_call *c, int in, int64_t k)
{
    return fabsq(c->x[in].at[k]);
}

POINT(reciprocal)
{
    (void)c;
    y[CURVED] = 1 / x[0];
}

POINT(rsqrt)
{
    (void)c;
    y[CURVED] = 1 / sqrtq(x[0]);
}

POINT(pow_scalar)
{
    y[CURVED] = powq(x[0], quad_attr_real(c, "c"));
}

/* p·x^(p − 1): p − 1 is rounded, which the power feels by (p − 1)·log x times that. */
SLOPE(pow_slope)
{
    quad p = quad_attr_real(c, "c"), a = fabsq(x[0]);
    (void)in;
    return fabsq(p) * powq(a, p - 1) * (1 + fabsq((p - 1) * logq(a)));
}

CURVE(pow_curve)
{
    quad p = quad_attr_real(c, "c"), a = fabsq(x[0]), log_a = fabsq(logq(a));
    (void)in, (void)in2;
    return fabsq(p * (p - 1)) * powq(a, p - 2) * (2 + (fabsq(p - 1) + fabsq(p - 2)) * log_a);
}

#define COMPARE(name, condition)                                                                   \
    POINT(name)                                                                                    \
    {                                                                                              \
        (void)c;                                                                                   \
        y[STRAIGHT] = (condition) ? 1 : 0;                                                         \
    }
COMPARE(less, x[0] < x[1])
COMPARE(less_equal, x[0] <= x[1])
COMPARE(equal, x[0] == x[1])
COMPARE(not_equal, x[0] != x[1])
COMPARE(logical_and, x[0] != 0 && x[1] != 0)
COMPARE(logical_or, x[0] != 0 || x[1] != 0)
COMPARE(logical_xor, (x[0] != 0) != (x[1] != 0))
COMPARE(logical_not, x[0] == 0)

POINT(sign)
{
    (void)c;
    y[STRAIGHT] = (x[0] > 0) - (x[0] < 0);
}

/* --- activations --------------------------------------------------------------------------------- */

POINT(logsigmoid)
{
    (void)c;
    y[STRAIGHT] = x[0] < -1 ? x[0] : 0;
    y[CURVED] = -log1pq(expq(x[0] < -1 ? x[0] : -x[0]));
}

POINT(leaky_relu)
{
    y[STRAIGHT] = x[0] > 0 ? x[0] : quad_attr_real(c, "c") * x[0];
}

POINT(elu)
{
    quad alpha = quad_attr_real(c, "c");
    if (x[0] > 0)
        y[STRAIGHT] = x[0];
    else if (x[0] < -1)
        y[STRAIGHT] = -alpha, y[CURVED] = alpha * expq(x[0]);
    else { /* alpha·x and what is curved */
        y[STRAIGHT] = alpha * x[0];
        for (quad n = 2, term = alpha * x[0] * x[0] / 2; n < 40; term *= x[0] / ++n)
            y[CURVED] += term;
    }
}

/* From the kink, and from where the parts change. */
static quad room_of_elu(const quad_call *c, int in, int64_t k)
{
    return fminq(1, fabsq(c->x[in].at[k]));
}

/* Of a normal variable: density and distribution. */
static quad density(quad x)
{
    return expq(-x * x / 2) / sqrtq(2 * QUAD_PI);
}

static quad distribution(quad x)
{
    return erfcq(-x / sqrtq(2)) / 2;
}

/* x·Φ(x) */
POINT(gelu)
{
    (void)c;
    y[STRAIGHT] = x[0] > 1 ? x[0] : 0;
    y[CURVED] = x[0] > 1 ? -x[0] * distribution(-x[0]) : x[0] * distribution(x[0]);
}

/* x/√2 is rounded; far in the left tail Φ feels x² times that. */
SIZE(gelu_size)
{
    (void)c;
    return fabsq(x[0] * distribution(x[0])) * (x[0] < 0 ? 1 + x[0] * x[0] : 1);
}

SLOPE(gelu_slope)
{
    (void)c, (void)in;
    return (distribution(x[0]) + fabsq(x[0]) * density(x[0])) * (1 + x[0] * x[0]);
}

CURVE(gelu_curve)
{
    (void)c, (void)in, (void)in2;
    return (2 + x[0] * x[0]) * density(x[0]) * (1 + x[0] * x[0]);
}

/* x·σ(x) */
POINT(silu)
{
    (void)c;
    y[STRAIGHT] = x[0] > 1 ? x[0] : 0;
    y[CURVED] = x[0] > 1 ? -x[0] * logistic(-x[0]) : x[0] * logistic(x[0]);
}

SLOPE(silu_slope)
{
    (void)c, (void)in;
    return logistic(x[0]) * (1 + fabsq(x[0]) * logistic(-x[0]));
}

CURVE(silu_curve)
{
    (void)c, (void)in, (void)in2;
    return logistic(x[0]) * logistic(-x[0]) * (2 + fabsq(x[0]));
}

POINT(nearest)
{
    (void)c;
    y[STRAIGHT] = rintq(x[0]);
}

static void identity(quad_call *c)
{
    quad_result(c, c->x[0].shape, 0);
    for (int64_t j = 0; j < c->count; j++)
        c->part[STRAIGHT][j] = c->x[0].at[j];
}

/* --- losses of d = x − t -------------------------------------------------------------------------- */

POINT(squared_error)
{
    (void)c;
    y[CURVED] = (x[0] - x[1]) * (x[0] - x[1]);
}

POINT(l1)
{
    (void)c;
    y[STRAIGHT] = fabsq(x[0] - x[1]);
}

POINT(huber)
{
    quad d = fabsq(x[0] - x[1]), delta = quad_attr_real(c, "c");
    y[STRAIGHT] = d > delta ? delta * (d - delta / 2) : 0;
    y[CURVED] = d > delta ? 0 : d * d / 2;
}

/* log cosh d = log(1 + 2 sinh²(d/2)) = |d| − log 2 + log(1 + e^−2|d|) */
POINT(log_cosh)
{
    quad d = fabsq(x[0] - x[1]), s = sinhq(fminq(d, 1) / 2);
    (void)c;
    y[STRAIGHT] = d > 1 ? d - logq(2) : 0;
    y[CURVED] = d > 1 ? log1pq(expq(-2 * d)) : log1pq(2 * s * s);
}

/* 1/cosh² d falls as e^−2d, and d is a rounded difference: of the K ulps, four are more than it takes. */
CURVE(log_cosh_curve)
{
    quad d = fabsq(x[0] - x[1]), e = expq(-2 * d);
    (void)c, (void)in, (void)in2;
    return 4 * e / ((1 + e) * (1 + e)) * (1 + d / 4);
}

#define BY_POINT(id, f) .name = #id, .point = f
#define SLOPES(f) .slope = quad_point_slope, .point_slope = f
#define CURVES(f) .curve = quad_point_curve, .point_curve = f

const quad_op quad_composition_ops[] = {
    {BY_POINT(scale, scale)},
    {BY_POINT(shift, shift)},
    {BY_POINT(minimum, minimum)},
    {BY_POINT(reciprocal, reciprocal), .room = room_from_zero},
    {BY_POINT(rsqrt, rsqrt), .room = room_from_zero},
    {BY_POINT(pow_scalar, pow_scalar), .room = room_from_zero, SLOPES(pow_slope),
     CURVES(pow_curve)},
    {BY_POINT(less, less)},
    {BY_POINT(less_equal, less_equal)},
    {BY_POINT(equal, equal)},
    {BY_POINT(not_equal, not_equal)},
    {BY_POINT(logical_and, logical_and)},
    {BY_POINT(logical_or, logical_or)},
    {BY_POINT(logical_xor, logical_xor)},
    {BY_POINT(logical_not, logical_not)},
    {BY_POINT(sign, sign)},
    {BY_POINT(logsigmoid, logsigmoid)},
    {BY_POINT(leaky_relu, leaky_relu)},
    {BY_POINT(elu, elu), .room = room_of_elu},
    {BY_POINT(gelu, gelu), .point_size = gelu_size, SLOPES(gelu_slope), CURVES(gelu_curve)},
    {BY_POINT(silu, silu), SLOPES(silu_slope), CURVES(silu_curve)},
    {BY_POINT(round_straight_through, nearest), .surrogate = identity},
    {BY_POINT(squared_error, squared_error)},
    {BY_POINT(l1, l1)},
    {BY_POINT(huber, huber)},
    {BY_POINT(log_cosh, log_cosh), CURVES(log_cosh_curve)},
    {0},
};
