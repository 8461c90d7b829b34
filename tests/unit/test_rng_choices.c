/* test_rng_choices.c: Bernoulli draws and permutations: what is decided by random numbers.
 *
 * The numbers themselves: test_rng.c. Seeds are fixed; bounds are five standard errors or more.
 */
#include "tests/support/check.h"

#include <math.h>
#include <string.h>

#include "tensor/rng.h"

static const tp_rng_key key = {.seed = 0x123456789abcdef0u, .step = 0x100000007u, .draw = 3};

static tp_tensor fresh(tp_dtype dtype, tp_shape shape)
{
    tp_tensor t;
    assert_ok(tp_tensor_new(&t, dtype, shape));
    return t;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bernoulli),           cmocka_unit_test(test_bernoulli_in_place),
        cmocka_unit_test(test_bernoulli_refusals),  cmocka_unit_test(test_permutation),
        cmocka_unit_test(test_permutation_is_fair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
