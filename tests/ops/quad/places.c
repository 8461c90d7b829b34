/* places.c: references of the operations that move elements: y[index] = x[some other index], or 0.
 * Read next: noise.c. */
#include "tests/ops/quad/quad.h"

#include "tensor/tensor.h"

static void reshape(quad_call *c)
{
    tp_shape to = quad_attr_shape(c, "shape");
    int64_t known = 1;
    for (int d = 0; d < to.ndim; d++)
        known *= to.dim[d] < 0 ? 1 : to.dim[d];
    for (int d = 0; d < to.ndim; d++)
        to.dim[d] = to.dim[d] < 0 ? c->x[0].n / known : to.dim[d];
    quad_result(c, to, 0);
    for (int64_t j = 0; j < c->count; j++)
        c->part[STRAIGHT][j] = c->x[0].at[j];
}

static void permute(quad_call *c)
{
    tp_axes perm = quad_attr_axes(c, "perm");
    tp_shape from = c->x[0].shape, to = from;
    for (int d = 0; d < from.ndim; d++) {
        perm.axis[d] = perm.n == 0 ? from.ndim - 1 - d : quad_axis(from.ndim, perm.axis[d]);
        to.dim[d] = from.dim[perm.axis[d]];
    }
    quad_result(c, to, 0);
    for (int64_t j = 0; j < c->count; j++) {
        int64_t index[TP_MAX_DIMS], source[TP_MAX_DIMS];
        quad_index(to, j, index);
        for (int d = 0; d < from.ndim; d++)
            source[perm.axis[d]] = index[d];
        c->part[STRAIGHT][j] = c->x[0].at[quad_flat(from, source)];
    }
}

static void expand(quad_call *c)
{
    quad_result(c, quad_attr_shape(c, "shape"), 0);
    for (int64_t j = 0; j < c->count; j++) {
        int64_t index[TP_MAX_DIMS];
        quad_index(c->shape, j, index);
        c->part[STRAIGHT][j] = c->x[0].at[quad_broadcast_flat(c->x[0].shape, c->shape, index)];
    }
}

static void tril(quad_call *c)
{
    tp_shape s = c->x[0].shape;
    int64_t k = quad_attr_int(c, "k");
    quad_result(c, s, 0);
    for (int64_t j = 0; j < c->count; j++) {
        int64_t index[TP_MAX_DIMS];
        quad_index(s, j, index);
        if (index[s.ndim - 1] <= index[s.ndim - 2] + k)
            c->part[STRAIGHT][j] = c->x[0].at[j];
    }
}

/* As in Python: the positions start, start + step, … before stop that are inside, each bound clipped. */
static void slice(quad_call *c)
{
    tp_shape from = c->x[0].shape, to = from;
    int axis = quad_axis(from.ndim, (int)quad_attr_int(c, "axis"));
    int64_t n = from.dim[axis], start = quad_attr_int(c, "start"), stop = quad_attr_int(c, "stop");
    int64_t step = quad_attr_int(c, "step"), low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
    start += start < 0 ? n : 0;
    start = start < low ? low : start > high ? high : start;
    if (stop == TP_SLICE_END)
        stop = step > 0 ? high : low;
    else
        stop += stop < 0 ? n : 0;
    stop = stop < low ? low : stop > high ? high : stop;
    to.dim[axis] = 0;
    for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step)
        to.dim[axis]++;
    quad_result(c, to, 0);
    for (int64_t j = 0; j < c->count; j++) {
        int64_t index[TP_MAX_DIMS];
        quad_index(to, j, index);
        index[axis] = start + index[axis] * step;
        c->part[STRAIGHT][j] = c->x[0].at[quad_flat(from, index)];
    }
}

static void pad(quad_call *c)
{
    tp_shape from = c->x[0].shape, to = from;
    int axis = quad_axis(from.ndim, (int)quad_attr_int(c, "axis"));
    to.dim[axis] = quad_attr_int(c, "size");
    quad_result(c, to, 0);
    for (int64_t i = 0; i < c->x[0].n; i++) {
        int64_t index[TP_MAX_DIMS];
        quad_index(from, i, index);
        index[axis] = quad_attr_int(c, "start") + index[axis] * quad_attr_int(c, "step");
        c->part[STRAIGHT][quad_flat(to, index)] = c->x[0].at[i];
    }
}

static void concat(quad_call *c)
{
    tp_shape to = c->x[0].shape;
    int axis = quad_axis(to.ndim, (int)quad_attr_int(c, "axis"));
    for (int i = 1; i < c->n; i++)
        to.dim[axis] += c->x[i].shape.dim[axis];
    quad_result(c, to, 0);
    for (int64_t j = 0; j < c->count; j++) {
        int64_t index[TP_MAX_DIMS];
        int i = 0;
        quad_index(to, j, index);
        for (; index[axis] >= c->x[i].shape.dim[axis]; i++)
            index[axis] -= c->x[i].shape.dim[axis];
        c->part[STRAIGHT][j] = c->x[i].at[quad_flat(c->x[i].shape, index)];
    }
}

static void gather(quad_call *c)
{
    tp_shape from = c->x[0].shape;
    int axis = quad_axis(from.ndim, (int)quad_attr_int(c, "axis"));
    quad_result(c, c->x[1].shape, 0);
    for (int64_t j = 0; j < c->count; j++) {
        int64_t index[TP_MAX_DIMS];
        quad_index(c->shape, j, index);
        index[axis] = (int64_t)c->x[1].at[j];
        c->part[STRAIGHT][j] = c->x[0].at[quad_flat(from, index)];
    }
}

/* How many elements meet in one depends on the indices: the most that do count as additions. */
static void scatter_add(quad_call *c)
{
    tp_shape to = c->x[0].shape;
    int axis = quad_axis(to.ndim, (int)quad_attr_int(c, "axis"));
    to.dim[axis] = quad_attr_int(c, "size");
    quad_result(c, to, c->x[0].n > 0 ? c->x[0].shape.dim[axis] - 1 : 0);
    for (int64_t i = 0; i < c->x[0].n; i++) {
        int64_t index[TP_MAX_DIMS];
        quad_index(c->x[0].shape, i, index);
        index[axis] = (int64_t)c->x[1].at[i];
        c->part[STRAIGHT][quad_flat(to, index)] += c->x[0].at[i];
        c->size[quad_flat(to, index)] += fabsq(c->x[0].at[i]);
    }
}

const quad_op quad_place_ops[] = {
    {.name = "reshape", .forward = reshape},
    {.name = "permute", .forward = permute},
    {.name = "expand", .forward = expand},
    {.name = "tril", .forward = tril},
    {.name = "slice", .forward = slice},
    {.name = "pad", .forward = pad},
    {.name = "concat", .forward = concat},
    {.name = "gather", .forward = gather},
    {.name = "scatter_add", .forward = scatter_add},
    {0},
};
