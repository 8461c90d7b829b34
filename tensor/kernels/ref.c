/* ref.c: the portable level, on 16-byte vectors (SSE2, NEON, or whatever the compiler makes of them).
 *
 * It calls the C library's functions and fuses nothing, which makes it the level the others are
 * tested against. Read next: kernels.inc.
 */
#define LEVEL ref
#define VECTOR_BYTES 16
#define TILE_ROWS 6
#define USE_LIBM 1
#include "tensor/kernels/kernels.inc"
