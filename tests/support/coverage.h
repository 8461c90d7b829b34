/* coverage.h: which cells of the matrix [op][dtype][column][kind] the tests have really compared.
 *
 * A test program fills a cell when a comparison there ran and passed, and writes its cells at its end if ctest
 * asked for them; tests/ops/test_coverage.c reads all files and says what is empty. A column is a memory
 * layout, or one of two shapes that break loops. Read next: docs/testing.md.
 */
#ifndef TP_TESTS_COVERAGE_H
#define TP_TESTS_COVERAGE_H

#include "tests/support/ops.h"

typedef enum coverage_kind {
    COVERAGE_FORWARD,   /* the value; layout of the inputs */
    COVERAGE_VJP,       /* gradients; layout of the inputs */
    COVERAGE_VJP_GY,    /* gradients; layout of the cotangent */
    COVERAGE_SECOND,    /* gradients of gradients; layout of the inputs */
    COVERAGE_SECOND_GY, /* gradients of gradients; layout of the cotangent */
    COVERAGE_REFUSAL,   /* what must be refused; layout of the inputs */
    COVERAGE_KINDS
} coverage_kind;

/* Columns: the layout kinds, then a sample with an input (of a source: a result) of size 0, or 0-d. */
enum { COVERAGE_SIZE0 = LAYOUT_COUNT, COVERAGE_0D, COVERAGE_COLUMNS };

extern const char *const coverage_kinds[COVERAGE_KINDS];
const char *coverage_column(int column);

/* A comparison in this cell ran and passed. Ops that are no rows of ops.def have no cells: ignored. */
void coverage_fill(const tp_op *op, tp_dtype dtype, int column, coverage_kind kind);
/* A comparison of this order (0: the value) of a sample passed, whose inputs had the layout in and whose cotangent
 * the layout gy. One of them may be another than contiguous. */
void coverage_fill_sample(const tp_op *op, const tp_sample *s, tp_dtype dtype, layout_kind in,
                          layout_kind gy, int order);
/* Writes the cells to the file that the environment variable TAPIR_COVERAGE names, if it does, all or nothing.
 * A program ends with `return cmocka_run_group_tests(…) != 0 || !coverage_done();`. */
bool coverage_done(void);

/* Adds the cells of a file that coverage_done wrote; false with a message if it cannot be read. */
bool coverage_read(const char *file);
bool coverage_filled(const tp_op *op, tp_dtype dtype, int column, coverage_kind kind);

/* Whether an input of s (of a source: its result) has size 0, or is 0-d. A sample of size 0 counts for that column
 * and for no layout. */
bool coverage_has_shape(const tp_op *op, const tp_sample *s, int column);

#endif
