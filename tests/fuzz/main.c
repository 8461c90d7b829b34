/* main.c: tapir-fuzz, which runs random programs for a while and prints its figure in the last line.
 *
 *   tapir-fuzz                 TAPIR_FUZZ_SECONDS (60) seconds from seed TAPIR_FUZZ_SEED (the time of day), or
 *                              TAPIR_FUZZ_PROGRAMS programs; ends at the third failure
 *   tapir-fuzz broken_NAME     with an operation of broken.h among them, until it is found: prints only the
 *                              program in C
 *   tapir-fuzz rows            writes programs rows0.c … that call every row and composition
 * Exits 1 if there was a failure. Read next: fuzz.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/fuzz/broken.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/compositions.h"

static double number(const char *name, double fallback)
{
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? strtod(text, NULL) : fallback;
}

/* Of a composition the reference does not know what should come out, and the printed program could not say. */
static bool rows_only(const fuzz_program *p)
{
    bool rows = true;
    for (int k = 0; k < p->count; k++)
        rows &= p->step[k].op == NULL || !fuzz_is_composition(p->step[k].op);
    return rows;
}

static int print_broken(const char *name)
{
    static fuzz_counts counts;
    fuzz_ops ops = {broken_op(name)};
    fuzz_shared *last = fuzz_shared_new();
    FILE *nowhere = fopen("/dev/null", "w");
    if (ops.extra == NULL || last == NULL || nowhere == NULL)
        return 2;
    int failures = 1;
    last->program.seed = 0;
    do
        failures = fuzz_campaign(nowhere, last->program.seed + 1, 20000, 0, 1, &ops, &counts, last);
    while (failures > 0 && !rows_only(&last->program));
    fclose(nowhere);
    if (failures > 0)
        fuzz_print(stdout, last);
    return failures > 0 ? 0 : 1;
}

/* Appends an operation with its first sample, plainly laid out. */
static void add_row(fuzz_program *p, const tp_op *op)
{
    const tp_sample *sample = &op->samples[0];
    fuzz_step step = {.op = op, .n = sample->n};
    if (op->attr_size > 0)
        memcpy(step.attr.bytes, sample->attr, op->attr_size);
    for (int i = 0; i < sample->n; i++) {
        fuzz_step x = {.dtype = sample->x[i].fill == TP_FILL_INDEX ? TP_I64 : TP_F64,
                       .shape = sample->x[i].shape,
                       .fill = sample->x[i].fill,
                       .hi = 1};
        for (int d = 0; d < TP_MAX_DIMS; d++)
            x.order[d] = x.shape.ndim - 1 - d, x.by[d] = 1;
        step.x[i] = p->count;
        p->step[p->count++] = x;
    }
    p->step[p->count++] = step;
}

/* Programs into files rows0.c, rows1.c …, which exit 0: all of it is legal. */
static int print_rows(void)
{
    fuzz_shared *s = fuzz_shared_new();
    if (s == NULL)
        return 2;
    for (int k = 0, files = 0; k < tested_count(); files++) {
        char name[32];
        snprintf(name, sizeof name, "rows%d.c", files);
        FILE *out = fopen(name, "w");
        if (out == NULL)
            return 2;
        s->failure = (fuzz_failure){.kind = FUZZ_REFUSED, .step = -1, .expect = TP_OK};
        s->program.count = 0;
        while (k < tested_count() && s->program.count + FUZZ_INPUTS < FUZZ_STEPS)
            add_row(&s->program, tested(k++));
        fuzz_print(out, s);
        fclose(out);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static fuzz_counts c;
    if (argc == 2 && strcmp(argv[1], "rows") == 0)
        return print_rows();
    if (argc == 2)
        return print_broken(argv[1]);
    uint64_t seed = (uint64_t)number("TAPIR_FUZZ_SEED", (double)time(NULL) * 1000);
    double programs = number("TAPIR_FUZZ_PROGRAMS", 0);
    double seconds = number("TAPIR_FUZZ_SECONDS", 60);
    int failures = fuzz_campaign(stdout, seed, programs > 0 ? (int64_t)programs : INT64_MAX,
                                 programs > 0 ? 0 : fuzz_now() + seconds, 3, NULL, &c, NULL);
    fuzz_report(stdout, &c);
    int64_t recorded = 0, refused = 0;
    for (int k = 0; k < tested_count(); k++)
        recorded += c.recorded[k], refused += c.refused[k];
    printf("fuzz: %" PRId64 " programs from seed %" PRIu64 ", %" PRId64 " operations, %" PRId64
           " refusals, %d failures\n",
           c.programs, seed, recorded, refused, failures);
    return failures > 0;
}
