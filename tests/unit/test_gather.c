/* test_gather.c: gather, scatter-add and rows against naive loops, over layouts and thread counts.
 *
 * Values are small integers, so sums are exact and results are compared bit for bit.
 * Read next: tensor/gather.h.
 */
#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

#include "tensor/gather.h"
#include "tensor/kernels/kernels.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

static tp_tensor fresh(tp_dtype dtype, tp_shape shape)
{
    tp_tensor t;
    assert_ok(tp_tensor_new(&t, dtype, shape));
    return t;
}

/* Element i becomes (a i + b) mod m. */
static void fill_mod(tp_tensor *t, int64_t a, int64_t b, int64_t m)
{
    for (int64_t i = 0; i < tp_numel(t); i++)
        assert_ok(tp_set_flat(t, i, (double)((a * i + b) % m)));
}

/* A tensor of that shape in one of five layouts; *base is what to free. */
enum { LAYOUTS = 5 };

static tp_tensor laid_out(int layout, tp_dtype dtype, tp_shape s, tp_tensor *base)
{
    tp_tensor v;
    tp_shape big = s;
    for (int i = 0; i < s.ndim; i++) /* transposed: made with reversed sizes */
        big.dim[i] = s.dim[layout == 1 ? s.ndim - 1 - i : i];
    int last = s.ndim - 1;
    if (layout == 2 || layout == 3)
        big.dim[last] *= 2;
    if (layout == 4)
        big.dim[0] += 3;
    *base = fresh(dtype, big);
    v = *base;
    v.owns = false;
    if (layout == 1)
        assert_ok(tp_view_permute(base, TP_ALL_AXES, &v));
    if (layout == 2)
        assert_ok(tp_view_slice(base, last, 0, TP_SLICE_END, 2, &v));
    if (layout == 3)
        assert_ok(tp_view_slice(base, last, -1, TP_SLICE_END, -2, &v));
    if (layout == 4)
        assert_ok(tp_view_slice(base, 0, 3, TP_SLICE_END, 1, &v));
    assert_true(tp_shape_equal(v.shape, s));
    return v;
}

/* Row-major position in whole of element i of index, with its axis replaced by the index there. */
static int64_t target(const tp_tensor *whole, const tp_tensor *index, int axis, int64_t i)
{
    int64_t at[TP_MAX_DIMS], rest = i, flat = 0;
    for (int d = index->shape.ndim - 1; d >= 0; d--) {
        at[d] = rest % index->shape.dim[d];
        rest /= index->shape.dim[d];
    }
    at[axis] = (int64_t)tp_flat(index, i);
    for (int d = 0; d < whole->shape.ndim; d++)
        flat = flat * whole->shape.dim[d] + at[d];
    return flat;
}

/* Shapes of x and of index (smaller off the axis, longer along it), every axis, every layout. */
static void test_gather(void **state)
{
    (void)state;
    for (int axis = 0; axis < 3; axis++)
        for (int layout = 0; layout < LAYOUTS; layout++)
            for (int d = 0; d < TP_DTYPE_COUNT; d++) {
                tp_shape xs = TP_SHAPE(4, 5, 6), is = TP_SHAPE(3, 4, 5);
                is.dim[axis] = 9;
                tp_tensor xb, ib, yb, x, index, y;
                x = laid_out(layout, (tp_dtype)d, xs, &xb);
                index = laid_out((layout + 1) % LAYOUTS, TP_I64, is, &ib);
                y = laid_out((layout + 2) % LAYOUTS, (tp_dtype)d, is, &yb);
                fill_mod(&x, 7, 3, 101);
                fill_mod(&index, 5, 1, xs.dim[axis]);
                uint64_t version = y.storage->version;
                assert_ok(tp_gather_into(&y, &x, &index, layout % 2 ? axis : axis - 3));
                assert_true(y.storage->version > version);
                for (int64_t i = 0; i < tp_numel(&y); i++)
                    assert_true(tp_flat(&y, i) == tp_flat(&x, target(&x, &index, axis, i)));
                tp_tensor_free(&xb);
                tp_tensor_free(&ib);
                tp_tensor_free(&yb);
            }
}

