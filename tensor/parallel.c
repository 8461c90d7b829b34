/* parallel.c: the one file that knows OpenMP.
 *
 * Not a task scheduler: every thread takes one contiguous range of chunks, fixed before the region
 * starts. libgomp exits the process when it cannot start a thread, so the pool is started once, in
 * tp_set_threads, and a program on one thread never enters it. Read next: map.c.
 */
#define _DEFAULT_SOURCE /* sysconf's number of processors */
#include "tensor/parallel.h"

#include <stdlib.h>
#include <unistd.h>
#ifdef _OPENMP
#    include <omp.h>
#endif

enum { MAX_THREADS = 256 };

static int thread_count = 1;
static _Thread_local bool inside_body; /* nested calls run on the thread that makes them */

bool tp_have_openmp(void)
{
#ifdef _OPENMP
    return true;
#else
    return false;
#endif
}

int tp_cores(void)
{
#ifdef _OPENMP
    int cores = omp_get_num_procs(); /* respects the process's affinity */
#else
    int cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
#endif
    return cores < 1 ? 1 : cores > MAX_THREADS ? MAX_THREADS : cores;
}

int tp_threads(void)
{
    return thread_count;
}

/* OMP_NUM_THREADS as a number ("4", or the first of "4,2"), or the number of cores. */
static int default_threads(void)
{
    const char *text = getenv("OMP_NUM_THREADS");
    char *end = NULL;
    long n = text != NULL ? strtol(text, &end, 10) : 0;
    bool sane = n >= 1 && n <= MAX_THREADS && (*end == '\0' || *end == ',');
    return sane ? (int)n : tp_cores();
}

tp_status tp_set_threads(int threads)
{
    if (threads < 0 || threads > MAX_THREADS)
        return tp_fail(TP_EARG, "%d threads: choose 1 to %d, or 0 for the default", threads,
                       MAX_THREADS);
    if (threads == 0)
        threads = default_threads();
    if (!tp_have_openmp())
        threads = 1;
    thread_count = threads;
#ifdef _OPENMP
    if (threads > 1) {
        int started = 0; /* an empty region might be optimised away */
#    pragma omp parallel num_threads(threads) shared(started)
        {
#    pragma omp single
            started = omp_get_num_threads();
        }
        thread_count = started < threads ? started : threads;
    }
#endif
    return TP_OK;
}

static void run_range(int64_t first, int64_t last, void (*body)(int64_t, void *), void *arg)
{
    bool outer = inside_body;
    inside_body = true;
    for (int64_t chunk = first; chunk < last; chunk++)
        body(chunk, arg);
    inside_body = outer;
}

void tp_parallel(int64_t chunks, void (*body)(int64_t chunk, void *arg), void *arg)
{
#ifdef _OPENMP
    int64_t threads = chunks < thread_count ? chunks : thread_count;
    if (threads > 1 && !inside_body) {
#    pragma omp parallel num_threads((int)threads)
        {
            int64_t team = omp_get_num_threads(), i = omp_get_thread_num();
            int64_t each = chunks / team, extra = chunks % team;
            int64_t first = i * each + (i < extra ? i : extra);
            run_range(first, first + each + (i < extra), body, arg);
        }
        return;
    }
#endif
    run_range(0, chunks, body, arg);
}
