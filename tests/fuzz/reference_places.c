/* reference_places.c: the naive reference of operations that move elements. See reference.c. */
#include "tests/fuzz/reference.h"

#include <math.h>

/* --- rearranging -------------------------------------------------------------------------------- */

static tp_status reshape(ref_call *c)
{
    tp_shape shape = *(const tp_shape *)ref_field(c, "shape"), known = shape;
    int open = -1;
    if (shape.ndim < 0 || shape.ndim > TP_MAX_DIMS)
        return TP_ESHAPE;
    for (int i = 0; i < shape.ndim; i++)
        if (shape.dim[i] == -1) {
            if (open >= 0)
                return TP_ESHAPE;
            open = i;
            known.dim[i] = 1;
        }
    TP_TRY(tp_shape_check(known, 1));
    int64_t have = c->x[0].n, want = tp_shape_numel(known);
    if (open >= 0 ? want == 0 || have % want != 0 : have != want)
        return TP_ESHAPE;
    if (open >= 0)
        shape.dim[open] = have / want;
    *c->y = ref_new(c->x[0].dtype, shape);
    REF_EACH(c, i, index)
    c->y->v[i] = c->x[0].v[i];
    return TP_OK;
}

static tp_status permute(ref_call *c)
{
    tp_axes perm = *(const tp_axes *)ref_field(c, "perm");
    tp_shape x = c->x[0].shape, y = x;
    bool seen[TP_MAX_DIMS] = {false};
    if (perm.n != 0 && perm.n != x.ndim)
        return TP_ESHAPE;
    for (int i = 0; i < x.ndim; i++) {
        int axis = x.ndim - 1 - i;
        if (perm.n != 0)
            TP_TRY(tp_axis_normal(x.ndim, perm.axis[i], &axis));
        if (seen[axis])
            return TP_ESHAPE;
        seen[axis] = true;
        perm.axis[i] = axis;
        y.dim[i] = x.dim[axis];
    }
    *c->y = ref_new(c->x[0].dtype, y);
    REF_EACH(c, i, index)
    {
        int64_t at[TP_MAX_DIMS];
        for (int k = 0; k < x.ndim; k++)
            at[perm.axis[k]] = index[k];
        c->y->v[i] = c->x[0].v[ref_flatten(x, at)];
    }
    return TP_OK;
}

static tp_status expand(ref_call *c)
{
    tp_shape x = c->x[0].shape, y = *(const tp_shape *)ref_field(c, "shape"), both;
    TP_TRY(tp_shape_check(y, tp_dtype_size(c->x[0].dtype)));
    TP_TRY(tp_shape_broadcast(x, y, &both));
    if (!tp_shape_equal(both, y))
        return TP_ESHAPE;
    *c->y = ref_new(c->x[0].dtype, y);
    REF_EACH(c, i, index)
    c->y->v[i] = c->x[0].v[ref_broadcast(x, y, index)];
    return TP_OK;
}

/* A number of Python's slice, which may count from the end, as a place between 0 and n, or -1 and n - 1. */
static int64_t clip(int64_t at, int64_t n, int64_t step)
{
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    at = at < 0 ? at + n : at;
    return at < low ? low : at > high ? high : at;
}

static tp_status slice(ref_call *c)
{
    int axis;
    tp_shape y = c->x[0].shape;
    TP_TRY(ref_axis(c, &axis));
    int64_t n = y.dim[axis], step = ref_whole(c, "step"), count = 0;
    if (step == 0 || step == INT64_MIN)
        return TP_ESHAPE;
    int64_t start = clip(ref_whole(c, "start"), n, step), stop = ref_whole(c, "stop");
    stop = stop == TP_SLICE_END ? (step > 0 ? n : -1) : clip(stop, n, step);
    for (real at = start; step > 0 ? at < stop : at > stop; at += step)
        count++;
    y.dim[axis] = count;
    *c->y = ref_new(c->x[0].dtype, y);
    REF_EACH(c, i, index)
    {
        index[axis] = start + index[axis] * step;
        c->y->v[i] = c->x[0].v[ref_flatten(c->x[0].shape, index)];
    }
    return TP_OK;
}

