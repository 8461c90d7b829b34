/* test_rng.c: published vectors, the promised mapping from index to value, and statistics.
 *
 * The statistics have fixed seeds: they cannot flicker. Bounds are five standard errors or more.
 * Read next: tensor/rng.h, test_rng_choices.c.
 */
#include "tests/support/check.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "tensor/kernels/kernels.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"
#include "tensor/rng.h"

static const tp_rng_key key = {.seed = 0x123456789abcdef0u, .step = 0x100000007u, .draw = 3};

static tp_tensor fresh(tp_dtype dtype, tp_shape shape)
{
    tp_tensor t;
    assert_ok(tp_tensor_new(&t, dtype, shape));
    return t;
}

/* The word of element i, the slow way. */
static uint32_t word(tp_rng_key k, int64_t i)
{
    uint32_t counter[4] = {(uint32_t)(i / 4), k.draw, (uint32_t)k.step, (uint32_t)(k.step >> 32)};
    uint32_t philox_key[2] = {(uint32_t)k.seed, (uint32_t)(k.seed >> 32)}, out[4];
    tp_philox(counter, philox_key, out);
    return out[i % 4];
}

static double uniform(tp_rng_key k, int64_t i)
{
    return ldexp(word(k, i) + 0.5, -32);
}

/* In long double; whole quarters of a turn are taken out first, or those next to zero would lose digits. */
static double normal(tp_rng_key k, int64_t i)
{
    long double r = sqrtl(-2 * logl((long double)uniform(k, i & ~(int64_t)1)));
    double turn = uniform(k, i | 1), quarters = rint(4 * turn);
    long double angle = 6.28318530717958647692529L * (long double)(turn - quarters / 4);
    const long double s = sinl(angle), c = cosl(angle), around[] = {c, -s, -c, s};
    return (double)(r * around[((int)quarters + (i % 2 ? 3 : 0)) % 4]);
}

/* kat_vectors of Random123: philox4x32 10. */
static void test_known_answers(void **state)
{
    (void)state;
    static const uint32_t kat[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
         0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1}};
    for (int i = 0; i < 3; i++) {
        uint32_t out[4];
        tp_philox(kat[i], kat[i] + 4, out);
        assert_memory_equal(out, kat[i] + 6, sizeof out);
    }
}

static void test_mapping(void **state)
{
    (void)state;
    enum { N = 40000 }; /* several chunks, not a multiple of a batch */
    tp_tensor u = fresh(TP_F64, TP_SHAPE(N - 1)), z = fresh(TP_F64, TP_SHAPE(N - 1));
    assert_ok(tp_random_uniform(&u, key));
    assert_ok(tp_random_normal(&z, key));
    for (int64_t i = 0; i < N - 1; i++) {
        assert_true(tp_flat(&u, i) == uniform(key, i));
        assert_close(tp_flat(&z, i), normal(key, i), 0, 4 * DBL_EPSILON);
    }
    tp_tensor_free(&u);
    tp_tensor_free(&z);
}

/* The kernels of every ISA level: words and uniforms exact, normals to 4 ulp, nothing written behind the
 * batch. */
static void test_levels(void **state)
{
    (void)state;
    const char *const levels[] = {"ref", "avx2", "avx512"}, *before = tp_isa();
    const uint32_t first[] = {0, 1, 77777, 0xffffffffu - TP_DRAW / 4 + 1};
    for (int l = 0; l < 3; l++) {
        if (tp_set_isa(levels[l]) != TP_OK)
            continue;
        const tp_kernels *k = tp_kernels_get();
        for (int f = 0; f < 4; f++) {
            uint32_t w[TP_DRAW + 1];
            double u[TP_DRAW + 1], z[TP_DRAW + 1];
            w[TP_DRAW] = 12345;
            u[TP_DRAW] = z[TP_DRAW] = -77;
            k->words(&key, first[f], w);
            k->uniform(&key, first[f], u);
            k->normal(&key, first[f], z);
            for (int i = 0; i < TP_DRAW; i++) {
                int64_t element = 4 * (int64_t)first[f] + i;
                assert_int_equal(w[i], word(key, element));
                assert_true(u[i] == uniform(key, element));
                assert_close(z[i], normal(key, element), 0, 4 * DBL_EPSILON);
            }
            assert_true(w[TP_DRAW] == 12345 && u[TP_DRAW] == -77 && z[TP_DRAW] == -77);
        }
    }
    assert_ok(tp_set_isa(before));
}

