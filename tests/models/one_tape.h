/* one_tape.h: a tape that each test of a program begins with, empty, and data on it: `cmocka_unit_test_setup_teardown(test,
 * begin, end)`. Read next: test_likelihood.c. */
#ifndef TP_TESTS_MODELS_ONE_TAPE_H
#define TP_TESTS_MODELS_ONE_TAPE_H

#include "tests/nn/fixture.h"

static fixture *f;
static tp_tape *t;

static int begin(void **state)
{
    (void)state;
    f = fixture_new();
    t = f->tape;
    return 0;
}

static int end(void **state)
{
    (void)state;
    fixture_free(f);
    return 0;
}

static tp_var data(tp_dtype dtype, tp_shape shape, const double *v)
{
    return tp_constant(t, fixture_tensor(f, dtype, shape, v));
}

#endif
