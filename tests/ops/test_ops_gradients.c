/* test_ops_gradients.c: every sample of every row and composition against finite differences, first and second order:
 * plainly, with its inputs in every memory layout, and with its cotangent in every memory layout.
 * Not here: f32 (test_ops_f32.c), the rules broken on purpose (test_ops_mutants.c). */
#include "autograd/ops.h"
#include "tests/support/check.h"
#include "tests/support/compositions.h"
#include "tests/support/coverage.h"

#include <stdio.h>

static int failures;

static void complain(const tp_op *op, const tp_sample *s, const char *what)
{
    print_error("%s, sample '%s', %s: %s\n", op->name, s->note, what, tp_last_error());
    failures++;
}

static bool has_gradient(const tp_op *op)
{
    return op->smooth != TP_NO_GRADIENT;
}

/* What examples/07_new_op.c calls: samples one by one in both orders, then refusals. */
static void test_rows(void **state)
{
    (void)state;
    int64_t compared = 0;
    failures = 0;
    for (int i = 0; i < tested_count(); i++) {
        tp_check_report r;
        if (tp_check_op(tested(i), &r) != TP_OK) {
            print_error("%s\n", tp_last_error());
            failures++;
        } else {
            assert_int_equal(r.samples, tested(i)->sample_count);
            assert_int_equal(r.refusals, tested(i)->refusal_count);
        }
        compared += r.checked;
    }
    printf("%d ops, %lld comparisons\n", tested_count(), (long long)compared);
    assert_int_equal(failures, 0);
}

/* One sample with its layouts, element by element, in one order; whether it passed. Where a layout makes elements
 * equal, a softmax does not move at all, and its derivative is 0 but for rounding errors: hence atol. */
static bool check_laid_out(laid_out *s, int order, const char *what, double atol, int64_t *compared)
{
    tp_check_report r = {0};
    tp_check_opts o = {.order = order, .atol = atol, .all_up_to = 96};
    tp_status status = tp_gradcheck(laid_out_run, s, s->wrt_count, s->wrt, o, &r);
    *compared += r.checked;
    if (status == TP_OK && r.skipped_kinks > 0 && s->op->smooth == TP_SMOOTH)
        status = tp_fail(TP_EVALUE, "a kink");
    if (status != TP_OK)
        complain(s->op, s->sample, what);
    return status == TP_OK;
}

/* The layout of the result: its shape has to be asked for. */
static bool set_out(laid_out *s, layout_kind kind)
{
    tp_tape *t;
    assert_ok(tp_tape_new(&t));
    s->fold_out = false;
    tp_var y = laid_out_run(t, s);
    assert_ok(tp_tape_status(t));
    bool applies = layout_make(&s->out, kind, tp_shape_of(y), TP_FILL_REAL);
    s->fold_out = applies;
    tp_tape_free(t);
    return applies;
}

enum { INPUTS, COTANGENT, BOTH, MIXED };

/* Both orders; the second also by the cotangent, hence with a weight. Not only so: what the gradient by
 * the cotangent adds may be far larger than a second derivative. */
static void check_orders(laid_out *s, layout_kind kind, int how, int64_t *compared)
{
    static const char *const hows[] = {"inputs", "cotangent", "both", "inputs mixed"};
    bool aliases = kind == LAYOUT_STRIDE0_FIRST || kind == LAYOUT_STRIDE0_LAST || how == MIXED;
    double atol = aliases ? 1e-11 : 0;
    bool passed[3] = {false};
    char what[80];
    snprintf(what, sizeof what, "%s %s", layout_names[kind], hows[how]);
    if (s->wrt_count == 0)
        return;
    for (int order = 1; order <= 2; order++)
        passed[order] = check_laid_out(s, order, what, atol, compared);
    if (how > COTANGENT)
        return; /* each has had its turn with the weight */
    laid_out_weigh(s);
    passed[2] &= check_laid_out(s, 2, what, atol, compared);
    for (int order = 1; order <= 2; order++)
        if (passed[order])
            coverage_fill_sample(s->op, s->sample, TP_F64, how == INPUTS ? kind : LAYOUT_CONTIGUOUS,
                                 how == COTANGENT ? kind : LAYOUT_CONTIGUOUS, order);
}

/* kind for the inputs, for the cotangent, or for both; mixed: input i has the i-th kind after. */
static void try_layout(const tp_op *op, const tp_sample *sample, layout_kind kind, int how,
                       int64_t *compared)
{
    layout_kind kinds[TP_SAMPLE_INPUTS];
    for (int i = 0; i < TP_SAMPLE_INPUTS; i++)
        kinds[i] = how == COTANGENT ? LAYOUT_CONTIGUOUS
                   : how == MIXED   ? (layout_kind)(((int)kind + i) % LAYOUT_COUNT)
                                    : kind;
    if (how == MIXED && sample->n < 2)
        return;
    laid_out s;
    if (!laid_out_make(&s, op, sample, TP_F64, kinds, 100 + (uint64_t)kind))
        return;
    if ((how != COTANGENT && how != BOTH) || set_out(&s, kind))
        check_orders(&s, kind, how, compared);
    laid_out_free(&s);
}

static void test_layouts(void **state)
{
    (void)state;
    int64_t compared = 0;
    failures = 0;
    for (int i = 0; i < tested_count(); i++)
        for (int j = 0; j < tested(i)->sample_count && has_gradient(tested(i)); j++)
            for (int kind = 0; kind < LAYOUT_COUNT; kind++)
                for (int how = 0; how <= (SANITIZED ? COTANGENT : MIXED); how++)
                    try_layout(tested(i), &tested(i)->samples[j], (layout_kind)kind, how,
                               &compared);
    printf("%lld comparisons\n", (long long)compared);
    assert_int_equal(failures, 0);
}

/* The tools themselves are operations: they pass the same checks. */
static void test_layout_ops(void **state)
{
    (void)state;
    tp_check_report r;
    assert_ok(tp_check_op(&op_unfold, &r));
    assert_ok(tp_check_op(&op_fold, &r));
    assert_true(r.checked > 0 && r.samples == 3 && r.refusals == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout_ops),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_layouts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0 || !coverage_done();
}
