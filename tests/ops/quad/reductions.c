/* reductions.c: references over axes: every element of x goes to one element of y, found by its index.
 * Read next: matrices.c. */
#include "tests/ops/quad/quad.h"

#include <stdlib.h>

/* The element of the reduced array that element i of x belongs to. */
typedef struct reduction {
    bool mask[TP_MAX_DIMS];
    int64_t length; /* elements of x per element of y */
} reduction;

static int64_t goes_to(const quad_call *c, const reduction *r, int64_t i)
{
    int64_t index[TP_MAX_DIMS];
    quad_index(c->x[0].shape, i, index);
    return quad_reduced_flat(c->x[0].shape, r->mask, index);
}

static reduction reduction_of(const tp_shape s, tp_axes axes)
{
    reduction r = {.length = 1};
    quad_axes(s, axes, r.mask);
    for (int d = 0; d < s.ndim; d++)
        r.length *= r.mask[d] ? s.dim[d] : 1;
    return r;
}

/* Of an op with axes and keepdim; y is ready to be filled. */
static reduction begin(quad_call *c)
{
    reduction r = reduction_of(c->x[0].shape, quad_attr_axes(c, "axes"));
    quad_result(c, quad_reduced(c->x[0].shape, r.mask, quad_attr_int(c, "keepdim")), r.length - 1);
    return r;
}

static void sum(quad_call *c)
{
    reduction r = begin(c);
    for (int64_t i = 0; i < c->x[0].n; i++) {
        int64_t j = goes_to(c, &r, i);
        c->part[STRAIGHT][j] += c->x[0].at[i];
        c->size[j] += fabsq(c->x[0].at[i]);
    }
}

static void mean(quad_call *c)
{
    int64_t n = reduction_of(c->x[0].shape, quad_attr_axes(c, "axes")).length;
    sum(c);
    for (int64_t j = 0; j < c->count; j++) {
        c->part[STRAIGHT][j] /= n;
        c->size[j] /= n;
    }
}

/* --- log Σ e^x ----------------------------------------------------------------------------------- */

/* The elements of x that go to j, the largest first; how many. */
static int sorted(const quad_call *c, const reduction *r, int64_t j, quad *x)
{
    int n = 0;
    for (int64_t i = 0; i < c->x[0].n; i++) {
        if (goes_to(c, r, i) != j)
            continue;
        int at = n++;
        for (; at > 0 && x[at - 1] < c->x[0].at[i]; at--)
            x[at] = x[at - 1];
        x[at] = c->x[0].at[i];
    }
    return n;
}

/* log Σ e^x of the elements of x that go to j, as parts. The smallest elements have a part each, log(1 + e^x/what
 * the larger ones sum to), or they would drown. The largest, which is linear, is apart, unless another comes
 * close. */
static void lse(const quad_call *c, const reduction *r, int64_t j, quad *y)
{
    quad *x = quad_alloc(c->x[0].n, sizeof *x), total = 1;
    int n = sorted(c, r, j, x), own = QUAD_PARTS - CURVED_TOO, shared = n > own ? n - own : 1;
    bool apart = n == 1 || x[1] < x[0] - 1;
    for (int i = 1; i < shared; i++)
        total += expq(x[i] - x[0]);
    y[STRAIGHT] = apart ? x[0] : 0;
    y[CURVED] = (apart ? 0 : x[0]) + logq(total);
    for (int i = shared; i < n; i++) {
        quad e = expq(x[i] - x[0]);
        y[CURVED_TOO + i - shared] = log1pq(e / total);
        total += e;
    }
    free(x);
}

static quad sum_parts(const quad *y)
{
    quad sum = 0;
    for (int p = QUAD_PARTS; p-- > 0;)
        sum += y[p];
    return sum;
}

static quad lse_value(const quad_call *c, const reduction *r, int64_t j)
{
    quad y[QUAD_PARTS] = {0};
    lse(c, r, j, y);
    return sum_parts(y);
}

/* The terms are the maximum and the logarithm; 1 more, because Σ e^(x − max) is rounded before the logarithm
 * is taken, which moves that by ε however small it is. */
static void logsumexp(quad_call *c)
{
    reduction r = begin(c);
    quad *top = quad_alloc(c->count, sizeof(quad));
    c->parts = QUAD_PARTS;
    for (int64_t j = 0; j < c->count; j++)
        top[j] = -HUGE_VALQ;
    for (int64_t i = 0; i < c->x[0].n; i++)
        top[goes_to(c, &r, i)] = fmaxq(top[goes_to(c, &r, i)], c->x[0].at[i]);
    for (int64_t j = 0; j < c->count; j++) {
        quad y[QUAD_PARTS] = {0};
        lse(c, &r, j, y);
        for (int p = 0; p < QUAD_PARTS; p++)
            c->part[p][j] = y[p];
        c->size[j] = fabsq(top[j]) + fabsq(sum_parts(y) - top[j]) + 1;
    }
    free(top);
}

