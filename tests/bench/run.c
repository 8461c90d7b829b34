/* run.c: the clock, and rounds over a group of rows.
 *
 * A machine breathes: its clock rate and its neighbours change from one second to the next. So the rows of
 * a group take turns, and a row that computes runs between two short probes of what the machine can do at
 * that moment. Ratios are taken within a round; the figure shown is the median over rounds. A sample is all
 * its work over all its time: no best-of, no outliers thrown away. Read next: report.c. */
#define _POSIX_C_SOURCE 200809L
#include "tests/bench/bench.h"

#include <stdio.h>
#include <time.h>

#include "tensor/parallel.h"

double bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Threads of another library spin for a while after their last work, and so do ours: the next row should
 * have the cores for itself. */
static void let_threads_sleep(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 40 * 1000 * 1000}, NULL);
}

/* Runs once for the page faults, then finds how many calls make a millisecond. */
static void calibrate(bench_row *r)
{
    r->run(r->state);
    for (r->batch = 1;; r->batch *= 2) {
        double start = bench_now();
        for (int64_t i = 0; i < r->batch; i++)
            r->run(r->state);
        if (bench_now() - start > 1e-3)
            return;
    }
}

/* Calls per second. */
static double call_rate(const bench_row *r)
{
    double least = r->seconds > 0 ? r->seconds : 0.02, seconds;
    int64_t calls = 0;
    if (r->batch > 1) /* wakes the threads; beside a long call that is nothing */
        r->run(r->state);
    double start = bench_now();
    do {
        for (int64_t i = 0; i < r->batch; i++)
            r->run(r->state);
        calls += r->batch;
        seconds = bench_now() - start;
    } while (seconds < least);
    return (double)calls / seconds;
}

static double figure(const bench_row *r, double calls_per_second)
{
    double rate = calls_per_second * r->work;
    switch (r->unit) {
    case BENCH_NS:
        return 1e9 / rate;
    case BENCH_SAMPLES:
        return rate;
    default:
        return rate * 1e-9;
    }
}

static bench_sample sample(const bench_row *r)
{
    if (r->measure != NULL)
        return (bench_sample){.value = r->measure(r->state)};
    double before = r->flops > 0 ? bench_fma_gflops() : 0;
    if (r->foreign)
        let_threads_sleep();
    double rate = call_rate(r);
    if (r->foreign)
        let_threads_sleep();
    double after = r->flops > 0 ? bench_fma_gflops() : 0, probe = (before + after) / 2;
    return (bench_sample){.value = figure(r, rate),
                          .of_probe = probe > 0 ? rate * r->flops * 1e-9 / probe : 0};
}

static void begin(bench_row *r, int rounds, int threads)
{
    if (r->threads == 0)
        r->threads = threads;
    if (!r->wanted)
        return;
    bench_must(tp_set_threads(r->threads));
    r->skipped = r->begin != NULL && !r->begin(r);
    if (r->skipped)
        return;
    r->sample = bench_calloc((size_t)rounds, sizeof *r->sample);
    if (r->run != NULL)
        calibrate(r);
}

void bench_run_group(bench_row *first, bench_row *last, int rounds, int threads)
{
    for (bench_row *r = first; r < last; r++)
        begin(r, rounds, threads);
    for (int round = 0; round < rounds; round++)
        for (int64_t i = 0; i < last - first; i++) {
            bench_row *r = round % 2 == 0 ? first + i : last - 1 - i; /* nobody always goes first */
            if (!r->wanted || r->skipped || (r->max_rounds > 0 && round >= r->max_rounds))
                continue;
            bench_must(tp_set_threads(r->threads));
            r->sample[r->rounds++] = sample(r);
        }
    for (bench_row *r = first; r < last; r++)
        if (r->wanted && !r->skipped && r->end != NULL)
            r->end(r);
}
