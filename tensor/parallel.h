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

/* Fixes the number of threads (0: OMP_NUM_THREADS if it is a sane number, else the number of cores) for all
 * threads that call tapir, and starts the caller's pool. TP_EARG if negative or above 256. Without a call the
 * library runs on one thread. May be called again, between operations, from several threads at once: the last
 * call holds, and no result depends on it.
 *
 * OpenMP keeps a pool for each thread that calls: the first operation of another thread starts that one's. A
 * program that trains on p threads at a time with n threads each therefore runs p·n, and does better with
 * tp_set_threads(1). Where the system starts fewer threads than asked for (RLIMIT_NPROC, the limit of a
 * container, no memory for stacks) the ones it starts are used. They are tried out just before OpenMP, which
 * would end the process, is asked for them; what other processes take in that moment nobody can know. After
 * fork a child may not enter a pool that its parent has started: fork before, or use posix_spawn. */
tp_status tp_set_threads(int threads);
/* How many threads the operations of the calling thread run on; starts its pool if it has none yet. */
int tp_threads(void);

/* Whether the library was built with OpenMP, and how many cores this process may use. */
bool tp_have_openmp(void);
int tp_cores(void);

/* Calls body(chunk, arg) once for every chunk in [0, chunks), on all threads; returns when all are done. Each
 * thread has a range of them, which it takes one by one, and when it is through it takes what is left of the
 * others': who computes a chunk may not matter. */
void tp_parallel(int64_t chunks, void (*body)(int64_t chunk, void *arg), void *arg);
/* The same on so many threads, a number that tp_threads() gave: what another caller sets meanwhile does not count. */
void tp_parallel_on(int threads, int64_t chunks, void (*body)(int64_t chunk, void *arg), void *arg);
/* Within a body: which of those threads runs it, from 0, for memory of its own. */
int tp_worker(void);

#ifdef __cplusplus
}
#endif
#endif
