/* test_data_split.c: cutting a validation set off: every example is in one part, with its label, in its order.
 *
 * Read next: nn/data.h.
 */
#include "tests/support/check.h"

#include <string.h>

#include "nn/data.h"
#include "tensor/mem.h"

/* n examples that hold their number, with labels of it. */
static tp_dataset numbered(tp_dtype dtype, int64_t n)
{
    tp_dataset d = {0};
    assert_ok(tp_tensor_new(&d.x, dtype, TP_SHAPE(n, 2, 3)));
    assert_ok(tp_tensor_new(&d.labels, TP_U8, TP_SHAPE(n)));
    for (int64_t i = 0; i < 6 * n; i++)
        assert_ok(tp_set_flat(&d.x, i, (double)(i / 6)));
    for (int64_t i = 0; i < n; i++)
        assert_ok(tp_set_flat(&d.labels, i, (double)(i + 100)));
    return d;
}

/* Ascending numbers, each with its label, none seen before. */
static void check_part(const tp_dataset *d, int64_t n, bool *seen)
{
    double last = -1;
    assert_true(tp_shape_equal(d->x.shape, TP_SHAPE(n, 2, 3)));
    assert_true(tp_shape_equal(d->labels.shape, TP_SHAPE(n)));
    for (int64_t i = 0; i < n; i++) {
        double is = tp_flat(&d->x, 6 * i);
        for (int64_t k = 0; k < 6; k++)
            assert_true(tp_flat(&d->x, 6 * i + k) == is);
        assert_true(is > last && !seen[(int)is]);
        assert_true(tp_flat(&d->labels, i) == is + 100);
        seen[(int)is] = true;
        last = is;
    }
}

static void test_split(void **state)
{
    (void)state;
    enum { SIZE = 50, OFF = 13 };
    size_t live = tp_mem().live_bytes;
    tp_dataset drawn[4];
    for (int i = 0; i < 4; i++) { /* the last; seeds 1, 2, and 1 once more */
        bool seen[SIZE] = {false};
        tp_split_opts o = {i > 0, i == 2 ? 2 : 1};
        tp_dataset d = numbered(i == 3 ? TP_F64 : TP_U8, SIZE);
        assert_ok(tp_dataset_split(&d, OFF, o, &drawn[i]));
        check_part(&drawn[i], OFF, seen);
        for (int64_t k = 0; k < OFF && i == 0; k++)
            assert_true(seen[SIZE - 1 - k]);
        check_part(&d, SIZE - OFF, seen);
        tp_dataset_free(&d);
    }
    assert_true(equal_bits(&drawn[1].labels, &drawn[3].labels));
    assert_false(equal_bits(&drawn[0].labels, &drawn[1].labels));
    assert_false(equal_bits(&drawn[1].labels, &drawn[2].labels));
    for (int i = 0; i < 4; i++)
        tp_dataset_free(&drawn[i]);
    assert_int_equal(tp_mem().live_bytes, live);
}

static void test_split_refusals(void **state)
{
    (void)state;
    static const int64_t counts[] = {0, -1, 5, 6};
    tp_dataset d = numbered(TP_F32, 5), off, before;
    tp_tensor labels = d.labels;
    memset(&off, 0x5a, sizeof off);
    before = off;
    for (int i = 0; i < 4; i++) {
        assert_status(tp_dataset_split(&d, counts[i], (tp_split_opts){0}, &off), TP_EARG);
        assert_message("of 5 examples off: at least one must go and one stay");
        assert_memory_equal(&off, &before, sizeof off);
    }
    d.labels = (tp_tensor){0}; /* without labels */
    assert_ok(tp_dataset_split(&d, 4, (tp_split_opts){0}, &off));
    assert_null(off.labels.storage);
    assert_int_equal(tp_dataset_size(&d), 1);
    assert_close(tp_flat(&off.x, 0), 1, 0, 0);
    tp_tensor_free(&labels);
    tp_dataset_free(&d);
    tp_dataset_free(&off);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_split_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
