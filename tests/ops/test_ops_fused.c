/* test_ops_fused.c: a fused rule is the rule, only faster: the same gradients to a few ulp, in f32 and
 * f64, for every choice of inputs that want one, in every layout. That the rule itself is right:
 * test_ops_gradients.c. */
#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "tests/support/check.h"
#include "tests/support/ops.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

enum { ULPS = 8 };
static int failures;
static double worst; /* in ulp */

/* Gradients of Σ v ⊙ y by the inputs in want, by one rule or the other, into g. */
static void gradients(laid_out *s, unsigned want, bool composed, tp_tensor *g)
{
    tp_tape *t;
    tp_tensor v;
    tp_var x[TP_SAMPLE_INPUTS];
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < s->sample->n; i++) {
        tp_tensor view = layout_view(&s->in[i], &s->data[i]);
        x[i] = want >> i & 1 ? tp_leaf(t, &view) : tp_constant(t, &view);
    }
    tp_var y = op_call(t, s->op, s->sample->n, x, s->sample->attr);
    draw_cotangent(&v, s->dtype, tp_shape_of(y), 4);
    tp_var root = tp_sum(tp_mul(y, tp_constant(t, &v)), TP_ALL_AXES, false);
    assert_ok(tp_tape_status(t));
    tp_sweep sweep = tp_sweep_begin(root, (tp_sweep_opts){.composed = composed});
    bool fused = false;
    while (tp_sweep_next(&sweep))
        fused |= sweep.fused;
    assert_ok(tp_sweep_end(&sweep));
    assert_int_equal(fused, !composed); /* else the comparison would compare nothing */
    for (int i = 0; i < s->sample->n; i++)
        if (want >> i & 1)
            assert_ok(tp_clone(&g[i], tp_leaf_grad(x[i])));
    tp_tape_free(t);
    tp_tensor_free(&v);
}

/* Where a difference cancels, ulp of its terms count instead. In (1 − t)·σ(x) − t·σ(−x) they are at most |v|,
 * in gy − e^y Σ gy the sum of |v| along an axis of at most 4. */
static double terms(const laid_out *s)
{
    return s->op == &tp_op_bce_with_logits ? 1.5 : s->op == &tp_op_log_softmax ? 4 * 1.5 : 0;
}

static void compare(laid_out *s, unsigned want, const char *what)
{
    tp_tensor fast[TP_SAMPLE_INPUTS] = {{0}}, slow[TP_SAMPLE_INPUTS] = {{0}};
    double ulp = s->dtype == TP_F32 ? (double)FLT_EPSILON : DBL_EPSILON;
    gradients(s, want, false, fast);
    gradients(s, want, true, slow);
    for (int i = 0; i < s->sample->n; i++) {
        for (int64_t k = 0; (want >> i & 1) && k < tp_numel(&slow[i]); k++) {
            double a = tp_flat(&fast[i], k), b = tp_flat(&slow[i], k);
            double size = fmax(fabs(b), s->dtype == TP_F32 ? 1e-36 : 1e-300);
            double off = fabs(a - b) / (ulp * fmax(size, terms(s) / ULPS));
            worst = fmax(worst, off);
            if (off <= ULPS)
                continue;
            print_error("%s, sample '%s', %s, %s, input %d, element %lld: fused %.17g, composed "
                        "%.17g\n",
                        s->op->name, s->sample->note, tp_dtype_name(s->dtype), what, i,
                        (long long)k, a, b);
            failures++;
        }
        tp_tensor_free(&fast[i]);
        tp_tensor_free(&slow[i]);
    }
}

/* Every subset of the inputs that are not data. */
static void compare_sample(const tp_op *op, const tp_sample *sample, tp_dtype dtype,
                           layout_kind kind)
{
    laid_out s;
    layout_kind kinds[TP_SAMPLE_INPUTS] = {kind, kind, kind, kind};
    unsigned possible = 0;
    if (!laid_out_make(&s, op, sample, dtype, kinds, 11))
        return;
    for (int i = 0; i < sample->n; i++)
        possible |= tp_sample_fixed(&sample->x[i]) ? 0 : 1u << i;
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
