/* avx2.c: the level for AVX2 with FMA, compiled with the flags for it. Read next: kernels.inc. */
#define LEVEL avx2
#define VECTOR_BYTES 32
#define TILE_ROWS 6
#define USE_LIBM 0
#include "tensor/kernels/kernels.inc"
