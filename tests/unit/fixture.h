/* fixture.h: what tests of values of operations share: a tape with its tensors, and numbers compared in ulps.
 * The references are written as f64; f32 must be within the same number of ulps of the nearest float. */
#ifndef TP_TESTS_UNIT_FIXTURE_H
#define TP_TESTS_UNIT_FIXTURE_H

#include "tests/support/check.h"

#include "autograd/compose.h"
#include "autograd/sweep.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

enum { VALUE_ULPS = 2, GRAD_ULPS = 8, TENSORS = 4 };
static const double INF = INFINITY;
static const tp_dtype dtypes[] = {TP_F64, TP_F32};

/* A tape and the tensors its leaves look at. */
struct bench {
    tp_tape *tape;
    tp_dtype dtype;
    tp_tensor tensor[TENSORS];
    int tensors;
};

static inline struct bench bench_new(tp_dtype dtype)
{
    struct bench b = {.dtype = dtype};
    assert_ok(tp_tape_new(&b.tape));
    return b;
}

static inline void bench_free(struct bench *b)
{
    assert_ok(tp_tape_status(b->tape));
    tp_tape_free(b->tape);
    for (int i = 0; i < b->tensors; i++)
        tp_tensor_free(&b->tensor[i]);
}

static inline tp_tensor *enter(struct bench *b, tp_shape shape, const double *x)
{
    assert_true(b->tensors < TENSORS);
    tp_tensor *t = &b->tensor[b->tensors++];
    assert_ok(tp_tensor_new(t, b->dtype, shape));
    for (int64_t i = 0; i < tp_shape_numel(shape); i++)
        assert_ok(tp_set_flat(t, i, x[i]));
    return t;
}

static inline tp_var leaf(struct bench *b, tp_shape shape, const double *x)
{
    return tp_leaf(b->tape, enter(b, shape, x));
}

static inline tp_var constant(struct bench *b, tp_shape shape, const double *x)
{
    return tp_constant(b->tape, enter(b, shape, x));
}

static inline void sum_backward(tp_var y)
{
    assert_ok(tp_backward(tp_sum(y, TP_ALL_AXES, false)));
}

static inline void check_number(tp_dtype dtype, double got, double want, int ulps, const char *text)
{
    bool f32 = dtype == TP_F32;
    char full[128];
    snprintf(full, sizeof full, "%s in %s", text, tp_dtype_name(dtype));
    check_close(got, f32 ? (float)want : want, ulps * (f32 ? FLT_TRUE_MIN : DBL_TRUE_MIN),
                ulps * (f32 ? FLT_EPSILON : DBL_EPSILON), full, __FILE__, __LINE__);
}

static inline void check_numbers(const tp_tensor *got, const double *want, int n, int ulps,
                                 const char *text)
{
    assert_non_null(got);
    assert_int_equal(tp_numel(got), n);
    for (int i = 0; i < n; i++) {
        char full[96];
        snprintf(full, sizeof full, "%s [%d]", text, i);
        check_number(got->dtype, tp_flat(got, i), want[i], ulps, full);
    }
}
#define CHECK_VALUE(v, want, n) check_numbers(tp_value(v), (want), (n), VALUE_ULPS, "value of " #v)
#define CHECK_GRAD(v, want, n)                                                                     \
    check_numbers(tp_leaf_grad(v), (want), (n), GRAD_ULPS, "gradient of " #v)

/* A function of one number, with its derivative. */
struct point {
    const char *name;
    tp_var (*f)(tp_var);
    double x, y, gradient;
};

static inline void check_point(const struct point *p, tp_dtype dtype, bool composed)
{
    char text[64];
    struct bench b = bench_new(dtype);
    tp_var x = leaf(&b, TP_SHAPE(), &p->x), y = p->f(x);
    snprintf(text, sizeof text, "%s(%g)", p->name, p->x);
    check_number(dtype, tp_item_of(y), p->y, VALUE_ULPS, text);
    assert_ok(tp_backward_opts(y, (tp_sweep_opts){.composed = composed}));
    snprintf(text, sizeof text, "%s'(%g)%s", p->name, p->x, composed ? " composed" : "");
    check_number(dtype, tp_item(tp_leaf_grad(x)), p->gradient, GRAD_ULPS, text);
    bench_free(&b);
}

#endif
