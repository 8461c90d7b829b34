/* test_data_binarize.c: pixels drawn as 0 and 1: what a draw depends on and what not, and that its mean is the grey
 * value.
 *
 * That a run goes on bit by bit with it is tests/models/test_checkpoint.c. Read next: nn/data.h.
 */
#include "tests/support/check.h"

#include <math.h>
#include <string.h>

#include "nn/data.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

enum { N = 37, SIDE = 7, WIDTH = SIDE * SIDE, ALL = N * WIDTH };

static const tp_binarize_opts grey = {TP_BINARIZE_GREY, 0}, threshold = {TP_BINARIZE_THRESHOLD, 0},
                              fixed = {TP_BINARIZE_STATIC, 5}, dynamic = {TP_BINARIZE_DYNAMIC, 5};

/* Pictures of all grey values, as bytes. */
static tp_dataset greys(void)
{
    tp_dataset d = {0};
    assert_ok(tp_tensor_new(&d.x, TP_U8, TP_SHAPE(N, SIDE, SIDE)));
    for (int64_t i = 0; i < ALL; i++)
        assert_ok(tp_set_flat(&d.x, i, (double)(i * 89 % 256)));
    return d;
}

typedef struct how {
    int64_t batch;
    tp_dtype dtype;
    int threads;
    int64_t skip; /* this many examples, as a run that goes on does */
} how;

static const how plain = {10, TP_F32, 1, 0};

/* The rest of an epoch; pixels [N][WIDTH] by the number of the example, -1 where none came. */
static void collect(tp_batches *b, double *pixels)
{
    for (int64_t i = 0; i < ALL; i++)
        pixels[i] = -1;
    for (;;) {
        tp_batch batch;
        bool got;
        assert_ok(tp_batches_next(b, &batch, &got));
        if (!got)
            return;
        for (int64_t i = 0; i < batch.n; i++)
            for (int64_t k = 0; k < WIDTH; k++)
                pixels[((const int64_t *)tp_data(&batch.index))[i] * WIDTH + k] =
                    tp_flat(&batch.x, i * WIDTH + k);
    }
}

static void epoch_of(const tp_dataset *d, tp_binarize_opts o, uint64_t seed, uint64_t epoch, how h,
                     double *pixels)
{
    tp_batches b;
    assert_ok(tp_set_threads(h.threads));
    assert_ok(tp_batches_init(&b, d, h.batch, h.dtype));
    assert_ok(tp_batches_binarize(&b, o));
    tp_batches_shuffle(&b, seed, epoch);
    assert_ok(tp_batches_skip(&b, h.skip));
    collect(&b, pixels);
    tp_batches_free(&b);
    assert_ok(tp_set_threads(1));
}

static bool same(const double *a, const double *b)
{
    return memcmp(a, b, ALL * sizeof *a) == 0;
}

/* --- grey and threshold ----------------------------------------------------------------------------- */

static void test_without_chance(void **state)
{
    (void)state;
    static double raw[ALL], is[ALL];
    tp_dataset d = greys();
    for (int t = TP_F32; t <= TP_F64; t++) {
        tp_batches b; /* never told anything */
        assert_ok(tp_batches_init(&b, &d, 8, (tp_dtype)t));
        collect(&b, raw);
        tp_batches_free(&b);
        epoch_of(&d, grey, 1, 1, (how){8, (tp_dtype)t, 1, 0}, is);
        assert_true(same(raw, is));
        epoch_of(&d, threshold, 1, 1, (how){8, (tp_dtype)t, 1, 0}, is);
        for (int64_t i = 0; i < ALL; i++) /* 127/255 is below a half and 128/255 above */
            assert_true(is[i] == (tp_flat(&d.x, i) >= 128));
    }
    tp_dataset_free(&d);
    assert_ok(tp_tensor_new(&d.x, TP_F64, TP_SHAPE(1, 3))); /* a half itself is not above a half */
    const double around[] = {0.5, 0.5 - 0x1p-53, 0.5 + 0x1p-52};
    tp_batches b;
    tp_batch batch;
    bool got;
    for (int i = 0; i < 3; i++)
        assert_ok(tp_set_flat(&d.x, i, around[i]));
    assert_ok(tp_batches_init(&b, &d, 1, TP_F64));
    assert_ok(tp_batches_binarize(&b, threshold));
    assert_ok(tp_batches_next(&b, &batch, &got));
    assert_tensor_close(&batch.x, ((const double[]){0, 0, 1}), 3, 0, 0);
    tp_batches_free(&b);
    tp_dataset_free(&d);
}

