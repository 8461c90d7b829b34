/* test_map_reduce.c: the drivers of elementwise kernels and reductions, at every ISA level.
 *
 * Every layout, in place, refusals, and equal bits for every number of threads. Reductions are
 * compared with a naive one in long double. Values of single kernels: test_map_kernels.c.
 */
#include "tests/support/check.h"
#include "tests/support/views.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "tensor/kernels/kernels.h"
#include "tensor/map.h"
#include "tensor/parallel.h"
#include "tensor/reduce.h"

static const int thread_counts[] = {1, 2, 3, 4, 8};

static const tp_shape shapes[] = {
    TP_DIMS(),
    TP_DIMS(1),
    TP_DIMS(7),
    TP_DIMS(0),
    TP_DIMS(3, 0, 2),
    TP_DIMS(5, 1, 3),
    TP_DIMS(33, 20),
    TP_DIMS(3, 300),
    TP_DIMS(300, 3),
    TP_DIMS(4, 3, 5, 2),
    TP_DIMS(2, 1, 2, 3, 1, 2, 2, 17),
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* --- map ---------------------------------------------------------------------------------------- */

/* y = a - b: order and place of every element show. */
static void check_sub(tp_dtype d, tp_shape shape, layout la, layout lb, layout ly)
{
    tp_tensor ma, mb, my, a, b, y;
    make_view(&ma, &a, d, shape, la, random_value);
    make_view(&mb, &b, d, shape, lb, small_integer);
    make_view(&my, &y, d, shape, ly, small_integer);
    uint64_t version = y.storage->version;
    assert_ok(tp_map2(&y, &a, &b, TP_K_sub));
    assert_true(tp_numel(&y) == 0 || y.storage->version > version);
    for (int64_t i = 0; i < tp_numel(&y); i++) {
        double want = tp_flat(&a, i) - tp_flat(&b, i);
        assert_close(tp_flat(&y, i), d == TP_F32 ? (float)want : want, 0, 0);
    }
    /* in place, where a may be written */
    if (!tp_may_overlap(&a)) {
        assert_ok(tp_map2(&a, &a, &b, TP_K_sub));
        for (int64_t i = 0; i < tp_numel(&y); i++)
            assert_close(tp_flat(&a, i), tp_flat(&y, i), 0, 0);
    }
    tp_tensor_free(&ma);
    tp_tensor_free(&mb);
    tp_tensor_free(&my);
}

static void map_visits_every_layout(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++)
        for (int la = 0; la < LAYOUT_COUNT; la++)
            for (int lb = 0; lb < LAYOUT_COUNT; lb++) {
                layout ly = (layout)((la + lb) % LAYOUT_COUNT);
                if (ly == LAYOUT_EXPANDED || ly == LAYOUT_REPEATED)
                    ly = LAYOUT_OFFSET;
                check_sub(TP_F64, shapes[s], (layout)la, (layout)lb, ly);
                check_sub(TP_F32, shapes[s], (layout)la, (layout)lb, ly);
            }
}

/* Elements between those of a view keep their values. */
static void map_writes_nothing_else(void **state)
{
    (void)state;
    tp_tensor memory, y, x;
    make_view(&memory, &y, TP_F32, TP_SHAPE(40, 300), LAYOUT_STEPPED, random_value);
    assert_ok(tp_tensor_new(&x, TP_F32, TP_SHAPE(1, 1)));
    assert_ok(tp_map1(&y, &x, TP_K_copy));
    for (int64_t i = 0; i < tp_numel(&memory); i++) {
        bool written = i / 600 % 2 == 0 && i % 2 == 0;
        assert_close(tp_flat(&memory, i), written ? 0 : (float)random_value(i), 0, 0);
    }
    tp_tensor_free(&memory);
    tp_tensor_free(&x);
}

