/* avx512.c: the level for AVX-512 (F, DQ, VL, BW), compiled with the flags for it.
 * Read next: kernels.inc. */
#define LEVEL avx512
#define VECTOR_BYTES 64
#define TILE_ROWS 12
#define USE_LIBM 0
#include "tensor/kernels/kernels.inc"
