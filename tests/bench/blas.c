/* blas.c: opens OpenBLAS and BLIS and finds the three functions the bench needs.
 *
 * Both choose their kernels by a table of processors, which an old version does not find a new processor in:
 * it then runs much slower code than it has. Unless the user has set them, the variables that name the
 * kernels are set to what suits the level that tapir runs at, so that the comparison is with the best they
 * have. */
#define _POSIX_C_SOURCE 200809L
#include "tests/bench/blas.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/kernels/kernels.h"

/* cblas.h: row-major 101, plain 111, transposed 112 */
typedef void (*sgemm_fn)(int order, int ta, int tb, int m, int n, int k, float alpha,
                         const float *a, int lda, const float *b, int ldb, float beta, float *c,
                         int ldc);

static struct blas {
    const char *name, *file[3];
    const char *variable, *avx512, *avx2; /* environment: which kernels, */
    const char *version;                  /* if this is the version */
    bool tried;
    void *library;
    sgemm_fn sgemm;
    void (*set_threads)(int);        /* OpenBLAS */
    void (*set_threads_64)(int64_t); /* BLIS */
} all[BLAS_COUNT] = {
    [BLAS_OPENBLAS] = {.name = "openblas",
                       .file = {"libopenblas.so.0", "libopenblas.so", "libopenblas.dylib"},
                       .variable = "OPENBLAS_CORETYPE",
                       .avx512 = "Cooperlake",
                       .avx2 = "Haswell"},
    [BLAS_BLIS] = {.name = "blis",
                   .file = {"libblis.so.4", "libblis.so", "libblis.dylib"},
                   .variable = "BLIS_ARCH_TYPE",
                   .avx512 = "0", /* skx */
                   .version = "0.9"}};

/* dlsym gives an object pointer; C has no cast from it to a function pointer, POSIX promises the copy. */
static void find(void *library, const char *symbol, void *function)
{
    void *address = dlsym(library, symbol);
    memcpy(function, &address, sizeof address);
}

static const char *kernel_name(const struct blas *b)
{
    const char *(*corename)(void), *(*arch_string)(int);
    int (*arch)(void);
    float one[4] = {1};
    b->sgemm(101, 111, 111, 1, 1, 1, 1, one, 1, one + 1, 1, 0, one + 2,
             1); /* BLIS starts up here */
    find(b->library, "openblas_get_corename", &corename);
    find(b->library, "bli_arch_string", &arch_string);
    find(b->library, "bli_arch_query_id", &arch);
    if (corename != NULL)
        return corename();
    return arch != NULL && arch_string != NULL ? arch_string(arch()) : "unknown";
}

/* OpenBLAS reads its variable when it is opened. BLIS reads it at the first call, and the numbers are those of
 * one version. */
static void choose_kernels(const struct blas *b)
{
    const char *(*version)(void) = NULL;
    const char *value = strcmp(tp_isa(), "avx512") == 0 ? b->avx512
                        : strcmp(tp_isa(), "avx2") == 0 ? b->avx2
                                                        : NULL;
    if (b->version != NULL)
        find(b->library, "bli_info_get_version_str", &version);
    if (b->version != NULL &&
        (version == NULL || strncmp(version(), b->version, strlen(b->version)) != 0))
        return;
    if (value != NULL)
        setenv(b->variable, value, 0);
}

static void open_library(struct blas *b)
{
    if (b->version == NULL)
        choose_kernels(b);
    for (int i = 0; i < 3 && b->library == NULL; i++)
        b->library = dlopen(b->file[i], RTLD_NOW | RTLD_LOCAL);
    if (b->library == NULL)
        return;
    if (b->version != NULL)
        choose_kernels(b);
    find(b->library, "cblas_sgemm", &b->sgemm);
    find(b->library, "openblas_set_num_threads", &b->set_threads);
    find(b->library, "bli_thread_set_num_threads", &b->set_threads_64);
}

bool blas_open(blas_kind kind)
{
    struct blas *b = &all[kind];
    if (b->tried)
        return b->sgemm != NULL;
    b->tried = true;
    open_library(b);
    if (b->sgemm != NULL)
        fprintf(stderr, "tapir-bench: %s runs its %s kernels\n", b->name, kernel_name(b));
    else
        fprintf(stderr, "tapir-bench: %s is not here: its rows are left out\n", b->name);
    return b->sgemm != NULL;
}

const char *blas_name(blas_kind kind)
{
    return all[kind].name;
}

void blas_set_threads(blas_kind kind, int threads)
{
    if (all[kind].set_threads != NULL)
        all[kind].set_threads(threads);
    if (all[kind].set_threads_64 != NULL)
        all[kind].set_threads_64(threads);
}

void blas_sgemm(blas_kind kind, bool transpose_a, bool transpose_b, int m, int n, int k,
                const float *a, const float *b, float *c)
{
    all[kind].sgemm(101, transpose_a ? 112 : 111, transpose_b ? 112 : 111, m, n, k, 1, a,
                    transpose_a ? m : k, b, transpose_b ? k : n, 0, c, n);
}
