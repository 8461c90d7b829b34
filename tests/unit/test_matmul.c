/* test_matmul.c: matrix products against a naive triple loop, at every ISA level.
 *
 * All layouts of the three matrices, sizes around the tile and block borders, empty ones, batches with
 * broadcasting, bias, accumulation; exact on small integers; equal bits for every number of threads.
 */
#include "tests/support/check.h"
#include "tests/support/views.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/kernels/kernels.h"
#include "tensor/matmul.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

static double nan_value(int64_t i)
{
    (void)i;
    return NAN;
}

/* An element of a matrix (the last two axes) at a row-major batch index of y's leading axes. */
static double element(const tp_tensor *t, const tp_tensor *y, int64_t batch, int64_t row,
                      int64_t column)
{
    int n = t->shape.ndim, lead = y->shape.ndim - n;
    int64_t index[TP_MAX_DIMS] = {0};
    for (int i = y->shape.ndim - 3; i >= 0; i--) {
        if (i >= lead)
            index[i - lead] = t->shape.dim[i - lead] == 1 ? 0 : batch % y->shape.dim[i];
        batch /= y->shape.dim[i];
    }
    index[n - 2] = row;
    index[n - 1] = column;
    return tp_at(t, index);
}

/* Compares y with a b (+ bias or what was there before, then relu), exactly. */
static void check_product(const tp_tensor *y, const tp_tensor *a, const tp_tensor *b,
                          tp_matmul_opts opts, const tp_tensor *before)
{
    int64_t m = y->shape.dim[y->shape.ndim - 2], n = y->shape.dim[y->shape.ndim - 1];
    int64_t depth = a->shape.dim[a->shape.ndim - 1],
            batches = m * n > 0 ? tp_numel(y) / (m * n) : 0;
    double *da = malloc((size_t)(m * depth + 1) * sizeof *da);
    double *db = malloc((size_t)(depth * n + 1) * sizeof *db);
    assert_true(da != NULL && db != NULL);
    for (int64_t o = 0; o < batches; o++) {
        for (int64_t i = 0; i < m * depth; i++)
            da[i] = element(a, y, o, i / depth, i % depth);
        for (int64_t i = 0; i < depth * n; i++)
            db[i] = element(b, y, o, i / n, i % n);
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++) {
                double want = opts.bias != NULL ? tp_flat(opts.bias, j) : 0;
                if (before != NULL)
                    want = element(before, y, o, i, j);
                for (int64_t p = 0; p < depth; p++)
                    want += da[i * depth + p] * db[p * n + j];
                want = opts.relu && want < 0 ? 0 : want;
                if (element(y, y, o, i, j) != want)
                    fail_msg("%s: [%d,%d,%d] element (%d,%d,%d): %g instead of %g", tp_isa(),
                             (int)m, (int)depth, (int)n, (int)o, (int)i, (int)j,
                             element(y, y, o, i, j), want);
            }
    }
    free(da);
    free(db);
}

struct layouts {
    layout a, b, y;
};

enum { PLAIN, BIAS, ACCUMULATE, BIAS_RELU, ACCUMULATE_RELU, MODES };

/* Small integers, so every order of summation gives the same. */
static void check_size(tp_dtype d, int64_t m, int64_t k, int64_t n, struct layouts l, int mode)
{
    tp_tensor ma, mb, my, mv, a, b, y, v, before;
    make_view(&ma, &a, d, TP_SHAPE(m, k), l.a, small_integer);
    make_view(&mb, &b, d, TP_SHAPE(k, n), l.b, small_integer);
    bool accumulate = mode == ACCUMULATE || mode == ACCUMULATE_RELU;
    make_view(&my, &y, d, TP_SHAPE(m, n), l.y, accumulate ? small_integer : nan_value);
    /* a bias whose neighbours are not neighbours meets every way of storing c, turned tiles too */
    make_view(&mv, &v, d, TP_SHAPE(n), mode == BIAS ? LAYOUT_REVERSED : l.a, small_integer);
    assert_ok(tp_clone(&before, &y));
    tp_matmul_opts opts = {.bias = mode == BIAS || mode == BIAS_RELU ? &v : NULL,
                           .accumulate = accumulate,
                           .relu = mode >= BIAS_RELU};
    assert_ok(tp_matmul_into(&y, &a, &b, opts));
    check_product(&y, &a, &b, opts, opts.accumulate ? &before : NULL);
    tp_tensor_free(&ma);
    tp_tensor_free(&mb);
    tp_tensor_free(&my);
    tp_tensor_free(&mv);
    tp_tensor_free(&before);
}

