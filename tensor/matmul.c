/* matmul.c: the driver of matrix products, c = a b.
 *
 * Blocks of a and b are copied ("packed") into the order in which the tile kernel reads them, zero
 * padded at the edges, unless they can be read where they lie ("direct"); transposes are only other
 * strides. An element of c is the sum over blocks of the summed axis, in order, whose length plan()
 * takes from the whole product: not from the tile, the region or the thread it falls into. The
 * partition among threads may therefore follow their number without touching the bits.
 * Not here: the arithmetic itself. Read next: kernels/tile.inc.
 */
#include "tensor/matmul.h"

#include <string.h>

#include "tensor/iter.h"
#include "tensor/kernels/kernels.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

/* A packed block of a (ROWS x at most STEPS) should stay in the second-level cache, a panel of b
 * (STEPS x nr) in the first; COLUMNS bounds the packed part of b. Both are multiples of every tile.
 * A product whose tiles are stored transposed visits c once if it has no more than LONG_STEPS. */
enum {
    ROWS = 192,
    STEPS = 400,
    LONG_STEPS = 1024,
    COLUMNS = 2048,
    FEW_LANES = 512,        /* a matrix that meets no more lanes than this is not worth packing, */
    FEW_STEPS = 256,        /* nor are the rows of b if there are no more than this */
    SERIAL_BELOW = 1 << 18, /* multiplications, */
    PIECE = 1 << 19         /* and those of a piece of a larger product */
};

/* A matrix as the tiles see it: a's rows or b's columns are lanes, the summed axis has steps. */
typedef struct side {
    int64_t lanes, lane, step; /* how many, and strides in elements */
    int64_t tile, unit;        /* lanes of a tile, and of the smallest */
    bool direct;               /* read where it lies, except a last part smaller than that */
    int64_t cells, pieces;     /* lanes are cut for the threads, and each cell again */
} side;

typedef struct product {
    side a, b;
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
} product;

/* What a buffer holds: lanes from first to last, and steps from p on. */
typedef struct packed {
    const char *of;
    int64_t first, last, p;
} packed;

/* A thread's buffers begin with this. */
typedef struct buffer {
    packed a, b;
} buffer;
_Static_assert(sizeof(buffer) <= TP_ALIGN, "what is packed begins on the next line");

/* One product of the batch, restricted to a rectangle of c. */
typedef struct region {
    const product *job;
    int64_t row0, row1, column0, column1;
    buffer *own;
    char *packed_a, *packed_b;
} region;

/* The part of a region that is computed from one block of a, one of b and k steps from p on. */
typedef struct part {
    const region *r;
    const char *a, *b; /* of this product of the batch */
    char *c;
    int64_t p, k, i0, i1, j0, j1;
} part;

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

/* Packs lanes first … last-1 and k steps from p on into panels of a tile's lanes. */
static void pack_block(const product *job, const side *s, const char *data, int64_t first,
                       int64_t last, int64_t p, int64_t k, char *to)
{
    for (int64_t i = first; i < last; i += s->tile, to += s->tile * k * job->size)
        job->tile->pack(s->tile, least(s->tile, last - i), k,
                        data + (i * s->lane + p * s->step) * job->size, s->lane, s->step, to);
}

/* Whether a tile reads its lanes where they lie: of a direct side, all but the last few lanes that do not
 * make a multiple of the smallest tile. Those are packed and filled up with zeros. */
static bool lies_direct(const side *s, int64_t lanes)
{
    return s->direct && lanes % s->unit == 0;
}

/* Where the tile at row i finds its part of a. */
static void find_a(const part *x, int64_t i, int64_t rows, tp_tile_args *t)
{
    const product *job = x->r->job;
    if (lies_direct(&job->a, rows)) {
        t->a = x->a + (i * job->a.lane + x->p * job->a.step) * job->size;
        t->a_lane = job->a.lane;
        t->a_step = job->a.step;
    } else {
        t->a = x->r->packed_a + (job->a.direct ? 0 : (i - x->i0) * x->k * job->size);
        t->a_lane = 1;
        t->a_step = job->tile->mr;
    }
}

