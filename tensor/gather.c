/* gather.c: picking elements by index, through the iterator.
 *
 * The trick: a view of x whose stride along axis is 0 points, for every element of index, at the place
 * where that axis starts; the index times the true stride does the rest. So no layout is special.
 * Scatter-add walks with axis innermost and gives whole lines of it to one thread, which fixes the order
 * of additions. Read next: iter.h.
 */
#include "tensor/gather.h"

#include <string.h>

#include "tensor/iter.h"
#include "tensor/kernels/kernels.h"
#include "tensor/parallel.h"

enum { CHUNK = 1 << 14 }; /* elements; a constant, so that threads never change the cuts */

char *tp_index_text(tp_shape s, int64_t flat, char text[TP_SHAPE_TEXT])
{
    tp_shape at = {s.ndim, {0}};
    for (int i = s.ndim - 1; i >= 0; i--) {
        at.dim[i] = flat % s.dim[i];
        flat /= s.dim[i];
    }
    return tp_shape_text(at, text);
}

/* --- what gather and scatter-add share ---------------------------------------------------------- */

/* Looks for the first index outside [0, size). */
typedef struct range_check {
    int64_t size, seen, bad, value; /* bad: row-major position or -1 */
} range_check;

static void check_run(int64_t n, char *const *ptr, const int64_t *stride, void *arg)
{
    range_check *c = arg;
    for (int64_t i = 0; i < n && c->bad < 0; i++) {
        int64_t v = *(const int64_t *)(ptr[0] + i * stride[0]);
        if (v < 0 || v >= c->size) {
            c->bad = c->seen + i;
            c->value = v;
        }
    }
    c->seen += n;
}

/* whole: the tensor with the full axis (x, or y of scatter-add); part: the other one. */
static tp_status validate(const char *op, const tp_tensor *whole, const tp_tensor *part,
                          const tp_tensor *index, int *axis)
{
    char a[TP_TENSOR_TEXT], b[TP_TENSOR_TEXT];
    if (index->dtype != TP_I64)
        return tp_fail(TP_EDTYPE, "%s: index is %s, expected i64", op, tp_tensor_text(index, a));
    if (whole->dtype != part->dtype)
        return tp_fail(TP_EDTYPE, "%s: %s and %s differ in element type", op,
                       tp_tensor_text(whole, a), tp_tensor_text(part, b));
    if (!tp_shape_equal(part->shape, index->shape))
        return tp_fail(TP_ESHAPE, "%s: %s must have the shape of index %s", op,
                       tp_tensor_text(part, a), tp_tensor_text(index, b));
    if (whole->shape.ndim != index->shape.ndim)
        return tp_fail(TP_ESHAPE, "%s: index %s must have as many dimensions as %s", op,
                       tp_tensor_text(index, a), tp_tensor_text(whole, b));
    tp_status s = tp_axis_normal(whole->shape.ndim, *axis, axis);
    if (s != TP_OK) {
        tp_fail_prefix("%s: ", op);
        return s;
    }
    for (int d = 0; d < whole->shape.ndim; d++)
        if (d != *axis && index->shape.dim[d] > whole->shape.dim[d])
            return tp_fail(TP_ESHAPE,
                           "%s: index %s is larger than %s\n  axis %d: %lld against %lld", op,
                           tp_tensor_text(index, a), tp_tensor_text(whole, b), d,
                           (long long)index->shape.dim[d], (long long)whole->shape.dim[d]);
    tp_iter it;
    range_check c = {whole->shape.dim[*axis], 0, -1, 0};
    TP_TRY(tp_iter_init(&it, 1, &index));
    tp_iter_range(&it, 0, it.numel, check_run, &c);
    if (c.bad >= 0)
        return tp_fail(TP_EVALUE, "%s: index%s = %lld is outside axis %d of %s (size %lld)", op,
                       tp_index_text(index->shape, c.bad, a), (long long)c.value, *axis,
                       tp_tensor_text(whole, b), (long long)c.size);
    return TP_OK;
}

static tp_status refuse_overlap(const char *op, const tp_tensor *y)
{
    char a[TP_TENSOR_TEXT];
    if (tp_may_overlap(y))
        return tp_fail(TP_EARG, "%s: y %s overlaps itself (an expanded view?), cannot write it", op,
                       tp_tensor_text(y, a));
    return TP_OK;
}

/* The view of whole that stays at the start of axis while index is walked. */
static tp_tensor line_starts(const tp_tensor *whole, const tp_tensor *index, int axis)
{
    tp_tensor v = *whole;
    v.shape = index->shape;
    v.stride[axis] = 0;
    v.owns = false;
    return v;
}

/* --- gather ------------------------------------------------------------------------------------- */