/* --- what a draw depends on --------------------------------------------------------------------------- */

/* The pixels of a draw by the definition: word k of the stream of this example, against the grey value. */
static void defined(const tp_dataset *d, uint64_t seed, uint64_t step, double *pixels)
{
    uint64_t full = step | (uint64_t)TP_STREAM_BINARIZE << 56;
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (uint32_t i = 0; i < N; i++)
        for (uint32_t k = 0; k < WIDTH; k++) {
            uint32_t out[4];
            tp_philox((const uint32_t[]){k / 4, i, (uint32_t)full, (uint32_t)(full >> 32)}, key,
                      out);
            double u = (out[k % 4] + 0.5) / 4294967296.0;
            pixels[i * WIDTH + k] = u < tp_flat(&d->x, i * WIDTH + k) / 255;
        }
}

static void test_definition(void **state)
{
    (void)state;
    static double want[ALL], is[ALL];
    tp_dataset d = greys();
    for (uint64_t epoch = 0; epoch < 4; epoch++) {
        epoch_of(&d, dynamic, UINT64_C(0x123456789abcdef0), epoch, plain, is);
        defined(&d, UINT64_C(0x123456789abcdef0), epoch + 1, want);
        assert_true(same(want, is));
        epoch_of(&d, fixed, 3, epoch, plain, is);
        defined(&d, fixed.seed, 0, want);
        assert_true(same(want, is));
    }
    tp_dataset_free(&d);
}

/* Neither batch size nor threads nor element type nor going on in the middle changes a pixel. */
static void test_no_influence(void **state)
{
    (void)state;
    static const how others[] = {{1, TP_F32, 1, 0},  {7, TP_F32, 2, 0},   {N, TP_F32, 8, 0},
                                 {64, TP_F64, 3, 0}, {10, TP_F32, 1, 20}, {3, TP_F64, 2, 36}};
    static double want[ALL], is[ALL];
    tp_dataset d = greys();
    for (int kind = 0; kind < 2; kind++) {
        epoch_of(&d, kind ? fixed : dynamic, 9, 4, plain, want);
        for (size_t h = 0; h < sizeof others / sizeof *others; h++) {
            int64_t seen = 0;
            epoch_of(&d, kind ? fixed : dynamic, 9, 4, others[h], is);
            for (int64_t i = 0; i < ALL; i++) {
                seen += is[i] >= 0;
                assert_true(is[i] < 0 || is[i] == want[i]);
            }
            assert_int_equal(seen, ALL - others[h].skip * WIDTH);
        }
    }
    tp_dataset_free(&d);
}

/* Nor does the order: any examples, asked for in any order, are those of the epoch. */
static void test_no_order(void **state)
{
    (void)state;
    static double want[ALL];
    static const int64_t ask[] = {36, 0, 17, 17, 3};
    enum { ASKED = sizeof ask / sizeof *ask };
    tp_dataset d = greys();
    tp_tensor x;
    tp_batches b;
    epoch_of(&d, dynamic, 9, 4, plain, want);
    assert_ok(tp_batches_init(&b, &d, 2, TP_F32));
    assert_ok(tp_batches_binarize(&b, dynamic));
    tp_batches_shuffle(&b, 9, 4);
    assert_ok(tp_tensor_new(&x, TP_F32, TP_SHAPE(ASKED, WIDTH)));
    assert_ok(tp_batches_gather(&b, ask, ASKED, &x));
    for (int64_t i = 0; i < ASKED; i++)
        for (int64_t k = 0; k < WIDTH; k++)
            assert_true(tp_flat(&x, i * WIDTH + k) == want[ask[i] * WIDTH + k]);
    assert_status(tp_batches_gather(&b, (const int64_t[]){0, 1, 2, 3, N}, ASKED, &x), TP_EVALUE);
    assert_message("rows[4] = 37 is outside");
    tp_tensor_free(&x);
    tp_batches_free(&b);
    tp_dataset_free(&d);
}

