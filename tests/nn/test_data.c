/* test_data.c: data sets in memory and minibatches: order, the last batch, scaling, files that do not fit.
 *
 * Damaged idx files themselves are tests/unit/test_idx.c. Read next: test_train.c.
 */
#define _XOPEN_SOURCE 700 /* mkdir */

#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "nn/data.h"
#include "tensor/mem.h"

/* n examples of width 3 whose elements are 3i, 3i + 1, 3i + 2. */
static tp_dataset numbered(tp_dtype dtype, int64_t n)
{
    tp_dataset d = {0};
    assert_ok(tp_tensor_new(&d.x, dtype, TP_SHAPE(n, 3)));
    for (int64_t i = 0; i < 3 * n; i++)
        assert_ok(tp_set_flat(&d.x, i, (double)i));
    return d;
}

enum { MOST = 64 };

/* Goes through an epoch; order[] gets the examples as they came. Checks each batch against the data. */
static int64_t run_epoch(tp_batches *b, int64_t order[MOST], int64_t sizes[MOST])
{
    int64_t seen = 0, batches = 0;
    for (;;) {
        tp_batch batch;
        bool got;
        assert_ok(tp_batches_next(b, &batch, &got));
        if (!got)
            break;
        assert_true(tp_shape_equal(batch.x.shape, TP_SHAPE(batch.n, tp_dataset_width(b->data))));
        for (int64_t i = 0; i < batch.n; i++) {
            assert_true(seen < MOST);
            for (int64_t k = 0; k < 3; k++)
                assert_close(tp_flat(&batch.x, 3 * i + k),
                             3 * (double)((const int64_t *)tp_data(&batch.index))[i] + (double)k, 0,
                             0);
            order[seen++] = ((const int64_t *)tp_data(&batch.index))[i];
        }
        sizes[batches++] = batch.n;
    }
    assert_int_equal(batches, tp_batches_count(b));
    return seen;
}

static void assert_permutation(const int64_t *order, int64_t n)
{
    bool seen[MOST] = {false};
    for (int64_t i = 0; i < n; i++) {
        assert_in_range(order[i], 0, n - 1);
        assert_false(seen[order[i]]);
        seen[order[i]] = true;
    }
}

/* --- minibatches -------------------------------------------------------------------------------- */

static void test_stored_order(void **state)
{
    (void)state;
    int64_t order[MOST], sizes[MOST];
    tp_dataset d = numbered(TP_F64, 11);
    tp_batches b;
    assert_ok(tp_batches_init(&b, &d, 4, TP_F64));
    assert_int_equal(tp_dataset_size(&d), 11);
    assert_int_equal(tp_dataset_width(&d), 3);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(run_epoch(&b, order, sizes), 11);
        for (int64_t i = 0; i < 11; i++)
            assert_int_equal(order[i], i);
        tp_batches_rewind(&b);
    }
    tp_batches_free(&b);
    tp_dataset_free(&d);
}

/* The smaller last batch is kept and not padded; a batch larger than the data is the data. */
static void test_sizes(void **state)
{
    (void)state;
    const int64_t rows[][6] = {/* batch size, batches, their sizes */
                               {4, 3, 4, 4, 3},
                               {11, 1, 11},
                               {100, 1, 11},
                               {10, 2, 10, 1},
                               {5, 3, 5, 5, 1}};
    int64_t order[MOST], sizes[MOST];
    tp_dataset d = numbered(TP_F32, 11);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tp_batches b;
        assert_ok(tp_batches_init(&b, &d, rows[i][0], TP_F32));
        tp_batches_shuffle(&b, 1, 1);
        assert_int_equal(tp_batches_count(&b), rows[i][1]);
        assert_int_equal(run_epoch(&b, order, sizes), 11);
        for (int64_t k = 0; k < rows[i][1]; k++)
            assert_int_equal(sizes[k], rows[i][2 + k]);
        assert_permutation(order, 11);
        tp_batches_free(&b);
    }
    tp_dataset_free(&d);
}

static bool same_order(const int64_t *a, const int64_t *b)
{
    return memcmp(a, b, 40 * sizeof *a) == 0;
}

