/* iter.h: the only stride arithmetic in tapir.
 *
 * An iterator walks several tensors together over the shape of the first, broadcasting the others,
 * after dropping axes of size 1 and merging axes that are contiguous in every operand. Drivers
 * (map.c, reduce.c, tensor.c) ask it for runs: stretches along the innermost axis that a kernel gets as
 * pointers and byte strides. Runs can start at any element, so a thread can take any slice of the work.
 * Read next: map.h.
 */
#ifndef TP_TENSOR_ITER_H
#define TP_TENSOR_ITER_H

#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TP_MAX_OPERANDS = 6 };

typedef struct tp_iter {
    int n, ndim;
    int64_t numel;
    int64_t dim[TP_MAX_DIMS];
    int64_t stride[TP_MAX_OPERANDS][TP_MAX_DIMS]; /* in bytes */
    char *base[TP_MAX_OPERANDS];
} tp_iter;

/* Prepares n operands; operands 1… broadcast to the shape of operand 0. TP_ESHAPE if they do not. */
tp_status tp_iter_init(tp_iter *it, int n, const tp_tensor *const *operands);

/* Called with a run of count elements: ptr[i] is operand i's first, stride[i] its step in bytes. */
typedef void (*tp_run_fn)(int64_t count, char *const *ptr, const int64_t *stride, void *arg);

/* Visits elements first … last-1 (numbered row-major over the merged shape) in order, run by run. */
void tp_iter_range(const tp_iter *it, int64_t first, int64_t last, tp_run_fn run, void *arg);

#ifdef __cplusplus
}
#endif
#endif
