/* pointwise.c: references of the elementwise operations: a formula each, and one loop that broadcasts.
 * Tails are split into parts (quad.h) where 113 bits would swallow them. Read next: losses.c, reductions.c. */
#include "tests/ops/quad/quad.h"

/* The inputs at element index of y. */
static void read_point(const quad_call *c, const int64_t *index, quad *x)
{
    for (int i = 0; i < c->n; i++)
        x[i] = c->x[i].at[quad_broadcast_flat(c->x[i].shape, c->shape, index)];
}

void quad_pointwise(quad_call *c)
{
    tp_shape shape = c->x[0].shape;
    for (int i = 1; i < c->n; i++)
        shape = quad_broadcast_shape(shape, c->x[i].shape);
    quad_result(c, shape, 0);
    for (int64_t j = 0; j < c->count; j++) {
        int64_t index[TP_MAX_DIMS];
        quad x[TP_SAMPLE_INPUTS], y[QUAD_PARTS] = {0};
        quad_index(c->shape, j, index);
        read_point(c, index, x);
        c->ref->point(c, x, y);
        for (int p = 0; p < c->parts; p++)
            c->part[p][j] = y[p];
        if (c->sizes && c->ref->point_size != NULL)
            c->size[j] = c->ref->point_size(c, x);
    }
}

/* Element j of y reads element k of the input, of which there may be fewer. */
quad quad_point_slope(const quad_call *c, int in, int64_t k, int64_t j, quad d)
{
    int64_t index[TP_MAX_DIMS];
    quad x[TP_SAMPLE_INPUTS];
    (void)k, (void)d;
    quad_index(c->shape, j, index);
    read_point(c, index, x);
    return c->ref->point_slope(c, x, in);
}

quad quad_point_curve(const quad_call *c, int in, int64_t k, int in2, int64_t l, int64_t j, quad d)
{
    int64_t index[TP_MAX_DIMS];
    quad x[TP_SAMPLE_INPUTS];
    (void)k, (void)l, (void)d;
    quad_index(c->shape, j, index);
    read_point(c, index, x);
    return c->ref->point_curve(c, x, in, in2);
}

/* --- arithmetic ---------------------------------------------------------------------------------- */

#define POINT(name) static void name(const quad_call *c, const quad *x, quad *y)
#define SIZE(name) static quad name(const quad_call *c, const quad *x)
#define ROOM(name) static quad name(const quad_call *c, int in, int64_t k)
#define CURVE(name) static quad name(const quad_call *c, const quad *x, int in, int in2)
#define SLOPE(name) static quad name(const quad_call *c, const quad *x, int in)

POINT(add)
{
    (void)c;
    y[STRAIGHT] = x[0] + x[1];
}

POINT(sub)
{
    (void)c;
    y[STRAIGHT] = x[0] - x[1];
}

POINT(mul)
{
    (void)c;
    y[CURVED] = x[0] * x[1];
}

POINT(divide)
{
    (void)c;
    y[CURVED] = x[0] / x[1];
}

ROOM(room_divisor)
{
    quad x = fabsq(c->x[in].at[k]);
    return in == 1 ? x : fmaxq(1, x);
}

POINT(neg)
{
    (void)c;
    y[STRAIGHT] = -x[0];
}

POINT(absolute)
{
    (void)c;
    y[STRAIGHT] = x[0] < 0 ? -x[0] : x[0];
}

POINT(affine)
{
    y[STRAIGHT] = quad_attr_real(c, "scale") * x[0] + quad_attr_real(c, "shift");
}

SIZE(affine_size)
{
    return fabsq(quad_attr_real(c, "scale") * x[0]) + fabsq(quad_attr_real(c, "shift"));
}

POINT(square)
{
    (void)c;
    y[CURVED] = x[0] * x[0];
}

/* --- choosing ------------------------------------------------------------------------------------ */

POINT(maximum)
{
    (void)c;
    y[STRAIGHT] = x[0] > x[1] ? x[0] : x[1];
}