static void find_b(const part *x, int64_t j, int64_t columns, tp_tile_args *t)
{
    const product *job = x->r->job;
    if (lies_direct(&job->b, columns)) {
        t->b = x->b + (j * job->b.lane + x->p * job->b.step) * job->size;
        t->b_step = job->b.step;
    } else {
        t->b = x->r->packed_b + (job->b.direct ? 0 : (j - x->j0) * x->k * job->size);
        t->b_step = job->tile->nr;
    }
}

/* A tile that is not whole, or whose rows are not contiguous in c or init. Where it goes is fetched meanwhile. */
static void one_detour(const product *job, tp_tile_fn kernel, tp_tile_args *t, tp_store_args *s)
{
    _Alignas(TP_ALIGN) double scratch[TP_MAX_MR * TP_MAX_NR];
    for (int64_t j = 0; j < s->columns; j++) {
        const char *column = (const char *)s->c + j * s->c_column * job->size;
        __builtin_prefetch(column, 1);
        __builtin_prefetch(column + (s->rows - 1) * s->c_row * job->size, 1);
    }
    t->c = scratch;
    t->c_row = job->tile->nr;
    kernel(t);
    s->tile = scratch;
    job->tile->store(s);
}

/* Computes the tile of c at (i, j). */
static void one_tile(const part *x, int64_t i, int64_t j)
{
    const product *job = x->r->job;
    const tp_tiles *tile = job->tile;
    int64_t rows = least(tile->mr, x->i1 - i), columns = least(tile->nr, x->j1 - j);
    int height = 0, wide = columns > tile->nr / 2;
    while (height + 1 < TP_TILE_HEIGHTS && tile->height[height + 1] >= rows)
        height++;
    char *c = x->c + (i * job->row + j * job->column) * job->size;
    const char *init = NULL;
    int64_t init_row = 0, init_column = 1;
    if (x->p > 0 || job->accumulate) {
        init = c;
        init_row = job->row;
        init_column = job->column;
    } else if (job->bias != NULL) {
        init = job->bias + (i * job->bias_row + j * job->bias_column) * job->size;
        init_row = job->bias_row;
        init_column = job->bias_column;
    }
    tp_tile_args t;
    t.k = x->k;
    find_a(x, i, rows, &t);
    find_b(x, j, columns, &t);
    tp_tile_fn kernel = tile->kernel[t.a_lane != 1][height][wide];
    bool relu = job->relu && x->p + x->k == job->k;
    if (rows == tile->height[height] && columns == (wide ? tile->nr : tile->nr / 2) &&
        job->column == 1 && init_column == 1) {
        t.c = c;
        t.c_row = job->row;
        t.init = init;
        t.init_row = init_row;
        t.relu = relu;
        kernel(&t);
    } else {
        t.init = NULL;
        t.relu = false;
        tp_store_args s = {.rows = rows,
                           .columns = columns,
                           .c = c,
                           .c_row = job->row,
                           .c_column = job->column,
                           .init = init,
                           .init_row = init_row,
                           .init_column = init_column,
                           .relu = relu};
        one_detour(job, kernel, &t, &s);
    }
}

/* What the tiles of a panel of a direct b fetch ahead for the next one: its lines lie far apart, where
 * the processor does not guess them. */
typedef struct ahead {
    const char *b;
    int64_t step, bytes; /* from one step to the next, and of the panel in one */
    int64_t left, each;  /* steps still to fetch, and for each tile */
} ahead;

static ahead next_panel(const part *x, int64_t j)
{
    const product *job = x->r->job;
    int64_t mr = job->tile->mr, nr = job->tile->nr, tiles = (x->i1 - x->i0 + mr - 1) / mr;
    bool last = j + nr >= x->j1; /* then the first panel of the next steps */
    int64_t p = last ? x->p + x->k : x->p, left = least(x->k, job->k - p);
    j = last ? x->j0 : j + nr;
    if (!job->b.direct || left <= 0)
        return (ahead){0};
    return (ahead){.b = x->b + (j * job->b.lane + p * job->b.step) * job->size,
                   .step = job->b.step * job->size,
                   .bytes = nr * job->size,
                   .left = left,
                   .each = (left + tiles - 1) / tiles};
}

