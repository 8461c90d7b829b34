/* bench.h: what the files of tapir-bench share: the row and how one is made.
 *
 * A row is one figure of the table: something to repeat, and how much work one call is. bench.c reads the
 * options, run.c measures, report.c prints; the rows_*.c files say what there is to measure. This is a
 * program and no test: nothing here judges a figure. Read next: rows_matmul.c for a row, run.c for the clock.
 */
#ifndef TP_BENCH_BENCH_H
#define TP_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "tensor/tensor.h"

/* How a figure is made of work (per call) and time. */
typedef enum bench_unit {
    BENCH_GFLOPS,  /* work in floating point operations */
    BENCH_GBS,     /* bytes */
    BENCH_SAMPLES, /* samples/s */
    BENCH_NS,      /* ns per unit of work */
    BENCH_MS,      /* measured, not computed: see bench_row.measure */
    BENCH_MB
} bench_unit;

enum { BENCH_NAME = 64, BENCH_MAX_ROUNDS = 1000 };

/* One round of a row: its figure, and its share of the FMA probe that ran beside it (0: not compared). */
typedef struct bench_sample {
    double value, of_probe;
} bench_sample;

typedef struct bench_row bench_row;
struct bench_row {
    char name[BENCH_NAME];
    bench_unit unit;
    int64_t arg[4]; /* what tells this row from others of the same functions */
    const void *data;

    /* Makes state and sets work; false if there is nothing to measure here, after saying so on stderr.
     * end undoes it. */
    bool (*begin)(bench_row *r);
    void (*end)(bench_row *r);
    /* One call does work units. Or measure, which gives the figure of a round itself. */
    void (*run)(void *state);
    double (*measure)(void *state);
    void *state;
    double work;
    double flops; /* per call; not 0: the row is compared with the FMA probe */

    bool with_previous; /* belongs to the row before: their rounds are interleaved */
    bool foreign;   /* runs threads that are not the library's, which need time to fall asleep */
    int threads;    /* 0: as --threads */
    int max_rounds; /* 0: as --rounds */
    double seconds; /* a sample takes at least so long; 0: 0.02 */
    /* The row's figure in percent of the best of its group's others, under this name; as_cost: what it lacks. */
    const char *versus;
    bool as_cost;

    bool wanted, skipped;
    int64_t batch; /* calls between two looks at the clock */
    int rounds;
    bench_sample *sample;
};

/* --- making rows ------------------------------------------------------------------------------ */

/* A new row of that name, all else zero. The order of calls is the order of the table. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
bench_row *
bench_add(bench_unit unit, const char *format, ...);

/* One per rows_*.c file. */
void bench_rows_machine(void);
void bench_rows_matmul(void);
void bench_rows_conv(void);
void bench_rows_pool(void);
void bench_rows_map(void);
void bench_rows_tape(void);
void bench_rows_train(void);
void bench_rows_scale(void);
void bench_rows_evidence(void);
void bench_rows_process(void);

/* --- measuring -------------------------------------------------------------------------------- */

/* Runs the rows from first up to last, which are one group, for so many rounds on so many threads. */
void bench_run_group(bench_row *first, bench_row *last, int rounds, int threads);
/* Seconds of a clock that only goes forward. */
double bench_now(void);
/* The rate of fused multiply-adds in GFLOPS on tp_threads() threads, in about 10 ms. */
double bench_fma_gflops(void);

/* --- printing --------------------------------------------------------------------------------- */

/* A row's line, with what it is against the rows of its group; [first, last) is the group. */
void bench_table_head(void);
void bench_table_row(const bench_row *r, const bench_row *first, const bench_row *last);
void bench_json_row(const bench_row *r, const bench_row *first, const bench_row *last);
void bench_json_end(void);

/* --- for row files ---------------------------------------------------------------------------- */

/* Ends the program with the message of the failure. */
void bench_must(tp_status s);
/* calloc that ends the program instead of failing. */
void *bench_calloc(size_t n, size_t size);
/* An f32 tensor of uniform draws from (lo, hi). */
tp_tensor bench_uniform(tp_shape shape, double lo, double hi);
/* Threads that --threads asks for. */
int bench_threads(void);

/* Ends the program unless a few training steps with the tape and without give the same losses. */
void bench_check_agreement(void);

/* Part of a child process (see rows_process.c): prints one number. false: no such part. */
bool bench_child(const char *what);

#endif