typedef struct gather_job {
    tp_iter it;   /* y, index, starts of the lines of x */
    int64_t step; /* bytes between neighbours along axis of x */
    tp_dtype dtype;
} gather_job;

static void gather_run(int64_t n, char *const *ptr, const int64_t *stride, void *arg)
{
    const gather_job *g = arg;
#define GATHER(T)                                                                                  \
    for (int64_t i = 0; i < n; i++)                                                                \
    *(T *)(ptr[0] + i * stride[0]) = *(                                                            \
        const T *)(ptr[2] + i * stride[2] + *(const int64_t *)(ptr[1] + i * stride[1]) * g->step)
    switch (g->dtype) {
    case TP_F32:
        GATHER(float);
        break;
    case TP_F64:
        GATHER(double);
        break;
    case TP_I64:
        GATHER(int64_t);
        break;
    default:
        GATHER(unsigned char);
    }
#undef GATHER
}

static void gather_chunk(int64_t chunk, void *arg)
{
    gather_job *g = arg;
    int64_t end = (chunk + 1) * CHUNK < g->it.numel ? (chunk + 1) * CHUNK : g->it.numel;
    tp_iter_range(&g->it, chunk * CHUNK, end, gather_run, g);
}

tp_status tp_gather_into(tp_tensor *y, const tp_tensor *x, const tp_tensor *index, int axis)
{
    TP_TRY(validate("gather", x, y, index, &axis));
    TP_TRY(refuse_overlap("gather", y));
    if (tp_numel(y) == 0)
        return TP_OK;
    tp_tensor starts = line_starts(x, index, axis);
    const tp_tensor *operands[3] = {y, index, &starts};
    gather_job g = {.step = x->stride[axis] * tp_dtype_size(x->dtype), .dtype = x->dtype};
    TP_TRY(tp_iter_init(&g.it, 3, operands));
    tp_data_mut(y);
    tp_parallel((g.it.numel + CHUNK - 1) / CHUNK, gather_chunk, &g);
    return TP_OK;
}

/* --- scatter-add -------------------------------------------------------------------------------- */

typedef struct scatter_job {
    tp_iter it; /* src, index, starts of the lines of y; axis innermost */
    int64_t step, length, lines, lines_per_chunk;
    tp_dtype dtype;
} scatter_job;

static void scatter_run(int64_t n, char *const *ptr, const int64_t *stride, void *arg)
{
    const scatter_job *s = arg;
#define SCATTER(T)                                                                                 \
    for (int64_t i = 0; i < n; i++)                                                                \
    *(T *)(ptr[2] + i * stride[2] + *(const int64_t *)(ptr[1] + i * stride[1]) * s->step) +=       \
        *(const T *)(ptr[0] + i * stride[0])
    if (s->dtype == TP_F32)
        SCATTER(float);
    else
        SCATTER(double);
#undef SCATTER
}

static void scatter_chunk(int64_t chunk, void *arg)
{
    scatter_job *s = arg;
    int64_t first = chunk * s->lines_per_chunk, end = first + s->lines_per_chunk;
    tp_iter_range(&s->it, first * s->length, (end < s->lines ? end : s->lines) * s->length,
                  scatter_run, s);
}

tp_status tp_scatter_add_into(tp_tensor *y, const tp_tensor *src, const tp_tensor *index, int axis)
{
    char text[TP_TENSOR_TEXT];
    if (!tp_dtype_is_float(y->dtype))
        return tp_fail(TP_EDTYPE, "scatter_add: y is %s, expected f32 or f64",
                       tp_tensor_text(y, text));
    TP_TRY(validate("scatter_add", y, src, index, &axis));
    TP_TRY(refuse_overlap("scatter_add", y));
    if (tp_numel(src) == 0)
        return TP_OK;
    tp_tensor starts = line_starts(y, index, axis), src_t, index_t, starts_t;
    tp_axes last = {y->shape.ndim, {0}}; /* axis moved to the end: lines become consecutive */
    for (int d = 0, n = 0; d < y->shape.ndim; d++)
        if (d != axis)
            last.axis[n++] = d;
    last.axis[y->shape.ndim - 1] = axis;
    TP_TRY(tp_view_permute(src, last, &src_t));
    TP_TRY(tp_view_permute(index, last, &index_t));
    TP_TRY(tp_view_permute(&starts, last, &starts_t));
    const tp_tensor *operands[3] = {&src_t, &index_t, &starts_t};
    scatter_job s = {.step = y->stride[axis] * tp_dtype_size(y->dtype),
                     .length = index->shape.dim[axis],
                     .dtype = y->dtype};
    TP_TRY(tp_iter_init(&s.it, 3, operands));
    s.lines = s.it.numel / s.length;
    s.lines_per_chunk = s.length < CHUNK ? CHUNK / s.length : 1;
    tp_data_mut(y);
    tp_parallel((s.lines + s.lines_per_chunk - 1) / s.lines_per_chunk, scatter_chunk, &s);
    return TP_OK;
}