/* Angles all around the circle at every level: signs and quarter turns, f32 as f64 rounded. */
static void test_levels_agree(void **state)
{
    (void)state;
    enum { N = 100000 };
    const char *const levels[] = {"ref", "avx2", "avx512"}, *before = tp_isa();
    tp_tensor want = fresh(TP_F64, TP_SHAPE(N)), wide = fresh(TP_F64, TP_SHAPE(N));
    tp_tensor narrow = fresh(TP_F32, TP_SHAPE(N));
    assert_ok(tp_set_isa("ref"));
    assert_ok(tp_random_normal(&want, key));
    for (int l = 0; l < 3; l++) {
        if (tp_set_isa(levels[l]) != TP_OK)
            continue;
        assert_ok(tp_random_normal(&wide, key));
        assert_ok(tp_random_normal(&narrow, key));
        const double *w = tp_data(&want), *z = tp_data(&wide);
        const float *y = tp_data(&narrow);
        for (int i = 0; i < N; i++) {
            assert_close(z[i], w[i], 0, 6 * DBL_EPSILON);
            assert_true(y[i] == (float)z[i]);
        }
    }
    assert_ok(tp_set_isa(before));
    tp_tensor_free(&want);
    tp_tensor_free(&wide);
    tp_tensor_free(&narrow);
}

static void test_every_part_of_the_key_matters(void **state)
{
    (void)state;
    const tp_rng_key others[] = {{key.seed + 1, key.step, key.draw},
                                 {key.seed ^ (uint64_t)1 << 63, key.step, key.draw},
                                 {key.seed, key.step + 1, key.draw},
                                 {key.seed, key.step ^ (uint64_t)1 << 63, key.draw},
                                 {key.seed, key.step, key.draw + 1}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        tp_tensor a = fresh(TP_F64, TP_SHAPE(20000)), b = fresh(TP_F64, TP_SHAPE(20000));
        assert_ok(tp_random_normal(&a, key));
        assert_ok(tp_random_normal(&b, others[i]));
        double dot = 0;
        for (int64_t j = 0; j < 20000; j++)
            dot += tp_flat(&a, j) * tp_flat(&b, j);
        assert_close(dot / sqrt(20000.0), 0, 5, 0);
        tp_tensor_free(&a);
        tp_tensor_free(&b);
    }
}

static void test_f32_is_f64_rounded(void **state)
{
    (void)state;
    tp_tensor a = fresh(TP_F32, TP_SHAPE(5000)), b = fresh(TP_F64, TP_SHAPE(5000));
    assert_ok(tp_random_uniform(&a, key));
    assert_ok(tp_random_uniform(&b, key));
    for (int64_t i = 0; i < 5000; i++)
        assert_true(tp_flat(&a, i) == (double)(float)tp_flat(&b, i));
    assert_ok(tp_random_normal(&a, key));
    assert_ok(tp_random_normal(&b, key));
    for (int64_t i = 0; i < 5000; i++)
        assert_true(tp_flat(&a, i) == (double)(float)tp_flat(&b, i));
    /* Element 376 of this seed has the word 0xffffff8c, which would round to 1. */
    assert_true(word((tp_rng_key){4696, 0, 0}, 376) == 0xffffff8cu);
    assert_ok(tp_random_uniform(&a, (tp_rng_key){4696, 0, 0}));
    assert_true(tp_flat(&a, 376) == 1 - 0x1p-24);
    tp_tensor_free(&a);
    tp_tensor_free(&b);
}

/* --- layouts and threads ------------------------------------------------------------------------ */

typedef tp_status (*draw_fn)(tp_tensor *y, tp_rng_key k);

/* Element i, counted row-major, is the same in every layout. */
static void check_layouts(draw_fn draw, tp_dtype dtype)
{
    tp_tensor plain = fresh(dtype, TP_SHAPE(3, 50, 7)), base, view[4];
    assert_ok(draw(&plain, key));
    base = fresh(dtype, TP_SHAPE(7, 100, 3));
    assert_ok(tp_view_permute(&base, TP_ALL_AXES, &view[0]));
    assert_ok(tp_view_slice(&view[0], 1, 0, TP_SLICE_END, 2, &view[0]));   /* stepped transpose */
    assert_ok(tp_view_slice(&view[0], 2, -1, TP_SLICE_END, -1, &view[1])); /* reversed */
    assert_ok(tp_view_slice(&view[1], 1, -1, TP_SLICE_END, -1, &view[2])); /* twice */
    assert_ok(tp_view_slice(&view[0], 0, -1, TP_SLICE_END, -1, &view[3]));
    for (int v = 0; v < 4; v++) {
        assert_ok(tp_fill(&base, -77));
        assert_ok(draw(&view[v], key));
        for (int64_t i = 0; i < tp_numel(&plain); i++)
            assert_true(tp_flat(&view[v], i) == tp_flat(&plain, i));
        int64_t untouched = 0;
        for (int64_t i = 0; i < tp_numel(&base); i++)
            untouched += tp_flat(&base, i) == -77;
        assert_int_equal(untouched, tp_numel(&base) / 2);
    }
    tp_tensor_free(&plain);
    tp_tensor_free(&base);
}

