/* map.c: the driver of elementwise kernels.
 *
 * Kernels know contiguous memory only. A run whose operands are not is cut into blocks that pass
 * through small buffers in the first-level cache; a repeated scalar fills its buffer once per run. So
 * each kernel is one loop, and every layout is computed by the same vector code.
 * Read next: kernels/map.inc.
 */
#include "tensor/map.h"

#include <string.h>

#include "tensor/iter.h"
#include "tensor/kernels/kernels.h"
#include "tensor/layout.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

/* A region costs about a microsecond, which is what SERIAL_BELOW cheap elements cost. Chunks are small so that
 * the threads get equal shares of a few ten thousand. */
enum { MAX_ARITY = 3, BLOCK = 256, CHUNK = 2048, SERIAL_BELOW = 8 * CHUNK };

static const struct {
    const char *name;
    int arity;
} rows[] = {
#define TP_MAP(name, arity, ...) {#name, arity},
#include "tensor/kernels.def"
#undef TP_MAP
};

typedef struct map_work {
    tp_iter it;
    int64_t size; /* of an element */
    int arity;
    tp_map_fn kernel;
    double p[2];
} map_work;

static void scatter(int64_t n, char *to, int64_t stride, const char *from, int64_t size)
{
    for (int64_t i = 0; i < n; i++)
        memcpy(to + i * stride, from + i * size, (size_t)size);
}

static void strided_run(int64_t count, char *const *ptr, const int64_t *stride, const map_work *w)
{
    _Alignas(TP_ALIGN) char buffer[1 + MAX_ARITY][BLOCK * sizeof(double)];
    const void *x[MAX_ARITY];
    int64_t size = w->size;
    for (int64_t first = 0; first < count; first += BLOCK) {
        int64_t n = count - first < BLOCK ? count - first : BLOCK;
        for (int k = 0; k < w->arity; k++) {
            const char *from = ptr[k + 1] + first * stride[k + 1];
            x[k] = stride[k + 1] == size ? from : buffer[k + 1];
            if (stride[k + 1] != size && (stride[k + 1] != 0 || first == 0))
                tp_gather_run(n, buffer[k + 1], from, stride[k + 1], size);
        }
        char *to = ptr[0] + first * stride[0];
        w->kernel(n, stride[0] == size ? to : buffer[0], x, w->p);
        if (stride[0] != size)
            scatter(n, to, stride[0], buffer[0], size);
    }
}

static void map_run(int64_t count, char *const *ptr, const int64_t *stride, void *arg)
{
    const map_work *w = arg;
    const void *x[MAX_ARITY];
    bool contiguous = stride[0] == w->size;
    for (int k = 0; k < w->arity; k++) {
        x[k] = ptr[k + 1];
        contiguous = contiguous && stride[k + 1] == w->size;
    }
    if (contiguous || count == 1)
        w->kernel(count, ptr[0], x, w->p);
    else
        strided_run(count, ptr, stride, w);
}

static void map_chunk(int64_t chunk, void *arg)
{
    map_work *w = arg;
    int64_t first = chunk * CHUNK, last = first + CHUNK;
    tp_iter_range(&w->it, first, last < w->it.numel ? last : w->it.numel, map_run, w);
}

static tp_status check(tp_map_kernel kernel, const tp_tensor *y, const tp_tensor *const *x)
{
    char a[TP_TENSOR_TEXT], b[TP_TENSOR_TEXT];
    if (!tp_dtype_is_float(y->dtype))
        return tp_fail(TP_EDTYPE, "map %s: result %s is not of a float type", rows[kernel].name,
                       tp_tensor_text(y, a));
    for (int k = 0; k < rows[kernel].arity; k++)
        if (x[k]->dtype != y->dtype)
            return tp_fail(TP_EDTYPE, "map %s: input %d is %s, the result %s", rows[kernel].name, k,
                           tp_tensor_text(x[k], a), tp_tensor_text(y, b));
    if (tp_may_overlap(y))
        return tp_fail(TP_EARG, "map %s: the elements of the result %s share memory",
                       rows[kernel].name, tp_tensor_text(y, a));
    return TP_OK;
}

/* Pictures that lie channels-last are walked in that order. */
static tp_status prepare(map_work *w, const tp_tensor *y, const tp_tensor *const *x)
{
    const tp_tensor *operands[1 + MAX_ARITY] = {y};
    tp_tensor turned[1 + MAX_ARITY];
    bool last = tp_is_channels_last(y);
    for (int k = 0; k < w->arity; k++) {
        operands[k + 1] = x[k];
        last = last && x[k]->shape.ndim <= 4;
    }
    for (int k = 0; k <= w->arity && last; k++) {
        turned[k] = tp_view_channels_last(operands[k]);
        operands[k] = &turned[k];
    }
    return tp_iter_init(&w->it, 1 + w->arity, operands);
}

tp_status tp_map(tp_map_kernel kernel, tp_tensor *y, const tp_tensor *const *x, const double *p)
{
    if ((int)kernel < 0 || kernel >= TP_MAP_KERNEL_COUNT)
        return tp_fail(TP_EARG, "there is no map kernel number %d", (int)kernel);
    TP_TRY(check(kernel, y, x));
    map_work w; /* its iterator is large: an initialiser would clear it first */
    w.size = tp_dtype_size(y->dtype);
    w.arity = rows[kernel].arity;
    w.kernel = tp_kernels_get()->map[kernel][y->dtype];
    w.p[0] = p != NULL ? p[0] : 0;
    w.p[1] = p != NULL ? p[1] : 0;
    TP_TRY(prepare(&w, y, x));
    if (w.it.numel == 0)
        return TP_OK;
    tp_data_mut(y);
    if (w.it.numel < SERIAL_BELOW)
        tp_iter_range(&w.it, 0, w.it.numel, map_run, &w);
    else
        tp_parallel((w.it.numel + CHUNK - 1) / CHUNK, map_chunk, &w);
    return TP_OK;
}
