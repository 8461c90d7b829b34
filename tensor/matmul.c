/* matmul.c: the driver of matrix products, c = a b.
 *
 * Blocks of a and b are copied ("packed") into the order in which the tile kernel reads them, zero
 * padded at the edges; transposes are only other strides for the copy. An element of c is the sum over
 * blocks of STEPS steps, in order, whatever tile, block or thread it falls into: the partition
 * among threads may therefore follow their number without touching the bits.
 * Not here: the arithmetic itself. Read next: kernels/tile.inc.
 */
#include "tensor/matmul.h"

#include "tensor/iter.h"
#include "tensor/kernels/kernels.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

/* A block of a (ROWS x STEPS) should stay in the second-level cache, a panel of b (STEPS x nr) in
 * the first; COLUMNS bounds the packed part of b. All are multiples of every tile. */
enum { ROWS = 144, STEPS = 256, COLUMNS = 1024, SERIAL_BELOW = 1 << 18 };

/* A matrix as the packing sees it: a's rows or b's columns are lanes, the summed axis has steps. */
typedef struct side {
    int64_t lanes, lane, step; /* how many, and strides in elements */
} side;

typedef struct product {
    side a, b;
    int64_t k;
    int64_t row, column; /* strides of c in elements */
    const char *bias;    /* or NULL */
    int64_t bias_row, bias_column;
    bool accumulate;
    tp_tile tile;
    int64_t size;                                    /* of an element */
    tp_iter batch;                                   /* operands c, a, b; one element per product */
    int64_t grid_rows, grid_columns, blocks, chunks; /* the partition among threads */
    char *buffers;
    int64_t buffer_a, buffer_bytes; /* bytes for packed a; for a and b of a chunk */
} product;

/* One product of the batch, restricted to a rectangle of c. */
typedef struct region {
    const product *job;
    int64_t row0, row1, column0, column1;
    char *packed_a, *packed_b;
} region;

/* Kept by each thread that calls tp_matmul_into, for all the workers of its products. */
static _Thread_local struct {
    char *data;
    size_t bytes;
} kept;

