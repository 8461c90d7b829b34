/* file_tests.h: what tests of file formats share: tensors to be written and compared, and failures for want of memory. */
#ifndef TP_TESTS_UNIT_FILE_TESTS_H
#define TP_TESTS_UNIT_FILE_TESTS_H

#include "tests/support/check.h"

static inline tp_tensor counted(tp_dtype dtype, tp_shape shape)
{
    tp_tensor t;
    assert_ok(tp_tensor_new(&t, dtype, shape));
    for (int64_t i = 0; i < tp_numel(&t); i++)
        assert_ok(tp_set_flat(&t, i, (double)(i % 200 + 1)));
    return t;
}

static inline void check_equal(const tp_tensor *a, const tp_tensor *b)
{
    assert_int_equal(a->dtype, b->dtype);
    assert_true(tp_shape_equal(a->shape, b->shape));
    for (int64_t i = 0; i < tp_numel(a); i++)
        assert_true(tp_flat(a, i) == tp_flat(b, i));
}

static inline tp_tensor fresh(tp_dtype dtype, tp_shape shape)
{
    tp_tensor t;
    assert_ok(tp_tensor_new(&t, dtype, shape));
    return t;
}

/* A failure is one of memory, and says for which file. */
static inline tp_status short_of_memory(tp_status s, const char *path)
{
    if (s != TP_OK) {
        assert_int_equal(s, TP_ENOMEM);
        assert_message(path);
    }
    return s;
}

#endif
