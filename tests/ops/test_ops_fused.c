/* test_ops_fused.c: a fused rule is the rule, only faster: the same gradients to a few ulp, in f32 and
 * f64, for every choice of inputs that want one, in every layout. That the rule itself is right:
 * test_ops_gradients.c. */
#include "autograd/ops.h"
#include "tests/support/check.h"
#include "tests/support/fused.h"

#include <math.h>
#include <stdio.h>

static int failures;
static double worst; /* in ulp */

static void compare(laid_out *s, unsigned want, const char *what)
{
    fused_difference d = fused_compare(s, want, NULL);
    worst = fmax(worst, d.worst);
    if (d.worst <= FUSED_ULPS)
        return;
    print_error("%s, sample '%s', %s, %s, input %d, element %lld: fused %.17g, composed %.17g\n",
                s->op->name, s->sample->note, tp_dtype_name(s->dtype), what, d.input,
                (long long)d.element, d.fused, d.composed);
    failures++;
}

/* Every subset of the inputs that are not data. */
static void compare_sample(const tp_op *op, const tp_sample *sample, tp_dtype dtype,
                           layout_kind kind)
{
    laid_out s;
    layout_kind kinds[TP_SAMPLE_INPUTS] = {kind, kind, kind, kind};
    unsigned possible = fused_possible(sample);
    if (!laid_out_make(&s, op, sample, dtype, kinds, 11))
        return;
    for (unsigned want = 1; want <= possible; want++)
        if ((want & ~possible) == 0)
            compare(&s, want, layout_names[kind]);
    laid_out_free(&s);
}

static void test_fused(void **state)
{
    (void)state;
    int rows = 0;
    failures = 0;
    for (int i = 0; i < tp_op_count; i++) {
        const tp_op *op = tp_ops[i];
        if (op->vjp_fused == NULL)
            continue;
        rows++;
        for (int k = 0; k < op->sample_count; k++)
            for (int kind = 0; kind < LAYOUT_COUNT; kind++) {
                compare_sample(op, &op->samples[k], TP_F64, (layout_kind)kind);
                compare_sample(op, &op->samples[k], TP_F32, (layout_kind)kind);
            }
    }
    printf("%d fused rules, at most %.1f ulp apart\n", rows, worst);
    assert_true(rows > 0);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fused)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