/* --- rows of a data set ------------------------------------------------------------------------- */

enum { ROWS_CHUNK = 1 << 12 }; /* elements: a minibatch is small, and its rows wait for memory */

typedef struct rows_job {
    tp_iter row; /* row 0 of y and of x; other rows shift the bases */
    int64_t y_step, x_step, n, rows_per_chunk;
    const int64_t *rows;
    tp_scaled_fn scaled;
    int64_t y_size, x_size; /* of an element */
    double scale;
} rows_job;

static void rows_run(int64_t n, char *const *ptr, const int64_t *stride, void *arg)
{
    const rows_job *r = arg;
    if (stride[0] == r->y_size && stride[1] == r->x_size)
        r->scaled(n, ptr[0], ptr[1], r->scale);
    else
        for (int64_t i = 0; i < n; i++)
            r->scaled(1, ptr[0] + i * stride[0], ptr[1] + i * stride[1], r->scale);
}

/* Shuffled rows lie far apart, where the processor cannot guess them: twice as fast for MNIST. */
static void ask_early(const char *row, int64_t bytes)
{
    for (int64_t b = 0; b < bytes && b < 4096; b += 64)
        __builtin_prefetch(row + b);
}

static void rows_chunk(int64_t chunk, void *arg)
{
    rows_job *r = arg;
    int64_t first = chunk * r->rows_per_chunk, end = first + r->rows_per_chunk;
    tp_iter it = r->row;
    for (int64_t i = first; i < end && i < r->n; i++) {
        it.base[0] = r->row.base[0] + i * r->y_step;
        it.base[1] = r->row.base[1] + r->rows[i] * r->x_step;
        if (i + 2 < r->n) /* in the next chunk too: it is likely to be ours */
            ask_early(r->row.base[1] + r->rows[i + 2] * r->x_step, r->x_step);
        tp_iter_range(&it, 0, it.numel, rows_run, r);
    }
}

static tp_status validate_rows(const tp_tensor *y, const tp_tensor *x, const int64_t *rows,
                               int64_t n)
{
    char a[TP_TENSOR_TEXT], b[TP_TENSOR_TEXT];
    if (!tp_dtype_is_float(y->dtype) || x->dtype == TP_I64)
        return tp_fail(TP_EDTYPE, "gather_rows: %s from %s, expected floats from u8 or floats",
                       tp_tensor_text(y, a), tp_tensor_text(x, b));
    bool fits = x->shape.ndim > 0 && x->shape.ndim == y->shape.ndim && y->shape.dim[0] == n;
    for (int d = 1; fits && d < x->shape.ndim; d++)
        fits = x->shape.dim[d] == y->shape.dim[d];
    if (!fits)
        return tp_fail(TP_ESHAPE, "gather_rows: %s cannot hold %lld rows of %s",
                       tp_tensor_text(y, a), (long long)n, tp_tensor_text(x, b));
    TP_TRY(refuse_overlap("gather_rows", y));
    for (int64_t i = 0; i < n; i++)
        if (rows[i] < 0 || rows[i] >= x->shape.dim[0])
            return tp_fail(TP_EVALUE, "gather_rows: rows[%lld] = %lld is outside %s", (long long)i,
                           (long long)rows[i], tp_tensor_text(x, a));
    return TP_OK;
}

tp_status tp_gather_rows(tp_tensor *y, const tp_tensor *x, const int64_t *rows, int64_t n,
                         double scale)
{
    TP_TRY(validate_rows(y, x, rows, n));
    if (tp_numel(y) == 0)
        return TP_OK;
    tp_tensor y0, x0;
    TP_TRY(tp_view_select(y, 0, 0, &y0));
    TP_TRY(tp_view_select(x, 0, 0, &x0));
    const tp_tensor *operands[2] = {&y0, &x0};
    rows_job r = {.n = n,
                  .rows = rows,
                  .scaled = tp_kernels_get()->scaled[x->dtype][y->dtype],
                  .y_size = tp_dtype_size(y->dtype),
                  .x_size = tp_dtype_size(x->dtype),
                  .scale = scale};
    r.y_step = y->stride[0] * r.y_size;
    r.x_step = x->stride[0] * r.x_size;
    TP_TRY(tp_iter_init(&r.row, 2, operands));
    r.rows_per_chunk = r.row.numel < ROWS_CHUNK ? ROWS_CHUNK / r.row.numel : 1;
    tp_data_mut(y);
    tp_parallel((n + r.rows_per_chunk - 1) / r.rows_per_chunk, rows_chunk, &r);
    return TP_OK;
}
