/* test_cumsum.c: the driver of running sums: every axis of every layout against a loop, bit for bit; in place;
 * what it accumulates in; refusals. The operation and its gradient: tests/ops, test_op_extremes.c. */
#include "tests/support/check.h"
#include "tests/support/views.h"

#include <math.h>

#include "tensor/cumsum.h"
#include "tensor/parallel.h"

static const tp_shape shapes[] = {
    TP_DIMS(1),     TP_DIMS(7),      TP_DIMS(0),          TP_DIMS(3, 0, 2),
    TP_DIMS(33, 5), TP_DIMS(3, 300), TP_DIMS(300, 1, 19), TP_DIMS(2, 1, 2, 3, 1, 2, 2, 9),
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* In the order of the axis, in double, rounded at each element. */
static void check_against_loop(const tp_tensor *y, const tp_tensor *x, int axis)
{
    int64_t inner = 1, n = x->shape.dim[axis], outer = 1;
    for (int i = 0; i < x->shape.ndim; i++)
        *(i < axis ? &outer : &inner) *= i == axis ? 1 : x->shape.dim[i];
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            double sum = 0;
            for (int64_t j = 0; j < n; j++) {
                int64_t at = (o * n + j) * inner + i;
                sum += tp_flat(x, at);
                assert_close(tp_flat(y, at), x->dtype == TP_F32 ? (float)sum : sum, 0, 0);
            }
        }
}

static void check_layouts(tp_dtype d, tp_shape shape, layout lx, layout ly, int axis)
{
    tp_tensor mx, my, x, y;
    make_view(&mx, &x, d, shape, lx, random_value);
    make_view(&my, &y, d, shape, ly, small_integer);
    uint64_t version = y.storage->version;
    assert_ok(tp_cumsum_into(&y, &x, axis));
    assert_true((y.storage->version > version) == (tp_numel(&y) > 0));
    check_against_loop(&y, &x, axis);
    if (!tp_may_overlap(&x)) { /* in place */
        assert_ok(tp_cumsum_into(&x, &x, axis - shape.ndim));
        for (int64_t i = 0; i < tp_numel(&y); i++)
            assert_close(tp_flat(&x, i), tp_flat(&y, i), 0, 0);
    }
    tp_tensor_free(&mx);
    tp_tensor_free(&my);
}

static void every_axis_of_every_layout(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++)
        for (int lx = 0; lx < LAYOUT_COUNT; lx++)
            for (int axis = 0; axis < shapes[s].ndim; axis++) {
                layout ly = (layout)((lx + axis) % LAYOUT_COUNT);
                if (ly == LAYOUT_EXPANDED || ly == LAYOUT_REPEATED)
                    ly = LAYOUT_STEPPED;
                check_layouts(TP_F64, shapes[s], (layout)lx, ly, axis);
                check_layouts(TP_F32, shapes[s], (layout)lx, ly, axis);
            }
}

/* Large enough for several chunks, of a few lines or of thousands; each number of threads against the loop. */
static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    const int threads[] = {1, 2, 3, 8};
    const tp_shape large[] = {TP_DIMS(400, 301), TP_DIMS(400, 301), TP_DIMS(3, 30001),
                              TP_DIMS(30001, 3)};
    for (int k = 0; k < 4; k++) {
        int axis = k % 2;
        tp_tensor memory, x, y;
        make_view(&memory, &x, TP_F32, large[k], LAYOUT_OFFSET, random_value);
        assert_ok(tp_tensor_new(&y, TP_F32, x.shape));
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
            assert_ok(tp_set_threads(threads[t]));
            assert_ok(tp_fill(&y, NAN));
            assert_ok(tp_cumsum_into(&y, &x, axis));
            check_against_loop(&y, &x, axis);
        }
        tp_tensor_free(&memory);
        tp_tensor_free(&y);
    }
    assert_ok(tp_set_threads(1));
}

/* 2^24 + 1 + 1 + …: a sum in f32 would not move. */
static void accumulates_in_double(void **state)
{
    (void)state;
    tp_tensor x;
    assert_ok(tp_tensor_new(&x, TP_F32, TP_SHAPE(5)));
    assert_ok(tp_fill(&x, 1));
    assert_ok(tp_set_flat(&x, 0, 0x1p24));
    assert_ok(tp_cumsum_into(&x, &x, 0));
    assert_tensor_close(&x, ((double[]){0x1p24, 0x1p24, 0x1p24 + 2, 0x1p24 + 4, 0x1p24 + 4}), 5, 0,
                        0); /* halves to even */
    tp_tensor_free(&x);
}

static void infinities_and_nan_stay(void **state)
{
    (void)state;
    tp_tensor x;
    double in[] = {1, INFINITY, 2, -INFINITY, 3}, out[] = {1, INFINITY, INFINITY, NAN, NAN};
    assert_ok(tp_tensor_from(&x, TP_F64, TP_SHAPE(5), in));
    assert_ok(tp_cumsum_into(&x, &x, -1));
    assert_tensor_close(&x, out, 5, 0, 0);
    tp_tensor_free(&x);
}

static void refuses(void **state)
{
    (void)state;
    tp_tensor f32, f64, i64, wide, scalar, repeated;
    assert_ok(tp_tensor_new(&f32, TP_F32, TP_SHAPE(2, 3)));
    assert_ok(tp_tensor_new(&f64, TP_F64, TP_SHAPE(2, 3)));
    assert_ok(tp_tensor_new(&i64, TP_I64, TP_SHAPE(2, 3)));
    assert_ok(tp_tensor_new(&wide, TP_F32, TP_SHAPE(2, 4)));
    assert_ok(tp_tensor_new(&scalar, TP_F32, TP_SHAPE()));
    assert_status(tp_cumsum_into(&f32, &f64, 0), TP_EDTYPE);
    assert_status(tp_cumsum_into(&i64, &i64, 0), TP_EDTYPE);
    assert_message("i64[2,3]");
    assert_status(tp_cumsum_into(&f32, &wide, 0), TP_ESHAPE);
    assert_status(tp_cumsum_into(&f32, &f32, 2), TP_ESHAPE);
    assert_status(tp_cumsum_into(&scalar, &scalar, 0), TP_ESHAPE);
    assert_ok(tp_view_select(&f32, 0, 0, &repeated));
    assert_ok(tp_view_expand(&repeated, TP_SHAPE(2, 3), &repeated));
    assert_status(tp_cumsum_into(&repeated, &f32, 0), TP_EARG);
    tp_tensor_free(&f32);
    tp_tensor_free(&f64);
    tp_tensor_free(&i64);
    tp_tensor_free(&wide);
    tp_tensor_free(&scalar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_axis_of_every_layout),
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(accumulates_in_double),
        cmocka_unit_test(infinities_and_nan_stay),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