/* Around one batch: a shorter draw is the beginning of a longer one, at any address, and no more. */
static void test_lengths(void **state)
{
    (void)state;
    enum { MOST = 2 * TP_DRAW + 2 };
    const draw_fn draws[] = {tp_random_uniform, tp_random_normal};
    for (int d = 0; d < 4; d++) {
        tp_dtype dtype = d < 2 ? TP_F32 : TP_F64;
        tp_tensor whole = fresh(dtype, TP_SHAPE(MOST)), base = fresh(dtype, TP_SHAPE(MOST + 4));
        assert_ok(draws[d % 2](&whole, key));
        for (int64_t n = 0; n < MOST; n += n < 10 || n % TP_DRAW > TP_DRAW - 10 ? 1 : 7) {
            tp_tensor y;
            int64_t start = 1 + n % 3;
            assert_ok(tp_view_slice(&base, 0, start, start + n, 1, &y));
            assert_ok(tp_fill(&base, -77));
            assert_ok(draws[d % 2](&y, key));
            for (int64_t i = 0; i < MOST + 4; i++) {
                bool drawn = i >= start && i < start + n;
                assert_true(tp_flat(&base, i) == (drawn ? tp_flat(&whole, i - start) : -77));
            }
        }
        tp_tensor_free(&whole);
        tp_tensor_free(&base);
    }
}

static tp_status bernoulli_third(tp_tensor *y, tp_rng_key k)
{
    tp_tensor p = fresh(y->dtype, (tp_shape){0});
    assert_ok(tp_fill(&p, 0.3));
    tp_status s = tp_random_bernoulli(y, &p, k);
    tp_tensor_free(&p);
    return s;
}

static void test_layouts(void **state)
{
    (void)state;
    const draw_fn draws[] = {tp_random_uniform, tp_random_normal, bernoulli_third};
    for (int d = 0; d < 3; d++) {
        check_layouts(draws[d], TP_F32);
        check_layouts(draws[d], TP_F64);
    }
}

static void test_threads(void **state)
{
    (void)state;
    const draw_fn draws[] = {tp_random_uniform, tp_random_normal, bernoulli_third};
    const size_t bytes = 100003 * sizeof(float);
    tp_tensor one = fresh(TP_F32, TP_SHAPE(100003)), many = fresh(TP_F32, TP_SHAPE(100003));
    for (int d = 0; d < 3; d++) {
        assert_ok(tp_set_threads(1));
        assert_ok(draws[d](&one, key));
        for (int threads = 2; threads <= 8; threads += threads < 3 ? 1 : 5) {
            assert_ok(tp_set_threads(threads));
            assert_ok(tp_fill(&many, -1));
            assert_ok(draws[d](&many, key));
            assert_memory_equal(tp_data(&one), tp_data(&many), bytes);
        }
    }
    assert_ok(tp_set_threads(1));
    tp_tensor_free(&one);
    tp_tensor_free(&many);
}

/* --- statistics --------------------------------------------------------------------------------- */

enum { MANY = 1000000 };

static void test_uniform_statistics(void **state)
{
    (void)state;
    tp_tensor t = fresh(TP_F64, TP_SHAPE(MANY));
    assert_ok(tp_random_uniform(&t, key));
    const double *u = tp_data(&t);
    double sum = 0, square = 0, neighbour = 0, low = 1, high = 0, chi = 0;
    static int bin[256];
    memset(bin, 0, sizeof bin);
    for (int64_t i = 0; i < MANY; i++) {
        sum += u[i] - 0.5;
        square += (u[i] - 0.5) * (u[i] - 0.5);
        neighbour += i > 0 ? (u[i] - 0.5) * (u[i - 1] - 0.5) : 0;
        low = fmin(low, u[i]);
        high = fmax(high, u[i]);
        bin[(int)(u[i] * 256)]++;
    }
    for (int b = 0; b < 256; b++)
        chi += (bin[b] - MANY / 256.0) * (bin[b] - MANY / 256.0) / (MANY / 256.0);
    assert_close(sum / MANY, 0, 5 * sqrt(1 / 12.0 / MANY), 0);
    assert_close(square / MANY, 1 / 12.0, 5 * sqrt(1 / 180.0 / MANY), 0);
    assert_close(neighbour / MANY, 0, 5 / 12.0 / sqrt(MANY), 0);
    assert_close(chi, 255, 5 * sqrt(2 * 255.0), 0);
    assert_true(low > 0 && low < 2e-5 && high < 1 && high > 1 - 2e-5);
    tp_tensor_free(&t);
}