/* p_k = e^(x_k − y). Rounded: as large as it must be taken because x_k − y is rounded, which moves p_k by |x_k − y|
 * times that; at most twice ½ of an ulp of it, so a quarter of the at least four ulps of K is enough. */
static quad share(const quad_call *c, const reduction *r, int64_t k, bool rounded)
{
    quad below = c->x[0].at[k] - lse_value(c, r, goes_to(c, r, k));
    return expq(below) * (rounded ? 1 + fabsq(below) / 4 : 1);
}

static reduction reduction_again(const quad_call *c)
{
    return reduction_of(c->x[0].shape, quad_attr_axes(c, "axes"));
}

static quad logsumexp_slope(const quad_call *c, int in, int64_t k, int64_t j, quad d)
{
    reduction r = reduction_again(c);
    (void)in, (void)j, (void)d;
    return share(c, &r, k, true);
}

/* p_k (δ_kl − p_l): the two terms cancel where p is close to 1. */
static quad logsumexp_curve(const quad_call *c, int in, int64_t k, int in2, int64_t l, int64_t j,
                            quad d)
{
    reduction r = reduction_again(c);
    quad pk = share(c, &r, k, true), pl = share(c, &r, l, true);
    (void)in, (void)in2, (void)j, (void)d;
    return (k == l ? pk : 0) + pk * pl;
}

/* --- x − log Σ e^x along one axis ---------------------------------------------------------------- */

static reduction along_axis(const quad_call *c)
{
    tp_axes axis = {1, {(int)quad_attr_int(c, "axis")}};
    return reduction_of(c->x[0].shape, axis);
}

static void log_softmax(quad_call *c)
{
    reduction r = along_axis(c);
    quad_result(c, c->x[0].shape, r.length - 1);
    c->parts = QUAD_PARTS;
    for (int64_t j = 0; j < c->count; j++) {
        quad y[QUAD_PARTS] = {0};
        lse(c, &r, goes_to(c, &r, j), y);
        for (int p = CURVED; p < QUAD_PARTS; p++)
            c->part[p][j] = -y[p];
        c->part[y[STRAIGHT] != 0 ? STRAIGHT : CURVED][j] += c->x[0].at[j] - y[STRAIGHT];
        c->size[j] = fabsq(quad_value(c, j)) + 1; /* as in logsumexp; both terms are negative */
    }
}

/* δ_jk − p_k; p_k is e^ of a rounded number. */
static quad log_softmax_slope(const quad_call *c, int in, int64_t k, int64_t j, quad d)
{
    reduction r = along_axis(c);
    (void)in, (void)d;
    return (j == k) + share(c, &r, k, true);
}

static quad log_softmax_curve(const quad_call *c, int in, int64_t k, int in2, int64_t l, int64_t j,
                              quad d)
{
    reduction r = along_axis(c);
    quad pk = share(c, &r, k, true), pl = share(c, &r, l, true);
    (void)in, (void)in2, (void)j, (void)d;
    return (k == l ? pk : 0) + pk * pl;
}

/* −log_softmax at the target, which is the index in the last axis. */
static void cross_entropy(quad_call *c)
{
    tp_shape s = c->x[0].shape;
    int64_t classes = s.dim[s.ndim - 1];
    tp_axes last = {1, {s.ndim - 1}};
    reduction r = reduction_of(s, last);
    quad_result(c, c->x[1].shape, classes - 1);
    c->parts = QUAD_PARTS;
    for (int64_t j = 0; j < c->count; j++) {
        quad y[QUAD_PARTS] = {0}, x = c->x[0].at[j * classes + (int64_t)c->x[1].at[j]];
        lse(c, &r, j, y);
        for (int p = CURVED; p < QUAD_PARTS; p++)
            c->part[p][j] = y[p];
        c->part[y[STRAIGHT] != 0 ? STRAIGHT : CURVED][j] += y[STRAIGHT] - x;
        c->size[j] = fabsq(quad_value(c, j)) + 1; /* as in logsumexp */
    }
}

static quad cross_entropy_slope(const quad_call *c, int in, int64_t k, int64_t j, quad d)
{
    tp_axes last = {1, {c->x[0].shape.ndim - 1}};
    reduction r = reduction_of(c->x[0].shape, last);
    (void)in, (void)d;
    return (k % r.length == (int64_t)c->x[1].at[j]) + share(c, &r, k, true);
}