static void fetch_ahead(ahead *next)
{
    int64_t n = least(next->each, next->left);
    next->left -= n;
    for (; n > 0; n--, next->b += next->step)
        for (int64_t line = 0; line < next->bytes; line += TP_ALIGN)
            __builtin_prefetch(next->b + line);
}

/* The longer side is walked once, outside, while the shorter one stays in the caches. */
static void block_product(const part *x)
{
    int mr = x->r->job->tile->mr, nr = x->r->job->tile->nr;
    if (x->i1 - x->i0 > x->j1 - x->j0) {
        for (int64_t i = x->i0; i < x->i1; i += mr)
            for (int64_t j = x->j0; j < x->j1; j += nr)
                one_tile(x, i, j);
        return;
    }
    for (int64_t j = x->j0; j < x->j1; j += nr) {
        ahead next = next_panel(x, j);
        for (int64_t i = x->i0; i < x->i1; i += mr) {
            fetch_ahead(&next);
            one_tile(x, i, j);
        }
    }
}

/* Packs what of lanes first … last-1 needs it: all, or the last few of a direct side. The pieces of a cell
 * that a thread computes one after the other may share it. */
static void prepare(const part *x, const side *s, const char *data, int64_t first, int64_t last,
                    packed *held, char *to)
{
    int64_t whole = first + (last - first) / s->tile * s->tile;
    if (held->of == data && held->first == first && held->last == last && held->p == x->p)
        return;
    if (!s->direct)
        pack_block(x->r->job, s, data, first, last, x->p, x->k, to);
    else if (!lies_direct(s, last - whole))
        pack_block(x->r->job, s, data, whole, last, x->p, x->k, to);
    *held = (packed){data, first, last, x->p};
}

/* How many rows of a packed a are in a block: of short steps more. */
static int64_t block_rows(const product *job)
{
    int64_t rows = job->steps > 0 ? ROWS * STEPS / job->steps : ROWS;
    return rows < ROWS ? ROWS : rows / job->a.tile * job->a.tile;
}

/* Run function over the batch: count products follow each other. */
static void region_run(int64_t count, char *const *ptr, const int64_t *stride, void *arg)
{
    const region *r = arg;
    const product *job = r->job;
    int64_t rows = job->a.direct ? r->row1 - r->row0 : block_rows(job);
    for (int64_t n = 0; n < count; n++) {
        part x = {.r = r, .c = ptr[0] + n * stride[0]};
        x.a = ptr[1] + n * stride[1];
        x.b = ptr[2] + n * stride[2];
        for (x.j0 = r->column0; x.j0 < r->column1; x.j0 += COLUMNS) {
            x.j1 = least(x.j0 + COLUMNS, r->column1);
            x.p = 0;
            do { /* once even if k is 0: the result is zeros or the bias */
                x.k = least(job->steps, job->k - x.p);
                prepare(&x, &job->b, x.b, x.j0, x.j1, &r->own->b, r->packed_b);
                for (x.i0 = r->row0; x.i0 < r->row1; x.i0 += rows) {
                    x.i1 = least(x.i0 + rows, r->row1);
                    prepare(&x, &job->a, x.a, x.i0, x.i1, &r->own->a, r->packed_a);
                    block_product(&x);
                }
                x.p += x.k;
            } while (x.p < job->k);
        }
    }
}

/* --- partition ---------------------------------------------------------------------------------- */

/* Border number i of n parts, on a multiple of a tile. */
static int64_t border(int64_t lanes, int64_t tile, int64_t i, int64_t n)
{
    return least((lanes + tile - 1) / tile * i / n * tile, lanes);
}