/* The order is a function of seed and epoch: not of the batch size, the epochs before, or the instance. */
static void test_shuffling(void **state)
{
    (void)state;
    int64_t first[MOST], order[MOST], sizes[MOST];
    tp_dataset d = numbered(TP_F64, 40);
    tp_batches a, b;
    assert_ok(tp_batches_init(&a, &d, 7, TP_F64));
    assert_ok(tp_batches_init(&b, &d, 16, TP_F32));
    tp_batches_shuffle(&a, 5, 3);
    run_epoch(&a, first, sizes);
    assert_permutation(first, 40);
    for (uint64_t epoch = 0; epoch < 6; epoch++) {
        tp_batches_shuffle(&b, 5, epoch);
        run_epoch(&b, order, sizes);
        assert_permutation(order, 40);
        assert_true(same_order(first, order) == (epoch == 3));
    }
    tp_batches_shuffle(&b, 6, 3); /* another seed */
    run_epoch(&b, order, sizes);
    assert_false(same_order(first, order));
    bool got; /* shuffled in the middle of an epoch, it starts again */
    tp_batch batch;
    assert_ok(tp_batches_next(&a, &batch, &got));
    tp_batches_shuffle(&a, 5, 3);
    run_epoch(&a, order, sizes);
    assert_true(same_order(first, order));
    tp_batches_free(&a);
    tp_batches_free(&b);
    tp_dataset_free(&d);
}

/* Every position is about equally likely for an example: mean place over 400 epochs within 5 s.e. */
static void test_uniformity(void **state)
{
    (void)state;
    enum { N = 40, EPOCHS = 400 };
    double place[N] = {0};
    int64_t order[MOST], sizes[MOST];
    tp_dataset d = numbered(TP_F32, N);
    tp_batches b;
    assert_ok(tp_batches_init(&b, &d, N, TP_F32));
    for (uint64_t e = 0; e < EPOCHS; e++) {
        tp_batches_shuffle(&b, 1, e);
        run_epoch(&b, order, sizes);
        for (int64_t i = 0; i < N; i++)
            place[order[i]] += (double)i / EPOCHS;
    }
    for (int i = 0; i < N; i++) /* a place has variance (N² − 1)/12, about 11.5² */
        assert_close(place[i], (N - 1) / 2.0, 5 * 11.55 / 20, 0);
    tp_batches_free(&b);
    tp_dataset_free(&d);
}

/* Bytes become v/255: in f32 the nearest float, as PyTorch's; in f64 within one rounding. */
static void test_scaling(void **state)
{
    (void)state;
    tp_dataset d = {0};
    assert_ok(tp_tensor_new(&d.x, TP_U8, TP_SHAPE(2, 16, 8)));
    for (int64_t i = 0; i < 256; i++)
        assert_ok(tp_set_flat(&d.x, i, (double)i));
    assert_int_equal(tp_dataset_width(&d), 128);
    for (int t = TP_F32; t <= TP_F64; t++) {
        tp_batches b;
        tp_batch batch;
        bool got;
        assert_ok(tp_batches_init(&b, &d, 2, (tp_dtype)t));
        assert_ok(tp_batches_next(&b, &batch, &got));
        assert_true(batch.x.dtype == (tp_dtype)t &&
                    tp_shape_equal(batch.x.shape, TP_SHAPE(2, 128)));
        for (int64_t i = 0; i < 256; i++)
            if (t == TP_F32)
                assert_true((float)tp_flat(&batch.x, i) == (float)i / 255);
            else
                assert_close(tp_flat(&batch.x, i), (double)i / 255, 0, 2.3e-16);
        assert_true(tp_flat(&batch.x, 0) == 0 && tp_flat(&batch.x, 255) == 1);
        tp_batches_free(&b);
    }
    tp_dataset_free(&d);
}

static void test_batch_refusals(void **state)
{
    (void)state;
    tp_dataset d = numbered(TP_F32, 4), none = numbered(TP_F32, 0);
    tp_batches b;
    size_t before = tp_mem().live_bytes;
    assert_status(tp_batches_init(&b, &d, 0, TP_F32), TP_EARG);
    assert_message("a batch size of 0");
    assert_status(tp_batches_init(&b, &d, -3, TP_F32), TP_EARG);
    assert_status(tp_batches_init(&b, &none, 4, TP_F32), TP_ESHAPE);
    assert_message("the data set is empty");
    assert_int_equal(tp_mem().live_bytes, before);
    tp_dataset_free(&d);
    tp_dataset_free(&none);
}

/* After init an epoch allocates nothing. */
static void test_memory(void **state)
{
    (void)state;
    int64_t order[MOST], sizes[MOST];
    size_t before = tp_mem().live_bytes;
    tp_dataset d = numbered(TP_F32, 30);
    tp_batches b;
    assert_ok(tp_batches_init(&b, &d, 4, TP_F32));
    size_t calls = tp_mem().calls;
    for (uint64_t e = 0; e < 3; e++) {
        tp_batches_shuffle(&b, 1, e);
        run_epoch(&b, order, sizes);
    }
    assert_int_equal(tp_mem().calls, calls);
    tp_batches_free(&b);
    tp_dataset_free(&d);
    assert_int_equal(tp_mem().live_bytes, before);
}