static quad cross_entropy_curve(const quad_call *c, int in, int64_t k, int in2, int64_t l,
                                int64_t j, quad d)
{
    tp_axes last = {1, {c->x[0].shape.ndim - 1}};
    reduction r = reduction_of(c->x[0].shape, last);
    quad pk = share(c, &r, k, true), pl = share(c, &r, l, true);
    (void)in, (void)in2, (void)j, (void)d;
    return (k == l ? pk : 0) + pk * pl;
}

/* p = e^(log_softmax), which is rounded before: p(1 + |log p|). Above ½, in the parts 1 and p − 1. */
static void softmax(quad_call *c)
{
    reduction r = along_axis(c);
    quad_result(c, c->x[0].shape, r.length - 1);
    for (int64_t j = 0; j < c->count; j++) {
        quad others = 0, p;
        for (int64_t i = 0; i < c->x[0].n; i++)
            if (i != j && goes_to(c, &r, i) == goes_to(c, &r, j))
                others += expq(c->x[0].at[i] - c->x[0].at[j]);
        p = 1 / (1 + others);
        c->part[STRAIGHT][j] = p > 0.5 ? 1 : 0;
        c->part[CURVED][j] = p > 0.5 ? -others * p : p;
        c->size[j] = p * (1 + fabsq(logq(p)));
    }
}

/* p_j (δ_jk − p_k) */
static quad softmax_slope(const quad_call *c, int in, int64_t k, int64_t j, quad d)
{
    reduction r = along_axis(c);
    (void)in, (void)d;
    return goes_to(c, &r, k) != goes_to(c, &r, j)
               ? 0
               : share(c, &r, j, true) * ((j == k) + share(c, &r, k, true));
}

/* p_j ((δ_jk − p_k)(δ_jl − p_l) − p_k (δ_kl − p_l)) */
static quad softmax_curve(const quad_call *c, int in, int64_t k, int in2, int64_t l, int64_t j,
                          quad d)
{
    reduction r = along_axis(c);
    (void)in, (void)in2, (void)d;
    if (goes_to(c, &r, k) != goes_to(c, &r, j) || goes_to(c, &r, l) != goes_to(c, &r, j))
        return 0;
    quad pk = share(c, &r, k, true), pl = share(c, &r, l, true);
    return share(c, &r, j, true) * (((j == k) + pk) * ((j == l) + pl) + pk * ((k == l) + pl));
}

/* --- spread and length --------------------------------------------------------------------------- */

/* Of the elements that go to j: Σ x, Σ |x|, Σ x². */
static void moments(const quad_call *c, const reduction *r, int64_t j, quad m[3])
{
    m[0] = m[1] = m[2] = 0;
    for (int64_t i = 0; i < c->x[0].n; i++) {
        quad x = c->x[0].at[i];
        if (goes_to(c, r, i) == j)
            m[0] += x, m[1] += fabsq(x), m[2] += x * x;
    }
}

static quad degrees(const quad_call *c, const reduction *r)
{
    return r->length - quad_attr_int(c, "correction");
}

static void variance(quad_call *c)
{
    reduction r = begin(c);
    for (int64_t i = 0; i < c->x[0].n; i++) {
        int64_t j = goes_to(c, &r, i);
        quad m[3];
        moments(c, &r, j, m);
        quad d = c->x[0].at[i] - m[0] / r.length;
        c->part[CURVED][j] += d * d / degrees(c, &r);
    }
}

/* 2(x_k − mean)/(N − c), less the mean of that, which is 0 but for rounding: its terms are a deviation each. */
static quad variance_slope(const quad_call *c, int in, int64_t k, int64_t j, quad d)
{
    reduction r = reduction_again(c);
    quad m[3], n = r.length;
    (void)in, (void)d;
    moments(c, &r, j, m);
    quad mean = m[0] / n, deviation = sqrtq(m[2] / n - mean * mean);
    return 2 * (fabsq(c->x[0].at[k] - mean) + deviation) / degrees(c, &r);
}

static quad variance_curve(const quad_call *c, int in, int64_t k, int in2, int64_t l, int64_t j,
                           quad d)
{
    reduction r = reduction_again(c);
    (void)in, (void)in2, (void)j, (void)d;
    return 2 * ((k == l) + (quad)1 / r.length) / degrees(c, &r);
}

static void norm(quad_call *c)
{
    reduction r = begin(c);
    for (int64_t j = 0; j < c->count; j++) {
        quad m[3];
        moments(c, &r, j, m);
        c->part[CURVED][j] = sqrtq(m[2]);
    }
}

