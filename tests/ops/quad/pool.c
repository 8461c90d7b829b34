/* pool.c: references of windows over images: which elements a window holds is asked of every element, one by one.
 * Read next: places.c. */
#include "tests/ops/quad/quad.h"

/* One axis: the window's size, its step, the zeros in front. */
typedef struct along {
    int64_t kernel, stride, padding;
} along;

typedef struct windows {
    along axis[2];
    int64_t divisor;
} windows;

static windows windows_of(const quad_call *c)
{
    windows w = {{{quad_attr_int(c, "kernel_h"), quad_attr_int(c, "stride_h"),
                   quad_attr_int(c, "padding_h")},
                  {quad_attr_int(c, "kernel_w"), quad_attr_int(c, "stride_w"),
                   quad_attr_int(c, "padding_w")}},
                 1};
    for (int i = 0; i < 2; i++)
        w.axis[i].stride = w.axis[i].stride == 0 ? w.axis[i].kernel : w.axis[i].stride;
    return w;
}

/* The same of an average. */
static windows averages_of(const quad_call *c)
{
    windows w = windows_of(c);
    w.divisor = quad_attr_int(c, "divisor");
    w.divisor = w.divisor == 0 ? w.axis[0].kernel * w.axis[1].kernel : w.divisor;
    return w;
}

/* How many windows begin and end in the image with its padding. */
static int64_t count(along a, int64_t size)
{
    int64_t n = 0;
    while (n * a.stride + a.kernel <= size + 2 * a.padding)
        n++;
    return n;
}

static tp_shape shape_of_windows(const windows *w, tp_shape x)
{
    x.dim[2] = count(w->axis[0], x.dim[2]);
    x.dim[3] = count(w->axis[1], x.dim[3]);
    return x;
}

/* Whether the window of position y holds element x of the same plane. */
static bool holds(const windows *w, const int64_t *y, const int64_t *x)
{
    bool same = y[0] == x[0] && y[1] == x[1];
    for (int i = 0; i < 2; i++) {
        int64_t from = y[2 + i] * w->axis[i].stride - w->axis[i].padding;
        same = same && x[2 + i] >= from && x[2 + i] < from + w->axis[i].kernel;
    }
    return same;
}

/* y[j] gathers the elements of x that share a window with it; the windows are y, or x. */
static void share(quad_call *c, const windows *w, tp_shape to, bool y_is_windows)
{
    quad_result(c, to, w->axis[0].kernel * w->axis[1].kernel - 1);
    for (int64_t j = 0; j < c->count; j++)
        for (int64_t i = 0; i < c->x[0].n; i++) {
            int64_t y[TP_MAX_DIMS], x[TP_MAX_DIMS];
            quad_index(to, j, y);
            quad_index(c->x[0].shape, i, x);
            if (!(y_is_windows ? holds(w, y, x) : holds(w, x, y)))
                continue;
            c->part[STRAIGHT][j] += c->x[0].at[i] / w->divisor;
            c->size[j] += fabsq(c->x[0].at[i]) / w->divisor;
        }
}

static void average(quad_call *c)
{
    windows w = averages_of(c);
    share(c, &w, shape_of_windows(&w, c->x[0].shape), true);
}

static void unpool(quad_call *c)
{
    windows w = averages_of(c);
    tp_shape to = c->x[0].shape;
    to.dim[2] = quad_attr_int(c, "height");
    to.dim[3] = quad_attr_int(c, "width");
    share(c, &w, to, false);
}

/* The largest, or where it is: the first of them. */
static void largest(quad_call *c, bool place)
{
    windows w = windows_of(c);
    tp_shape from = c->x[0].shape;
    quad_result(c, shape_of_windows(&w, from), 0);
    for (int64_t j = 0; j < c->count; j++) {
        quad best = -HUGE_VALQ;
        for (int64_t i = 0; i < c->x[0].n; i++) {
            int64_t y[TP_MAX_DIMS], x[TP_MAX_DIMS];
            quad_index(c->shape, j, y);
            quad_index(from, i, x);
            if (!holds(&w, y, x) || c->x[0].at[i] <= best)
                continue;
            best = c->x[0].at[i];
            c->part[STRAIGHT][j] = place ? x[2] * from.dim[3] + x[3] : best;
        }
    }
}

static void maximum(quad_call *c)
{
    largest(c, false);
}

static void argmax(quad_call *c)
{
    largest(c, true);
}

static void upsample(quad_call *c)
{
    tp_shape from = c->x[0].shape, to = from;
    int64_t scale[2] = {quad_attr_int(c, "scale_h"), quad_attr_int(c, "scale_w")};
    to.dim[2] *= scale[0], to.dim[3] *= scale[1];
    quad_result(c, to, 0);
    for (int64_t j = 0; j < c->count; j++) {
        int64_t at[TP_MAX_DIMS];
        quad_index(to, j, at);
        at[2] /= scale[0], at[3] /= scale[1];
        c->part[STRAIGHT][j] = c->x[0].at[quad_flat(from, at)];
    }
}

const quad_op quad_pool_ops[] = {
    {.name = "avg_pool2d", .forward = average},
    {.name = "avg_unpool2d", .forward = unpool},
    {.name = "max_pool2d", .forward = maximum},
    {.name = "argmax_pool2d", .forward = argmax},
    {.name = "upsample_nearest2d", .forward = upsample},
    {0},
};
