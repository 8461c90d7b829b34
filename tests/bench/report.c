/* report.c: medians, the table and the JSON.
 *
 * Derived rows (a row's share of the FMA probe, or of the best of its group) appear as columns in the table
 * and as rows of their own in the JSON. Read next: docs/speed.md. */
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "tensor/kernels/kernels.h"
#include "tensor/parallel.h"

static const char *const unit_name[] = {
    [BENCH_GFLOPS] = "GFLOPS", [BENCH_GBS] = "GB/s", [BENCH_SAMPLES] = "samples/s",
    [BENCH_NS] = "ns",         [BENCH_MS] = "ms",    [BENCH_MB] = "MB"};

typedef struct range {
    double median, min, max;
} range;

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts v. */
static range stats(int n, double *v)
{
    qsort(v, (size_t)n, sizeof *v, ascending);
    return (range){(v[(n - 1) / 2] + v[n / 2]) / 2, v[0], v[n - 1]};
}

static range range_of(const bench_row *r, double (*figure)(const bench_sample *s))
{
    double v[BENCH_MAX_ROUNDS];
    for (int i = 0; i < r->rounds; i++)
        v[i] = figure(&r->sample[i]);
    return stats(r->rounds, v);
}

static double value(const bench_sample *s)
{
    return s->value;
}

static double percent_of_probe(const bench_sample *s)
{
    return 100 * s->of_probe;
}

/* r against the best of the others in each round, in percent; false if there are no others. */
static bool against_others(const bench_row *r, const bench_row *first, const bench_row *last,
                           range *out)
{
    double v[BENCH_MAX_ROUNDS];
    for (int i = 0; i < r->rounds; i++) {
        double best = 0;
        for (const bench_row *other = first; other < last; other++)
            if (other != r && i < other->rounds && other->sample[i].value > best)
                best = other->sample[i].value;
        if (best == 0)
            return false;
        v[i] = r->as_cost ? 100 * (best / r->sample[i].value - 1) : 100 * r->sample[i].value / best;
    }
    *out = stats(r->rounds, v);
    return r->versus != NULL;
}

/* --- the table ---------------------------------------------------------------------------------- */

void bench_table_head(void)
{
    printf("%s kernels, %d cores; medians, with the range over rounds\n\n", tp_isa(), tp_cores());
    printf("%-40s %10s %-9s %10s %10s %4s %7s\n", "name", "value", "unit", "min", "max", "thr",
           "% probe");
}

static int digits(double v)
{
    return v < 10 ? 3 : v < 100 ? 2 : v < 1000 ? 1 : 0;
}

void bench_table_row(const bench_row *r, const bench_row *first, const bench_row *last)
{
    range s = range_of(r, value), other;
    printf("%-40s %10.*f %-9s %10.*f %10.*f %4d", r->name, digits(s.median), s.median,
           unit_name[r->unit], digits(s.min), s.min, digits(s.max), s.max, r->threads);
    if (r->flops > 0)
        printf(" %7.1f", range_of(r, percent_of_probe).median);
    if (against_others(r, first, last, &other))
        printf("%s  %s %.1f %%", r->flops > 0 ? "" : "        ", r->versus, other.median);
    putchar('\n');
    fflush(stdout);
}

/* --- JSON --------------------------------------------------------------------------------------- */

static int json_rows;

static void json(const char *name, const char *suffix, range s, const char *unit, int threads)
{
    printf("%s\n {\"name\": \"%s%s%s\", \"value\": %.6g, \"unit\": \"%s\", \"threads\": %d, "
           "\"min\": %.6g, \"max\": %.6g}",
           json_rows++ == 0 ? "[" : ",", name, suffix[0] != '\0' ? "/" : "", suffix, s.median, unit,
           threads, s.min, s.max);
    fflush(stdout);
}

void bench_json_row(const bench_row *r, const bench_row *first, const bench_row *last)
{
    range other;
    json(r->name, "", range_of(r, value), unit_name[r->unit], r->threads);
    if (r->flops > 0)
        json(r->name, "of-probe", range_of(r, percent_of_probe), "%", r->threads);
    if (against_others(r, first, last, &other))
        json(r->name, r->versus, other, "%", r->threads);
}

void bench_json_end(void)
{
    puts(json_rows == 0 ? "[]" : "\n]");
}