static void test_scatter_add(void **state)
{
    (void)state;
    for (int axis = 0; axis < 3; axis++)
        for (int layout = 0; layout < LAYOUTS; layout++)
            for (int d = TP_F32; d <= TP_F64; d++) {
                tp_shape ys = TP_SHAPE(4, 5, 6), is = TP_SHAPE(3, 4, 5);
                is.dim[axis] = 9;
                tp_tensor sb, ib, yb, src, index, y;
                y = laid_out(layout, (tp_dtype)d, ys, &yb);
                index = laid_out((layout + 1) % LAYOUTS, TP_I64, is, &ib);
                src = laid_out((layout + 2) % LAYOUTS, (tp_dtype)d, is, &sb);
                fill_mod(&src, 7, 3, 101);
                fill_mod(&index, 5, 1, ys.dim[axis]);
                fill_mod(&y, 3, 2, 11); /* not cleared: it adds to what is there */
                double want[4 * 5 * 6];
                for (int64_t i = 0; i < 4 * 5 * 6; i++)
                    want[i] = tp_flat(&y, i);
                for (int64_t i = 0; i < tp_numel(&src); i++)
                    want[target(&y, &index, axis, i)] += tp_flat(&src, i);
                assert_ok(tp_scatter_add_into(&y, &src, &index, axis));
                assert_tensor_close(&y, want, 4 * 5 * 6, 0, 0);
                tp_tensor_free(&sb);
                tp_tensor_free(&ib);
                tp_tensor_free(&yb);
            }
}

/* <scatter(g), x> = <g, gather(x)>, the identity the gradients rest on. */
static void test_adjoint(void **state)
{
    (void)state;
    tp_tensor x = fresh(TP_F64, TP_SHAPE(6, 10)), s = fresh(TP_F64, TP_SHAPE(6, 10));
    tp_tensor g = fresh(TP_F64, TP_SHAPE(6, 4)), y = fresh(TP_F64, TP_SHAPE(6, 4));
    tp_tensor index = fresh(TP_I64, TP_SHAPE(6, 4));
    fill_mod(&x, 13, 5, 37);
    fill_mod(&g, 11, 2, 29);
    fill_mod(&index, 3, 0, 10);
    assert_ok(tp_gather_into(&y, &x, &index, 1));
    assert_ok(tp_scatter_add_into(&s, &g, &index, 1));
    double left = 0, right = 0;
    for (int64_t i = 0; i < 60; i++)
        left += tp_flat(&s, i) * tp_flat(&x, i);
    for (int64_t i = 0; i < 24; i++)
        right += tp_flat(&g, i) * tp_flat(&y, i);
    assert_true(left == right && left > 0);
    tp_tensor_free(&x);
    tp_tensor_free(&s);
    tp_tensor_free(&g);
    tp_tensor_free(&y);
    tp_tensor_free(&index);
}

/* Sums that round differently in another order: the order is that of the axis, for any threads. */
static void test_scatter_order_and_threads(void **state)
{
    (void)state;
    for (int axis = 0; axis < 2; axis++) {
        tp_shape big = axis ? TP_SHAPE(300, 500) : TP_SHAPE(500, 300);
        tp_shape small = axis ? TP_SHAPE(300, 7) : TP_SHAPE(7, 300);
        tp_tensor src = fresh(TP_F32, big), index = fresh(TP_I64, big);
        tp_tensor want = fresh(TP_F32, small), y = fresh(TP_F32, small);
        for (int64_t i = 0; i < tp_numel(&src); i++)
            assert_ok(tp_set_flat(&src, i, 1.0 / (double)(1 + i * 7919 % 1009)));
        fill_mod(&index, 5, 1, 7);
        float *w = tp_data_mut(&want);
        for (int64_t i = 0; i < tp_numel(&src); i++)
            w[target(&want, &index, axis, i)] += (float)tp_flat(&src, i);
        for (int threads = 1; threads <= 8; threads *= 2) {
            assert_ok(tp_set_threads(threads));
            assert_ok(tp_fill(&y, 0));
            assert_ok(tp_scatter_add_into(&y, &src, &index, axis));
            assert_memory_equal(tp_data(&y), w, (size_t)tp_numel(&y) * sizeof *w);
        }
        assert_ok(tp_set_threads(1));
        tp_tensor_free(&src);
        tp_tensor_free(&index);
        tp_tensor_free(&want);
        tp_tensor_free(&y);
    }
}

static void test_gather_threads(void **state)
{
    (void)state;
    tp_tensor x = fresh(TP_F32, TP_SHAPE(200, 300)), index = fresh(TP_I64, TP_SHAPE(200, 400));
    tp_tensor one = fresh(TP_F32, TP_SHAPE(200, 400)), many = fresh(TP_F32, TP_SHAPE(200, 400));
    fill_mod(&x, 7, 3, 1009);
    fill_mod(&index, 7, 1, 300);
    assert_ok(tp_gather_into(&one, &x, &index, 1));
    assert_ok(tp_set_threads(3));
    assert_ok(tp_gather_into(&many, &x, &index, 1));
    assert_ok(tp_set_threads(1));
    assert_memory_equal(tp_data(&one), tp_data(&many), 200 * 400 * sizeof(float));
    tp_tensor_free(&x);
    tp_tensor_free(&index);
    tp_tensor_free(&one);
    tp_tensor_free(&many);
}

