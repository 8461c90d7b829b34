/* test_rearranged_integers.c: indices are shaped like values: reshape, permute, expand, slice, concat, gather
 * and detach take i64 and u8, give the same type, move the right elements in any layout and ask for no gradient.
 * Floats: test_ops_gradients.c. */
#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "tests/support/check.h"

static tp_tape *tape;
static tp_tensor numbers; /* 0 … 5 as [2,3] */

static void begin(tp_dtype dtype)
{
    assert_ok(tp_tape_new(&tape));
    assert_ok(tp_tensor_new(&numbers, dtype, TP_SHAPE(2, 3)));
    for (int i = 0; i < 6; i++)
        assert_ok(tp_set_flat(&numbers, i, i));
}

static void end(void)
{
    tp_tape_free(tape);
    tp_tensor_free(&numbers);
}

static void expect(tp_var y, tp_dtype dtype, tp_shape shape, const double *want)
{
    assert_ok(tp_tape_status(tape));
    assert_int_equal(tp_dtype_of(y), dtype);
    assert_true(tp_shape_equal(tp_shape_of(y), shape));
    assert_false(tp_needs_grad(y));
    assert_tensor_close(tp_value(y), want, tp_shape_numel(shape), 0, 0);
}
#define NUMBERS(...) ((const double[]){__VA_ARGS__})

static void check_type(tp_dtype dtype)
{
    begin(dtype);
    tp_var x = tp_constant(tape, &numbers);
    tp_var turned = tp_permute(x, TP_AXES(1, 0)); /* no longer contiguous */
    tp_var row = tp_slice(x, 0, -1, TP_SLICE_END, 1), back = tp_slice(x, 1, -1, TP_SLICE_END, -2);
    expect(turned, dtype, TP_SHAPE(3, 2), NUMBERS(0, 3, 1, 4, 2, 5));
    expect(tp_reshape(x, TP_SHAPE(3, -1)), dtype, TP_SHAPE(3, 2), NUMBERS(0, 1, 2, 3, 4, 5));
    expect(tp_reshape(turned, TP_SHAPE(6)), dtype, TP_SHAPE(6), NUMBERS(0, 3, 1, 4, 2, 5));
    expect(row, dtype, TP_SHAPE(1, 3), NUMBERS(3, 4, 5));
    expect(back, dtype, TP_SHAPE(2, 2), NUMBERS(2, 0, 5, 3));
    expect(tp_expand(row, TP_SHAPE(2, 3)), dtype, TP_SHAPE(2, 3), NUMBERS(3, 4, 5, 3, 4, 5));
    expect(tp_reshape(tp_expand(row, TP_SHAPE(2, 3)), TP_SHAPE(6)), dtype, TP_SHAPE(6),
           NUMBERS(3, 4, 5, 3, 4, 5));
    expect(tp_concat((tp_var[]){x, back}, 2, -1), dtype, TP_SHAPE(2, 5),
           NUMBERS(0, 1, 2, 2, 0, 3, 4, 5, 5, 3));
    expect(tp_concat((tp_var[]){turned, turned}, 2, 0), dtype, TP_SHAPE(6, 2),
           NUMBERS(0, 3, 1, 4, 2, 5, 0, 3, 1, 4, 2, 5));
    tp_tensor places;
    assert_ok(tp_tensor_from(&places, TP_I64, TP_SHAPE(2), (const int64_t[]){2, 0}));
    tp_var index = tp_constant(tape, &places);
    expect(tp_gather(x, tp_reshape(index, TP_SHAPE(1, 2)), 1), dtype, TP_SHAPE(1, 2),
           NUMBERS(2, 0));
    expect(tp_index_select(turned, index, 0), dtype, TP_SHAPE(2, 2), NUMBERS(2, 5, 0, 3));
    expect(tp_detach(x), dtype, TP_SHAPE(2, 3), NUMBERS(0, 1, 2, 3, 4, 5));
    end();
    tp_tensor_free(&places);
}

static void test_values(void **state)
{
    (void)state;
    check_type(TP_I64);
    check_type(TP_U8);
}

/* Beyond 2^53 a double would lose the last bits. */
static void test_large(void **state)
{
    (void)state;
    begin(TP_I64);
    const int64_t large[] = {INT64_MAX, INT64_MIN, ((int64_t)1 << 53) + 1};
    tp_tensor x;
    assert_ok(tp_tensor_from(&x, TP_I64, TP_SHAPE(3), large));
    tp_var v = tp_slice(tp_constant(tape, &x), 0, -1, TP_SLICE_END, -1);
    tp_var y = tp_concat((tp_var[]){tp_reshape(tp_expand(v, TP_SHAPE(2, 3)), TP_SHAPE(6))}, 1, 0);
    assert_ok(tp_tape_status(tape));
    const int64_t *got = tp_data(tp_value(y));
    for (int i = 0; i < 6; i++)
        assert_true(got[i] == large[2 - i % 3]);
    tp_tensor_free(&x);
    end();
}

/* The use of it: a shaped index for gather, whose float input is differentiated. */
static void test_as_index(void **state)
{
    (void)state;
    begin(TP_I64);
    tp_tensor values;
    assert_ok(tp_tensor_from(&values, TP_F64, TP_SHAPE(2, 3), NUMBERS(10, 11, 12, 20, 21, 22)));
    tp_var x = tp_leaf(tape, &values), index = tp_slice(tp_constant(tape, &numbers), 0, 0, 1, 1);
    tp_var rows = tp_expand(tp_slice(index, 1, -1, TP_SLICE_END, -2), TP_SHAPE(2, 2));
    tp_var y = tp_gather(x, rows, 1);
    assert_tensor_close(tp_value(y), NUMBERS(12, 10, 22, 20), 4, 0, 0);
    assert_ok(tp_backward(tp_sum(y, TP_ALL_AXES, false)));
    assert_tensor_close(tp_leaf_grad(x), NUMBERS(1, 0, 1, 1, 0, 1), 6, 0, 0);
    tp_tensor_free(&values);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_as_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