static void map_broadcasts(void **state)
{
    (void)state;
    tp_tensor row, column, scalar, y;
    assert_ok(tp_tensor_from(&row, TP_F64, TP_SHAPE(3), (double[]){1, 2, 3}));
    assert_ok(tp_tensor_from(&column, TP_F64, TP_SHAPE(2, 1), (double[]){0, 1}));
    assert_ok(tp_tensor_from(&scalar, TP_F64, TP_SHAPE(), (double[]){-1}));
    assert_ok(tp_tensor_new(&y, TP_F64, TP_SHAPE(2, 3)));
    assert_ok(tp_map3(&y, &column, &row, &scalar, TP_K_where));
    assert_tensor_close(&y, ((double[]){-1, -1, -1, 1, 2, 3}), 6, 0, 0);
    const tp_tensor *x[1] = {&row};
    assert_ok(tp_map(TP_K_affine, &y, x, (double[]){2, 0.5}));
    assert_tensor_close(&y, ((double[]){2.5, 4.5, 6.5, 2.5, 4.5, 6.5}), 6, 0, 0);
    assert_ok(tp_map(TP_K_clamp, &y, x, (double[]){1.5, 2.5}));
    assert_tensor_close(&y, ((double[]){1.5, 2, 2.5, 1.5, 2, 2.5}), 6, 0, 0);
    tp_tensor_free(&row);
    tp_tensor_free(&column);
    tp_tensor_free(&scalar);
    tp_tensor_free(&y);
}

static void map_refuses(void **state)
{
    (void)state;
    tp_tensor f32, f64, i64, wide, repeated;
    assert_ok(tp_tensor_new(&f32, TP_F32, TP_SHAPE(2, 3)));
    assert_ok(tp_tensor_new(&f64, TP_F64, TP_SHAPE(2, 3)));
    assert_ok(tp_tensor_new(&i64, TP_I64, TP_SHAPE(2, 3)));
    assert_ok(tp_tensor_new(&wide, TP_F32, TP_SHAPE(2, 4)));
    assert_status(tp_map2(&f32, &f32, &f64, TP_K_add), TP_EDTYPE);
    assert_message("add");
    assert_status(tp_map1(&i64, &i64, TP_K_neg), TP_EDTYPE);
    assert_status(tp_map2(&f32, &f32, &wide, TP_K_add), TP_ESHAPE);
    assert_ok(tp_view_select(&f32, 0, 0, &repeated));
    assert_ok(tp_view_expand(&repeated, TP_SHAPE(2, 3), &repeated));
    assert_status(tp_map1(&repeated, &f32, TP_K_neg), TP_EARG);
    assert_status(tp_map1(&f32, &f32, TP_MAP_KERNEL_COUNT), TP_EARG);
    tp_tensor_free(&f32);
    tp_tensor_free(&f64);
    tp_tensor_free(&i64);
    tp_tensor_free(&wide);
}

static void map_bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    for (int l = 0; l < LAYOUT_COUNT; l++) {
        tp_tensor memory, x, y[2];
        tp_shape shape = TP_SHAPE(301, 333);
        make_view(&memory, &x, TP_F32, shape, (layout)l, random_value);
        for (size_t t = 0; t < sizeof thread_counts / sizeof *thread_counts; t++) {
            assert_ok(tp_set_threads(thread_counts[t]));
            assert_ok(tp_tensor_new(&y[t > 0], TP_F32, shape));
            assert_ok(tp_map2(&y[t > 0], &x, &x, TP_K_bce));
            if (t > 0) {
                assert_memory_equal(tp_data(&y[0]), tp_data(&y[1]), (size_t)tp_numel(&x) * 4);
                tp_tensor_free(&y[1]);
            }
        }
        tp_tensor_free(&y[0]);
        tp_tensor_free(&memory);
    }
    assert_ok(tp_set_threads(1));
}

/* --- reduce ------------------------------------------------------------------------------------- */

/* The naive reduction: want[o] in row-major order of the kept axes, and the sum of magnitudes. */
static void naive(tp_reduction how, const tp_tensor *x, const bool *mask, long double *want,
                  long double *scale, int64_t outputs)
{
    for (int64_t o = 0; o < outputs; o++) {
        want[o] = how == TP_SUM ? 0 : how == TP_MAX ? -INFINITY : INFINITY;
        scale[o] = 0;
    }
    for (int64_t i = 0; i < tp_numel(x); i++) {
        int64_t rest = i, o = 0, step = 1;
        for (int axis = x->shape.ndim - 1; axis >= 0; axis--) {
            int64_t index = rest % x->shape.dim[axis];
            rest /= x->shape.dim[axis];
            if (mask[axis])
                continue;
            o += index * step;
            step *= x->shape.dim[axis];
        }
        long double v = tp_flat(x, i);
        bool better = how == TP_MAX ? v > want[o] : v < want[o];
        scale[o] += fabsl(v);
        if (how == TP_SUM)
            want[o] += v;
        else if (!isnan(want[o]) && (isnan(v) || better))
            want[o] = v;
    }
}

