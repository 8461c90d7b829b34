/* reference_pool.c: the naive reference of windows over images. See reference.c. */
#include "tests/fuzz/reference.h"

#include <math.h>

typedef struct windows {
    int64_t kernel[2], stride[2], padding[2];
    real divisor;
} windows;

/* The attributes as documented, or TP_EARG. */
static tp_status read_windows(const ref_call *c, bool average, windows *w)
{
    const int64_t most = (int64_t)1 << 30;
    *w = (windows){{ref_whole(c, "kernel_h"), ref_whole(c, "kernel_w")},
                   {ref_whole(c, "stride_h"), ref_whole(c, "stride_w")},
                   {ref_whole(c, "padding_h"), ref_whole(c, "padding_w")},
                   1};
    bool side_by_side = w->stride[0] == 0 && w->stride[1] == 0;
    for (int i = 0; i < 2; i++) {
        w->stride[i] = side_by_side ? w->kernel[i] : w->stride[i];
        if (w->kernel[i] < 1 || w->kernel[i] > most || w->stride[i] < 1 || w->stride[i] > most ||
            w->padding[i] < 0 || w->padding[i] > w->kernel[i] / 2)
            return TP_EARG;
    }
    /* maxima have no such field, and refuse what stands in its place */
    int64_t divisor = fuzz_whole(&tp_op_avg_pool2d, c->attr, "divisor", 0);
    w->divisor = divisor == 0 ? (real)w->kernel[0] * (real)w->kernel[1] : (real)divisor;
    return divisor < 0 || (divisor > 0 && !average) ? TP_EARG : TP_OK;
}

static bool is_images(tp_shape s)
{
    return s.ndim == 4 && s.dim[2] > 0 && s.dim[3] > 0;
}

static int64_t count(const windows *w, int i, int64_t size)
{
    int64_t room = size + 2 * w->padding[i] - w->kernel[i];
    return room < 0 ? 0 : room / w->stride[i] + 1;
}

static tp_status begin(ref_call *c, const windows *w, tp_dtype dtype)
{
    tp_shape s = c->x[0].shape;
    if (!is_images(s))
        return TP_ESHAPE;
    for (int i = 0; i < 2; i++) {
        s.dim[2 + i] = count(w, i, s.dim[2 + i]);
        if (s.dim[2 + i] < 1)
            return TP_ESHAPE;
    }
    return ref_make(c, dtype, s);
}

/* Element k = 0, 1, … that the image of shape s has in window at: its place in at, and whether there is one. */
static bool next_in(const windows *w, tp_shape s, const int64_t *window, int64_t *at)
{
    int64_t first[2], last[2];
    for (int i = 0; i < 2; i++) {
        first[i] = window[2 + i] * w->stride[i] - w->padding[i];
        last[i] = first[i] + w->kernel[i] < s.dim[2 + i] ? first[i] + w->kernel[i] : s.dim[2 + i];
        first[i] = first[i] < 0 ? 0 : first[i];
    }
    if (at[2] < 0) {
        at[0] = window[0], at[1] = window[1], at[2] = first[0], at[3] = first[1];
        return true;
    }
    if (++at[3] == last[1]) {
        at[3] = first[1];
        at[2]++;
    }
    return at[2] < last[0];
}

static tp_status avg_pool2d(ref_call *c)
{
    windows w;
    TP_TRY(read_windows(c, true, &w));
    TP_TRY(begin(c, &w, c->x[0].dtype));
    REF_EACH(c, i, index)
    {
        int64_t at[TP_MAX_DIMS] = {0, 0, -1};
        real sum = 0, size = 0, terms = 1;
        while (next_in(&w, c->x[0].shape, index, at)) {
            real x = c->x[0].v[ref_flatten(c->x[0].shape, at)];
            sum += x, size += fabsl(x), terms++;
        }
        c->y->v[i] = sum / w.divisor;
        c->y->e[i] = size * terms / w.divisor;
    }
    return TP_OK;
}

static tp_status avg_unpool2d(ref_call *c)
{
    windows w;
    tp_shape x = c->x[0].shape, y = x;
    TP_TRY(read_windows(c, true, &w));
    if (!is_images(x))
        return TP_ESHAPE;
    y.dim[2] = ref_whole(c, "height");
    y.dim[3] = ref_whole(c, "width");
    if (!is_images(y))
        return TP_ESHAPE;
    TP_TRY(tp_shape_check(y, 1));
    if (count(&w, 0, y.dim[2]) != x.dim[2] || count(&w, 1, y.dim[3]) != x.dim[3])
        return TP_ESHAPE;
    TP_TRY(ref_make(c, c->x[0].dtype, y));
    for (int64_t i = 0; c->y->v != NULL && i < c->x[0].n; i++) {
        int64_t window[TP_MAX_DIMS], at[TP_MAX_DIMS] = {0, 0, -1};
        ref_unflatten(x, i, window);
        while (next_in(&w, y, window, at)) {
            int64_t to = ref_flatten(y, at);
            c->y->v[to] += c->x[0].v[i] / w.divisor;
            c->y->e[to] +=
                fabsl(c->x[0].v[i]) * ((real)w.kernel[0] * (real)w.kernel[1] + 1) / w.divisor;
        }
    }
    return TP_OK;
}

/* The largest, or where it is in its plane: the first of equals, or of NaN. */
static tp_status largest(ref_call *c, bool place)
{
    windows w;
    tp_shape x = c->x[0].shape;
    TP_TRY(read_windows(c, false, &w));
    TP_TRY(begin(c, &w, place ? TP_I64 : c->x[0].dtype));
    REF_EACH(c, i, index)
    {
        int64_t at[TP_MAX_DIMS] = {0, 0, -1}, best = -1;
        while (next_in(&w, x, index, at)) {
            int64_t here = ref_flatten(x, at);
            real v = c->x[0].v[here], than = best < 0 ? 0 : c->x[0].v[best];
            if (best < 0 || (!isnan(than) && (isnan(v) || v > than)))
                best = here;
        }
        c->y->v[i] = place ? (real)(best % (x.dim[2] * x.dim[3])) : c->x[0].v[best];
    }
    return TP_OK;
}

static tp_status max_pool2d(ref_call *c)
{
    return largest(c, false);
}

static tp_status argmax_pool2d(ref_call *c)
{
    return largest(c, true);
}

static tp_status upsample_nearest2d(ref_call *c)
{
    int64_t scale[2] = {ref_whole(c, "scale_h"), ref_whole(c, "scale_w")};
    tp_shape x = c->x[0].shape, y = x;
    for (int i = 0; i < 2; i++)
        if (scale[i] < 1 || scale[i] > (int64_t)1 << 30)
            return TP_EARG;
    if (!is_images(x))
        return TP_ESHAPE;
    for (int i = 0; i < 2; i++) {
        if (y.dim[2 + i] > INT64_MAX / scale[i])
            return TP_ESHAPE;
        y.dim[2 + i] *= scale[i];
    }
    TP_TRY(ref_make(c, c->x[0].dtype, y));
    REF_EACH(c, i, index)
    {
        int64_t at[TP_MAX_DIMS] = {index[0], index[1], index[2] / scale[0], index[3] / scale[1]};
        c->y->v[i] = c->x[0].v[ref_flatten(x, at)];
    }
    return TP_OK;
}

const ref_row ref_pool[] = {REF_ROW(avg_pool2d),         REF_ROW(avg_unpool2d),
                            REF_ROW(max_pool2d),         REF_ROW(argmax_pool2d),
                            REF_ROW(upsample_nearest2d), {NULL, NULL}};