static void every_small_size(void **state)
{
    (void)state;
    const int64_t sizes[] = {0, 1, 2, 5, 6, 7, 12, 13, 16, 17, 33, 49};
    const struct layouts all[] = {{LAYOUT_CONTIGUOUS, LAYOUT_CONTIGUOUS, LAYOUT_CONTIGUOUS},
                                  {LAYOUT_CONTIGUOUS, LAYOUT_TRANSPOSED, LAYOUT_CONTIGUOUS},
                                  {LAYOUT_TRANSPOSED, LAYOUT_CONTIGUOUS, LAYOUT_OFFSET},
                                  {LAYOUT_TRANSPOSED, LAYOUT_TRANSPOSED, LAYOUT_TRANSPOSED}};
    int count = 0;
    for (size_t m = 0; m < sizeof sizes / sizeof *sizes; m++)
        for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++)
            for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k += 1 + (m + n) % 3)
                for (size_t l = 0; l < 4; l++, count++)
                    check_size(count % 5 ? TP_F32 : TP_F64, sizes[m], sizes[k], sizes[n], all[l],
                               count % MODES);
}

static void every_layout(void **state)
{
    (void)state;
    for (int la = 0; la < LAYOUT_COUNT; la++)
        for (int lb = 0; lb < LAYOUT_COUNT; lb++)
            for (int ly = 0; ly < LAYOUT_COUNT; ly++) {
                if (ly == LAYOUT_EXPANDED || ly == LAYOUT_REPEATED)
                    continue;
                struct layouts l = {(layout)la, (layout)lb, (layout)ly};
                for (int mode = 0; mode < MODES; mode++)
                    check_size(mode == BIAS ? TP_F64 : TP_F32, 14, 9, 35, l, mode);
            }
}

/* Beyond the blocks of the driver in each direction; few and many lanes on either side, so that matrices
 * are read where they lie or packed, with ends that fill a tile and ends that do not. */
static void several_blocks(void **state)
{
    (void)state;
    const int64_t sizes[][3] = {{13, 515, 21}, {20, 513, 128}, {301, 6, 17}, {14, 5, 2085},
                                {48, 400, 96}, {27, 1025, 48}, {96, 33, 7},  {7, 641, 275}};
    for (int turned = 0; turned < 2; turned++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            for (int mode = 0; mode < MODES; mode++) {
                struct layouts l = {LAYOUT_CONTIGUOUS,
                                    turned ? LAYOUT_TRANSPOSED : LAYOUT_CONTIGUOUS,
                                    LAYOUT_CONTIGUOUS};
                check_size(TP_F32, sizes[i][0], sizes[i][1], sizes[i][2], l, mode);
                if (mode == ACCUMULATE)
                    check_size(TP_F64, sizes[i][0], sizes[i][1], sizes[i][2], l, mode);
            }
}

static void relu_keeps_nan(void **state)
{
    (void)state;
    for (int k = 1; k <= 400; k += 399) {
        tp_tensor ma, mb, a, b, y;
        make_view(&ma, &a, TP_F32, TP_SHAPE(13, k), LAYOUT_CONTIGUOUS, nan_value);
        make_view(&mb, &b, TP_F32, TP_SHAPE(k, 37), LAYOUT_TRANSPOSED, random_value);
        assert_ok(tp_tensor_new(&y, TP_F32, TP_SHAPE(13, 37)));
        assert_ok(tp_matmul_into(&y, &a, &b, (tp_matmul_opts){.relu = true}));
        for (int64_t i = 0; i < tp_numel(&y); i++)
            assert_true(isnan(tp_flat(&y, i)));
        tp_tensor_free(&ma);
        tp_tensor_free(&mb);
        tp_tensor_free(&y);
    }
}

static void batches_broadcast(void **state)
{
    (void)state;
    const struct {
        tp_shape a, b, y;
    } cases[] = {{TP_DIMS(3, 4, 5), TP_DIMS(3, 5, 6), TP_DIMS(3, 4, 6)},
                 {TP_DIMS(4, 5), TP_DIMS(3, 5, 6), TP_DIMS(3, 4, 6)},
                 {TP_DIMS(2, 1, 4, 5), TP_DIMS(3, 5, 6), TP_DIMS(2, 3, 4, 6)},
                 {TP_DIMS(2, 3, 4, 5), TP_DIMS(5, 6), TP_DIMS(2, 3, 4, 6)},
                 {TP_DIMS(4, 5), TP_DIMS(5, 6), TP_DIMS(2, 2, 4, 6)},
                 {TP_DIMS(0, 4, 5), TP_DIMS(5, 6), TP_DIMS(0, 4, 6)},
                 {TP_DIMS(2, 40, 70), TP_DIMS(2, 70, 60), TP_DIMS(2, 40, 60)},
                 {TP_DIMS(3, 130, 90), TP_DIMS(90, 70), TP_DIMS(3, 130, 70)},
                 {TP_DIMS(200, 12, 9), TP_DIMS(200, 9, 17), TP_DIMS(200, 12, 17)}};
    for (int threads = 1; threads <= 4; threads++) {
        assert_ok(tp_set_threads(threads));
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
            for (int l = 0; l < LAYOUT_COUNT; l++) {
                tp_tensor ma, mb, a, b, y;
                make_view(&ma, &a, TP_F32, cases[c].a, (layout)l, small_integer);
                make_view(&mb, &b, TP_F32, cases[c].b, (layout)((l + 1) % LAYOUT_COUNT),
                          small_integer);
                assert_ok(tp_tensor_new(&y, TP_F32, cases[c].y));
                assert_ok(tp_matmul_into(&y, &a, &b, (tp_matmul_opts){0}));
                check_product(&y, &a, &b, (tp_matmul_opts){0}, NULL);
                tp_tensor_free(&ma);
                tp_tensor_free(&mb);
                tp_tensor_free(&y);
            }
    }
    assert_ok(tp_set_threads(1));
}

/* |got - want| <= (k + 1) eps sum |a||b| against f64, in f32. */
static void rounding_stays_in_its_bound(void **state)
{
    (void)state;
    tp_tensor ma, mb, a, b, y;
    int64_t m = 31, k = 700, n = 45;
    make_view(&ma, &a, TP_F32, TP_SHAPE(m, k), LAYOUT_CONTIGUOUS, random_value);
    make_view(&mb, &b, TP_F32, TP_SHAPE(k, n), LAYOUT_TRANSPOSED, random_value);
    assert_ok(tp_tensor_new(&y, TP_F32, TP_SHAPE(m, n)));
    assert_ok(tp_matmul_into(&y, &a, &b, (tp_matmul_opts){0}));
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double want = 0, scale = 0;
            for (int64_t p = 0; p < k; p++) {
                double term = tp_flat(&a, i * k + p) * tp_flat(&b, p * n + j);
                want += term;
                scale += fabs(term);
            }
            assert_close(tp_flat(&y, i * n + j), want, (double)(k + 1) * FLT_EPSILON / 2 * scale,
                         0);
        }
    tp_tensor_free(&ma);
    tp_tensor_free(&mb);
    tp_tensor_free(&y);
}