/* The norm has its kink where all of its elements are 0. */
static quad room_around_zero(const quad_call *c, int in, int64_t k)
{
    reduction r = reduction_again(c);
    quad m[3];
    (void)in;
    moments(c, &r, goes_to(c, &r, k), m);
    return sqrtq(m[2] / r.length);
}

/* δ_kl/y − x_k x_l/y³ */
static quad norm_curve(const quad_call *c, int in, int64_t k, int in2, int64_t l, int64_t j, quad d)
{
    reduction r = reduction_again(c);
    quad m[3];
    (void)in, (void)in2, (void)d;
    moments(c, &r, j, m);
    return ((k == l) + fabsq(c->x[0].at[k] * c->x[0].at[l]) / m[2]) / sqrtq(m[2]);
}

static void mse(quad_call *c)
{
    quad_result(c, (tp_shape){0, {0}}, c->x[0].n - 1);
    for (int64_t i = 0; i < c->x[0].n; i++) {
        quad d = c->x[0].at[i] - c->x[1].at[i];
        c->part[CURVED][0] += d * d / c->x[0].n;
    }
}

/* --- choosing and running sums ------------------------------------------------------------------- */

/* sign −1: the smallest. */
static void extreme(quad_call *c, int sign)
{
    reduction r = begin(c);
    c->additions = 0;
    for (int64_t j = 0; j < c->count; j++)
        c->part[STRAIGHT][j] = -sign * HUGE_VALQ;
    for (int64_t i = 0; i < c->x[0].n; i++) {
        quad *y = &c->part[STRAIGHT][goes_to(c, &r, i)];
        *y = sign * (c->x[0].at[i] - *y) > 0 ? c->x[0].at[i] : *y;
    }
}

static void maximum(quad_call *c)
{
    extreme(c, 1);
}

static void minimum(quad_call *c)
{
    extreme(c, -1);
}

/* The first of the largest or, with sign −1, smallest; the index along the axis. */
static void place_of_extreme(quad_call *c, int sign)
{
    reduction r = along_axis(c);
    int axis = quad_axis(c->x[0].shape.ndim, (int)quad_attr_int(c, "axis"));
    quad_result(c, quad_reduced(c->x[0].shape, r.mask, quad_attr_int(c, "keepdim")), 0);
    quad *best = quad_alloc(c->count, sizeof(quad));
    for (int64_t i = 0; i < c->x[0].n; i++) {
        int64_t index[TP_MAX_DIMS], j = goes_to(c, &r, i);
        quad_index(c->x[0].shape, i, index);
        if (index[axis] > 0 && sign * (c->x[0].at[i] - best[j]) <= 0)
            continue;
        best[j] = c->x[0].at[i];
        c->part[STRAIGHT][j] = index[axis];
    }
    free(best);
}

static void argmax(quad_call *c)
{
    place_of_extreme(c, 1);
}

static void argmin(quad_call *c)
{
    place_of_extreme(c, -1);
}

static void cumsum(quad_call *c)
{
    tp_shape s = c->x[0].shape;
    int axis = quad_axis(s.ndim, (int)quad_attr_int(c, "axis"));
    quad_result(c, s, s.ndim > 0 ? s.dim[axis] - 1 : 0);
    for (int64_t j = 0; j < c->count; j++) {
        int64_t index[TP_MAX_DIMS];
        quad_index(s, j, index);
        for (int64_t i = index[axis]; i >= 0; i--) {
            index[axis] = i;
            quad x = c->x[0].at[quad_flat(s, index)];
            c->part[STRAIGHT][j] += x;
            c->size[j] += fabsq(x);
        }
    }
}

const quad_op quad_reduction_ops[] = {
    {.name = "sum", .forward = sum},
    {.name = "mean", .forward = mean},
    {.name = "logsumexp", .forward = logsumexp, .slope = logsumexp_slope, .curve = logsumexp_curve},
    {.name = "log_softmax",
     .forward = log_softmax,
     .slope = log_softmax_slope,
     .curve = log_softmax_curve},
    {.name = "max", .forward = maximum},
    {.name = "argmax", .forward = argmax},
    {.name = "cumsum", .forward = cumsum},
    /* compositions */
    {.name = "min", .forward = minimum},
    {.name = "argmin", .forward = argmin},
    {.name = "softmax",
     .forward = softmax,
     .slope = softmax_slope,
     .curve = softmax_curve,
     .coarse = true},
    {.name = "cross_entropy",
     .forward = cross_entropy,
     .slope = cross_entropy_slope,
     .curve = cross_entropy_curve},
    {.name = "variance", .forward = variance, .slope = variance_slope, .curve = variance_curve},
    {.name = "norm", .forward = norm, .curve = norm_curve, .room = room_around_zero},
    {.name = "mse", .forward = mse},
    {0},
};
