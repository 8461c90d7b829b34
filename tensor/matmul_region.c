/* matmul_region.c: one region of a product, block by block and tile by tile.
 *
 * For each block of steps the sides that need it are packed, then each tile of the region is computed and
 * written, or added to what the block before has left. Not here: the arithmetic of a tile (kernels/tile.inc), and how
 * products are cut to regions (matmul.c).
 */
#include "tensor/matmul_region.h"

/* The part of a region that is computed from one block of a, one of b and k steps from p on. */
typedef struct part {
    const tp_matmul_region *r;
    const char *a, *b; /* of this product of the batch */
    char *c;
    int64_t p, k, i0, i1, j0, j1;
} part;

/* Packs lanes first … last-1 and k steps from p on into panels of a tile's lanes. */
static void pack_block(const tp_matmul_job *job, const tp_matmul_side *s, const char *data,
                       int64_t first, int64_t last, int64_t p, int64_t k, char *to)
{
    for (int64_t i = first; i < last; i += s->tile, to += s->tile * k * job->size)
        job->tile->pack(s->tile, tp_least(s->tile, last - i), k,
                        data + (i * s->lane + p * s->step) * job->size, s->lane, s->step, to);
}

/* Whether a tile reads its lanes where they lie: of a direct side, all but the last few lanes that do not
 * make a multiple of the smallest tile. Those are packed and filled up with zeros. */
static bool lies_direct(const tp_matmul_side *s, int64_t lanes)
{
    return s->direct && lanes % s->unit == 0;
}

/* Where the tile at row i finds its part of a. */
static void find_a(const part *x, int64_t i, int64_t rows, tp_tile_args *t)
{
    const tp_matmul_job *job = x->r->job;
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
    const tp_matmul_job *job = x->r->job;
    if (lies_direct(&job->b, columns)) {
        t->b = x->b + (j * job->b.lane + x->p * job->b.step) * job->size;
        t->b_step = job->b.step;
    } else {
        t->b = x->r->packed_b + (job->b.direct ? 0 : (j - x->j0) * x->k * job->size);
        t->b_step = job->tile->nr;
    }
}

/* A tile that is not whole, or whose rows are not contiguous in c or init. Where it goes is fetched meanwhile. */
static void one_detour(const tp_matmul_job *job, tp_tile_fn kernel, tp_tile_args *t,
                       tp_store_args *s)
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
    const tp_matmul_job *job = x->r->job;
    const tp_tiles *tile = job->tile;
    int64_t rows = tp_least(tile->mr, x->i1 - i), columns = tp_least(tile->nr, x->j1 - j);
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
    const tp_matmul_job *job = x->r->job;
    int64_t mr = job->tile->mr, nr = job->tile->nr, tiles = (x->i1 - x->i0 + mr - 1) / mr;
    bool last = j + nr >= x->j1; /* then the first panel of the next steps */
    int64_t p = last ? x->p + x->k : x->p, left = tp_least(x->k, job->k - p);
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
    int64_t n = tp_least(next->each, next->left);
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
static void prepare(const part *x, const tp_matmul_side *s, const char *data, int64_t first,
                    int64_t last, tp_matmul_packed *held, char *to)
{
    int64_t whole = first + (last - first) / s->tile * s->tile;
    if (held->of == data && held->first == first && held->last == last && held->p == x->p)
        return;
    if (!s->direct)
        pack_block(x->r->job, s, data, first, last, x->p, x->k, to);
    else if (!lies_direct(s, last - whole))
        pack_block(x->r->job, s, data, whole, last, x->p, x->k, to);
    *held = (tp_matmul_packed){data, first, last, x->p};
}

void tp_matmul_region_run(int64_t count, char *const *ptr, const int64_t *stride, void *arg)
{
    const tp_matmul_region *r = arg;
    const tp_matmul_job *job = r->job;
    int64_t rows = job->a.direct ? r->row1 - r->row0 : tp_matmul_block_rows(job);
    for (int64_t n = 0; n < count; n++) {
        part x = {.r = r, .c = ptr[0] + n * stride[0]};
        x.a = ptr[1] + n * stride[1];
        x.b = ptr[2] + n * stride[2];
        for (x.j0 = r->column0; x.j0 < r->column1; x.j0 += TP_MATMUL_COLUMNS) {
            x.j1 = tp_least(x.j0 + TP_MATMUL_COLUMNS, r->column1);
            x.p = 0;
            do { /* once even if k is 0: the result is zeros or the bias */
                x.k = tp_least(job->steps, job->k - x.p);
                prepare(&x, &job->b, x.b, x.j0, x.j1, &r->own->b, r->packed_b);
                for (x.i0 = r->row0; x.i0 < r->row1; x.i0 += rows) {
                    x.i1 = tp_least(x.i0 + rows, r->row1);
                    prepare(&x, &job->a, x.a, x.i0, x.i1, &r->own->a, r->packed_a);
                    block_product(&x);
                }
                x.p += x.k;
            } while (x.p < job->k);
        }
    }
}
