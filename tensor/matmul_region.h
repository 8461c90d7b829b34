/* matmul_region.h: a product as its parts see it, and the part of it that a thread computes in one go. Private to
 * matmul.c, which prepares and cuts products, and matmul_region.c. */
#ifndef TP_TENSOR_MATMUL_REGION_H
#define TP_TENSOR_MATMUL_REGION_H

#include "tensor/iter.h"
#include "tensor/kernels/kernels.h"
#include "tensor/mem.h"

/* A packed block of a (ROWS x at most STEPS) should stay in the second-level cache, a panel of b
 * (STEPS x nr) in the first; COLUMNS bounds the packed part of b. ROWS and COLUMNS are multiples of every tile. */
enum { TP_MATMUL_ROWS = 192, TP_MATMUL_STEPS = 400, TP_MATMUL_COLUMNS = 2048 };

/* A matrix as the tiles see it: a's rows or b's columns are lanes, the summed axis has steps. */
typedef struct tp_matmul_side {
    int64_t lanes, lane, step; /* how many, and strides in elements */
    int64_t tile, unit;        /* lanes of a tile, and of the smallest */
    bool direct;               /* read where it lies, except a last part smaller than that */
    int64_t cells, pieces;     /* lanes are cut for the threads, and each cell again */
} tp_matmul_side;

typedef struct tp_matmul_job {
    tp_matmul_side a, b;
    int64_t k, steps;    /* of the summed axis: all, and in a block */
    int64_t row, column; /* strides of c in elements */
    const char *bias;    /* or NULL */
    int64_t bias_row, bias_column;
    bool accumulate, relu;
    const tp_tiles *tile;
    int64_t size;                   /* of an element */
    tp_iter batch;                  /* operands c, a, b; one element per product */
    int64_t each;                   /* products in a chunk, if they are small */
    char *buffers;                  /* of all threads */
    int64_t buffer_a, buffer_bytes; /* bytes for packed a; for all of a thread */
} tp_matmul_job;

/* What a buffer holds: lanes from first to last, and steps from p on. */
typedef struct tp_matmul_packed {
    const char *of;
    int64_t first, last, p;
} tp_matmul_packed;

/* A thread's buffers begin with this. */
typedef struct tp_matmul_buffer {
    tp_matmul_packed a, b;
} tp_matmul_buffer;
_Static_assert(sizeof(tp_matmul_buffer) <= TP_ALIGN, "what is packed begins on the next line");

/* One product of the batch, restricted to a rectangle of c. */
typedef struct tp_matmul_region {
    const tp_matmul_job *job;
    int64_t row0, row1, column0, column1;
    tp_matmul_buffer *own;
    char *packed_a, *packed_b;
} tp_matmul_region;

static inline int64_t tp_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* How many rows of a packed a are in a block: of short steps more. */
static inline int64_t tp_matmul_block_rows(const tp_matmul_job *job)
{
    int64_t rows = job->steps > 0 ? TP_MATMUL_ROWS * TP_MATMUL_STEPS / job->steps : 0;
    return rows < TP_MATMUL_ROWS ? TP_MATMUL_ROWS : rows / job->a.tile * job->a.tile;
}

/* A function for tp_iter_range over the batch: count products follow each other. arg is the region. */
void tp_matmul_region_run(int64_t count, char *const *ptr, const int64_t *stride, void *arg);

#endif
