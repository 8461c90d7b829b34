/* test_scan.c: questions about all elements, at every ISA level: each place that could be the wrong one.
 *
 * Read next: tensor/scan.h.
 */
#include "tests/support/check.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "tensor/kernels/kernels.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"
#include "tensor/scan.h"

static tp_tensor fresh(tp_dtype dtype, tp_shape shape)
{
    tp_tensor t;
    assert_ok(tp_tensor_new(&t, dtype, shape));
    return t;
}

/* n good elements between bad ones; then every one of them bad in turn. */
static void check_lengths(tp_dtype d, double bad)
{
    enum { MOST = 2 * 64 / 4 + 2 };
    tp_tensor t = fresh(d, TP_SHAPE(MOST + 8));
    int64_t size = tp_dtype_size(d);
    for (int n = 0; n < MOST; n++) {
        int start = 1 + n % 3;
        const char *x = (const char *)tp_data(&t) + start * size;
        tp_within_fn within = tp_kernels_get()->within[d];
        assert_ok(tp_fill(&t, bad));
        for (int i = 0; i < n; i++)
            assert_ok(tp_set_flat(&t, start + i, i % 2 ? 0.25 : -0.5));
        assert_true(within(n, x, -0.5, 0.25)); /* the bounds belong to it */
        for (int i = 0; i < n; i++) {
            double good = tp_flat(&t, start + i);
            assert_ok(tp_set_flat(&t, start + i, bad));
            assert_false(within(n, x, -0.5, 0.25));
            assert_ok(tp_set_flat(&t, start + i, good));
        }
    }
    tp_tensor_free(&t);
}

static void test_lengths(void **state)
{
    (void)state;
    const double bad[] = {NAN, INFINITY, -INFINITY, 0.25 + 0x1p-25, -0.5 - 0x1p-24};
    for (int d = TP_F32; d <= TP_F64; d++)
        for (int b = 0; b < 5; b++)
            check_lengths((tp_dtype)d, bad[b]);
}

/* Bounds that f32 does not have: 0.1 lies between two floats. */
static void test_bounds(void **state)
{
    (void)state;
    tp_tensor t = fresh(TP_F32, TP_SHAPE(1));
    float above = 0.1f, below = nextafterf(0.1f, 0); /* 0.1f > 0.1 > below */
    assert_true((double)above > 0.1 && (double)below < 0.1);
    assert_ok(tp_fill(&t, (double)above));
    assert_true(tp_all_within(&t, 0.1, 1));
    assert_false(tp_all_within(&t, 0, 0.1));
    assert_ok(tp_fill(&t, (double)below));
    assert_false(tp_all_within(&t, 0.1, 1));
    assert_true(tp_all_within(&t, 0, 0.1));
    assert_false(tp_all_within(&t, 1, 0)); /* nothing is in an empty range */
    tp_tensor_free(&t);
}

static void test_finite(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_F64; d++) {
        tp_tensor t = fresh((tp_dtype)d, TP_SHAPE(5));
        double largest = d == TP_F32 ? FLT_MAX : DBL_MAX;
        double tiny = d == TP_F32 ? 0x1p-149 : 0x1p-1074;
        const double fine[] = {largest, -largest, tiny, -0.0, 1};
        const double bad[] = {NAN, INFINITY, -INFINITY};
        for (int i = 0; i < 5; i++)
            assert_ok(tp_set_flat(&t, i, fine[i]));
        assert_true(tp_all_finite(&t));
        for (int b = 0; b < 3; b++)
            for (int i = 0; i < 5; i++) {
                assert_ok(tp_set_flat(&t, i, bad[b]));
                assert_false(tp_all_finite(&t));
                assert_ok(tp_set_flat(&t, i, fine[i]));
            }
        tp_tensor_free(&t);
    }
}

/* A view sees its own elements and no others; the first bad one counts row-major. */
static void test_layouts(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_F64; d++) {
        tp_tensor base = fresh((tp_dtype)d, TP_SHAPE(300, 6)), view[3];
        assert_ok(tp_view_slice(&base, 1, 1, TP_SLICE_END, 2, &view[0])); /* [300,3], stepped */
        assert_ok(tp_view_permute(&view[0], TP_ALL_AXES, &view[1]));
        assert_ok(tp_view_slice(&view[1], 1, -1, TP_SLICE_END, -1, &view[2])); /* reversed */
        assert_ok(tp_fill(&base, NAN));
        for (int v = 0; v < 3; v++) {
            assert_ok(tp_fill(&view[v], 0.5));
            assert_int_equal(tp_first_outside(&view[v], 0, 1), -1);
            const int64_t at[] = {0, 1, 449, 898, 899};
            for (int i = 4; i >= 0; i--) {
                assert_ok(tp_set_flat(&view[v], at[i], i % 2 ? 2 : NAN));
                assert_int_equal(tp_first_outside(&view[v], 0, 1), at[i]);
            }
        }
        tp_tensor one, wide, none = fresh((tp_dtype)d, TP_SHAPE(0, 3));
        assert_ok(tp_view_slice(&base, 0, 0, 1, 1, &one));
        assert_ok(tp_view_slice(&one, 1, 0, 1, 1, &one));
        assert_ok(tp_view_expand(&one, TP_SHAPE(300, 7), &wide));
        assert_int_equal(tp_first_outside(&wide, 0, 1), 0);
        assert_ok(tp_set_flat(&base, 0, 1));
        assert_int_equal(tp_first_outside(&wide, 0, 1), -1);
        assert_true(tp_all_finite(&none));
        tp_tensor_free(&base);
        tp_tensor_free(&none);
    }
}

/* Wherever in several chunks the only bad element is, every number of threads finds it; no memory. */
static void test_threads(void **state)
{
    (void)state;
    enum { N = 200001 };
    tp_tensor t = fresh(TP_F32, TP_SHAPE(N));
    size_t calls = tp_mem().calls;
    for (int threads = 1; threads <= 3; threads++) {
        assert_ok(tp_set_threads(threads));
        assert_true(tp_all_finite(&t));
        for (int64_t i = 0; i < N; i += i % 32768 == 32767 ? 1 : 32767) {
            assert_ok(tp_set_flat(&t, i, NAN));
            assert_false(tp_all_finite(&t));
            assert_ok(tp_set_flat(&t, i, 0));
        }
    }
    assert_int_equal(tp_mem().calls, calls);
    assert_ok(tp_set_threads(1));
    tp_tensor_free(&t);
}

int main(void)
{
    const char *const levels[] = {"ref", "avx2", "avx512"};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_finite),  cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_threads),
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (tp_set_isa(levels[i]) == TP_OK)
            failed += cmocka_run_group_tests_name(levels[i], tests, NULL, NULL);
    return failed != 0;
}
