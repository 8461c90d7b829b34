/* test_layout.c: pictures row by row and channels-last: which is which, one into the other, and what broadcasts against
 * them. */
#include "tests/support/check.h"
#include "tests/support/views.h"

#include "tensor/layout.h"
#include "tensor/map.h"
#include "tensor/parallel.h"

static const tp_shape pictures[] = {
    TP_DIMS(2, 3, 4, 5), TP_DIMS(1, 64, 7, 7), TP_DIMS(130, 2, 1, 3),
    TP_DIMS(3, 5, 2, 1), TP_DIMS(2, 1, 4, 3),  TP_DIMS(2, 3, 1, 1),
    TP_DIMS(0, 3, 2, 2), TP_DIMS(2, 0, 2, 2),  TP_DIMS(5, 33, 9, 11)};
enum { PICTURES = sizeof pictures / sizeof *pictures, TWO_LAYOUTS = 4 };

static void one_layout_is_the_other_where_there_is_one_channel_or_pixel(void **state)
{
    (void)state;
    for (int i = 0; i < PICTURES; i++) {
        tp_tensor t;
        assert_ok(tp_tensor_new(&t, TP_F32, pictures[i]));
        assert_false(tp_is_channels_last(&t));
        tp_make_channels_last(&t);
        bool two = i < TWO_LAYOUTS || i == PICTURES - 1;
        assert_int_equal(tp_is_channels_last(&t), two);
        assert_int_equal(tp_is_contiguous(&t), !two);
        assert_false(tp_may_overlap(&t));
        tp_tensor_free(&t);
    }
}

/* Of what has gaps, another order, or other axes. */
static void nothing_else_is_channels_last(void **state)
{
    (void)state;
    tp_tensor t, v;
    assert_ok(tp_tensor_new(&t, TP_F32, TP_SHAPE(4, 6, 4, 6)));
    tp_make_channels_last(&t);
    assert_ok(tp_view_slice(&t, 1, 0, 3, 1, &v));
    assert_false(tp_is_channels_last(&v));
    assert_ok(tp_view_slice(&t, 0, 0, 4, 2, &v));
    assert_false(tp_is_channels_last(&v));
    assert_ok(tp_view_slice(&t, 0, 1, 3, 1, &v)); /* some of the pictures are pictures */
    assert_true(tp_is_channels_last(&v));
    assert_ok(tp_view_transpose(&t, 2, 3, &v));
    assert_false(tp_is_channels_last(&v));
    assert_ok(tp_view_select(&t, 0, 1, &v));
    assert_false(tp_is_channels_last(&v));
    tp_make_channels_last(&v); /* three axes: as it was */
    assert_int_equal(v.stride[0], 1);
    tp_tensor_free(&t);
}

/* Every layout of views into both, on one thread and on several. */
static void laying_out_keeps_every_element(void **state)
{
    (void)state;
    for (int i = 0; i < PICTURES; i++)
        for (int how = 0; how < 2 * LAYOUT_COUNT; how++)
            for (int dtype = TP_F32; dtype <= TP_F64; dtype++) {
                tp_tensor memory, x, y;
                make_view(&memory, &x, (tp_dtype)dtype, pictures[i], (layout)(how / 2),
                          random_value);
                assert_ok(tp_tensor_new(&y, (tp_dtype)dtype, pictures[i]));
                if (how % 2)
                    tp_make_channels_last(&y);
                assert_ok(tp_set_threads(1 + i % 3));
                uint64_t version = y.storage->version;
                assert_ok(tp_lay_out(&y, &x));
                assert_true(tp_numel(&y) == 0 || y.storage->version > version);
                for (int64_t k = 0; k < tp_numel(&x); k++)
                    assert_close(tp_flat(&y, k), tp_flat(&x, k), 0, 0);
                tp_tensor_free(&memory);
                tp_tensor_free(&y);
            }
    assert_ok(tp_set_threads(1));
}

static void laying_out_refuses_what_a_copy_refuses(void **state)
{
    (void)state;
    tp_tensor x, y, z;
    assert_ok(tp_tensor_new(&x, TP_F32, TP_SHAPE(2, 3, 4, 5)));
    assert_ok(tp_tensor_new(&y, TP_F64, TP_SHAPE(2, 3, 4, 5)));
    assert_ok(tp_tensor_new(&z, TP_F32, TP_SHAPE(2, 3, 5, 4)));
    tp_make_channels_last(&x);
    assert_int_equal(tp_lay_out(&y, &x), TP_EDTYPE);
    assert_int_equal(tp_lay_out(&z, &x), TP_ESHAPE);
    tp_tensor_free(&x), tp_tensor_free(&y), tp_tensor_free(&z);
}

/* Elementwise kernels walk pictures in the order of memory: smaller tensors must still meet the elements they belong to. */
static void what_broadcasts_meets_its_channel(void **state)
{
    (void)state;
    static const tp_shape smaller[] = {TP_DIMS(3, 1, 1), TP_DIMS(5),          TP_DIMS(),
                                       TP_DIMS(4, 5),    TP_DIMS(2, 1, 4, 1), TP_DIMS(1, 3, 1, 5)};
    for (int s = 0; s < (int)(sizeof smaller / sizeof *smaller); s++) {
        tp_tensor memory, x, b, y;
        make_view(&memory, &x, TP_F32, pictures[0], LAYOUT_CHANNELS_LAST, small_integer);
        assert_ok(tp_tensor_new(&b, TP_F32, smaller[s]));
        for (int64_t k = 0; k < tp_numel(&b); k++)
            assert_ok(tp_set_flat(&b, k, (double)(10 * k + 1)));
        assert_ok(tp_tensor_new(&y, TP_F32, pictures[0]));
        tp_make_channels_last(&y);
        assert_ok(tp_map2(&y, &x, &b, TP_K_add));
        tp_tensor wide;
        assert_ok(tp_view_expand(&b, pictures[0], &wide));
        for (int64_t k = 0; k < tp_numel(&y); k++)
            assert_close(tp_flat(&y, k), tp_flat(&x, k) + tp_flat(&wide, k), 0, 0);
        tp_tensor_free(&memory), tp_tensor_free(&b), tp_tensor_free(&y);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_layout_is_the_other_where_there_is_one_channel_or_pixel),
        cmocka_unit_test(nothing_else_is_channels_last),
        cmocka_unit_test(laying_out_keeps_every_element),
        cmocka_unit_test(laying_out_refuses_what_a_copy_refuses),
        cmocka_unit_test(what_broadcasts_meets_its_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