void tp_matmul_release(void)
{
    tp_free(kept.data, kept.bytes);
    kept.data = NULL;
    kept.bytes = 0;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t round_up(int64_t n, int64_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

/* --- one region --------------------------------------------------------------------------------- */

/* Packs lanes first … last-1 and steps p … p+k-1 into panels of width lanes. */
static void pack_block(const product *job, const side *s, const char *data, int width,
                       int64_t first, int64_t last, int64_t p, int64_t k, char *to)
{
    for (int64_t i = first; i < last; i += width, to += width * k * job->size)
        job->tile.pack(width, least(width, last - i), k,
                       data + (i * s->lane + p * s->step) * job->size, s->lane, s->step, to);
}

/* Computes rows x columns of c at (i, j), whole tiles straight to memory. */
static void one_tile(const product *job, int64_t k, const char *a, const char *b, int64_t i,
                     int64_t rows, int64_t j, int64_t columns, bool first, char *c)
{
    const tp_tile *t = &job->tile;
    const char *init = NULL;
    int64_t init_row = 0, init_column = 0;
    char *to = c + (i * job->row + j * job->column) * job->size;
    if (!first || job->accumulate) {
        init = to;
        init_row = job->row;
        init_column = job->column;
    } else if (job->bias != NULL) {
        init = job->bias + (i * job->bias_row + j * job->bias_column) * job->size;
        init_row = job->bias_row;
        init_column = job->bias_column;
    }
    bool half = columns <= t->nr / 2;
    tp_tile_fn kernel = half ? t->half : t->full;
    if (rows == t->mr && columns == (half ? t->nr / 2 : t->nr) && job->column == 1 &&
        (init == NULL || init_column == 1)) {
        kernel(k, a, b, init, init_row, to, job->row);
        return;
    }
    _Alignas(TP_ALIGN) double scratch[TP_MAX_MR * TP_MAX_NR];
    kernel(k, a, b, NULL, 0, scratch, t->nr);
    t->store(rows, columns, scratch, init, init_row, init_column, to, job->row, job->column);
}

/* The tiles of a packed block of a times a packed block of b. */
static void block_product(const region *r, int64_t k, int64_t i0, int64_t i1, int64_t j0,
                          int64_t j1, bool first, char *c)
{
    const product *job = r->job;
    int mr = job->tile.mr, nr = job->tile.nr;
    for (int64_t j = j0; j < j1; j += nr)
        for (int64_t i = i0; i < i1; i += mr)
            one_tile(job, k, r->packed_a + (i - i0) * k * job->size,
                     r->packed_b + (j - j0) * k * job->size, i, least(mr, i1 - i), j,
                     least(nr, j1 - j), first, c);
}

/* Run function over the batch: count products follow each other. */
static void region_run(int64_t count, char *const *ptr, const int64_t *stride, void *arg)
{
    const region *r = arg;
    const product *job = r->job;
    for (int64_t n = 0; n < count; n++) {
        char *c = ptr[0] + n * stride[0];
        const char *a = ptr[1] + n * stride[1], *b = ptr[2] + n * stride[2];
        for (int64_t j = r->column0; j < r->column1; j += COLUMNS) {
            int64_t j1 = least(j + COLUMNS, r->column1), p = 0;
            do { /* once even if k is 0: the result is zeros or the bias */
                int64_t k = least(STEPS, job->k - p);
                pack_block(job, &job->b, b, job->tile.nr, j, j1, p, k, r->packed_b);
                for (int64_t i = r->row0; i < r->row1; i += ROWS) {
                    int64_t i1 = least(i + ROWS, r->row1);
                    pack_block(job, &job->a, a, job->tile.mr, i, i1, p, k, r->packed_a);
                    block_product(r, k, i, i1, j, j1, p == 0, c);
                }
                p += STEPS;
            } while (p < job->k);
        }
    }
}

/* --- partition ---------------------------------------------------------------------------------- */

/* Border number i of n parts, on a multiple of a tile. */
static int64_t border(int64_t lanes, int64_t tile, int64_t i, int64_t n)
{
    return least((lanes + tile - 1) / tile * i / n * tile, lanes);
}

static void matmul_chunk(int64_t chunk, void *arg)
{
    const product *job = arg;
    int64_t cells = job->grid_rows * job->grid_columns;
    int64_t first = job->blocks * chunk / job->chunks,
            last = job->blocks * (chunk + 1) / job->chunks;
    region r = {.job = job, .packed_a = job->buffers + chunk * job->buffer_bytes};
    r.packed_b = r.packed_a + job->buffer_a;
    for (int64_t block = first; block < last; block++) {
        int64_t i = block % cells / job->grid_columns, j = block % cells % job->grid_columns;
        r.row0 = border(job->a.lanes, job->tile.mr, i, job->grid_rows);
        r.row1 = border(job->a.lanes, job->tile.mr, i + 1, job->grid_rows);
        r.column0 = border(job->b.lanes, job->tile.nr, j, job->grid_columns);
        r.column1 = border(job->b.lanes, job->tile.nr, j + 1, job->grid_columns);
        if (r.row0 < r.row1 && r.column0 < r.column1)
            tp_iter_range(&job->batch, block / cells, block / cells + 1, region_run, &r);
    }
}

/* The grid of threads with the least work for the busiest of them: its tiles, and what it packs. */
static void choose_grid(product *job, int64_t threads)
{
    int64_t mr = job->tile.mr, nr = job->tile.nr, best = INT64_MAX;
    int64_t tile_rows = (job->a.lanes + mr - 1) / mr, tile_columns = (job->b.lanes + nr - 1) / nr;
    for (int64_t g = 1; g <= threads; g++) {
        if (threads % g != 0)
            continue;
        int64_t h = threads / g;
        int64_t rows = (tile_rows + g - 1) / g * mr, columns = (tile_columns + h - 1) / h * nr;
        int64_t work = rows * columns + 8 * (rows + columns);
        if (work < best) {
            best = work;
            job->grid_rows = g;
            job->grid_columns = h;
        }
    }
}

static tp_status prepare_buffers(product *job)
{
    int64_t k = job->k > 0 ? least(STEPS, job->k) : 1; /* memory even if nothing is packed */
    job->buffer_a =
        round_up(least(ROWS, round_up(job->a.lanes, job->tile.mr)) * k * job->size, TP_ALIGN);
    job->buffer_bytes =
        job->buffer_a +
        round_up(least(COLUMNS, round_up(job->b.lanes, job->tile.nr)) * k * job->size, TP_ALIGN);
    size_t bytes = (size_t)(job->buffer_bytes * job->chunks);
    if (bytes > kept.bytes) {
        tp_matmul_release();
        kept.data = tp_alloc(bytes);
        if (kept.data == NULL)
            return TP_ENOMEM;
        kept.bytes = bytes;
    }
    job->buffers = kept.data;
    return TP_OK;
}

static tp_status run(product *job)
{
    double multiplications =
        (double)job->batch.numel * (double)job->a.lanes * (double)job->b.lanes * (double)job->k;
    int64_t threads = multiplications < SERIAL_BELOW ? 1 : tp_threads();
    job->grid_rows = job->grid_columns = 1;
    if (job->batch.numel < threads)
        choose_grid(job, threads);
    job->blocks = job->batch.numel * job->grid_rows * job->grid_columns;
    job->chunks = least(job->blocks, threads);
    TP_TRY(prepare_buffers(job));
    tp_parallel(job->chunks, matmul_chunk, job);
    return TP_OK;
}

/* --- preparation -------------------------------------------------------------------------------- */

/* The work of an orientation in multiplications: padded tiles, and the detour of every element of c
 * when the tile's rows are not contiguous there. */
static double cost(const product *job, int64_t rows, int64_t columns, int64_t stride)
{
    double tiles = (double)round_up(rows, job->tile.mr) *
                   (double)round_up(columns, job->tile.nr / 2) * (double)job->k;
    double visits = (double)(job->k / STEPS + 1) * (double)rows * (double)columns;
    return tiles + (stride == 1 ? 0 : visits * job->tile.nr);
}

/* c' = b' a' is the same product: taken when it wastes less of the tiles or writes in order. */
static void orient(product *job)
{
    if (cost(job, job->a.lanes, job->b.lanes, job->column) <=
        cost(job, job->b.lanes, job->a.lanes, job->row))
        return;
    product p = *job;
    job->a = p.b;
    job->b = p.a;
    job->row = p.column;
    job->column = p.row;
    job->bias_row = p.bias_column;
    job->bias_column = p.bias_row;
    for (int i = 0; i < p.batch.ndim; i++) {
        job->batch.stride[1][i] = p.batch.stride[2][i];
        job->batch.stride[2][i] = p.batch.stride[1][i];
    }
    job->batch.base[1] = p.batch.base[2];
    job->batch.base[2] = p.batch.base[1];
}

static tp_status check(const tp_tensor *y, const tp_tensor *a, const tp_tensor *b,
                       const tp_tensor *bias)
{
    char ty[TP_TENSOR_TEXT], ta[TP_TENSOR_TEXT], tb[TP_TENSOR_TEXT];
    int ny = y->shape.ndim, na = a->shape.ndim, nb = b->shape.ndim;
    if (!tp_dtype_is_float(y->dtype) || a->dtype != y->dtype || b->dtype != y->dtype ||
        (bias != NULL && bias->dtype != y->dtype))
        return tp_fail(TP_EDTYPE, "matmul: %s times %s into %s: all must be of one float type",
                       tp_tensor_text(a, ta), tp_tensor_text(b, tb), tp_tensor_text(y, ty));
    bool fits = ny >= 2 && na >= 2 && nb >= 2 && a->shape.dim[na - 1] == b->shape.dim[nb - 2] &&
                y->shape.dim[ny - 2] == a->shape.dim[na - 2] &&
                y->shape.dim[ny - 1] == b->shape.dim[nb - 1];
    if (!fits)
        return tp_fail(TP_ESHAPE, "matmul: %s times %s into %s: want [m,k], [k,n] and [m,n]",
                       tp_tensor_text(a, ta), tp_tensor_text(b, tb), tp_tensor_text(y, ty));
    if (bias != NULL && (bias->shape.ndim != 1 || bias->shape.dim[0] != y->shape.dim[ny - 1]))
        return tp_fail(TP_ESHAPE, "matmul: bias %s for a product %s", tp_tensor_text(bias, tb),
                       tp_tensor_text(y, ty));
    if (tp_may_overlap(y))
        return tp_fail(TP_EARG, "matmul: the elements of the result %s share memory",
                       tp_tensor_text(y, ty));
    return TP_OK;
}

static tp_tensor without_matrix(const tp_tensor *t)
{
    tp_tensor lead = *t;
    lead.shape.ndim -= 2;
    return lead;
}

tp_status tp_matmul_into(tp_tensor *y, const tp_tensor *a, const tp_tensor *b, tp_matmul_opts opts)
{
    TP_TRY(check(y, a, b, opts.bias));
    if (opts.bias != NULL && opts.accumulate)
        return tp_fail(TP_EARG, "matmul: a bias cannot be added while accumulating");
    const int64_t *sy = y->stride + y->shape.ndim - 2, *sa = a->stride + a->shape.ndim - 2;
    const int64_t *sb = b->stride + b->shape.ndim - 2, *dim = y->shape.dim + y->shape.ndim - 2;
    product job = {.a = {dim[0], sa[0], sa[1]},
                   .b = {dim[1], sb[1], sb[0]},
                   .k = a->shape.dim[a->shape.ndim - 1],
                   .row = sy[0],
                   .column = sy[1],
                   .accumulate = opts.accumulate,
                   .tile = tp_kernels_get()->tile[y->dtype],
                   .size = tp_dtype_size(y->dtype)};
    if (opts.bias != NULL) {
        job.bias = tp_data(opts.bias);
        job.bias_column = opts.bias->stride[0];
    }
    tp_tensor ly = without_matrix(y), la = without_matrix(a), lb = without_matrix(b);
    const tp_tensor *lead[3] = {&ly, &la, &lb};
    TP_TRY(tp_iter_init(&job.batch, 3, lead));
    if (tp_numel(y) == 0)
        return TP_OK;
    orient(&job);
    TP_TRY(run(&job));
    tp_data_mut(y);
    return TP_OK;
}