/* Products that are cut to pieces in every way: a side packed once, both read where they lie, more threads than
 * tiles, long sums of few elements. */
static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    const int threads[] = {1, 2, 3, 4, 5, 8};
    const int64_t sizes[][3] = {{128, 784, 40},  {100, 300, 100}, {64, 784, 400},
                                {5, 300, 1031},  {300, 520, 20},  {128, 400, 1200},
                                {803, 128, 400}, {3, 30000, 10},  {40, 128, 2100}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int kind = 0; kind < 8; kind++) {
            int64_t m = sizes[s][0], k = sizes[s][1], n = sizes[s][2];
            tp_dtype d = kind % 2 ? TP_F64 : TP_F32;
            layout la = kind < 4 ? LAYOUT_CONTIGUOUS : LAYOUT_TRANSPOSED;
            layout lb = kind % 4 < 2 ? LAYOUT_TRANSPOSED : LAYOUT_CONTIGUOUS;
            tp_tensor ma, mb, a, b, y[2];
            make_view(&ma, &a, d, TP_SHAPE(m, k), la, random_value);
            make_view(&mb, &b, d, TP_SHAPE(k, n), lb, random_value);
            for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
                assert_ok(tp_set_threads(threads[t]));
                assert_ok(tp_tensor_new(&y[t > 0], d, TP_SHAPE(m, n)));
                assert_ok(tp_matmul_into(&y[t > 0], &a, &b, (tp_matmul_opts){0}));
                if (t > 0) {
                    assert_memory_equal(tp_data(&y[0]), tp_data(&y[1]),
                                        (size_t)(m * n * tp_dtype_size(d)));
                    tp_tensor_free(&y[1]);
                }
            }
            tp_tensor_free(&y[0]);
            tp_tensor_free(&ma);
            tp_tensor_free(&mb);
        }
    assert_ok(tp_set_threads(1));
}

