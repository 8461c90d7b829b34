/* test_tensor.c: elements, fills, copies and views of tensors: what they give at the edges of their ranges, and
 * what they refuse without touching anything. Kernels and drivers: test_map_reduce.c; printing: test_print.c.
 * Read next: test_scan.c. */
#include "tests/support/check.h"

#include <math.h>
#include <string.h>

#include "tensor/gather.h"
#include "tensor/mem.h"
#include "tensor/reduce.h"
#include "tensor/text.h"

static tp_tensor made(tp_dtype dtype, tp_shape shape)
{
    tp_tensor t;
    assert_ok(tp_tensor_new(&t, dtype, shape));
    return t;
}

static void new_refuses(void **state)
{
    (void)state;
    tp_tensor t, before;
    memset(&t, 0x5a, sizeof t);
    before = t;
    size_t live = tp_mem().live_bytes;
    assert_status(tp_tensor_new(&t, (tp_dtype)-1, TP_SHAPE(2)), TP_EDTYPE);
    assert_message("there is no element type number -1");
    assert_status(tp_tensor_new(&t, TP_DTYPE_COUNT, TP_SHAPE(2)), TP_EDTYPE);
    assert_status(tp_tensor_new(&t, TP_F32, TP_SHAPE(-1)), TP_ESHAPE);
    assert_status(tp_tensor_new(&t, TP_F32, TP_SHAPE(INT64_MAX / 4, 2)), TP_ESHAPE);
    assert_status(tp_tensor_new(&t, TP_F32, TP_SHAPE(0, INT64_MAX, INT64_MAX)), TP_ESHAPE);
    tp_shape deep = TP_SHAPE(1);
    deep.ndim = TP_MAX_DIMS + 1;
    assert_status(tp_tensor_new(&t, TP_F32, deep), TP_ESHAPE);
    assert_memory_equal(&t, &before, sizeof t);
    assert_int_equal(tp_mem().live_bytes, live);
}

static void elements_out_of_range(void **state)
{
    (void)state;
    tp_tensor t = made(TP_F64, TP_SHAPE(2, 3)), empty = {0};
    for (int64_t i = 0; i < 6; i++)
        assert_ok(tp_set_flat(&t, i, (double)i));
    const int64_t at[] = {1, 2}, past[] = {1, 3}, under[] = {-1, 0};
    assert_true(tp_at(&t, at) == 5);
    assert_true(isnan(tp_at(&t, past)));
    assert_message("index 3 is out of range for axis 1 of size 3");
    assert_true(isnan(tp_at(&t, under)));
    assert_message("index -1 is out of range for axis 0 of size 2");
    assert_true(isnan(tp_flat(&t, 6)));
    assert_message("there is no element number 6");
    assert_true(isnan(tp_flat(&t, -1)));
    assert_true(isnan(tp_flat(&empty, 0)));
    assert_status(tp_set_flat(&t, 6, 1), TP_ESHAPE);
    assert_message("there is no element number 6");
    assert_status(tp_set_flat(&empty, 0, 1), TP_ESHAPE);
    assert_true(isnan(tp_item(&t)));
    assert_message("f64[2,3] has not exactly one element");
    assert_true(isnan(tp_item(&empty)));
    tp_tensor one;
    assert_ok(tp_view_slice(&t, 0, 1, 2, 1, &one));
    assert_ok(tp_view_slice(&one, 1, 2, 3, 1, &one));
    assert_true(tp_item(&one) == 5);
    tp_tensor_free(&t);
}

/* Integers take what truncates into their range, and nothing else: neither NaN nor the first number beyond. */
static void integers_refuse_what_does_not_fit(void **state)
{
    (void)state;
    tp_tensor u8 = made(TP_U8, TP_SHAPE(2)), i64 = made(TP_I64, TP_SHAPE(2));
    const double fits[] = {0, -0.99, 255.99}, bytes[] = {0, 0, 255},
                 too_far[] = {-1, 256, NAN, INFINITY};
    for (int i = 0; i < 3; i++) {
        assert_ok(tp_set_flat(&u8, 1, fits[i]));
        assert_true(tp_flat(&u8, 1) == bytes[i]);
        assert_ok(tp_fill(&u8, fits[i]));
    }
    assert_ok(tp_fill(&u8, 7));
    for (int i = 0; i < 4; i++) {
        assert_status(tp_set_flat(&u8, 1, too_far[i]), TP_EVALUE);
        assert_message(" does not fit in u8");
        assert_status(tp_fill(&u8, too_far[i]), TP_EVALUE);
        assert_message(" does not fit in u8");
    }
    assert_tensor_close(&u8, ((double[]){7, 7}), 2, 0, 0);
    assert_ok(tp_set_flat(&i64, 0, -0x1p63));
    assert_ok(tp_set_flat(&i64, 1, nextafter(0x1p63, 0)));
    const double beyond[] = {0x1p63, nextafter(-0x1p63, -INFINITY), NAN, -INFINITY};
    for (int i = 0; i < 4; i++) {
        assert_status(tp_set_flat(&i64, 0, beyond[i]), TP_EVALUE);
        assert_message(" does not fit in i64");
    }
    assert_true(tp_flat(&i64, 0) == -0x1p63);
    tp_tensor_free(&u8);
    tp_tensor_free(&i64);
}

