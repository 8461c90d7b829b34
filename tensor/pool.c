/* pool.c: see pool.h; the loops stand in pool.inc. Planes are cut into chunks by their size alone. */
#include "tensor/pool.h"

#include <string.h>

#include "tensor/mem.h"
#include "tensor/parallel.h"

enum {
    MOST = 1 << 30,
    CHUNK = 1 << 14,
    BLOCK = 64
};                        /* chunks of so many elements; windows at a time */
enum { EXACT = 1 << 24 }; /* up to here a float holds whole numbers */

tp_status tp_pool_opts_check(tp_pool_opts *o)
{
    for (int i = 0; i < 2; i++)
        if (o->kernel[i] < 1 || o->kernel[i] > MOST)
            return tp_fail(TP_EARG, "kernel %lld,%lld: from 1 to 2^30 needed",
                           (long long)o->kernel[0], (long long)o->kernel[1]);
    if (o->stride[0] == 0 && o->stride[1] == 0)
        memcpy(o->stride, o->kernel, sizeof o->stride);
    for (int i = 0; i < 2; i++)
        if (o->stride[i] < 1 || o->stride[i] > MOST)
            return tp_fail(TP_EARG, "stride %lld,%lld: from 1 to 2^30 needed",
                           (long long)o->stride[0], (long long)o->stride[1]);
    for (int i = 0; i < 2; i++)
        if (o->padding[i] < 0 || o->padding[i] > o->kernel[i] / 2)
            return tp_fail(TP_EARG, "padding %lld,%lld: from 0 to half the kernel %lld,%lld needed",
                           (long long)o->padding[0], (long long)o->padding[1],
                           (long long)o->kernel[0], (long long)o->kernel[1]);
    if (o->divisor < 0)
        return tp_fail(TP_EARG, "divisor %lld: at least 1 needed", (long long)o->divisor);
    o->divisor = o->divisor == 0 ? o->kernel[0] * o->kernel[1] : o->divisor;
    return TP_OK;
}

int64_t tp_pool_windows(const tp_pool_opts *o, int axis, int64_t size)
{
    int64_t room = size + 2 * o->padding[axis] - o->kernel[axis];
    return room < 0 ? 0 : room / o->stride[axis] + 1;
}

/* --- windows -------------------------------------------------------------------------------------- */

typedef struct span {
    int64_t first, last; /* one behind it */
} span;

typedef struct pool {
    tp_pool_opts o;
    int64_t h, w, oh, ow, planes, each; /* each: planes of a chunk */
    span inside;                        /* the windows of a row that padding does not touch */
    bool apart;                         /* windows tile the image from its corner on */
    const void *in, *gy;
    void *out;
    void (*plane)(const struct pool *p, int64_t plane);
} pool;

/* The rows (axis 0) or columns of the image in window i. */
static inline span within(const pool *p, int axis, int64_t i)
{
    int64_t size = axis == 0 ? p->h : p->w, first = i * p->o.stride[axis] - p->o.padding[axis];
    int64_t last = first + p->o.kernel[axis];
    return (span){first < 0 ? 0 : first, last > size ? size : last};
}

/* The e-th window of a row that is not inside. */
static inline int64_t edge(const pool *p, int64_t e)
{
    return e < p->inside.first ? e : e - p->inside.first + p->inside.last;
}

static span windows_inside(const pool *p)
{
    int64_t s = p->o.stride[1], pad = p->o.padding[1], room = p->w + pad - p->o.kernel[1];
    int64_t first = (pad + s - 1) / s, last = room < 0 ? 0 : room / s + 1;
    last = last > p->ow ? p->ow : last;
    return first < last ? (span){first, last} : (span){0, 0};
}

#define T float
#define K(name) name##_f32
#include "tensor/pool.inc"
#undef T
#undef K
#define T double
#define K(name) name##_f64
#include "tensor/pool.inc"

/* --- drivers -------------------------------------------------------------------------------------- */

