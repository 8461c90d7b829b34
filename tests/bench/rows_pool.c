/* rows_pool.c: pooling by windows of 2x2, which do not overlap, on 128 pictures of 32 channels, and the gradients. Read
 * next: tensor/pool.h. */
#include "tests/bench/bench.h"

#include <stdlib.h>

#include "tensor/mem.h"
#include "tensor/pool.h"

typedef struct problem {
    tp_tensor x, gx, y; /* [128,32,28,28] twice, [128,32,14,14] */
    tp_pool_opts opts;
    tp_arena scratch;
} problem;

static void run_max(void *state)
{
    problem *p = state;
    bench_must(tp_pool_max(&p->y, &p->x, &p->opts, &p->scratch));
    tp_arena_reset(&p->scratch);
}

static void run_max_adjoint(void *state)
{
    problem *p = state;
    bench_must(tp_pool_max_adjoint(&p->gx, &p->y, &p->x, &p->opts, &p->scratch));
    tp_arena_reset(&p->scratch);
}

static void run_average(void *state)
{
    problem *p = state;
    bench_must(tp_pool_average(&p->y, &p->x, &p->opts, &p->scratch));
    tp_arena_reset(&p->scratch);
}

static void run_spread(void *state)
{
    problem *p = state;
    bench_must(tp_pool_spread(&p->gx, &p->y, &p->opts, &p->scratch));
    tp_arena_reset(&p->scratch);
}

static bool begin(bench_row *r)
{
    problem *p = bench_calloc(1, sizeof *p);
    p->opts = (tp_pool_opts){.kernel = {2, 2}};
    bench_must(tp_pool_opts_check(&p->opts));
    p->x = bench_uniform(TP_SHAPE(128, 32, 28, 28), -1, 1);
    p->gx = bench_uniform(TP_SHAPE(128, 32, 28, 28), -1, 1);
    p->y = bench_uniform(TP_SHAPE(128, 32, 14, 14), -1, 1);
    r->state = p;
    double large = (double)tp_numel(&p->x), small = (double)tp_numel(&p->y);
    r->work = (small + large * (double)r->arg[0]) * sizeof(float);
    return true;
}

static void end(bench_row *r)
{
    problem *p = r->state;
    tp_tensor_free(&p->x);
    tp_tensor_free(&p->gx);
    tp_tensor_free(&p->y);
    tp_arena_free(&p->scratch);
    free(p);
}

/* pictures: how many it reads or writes */
static void add(const char *name, void (*run)(void *state), int pictures)
{
    bench_row *r = bench_add(BENCH_GBS, "pool/%s", name);
    r->begin = begin, r->run = run, r->end = end;
    r->arg[0] = pictures;
}

void bench_rows_pool(void)
{
    add("max", run_max, 1);
    add("max-adjoint", run_max_adjoint, 2);
    add("average", run_average, 1);
    add("average-adjoint", run_spread, 1);
}
