/* test_rng.c: published vectors, the promised mapping from index to value, and statistics.
 *
 * The statistics have fixed seeds: they cannot flicker. Bounds are five standard errors or more.
 * Read next: tensor/rng.h.
 */
#include "tests/support/check.h"

#include <math.h>
#include <string.h>

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

static double normal(tp_rng_key k, int64_t i)
{
    double r = sqrt(-2 * log(uniform(k, i & ~(int64_t)1)));
    double angle = 6.283185307179586 * uniform(k, i | 1);
    return i % 2 ? r * sin(angle) : r * cos(angle);
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
        assert_close(tp_flat(&z, i), normal(key, i), 1e-15, 1e-14);
    }
    tp_tensor_free(&u);
    tp_tensor_free(&z);
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
        for (int threads = 2; threads <= 8; threads += 3) {
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

/* --- Bernoulli ---------------------------------------------------------------------------------- */

static void test_bernoulli(void **state)
{
    (void)state;
    const double p_values[4] = {0, 0.25, 0.9, 1};
    tp_tensor y = fresh(TP_F64, TP_SHAPE(50000, 4)), u = fresh(TP_F64, TP_SHAPE(50000, 4)), p;
    assert_ok(tp_tensor_from(&p, TP_F64, TP_SHAPE(4), p_values));
    assert_ok(tp_random_bernoulli(&y, &p, key)); /* p broadcasts along the rows */
    assert_ok(tp_random_uniform(&u, key));
    double mean[4] = {0};
    for (int64_t i = 0; i < tp_numel(&y); i++) {
        assert_true(tp_flat(&y, i) == (tp_flat(&u, i) < p_values[i % 4] ? 1 : 0));
        mean[i % 4] += tp_flat(&y, i) / 50000;
    }
    assert_close(mean[0], 0, 0, 0);
    assert_close(mean[1], 0.25, 5 * sqrt(0.25 * 0.75 / 50000), 0);
    assert_close(mean[2], 0.9, 5 * sqrt(0.9 * 0.1 / 50000), 0);
    assert_close(mean[3], 1, 0, 1e-12);
    tp_tensor_free(&y);
    tp_tensor_free(&u);
    tp_tensor_free(&p);
}

static void test_bernoulli_in_place(void **state)
{
    (void)state;
    tp_tensor p = fresh(TP_F32, TP_SHAPE(1000)), y = fresh(TP_F32, TP_SHAPE(1000));
    assert_ok(tp_random_uniform(&p, (tp_rng_key){.seed = 9}));
    assert_ok(tp_random_bernoulli(&y, &p, key));
    assert_ok(tp_random_bernoulli(&p, &p, key)); /* y may be p */
    for (int64_t i = 0; i < 1000; i++)
        assert_true(tp_flat(&p, i) == tp_flat(&y, i));
    tp_tensor_free(&p);
    tp_tensor_free(&y);
}

static void test_bernoulli_refusals(void **state)
{
    (void)state;
    const double bad[] = {-0.01, 1.01, NAN, INFINITY};
    for (int d = TP_F32; d <= TP_F64; d++) {
        tp_tensor p = fresh((tp_dtype)d, TP_SHAPE(2, 3)), y = fresh((tp_dtype)d, TP_SHAPE(2, 3));
        for (int b = 0; b < 4; b++) {
            assert_ok(tp_fill(&p, 0.5));
            assert_ok(tp_set_flat(&p, 4, bad[b]));
            assert_ok(tp_fill(&y, 7));
            assert_status(tp_random_bernoulli(&y, &p, key), TP_EVALUE);
            assert_message("p[1,1]");
            for (int64_t i = 0; i < 6; i++)
                assert_close(tp_flat(&y, i), 7, 0, 0);
        }
        tp_tensor wide = fresh((tp_dtype)d, TP_SHAPE(4)), other;
        assert_status(tp_random_bernoulli(&y, &wide, key), TP_ESHAPE);
        other = fresh(d == TP_F32 ? TP_F64 : TP_F32, TP_SHAPE(2, 3));
        assert_status(tp_random_bernoulli(&y, &other, key), TP_EDTYPE);
        tp_tensor_free(&wide);
        tp_tensor_free(&other);
        tp_tensor_free(&p);
        tp_tensor_free(&y);
    }
}

/* --- permutation -------------------------------------------------------------------------------- */

static void test_permutation(void **state)
{
    (void)state;
    enum { N = 10007 };
    static int64_t a[N], b[N];
    static bool seen[N];
    memset(seen, 0, sizeof seen);
    tp_random_permutation(a, N, key);
    tp_random_permutation(b, N, key);
    assert_memory_equal(a, b, sizeof a);
    int64_t fixed = 0;
    double drift = 0;
    for (int64_t i = 0; i < N; i++) {
        assert_true(a[i] >= 0 && a[i] < N && !seen[a[i]]);
        seen[a[i]] = true;
        fixed += a[i] == i;
        drift += ((double)i / N - 0.5) * ((double)a[i] / N - 0.5);
    }
    assert_true(fixed < 10); /* expected: one */
    assert_close(drift / N, 0, 5 / 12.0 / sqrt(N), 0);
    tp_random_permutation(b, N, (tp_rng_key){key.seed, key.step + 1, key.draw});
    assert_memory_not_equal(a, b, sizeof a);
    int64_t one = -1;
    tp_random_permutation(&one, 0, key);
    assert_int_equal(one, -1);
    tp_random_permutation(&one, 1, key);
    assert_int_equal(one, 0);
}

/* All 24 orders of four things are equally likely. */
static void test_permutation_is_fair(void **state)
{
    (void)state;
    enum { DRAWS = 48000 };
    int count[256] = {0}, orders = 0;
    double chi = 0;
    for (uint64_t step = 0; step < DRAWS; step++) {
        int64_t p[4];
        tp_random_permutation(p, 4, (tp_rng_key){.seed = 5, .step = step});
        count[p[0] * 64 + p[1] * 16 + p[2] * 4 + p[3]]++;
    }
    for (int i = 0; i < 256; i++) {
        orders += count[i] > 0;
        if (count[i] > 0)
            chi += (count[i] - DRAWS / 24.0) * (count[i] - DRAWS / 24.0) / (DRAWS / 24.0);
    }
    assert_int_equal(orders, 24);
    assert_close(chi, 23, 5 * sqrt(2 * 23.0), 0);
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
        cmocka_unit_test(test_every_part_of_the_key_matters),
        cmocka_unit_test(test_f32_is_f64_rounded),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_uniform_statistics),
        cmocka_unit_test(test_bit_balance),
        cmocka_unit_test(test_normal_statistics),
        cmocka_unit_test(test_bernoulli),
        cmocka_unit_test(test_bernoulli_in_place),
        cmocka_unit_test(test_bernoulli_refusals),
        cmocka_unit_test(test_permutation),
        cmocka_unit_test(test_permutation_is_fair),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
