/* fixture.h: what the tests of the tape start from: one tape, two parameters, one data tensor. */
#ifndef TP_TESTS_AUTOGRAD_FIXTURE_H
#define TP_TESTS_AUTOGRAD_FIXTURE_H

#include "autograd/compose.h"
#include "autograd/node.h"
#include "autograd/sweep.h"
#include "tensor/matmul.h"
#include "tests/support/check.h"

#include <string.h>

static tp_tape *t;
static tp_parameter w, u; /* f64[2] = {2, 3} and {5, 7} */
static tp_tensor data;    /* f64[2] = {1, -1} */
static size_t bytes_before;

static int set_up(void **state)
{
    (void)state;
    bytes_before = tp_mem().live_bytes;
    assert_ok(tp_tape_new(&t));
    assert_ok(tp_parameter_init(&w, "w", TP_F64, TP_SHAPE(2)));
    assert_ok(tp_parameter_init(&u, "u", TP_F64, TP_SHAPE(2)));
    memcpy(tp_data_mut(&w.value), (double[]){2, 3}, 2 * sizeof(double));
    memcpy(tp_data_mut(&u.value), (double[]){5, 7}, 2 * sizeof(double));
    assert_ok(tp_tensor_from(&data, TP_F64, TP_SHAPE(2), (double[]){1, -1}));
    return 0;
}

/* Whatever a test did, no byte may be left. */
static int tear_down(void **state)
{
    (void)state;
    tp_tape_free(t);
    tp_parameter_free(&w);
    tp_parameter_free(&u);
    tp_tensor_free(&data);
    tp_matmul_release();
    assert_int_equal(tp_mem().live_bytes, bytes_before);
    return 0;
}

static tp_var total(tp_var x)
{
    return tp_sum(x, TP_ALL_AXES, false);
}

/* Σ w² and, in *square, w ⊙ w */
static tp_var loss_of(tp_var *square)
{
    tp_var x = tp_param(t, &w);
    *square = tp_mul(x, x);
    return total(*square);
}

#define assert_tape(status, part)                                                                  \
    do {                                                                                           \
        assert_int_equal(tp_tape_status(t), status);                                               \
        if (strstr(tp_tape_message(t), part) == NULL)                                              \
            fail_msg("message: %s\n  does not contain: %s", tp_tape_message(t), part);             \
    } while (0)

#define assert_pair(tensor, a, b) assert_tensor_close(tensor, ((const double[]){a, b}), 2, 0, 0)

#endif
