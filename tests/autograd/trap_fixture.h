/* trap_fixture.h: what the tests of the trap start from: a tape with the trap on, data that live as long as the
 * test, two parameters. */
#ifndef TP_TESTS_AUTOGRAD_TRAP_FIXTURE_H
#define TP_TESTS_AUTOGRAD_TRAP_FIXTURE_H

#include "autograd/compose.h"
#include "autograd/node.h"
#include "autograd/sweep.h"
#include "tests/support/check.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { TENSORS = 32 };
static tp_tape *t;
static tp_tensor pool[TENSORS];
static int used;
static tp_parameter w, b; /* f32[2,2] and f32[2] */

static int set_up(void **state)
{
    (void)state;
    assert_ok(tp_tape_new(&t));
    assert_false(tp_tape_trap(t, true));
    assert_ok(tp_parameter_init(&w, "w", TP_F32, TP_SHAPE(2, 2)));
    assert_ok(tp_parameter_init(&b, "b", TP_F32, TP_SHAPE(2)));
    return 0;
}

/* Empties the tape; the trap stays. */
static void free_data(void)
{
    tp_tape_reset(t);
    while (used > 0)
        tp_tensor_free(&pool[--used]);
}

static int tear_down(void **state)
{
    (void)state;
    free_data();
    tp_tape_free(t);
    tp_parameter_free(&w);
    tp_parameter_free(&b);
    return 0;
}

static tp_tensor *tensor(tp_dtype d, tp_shape s, const double *v)
{
    assert_true(used < TENSORS);
    tp_tensor *x = &pool[used++];
    assert_ok(tp_tensor_new(x, d, s));
    for (int64_t i = 0; i < tp_numel(x); i++)
        assert_ok(tp_set_flat(x, i, v[i]));
    return x;
}

#define DATA(dtype, n, ...)                                                                        \
    tp_constant(t, tensor(dtype, TP_SHAPE(n), (const double[n]){__VA_ARGS__}))
#define LEAF(dtype, n, ...) tp_leaf(t, tensor(dtype, TP_SHAPE(n), (const double[n]){__VA_ARGS__}))

static tp_var total(tp_var x)
{
    return tp_sum(x, TP_ALL_AXES, false);
}

static double largest(tp_dtype d)
{
    return d == TP_F32 ? (double)FLT_MAX : DBL_MAX;
}

#define assert_trapped(part)                                                                       \
    do {                                                                                           \
        assert_int_equal(tp_tape_status(t), TP_ENONFINITE);                                        \
        if (strstr(tp_tape_message(t), part) == NULL)                                              \
            fail_msg("message: %s\n  does not contain: %s", tp_tape_message(t), part);             \
    } while (0)

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#define assert_quiet() assert_string_equal(tp_tape_message(t), "")

#endif
