/* reference_axes.c: the naive reference of operations over axes. See reference.c. */
#include "tests/fuzz/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- reductions --------------------------------------------------------------------------------- */

typedef struct group {
    int64_t n;       /* of x */
    int64_t *to;     /* for every element of x, the element of y it goes to */
    real *max, *sum; /* by element of y */
    int64_t *count;
} group;

static void group_make(const ref_call *c, const bool *mask, group *g)
{
    tp_shape kept = tp_shape_reduced(c->x[0].shape, mask, true);
    int64_t m = tp_shape_numel(kept);
    g->n = c->x[0].n;
    g->to = malloc(((size_t)g->n + 1) * sizeof *g->to);
    g->max = malloc(2 * ((size_t)m + 1) * sizeof *g->max);
    g->sum = g->max + m + 1;
    g->count = calloc((size_t)m + 1, sizeof *g->count);
    for (int64_t j = 0; j < m; j++)
        g->max[j] = -(real)INFINITY, g->sum[j] = 0;
    for (int64_t i = 0; i < g->n; i++) {
        int64_t index[TP_MAX_DIMS];
        ref_unflatten(c->x[0].shape, i, index);
        for (int k = 0; k < kept.ndim; k++)
            index[k] = mask[k] ? 0 : index[k];
        int64_t j = g->to[i] = ref_flatten(kept, index);
        real x = c->x[0].v[i];
        g->count[j]++;
        g->sum[j] += x;
        g->max[j] = isnan(x) || x > g->max[j] ? x : g->max[j];
    }
}

static void group_free(group *g)
{
    free(g->to);
    free(g->max);
    free(g->count);
}

/* log Σ e^x by element of y into sum: −∞ of nothing and of −∞ alone, +∞ with a +∞ */
static void log_sum_exp(const ref_call *c, group *g, int64_t m)
{
    for (int64_t j = 0; j < m; j++)
        g->sum[j] = 0;
    for (int64_t i = 0; i < g->n; i++) {
        real top = g->max[g->to[i]];
        g->sum[g->to[i]] += isinf(top) ? 0 : expl(c->x[0].v[i] - top);
    }
    for (int64_t j = 0; j < m; j++)
        g->sum[j] = isinf(g->max[j]) ? g->max[j] : g->max[j] + logl(g->sum[j]);
}

static tp_status reduce(ref_call *c, char what)
{
    bool mask[TP_MAX_DIMS];
    group g;
    TP_TRY(tp_axes_mask(c->x[0].shape, *(const tp_axes *)ref_field(c, "axes"), mask));
    for (int i = 0; i < c->x[0].shape.ndim && what == 'x'; i++)
        if (mask[i] && c->x[0].shape.dim[i] == 0)
            return TP_ESHAPE;
    TP_TRY(
        ref_make(c, c->x[0].dtype, tp_shape_reduced(c->x[0].shape, mask, ref_whole(c, "keepdim"))));
    ref_tensor *y = c->y;
    if (y->v == NULL)
        return TP_OK;
    group_make(c, mask, &g);
    if (what == 'l')
        log_sum_exp(c, &g, y->n);
    for (int64_t j = 0; j < y->n; j++) {
        real n = (real)g.count[j];
        y->v[j] = what == 'm' ? g.sum[j] / n : what == 'x' ? g.max[j] : g.sum[j];
        y->e[j] = what == 'l' ? fabsl(g.max[j]) + 2 * fabsl(y->v[j]) + n + 8 : 0;
    }
    for (int64_t i = 0; i < g.n && (what == 's' || what == 'm'); i++)
        y->e[g.to[i]] += fabsl(c->x[0].v[i]) * ((real)g.count[g.to[i]] / 4 + 4) /
                         (what == 'm' ? (real)g.count[g.to[i]] : 1);
    group_free(&g);
    return TP_OK;
}

static tp_status sum(ref_call *c)
{
    return reduce(c, 's');
}

static tp_status mean(ref_call *c)
{
    return reduce(c, 'm');
}

static tp_status logsumexp(ref_call *c)
{
    return reduce(c, 'l');
}

static tp_status max(ref_call *c)
{
    return reduce(c, 'x');
}

static tp_status log_softmax(ref_call *c)
{
    int axis;
    bool mask[TP_MAX_DIMS] = {false};
    group g;
    TP_TRY(ref_axis(c, &axis));
    TP_TRY(ref_make(c, c->x[0].dtype, c->x[0].shape));
    mask[axis] = true;
    group_make(c, mask, &g);
    log_sum_exp(c, &g, tp_shape_numel(tp_shape_reduced(c->x[0].shape, mask, true)));
    for (int64_t i = 0; i < c->y->n; i++) {
        int64_t j = g.to[i];
        c->y->v[i] = isinf(g.max[j]) ? (real)NAN : c->x[0].v[i] - g.sum[j];
        c->y->e[i] =
            fabsl(c->x[0].v[i]) + 2 * fabsl(g.max[j]) + fabsl(g.sum[j]) + (real)g.count[j] + 8;
    }
    group_free(&g);
    return TP_OK;
}

/* The first of the largest, or of the NaN. */
static bool beats(real x, real than)
{
    return !isnan(than) && (isnan(x) || x > than);
}

static tp_status argmax(ref_call *c)
{
    int axis;
    bool mask[TP_MAX_DIMS] = {false};
    tp_shape x = c->x[0].shape;
    group g;
    TP_TRY(ref_axis(c, &axis));
    if (x.dim[axis] == 0)
        return TP_ESHAPE;
    mask[axis] = true;
    TP_TRY(ref_make(c, TP_I64, tp_shape_reduced(x, mask, ref_whole(c, "keepdim"))));
    group_make(c, mask, &g);
    for (int64_t j = 0; j < c->y->n; j++)
        c->y->v[j] = -1;
    for (int64_t i = 0; i < g.n; i++) {
        int64_t index[TP_MAX_DIMS], j = g.to[i];
        ref_unflatten(x, i, index);
        if (c->y->v[j] < 0 || beats(c->x[0].v[i], g.sum[j]))
            c->y->v[j] = (real)index[axis], g.sum[j] = c->x[0].v[i];
    }
    group_free(&g);
    return TP_OK;
}

static tp_status cumsum(ref_call *c)
{
    int axis;
    TP_TRY(ref_axis(c, &axis));
    TP_TRY(ref_make(c, c->x[0].dtype, c->x[0].shape));
    REF_EACH(c, i, index)
    {
        real x = c->x[0].v[i], size = fabsl(x) * (real)c->y->shape.dim[axis];
        index[axis]--;
        int64_t before = index[axis] < 0 ? -1 : ref_flatten(c->y->shape, index);
        c->y->v[i] = x + (before < 0 ? 0 : c->y->v[before]);
        c->y->e[i] = size + (before < 0 ? 0 : c->y->e[before]);
    }
    return TP_OK;
}

const ref_row ref_reductions[] = {REF_ROW(sum),         REF_ROW(mean),   REF_ROW(logsumexp),
                                  REF_ROW(max),         REF_ROW(argmax), REF_ROW(cumsum),
                                  REF_ROW(log_softmax), {NULL, NULL}};
