/* rows_machine.c: what the machine gives, whatever the library does with it: multiply-adds, memory, and the
 * price of a parallel region. Read next: fma.c. */
#include "tests/bench/bench.h"

#include <stdlib.h>

#include "tensor/parallel.h"

static double fma_rate(void *state)
{
    (void)state;
    return bench_fma_gflops();
}

/* --- a[i] = b[i] + s·c[i] (STREAM's triad), three arrays that no cache holds -------------------- */

enum { TRIAD = 1 << 24, CHUNKS = 256 };

typedef struct triad {
    float *a, *b, *c;
} triad;

static void triad_chunk(int64_t chunk, void *arg)
{
    const triad *t = arg;
    float *restrict a = t->a;
    const float *restrict b = t->b, *restrict c = t->c;
    int64_t each = TRIAD / CHUNKS, last = (chunk + 1) * each;
    for (int64_t i = chunk * each; i < last; i++)
        a[i] = b[i] + 3 * c[i];
}

static void triad_run(void *state)
{
    tp_parallel(CHUNKS, triad_chunk, state);
}

static bool triad_begin(bench_row *r)
{
    triad *t = bench_calloc(1, sizeof *t);
    t->a = bench_calloc(TRIAD, sizeof *t->a);
    t->b = bench_calloc(TRIAD, sizeof *t->b);
    t->c = bench_calloc(TRIAD, sizeof *t->c);
    for (int64_t i = 0; i < TRIAD; i++)
        t->a[i] = t->b[i] = t->c[i] = 1; /* calloc's pages are one page of zeros until written */
    r->state = t;
    r->work = 3.0 * TRIAD * sizeof(float);
    return true;
}

static void triad_end(bench_row *r)
{
    triad *t = r->state;
    free(t->a);
    free(t->b);
    free(t->c);
    free(t);
}

/* --- an empty parallel region ------------------------------------------------------------------- */

static void nothing(int64_t chunk, void *arg)
{
    (void)chunk, (void)arg;
}

static void fork_run(void *state)
{
    (void)state;
    tp_parallel(tp_threads(), nothing, NULL);
}

void bench_rows_machine(void)
{
    bench_row *r = bench_add(BENCH_GFLOPS, "probe/fma");
    r->measure = fma_rate;

    r = bench_add(BENCH_GBS, "probe/triad");
    r->begin = triad_begin, r->run = triad_run, r->end = triad_end;

    r = bench_add(BENCH_NS, "probe/fork-join");
    r->run = fork_run;
    r->work = 1;
}
