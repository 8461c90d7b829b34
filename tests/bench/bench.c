/* bench.c: tapir-bench, the program: options, the list of rows, and the loop over them.
 *
 * How a row is timed is in run.c, how it is shown in report.c. Read next: docs/speed.md for how to read
 * the figures. */
#include "tests/bench/bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/kernels/kernels.h"
#include "tensor/map.h"
#include "tensor/parallel.h"
#include "tensor/rng.h"

enum { MAX_ROWS = 512 };

static bench_row rows[MAX_ROWS];
static int row_count;

static struct options {
    bool json, list, check;
    const char *filter, *child;
    int threads, rounds;
} options;

static const char help[] =
    "tapir-bench: how fast tapir is on this machine\n"
    "\n"
    "usage: tapir-bench [options]\n"
    "  --filter TEXT   only rows whose name contains TEXT, or one of several texts joined by commas\n"
    "  --threads N     threads (default: all cores)\n"
    "  --rounds N      rounds per row, whose median is the figure (default: 5)\n"
    "  --json          an array of objects {name, value, unit, threads, min, max} instead of a table\n"
    "  --list          the names of the rows\n"
    "  --check         times nothing: compares losses of training with the tape and without\n"
    "  --help          this text\n";

/* --- for row files ------------------------------------------------------------------------------ */

bench_row *bench_add(bench_unit unit, const char *format, ...)
{
    if (row_count == MAX_ROWS) {
        fprintf(stderr, "tapir-bench: more than %d rows\n", MAX_ROWS);
        exit(1);
    }
    bench_row *r = &rows[row_count++];
    va_list list;
    va_start(list, format);
    vsnprintf(r->name, sizeof r->name, format, list);
    va_end(list);
    r->unit = unit;
    return r;
}

void bench_must(tp_status s)
{
    if (s == TP_OK)
        return;
    fprintf(stderr, "tapir-bench: %s\n", tp_last_error());
    exit(1);
}

void *bench_calloc(size_t n, size_t size)
{
    void *p = calloc(n, size);
    if (p == NULL) {
        fprintf(stderr, "tapir-bench: out of memory\n");
        exit(1);
    }
    return p;
}

tp_tensor bench_uniform(tp_shape shape, double lo, double hi)
{
    tp_tensor t;
    const double scale_and_shift[2] = {hi - lo, lo};
    bench_must(tp_tensor_new(&t, TP_F32, shape));
    bench_must(tp_random_uniform(&t, (tp_rng_key){.seed = 1}));
    const tp_tensor *x[1] = {&t};
    bench_must(tp_map(TP_K_affine, &t, x, scale_and_shift));
    return t;
}

int bench_threads(void)
{
    return options.threads;
}

/* --- options ------------------------------------------------------------------------------------ */

static _Noreturn void usage(const char *format, const char *what)
{
    fputs("tapir-bench: ", stderr);
    fprintf(stderr, format, what);
    fputs(" (--help lists the options)\n", stderr);
    exit(2);
}

static int number(const char *option, const char *text, int max)
{
    char *end, what[128];
    long n = strtol(text, &end, 10);
    if (end == text || *end != '\0' || n < 1 || n > max) {
        snprintf(what, sizeof what, "%s wants a number from 1 to %d, not '%.40s'", option, max,
                 text);
        usage("%s", what);
    }
    return (int)n;
}

static void parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i], *value = argv[i + 1]; /* argv ends with NULL */
        if (strcmp(option, "--json") == 0)
            options.json = true;
        else if (strcmp(option, "--list") == 0)
            options.list = true;
        else if (strcmp(option, "--check") == 0)
            options.check = true;
        else if (strcmp(option, "--help") == 0) {
            fputs(help, stdout);
            exit(0);
        } else if (strcmp(option, "--filter") != 0 && strcmp(option, "--threads") != 0 &&
                   strcmp(option, "--rounds") != 0 && strcmp(option, "--child") != 0) {
            usage("unknown option '%s'", option);
        } else if (value == NULL) {
            usage("%s wants a value", option);
        } else {
            i++;
            if (strcmp(option, "--filter") == 0)
                options.filter = value;
            else if (strcmp(option, "--threads") == 0)
                options.threads = number(option, value, 256);
            else if (strcmp(option, "--rounds") == 0)
                options.rounds = number(option, value, BENCH_MAX_ROUNDS);
            else
                options.child = value;
        }
    }
}

/* --- rows --------------------------------------------------------------------------------------- */

/* Whether name contains one of the texts between commas. No text at all matches nothing. */
static bool matches(const char *name, const char *filter)
{
    char part[BENCH_NAME];
    for (const char *at = filter; *at != '\0'; at += *at == ',') {
        size_t n = strcspn(at, ",");
        if (n > 0 && n < sizeof part) {
            memcpy(part, at, n);
            part[n] = '\0';
            if (strstr(name, part) != NULL)
                return true;
        }
        at += n;
    }
    return false;
}

static void list_rows(void)
{
    bench_rows_machine();
    bench_rows_train();
    bench_rows_evidence();
    bench_rows_matmul();
    bench_rows_conv();
    bench_rows_pool();
    bench_rows_map();
    bench_rows_tape();
    bench_rows_process();
    bench_rows_scale();
    int wanted = 0;
    for (int i = 0; i < row_count; i++) {
        rows[i].wanted = options.filter == NULL || matches(rows[i].name, options.filter);
        wanted += rows[i].wanted;
    }
    if (wanted == 0)
        usage("no row matches '%s': --list shows their names", options.filter);
}

static void run_rows(void)
{
    if (!options.json)
        bench_table_head();
    for (int first = 0, last; first < row_count; first = last) {
        for (last = first + 1; last < row_count && rows[last].with_previous;)
            last++;
        bench_run_group(rows + first, rows + last, options.rounds, options.threads);
        for (int i = first; i < last; i++)
            if (rows[i].rounds > 0)
                (options.json ? bench_json_row : bench_table_row)(rows + i, rows + first,
                                                                  rows + last);
        for (int i = first; i < last; i++)
            free(rows[i].sample);
    }
    if (options.json)
        bench_json_end();
}

int main(int argc, char **argv)
{
    options = (struct options){.threads = tp_cores(), .rounds = 5};
    parse(argc, argv);
    if (options.check || options.child != NULL)
        bench_must(tp_set_threads(options.threads));
    if (options.check) {
        bench_check_agreement();
        puts("the losses of five steps agree to 1e-5, of both models");
        return 0;
    }
    if (options.child != NULL) {
        if (!bench_child(options.child))
            usage("unknown child '%s'", options.child);
        return 0;
    }
    list_rows();
    if (!options.list) {
        run_rows();
        return 0;
    }
    for (int i = 0; i < row_count; i++)
        if (rows[i].wanted)
            puts(rows[i].name);
    return 0;
}