static void run_chunk(int64_t chunk, void *arg)
{
    const pool *p = arg;
    int64_t first = chunk * p->each, last = first + p->each;
    for (int64_t plane = first; plane < (last < p->planes ? last : p->planes); plane++)
        p->plane(p, plane);
}

/* x [n,c,h,w] and its windows y [n,c,oh,ow]; out is one of them, or of such a shape. */
static void run(pool *p, tp_shape x, tp_shape y, tp_tensor *out)
{
    p->h = x.dim[2], p->w = x.dim[3], p->oh = y.dim[2], p->ow = y.dim[3];
    p->planes = x.dim[0] * x.dim[1];
    p->each = CHUNK / (p->h * p->w) + 1;
    p->inside = windows_inside(p);
    p->apart = memcmp(p->o.kernel, p->o.stride, sizeof p->o.stride) == 0 && p->o.padding[0] == 0 &&
               p->o.padding[1] == 0;
    p->out = tp_data_mut(out);
    tp_parallel((p->planes + p->each - 1) / p->each, run_chunk, p);
}

/* x itself where it is contiguous, else a copy; to be given back with tp_tensor_drop. */
static tp_status contiguous(const tp_tensor *x, struct tp_arena *scratch, tp_tensor *copy,
                            const void **data)
{
    *copy = (tp_tensor){0};
    if (!tp_is_contiguous(x)) {
        TP_TRY(tp_arena_tensor(scratch, copy, x->dtype, x->shape));
        TP_TRY(tp_copy(copy, x));
        x = copy;
    }
    *data = tp_data(x);
    return TP_OK;
}

static tp_status run_on(pool *p, const tp_tensor *in, tp_shape x, tp_shape y, tp_tensor *out,
                        struct tp_arena *scratch)
{
    tp_tensor copy;
    if (tp_numel(out) == 0)
        return TP_OK;
    TP_TRY(contiguous(in, scratch, &copy, &p->in));
    run(p, x, y, out);
    tp_tensor_drop(&copy);
    return TP_OK;
}

tp_status tp_pool_average(tp_tensor *y, const tp_tensor *x, const tp_pool_opts *o,
                          struct tp_arena *scratch)
{
    pool p = {.o = *o, .plane = x->dtype == TP_F32 ? average_plane_f32 : average_plane_f64};
    return run_on(&p, x, x->shape, y->shape, y, scratch);
}

tp_status tp_pool_spread(tp_tensor *x, const tp_tensor *y, const tp_pool_opts *o,
                         struct tp_arena *scratch)
{
    pool p = {.o = *o, .plane = y->dtype == TP_F32 ? spread_plane_f32 : spread_plane_f64};
    return run_on(&p, y, x->shape, y->shape, x, scratch);
}

tp_status tp_pool_max(tp_tensor *y, const tp_tensor *x, const tp_pool_opts *o,
                      struct tp_arena *scratch)
{
    pool p = {.o = *o, .plane = x->dtype == TP_F32 ? max_plane_f32 : max_plane_f64};
    if (y->dtype == TP_I64)
        p.plane = x->dtype == TP_F32 ? argmax_plane_f32 : argmax_plane_f64;
    return run_on(&p, x, x->shape, y->shape, y, scratch);
}

tp_status tp_pool_max_adjoint(tp_tensor *gx, const tp_tensor *gy, const tp_tensor *x,
                              const tp_pool_opts *o, struct tp_arena *scratch)
{
    pool p = {.o = *o, .plane = x->dtype == TP_F32 ? max_adjoint_plane_f32 : max_adjoint_plane_f64};
    tp_tensor copy;
    if (tp_numel(gx) == 0)
        return TP_OK;
    TP_TRY(contiguous(gy, scratch, &copy, &p.gy));
    tp_status s = run_on(&p, x, x->shape, gy->shape, gx, scratch);
    tp_tensor_drop(&copy);
    return s;
}
