/* ops_fixture.h: what tests of single ops share: a tape and tensors that live for one test, values and gradients within two
 * units in the last place. Test programs include it once. */
#ifndef TP_TESTS_OPS_FIXTURE_H
#define TP_TESTS_OPS_FIXTURE_H

#include "tests/support/check.h"

#include "autograd/compose.h"
#include "autograd/sweep.h"

static const tp_dtype types[] = {TP_F64, TP_F32};

/* Two units in the last place, denormal numbers included. */
static inline double rel_of(tp_dtype d)
{
    return d == TP_F32 ? 2.4e-7 : 1e-15;
}
static inline double abs_of(tp_dtype d)
{
    return d == TP_F32 ? 2.9e-45 : 0;
}

/* --- a tape and tensors that live for one test ---------------------------------------------------- */

enum { MAX_TENSORS = 64 };

static tp_tape *tape;
static tp_tensor owned[MAX_TENSORS];
static int owned_count;

static inline int setup(void **state)
{
    (void)state;
    return tp_tape_new(&tape) != TP_OK;
}

static inline void forget(void)
{
    tp_tape_reset(tape);
    while (owned_count > 0)
        tp_tensor_free(&owned[--owned_count]);
}

static inline int teardown(void **state)
{
    (void)state;
    forget();
    tp_tape_free(tape);
    return 0;
}

static inline tp_tensor *tensor(tp_dtype dtype, tp_shape shape, const double *value)
{
    assert_true(owned_count < MAX_TENSORS);
    tp_tensor *t = &owned[owned_count];
    assert_ok(tp_tensor_new(t, dtype, shape));
    owned_count++;
    for (int64_t i = 0; i < tp_numel(t); i++)
        assert_ok(tp_set_flat(t, i, value[i]));
    return t;
}

static inline tp_var leaf(tp_dtype dtype, tp_shape shape, const double *value)
{
    return tp_leaf(tape, tensor(dtype, shape, value));
}

static inline tp_var constant(tp_dtype dtype, tp_shape shape, const double *value)
{
    return tp_constant(tape, tensor(dtype, shape, value));
}

static inline tp_var scalar_leaf(tp_dtype dtype, double value)
{
    return leaf(dtype, TP_SHAPE(), &value);
}

static inline tp_var total(tp_var x)
{
    return tp_sum(x, TP_ALL_AXES, false);
}

static inline void assert_values(tp_var v, const double *want, int64_t n)
{
    const tp_tensor *t = tp_value(v);
    if (t == NULL)
        print_error("%s\n", tp_last_error());
    assert_non_null(t);
    double rel = rel_of(t->dtype);
    assert_tensor_close(t, want, n, rel, rel);
}

static inline void assert_gradient(tp_var v, const double *want, int64_t n)
{
    const tp_tensor *t = tp_leaf_grad(v);
    assert_non_null(t);
    double rel = rel_of(t->dtype);
    assert_tensor_close(t, want, n, rel, rel);
}

/* Backward by the fused rules or by the composed ones. */
static inline void backward(tp_var root, bool composed)
{
    assert_ok(tp_backward_opts(root, (tp_sweep_opts){.composed = composed}));
}

#endif
