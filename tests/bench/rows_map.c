/* rows_map.c: every elementwise kernel of kernels.def, and reductions, on arrays that fit in half of one
 * core's second-level cache. GB/s counts each input read and the output written once. */
#define _DEFAULT_SOURCE /* sysconf's cache sizes */
#include "tests/bench/bench.h"

#include <stdlib.h>
#include <unistd.h>

#include "tensor/map.h"
#include "tensor/reduce.h"

enum { MAX_ARITY = 4 };

static int64_t half_of_l2(void)
{
    long bytes = 0;
#ifdef _SC_LEVEL2_CACHE_SIZE
    bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    return (bytes > 0 ? bytes : 1 << 20) / 2;
}

/* --- elementwise -------------------------------------------------------------------------------- */

typedef struct map {
    tp_map_kernel kernel;
    int arity;
    tp_tensor x[MAX_ARITY], y;
} map;

static void map_run(void *state)
{
    map *m = state;
    static const double p[2] = {0.25, 0.75};
    const tp_tensor *x[MAX_ARITY] = {&m->x[0], &m->x[1], &m->x[2], &m->x[3]};
    bench_must(tp_map(m->kernel, &m->y, x, p));
}

static bool map_begin(bench_row *r)
{
    map *m = bench_calloc(1, sizeof *m);
    m->kernel = (tp_map_kernel)r->arg[0];
    m->arity = (int)r->arg[1];
    int64_t n = half_of_l2() / (m->arity + 1) / (int64_t)sizeof(float);
    for (int i = 0; i < m->arity; i++)
        m->x[i] = bench_uniform(TP_SHAPE(n), 0.1 + 0.1 * i, 0.9); /* in every kernel's domain */
    bench_must(tp_tensor_new(&m->y, TP_F32, TP_SHAPE(n)));
    r->state = m;
    r->work = (double)(m->arity + 1) * (double)n * sizeof(float);
    return true;
}

static void map_end(bench_row *r)
{
    map *m = r->state;
    for (int i = 0; i < m->arity; i++)
        tp_tensor_free(&m->x[i]);
    tp_tensor_free(&m->y);
    free(m);
}

static void add_map(const char *name, tp_map_kernel kernel, int arity)
{
    bench_row *r = bench_add(BENCH_GBS, "map/%s", name);
    r->begin = map_begin, r->run = map_run, r->end = map_end;
    r->arg[0] = (int64_t)kernel, r->arg[1] = arity;
}

/* --- reductions of [n, 784] --------------------------------------------------------------------- */

typedef struct reduction {
    tp_reduction how;
    bool mask[TP_MAX_DIMS];
    tp_tensor x, y;
} reduction;

static void reduce_run(void *state)
{
    reduction *s = state;
    bench_must(tp_reduce(s->how, &s->y, &s->x, s->mask));
}

static bool reduce_begin(bench_row *r)
{
    reduction *s = bench_calloc(1, sizeof *s);
    int64_t width = 784, n = half_of_l2() / width / (int64_t)sizeof(float);
    s->how = (tp_reduction)r->arg[0];
    s->mask[r->arg[1]] = true;
    s->x = bench_uniform(TP_SHAPE(n, width), -1, 1);
    bench_must(tp_tensor_new(&s->y, TP_F32, r->arg[1] == 1 ? TP_SHAPE(n) : TP_SHAPE(width)));
    r->state = s;
    r->work = (double)tp_numel(&s->x) * sizeof(float);
    return true;
}

static void reduce_end(bench_row *r)
{
    reduction *s = r->state;
    tp_tensor_free(&s->x);
    tp_tensor_free(&s->y);
    free(s);
}

static void add_reduction(const char *name, tp_reduction how, int axis)
{
    bench_row *r = bench_add(BENCH_GBS, "reduce/%s", name);
    r->begin = reduce_begin, r->run = reduce_run, r->end = reduce_end;
    r->arg[0] = (int64_t)how, r->arg[1] = axis;
}

void bench_rows_map(void)
{
#define TP_MAP(name, arity, ...) add_map(#name, TP_K_##name, arity);
#include "tensor/kernels.def"
#undef TP_MAP
    add_reduction("sum-rows", TP_SUM, 1); /* each row becomes a number */
    add_reduction("sum-columns", TP_SUM, 0);
    add_reduction("max-rows", TP_MAX, 1);
    add_reduction("max-columns", TP_MAX, 0);
}