/* --- rows --------------------------------------------------------------------------------------- */

static void test_rows(void **state)
{
    (void)state;
    const int64_t rows[5] = {6, 0, 6, 3, 1};
    const tp_dtype from[] = {TP_U8, TP_F32, TP_F64};
    for (int f = 0; f < 3; f++)
        for (int to = TP_F32; to <= TP_F64; to++)
            for (int layout = 0; layout < LAYOUTS; layout++) {
                tp_tensor xb, yb, x, y;
                x = laid_out(layout, from[f], TP_SHAPE(7, 3, 4), &xb);
                y = laid_out((layout + to) % LAYOUTS, (tp_dtype)to, TP_SHAPE(5, 3, 4), &yb);
                fill_mod(&x, 41, 7, 256);
                assert_ok(tp_gather_rows(&y, &x, rows, 5, 1 / 3.0));
                for (int64_t i = 0; i < 60; i++) {
                    double want = tp_flat(&x, rows[i / 12] * 12 + i % 12) * (1 / 3.0);
                    assert_true(tp_flat(&y, i) == (to == TP_F32 ? (double)(float)want : want));
                }
                tp_tensor_free(&xb);
                tp_tensor_free(&yb);
            }
}

/* Pixels as PyTorch's ToTensor makes them: the f32 quotient x/255. */
static void test_rows_pixels(void **state)
{
    (void)state;
    const int64_t row = 0;
    tp_tensor x = fresh(TP_U8, TP_SHAPE(1, 256)), y = fresh(TP_F32, TP_SHAPE(1, 256));
    fill_mod(&x, 1, 0, 256);
    assert_ok(tp_gather_rows(&y, &x, &row, 1, 1 / 255.0));
    const float *p = tp_data(&y);
    for (int i = 0; i < 256; i++)
        assert_true(p[i] == (float)i / 255.0f);
    tp_tensor_free(&x);
    tp_tensor_free(&y);
}

static void test_rows_threads_and_memory(void **state)
{
    (void)state;
    int64_t rows[700];
    tp_tensor x = fresh(TP_U8, TP_SHAPE(50, 28, 28));
    tp_tensor one = fresh(TP_F32, TP_SHAPE(700, 28, 28)),
              many = fresh(TP_F32, TP_SHAPE(700, 28, 28));
    fill_mod(&x, 41, 7, 256);
    for (int i = 0; i < 700; i++)
        rows[i] = i * 37 % 50;
    size_t calls = tp_mem().calls;
    assert_ok(tp_gather_rows(&one, &x, rows, 700, 0.5));
    assert_int_equal(tp_mem().calls, calls);
    for (int threads = 2; threads <= 4; threads++) {
        assert_ok(tp_set_threads(threads));
        assert_ok(tp_fill(&many, -1));
        assert_ok(tp_gather_rows(&many, &x, rows, 700, 0.5));
        assert_memory_equal(tp_data(&one), tp_data(&many), 700 * 784 * sizeof(float));
    }
    assert_ok(tp_set_threads(1));
    tp_tensor_free(&x);
    tp_tensor_free(&one);
    tp_tensor_free(&many);
}

/* The converting kernels of every ISA level: lengths around the vectors, odd addresses, bits, guards. */
static void check_scaled(tp_dtype from, tp_dtype to, int n, int offset)
{
    enum { MOST = 140 };
    double x[MOST], y[MOST];
    char *xs = (char *)x + offset * tp_dtype_size(from);
    char *ys = (char *)y + offset * tp_dtype_size(to);
    int64_t size = tp_dtype_size(to);
    double scale = 1 / 255.0;
    for (int i = 0; i < n; i++)
        if (from == TP_U8)
            ((unsigned char *)xs)[i] = (unsigned char)(i * 37 + n);
        else if (from == TP_F32)
            ((float *)xs)[i] = (float)(i * 1.3 - n);
        else
            ((double *)xs)[i] = i * 1.3 - n;
    memset(y, 0x5a, sizeof y);
    tp_kernels_get()->scaled[from][to](n, ys, xs, scale);
    for (int i = 0; i < n; i++) {
        double v = from == TP_U8    ? ((unsigned char *)xs)[i]
                   : from == TP_F32 ? (double)((float *)xs)[i]
                                    : ((double *)xs)[i];
        if (to == TP_F32)
            assert_true(((float *)ys)[i] == (float)(scale * v));
        else
            assert_true(((double *)ys)[i] == scale * v);
    }
    for (char *g = (char *)y; g < (char *)y + sizeof y; g++)
        if (g < ys || g >= ys + n * size)
            assert_int_equal(*g, 0x5a);
}