static void buffers_are_kept_and_released(void **state)
{
    (void)state;
    tp_matmul_release();
    size_t before = tp_mem().live_bytes;
    tp_tensor a, y;
    assert_ok(tp_tensor_new(&a, TP_F32, TP_SHAPE(50, 50)));
    assert_ok(tp_tensor_new(&y, TP_F32, TP_SHAPE(50, 50)));
    assert_ok(tp_matmul_into(&y, &a, &a, (tp_matmul_opts){0}));
    size_t calls = tp_mem().calls;
    for (int i = 0; i < 10; i++)
        assert_ok(tp_matmul_into(&y, &a, &a, (tp_matmul_opts){0}));
    assert_int_equal(tp_mem().calls, calls);
    tp_tensor_free(&a);
    tp_tensor_free(&y);
    assert_true(tp_mem().live_bytes > before);
    tp_matmul_release();
    assert_int_equal(tp_mem().live_bytes, before);
}

static void without_memory_nothing_is_written(void **state)
{
    (void)state;
    tp_tensor a, y;
    assert_ok(tp_tensor_new(&a, TP_F32, TP_SHAPE(50, 50)));
    assert_ok(tp_tensor_new(&y, TP_F32, TP_SHAPE(50, 50)));
    assert_ok(tp_fill(&y, 7));
    tp_matmul_release();
    uint64_t version = y.storage->version;
    tp_mem_set_budget(tp_mem().live_bytes + 100);
    tp_status status = tp_matmul_into(&y, &a, &a, (tp_matmul_opts){0});
    tp_mem_set_budget(0);
    assert_status(status, TP_ENOMEM);
    assert_int_equal(y.storage->version, version);
    assert_close(tp_flat(&y, 3), 7, 0, 0);
    assert_ok(tp_matmul_into(&y, &a, &a, (tp_matmul_opts){0}));
    assert_true(y.storage->version > version);
    assert_close(tp_flat(&y, 3), 0, 0, 0);
    tp_tensor_free(&a);
    tp_tensor_free(&y);
}

static void refusals(void **state)
{
    (void)state;
    tp_tensor a, b, y, v, f64, repeated;
    tp_matmul_opts plain = {0};
    assert_ok(tp_tensor_new(&a, TP_F32, TP_SHAPE(2, 3)));
    assert_ok(tp_tensor_new(&b, TP_F32, TP_SHAPE(3, 4)));
    assert_ok(tp_tensor_new(&y, TP_F32, TP_SHAPE(2, 4)));
    assert_ok(tp_tensor_new(&v, TP_F32, TP_SHAPE(3)));
    assert_ok(tp_tensor_new(&f64, TP_F64, TP_SHAPE(2, 3)));
    assert_status(tp_matmul_into(&y, &b, &a, plain), TP_ESHAPE);
    assert_status(tp_matmul_into(&a, &a, &b, plain), TP_ESHAPE);
    assert_status(tp_matmul_into(&y, &v, &b, plain), TP_ESHAPE);
    assert_status(tp_matmul_into(&y, &f64, &b, plain), TP_EDTYPE);
    assert_status(tp_matmul_into(&y, &a, &b, (tp_matmul_opts){.bias = &v}), TP_ESHAPE);
    assert_status(tp_matmul_into(&y, &a, &b, (tp_matmul_opts){.bias = &f64}), TP_EDTYPE);
    tp_tensor_free(&v);
    assert_ok(tp_tensor_new(&v, TP_F32, TP_SHAPE(4)));
    assert_status(tp_matmul_into(&y, &a, &b, (tp_matmul_opts){.bias = &v, .accumulate = true}),
                  TP_EARG);
    assert_ok(tp_view_select(&y, 0, 0, &repeated));
    assert_ok(tp_view_expand(&repeated, TP_SHAPE(2, 4), &repeated));
    assert_status(tp_matmul_into(&repeated, &a, &b, plain), TP_EARG);
    tp_tensor_free(&a);
    tp_tensor_free(&b);
    tp_tensor_free(&y);
    tp_tensor_free(&v);
    tp_tensor_free(&f64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_small_size),
        cmocka_unit_test(every_layout),
        cmocka_unit_test(several_blocks),
        cmocka_unit_test(relu_keeps_nan),
        cmocka_unit_test(batches_broadcast),
        cmocka_unit_test(rounding_stays_in_its_bound),
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(buffers_are_kept_and_released),
        cmocka_unit_test(without_memory_nothing_is_written),
        cmocka_unit_test(refusals),
    };
    const char *const levels[] = {"ref", "avx2", "avx512"};
    int failed = 0;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (tp_set_isa(levels[i]) == TP_OK)
            failed += cmocka_run_group_tests_name(levels[i], tests, NULL, NULL);
    tp_matmul_release();
    return failed != 0;
}
