/* test_ops_f32.c: values and gradients in f32 against f64 at the same inputs. What is right to expect
 * depends on how sensitive an element is, so the bound measures that: with ε of f32,
 *     |f32 − f64| <= 4·ε·|f64| + 8·max |f64(x moved by ±ε relative) − f64(x)|   over a few random moves.
 * Single kernels are held to fewer ulp elsewhere. Also here: f32 draws are rounded f64 draws. */
#include "autograd/ops.h"
#include "autograd/sweep.h"
#include "tests/support/check.h"
#include "tests/support/ops.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOVES = 6 };
static int failures;
static double worst;

/* Row-major elements of x in f64; grows *all. */
static void append(double **all, int64_t *n, const tp_tensor *x)
{
    double *grown = realloc(*all, (size_t)(*n + tp_numel(x) + 1) * sizeof *grown);
    assert_non_null(grown);
    for (int64_t i = 0; i < tp_numel(x); i++)
        grown[*n + i] = tp_flat(x, i);
    *all = grown;
    *n += tp_numel(x);
}

/* x as dtype, each element moved by up to ε relative if move is not 0. Integers stay. */
static void as_dtype(tp_tensor *to, const tp_tensor *x, tp_dtype dtype, uint64_t move, bool fixed)
{
    tp_tensor u;
    assert_ok(tp_tensor_new(to, tp_dtype_is_float(x->dtype) ? dtype : x->dtype, x->shape));
    assert_ok(tp_copy(to, x));
    if (move == 0 || !tp_dtype_is_float(x->dtype) || fixed)
        return;
    assert_ok(tp_tensor_new(&u, TP_F64, x->shape));
    assert_ok(tp_random_uniform(&u, (tp_rng_key){move, 0, 0}));
    for (int64_t i = 0; i < tp_numel(x); i++)
        assert_ok(tp_set_flat(
            to, i, tp_flat(x, i) * (1 + (tp_flat(&u, i) < 0.5 ? -1 : 1) * (double)FLT_EPSILON)));
    tp_tensor_free(&u);
}

/* The value and all gradients, one after the other. */
static double *compute(const tp_op *op, const tp_sample *s, const tp_tensor *in,
                       const tp_tensor *cotangent, tp_dtype dtype, uint64_t move, int64_t *n)
{
    double *all = NULL;
    tp_tape *t;
    tp_tensor data[TP_SAMPLE_INPUTS], v = {0};
    tp_var x[TP_SAMPLE_INPUTS], by[TP_SAMPLE_INPUTS], g[TP_SAMPLE_INPUTS];
    int wanted = 0;
    *n = 0;
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < s->n; i++) {
        bool fixed = s->x[i].fill == TP_FILL_MASK || s->x[i].fill == TP_FILL_UNIT;
        as_dtype(&data[i], &in[i], dtype, move ? move + (uint64_t)i : 0, fixed);
        x[i] = tp_sample_fixed(&s->x[i]) ? tp_constant(t, &data[i]) : tp_leaf(t, &data[i]);
        if (!tp_sample_fixed(&s->x[i]))
            by[wanted++] = x[i];
    }
    tp_var y = op_call(t, op, s->n, x, s->attr);
    assert_ok(tp_tape_status(t));
    append(&all, n, tp_value(y));
    if (wanted > 0 && tp_needs_grad(y)) {
        as_dtype(&v, cotangent, dtype, move ? move + 9 : 0, false);
        tp_var gy = tp_constant(t, &v);
        assert_ok(tp_grad(1, &y, wanted, by, g,
                          (tp_grad_opts){.grad_outputs = &gy, .allow_unused = true}));
        for (int i = 0; i < wanted; i++)
            append(&all, n, tp_value(g[i]));
    }
    tp_tape_free(t);
    tp_tensor_free(&v);
    for (int i = 0; i < s->n; i++)
        tp_tensor_free(&data[i]);
    return all;
}

/* The cotangent needs the shape of the result. f32 values, so that both types see the same. */
static void make_cotangent(tp_tensor *v, const tp_op *op, const tp_sample *s, const tp_tensor *in)
{
    tp_tape *t;
    tp_var x[TP_SAMPLE_INPUTS];
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < s->n; i++)
        x[i] = tp_constant(t, &in[i]);
    draw_cotangent(v, TP_F32, tp_shape_of(op_call(t, op, s->n, x, s->attr)), 6);
    tp_tape_free(t);
}

static void compare(const tp_op *op, const tp_sample *s, const double *fast, const double *exact,
                    const double *moved, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double bound = 4 * (double)FLT_EPSILON * fabs(exact[i]) + 8 * moved[i] + 1e-37;
        double off = fabs(fast[i] - exact[i]);
        worst = fmax(worst, off / bound);
        if (off <= bound)
            continue;
        print_error("%s, sample '%s', number %lld: f32 %.9g, f64 %.17g, bound %.3g\n", op->name,
                    s->note, (long long)i, fast[i], exact[i], bound);
        failures++;
    }
}

static void check_sample(const tp_op *op, const tp_sample *s)
{
    tp_tensor in[TP_SAMPLE_INPUTS], v;
    int64_t n, m;
    for (int i = 0; i < s->n; i++)
        assert_ok(tp_sample_fill(&s->x[i], TP_F32, 21 + (uint64_t)i, &in[i]));
    make_cotangent(&v, op, s, in);
    double *fast = compute(op, s, in, &v, TP_F32, 0, &n);
    double *exact = compute(op, s, in, &v, TP_F64, 0, &m);
    double *moved = calloc((size_t)n + 1, sizeof *moved);
    assert_int_equal(n, m);
    for (uint64_t k = 0; k < MOVES; k++) {
        double *other = compute(op, s, in, &v, TP_F64, 100 * (k + 1), &m);
        for (int64_t i = 0; i < n; i++)
            moved[i] = fmax(moved[i], fabs(other[i] - exact[i]));
        free(other);
    }
    compare(op, s, fast, exact, moved, n);
    free(fast), free(exact), free(moved);
    tp_tensor_free(&v);
    for (int i = 0; i < s->n; i++)
        tp_tensor_free(&in[i]);
}

static void test_f32(void **state)
{
    (void)state;
    int samples = 0;
    failures = 0;
    for (int i = 0; i < tp_op_count; i++)
        for (int k = 0; k < tp_ops[i]->sample_count; k++, samples++)
            check_sample(tp_ops[i], &tp_ops[i]->samples[k]);
    printf("%d samples, worst at %.2f of its bound\n", samples, worst);
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
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
