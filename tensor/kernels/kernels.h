/* kernels.h: the table of micro-kernels of one ISA level, and the choice of the level.
 *
 * A kernel is a loop over contiguous memory: strides, chunks and threads are the drivers' business
 * (map.c, reduce.c, matmul.c). The same sources (*.inc) are compiled once per level. Not for users,
 * except tp_isa. Read next: map.inc, then tile.inc.
 */
#ifndef TP_TENSOR_KERNELS_KERNELS_H
#define TP_TENSOR_KERNELS_KERNELS_H

#include <string.h>

#include "tensor/map.h"
#include "tensor/reduce.h"
#include "tensor/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y[i] = f(x[0][i], x[1][i], …; p) for i < n; y may be one of the inputs. p has two entries. */
typedef void (*tp_map_fn)(int64_t n, void *y, const void *const *x, const double *p);

/* The reduction of n elements, in TP_LANES partial results combined in a fixed order. */
typedef double (*tp_row_fn)(int64_t n, const void *x);

/* acc[i] = reduction of acc[i] and x[i] for i < n. */
typedef void (*tp_column_fn)(int64_t n, double *acc, const void *x);

/* Whether low <= x[i] <= high for all i < n; NaN is outside. */
typedef bool (*tp_within_fn)(int64_t n, const void *x, double low, double high);

/* y[i] = scale * x[i] for i < n, the product made in double. y does not overlap x. */
typedef void (*tp_scaled_fn)(int64_t n, void *y, const void *x, double scale);

/* The TP_DRAW words, or values, of a draw that start at block first. */
typedef void (*tp_words_fn)(const tp_rng_key *key, uint32_t first, uint32_t *word);
typedef void (*tp_draw_fn)(const tp_rng_key *key, uint32_t first, double *value);

/* p[i] -= step for i < n by a row of updates.def: g is the gradient, m, v and u the state (unused ones may be
 * NULL), c the row's TP_UPDATE_CONSTANTS constants. No two arrays overlap. */
typedef void (*tp_update_fn)(int64_t n, void *p, const void *g, void *m, void *v, void *u,
                             const double *c);

/* TP_U_adam and so on: one value per row of updates.def. */
typedef enum tp_update_kernel {
#define TP_UPDATE(name, ...) TP_U_##name,
#include "tensor/kernels/updates.def"
#undef TP_UPDATE
    TP_UPDATE_COUNT
} tp_update_kernel;

enum { TP_DRAW = 256, TP_UPDATE_CONSTANTS = 8 };

/* One tile of a matrix product:
 *   c[i][j] = init[i][j] + sum over p < k of a[i*a_lane + p*a_step] * b[p*b_step + j]
 * init may be c; NULL stands for zeros. All steps in elements. */
typedef struct tp_tile_args {
    int64_t k;
    const void *a, *b, *init;
    void *c;
    int64_t a_lane, a_step, b_step, init_row, c_row;
    bool relu; /* max(0, .) at the end */
} tp_tile_args;
typedef void (*tp_tile_fn)(const tp_tile_args *t);

/* Packs k steps of width lanes (of which used exist, the rest become zeros) for the tile:
 * to[p*width + i] = from[i*lane + p*step]. */
typedef void (*tp_pack_fn)(int64_t width, int64_t used, int64_t k, const void *from, int64_t lane,
                           int64_t step, void *to);

/* Copies the finished rows x columns of a tile, whose rows are nr apart, to c with any strides, adding
 * init if not NULL. */
typedef struct tp_store_args {
    int64_t rows, columns;
    const void *tile, *init;
    void *c;
    int64_t init_row, init_column, c_row, c_column;
    bool relu;
} tp_store_args;
typedef void (*tp_store_fn)(const tp_store_args *s);

/* One line of an image [width, channels] and what a line of the kernel sees of it, from each position j:
 *   rows[j*pitch + v*channels + c], v < taps  <->  line[(j*stride + v*dilation - padding)*channels + c]
 * unfold copies to rows, with 0 for what lies outside (everywhere if line is NULL); fold adds rows to line. */
typedef struct tp_window_args {
    int64_t channels, width, taps, positions, stride, padding, dilation, pitch;
    void *line, *rows;
} tp_window_args;
typedef void (*tp_window_fn)(const tp_window_args *w);

enum { TP_TILE_HEIGHTS = 3, TP_LANES = 16, TP_MAX_MR = 16, TP_MAX_NR = 32 };

/* Tiles of height[0] = mr rows, two thirds and one third of it, times one vector or two; nr is two.
 * [0]: the elements of a that meet in one step are neighbours (a_lane is 1), as in packed panels;
 * [1]: steps are neighbours (a_step is 1). */
typedef struct tp_tiles {
    int mr, nr;
    int height[TP_TILE_HEIGHTS];
    tp_tile_fn kernel[2][TP_TILE_HEIGHTS][2];
    tp_pack_fn pack;
    tp_store_fn store;
} tp_tiles;

/* The last index of each array is the dtype: TP_F32 or TP_F64. */
typedef struct tp_kernels {
    const char *name;
    tp_map_fn map[TP_MAP_KERNEL_COUNT][2];
    tp_row_fn row[3][2]; /* by tp_reduction */
    tp_column_fn column[3][2];
    tp_within_fn within[2];
    tp_scaled_fn scaled[TP_DTYPE_COUNT][2]; /* from a dtype (not i64) to a float type */
    tp_words_fn words;
    tp_draw_fn uniform, normal;
    tp_update_fn update[TP_UPDATE_COUNT][2];
    tp_tiles tile[2];
    tp_window_fn unfold[2], fold[2];
} tp_kernels;

extern const tp_kernels tp_kernels_ref;
#ifdef __x86_64__
extern const tp_kernels tp_kernels_avx2, tp_kernels_avx512;
#endif

/* The level in use. Chosen at the first call: the best one this processor runs, or the one that the
 * environment variable TAPIR_ISA (ref, avx2, avx512) names, if the processor runs it. */
const tp_kernels *tp_kernels_get(void);

/* n strided elements of 4 or 8 bytes into contiguous memory, as kernels want them. stride in bytes; a repeated element
 * (0) is read once, so that the compiler fills with vectors. */
static inline void tp_gather_run(int64_t n, void *to, const char *from, int64_t stride,
                                 int64_t size)
{
    char *y = (char *)to;
    if (stride == 0 && n > 0) {
        uint64_t value = 0;
        memcpy(&value, from, (size_t)size);
        if (size == 4)
            for (int64_t i = 0; i < n; i++)
                memcpy(y + 4 * i, &value, 4);
        else
            for (int64_t i = 0; i < n; i++)
                memcpy(y + 8 * i, &value, 8);
    } else if (size == 4) {
        for (int64_t i = 0; i < n; i++)
            memcpy(y + 4 * i, from + i * stride, 4);
    } else {
        for (int64_t i = 0; i < n; i++)
            memcpy(y + 8 * i, from + i * stride, 8);
    }
}

/* The name of the level in use. */
const char *tp_isa(void);

/* Changes the level, for tests and comparisons; TP_EARG if there is none of that name here. Not while
 * other threads compute. */
tp_status tp_set_isa(const char *name);

#ifdef __cplusplus
}
#endif
#endif
