/* matmul.c: the driver of matrix products, c = a b.
 *
 * Blocks of a and b are copied ("packed") into the order in which the tile kernel reads them, zero
 * padded at the edges, unless they can be read where they lie ("direct"); transposes are only other
 * strides. An element of c is the sum over blocks of the summed axis, in order, whose length plan()
 * takes from the whole product: not from the tile, the region or the thread it falls into. The
 * partition among threads may therefore follow their number without touching the bits.
 * Not here: what happens in a region (matmul_region.c) and the arithmetic (kernels/tile.inc). Read next:
 * matmul_region.h.
 */
#include "tensor/matmul.h"

#include <string.h>

#include "tensor/matmul_region.h"
#include "tensor/parallel.h"

/* A product whose tiles are stored transposed visits c once if it has no more than LONG_STEPS. */
enum {
    LONG_STEPS = 1024,
    FEW_LANES = 512,        /* a matrix that meets no more lanes than this is not worth packing, */
    FEW_STEPS = 256,        /* nor are the rows of b if there are no more than this */
    SERIAL_BELOW = 1 << 18, /* multiplications, */
    PIECE = 1 << 19         /* and those of a piece of a larger product */
};

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

static int64_t round_up(int64_t n, int64_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

/* --- partition ---------------------------------------------------------------------------------- */

/* Border number i of n parts, on a multiple of a tile. */
static int64_t border(int64_t lanes, int64_t tile, int64_t i, int64_t n)
{
    return tp_least((lanes + tile - 1) / tile * i / n * tile, lanes);
}

/* The lanes of a piece of a cell. Where there are several, tiles are kept whole. */
static void find_lanes(const tp_matmul_side *s, int64_t cell, int64_t piece, int64_t *first,
                       int64_t *last)
{
    int64_t unit = s->pieces > 1 ? s->tile : s->unit;
    int64_t start = border(s->lanes, unit, cell, s->cells);
    int64_t lanes = border(s->lanes, unit, cell + 1, s->cells) - start;
    *first = start + border(lanes, unit, piece, s->pieces);
    *last = start + border(lanes, unit, piece + 1, s->pieces);
}

/* Chunks are the pieces of the first cell, rows first, those of the next, then the next products. */
static void matmul_chunk(int64_t chunk, void *arg)
{
    const tp_matmul_job *job = arg;
    const tp_matmul_side *a = &job->a, *b = &job->b;
    int64_t pieces = a->pieces * b->pieces, cells = a->cells * b->cells;
    int64_t piece = chunk % pieces, cell = chunk / pieces % cells;
    int64_t first = chunk / pieces / cells * job->each;
    char *own = job->buffers + tp_worker() * job->buffer_bytes;
    tp_matmul_region r = {.job = job, .own = (tp_matmul_buffer *)own, .packed_a = own + TP_ALIGN};
    r.packed_b = r.packed_a + job->buffer_a;
    find_lanes(a, cell / b->cells, piece % a->pieces, &r.row0, &r.row1);
    find_lanes(b, cell % b->cells, piece / a->pieces, &r.column0, &r.column1);
    if (r.row0 < r.row1 && r.column0 < r.column1)
        tp_iter_range(&job->batch, first, tp_least(first + job->each, job->batch.numel),
                      tp_matmul_region_run, &r);
}

/* Cells for the threads with the least work for the busiest of them: its tiles, and the lanes that it reads.
 * A large matrix of weights is thus cut rather than read by all, and stays in the caches of those that
 * update it. Among equals the one that cuts c along its larger stride, as elementwise operations are cut. */
static void choose_cells(tp_matmul_job *job, int64_t threads)
{
    int64_t mr = job->a.unit, nr = job->b.unit, best = INT64_MAX;
    for (int64_t n = 1; n <= threads; n++) {
        int64_t g = job->row > job->column ? threads + 1 - n : n, h = threads / g;
        if (threads % g != 0)
            continue;
        int64_t rows = (job->a.lanes + mr * g - 1) / (mr * g) * mr;
        int64_t columns = (job->b.lanes + nr * h - 1) / (nr * h) * nr;
        int64_t work = rows * columns + 8 * (rows + columns);
        if (work < best) {
            best = work;
            job->a.cells = g;
            job->b.cells = h;
        }
    }
}

/* The most pieces of whole tiles that a cell has. */
static int64_t most_pieces(const tp_matmul_side *s)
{
    return (s->lanes + s->cells * s->tile - 1) / (s->cells * s->tile);
}

/* Cuts a cell of so many multiplications, so that a thread that is through takes over from one that the machine
 * keeps from its work. Not where a side would be packed again for each piece: it is packed once if it lies in
 * one block. */
static void choose_pieces(tp_matmul_job *job, double multiplications)
{
    tp_matmul_side *a = &job->a, *b = &job->b;
    int64_t pieces = multiplications < PIECE ? 1 : (int64_t)(multiplications / PIECE);
    bool whole = job->steps >= job->k;
    bool a_once = a->direct || (whole && most_pieces(a) * a->tile <= tp_matmul_block_rows(job));
    bool b_once = b->direct || (whole && b->lanes <= TP_MATMUL_COLUMNS);
    if (b->direct && a_once)
        b->pieces = tp_least(pieces, most_pieces(b));
    if (b_once && (a->direct || b->pieces == 1))
        a->pieces = tp_least(pieces / b->pieces, most_pieces(a));
}

/* Packed panels are as wide as a tile, whatever part of it exists. */
static tp_status prepare_buffers(tp_matmul_job *job, int64_t threads)
{
    const tp_matmul_side *a = &job->a, *b = &job->b;
    int64_t k = job->k > 0 ? job->steps : 1; /* memory even if nothing is packed */
    int64_t rows =
        a->direct ? a->tile : tp_least(tp_matmul_block_rows(job), round_up(a->lanes, a->tile));
    int64_t columns =
        b->direct ? b->tile : tp_least(TP_MATMUL_COLUMNS, round_up(b->lanes, b->tile));
    job->buffer_a = round_up(rows * k * job->size, TP_ALIGN);
    job->buffer_bytes = TP_ALIGN + job->buffer_a + round_up(columns * k * job->size, TP_ALIGN);
    size_t bytes = (size_t)(job->buffer_bytes * threads);
    if (bytes > kept.bytes) {
        tp_matmul_release();
        kept.data = tp_alloc(bytes);
        if (kept.data == NULL) {
            tp_fail_prefix("matmul: buffers: ");
            return TP_ENOMEM;
        }
        kept.bytes = bytes;
    }
    job->buffers = kept.data;
    for (int64_t i = 0; i < threads; i++)
        *(tp_matmul_buffer *)(job->buffers + i * job->buffer_bytes) = (tp_matmul_buffer){0};
    return TP_OK;
}

static tp_status run(tp_matmul_job *job)
{
    double multiplications =
        (double)job->batch.numel * (double)job->a.lanes * (double)job->b.lanes * (double)job->k;
    int threads = multiplications < SERIAL_BELOW ? 1 : tp_threads();
    job->a.cells = job->b.cells = job->a.pieces = job->b.pieces = 1;
    job->each = job->batch.numel;
    if (threads > 1) {
        double one = multiplications / (double)job->batch.numel;
        if (job->batch.numel < threads)
            choose_cells(job, threads);
        choose_pieces(job, one / (double)(job->a.cells * job->b.cells));
        job->each = one < PIECE && job->batch.numel >= threads ? (int64_t)(PIECE / (one + 1)) : 1;
    }
    TP_TRY(prepare_buffers(job, threads));
    int64_t parts = job->a.cells * job->b.cells * job->a.pieces * job->b.pieces;
    tp_parallel_on(threads, (job->batch.numel + job->each - 1) / job->each * parts, matmul_chunk,
                   job);
    return TP_OK;
}

/* --- preparation -------------------------------------------------------------------------------- */

/* Lines a multiple of 512 bytes apart meet in few sets of the first-level cache and evict each other. */
static bool collides(const tp_matmul_job *job, int64_t stride)
{
    return stride * job->size % 512 == 0;
}

/* Elements copied for a panel cost as much as this many multiplications, more if they must be turned. */
static double packing_cost(const tp_matmul_job *job, const tp_matmul_side *s)
{
    return s->direct ? 0 : (double)s->lanes * (double)job->k * (s->step == 1 ? 16 : 6);
}

/* Decides for this orientation what is packed and how the summed axis is cut. Returns its cost in
 * multiplications: padded tiles, packing, and the detour of c where it is not stored row by row. */
static double plan(tp_matmul_job *job)
{
    tp_matmul_side *a = &job->a, *b = &job->b;
    bool turned = job->column != 1;
    a->direct = a->step == 1 && a->lane != 1 && b->lanes <= FEW_LANES && !collides(job, a->lane);
    b->direct =
        b->lane == 1 && (a->lanes <= FEW_LANES || job->k <= FEW_STEPS) && !collides(job, b->step);
    a->tile = job->tile->mr;
    a->unit = job->tile->height[TP_TILE_HEIGHTS - 1];
    b->tile = job->tile->nr;
    b->unit = job->tile->nr / 2;
    int64_t longest = turned && b->lanes <= FEW_LANES ? LONG_STEPS : TP_MATMUL_STEPS;
    int64_t visits = job->k > 0 ? (job->k + longest - 1) / longest : 1;
    job->steps = (job->k + visits - 1) / visits;
    double tiles =
        (double)round_up(a->lanes, a->unit) * (double)round_up(b->lanes, b->unit) * (double)job->k;
    double stored = (double)visits * (double)a->lanes * (double)b->lanes;
    return tiles + packing_cost(job, a) + packing_cost(job, b) +
           stored * (!turned         ? 0
                     : job->row == 1 ? 16
                                     : 32);
}

/* c' = b' a', the same product. */
static tp_matmul_job swapped(const tp_matmul_job *job)
{
    tp_matmul_job p = *job;
    p.a = job->b;
    p.b = job->a;
    p.row = job->column;
    p.column = job->row;
    p.bias_row = job->bias_column;
    p.bias_column = job->bias_row;
    memcpy(p.batch.stride[1], job->batch.stride[2], sizeof p.batch.stride[1]);
    memcpy(p.batch.stride[2], job->batch.stride[1], sizeof p.batch.stride[2]);
    p.batch.base[1] = job->batch.base[2];
    p.batch.base[2] = job->batch.base[1];
    return p;
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
    tp_matmul_job job = {.a = {dim[0], sa[0], sa[1]},
                         .b = {dim[1], sb[1], sb[0]},
                         .k = a->shape.dim[a->shape.ndim - 1],
                         .row = sy[0],
                         .column = sy[1],
                         .accumulate = opts.accumulate,
                         .relu = opts.relu,
                         .tile = &tp_kernels_get()->tile[y->dtype],
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
    tp_matmul_job other = swapped(&job);
    TP_TRY(run(plan(&other) < plan(&job) ? &other : &job));
    tp_data_mut(y);
    return TP_OK;
}