static void test_rows_levels(void **state)
{
    (void)state;
    const char *const levels[] = {"ref", "avx2", "avx512"}, *before = tp_isa();
    const tp_dtype from[] = {TP_U8, TP_F32, TP_F64};
    for (int l = 0; l < 3; l++)
        if (tp_set_isa(levels[l]) == TP_OK)
            for (int f = 0; f < 3; f++)
                for (int to = TP_F32; to <= TP_F64; to++)
                    for (int n = 0; n < 134; n++)
                        check_scaled(from[f], (tp_dtype)to, n, n % 4);
    assert_ok(tp_set_isa(before));
}

static void test_rows_one_dimension(void **state)
{
    (void)state;
    const int64_t rows[3] = {2, 2, 0};
    const double want[3] = {6, 6, 2};
    tp_tensor x = fresh(TP_F64, TP_SHAPE(3)), y = fresh(TP_F64, TP_SHAPE(3));
    fill_mod(&x, 1, 1, 10);
    assert_ok(tp_gather_rows(&y, &x, rows, 3, 2));
    assert_tensor_close(&y, want, 3, 0, 0);
    tp_tensor_free(&x);
    tp_tensor_free(&y);
}

/* --- refusals and edges ------------------------------------------------------------------------- */

static void test_refusals(void **state)
{
    (void)state;
    tp_tensor x = fresh(TP_F32, TP_SHAPE(4, 5)), y = fresh(TP_F32, TP_SHAPE(2, 3));
    tp_tensor index = fresh(TP_I64, TP_SHAPE(2, 3)), other = fresh(TP_F64, TP_SHAPE(2, 3));
    tp_tensor flat = fresh(TP_F32, TP_SHAPE(6)), tall = fresh(TP_I64, TP_SHAPE(5, 3));
    tp_tensor tall_y = fresh(TP_F32, TP_SHAPE(5, 3)), wide;
    const int64_t bad[] = {5, -1, INT64_MAX, INT64_MIN};

    assert_ok(tp_fill(&y, 7));
    for (int b = 0; b < 4; b++) {
        ((int64_t *)tp_data_mut(&index))[4] = bad[b];
        assert_status(tp_gather_into(&y, &x, &index, 1), TP_EVALUE);
        assert_message("index[1,1]");
        assert_status(tp_scatter_add_into(&x, &y, &index, 1), TP_EVALUE);
        assert_message("size 5");
    }
    for (int i = 0; i < 6; i++)
        assert_close(tp_flat(&y, i), 7, 0, 0); /* nothing was written */
    ((int64_t *)tp_data_mut(&index))[4] = 4;
    assert_ok(tp_gather_into(&y, &x, &index, 1));
    assert_status(tp_gather_into(&y, &x, &index, 0), TP_EVALUE); /* axis 0 has only 4 */
    ((int64_t *)tp_data_mut(&index))[4] = 0;

    assert_status(tp_gather_into(&y, &x, &index, 2), TP_ESHAPE);
    assert_message("axis 2");
    assert_status(tp_gather_into(&y, &x, &index, -3), TP_ESHAPE);
    assert_status(tp_gather_into(&y, &flat, &index, 0), TP_ESHAPE);
    assert_status(tp_gather_into(&flat, &x, &index, 0), TP_ESHAPE);
    assert_status(tp_gather_into(&tall_y, &x, &tall, 1), TP_ESHAPE); /* 5 > 4 off the axis */
    assert_ok(tp_gather_into(&tall_y, &x, &tall, 0));
    assert_status(tp_gather_into(&other, &x, &index, 1), TP_EDTYPE);
    assert_status(tp_gather_into(&y, &x, &y, 1), TP_EDTYPE);
    assert_status(tp_scatter_add_into(&tall, &index, &index, 1), TP_EDTYPE);

    tp_tensor one = fresh(TP_F32, TP_SHAPE(1, 1));
    assert_ok(tp_view_expand(&one, TP_SHAPE(2, 3), &wide));
    assert_status(tp_gather_into(&wide, &x, &index, 1), TP_EARG);
    assert_status(tp_scatter_add_into(&wide, &y, &index, 1), TP_EARG);
    assert_ok(tp_scatter_add_into(&x, &wide, &index, 1)); /* an expanded src is fine */
    tp_tensor *all[] = {&x, &y, &index, &other, &flat, &tall, &tall_y, &one};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        tp_tensor_free(all[i]);
}

