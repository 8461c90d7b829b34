/* parallel.h: the only door to OpenMP.
 *
 * Work is cut into chunks whose borders depend on the problem alone, or, in matmul, into rectangles whose
 * borders no element's value depends on: that is why the bits of a result do not depend on the number
 * of threads. One parallel region per operation; with one thread the body is called directly and OpenMP
 * is never entered. Nothing inside a body may allocate, print, assert or jump out. On a machine that is
 * busy with other work GOMP_SPINCOUNT=2000 keeps waiting threads from taking the cores.
 * Read next: map.c for the usual use.
 */
#ifndef TP_TENSOR_PARALLEL_H
#define TP_TENSOR_PARALLEL_H

#include <stdbool.h>
#include <stdint.h>
#include "tensor/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fixes the number of threads (0: OMP_NUM_THREADS if it is a sane number, else the number of cores) and
 * starts the pool. TP_EARG if negative or above 256. Call it before heavy work, outside other threads;
 * without a call the library runs on one thread. */
tp_status tp_set_threads(int threads);
int tp_threads(void);

/* Whether the library was built with OpenMP, and how many cores this process may use. */
bool tp_have_openmp(void);
int tp_cores(void);

/* Calls body(chunk, arg) once for every chunk in [0, chunks), on all threads; returns when all are done. */
void tp_parallel(int64_t chunks, void (*body)(int64_t chunk, void *arg), void *arg);

#ifdef __cplusplus
}
#endif
#endif
