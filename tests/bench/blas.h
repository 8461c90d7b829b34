/* blas.h: OpenBLAS and BLIS, if they are on this machine, for comparison.
 *
 * Opened at run time and each with its own symbols, because both call their functions cblas_sgemm. The
 * library itself needs neither. Read next: blas.c. */
#ifndef TP_BENCH_BLAS_H
#define TP_BENCH_BLAS_H

#include <stdbool.h>

typedef enum blas_kind { BLAS_OPENBLAS, BLAS_BLIS, BLAS_COUNT } blas_kind;

/* c[m,n] = a·b with a [m,k] or, transposed, [k,m], and b [k,n] or [n,k]; all row-major without gaps. */
void blas_sgemm(blas_kind kind, bool transpose_a, bool transpose_b, int m, int n, int k,
                const float *a, const float *b, float *c);
const char *blas_name(blas_kind kind);
/* Opens the library at the first call and says on stderr which kernels it runs, or that it is not there. */
bool blas_open(blas_kind kind);
void blas_set_threads(blas_kind kind, int threads);

#endif
