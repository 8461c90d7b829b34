/* scan.c: the driver of scans.
 *
 * Chunks answer for themselves; a chunk that finds something raises a flag, which only ever goes up, so the
 * answer cannot depend on the threads. Read next: kernels/scan.inc.
 */
#include "tensor/scan.h"

#include <float.h>
#include <stdatomic.h>

#include "tensor/iter.h"
#include "tensor/kernels/kernels.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

enum { CHUNK = 1 << 15, BLOCK = 256 }; /* elements per chunk; gathered elements at a time */

typedef struct scan {
    tp_iter it;
    tp_within_fn within;
    int64_t size; /* of an element */
    double low, high;
    atomic_bool outside;
} scan;

static void scan_run(int64_t count, char *const *ptr, const int64_t *stride, void *arg)
{
    scan *s = arg;
    _Alignas(TP_ALIGN) double buffer[BLOCK];
    bool inside = true;
    if (stride[0] == s->size)
        inside = s->within(count, ptr[0], s->low, s->high);
    else
        for (int64_t first = 0; first < count; first += BLOCK) {
            int64_t n = count - first < BLOCK ? count - first : BLOCK;
            tp_gather_run(n, buffer, ptr[0] + first * stride[0], stride[0], s->size);
            inside = s->within(n, buffer, s->low, s->high) && inside;
        }
    if (!inside)
        atomic_store_explicit(&s->outside, true, memory_order_relaxed);
}

static void scan_chunk(int64_t chunk, void *arg)
{
    scan *s = arg;
    int64_t first = chunk * CHUNK, end = first + CHUNK;
    tp_iter_range(&s->it, first, end < s->it.numel ? end : s->it.numel, scan_run, s);
}

bool tp_all_within(const tp_tensor *x, double low, double high)
{
    scan s = {.within = tp_kernels_get()->within[x->dtype],
              .size = tp_dtype_size(x->dtype),
              .low = low,
              .high = high};
    (void)tp_iter_init(&s.it, 1, &x); /* one operand fits itself */
    tp_parallel((s.it.numel + CHUNK - 1) / CHUNK, scan_chunk, &s);
    return !atomic_load_explicit(&s.outside, memory_order_relaxed);
}

bool tp_all_finite(const tp_tensor *x)
{
    return tp_all_within(x, -DBL_MAX, DBL_MAX);
}

int64_t tp_first_outside(const tp_tensor *x, double low, double high)
{
    if (tp_all_within(x, low, high))
        return -1;
    int64_t i = 0;
    while (tp_flat(x, i) >= low && tp_flat(x, i) <= high)
        i++;
    return i;
}
