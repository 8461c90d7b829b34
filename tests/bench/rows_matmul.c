/* rows_matmul.c: matrix products: the linear layers of VAE-400 at batch 128, forward and both backward
 * products, and squares; in tapir and, if they are there, in OpenBLAS and BLIS. Read next: blas.c. */
#include "tests/bench/bench.h"
#include "tests/bench/blas.h"

#include <stdlib.h>

#include "tensor/matmul.h"

/* y = x·Wᵀ, gx = gy·W, gW = gyᵀ·x; squares are plain */
typedef enum product { FORWARD, BACKWARD_X, BACKWARD_W, SQUARE } product;

typedef struct problem {
    tp_tensor a, b, y;      /* as stored */
    tp_tensor a_mat, b_mat; /* as multiplied: views */
    bool transpose_a, transpose_b;
    int m, n, k;
    blas_kind kind;
} problem;

static void run_tapir(void *state)
{
    problem *p = state;
    bench_must(tp_matmul_into(&p->y, &p->a_mat, &p->b_mat, (tp_matmul_opts){0}));
}

static void run_blas(void *state)
{
    problem *p = state;
    blas_sgemm(p->kind, p->transpose_a, p->transpose_b, p->m, p->n, p->k, tp_data(&p->a),
               tp_data(&p->b), tp_data_mut(&p->y));
}

static tp_tensor stored(int rows, int columns, bool transposed, tp_tensor *view)
{
    tp_tensor t =
        bench_uniform(transposed ? TP_SHAPE(columns, rows) : TP_SHAPE(rows, columns), -1, 1);
    *view = t;
    if (transposed)
        bench_must(tp_view_transpose(&t, 0, 1, view));
    return t;
}

static bool begin(bench_row *r)
{
    if (r->run == run_blas && !blas_open((blas_kind)r->arg[0]))
        return false;
    problem *p = bench_calloc(1, sizeof *p);
    p->kind = (blas_kind)r->arg[0];
    p->m = (int)r->arg[1], p->k = (int)r->arg[2], p->n = (int)r->arg[3];
    product which = *(const product *)r->data;
    p->transpose_a = which == BACKWARD_W;
    p->transpose_b = which == FORWARD;
    p->a = stored(p->m, p->k, p->transpose_a, &p->a_mat);
    p->b = stored(p->k, p->n, p->transpose_b, &p->b_mat);
    bench_must(tp_tensor_new(&p->y, TP_F32, TP_SHAPE(p->m, p->n)));
    if (r->run == run_blas)
        blas_set_threads(p->kind, r->threads);
    r->state = p;
    r->work = r->flops = 2.0 * p->m * p->n * p->k;
    return true;
}

static void end(bench_row *r)
{
    problem *p = r->state;
    tp_tensor_free(&p->a);
    tp_tensor_free(&p->b);
    tp_tensor_free(&p->y);
    free(p);
}

/* y[m,n] = a[m,k]·b[k,n] by everybody */
static void add(const char *shape, product which, int64_t m, int64_t k, int64_t n)
{
    static const product products[] = {FORWARD, BACKWARD_X, BACKWARD_W, SQUARE};
    for (int who = -1; who < BLAS_COUNT; who++) {
        bench_row *r =
            who < 0 ? bench_add(BENCH_GFLOPS, "matmul/%s", shape)
                    : bench_add(BENCH_GFLOPS, "matmul/%s/%s", shape, blas_name((blas_kind)who));
        r->begin = begin, r->end = end;
        r->run = who < 0 ? run_tapir : run_blas;
        r->foreign = r->with_previous = who >= 0;
        r->versus = who < 0 ? "of-better-blas" : NULL;
        r->arg[0] = who < 0 ? 0 : who;
        r->arg[1] = m, r->arg[2] = k, r->arg[3] = n;
        r->data = &products[which];
    }
}

void bench_rows_matmul(void)
{
    /* batch 128, in -> out */
    add("128x784x400-forward", FORWARD, 128, 784, 400);
    add("128x784x400-dx", BACKWARD_X, 128, 400, 784);
    add("128x784x400-dw", BACKWARD_W, 400, 128, 784);
    add("128x400x20-forward", FORWARD, 128, 400, 20);
    add("128x400x20-dx", BACKWARD_X, 128, 20, 400);
    add("128x400x20-dw", BACKWARD_W, 20, 128, 400);
    add("128x20x400-forward", FORWARD, 128, 20, 400);
    add("128x20x400-dx", BACKWARD_X, 128, 400, 20);
    add("128x20x400-dw", BACKWARD_W, 400, 128, 20);
    add("128x400x784-forward", FORWARD, 128, 400, 784);
    add("128x400x784-dx", BACKWARD_X, 128, 784, 400);
    add("128x400x784-dw", BACKWARD_W, 784, 128, 400);
    add("512x512x512", SQUARE, 512, 512, 512);
    add("1024x1024x1024", SQUARE, 1024, 1024, 1024);
    add("2048x2048x2048", SQUARE, 2048, 2048, 2048);
}