static void check_reduce(tp_reduction how, const tp_tensor *x, const bool *mask, bool keepdim,
                         layout ly)
{
    enum { MOST = 20000 };
    static long double want[MOST], scale[MOST];
    tp_tensor memory, y;
    tp_shape shape = tp_shape_reduced(x->shape, mask, keepdim);
    make_view(&memory, &y, x->dtype, shape, ly, random_value);
    int64_t outputs = tp_numel(&y);
    assert_true(outputs <= MOST);
    naive(how, x, mask, want, scale, outputs);
    assert_ok(tp_reduce(how, &y, x, mask));
    double eps = x->dtype == TP_F32 ? FLT_EPSILON / 2 : DBL_EPSILON;
    for (int64_t o = 0; o < outputs; o++) {
        double bound =
            how == TP_SUM ? eps * fabs((double)want[o]) + 40 * DBL_EPSILON * (double)scale[o] : 0;
        assert_close(tp_flat(&y, o), (double)want[o], bound, 0);
    }
    tp_tensor_free(&memory);
}

static void reduce_every_mask(const tp_tensor *x)
{
    for (int bits = 0; bits < 1 << x->shape.ndim; bits++) {
        bool mask[TP_MAX_DIMS] = {false};
        for (int i = 0; i < x->shape.ndim; i++)
            mask[i] = bits >> i & 1;
        layout ly = bits % 3 == 0   ? LAYOUT_CONTIGUOUS
                    : bits % 3 == 1 ? LAYOUT_TRANSPOSED
                                    : LAYOUT_REVERSED;
        for (int how = TP_SUM; how <= TP_MIN; how++)
            check_reduce((tp_reduction)how, x, mask, bits % 2 == 0, ly);
    }
}

static void reduce_agrees_with_naive(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++)
        for (int l = 0; l < LAYOUT_COUNT; l++) {
            tp_tensor memory, x;
            make_view(&memory, &x, (s + l) % 2 ? TP_F32 : TP_F64, shapes[s], (layout)l,
                      random_value);
            reduce_every_mask(&x);
            tp_tensor_free(&memory);
        }
}

/* Long enough to be cut into pieces: to one output, to few, and with either axis dense. */
static void long_reductions(void **state)
{
    (void)state;
    const tp_shape longs[] = {TP_DIMS(100003), TP_DIMS(2, 70001), TP_DIMS(9001, 17),
                              TP_DIMS(517, 300)};
    for (size_t s = 0; s < sizeof longs / sizeof *longs; s++)
        for (int l = 0; l < LAYOUT_COUNT; l++) {
            tp_tensor memory, x;
            make_view(&memory, &x, l % 2 ? TP_F32 : TP_F64, longs[s], (layout)l, random_value);
            for (int axis = -1; axis < x.shape.ndim; axis++) {
                bool mask[TP_MAX_DIMS] = {axis <= 0, axis != 0};
                for (int how = TP_SUM; how <= TP_MIN; how++)
                    if (tp_numel(&x) / x.shape.dim[axis < 0 ? 0 : axis] <= 20000)
                        check_reduce((tp_reduction)how, &x, mask, false, LAYOUT_CONTIGUOUS);
            }
            tp_tensor_free(&memory);
        }
}

static void integer_sums_are_exact(void **state)
{
    (void)state;
    tp_tensor memory, x, y;
    make_view(&memory, &x, TP_F32, TP_SHAPE(777, 131), LAYOUT_CONTIGUOUS, small_integer);
    assert_ok(tp_tensor_new(&y, TP_F32, TP_SHAPE()));
    double want = 0;
    for (int64_t i = 0; i < tp_numel(&x); i++)
        want += tp_flat(&x, i);
    bool mask[TP_MAX_DIMS] = {true, true};
    assert_ok(tp_reduce(TP_SUM, &y, &x, mask));
    assert_close(tp_item(&y), want, 0, 0);
    tp_tensor_free(&memory);
    tp_tensor_free(&y);
}