/* The control: one draw for a whole batch, as is often written, depends on all three. */
static void test_control(void **state)
{
    (void)state;
    static double by_batch[2][ALL];
    tp_dataset d = greys();
    for (int s = 0; s < 2; s++) {
        tp_batches b;
        assert_ok(tp_batches_init(&b, &d, s == 0 ? 10 : 7, TP_F32));
        tp_batches_shuffle(&b, 9, 4);
        for (uint32_t n = 0;; n++) {
            tp_batch batch;
            bool got;
            assert_ok(tp_batches_next(&b, &batch, &got));
            if (!got)
                break;
            assert_ok(tp_random_bernoulli(&batch.x, &batch.x, (tp_rng_key){9, 4, n}));
            for (int64_t i = 0; i < batch.n; i++)
                for (int64_t k = 0; k < WIDTH; k++)
                    by_batch[s][((const int64_t *)tp_data(&batch.index))[i] * WIDTH + k] =
                        tp_flat(&batch.x, i * WIDTH + k);
        }
        tp_batches_free(&b);
    }
    assert_false(same(by_batch[0], by_batch[1]));
    tp_dataset_free(&d);
}

/* What it must depend on. */
static void test_influence(void **state)
{
    (void)state;
    static double first[ALL], is[ALL], kept[ALL];
    tp_dataset d = greys();
    tp_binarize_opts other = {TP_BINARIZE_DYNAMIC, 6};
    tp_batches b;
    epoch_of(&d, dynamic, 9, 4, plain, first);
    epoch_of(&d, dynamic, 9, 5, plain, is);
    assert_false(same(first, is));
    epoch_of(&d, dynamic, 10, 4, plain, is);
    assert_false(same(first, is));
    epoch_of(&d, other, 9, 4, plain, is); /* the seed of the draw that is kept is not the epoch's */
    assert_true(same(first, is));

    epoch_of(&d, fixed, 9, 4, plain, kept);
    epoch_of(&d, fixed, 10, 77, plain, is);
    assert_true(same(kept, is));
    other.kind = TP_BINARIZE_STATIC;
    epoch_of(&d, other, 9, 4, plain, is);
    assert_false(same(kept, is));
    for (uint64_t epoch = 0; epoch < 3; epoch++) { /* the one that is kept is no epoch's */
        epoch_of(&d, dynamic, fixed.seed, epoch, plain, is);
        assert_false(same(kept, is));
    }
    /* In stored order, for evaluation, dynamic is the one that is kept, whatever epoch was before. */
    assert_ok(tp_batches_init(&b, &d, 10, TP_F32));
    assert_ok(tp_batches_binarize(&b, dynamic));
    collect(&b, is);
    assert_true(same(kept, is));
    tp_batches_shuffle(&b, 9, 4);
    tp_batches_rewind(&b);
    collect(&b, is);
    assert_true(same(kept, is));
    tp_batches_free(&b);
    tp_dataset_free(&d);
}

/* --- what a draw is --------------------------------------------------------------------------------- */

/* Only 0 and 1; never 1 where it is black, always where it is white; the mean over epochs is the grey value. */
static void test_mean(void **state)
{
    (void)state;
    enum { EPOCHS = SANITIZED ? 300 : 3000 };
    static double is[ALL], mean[ALL];
    tp_dataset d = greys();
    tp_batches b;
    assert_ok(tp_batches_init(&b, &d, 20, TP_F32));
    assert_ok(tp_batches_binarize(&b, dynamic));
    memset(mean, 0, sizeof mean);
    for (uint64_t e = 0; e < EPOCHS; e++) {
        tp_batches_shuffle(&b, 1, e);
        collect(&b, is);
        for (int64_t i = 0; i < ALL; i++) {
            assert_true(is[i] == 0 || is[i] == 1);
            mean[i] += is[i] / EPOCHS;
        }
    }
    for (int64_t i = 0; i < ALL; i++) {
        double p = tp_flat(&d.x, i) / 255;
        assert_close(mean[i], p, 5 * sqrt(p * (1 - p) / EPOCHS) + 1e-12, 0);
    }
    tp_batches_free(&b);
    tp_dataset_free(&d);
}