/* --- files -------------------------------------------------------------------------------------- */

/* An idx file of n dimensions, all elements 7. */
static void write_idx(const char *directory, const char *name, int n, const uint32_t *dim)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    const unsigned char head[] = {0, 0, 8, (unsigned char)n};
    uint32_t count = 1;
    fwrite(head, 1, sizeof head, out);
    for (int i = 0; i < n; i++) {
        for (int shift = 24; shift >= 0; shift -= 8)
            fputc((int)(dim[i] >> shift & 255), out);
        count *= dim[i];
    }
    for (uint32_t i = 0; i < count; i++)
        fputc(7, out);
    assert_int_equal(fclose(out), 0);
}

static const char *fresh_directory(const char *name)
{
    const char *path = test_tmp(name);
    assert_int_equal(mkdir(path, 0700), 0);
    return path;
}

static void test_read(void **state)
{
    (void)state;
    const char *at = fresh_directory("good");
    tp_dataset d;
    assert_false(tp_dataset_exists(at, "train"));
    write_idx(at, "train-images-idx3-ubyte", 3, (const uint32_t[]){5, 4, 3});
    assert_true(tp_dataset_exists(at, "train"));
    assert_ok(tp_dataset_read(&d, at, "train"));
    assert_true(tp_shape_equal(d.x.shape, TP_SHAPE(5, 4, 3)));
    assert_null(d.labels.storage); /* labels may be missing */
    tp_dataset_free(&d);
    write_idx(at, "train-labels-idx1-ubyte", 1, (const uint32_t[]){5});
    assert_ok(tp_dataset_read(&d, at, "train"));
    assert_true(tp_shape_equal(d.labels.shape, TP_SHAPE(5)));
    assert_int_equal(tp_dataset_width(&d), 12);
    tp_dataset_free(&d);
}

/* Fails, says so, leaves *d alone and keeps no memory. */
static void refuse(const char *at, const char *split, tp_status status, const char *says)
{
    tp_dataset d, before;
    memset(&d, 0x5a, sizeof d);
    before = d;
    size_t bytes = tp_mem().live_bytes;
    assert_status(tp_dataset_read(&d, at, split), status);
    assert_message(says);
    assert_message(at);
    assert_memory_equal(&d, &before, sizeof d);
    assert_int_equal(tp_mem().live_bytes, bytes);
}

static void test_read_refusals(void **state)
{
    (void)state;
    const char *at = fresh_directory("bad");
    refuse(at, "train", TP_EIO, "neither train-images-idx3-ubyte (or .gz) nor train.npy");
    assert_false(tp_dataset_exists("/no/such/directory", "train"));
    write_idx(at, "train-images-idx3-ubyte", 3, (const uint32_t[]){5, 4, 3});
    write_idx(at, "train-labels-idx1-ubyte", 1, (const uint32_t[]){6});
    refuse(at, "train", TP_EFORMAT, "labels u8[6] do not match 5 images");
    write_idx(at, "t10k-images-idx3-ubyte", 1, (const uint32_t[]){5});
    refuse(at, "t10k", TP_EFORMAT, "u8[5] is not a list of images");
    write_idx(at, "none-images-idx3-ubyte", 3, (const uint32_t[]){0, 4, 3});
    refuse(at, "none", TP_EFORMAT, "is not a list of images");
    write_idx(at, "two-images-idx3-ubyte", 3, (const uint32_t[]){2, 2, 2});
    write_idx(at, "two-labels-idx1-ubyte", 2, (const uint32_t[]){2, 1});
    refuse(at, "two", TP_EFORMAT, "labels u8[2,1] do not match 2 images");
}

/* The subset of MNIST that comes with the sources, inside gzip. */
static void test_read_gzip(void **state)
{
    (void)state;
    const char *at = TAPIR_SOURCE_DIR "/examples/data";
    tp_dataset d;
    assert_true(tp_dataset_exists(at, "t10k"));
    assert_ok(tp_dataset_read(&d, at, "t10k"));
    assert_int_equal(tp_dataset_width(&d), 784);
    assert_int_equal(d.labels.shape.dim[0], tp_dataset_size(&d));
    for (int64_t i = 0; i < tp_dataset_size(&d); i++)
        assert_in_range(tp_flat(&d.labels, i), 0, 9);
    tp_dataset_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stored_order),  cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_shuffling),     cmocka_unit_test(test_uniformity),
        cmocka_unit_test(test_scaling),       cmocka_unit_test(test_batch_refusals),
        cmocka_unit_test(test_memory),        cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_refusals), cmocka_unit_test(test_read_gzip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