/* The lanes of a piece of a cell. Where there are several, tiles are kept whole. */
static void find_lanes(const side *s, int64_t cell, int64_t piece, int64_t *first, int64_t *last)
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
    const product *job = arg;
    const side *a = &job->a, *b = &job->b;
    int64_t pieces = a->pieces * b->pieces, cells = a->cells * b->cells;
    int64_t piece = chunk % pieces, cell = chunk / pieces % cells;
    int64_t first = chunk / pieces / cells * job->each;
    char *own = job->buffers + tp_worker() * job->buffer_bytes;
    region r = {.job = job, .own = (buffer *)own, .packed_a = own + TP_ALIGN};
    r.packed_b = r.packed_a + job->buffer_a;
    find_lanes(a, cell / b->cells, piece % a->pieces, &r.row0, &r.row1);
    find_lanes(b, cell % b->cells, piece / a->pieces, &r.column0, &r.column1);
    if (r.row0 < r.row1 && r.column0 < r.column1)
        tp_iter_range(&job->batch, first, least(first + job->each, job->batch.numel), region_run,
                      &r);
}

/* Cells for the threads with the least work for the busiest of them: its tiles, and the lanes that it reads.
 * A large matrix of weights is thus cut rather than read by all, and stays in the caches of those that
 * update it. Among equals the one that cuts c along its larger stride, as elementwise operations are cut. */
static void choose_cells(product *job, int64_t threads)
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
static int64_t most_pieces(const side *s)
{
    return (s->lanes + s->cells * s->tile - 1) / (s->cells * s->tile);
}

/* Cuts a cell of so many multiplications, so that a thread that is through takes over from one that the machine
 * keeps from its work. Not where a side would be packed again for each piece: it is packed once if it lies in
 * one block. */
static void choose_pieces(product *job, double multiplications)
{
    side *a = &job->a, *b = &job->b;
    int64_t pieces = multiplications < PIECE ? 1 : (int64_t)(multiplications / PIECE);
    bool whole = job->steps >= job->k;
    bool a_once = a->direct || (whole && most_pieces(a) * a->tile <= block_rows(job));
    bool b_once = b->direct || (whole && b->lanes <= COLUMNS);
    if (b->direct && a_once)
        b->pieces = least(pieces, most_pieces(b));
    if (b_once && (a->direct || b->pieces == 1))
        a->pieces = least(pieces / b->pieces, most_pieces(a));
}

/* Packed panels are as wide as a tile, whatever part of it exists. */
static tp_status prepare_buffers(product *job, int64_t threads)
{
    const side *a = &job->a, *b = &job->b;
    int64_t k = job->k > 0 ? job->steps : 1; /* memory even if nothing is packed */
    int64_t rows = a->direct ? a->tile : least(block_rows(job), round_up(a->lanes, a->tile));
    int64_t columns = b->direct ? b->tile : least(COLUMNS, round_up(b->lanes, b->tile));
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
        *(buffer *)(job->buffers + i * job->buffer_bytes) = (buffer){0};
    return TP_OK;
}

static tp_status run(product *job)
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
static bool collides(const product *job, int64_t stride)
{
    return stride * job->size % 512 == 0;
}

/* Elements copied for a panel cost as much as this many multiplications, more if they must be turned. */
static double packing_cost(const product *job, const side *s)
{
    return s->direct ? 0 : (double)s->lanes * (double)job->k * (s->step == 1 ? 16 : 6);
}

/* Decides for this orientation what is packed and how the summed axis is cut. Returns its cost in
 * multiplications: padded tiles, packing, and the detour of c where it is not stored row by row. */
static double plan(product *job)
{
    side *a = &job->a, *b = &job->b;
    bool turned = job->column != 1;
    a->direct = a->step == 1 && a->lane != 1 && b->lanes <= FEW_LANES && !collides(job, a->lane);
    b->direct =
        b->lane == 1 && (a->lanes <= FEW_LANES || job->k <= FEW_STEPS) && !collides(job, b->step);
    a->tile = job->tile->mr;
    a->unit = job->tile->height[TP_TILE_HEIGHTS - 1];
    b->tile = job->tile->nr;
    b->unit = job->tile->nr / 2;
    int64_t longest = turned && b->lanes <= FEW_LANES ? LONG_STEPS : STEPS;
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
static product swapped(const product *job)
{
    product p = *job;
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
    product job = {.a = {dim[0], sa[0], sa[1]},
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
    product other = swapped(&job);
    TP_TRY(run(plan(&other) < plan(&job) ? &other : &job));
    tp_data_mut(y);
    return TP_OK;
}