/* Draws of neighbouring examples, pixels and epochs have nothing to do with each other: of pairs that share the
 * probability p, the share in which both are 1 is p². */
static void test_independence(void **state)
{
    (void)state;
    enum { EPOCHS = SANITIZED ? 40 : 400 };
    static double is[ALL], last[ALL];
    double example = 0, pixel = 0, epoch = 0, p = 102 / 255.0;
    tp_dataset d = {0};
    tp_batches b;
    assert_ok(tp_tensor_new(&d.x, TP_U8, TP_SHAPE(N, SIDE, SIDE)));
    assert_ok(tp_fill(&d.x, 102));
    assert_ok(tp_batches_init(&b, &d, N, TP_F32));
    assert_ok(tp_batches_binarize(&b, dynamic));
    memset(last, 0, sizeof last);
    for (uint64_t e = 0; e <= EPOCHS; e++) {
        tp_batches_shuffle(&b, 1, e);
        collect(&b, is);
        for (int64_t i = 0; i < ALL && e > 0; i++) {
            example += is[i] * is[(i + WIDTH) % ALL];
            pixel += is[i] * is[(i + 1) % ALL];
            epoch += is[i] * last[i];
        }
        memcpy(last, is, sizeof last);
    }
    double n = (double)EPOCHS * ALL, wide = 8 * sqrt(p * p * (1 - p * p) / n); /* pairs overlap */
    assert_close(example / n, p * p, wide, 0);
    assert_close(pixel / n, p * p, wide, 0);
    assert_close(epoch / n, p * p, wide, 0);
    tp_batches_free(&b);
    tp_dataset_free(&d);
}

/* --- fingerprint, memory, refusals -------------------------------------------------------------------- */

static void test_fingerprint(void **state)
{
    (void)state;
    const tp_binarize_opts all[] = {grey, threshold, fixed, {TP_BINARIZE_STATIC, 6}, dynamic};
    enum { ALL_OPTS = sizeof all / sizeof *all };
    uint32_t crc[ALL_OPTS], plain_crc, again;
    tp_dataset d = greys();
    tp_batches b;
    assert_ok(tp_batches_init(&b, &d, 5, TP_F32));
    assert_ok(tp_batches_fingerprint(&b, &plain_crc));
    for (int i = 0; i < ALL_OPTS; i++) {
        assert_ok(tp_batches_binarize(&b, all[i]));
        assert_ok(tp_batches_fingerprint(&b, &crc[i]));
        for (int k = 0; k < i; k++)
            assert_true(crc[i] != crc[k]);
        tp_batches_shuffle(&b, 1, 2); /* is not part of it */
        assert_ok(tp_batches_fingerprint(&b, &again));
        assert_int_equal(again, crc[i]);
    }
    assert_int_equal(crc[0], plain_crc);
    tp_batches_free(&b);
    tp_dataset_free(&d);
}

static void test_no_memory_needed(void **state)
{
    (void)state;
    static double is[ALL];
    tp_dataset d = greys();
    tp_batches b;
    assert_ok(tp_batches_init(&b, &d, 5, TP_F32));
    size_t calls = tp_mem().calls;
    for (int kind = TP_BINARIZE_GREY; kind <= TP_BINARIZE_DYNAMIC; kind++) {
        assert_ok(tp_batches_binarize(&b, (tp_binarize_opts){(tp_binarization)kind, 1}));
        tp_batches_shuffle(&b, 1, 1);
        collect(&b, is);
    }
    assert_int_equal(tp_mem().calls, calls);
    tp_batches_free(&b);
    tp_dataset_free(&d);
}

