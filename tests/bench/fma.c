/* fma.c: the FMA probe: how many multiply-adds this machine does at this moment, with nothing to load.
 *
 * Twelve accumulators hide the latency of the unit; they start at different values, so that no compiler can
 * see that some are equal and compute them once. One loop per vector width; the one that matches the
 * library's kernels is used. The file is compiled with -ffp-contract=fast. Read next: run.c. */
#include "tests/bench/bench.h"

#include <string.h>

#include "tensor/kernels/kernels.h"
#include "tensor/parallel.h"

enum { ACCUMULATORS = 12, STEPS = 1 << 18, MAX_THREADS = 256 };

/* volatile: values that the compiler may not know */
static volatile float factor = 0.75F, term = 0.25F;
static volatile double sink[MAX_THREADS];

#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define START(i) v a##i = (v){0} + (float)i;
#define STEP(i) a##i = a##i * m + c;
#define ADD(i) sum += a##i;

#define DEFINE_PROBE(name, bytes, TARGET)                                                          \
    TARGET static double name(void)                                                                \
    {                                                                                              \
        typedef float v __attribute__((vector_size(bytes)));                                       \
        const v m = (v){0} + factor, c = (v){0} + term;                                            \
        EACH(START)                                                                                \
        for (int step = 0; step < STEPS; step++) {                                                 \
            EACH(STEP)                                                                             \
        }                                                                                          \
        v sum = {0};                                                                               \
        EACH(ADD)                                                                                  \
        double total = 0;                                                                          \
        for (size_t i = 0; i < bytes / sizeof(float); i++)                                         \
            total += (double)sum[i];                                                               \
        return total;                                                                              \
    }

DEFINE_PROBE(probe_128, 16, )
#ifdef __x86_64__
DEFINE_PROBE(probe_256, 32, __attribute__((target("avx2,fma"))))
DEFINE_PROBE(probe_512, 64, __attribute__((target("avx512f"))))
#endif

static double (*probe)(void);

static void body(int64_t chunk, void *arg)
{
    (void)arg;
    sink[chunk] = probe();
}

/* The probe of the level in use, and its vector width in bytes. */
static int choose(void)
{
    probe = probe_128;
#ifdef __x86_64__
    if (strcmp(tp_isa(), "avx512") == 0)
        return probe = probe_512, 64;
    if (strcmp(tp_isa(), "avx2") == 0)
        return probe = probe_256, 32;
#endif
    return 16;
}

double bench_fma_gflops(void)
{
    int lanes = choose() / 4, threads = tp_threads();
    double flops = 2.0 * lanes * ACCUMULATORS * STEPS * threads, seconds;
    int64_t calls = 0;
    tp_parallel(threads, body, NULL); /* wakes the threads and the wide units */
    double start = bench_now();
    do {
        tp_parallel(threads, body, NULL);
        calls++;
        seconds = bench_now() - start;
    } while (seconds < 0.01);
    return flops * (double)calls / seconds * 1e-9;
}
