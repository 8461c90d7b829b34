/* test_ops_f32.c: values, gradients and second gradients in f32, with inputs and cotangents in every layout,
 * against f64 at the same numbers. What is right to expect depends on how sensitive a number is, so the bound
 * measures that: with ε of f32,
 *     |f32 − f64| <= 4·ε·|f64| + 8·max |f64(x moved by ±ε relative) − f64(x)|   over a few random moves.
 * A composition may be off by 4·ε of the largest number it gives: its parts may be large where it is small, and
 * cancel. Single kernels are held to fewer ulp elsewhere. Also here: f32 draws are rounded f64 draws. */
#include "autograd/ops.h"
#include "autograd/sweep.h"
#include "tests/support/check.h"
#include "tests/support/compositions.h"
#include "tests/support/coverage.h"
#include "tests/support/numbers.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOVES = 6 };
static int failures;
static double worst;
static int64_t compared;

/* How far the exact numbers move when the inputs do, over a few random moves. */
static double *sensitivity(const point *p, const numbers *exact)
{
    double *moved = calloc((size_t)exact->n + 1, sizeof *moved);
    assert_non_null(moved);
    for (uint64_t k = 0; k < MOVES; k++) {
        numbers other =
            numbers_make(p, TP_F64, LAYOUT_CONTIGUOUS, LAYOUT_CONTIGUOUS, 100 * (k + 1));
        assert_int_equal(other.n, exact->n);
        for (int64_t i = 0; i < exact->n; i++)
            moved[i] = fmax(moved[i], fabs(other.at[i] - exact->at[i]));
        numbers_free(&other);
    }
    return moved;
}

static double largest(const numbers *exact)
{
    double most = 0;
    for (int64_t i = 0; i < exact->n; i++)
        most = fmax(most, fabs(exact->at[i]));
    return most;
}

static bool compare(const point *p, const char *what, const numbers *fast, const numbers *exact,
                    const double *moved)
{
    bool all = true;
    assert_int_equal(fast->n, exact->n);
    for (int64_t i = 0; i < exact->n; i++) {
        double scale = p->op->shape != NULL ? fabs(exact->at[i]) : largest(exact);
        double bound = 4 * (double)FLT_EPSILON * scale + 8 * moved[i] + 1e-37;
        double off = fabs(fast->at[i] - exact->at[i]);
        worst = fmax(worst, off / bound);
        compared++;
        if (off <= bound)
            continue;
        print_error("%s, sample '%s', %s, %s %lld: f32 %.9g, f64 %.17g, bound %.3g\n", p->op->name,
                    p->sample->note, what, numbers_order(exact, i), (long long)i, fast->at[i],
                    exact->at[i], bound);
        failures++;
        all = false;
    }
    return all;
}

static void check_sample(const tp_op *op, const tp_sample *s, layout_kind in, layout_kind gy)
{
    point p;
    char what[64];
    if (!point_make(&p, op, s, in, gy, 21))
        return;
    snprintf(what, sizeof what, "inputs %s, cotangent %s", layout_names[in], layout_names[gy]);
    numbers fast = numbers_make(&p, TP_F32, in, gy, 0);
    numbers exact = numbers_make(&p, TP_F64, LAYOUT_CONTIGUOUS, LAYOUT_CONTIGUOUS, 0);
    double *moved = sensitivity(&p, &exact);
    if (compare(&p, what, &fast, &exact, moved))
        for (int order = 0; order <= (p.differentiable ? 2 : 0); order++)
            coverage_fill_sample(op, s, TP_F32, in, gy, order);
    free(moved);
    numbers_free(&fast), numbers_free(&exact);
    point_free(&p);
}

static void test_f32(void **state)
{
    (void)state;
    failures = 0;
    for (int i = 0; i < tested_count(); i++)
        for (int k = 0; k < tested(i)->sample_count; k++)
            for (int kind = 0; kind < LAYOUT_COUNT; kind++) {
                const tp_sample *s = &tested(i)->samples[k];
                check_sample(tested(i), s, (layout_kind)kind, LAYOUT_CONTIGUOUS);
                if (kind != LAYOUT_CONTIGUOUS)
                    check_sample(tested(i), s, LAYOUT_CONTIGUOUS, (layout_kind)kind);
            }
    printf("%lld numbers, worst at %.2f of its bound\n", (long long)compared, worst);
    assert_int_equal(failures, 0);
}

static void same_rounded(const tp_tensor *f, const tp_tensor *d)
{
    assert_int_equal(tp_numel(f), tp_numel(d));
    for (int64_t i = 0; i < tp_numel(f); i++)
        assert_true(tp_flat(f, i) == (double)(float)tp_flat(d, i));
}

/* The same seed gives the same numbers in both types, whatever the kind. */
static void test_fills(void **state)
{
    (void)state;
    static const tp_fill_kind kinds[] = {TP_FILL_REAL, TP_FILL_POSITIVE, TP_FILL_UNIT,
                                         TP_FILL_MASK, TP_FILL_INDEX,    TP_FILL_SPD};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        tp_sample_input in = {.shape = TP_DIMS(4, 3, 3), .fill = kinds[k]};
        in.hi = kinds[k] == TP_FILL_INDEX ? 5 : 0;
        tp_tensor f, d, again;
        assert_ok(tp_sample_fill(&in, TP_F32, 3, &f));
        assert_ok(tp_sample_fill(&in, TP_F64, 3, &d));
        assert_ok(tp_sample_fill(&in, TP_F64, 4, &again));
        same_rounded(&f, &d);
        bool differs = false;
        for (int64_t i = 0; i < tp_numel(&d); i++)
            differs |= tp_flat(&d, i) != tp_flat(&again, i);
        assert_true(differs); /* the seed matters */
        assert_int_equal(f.dtype, kinds[k] == TP_FILL_INDEX ? TP_I64 : TP_F32);
        tp_tensor_free(&f), tp_tensor_free(&d), tp_tensor_free(&again);
    }
    tp_tensor none;
    tp_sample_input flat = {.shape = TP_DIMS(3), .fill = TP_FILL_SPD};
    assert_status(tp_sample_fill(&flat, TP_F64, 1, &none), TP_ESHAPE);
}

/* Of every random op alike. */
static void test_draws(void **state)
{
    (void)state;
    tp_tape *t;
    tp_tensor p, q;
    tp_sample_input in = {.shape = TP_DIMS(7, 5), .fill = TP_FILL_UNIT};
    assert_ok(tp_tape_new(&t));
    assert_ok(tp_sample_fill(&in, TP_F32, 3, &p));
    assert_ok(tp_tensor_new(&q, TP_F64, in.shape));
    assert_ok(tp_copy(&q, &p));
    tp_rng_key key = {4, 5, 6};
    same_rounded(tp_value(tp_noise_normal(t, TP_F32, in.shape, key)),
                 tp_value(tp_noise_normal(t, TP_F64, in.shape, key)));
    same_rounded(tp_value(tp_noise_bernoulli(tp_constant(t, &p), key)),
                 tp_value(tp_noise_bernoulli(tp_constant(t, &q), key)));
    tp_tape_free(t);
    tp_tensor_free(&p), tp_tensor_free(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fills),
        cmocka_unit_test(test_draws),
        cmocka_unit_test(test_f32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0 || !coverage_done();
}