POINT(greater)
{
    (void)c;
    y[STRAIGHT] = x[0] > x[1];
}

POINT(greater_equal)
{
    (void)c;
    y[STRAIGHT] = x[0] >= x[1];
}

POINT(where)
{
    (void)c;
    y[STRAIGHT] = x[0] != 0 ? x[1] : x[2];
}

POINT(relu)
{
    (void)c;
    y[STRAIGHT] = x[0] > 0 ? x[0] : 0;
}

POINT(clamp)
{
    quad lo = quad_attr_real(c, "lo"), hi = quad_attr_real(c, "hi");
    y[STRAIGHT] = x[0] < lo ? lo : x[0] > hi ? hi : x[0];
}

POINT(inside)
{
    y[STRAIGHT] = x[0] >= quad_attr_real(c, "lo") && x[0] <= quad_attr_real(c, "hi");
}

POINT(same)
{
    (void)c;
    y[STRAIGHT] = x[0];
}

POINT(nearest)
{
    (void)c;
    y[STRAIGHT] = rintq(x[0]); /* halves to even */
}

/* The value is the hard one, the gradient that of the soft one. */
static void soft(quad_call *c)
{
    quad_result(c, c->x[0].shape, 0);
    for (int64_t j = 0; j < c->count; j++)
        c->part[STRAIGHT][j] = c->x[1].at[j];
}

/* --- powers, exponentials, logarithms ------------------------------------------------------------ */

ROOM(room_from_zero)
{
    return in == 0 ? fabsq(c->x[0].at[k]) : 1;
}

POINT(power)
{
    (void)c;
    y[CURVED] = powq(x[0], x[1]);
}

/* a^(b − n), and how it feels that b − n is rounded. */
static quad rounded_power(const quad *x, int n)
{
    quad b = x[1] - n;
    return powq(x[0], b) * (1 + fabsq(b * logq(x[0])));
}

SLOPE(power_slope)
{
    (void)c;
    return in == 0 ? fabsq(x[1]) * rounded_power(x, 1) : powq(x[0], x[1]) * fabsq(logq(x[0]));
}

/* ∂²/∂a∂b = a^(b − 1)·(1 + b log a), of which the terms may cancel. */
CURVE(power_curve)
{
    quad b = x[1], log_a = logq(x[0]);
    (void)c;
    if (in == 1 && in2 == 1)
        return powq(x[0], b) * log_a * log_a;
    if (in == in2)
        return fabsq(b * (b - 1)) * (rounded_power(x, 2) + rounded_power(x, 1) / x[0]);
    return rounded_power(x, 1) * (1 + fabsq(b * log_a));
}

POINT(root)
{
    (void)c;
    y[CURVED] = sqrtq(x[0]);
}

POINT(exponential)
{
    (void)c;
    y[CURVED] = expq(x[0]);
}

POINT(expm1_)
{
    (void)c;
    if (x[0] < -1)
        y[STRAIGHT] = -1, y[CURVED] = expq(x[0]);
    else
        y[CURVED] = expm1q(x[0]);
}

POINT(logarithm)
{
    (void)c;
    y[CURVED] = logq(x[0]);
}

POINT(log1p_)
{
    (void)c;
    y[CURVED] = log1pq(x[0]);
}

ROOM(room_log1p)
{
    return 1 + c->x[in].at[k];
}

/* --- squashing ----------------------------------------------------------------------------------- */

static quad logistic(quad x)
{
    return 1 / (1 + expq(-x));
}

POINT(sigmoid)
{
    (void)c;
    y[STRAIGHT] = x[0] > 1;
    y[CURVED] = x[0] > 1 ? -logistic(-x[0]) : logistic(x[0]);
}

/* σ'' = σ(x)σ(−x)² − σ(x)²σ(−x), which is 0 at 0. */
CURVE(sigmoid_curve)
{
    (void)c, (void)in, (void)in2;
    return logistic(x[0]) * logistic(-x[0]);
}

