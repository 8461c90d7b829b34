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

#ifdef __cplusplus
extern "C" {
#endif

/* y[i] = f(x[0][i], x[1][i], …; p) for i < n; y may be one of the inputs. p has two entries. */
typedef void (*tp_map_fn)(int64_t n, void *y, const void *const *x, const double *p);

/* The reduction of n elements, in TP_LANES partial results combined in a fixed order. */
typedef double (*tp_row_fn)(int64_t n, const void *x);

/* acc[i] = reduction of acc[i] and x[i] for i < n. */
typedef void (*tp_column_fn)(int64_t n, double *acc, const void *x);

/* One tile of a matrix product: c[i][j] = init[i][j] + sum over p < k of a[p*mr + i] * b[p*nr + j].
 * init may be c; NULL stands for zeros. ldc, ldi: steps between rows, in elements. */
typedef void (*tp_tile_fn)(int64_t k, const void *a, const void *b, const void *init, int64_t ldi,
                           void *c, int64_t ldc);

/* Packs k steps of width lanes (of which used exist, the rest become zeros) for the tile:
 * to[p*width + i] = from[i*lane + p*step]. */
typedef void (*tp_pack_fn)(int64_t width, int64_t used, int64_t k, const void *from, int64_t lane,
                           int64_t step, void *to);

/* Copies the finished rows x columns of a tile to c with any strides, adding init if not NULL. */
typedef void (*tp_store_fn)(int64_t rows, int64_t columns, const void *tile, const void *init,
                            int64_t init_row, int64_t init_column, void *c, int64_t c_row,
                            int64_t c_column);

/* mr rows; columns come in nr, or in nr/2 for the right edge, reading the same packed panels. */
typedef struct tp_tile {
    int mr, nr;
    tp_tile_fn full, half;
    tp_pack_fn pack;
    tp_store_fn store; /* of a tile with rows nr apart */
} tp_tile;

enum { TP_LANES = 16, TP_MAX_MR = 16, TP_MAX_NR = 32 };

/* The last index of each array is the dtype: TP_F32 or TP_F64. */
typedef struct tp_kernels {
    const char *name;
    tp_map_fn map[TP_MAP_KERNEL_COUNT][2];
    tp_row_fn row[3][2]; /* by tp_reduction */
    tp_column_fn column[3][2];
    tp_tile tile[2];
} tp_kernels;

extern const tp_kernels tp_kernels_ref;
#ifdef __x86_64__
extern const tp_kernels tp_kernels_avx2, tp_kernels_avx512;
#endif

/* The level in use. Chosen at the first call: the best one this processor runs, or the one that the
 * environment variable TAPIR_ISA (ref, avx2, avx512) names, if the processor runs it. */
const tp_kernels *tp_kernels_get(void);

/* n strided elements of 4 or 8 bytes into contiguous memory, as kernels want them. stride in bytes. */
static inline void tp_gather_run(int64_t n, void *to, const char *from, int64_t stride,
                                 int64_t size)
{
    char *y = (char *)to;
    if (size == 4)
        for (int64_t i = 0; i < n; i++)
            memcpy(y + 4 * i, from + i * stride, 4);
    else
        for (int64_t i = 0; i < n; i++)
            memcpy(y + 8 * i, from + i * stride, 8);
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