static void test_bit_balance(void **state)
{
    (void)state;
    int ones[32] = {0}, pairs[31] = {0}, n = 200000;
    for (int i = 0; i < n; i++) {
        uint32_t w = word(key, i);
        for (int b = 0; b < 32; b++)
            ones[b] += w >> b & 1;
        for (int b = 0; b < 31; b++)
            pairs[b] += (w >> b & 1) == (w >> (b + 1) & 1);
    }
    for (int b = 0; b < 32; b++)
        assert_close(ones[b], n / 2, 5 * sqrt(n / 4.0), 0);
    for (int b = 0; b < 31; b++)
        assert_close(pairs[b], n / 2, 5 * sqrt(n / 4.0), 0);
}

static void test_normal_statistics(void **state)
{
    (void)state;
    tp_tensor t = fresh(TP_F64, TP_SHAPE(MANY));
    assert_ok(tp_random_normal(&t, key));
    const double *z = tp_data(&t);
    double m[5] = {0}, pair = 0, pair_squares = 0, peak = 0;
    int beyond[5] = {0}, negative = 0;
    for (int64_t i = 0; i < MANY; i++) {
        double power = 1;
        for (int k = 1; k <= 4; k++)
            m[k] += (power *= z[i]) / MANY;
        for (int k = 1; k <= 4; k++)
            beyond[k] += fabs(z[i]) > k;
        negative += z[i] < 0;
        peak = fmax(peak, fabs(z[i]));
        if (i % 2) { /* both halves of one Box–Muller pair */
            pair += z[i] * z[i - 1];
            pair_squares += (z[i] * z[i] - 1) * (z[i - 1] * z[i - 1] - 1);
        }
    }
    /* Var z = 1, Var z^2 = 2, Var z^3 = 15, Var z^4 = 96. */
    assert_close(m[1], 0, 5 * sqrt(1.0 / MANY), 0);
    assert_close(m[2], 1, 5 * sqrt(2.0 / MANY), 0);
    assert_close(m[3], 0, 5 * sqrt(15.0 / MANY), 0);
    assert_close(m[4], 3, 5 * sqrt(96.0 / MANY), 0);
    assert_close(negative, MANY / 2, 5 * sqrt(MANY / 4.0), 0);
    assert_close(pair / (MANY / 2), 0, 5 * sqrt(2.0 / MANY), 0);
    assert_close(pair_squares / (MANY / 2), 0, 5 * sqrt(8.0 / MANY), 0);
    for (int k = 1; k <= 4; k++) {
        double p = erfc(k / sqrt(2.0));
        assert_close(beyond[k], p * MANY, 5 * sqrt(p * MANY), 0);
    }
    assert_true(peak > 4.3 && peak < 6.8);
    tp_tensor_free(&t);
}

/* --- edges -------------------------------------------------------------------------------------- */

static void test_edges(void **state)
{
    (void)state;
    tp_tensor none = fresh(TP_F32, TP_SHAPE(3, 0)), scalar = fresh(TP_F64, (tp_shape){0});
    assert_ok(tp_random_normal(&none, key));
    assert_ok(tp_random_uniform(&scalar, key));
    assert_true(tp_item(&scalar) == uniform(key, 0));
    uint64_t version = scalar.storage->version;
    size_t calls = tp_mem().calls;
    assert_ok(tp_random_normal(&scalar, key));
    assert_true(scalar.storage->version > version);
    assert_int_equal(tp_mem().calls, calls); /* nothing was allocated */

    tp_tensor whole = fresh(TP_I64, TP_SHAPE(3)), wide;
    assert_status(tp_random_uniform(&whole, key), TP_EDTYPE);
    assert_message("i64[3]");
    assert_ok(tp_view_expand(&scalar, TP_SHAPE(3), &wide));
    assert_status(tp_random_normal(&wide, key), TP_EARG);
    assert_ok(tp_view_expand(&scalar, TP_SHAPE(1 << 20, 32768), &wide));
    assert_status(tp_random_normal(&wide, key), TP_ESHAPE);
    assert_message("2^34");
    tp_tensor_free(&none);
    tp_tensor_free(&scalar);
    tp_tensor_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_mapping),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_levels_agree),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_every_part_of_the_key_matters),
        cmocka_unit_test(test_f32_is_f64_rounded),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_uniform_statistics),
        cmocka_unit_test(test_bit_balance),
        cmocka_unit_test(test_normal_statistics),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
