/* coverage.c: see coverage.h. A file holds a line "op dtype column kind" per cell. */
#include "tests/support/coverage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/ops.h"

enum { MAX_OPS = 256 };

const char *const coverage_kinds[COVERAGE_KINDS] = {"forward", "vjp",       "vjp gy",
                                                    "second",  "second gy", "refusal"};

/* A bit per kind; f32 and f64. */
static unsigned char cells[MAX_OPS][2][COVERAGE_COLUMNS];

const char *coverage_column(int column)
{
    return column < LAYOUT_COUNT      ? layout_names[column]
           : column == COVERAGE_SIZE0 ? "size 0"
                                      : "0-d";
}

bool coverage_has_shape(const tp_op *op, const tp_sample *s, int column)
{
    tp_shape shape[TP_SAMPLE_INPUTS];
    int n = s->n;
    for (int i = 0; i < s->n; i++)
        shape[i] = s->x[i].shape;
    for (int i = 0; i < op->field_count && s->n == 0; i++)
        if (op->fields[i].kind == TP_FIELD_SHAPE)
            memcpy(&shape[n++], (const char *)s->attr + op->fields[i].offset, sizeof *shape);
    for (int i = 0; i < n; i++)
        if (column == COVERAGE_0D ? shape[i].ndim == 0 : tp_shape_numel(shape[i]) == 0)
            return true;
    return false;
}

/* By name: a copy of a row counts for it. */
static unsigned char *cell(const char *name, tp_dtype dtype, int column)
{
    for (int i = 0; i < tp_op_count && i < MAX_OPS; i++)
        if (strcmp(tp_ops[i]->name, name) == 0)
            return &cells[i][dtype == TP_F64][column];
    return NULL;
}

void coverage_fill(const tp_op *op, tp_dtype dtype, int column, coverage_kind kind)
{
    unsigned char *c = cell(op->name, dtype, column);
    if (c != NULL)
        *c |= (unsigned char)(1u << kind);
}

void coverage_fill_sample(const tp_op *op, const tp_sample *s, tp_dtype dtype, layout_kind in,
                          layout_kind gy, int order)
{
    static const coverage_kind by_in[] = {COVERAGE_FORWARD, COVERAGE_VJP, COVERAGE_SECOND};
    static const coverage_kind by_gy[] = {COVERAGE_KINDS, COVERAGE_VJP_GY, COVERAGE_SECOND_GY};
    bool plain = in == LAYOUT_CONTIGUOUS && gy == LAYOUT_CONTIGUOUS;
    for (int column = LAYOUT_COUNT; column < COVERAGE_COLUMNS; column++)
        if (plain && coverage_has_shape(op, s, column))
            coverage_fill(op, dtype, column, by_in[order]);
    if (coverage_has_shape(op, s, COVERAGE_SIZE0))
        return; /* with nothing to compare, or nearly */
    if (gy == LAYOUT_CONTIGUOUS)
        coverage_fill(op, dtype, in, by_in[order]);
    if (in == LAYOUT_CONTIGUOUS && order > 0)
        coverage_fill(op, dtype, gy, by_gy[order]);
}

bool coverage_filled(const tp_op *op, tp_dtype dtype, int column, coverage_kind kind)
{
    const unsigned char *c = cell(op->name, dtype, column);
    return c != NULL && (*c >> kind & 1);
}

static bool write_cells(FILE *f)
{
    for (int i = 0; i < tp_op_count; i++)
        for (int d = 0; d < 2; d++)
            for (int column = 0; column < COVERAGE_COLUMNS; column++)
                for (int kind = 0; kind < COVERAGE_KINDS; kind++)
                    if (cells[i][d][column] >> kind & 1)
                        fprintf(f, "%s %d %d %d\n", tp_ops[i]->name, d, column, kind);
    return ferror(f) == 0;
}

bool coverage_done(void)
{
    const char *file = getenv("TAPIR_COVERAGE");
    char part[4096];
    if (file == NULL || *file == '\0')
        return true;
    int length = snprintf(part, sizeof part, "%s.part", file);
    FILE *f = length < (int)sizeof part ? fopen(part, "w") : NULL;
    bool ok = f != NULL && tp_op_count <= MAX_OPS && write_cells(f);
    if (f != NULL)
        ok = fclose(f) == 0 && ok;
    if (!ok || rename(part, file) != 0) {
        perror(file);
        return false;
    }
    return true;
}

bool coverage_read(const char *file)
{
    FILE *f = fopen(file, "r");
    char name[64];
    int d, column, kind, fields;
    if (f == NULL) {
        perror(file);
        return false;
    }
    bool ok = true;
    while (ok && (fields = fscanf(f, "%63s %d %d %d", name, &d, &column, &kind)) != EOF) {
        ok = fields == 4 && d >= 0 && d < 2 && column >= 0 && column < COVERAGE_COLUMNS &&
             kind >= 0 && kind < COVERAGE_KINDS;
        unsigned char *c = ok ? cell(name, d ? TP_F64 : TP_F32, column) : NULL;
        ok = c != NULL;
        if (ok)
            *c |= (unsigned char)(1u << kind);
    }
    if (!ok)
        fprintf(stderr, "%s: not a file of cells\n", file);
    fclose(f);
    return ok;
}
