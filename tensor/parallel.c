/* parallel.c: the one file that knows OpenMP.
 *
 * Not a task scheduler: every thread has one contiguous range of chunks, fixed before the region starts, and
 * what a slow one leaves of its range the others take. libgomp exits the process when it cannot start a
 * thread, so threads are tried out before it is asked for them, and every region of a caller is of one
 * size: libgomp lets go of threads that a smaller region leaves idle and starts new ones for the next. A
 * program on one thread never enters it.
 * Read next: map.c.
 */
#define _DEFAULT_SOURCE /* sysconf's number of processors */
#include "tensor/parallel.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef _OPENMP
#    include <limits.h>
#    include <omp.h>
#    include <pthread.h>
#    include <time.h>
#endif

#include "tensor/mem.h"

enum { MAX_THREADS = 256 };

static atomic_int wanted = 1; /* as tp_set_threads fixed it, for all that call tapir */
/* -1 outside a body; nested calls run on the thread that makes them. */
static _Thread_local int worker = -1;
/* A pool belongs to the thread that calls: what that thread asked for last, and how many it got. */
static _Thread_local int asked = 1, started = 1;

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

/* --- starting threads --------------------------------------------------------------------------- */

#ifdef _OPENMP

/* The stack that OpenMP's threads get: OMP_STACKSIZE as "512k", in kilobytes without a unit; 0: not said. A
 * size that cannot be had is another way to make libgomp exit. */
static size_t stack_size(void)
{
    static const char units[] = "bBkKmMgG"; /* 2^0, 2^10 … */
    const char *text = getenv("OMP_STACKSIZE");
    char *end;
    if (text == NULL && (text = getenv("GOMP_STACKSIZE")) == NULL)
        return 0;
    unsigned long size = strtoul(text, &end, 10);
    while (*end == ' ')
        end++;
    int shift = 10;
    for (int i = 0; units[i] != '\0'; i++)
        if (*end == units[i])
            shift = i / 2 * 10;
    return size > ULONG_MAX >> shift ? ULONG_MAX : size << shift;
}

static void *pass(void *gate)
{
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

/* How many of so many threads, the caller included, exist at a time if they are started now. */
static int startable(int threads)
{
    pthread_t id[MAX_THREADS];
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_attr_t attr;
    int n = 1;
    if (pthread_attr_init(&attr) != 0)
        return 1;
    size_t stack = stack_size();
    if (stack > 0)
        pthread_attr_setstacksize(&attr, stack); /* too small a one is refused, as OpenMP does */
    pthread_mutex_lock(&gate);
    while (n < threads && pthread_create(&id[n], &attr, pass, &gate) == 0)
        n++;
    pthread_mutex_unlock(&gate);
    for (int i = 1; i < n; i++)
        pthread_join(id[i], NULL);
    pthread_attr_destroy(&attr);
    /* A thread counts against the limits for a moment after it was joined. */
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return n;
}

static _Thread_local int pool = 1; /* OpenMP's threads that the caller has, itself included */

/* Brings the caller's pool to a number of threads, or as near as the system lets it. */
static int start(int threads)
{
    /* Those that run already stay, and only more are tried; but to fill other places OpenMP starts others. */
    bool bound = omp_get_proc_bind() != omp_proc_bind_false;
    int kept = bound ? 1 : pool;
    int team = 1; /* an empty region might be optimised away */
    if (threads > pool || (bound && threads < pool))
        threads = kept - 1 + startable(threads - kept + 1);
    if (threads > 1) {
#    pragma omp parallel num_threads(threads) shared(team)
        {
#    pragma omp single
            team = omp_get_num_threads();
        }
        pool = team;
    }
    return team < threads ? team : threads;
}

#else

static int start(int threads)
{
    (void)threads;
    return 1;
}

#endif

int tp_threads(void)
{
    int threads = atomic_load_explicit(&wanted, memory_order_relaxed);
    if (worker >= 0)
        return 1;
    if (threads != asked) {
        started = start(threads);
        asked = threads;
    }
    return started;
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
    atomic_store_explicit(&wanted, threads, memory_order_relaxed);
    asked = 0; /* try again what could not be had before */
    tp_threads();
    return TP_OK;
}

/* --- running chunks ----------------------------------------------------------------------------- */

int tp_worker(void)
{
    return worker < 0 ? 0 : worker;
}

#ifdef _OPENMP

/* A thread's own chunks: its first, and those from next to last, of which others may take. On a line of its own. */
typedef struct share {
    _Alignas(TP_ALIGN) atomic_int_fast64_t next;
    int64_t first, last;
} share;

static void deal(share *shares, int threads, int64_t chunks)
{
    int64_t first = 0;
    for (int i = 0; i < threads; i++) {
        shares[i].first = first;
        atomic_init(&shares[i].next, first + 1);
        shares[i].last = first += chunks / threads + (i < chunks % threads);
    }
}

/* Each thread takes its own chunks one by one, then what the others have not come to. The first of its own it always
 * runs: nobody can go on before it has come. A team that has fewer threads than there are shares has those run by
 * the ones it has. */
static void run_shares(share *shares, int threads, void (*body)(int64_t, void *), void *arg)
{
    int team = omp_get_num_threads();
    worker = omp_get_thread_num();
    for (int i = worker; i < threads; i += team)
        if (shares[i].first < shares[i].last)
            body(shares[i].first, arg);
    for (int i = 0; i < threads; i++) {
        share *s = &shares[(worker + i) % threads];
        int64_t chunk;
        while ((chunk = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed)) < s->last)
            body(chunk, arg);
    }
    worker = -1;
}

#endif

void tp_parallel_on(int threads, int64_t chunks, void (*body)(int64_t chunk, void *arg), void *arg)
{
#ifdef _OPENMP
    if (threads > 1 && chunks > 1) { /* all of them, though some may find no chunk */
        share shares[MAX_THREADS];
        deal(shares, threads, chunks);
#    pragma omp parallel num_threads(threads)
        run_shares(shares, threads, body, arg);
        return;
    }
#else
    (void)threads;
#endif
    int outer = worker;
    worker = 0;
    for (int64_t chunk = 0; chunk < chunks; chunk++)
        body(chunk, arg);
    worker = outer;
}

void tp_parallel(int64_t chunks, void (*body)(int64_t chunk, void *arg), void *arg)
{
    tp_parallel_on(chunks > 1 ? tp_threads() : 1, chunks, body, arg);
}
