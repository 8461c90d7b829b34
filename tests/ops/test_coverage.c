/* test_coverage.c: the matrix [op][dtype][column][kind] of what the tests compared, put together from the files
 * that ctest hands over. An empty cell without a reason in coverage_reasons.def fails, a reason without an empty
 * cell fails, and so does a number of excused cells other than the one committed, which may only fall.
 * Which cells can exist follows from the rows. Read next: tests/support/coverage.h. */
#define _POSIX_C_SOURCE 200809L /* access */

#include "tests/support/check.h"
#include "tests/support/coverage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "autograd/ops.h"

typedef struct reason {
    const char *op, *dtype, *column, *kind, *why;
} reason;

static const reason reasons[] = {
#define REASON(op, dtype, column, kind, why) {op, dtype, column, kind, why},
#define COVERAGE_EXCUSED(cells)
#include "tests/ops/coverage_reasons.def"
#undef REASON
#undef COVERAGE_EXCUSED
    {NULL, NULL, NULL, NULL, NULL},
};
enum {
    REASONS = sizeof reasons / sizeof *reasons - 1,
#define REASON(op, dtype, column, kind, why)
#define COVERAGE_EXCUSED(cells) EXCUSED = cells
#include "tests/ops/coverage_reasons.def"
#undef REASON
#undef COVERAGE_EXCUSED
};

static int files;
static char **file;

/* --- which cells exist -------------------------------------------------------------------------- */

static tp_tape *tape;

/* The shape of op's result on these inputs; false if it refuses them. */
static bool shape_of_result(const tp_op *op, const tp_sample *s, tp_shape *shape)
{
    tp_tensor data[TP_SAMPLE_INPUTS] = {{0}};
    tp_var x[TP_SAMPLE_INPUTS];
    bool drawn = true;
    tp_tape_reset(tape);
    for (int i = 0; i < s->n; i++) {
        drawn = drawn && tp_sample_fill(&s->x[i], TP_F64, 1, &data[i]) == TP_OK;
        x[i] = tp_constant(tape, &data[i]);
    }
    tp_var y = drawn ? op_call(tape, op, s->n, x, s->attr) : (tp_var){0};
    bool ok = drawn && tp_tape_status(tape) == TP_OK;
    *shape = tp_shape_of(y);
    tp_tape_reset(tape);
    for (int i = 0; i < s->n; i++)
        tp_tensor_free(&data[i]);
    return ok;
}

/* Makes the shape that a source's attributes ask for 0-d. */
static const void *scalar_attr(const tp_op *op, const void *attr, attr_room *room)
{
    if (op->arity != 0)
        return attr;
    assert_in_range(op->attr_size, 1, sizeof *room);
    memcpy(room->bytes, attr, op->attr_size);
    for (int i = 0; i < op->field_count; i++)
        if (op->fields[i].kind == TP_FIELD_SHAPE)
            memcpy(room->bytes + op->fields[i].offset, &TP_SHAPE(), sizeof(tp_shape));
    return room->bytes;
}

/* Whether op takes 0-d inputs, or a source gives them: a sample of nothing else is not refused. */
static bool takes_scalars(const tp_op *op)
{
    for (int k = 0; k < op->sample_count; k++) {
        tp_sample s = op->samples[k];
        tp_shape y;
        attr_room room;
        s.attr = scalar_attr(op, s.attr, &room);
        for (int i = 0; i < s.n; i++)
            s.x[i].shape = TP_SHAPE();
        if (shape_of_result(op, &s, &y))
            return true;
    }
    return false;
}

/* Whether a tensor of this shape can have the layout of a column. */
static bool suits(tp_shape shape, tp_fill_kind fill, int column)
{
    layout l;
    return layout_make(&l, (layout_kind)column, shape, fill);
}

static bool some_refusal_suits(const tp_op *op, int column)
{
    for (int k = 0; k < op->refusal_count; k++)
        for (int i = 0; i < op->refusals[k].n; i++)
            if (suits(op->refusals[k].x[i].shape, TP_FILL_REAL, column))
                return true;
    return op->refusal_count > 0 && column == LAYOUT_CONTIGUOUS;
}

static bool some_sample_suits(const tp_op *op, int column, bool gradient, bool cotangent)
{
    for (int k = 0; k < op->sample_count; k++) {
        const tp_sample *s = &op->samples[k];
        tp_shape y;
        if (coverage_has_shape(op, s, COVERAGE_SIZE0))
            continue;
        bool differentiable = false, found = s->n == 0 && column == LAYOUT_CONTIGUOUS;
        for (int i = 0; i < s->n; i++) {
            differentiable |= !tp_sample_fixed(&s->x[i]);
            found |= !cotangent && suits(s->x[i].shape, s->x[i].fill, column);
        }
        if (cotangent)
            found = shape_of_result(op, s, &y) && suits(y, TP_FILL_REAL, column);
        if (found && (differentiable || !gradient))
            return true;
    }
    return false;
}

