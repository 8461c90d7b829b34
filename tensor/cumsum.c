/* cumsum.c: the driver of running sums.
 *
 * A line is what lies along the axis. A few lines are summed side by side: neighbours in memory so that
 * each step reads what a cache line holds, others so that one addition does not wait for the last.
 * Threads share the lines; a single line is the work of one. */
#include "tensor/cumsum.h"

#include <stdlib.h>

#include "tensor/iter.h"
#include "tensor/parallel.h"

enum { CHUNK = 32768, ABREAST = 8, NEIGHBOURS = 256 }; /* elements per chunk; lines at a time */

typedef struct cumsum {
    tp_iter lines; /* their first elements, of y and of x */
    tp_dtype dtype;
    int64_t n, step[2]; /* elements of a line, and how far they are apart in bytes */
    int64_t each, abreast;
} cumsum;

static void sum_lines(int64_t count, char *y, int64_t y_line, const char *x, int64_t x_line,
                      const cumsum *s)
{
    double acc[NEIGHBOURS];
    for (int64_t i = 0; i < count; i++)
        acc[i] = 0;
    for (int64_t j = 0; j < s->n; j++, y += s->step[0], x += s->step[1]) {
        if (s->dtype == TP_F32)
            for (int64_t i = 0; i < count; i++)
                *(float *)(y + i * y_line) =
                    (float)(acc[i] += (double)*(const float *)(x + i * x_line));
        else
            for (int64_t i = 0; i < count; i++)
                *(double *)(y + i * y_line) = acc[i] += *(const double *)(x + i * x_line);
    }
}

static void cumsum_run(int64_t count, char *const *ptr, const int64_t *stride, void *arg)
{
    const cumsum *s = arg;
    for (int64_t first = 0; first < count; first += s->abreast) {
        int64_t lines = count - first < s->abreast ? count - first : s->abreast;
        sum_lines(lines, ptr[0] + first * stride[0], stride[0], ptr[1] + first * stride[1],
                  stride[1], s);
    }
}

static void cumsum_chunk(int64_t chunk, void *arg)
{
    cumsum *s = arg;
    int64_t first = chunk * s->each, last = first + s->each;
    tp_iter_range(&s->lines, first, last < s->lines.numel ? last : s->lines.numel, cumsum_run, s);
}

tp_status tp_cumsum_into(tp_tensor *y, const tp_tensor *x, int axis)
{
    char a[TP_TENSOR_TEXT], b[TP_TENSOR_TEXT];
    if (!tp_dtype_is_float(x->dtype) || y->dtype != x->dtype)
        return tp_fail(TP_EDTYPE, "cumsum: input %s and result %s must be of one float type",
                       tp_tensor_text(x, a), tp_tensor_text(y, b));
    if (!tp_shape_equal(x->shape, y->shape))
        return tp_fail(TP_ESHAPE, "cumsum: input %s and result %s must have one shape",
                       tp_tensor_text(x, a), tp_tensor_text(y, b));
    if (tp_may_overlap(y))
        return tp_fail(TP_EARG, "cumsum: the elements of the result %s share memory",
                       tp_tensor_text(y, a));
    TP_TRY(tp_axis_normal(x->shape.ndim, axis, &axis));
    if (tp_numel(x) == 0)
        return TP_OK;
    int64_t size = tp_dtype_size(x->dtype);
    cumsum s = {.dtype = x->dtype,
                .n = x->shape.dim[axis],
                .step = {y->stride[axis] * size, x->stride[axis] * size}};
    tp_tensor y0, x0;
    TP_TRY(tp_view_select(y, axis, 0, &y0));
    TP_TRY(tp_view_select(x, axis, 0, &x0));
    TP_TRY(tp_iter_init(&s.lines, 2, (const tp_tensor *[]){&y0, &x0}));
    int64_t apart = llabs((long long)s.lines.stride[1][s.lines.ndim - 1]);
    s.abreast = apart < llabs((long long)s.step[1]) ? NEIGHBOURS : ABREAST;
    s.each = CHUNK / s.n + 1;
    tp_data_mut(y);
    tp_parallel((s.lines.numel + s.each - 1) / s.each, cumsum_chunk, &s);
    return TP_OK;
}