POINT(hyperbolic)
{
    (void)c;
    quad a = fabsq(x[0]), sign = x[0] < 0 ? -1 : 1;
    y[STRAIGHT] = a > 1 ? sign : 0;
    y[CURVED] = a > 1 ? -sign * 2 / (expq(2 * a) + 1) : tanhq(x[0]);
}

/* tanh' = 4σ(2x)σ(−2x); differentiated, two terms that cancel at 0. */
CURVE(tanh_curve)
{
    (void)c, (void)in, (void)in2;
    return 8 * logistic(2 * x[0]) * logistic(-2 * x[0]);
}

POINT(softplus)
{
    (void)c;
    y[STRAIGHT] = x[0] > 1 ? x[0] : 0;
    y[CURVED] = log1pq(expq(x[0] > 1 ? -x[0] : x[0]));
}

/* --- sin, cos, erf ------------------------------------------------------------------------------- */

POINT(sine)
{
    (void)c;
    y[CURVED] = sinq(x[0]);
}

POINT(cosine)
{
    (void)c;
    y[CURVED] = cosq(x[0]);
}

POINT(error_function)
{
    (void)c;
    quad a = fabsq(x[0]), sign = x[0] < 0 ? -1 : 1;
    y[STRAIGHT] = a > 1 ? sign : 0;
    y[CURVED] = a > 1 ? -sign * erfcq(a) : erfq(x[0]);
}

POINT(complement)
{
    (void)c;
    y[STRAIGHT] = x[0] < -1 ? 2 : 0;
    y[CURVED] = x[0] < -1 ? -erfcq(-x[0]) : erfcq(x[0]);
}

/* e^(−x²): the square is rounded, which the exponential turns into x² times that. */
static quad bell(quad x)
{
    return 2 / sqrtq(QUAD_PI) * expq(-x * x) * (1 + x * x);
}

SLOPE(erf_slope)
{
    (void)c, (void)in;
    return bell(x[0]);
}

CURVE(erf_curve)
{
    (void)c, (void)in, (void)in2;
    return 2 * fabsq(x[0]) * bell(x[0]);
}

#define BY_POINT(id, f) .name = #id, .point = f
#define SLOPES(f) .slope = quad_point_slope, .point_slope = f
#define CURVES(f) .curve = quad_point_curve, .point_curve = f

const quad_op quad_pointwise_ops[] = {
    {BY_POINT(add, add)},
    {BY_POINT(sub, sub)},
    {BY_POINT(mul, mul)},
    {BY_POINT(div, divide), .room = room_divisor},
    {BY_POINT(neg, neg)},
    {BY_POINT(abs, absolute)},
    {BY_POINT(affine, affine), .point_size = affine_size},
    {BY_POINT(square, square)},
    {BY_POINT(maximum, maximum)},
    {BY_POINT(greater, greater)},
    {BY_POINT(greater_equal, greater_equal)},
    {BY_POINT(where, where)},
    {BY_POINT(relu, relu)},
    {BY_POINT(clamp, clamp)},
    {BY_POINT(inside, inside)},
    {BY_POINT(detach, same)},
    {BY_POINT(round, nearest)},
    {BY_POINT(straight_through, same), .surrogate = soft},
    {BY_POINT(pow, power), .room = room_from_zero, SLOPES(power_slope), CURVES(power_curve)},
    {BY_POINT(sqrt, root), .room = room_from_zero},
    {BY_POINT(exp, exponential)},
    {BY_POINT(expm1, expm1_)},
    {BY_POINT(log, logarithm), .room = room_from_zero},
    {BY_POINT(log1p, log1p_), .room = room_log1p},
    {BY_POINT(sigmoid, sigmoid), CURVES(sigmoid_curve)},
    {BY_POINT(tanh, hyperbolic), CURVES(tanh_curve)},
    {BY_POINT(softplus, softplus)},
    {BY_POINT(sin, sine)},
    {BY_POINT(cos, cosine)},
    {BY_POINT(erf, error_function), SLOPES(erf_slope), CURVES(erf_curve)},
    {BY_POINT(erfc, complement), SLOPES(erf_slope), CURVES(erf_curve)},
    {0},
};