#ifdef TAPIR_HAVE_QUADMATH
enum { QUAD = true };
#else
enum { QUAD = false };
#endif

/* Where all samples are compared, values in f64 are judged by test_ops_quad.c, which not every compiler can. */
static bool needs_quad(tp_dtype dtype, int column, coverage_kind kind)
{
    bool plain = column == LAYOUT_CONTIGUOUS || column >= LAYOUT_COUNT;
    return dtype == TP_F64 && plain && kind == COVERAGE_FORWARD;
}

/* What the row itself rules out is no cell. */
static bool exists(const tp_op *op, int column, coverage_kind kind)
{
    bool gradient = kind != COVERAGE_FORWARD && kind != COVERAGE_REFUSAL;
    bool cotangent = kind == COVERAGE_VJP_GY || kind == COVERAGE_SECOND_GY;
    if (gradient && op->smooth == TP_NO_GRADIENT)
        return false;
    if (column >= LAYOUT_COUNT)
        return kind != COVERAGE_REFUSAL && !cotangent &&
               (column == COVERAGE_SIZE0 || takes_scalars(op));
    return kind == COVERAGE_REFUSAL ? some_refusal_suits(op, column)
                                    : some_sample_suits(op, column, gradient, cotangent);
}

/* --- the matrix --------------------------------------------------------------------------------- */

static int cells, filled, structural, unjudged, excused, failures;
static bool used[REASONS + 1];

static bool matches(const char *pattern, const char *name)
{
    return strcmp(pattern, "*") == 0 || strcmp(pattern, name) == 0;
}

static bool excuse(const char *op, const char *dtype, const char *column, const char *kind)
{
    for (int k = 0; k < REASONS; k++)
        if (matches(reasons[k].op, op) && matches(reasons[k].dtype, dtype) &&
            matches(reasons[k].column, column) && matches(reasons[k].kind, kind))
            return used[k] = true;
    return false;
}

static void look_at(const tp_op *op, tp_dtype dtype, int column, coverage_kind kind, bool there)
{
    const char *names[] = {op->name, tp_dtype_name(dtype), coverage_column(column),
                           coverage_kinds[kind]};
    bool full = coverage_filled(op, dtype, column, kind);
    cells++;
    filled += full;
    structural += !there;
    if (!there && full) {
        print_error("%s, %s, %s, %s: filled, but the row says that there is no such cell\n",
                    names[0], names[1], names[2], names[3]);
        failures++;
    }
    if (!there || full)
        return;
    if (!QUAD && needs_quad(dtype, column, kind)) {
        unjudged++;
        return;
    }
    if (excuse(names[0], names[1], names[2], names[3])) {
        excused++;
        return;
    }
    print_error("%s, %s, %s, %s: nothing was compared\n", names[0], names[1], names[2], names[3]);
    failures++;
}

/* A file is read once: cells of a program as it was yesterday do not count. */
static void test_files(void **state)
{
    (void)state;
    int there = 0;
    for (int i = 0; i < files; i++) {
        if (access(file[i], F_OK) != 0)
            continue; /* that program compares nothing */
        there++;
        assert_true(coverage_read(file[i]));
        assert_int_equal(remove(file[i]), 0);
    }
    if (there == 0)
        fail_msg("no files of cells: run this through ctest, which runs the others first");
}

static void test_matrix(void **state)
{
    (void)state;
    assert_ok(tp_tape_new(&tape));
    for (int i = 0; i < tp_op_count; i++)
        for (int column = 0; column < COVERAGE_COLUMNS; column++)
            for (int kind = 0; kind < COVERAGE_KINDS; kind++) {
                bool there = exists(tp_ops[i], column, (coverage_kind)kind);
                look_at(tp_ops[i], TP_F32, column, (coverage_kind)kind, there);
                look_at(tp_ops[i], TP_F64, column, (coverage_kind)kind, there);
            }
    tp_tape_free(tape);
    printf("coverage: %d ops, %d cells: %d filled, %d cannot exist, %d excused by %d reasons\n",
           tp_op_count, cells, filled, structural, excused, REASONS);
    if (unjudged > 0)
        printf("skipped: %d cells need quad precision, which this compiler does not have\n",
               unjudged);
    assert_int_equal(failures, 0);
}

/* The ratchet. */
static void test_reasons(void **state)
{
    (void)state;
    for (int k = 0; k < REASONS; k++) {
        if (strlen(reasons[k].why) < 10)
            fail_msg("%s: a reason needs words", reasons[k].op);
        if (!used[k])
            fail_msg("stale: %s, %s, %s, %s excuses no cell", reasons[k].op, reasons[k].dtype,
                     reasons[k].column, reasons[k].kind);
    }
    if (excused > EXCUSED)
        fail_msg("%d cells are excused, only %d may be: fill them", excused, (int)EXCUSED);
    if (excused < EXCUSED)
        fail_msg("only %d cells are excused: lower COVERAGE_EXCUSED to that", excused);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_matrix),
        cmocka_unit_test(test_reasons),
    };
    files = argc - 1;
    file = argv + 1;
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