/* One NaN anywhere reaches exactly the output it belongs to. */
static void nan_reaches_its_output(void **state)
{
    (void)state;
    for (int l = 0; l < LAYOUT_EXPANDED; l++)
        for (int axis = 0; axis < 2; axis++)
            for (int64_t at = 0; at < 21 * 35; at += 13) {
                tp_tensor memory, x, y;
                make_view(&memory, &x, TP_F32, TP_SHAPE(21, 35), (layout)l, random_value);
                assert_ok(tp_set_flat(&x, at, NAN));
                bool mask[TP_MAX_DIMS] = {axis == 0, axis == 1};
                assert_ok(tp_tensor_new(&y, TP_F32, tp_shape_reduced(x.shape, mask, false)));
                for (int how = TP_SUM; how <= TP_MIN; how++) {
                    assert_ok(tp_reduce((tp_reduction)how, &y, &x, mask));
                    for (int64_t o = 0; o < tp_numel(&y); o++)
                        assert_true(isnan(tp_flat(&y, o)) ==
                                    (o == (axis == 0 ? at % 35 : at / 35)));
                }
                tp_tensor_free(&memory);
                tp_tensor_free(&y);
            }
}

static void reduce_bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    const tp_shape sizes[] = {TP_DIMS(300, 701), TP_DIMS(3, 50000), TP_DIMS(50000, 3)};
    for (int l = 0; l < LAYOUT_COUNT; l += 2)
        for (int c = 0; c < 9; c++) {
            tp_tensor memory, x, y[2];
            make_view(&memory, &x, c % 2 ? TP_F32 : TP_F64, sizes[c / 3], (layout)l, random_value);
            bool mask[TP_MAX_DIMS] = {c % 3 != 0, c % 3 != 1};
            tp_shape shape = tp_shape_reduced(x.shape, mask, true);
            for (size_t t = 0; t < sizeof thread_counts / sizeof *thread_counts; t++) {
                assert_ok(tp_set_threads(thread_counts[t]));
                assert_ok(tp_tensor_new(&y[t > 0], x.dtype, shape));
                assert_ok(tp_reduce(TP_SUM, &y[t > 0], &x, mask));
                if (t > 0) {
                    assert_memory_equal(tp_data(&y[0]), tp_data(&y[1]),
                                        (size_t)(tp_numel(&y[0]) * tp_dtype_size(x.dtype)));
                    tp_tensor_free(&y[1]);
                }
            }
            tp_tensor_free(&y[0]);
            tp_tensor_free(&memory);
        }
    assert_ok(tp_set_threads(1));
}

static void reduce_refuses(void **state)
{
    (void)state;
    tp_tensor x, y, z, repeated;
    bool mask[TP_MAX_DIMS] = {true, false};
    assert_ok(tp_tensor_new(&x, TP_F32, TP_SHAPE(4, 3)));
    assert_ok(tp_tensor_new(&y, TP_F32, TP_SHAPE(3)));
    assert_ok(tp_tensor_new(&z, TP_F64, TP_SHAPE(3)));
    assert_status(tp_reduce(TP_SUM, &z, &x, mask), TP_EDTYPE);
    assert_status(tp_reduce(TP_SUM, &y, &x, (bool[TP_MAX_DIMS]){false, true}), TP_ESHAPE);
    assert_status(tp_reduce((tp_reduction)7, &y, &x, mask), TP_EARG);
    assert_ok(tp_view_select(&y, 0, 0, &repeated));
    assert_ok(tp_view_expand(&repeated, TP_SHAPE(3), &repeated));
    assert_status(tp_reduce(TP_SUM, &repeated, &x, mask), TP_EARG);
    tp_tensor_free(&x);
    tp_tensor_free(&y);
    tp_tensor_free(&z);
}

/* --- positions of extrema ----------------------------------------------------------------------- */

