/* test_ops_layouts.c: memory layout decides nothing: with inputs and cotangents in any layout, values, gradients
 * and second gradients have the very bits that contiguous ones give, in f32 and f64. That those are right:
 * test_ops_gradients.c, test_ops_f32.c. */
#include "autograd/ops.h"
#include "tests/support/check.h"
#include "tests/support/compositions.h"
#include "tests/support/coverage.h"
#include "tests/support/numbers.h"

#include <stdio.h>
#include <string.h>

static int failures;
static int64_t compared;

static bool same_bits(const point *p, const char *what, const numbers *a, const numbers *b)
{
    assert_int_equal(a->n, b->n);
    compared += a->n;
    for (int64_t i = 0; i < a->n; i++) {
        if (memcmp(&a->at[i], &b->at[i], sizeof *a->at) == 0)
            continue;
        print_error("%s, sample '%s', %s, %s %lld: %.17g, contiguous %.17g\n", p->op->name,
                    p->sample->note, what, numbers_order(a, i), (long long)i, a->at[i], b->at[i]);
        failures++;
        return false;
    }
    return true;
}

static void check(const tp_op *op, const tp_sample *s, tp_dtype dtype, layout_kind in,
                  layout_kind gy)
{
    point p;
    char what[96];
    if (!point_make(&p, op, s, in, gy, 41))
        return;
    snprintf(what, sizeof what, "%s, inputs %s, cotangent %s", tp_dtype_name(dtype),
             layout_names[in], layout_names[gy]);
    numbers laid = numbers_make(&p, dtype, in, gy, 0);
    numbers plain = numbers_make(&p, dtype, LAYOUT_CONTIGUOUS, LAYOUT_CONTIGUOUS, 0);
    /* The value alone: the gradients of the contiguous run are no reference of their own. */
    if (same_bits(&p, what, &laid, &plain) && in != LAYOUT_CONTIGUOUS)
        coverage_fill_sample(op, s, dtype, in, gy, 0);
    numbers_free(&laid), numbers_free(&plain);
    point_free(&p);
}

static void check_sample(const tp_op *op, const tp_sample *s)
{
    for (int kind = LAYOUT_CONTIGUOUS + 1; kind < LAYOUT_COUNT; kind++)
        for (int d = 0; d < 2; d++) {
            tp_dtype dtype = d ? TP_F64 : TP_F32;
            check(op, s, dtype, (layout_kind)kind, LAYOUT_CONTIGUOUS);
            check(op, s, dtype, LAYOUT_CONTIGUOUS, (layout_kind)kind);
            check(op, s, dtype, (layout_kind)kind, (layout_kind)kind);
        }
}

static void test_samples(void **state)
{
    (void)state;
    failures = 0;
    for (int i = 0; i < tested_count(); i++)
        for (int k = 0; k < tested(i)->sample_count; k++)
            check_sample(tested(i), &tested(i)->samples[k]);
    printf("%lld numbers\n", (long long)compared);
    assert_int_equal(failures, 0);
}

/* Whether op takes these inputs at all. */
static bool accepts(const tp_op *op, const tp_sample *s)
{
    tp_tape *t;
    tp_tensor data[TP_SAMPLE_INPUTS];
    tp_var x[TP_SAMPLE_INPUTS];
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < s->n; i++) {
        assert_ok(tp_sample_fill(&s->x[i], TP_F64, 1, &data[i]));
        x[i] = tp_constant(t, &data[i]);
    }
    op_call(t, op, s->n, x, s->attr);
    bool ok = tp_tape_status(t) == TP_OK;
    tp_tape_free(t);
    for (int i = 0; i < s->n; i++)
        tp_tensor_free(&data[i]);
    return ok;
}

/* Samples are small: the same with matrices that fill vectors and blocks and leave a rest, where the op takes
 * them. */
static void test_larger(void **state)
{
    (void)state;
    enum { SIDE = 33 };
    int tried = 0;
    failures = 0;
    for (int i = 0; i < tested_count(); i++)
        for (int k = 0; k < tested(i)->sample_count; k++) {
            tp_sample s = tested(i)->samples[k];
            for (int j = 0; j < s.n; j++)
                s.x[j].shape = TP_SHAPE(SIDE, SIDE);
            if (s.n == 0 || !accepts(tested(i), &s))
                continue;
            check_sample(tested(i), &s);
            tried++;
            break;
        }
    printf("%d ops\n", tried);
    assert_true(tried > 20);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_larger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0 || !coverage_done();
}