static tp_status pad(ref_call *c)
{
    int axis;
    tp_shape y = c->x[0].shape;
    TP_TRY(ref_axis(c, &axis));
    int64_t n = y.dim[axis], start = ref_whole(c, "start"), step = ref_whole(c, "step");
    int64_t size = ref_whole(c, "size");
    real last = n > 0 ? (real)start + (real)(n - 1) * (real)step : (real)start - 1;
    if (step == 0 || size < 0 || start < 0 || start > size || (n > 0 && start >= size) ||
        (n > 0 && (last < 0 || last >= (real)size)))
        return TP_ESHAPE;
    y.dim[axis] = size;
    TP_TRY(ref_make(c, c->x[0].dtype, y));
    for (int64_t i = 0; c->y->v != NULL && i < c->x[0].n; i++) {
        int64_t index[TP_MAX_DIMS];
        ref_unflatten(c->x[0].shape, i, index);
        index[axis] = start + index[axis] * step;
        c->y->v[ref_flatten(y, index)] = c->x[0].v[i];
    }
    return TP_OK;
}

static tp_status concat(ref_call *c)
{
    int axis;
    tp_shape y = c->x[0].shape;
    TP_TRY(ref_axis(c, &axis));
    for (int k = 1; k < c->n; k++) {
        tp_shape x = c->x[k].shape;
        if (c->x[k].dtype != c->x[0].dtype)
            return TP_EDTYPE;
        int64_t size = y.ndim == x.ndim ? x.dim[axis] : 0;
        if (y.ndim == x.ndim)
            x.dim[axis] = y.dim[axis];
        if (!tp_shape_equal(x, y) || size > INT64_MAX - y.dim[axis])
            return TP_ESHAPE;
        y.dim[axis] += size;
    }
    TP_TRY(ref_make(c, c->x[0].dtype, y));
    REF_EACH(c, i, index)
    {
        int k = 0;
        while (index[axis] >= c->x[k].shape.dim[axis])
            index[axis] -= c->x[k++].shape.dim[axis];
        c->y->v[i] = c->x[k].v[ref_flatten(c->x[k].shape, index)];
    }
    return TP_OK;
}

static tp_status check_index(const ref_call *c, int64_t n)
{
    for (int64_t i = 0; i < c->x[1].n; i++)
        if (c->x[1].v[i] < 0 || c->x[1].v[i] >= (real)n)
            return TP_EVALUE;
    return TP_OK;
}

static tp_status gather(ref_call *c)
{
    int axis;
    tp_shape x = c->x[0].shape, y = c->x[1].shape;
    if (c->x[1].dtype != TP_I64)
        return TP_EDTYPE;
    TP_TRY(ref_axis(c, &axis));
    if (x.ndim != y.ndim)
        return TP_ESHAPE;
    for (int i = 0; i < x.ndim; i++)
        if (i != axis && y.dim[i] > x.dim[i])
            return TP_ESHAPE;
    TP_TRY(ref_make(c, c->x[0].dtype, y));
    TP_TRY(check_index(c, x.dim[axis]));
    REF_EACH(c, i, index)
    {
        index[axis] = (int64_t)c->x[1].v[i];
        c->y->v[i] = c->x[0].v[ref_flatten(x, index)];
    }
    return TP_OK;
}

static tp_status scatter_add(ref_call *c)
{
    int axis;
    tp_shape y = c->x[0].shape;
    if (!tp_dtype_is_float(c->x[0].dtype) || c->x[1].dtype != TP_I64)
        return TP_EDTYPE;
    TP_TRY(ref_axis(c, &axis));
    if (!tp_shape_equal(y, c->x[1].shape))
        return TP_ESHAPE;
    y.dim[axis] = ref_whole(c, "size");
    TP_TRY(ref_make(c, c->x[0].dtype, y));
    if (c->y->v == NULL)
        return TP_OK;
    TP_TRY(check_index(c, y.dim[axis]));
    for (int64_t i = 0; i < c->x[0].n; i++) {
        int64_t index[TP_MAX_DIMS];
        ref_unflatten(c->x[0].shape, i, index);
        index[axis] = (int64_t)c->x[1].v[i];
        int64_t at = ref_flatten(y, index);
        c->y->v[at] += c->x[0].v[i];
        c->y->e[at] += fabsl(c->x[0].v[i]) * (real)c->x[0].shape.dim[axis];
    }
    return TP_OK;
}

const ref_row ref_places[] = {REF_ROW(reshape), REF_ROW(permute),     REF_ROW(expand),
                              REF_ROW(slice),   REF_ROW(pad),         REF_ROW(concat),
                              REF_ROW(gather),  REF_ROW(scatter_add), {NULL, NULL}};