static void arg_reduce_agrees_with_naive(void **state)
{
    (void)state;
    for (int l = 0; l < LAYOUT_COUNT; l++)
        for (int axis = -3; axis < 3; axis++)
            for (int how = TP_MAX; how <= TP_MIN; how++) {
                tp_tensor memory, x, row, y;
                make_view(&memory, &x, l % 2 ? TP_F32 : TP_F64, TP_SHAPE(4, 30, 5), (layout)l,
                          small_integer); /* with equals */
                bool mask[TP_MAX_DIMS] = {false};
                mask[(axis + 3) % 3] = true;
                assert_ok(tp_tensor_new(&y, TP_I64, tp_shape_reduced(x.shape, mask, axis < 0)));
                assert_ok(tp_arg_reduce((tp_reduction)how, &y, &x, axis));
                int perm[3] = {(axis + 3) % 3 == 0, (axis + 3) % 3 == 2 ? 1 : 2, (axis + 3) % 3};
                assert_ok(tp_view_permute(&x, TP_AXES(perm[0], perm[1], perm[2]), &row));
                int64_t n = row.shape.dim[2];
                for (int64_t o = 0; o < tp_numel(&y); o++) {
                    int64_t best = 0;
                    for (int64_t j = 1; j < n; j++) {
                        double v = tp_flat(&row, o * n + j), b = tp_flat(&row, o * n + best);
                        if (how == TP_MAX ? v > b : v < b)
                            best = j;
                    }
                    assert_int_equal((int64_t)tp_flat(&y, o), best);
                }
                tp_tensor_free(&memory);
                tp_tensor_free(&y);
            }
}

static void arg_reduce_special_cases(void **state)
{
    (void)state;
    tp_tensor x, y, scalar, empty;
    assert_ok(tp_tensor_from(&x, TP_F32, TP_SHAPE(5), (float[]){1, 9, NAN, 2, NAN}));
    assert_ok(tp_tensor_new(&y, TP_I64, TP_SHAPE()));
    assert_ok(tp_arg_reduce(TP_MAX, &y, &x, 0));
    assert_close(tp_item(&y), 2, 0, 0);
    assert_ok(tp_arg_reduce(TP_MIN, &y, &x, -1));
    assert_close(tp_item(&y), 2, 0, 0);
    assert_status(tp_arg_reduce(TP_SUM, &y, &x, 0), TP_EARG);
    assert_status(tp_arg_reduce(TP_MAX, &y, &x, 1), TP_ESHAPE);
    assert_status(tp_arg_reduce(TP_MAX, &x, &x, 0), TP_EDTYPE);
    assert_ok(tp_tensor_new(&scalar, TP_F32, TP_SHAPE()));
    assert_status(tp_arg_reduce(TP_MAX, &y, &scalar, 0), TP_ESHAPE);
    assert_ok(tp_tensor_new(&empty, TP_F32, TP_SHAPE(0)));
    assert_status(tp_arg_reduce(TP_MAX, &y, &empty, 0), TP_ESHAPE);
    tp_tensor_free(&x);
    tp_tensor_free(&y);
    tp_tensor_free(&scalar);
    tp_tensor_free(&empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_visits_every_layout),
        cmocka_unit_test(map_writes_nothing_else),
        cmocka_unit_test(map_broadcasts),
        cmocka_unit_test(map_refuses),
        cmocka_unit_test(map_bits_do_not_depend_on_threads),
        cmocka_unit_test(reduce_agrees_with_naive),
        cmocka_unit_test(long_reductions),
        cmocka_unit_test(integer_sums_are_exact),
        cmocka_unit_test(nan_reaches_its_output),
        cmocka_unit_test(reduce_bits_do_not_depend_on_threads),
        cmocka_unit_test(reduce_refuses),
        cmocka_unit_test(arg_reduce_agrees_with_naive),
        cmocka_unit_test(arg_reduce_special_cases),
    };
    const char *const levels[] = {"ref", "avx2", "avx512"};
    int failed = 0;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (tp_set_isa(levels[i]) == TP_OK)
            failed += cmocka_run_group_tests_name(levels[i], tests, NULL, NULL);
    return failed != 0;
}