static void test_refusals(void **state)
{
    (void)state;
    static const double odd[] = {-1e-9, 1.5, NAN, INFINITY};
    tp_dataset d = {0};
    tp_batches b;
    uint32_t before, after;
    assert_ok(tp_tensor_new(&d.x, TP_F64, TP_SHAPE(3, 2, 2)));
    assert_ok(tp_fill(&d.x, 1));
    assert_ok(tp_batches_init(&b, &d, 2, TP_F64));
    assert_ok(tp_batches_binarize(&b, dynamic));
    for (int i = 0; i < 4; i++) {
        assert_ok(tp_set_flat(&d.x, 9, odd[i]));
        for (int kind = TP_BINARIZE_THRESHOLD; kind <= TP_BINARIZE_DYNAMIC; kind++) {
            assert_status(tp_batches_binarize(&b, (tp_binarize_opts){(tp_binarization)kind, 0}),
                          TP_EVALUE);
            assert_message("cannot be binarized: x[2,0,1] = ");
        }
    }
    assert_ok(tp_batches_fingerprint(&b, &before)); /* still what it was */
    assert_ok(tp_batches_binarize(&b, grey));
    assert_ok(tp_batches_fingerprint(&b, &after));
    assert_true(before != after);
    tp_batches_free(&b);

    tp_batches many = {.data = &d, .size = ((int64_t)1 << 32) + 1};
    assert_status(tp_batches_binarize(&many, fixed), TP_EARG);
    assert_message("4294967297 examples");
    tp_dataset_free(&d);
}

/* Larochelle's binarized MNIST is black and white already: nothing changes it, and it is the published one. */
static void test_mnist_binarized(void **state)
{
    (void)state;
    static const struct {
        const char *split;
        int64_t n, white;
    } splits[] = {{"train", 50000, 5118041}, {"valid", 10000, 1028036}, {"test", 10000, 1038896}};
    const char *at = test_shared("data/mnist-binarized");
    if (at == NULL)
        skip();
    for (int i = SANITIZED ? 1 : 0; i < 3; i++) {
        tp_dataset d;
        assert_true(tp_dataset_exists(at, splits[i].split));
        assert_ok(tp_dataset_read(&d, at, splits[i].split));
        assert_true(tp_shape_equal(d.x.shape, TP_SHAPE(splits[i].n, 28, 28)));
        assert_null(d.labels.storage);
        const unsigned char *v = tp_data(&d.x);
        int64_t white = 0;
        for (int64_t k = 0; k < tp_numel(&d.x); k++) {
            assert_true(v[k] == 0 || v[k] == 255);
            white += v[k] == 255;
        }
        assert_int_equal(white, splits[i].white);
        for (int kind = TP_BINARIZE_GREY; kind <= TP_BINARIZE_DYNAMIC; kind++) {
            tp_batches b;
            tp_batch batch;
            bool got;
            assert_ok(tp_batches_init(&b, &d, 50, TP_F32));
            assert_ok(tp_batches_binarize(&b, (tp_binarize_opts){(tp_binarization)kind, 3}));
            tp_batches_shuffle(&b, 1, 1);
            assert_ok(tp_batches_next(&b, &batch, &got));
            for (int64_t k = 0; k < 50 * 784; k++)
                assert_true(
                    tp_flat(&batch.x, k) ==
                    (v[((const int64_t *)tp_data(&batch.index))[k / 784] * 784 + k % 784] == 255));
            tp_batches_free(&b);
        }
        tp_dataset_free(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_chance), cmocka_unit_test(test_definition),
        cmocka_unit_test(test_no_influence),   cmocka_unit_test(test_no_order),
        cmocka_unit_test(test_control),        cmocka_unit_test(test_influence),
        cmocka_unit_test(test_mean),           cmocka_unit_test(test_independence),
        cmocka_unit_test(test_fingerprint),    cmocka_unit_test(test_no_memory_needed),
        cmocka_unit_test(test_refusals),       cmocka_unit_test(test_mnist_binarized),

    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