static void copies_refuse(void **state)
{
    (void)state;
    tp_tensor x = made(TP_F64, TP_SHAPE(2)), y = made(TP_U8, TP_SHAPE(2)),
              other = made(TP_F64, TP_SHAPE(3));
    tp_tensor empty = {0}, repeated;
    assert_status(tp_copy(&empty, &x), TP_EARG);
    assert_message("tp_copy: the tensor to write is empty");
    assert_status(tp_copy(&x, &empty), TP_EARG);
    assert_message("tp_copy: the tensor to read is empty");
    assert_status(tp_copy(&x, &other), TP_ESHAPE);
    assert_message("cannot copy f64[3] into f64[2]");
    assert_ok(tp_view_expand(&x, TP_SHAPE(2, 2), &repeated));
    tp_tensor square = made(TP_F64, TP_SHAPE(2, 2));
    assert_status(tp_copy(&repeated, &square), TP_EARG);
    assert_message("its elements share memory");
    assert_ok(tp_set_flat(&x, 1, 256));
    assert_status(tp_copy(&y, &x), TP_EVALUE);
    assert_message("a value of f64[2] does not fit in u8");
    tp_tensor_free(&x);
    tp_tensor_free(&y);
    tp_tensor_free(&other);
    tp_tensor_free(&square);
}

static void views_refuse(void **state)
{
    (void)state;
    tp_tensor x = made(TP_F32, TP_SHAPE(2, 3)), y, before;
    memset(&y, 0x5a, sizeof y);
    before = y;
    tp_shape deep = TP_SHAPE(1), negative = TP_SHAPE(1);
    deep.ndim = TP_MAX_DIMS + 1;
    negative.ndim = -1;
    assert_status(tp_view_reshape(&x, deep, &y), TP_ESHAPE);
    assert_status(tp_view_reshape(&x, negative, &y), TP_ESHAPE);
    assert_status(tp_view_reshape(&x, TP_SHAPE(-1, -1), &y), TP_ESHAPE);
    assert_message("leaves more than one size open");
    assert_status(tp_view_reshape(&x, TP_SHAPE(-1, 4), &y), TP_ESHAPE);
    assert_message("shape [2,3] with 6 elements cannot be reshaped to [-1,4]");
    assert_status(tp_view_reshape(&x, TP_SHAPE(-1, 0), &y), TP_ESHAPE);
    assert_status(tp_view_expand(&x, TP_SHAPE(3), &y), TP_ESHAPE);
    assert_message("shape [2,3] does not expand to [3]");
    assert_status(tp_view_expand(&x, TP_SHAPE(), &y), TP_ESHAPE);
    assert_message("shape [2,3] does not expand to []");
    assert_status(tp_view_expand(&x, TP_SHAPE(3, 3), &y), TP_ESHAPE);
    assert_status(tp_view_select(&x, 1, 3, &y), TP_ESHAPE);
    assert_message("index 3 is out of range for axis 1 of size 3");
    assert_status(tp_view_select(&x, 1, -4, &y), TP_ESHAPE);
    assert_status(tp_view_select(&x, 2, 0, &y), TP_ESHAPE);
    assert_status(tp_view_permute(&x, TP_AXES(0), &y), TP_ESHAPE);
    assert_message("permute lists 1 axes for 2 dimensions");
    assert_status(tp_view_permute(&x, TP_AXES(0, -2), &y), TP_ESHAPE);
    assert_message("permute names axis 0 twice");
    assert_status(tp_view_slice(&x, 0, 0, 2, 0, &y), TP_ESHAPE);
    assert_message("a slice of axis 0 has step 0");
    assert_memory_equal(&y, &before, sizeof y);
    tp_tensor_free(&x);
}

static void lists_of_axes_are_checked(void **state)
{
    (void)state;
    bool mask[TP_MAX_DIMS];
    tp_axes long_list = {.n = TP_MAX_DIMS + 1}, negative = {.n = -1};
    assert_status(tp_axes_mask(TP_SHAPE(2, 3), long_list, mask), TP_ESHAPE);
    assert_message("a list of 9 axes: at most 8 are possible");
    assert_status(tp_axes_mask(TP_SHAPE(2, 3), negative, mask), TP_ESHAPE);
    assert_status(tp_axes_mask(TP_SHAPE(2, 3), TP_AXES(1, -1), mask), TP_ESHAPE);
    assert_message("axis -1 is named twice");
}

static void positions_need_their_own_memory(void **state)
{
    (void)state;
    tp_tensor x = made(TP_F32, TP_SHAPE(4, 3)), one = made(TP_I64, TP_SHAPE(1)), y;
    assert_ok(tp_view_expand(&one, TP_SHAPE(4), &y));
    assert_status(tp_arg_reduce(TP_MAX, &y, &x, 1), TP_EARG);
    assert_message("arg reduce: the elements of the result i64[4] share memory");
    tp_tensor_free(&x);
    tp_tensor_free(&one);
}

/* A text that is full ends in dots, and never in half a character. */
static void full_texts_keep_whole_characters(void **state)
{
    (void)state;
    for (int first = 0; first < 4; first++) {
        tp_text t = {0};
        tp_text_add(&t, "%.*s", first, "abc");
        while (!t.cut)
            tp_text_add(&t, "\xe2\x82\xac"); /* a euro sign: three bytes */
        const char *end = strstr(t.data, "…");
        assert_non_null(end);
        assert_int_equal(end[strlen("…")], '\0');
        assert_int_equal((end - t.data - first) % 3, 0);
        assert_true(strlen(t.data) < sizeof t.data);
        assert_true(strlen(t.data) + 8 > sizeof t.data);
        size_t length = strlen(t.data);
        tp_text_add(&t, "more");
        assert_int_equal(strlen(t.data), length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_refuses),
        cmocka_unit_test(elements_out_of_range),
        cmocka_unit_test(integers_refuse_what_does_not_fit),
        cmocka_unit_test(copies_refuse),
        cmocka_unit_test(views_refuse),
        cmocka_unit_test(lists_of_axes_are_checked),
        cmocka_unit_test(positions_need_their_own_memory),
        cmocka_unit_test(full_texts_keep_whole_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