static void test_scalar_refused(void **state)
{
    (void)state;
    tp_tensor x = fresh(TP_F32, (tp_shape){0}), y = fresh(TP_F32, (tp_shape){0});
    tp_tensor index = fresh(TP_I64, (tp_shape){0});
    assert_status(tp_gather_into(&y, &x, &index, 0), TP_ESHAPE);
    assert_status(tp_scatter_add_into(&y, &x, &index, 0), TP_ESHAPE);
    tp_tensor_free(&x);
    tp_tensor_free(&y);
    tp_tensor_free(&index);
}

static void test_empty(void **state)
{
    (void)state;
    tp_tensor x = fresh(TP_F32, TP_SHAPE(0, 5)), y = fresh(TP_F32, TP_SHAPE(0, 3));
    tp_tensor index = fresh(TP_I64, TP_SHAPE(0, 3)), some = fresh(TP_I64, TP_SHAPE(1, 5));
    tp_tensor some_y = fresh(TP_F32, TP_SHAPE(1, 5));
    assert_ok(tp_gather_into(&y, &x, &index, 1));
    assert_ok(tp_scatter_add_into(&x, &y, &index, 1));
    assert_status(tp_gather_into(&some_y, &x, &some, 0), TP_EVALUE); /* nothing to pick from */
    assert_ok(tp_gather_rows(&y, &y, NULL, 0, 1));
    tp_tensor *all[] = {&x, &y, &index, &some, &some_y};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        tp_tensor_free(all[i]);
}

static void test_rows_refusals(void **state)
{
    (void)state;
    const int64_t good[2] = {0, 3}, high[2] = {0, 4}, low[2] = {-1, 0};
    tp_tensor x = fresh(TP_U8, TP_SHAPE(4, 5)), y = fresh(TP_F32, TP_SHAPE(2, 5));
    tp_tensor whole = fresh(TP_I64, TP_SHAPE(4, 5)), narrow = fresh(TP_F32, TP_SHAPE(2, 4));
    tp_tensor flat = fresh(TP_F32, TP_SHAPE(2)), bytes = fresh(TP_U8, TP_SHAPE(2, 5));
    tp_tensor scalar = fresh(TP_F32, (tp_shape){0}), wide;
    assert_ok(tp_gather_rows(&y, &x, good, 2, 1));
    assert_status(tp_gather_rows(&y, &x, high, 2, 1), TP_EVALUE);
    assert_message("rows[1] = 4");
    assert_status(tp_gather_rows(&y, &x, low, 2, 1), TP_EVALUE);
    assert_message("rows[0] = -1");
    assert_status(tp_gather_rows(&y, &x, good, 1, 1), TP_ESHAPE);
    assert_status(tp_gather_rows(&narrow, &x, good, 2, 1), TP_ESHAPE);
    assert_status(tp_gather_rows(&flat, &x, good, 2, 1), TP_ESHAPE);
    assert_status(tp_gather_rows(&scalar, &scalar, good, 1, 1), TP_ESHAPE);
    assert_status(tp_gather_rows(&y, &whole, good, 2, 1), TP_EDTYPE);
    assert_status(tp_gather_rows(&bytes, &x, good, 2, 1), TP_EDTYPE);
    assert_ok(tp_view_expand(&scalar, TP_SHAPE(2, 5), &wide));
    assert_status(tp_gather_rows(&wide, &x, good, 2, 1), TP_EARG);
    tp_tensor *all[] = {&x, &y, &whole, &narrow, &flat, &bytes, &scalar};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        tp_tensor_free(all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gather),         cmocka_unit_test(test_scatter_add),
        cmocka_unit_test(test_adjoint),        cmocka_unit_test(test_scatter_order_and_threads),
        cmocka_unit_test(test_gather_threads), cmocka_unit_test(test_rows),
        cmocka_unit_test(test_rows_pixels),    cmocka_unit_test(test_rows_threads_and_memory),
        cmocka_unit_test(test_rows_levels),    cmocka_unit_test(test_rows_one_dimension),
        cmocka_unit_test(test_refusals),       cmocka_unit_test(test_scalar_refused),
        cmocka_unit_test(test_empty),          cmocka_unit_test(test_rows_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
