/* test_noise.c: the draws that can be put on a tape: pure functions of their key, of the right law, and
 * independent where they say so. The generator itself: test_rng.c and test_rng_choices.c.
 * Seeds are fixed; bounds are five standard errors or more. */
#include "autograd/compose.h"
#include "tests/support/check.h"

#include <math.h>
#include <string.h>

static const tp_rng_key key = {.seed = 0x123456789abcdef0u, .step = 0x100000007u, .draw = 3};
static tp_tape *tape;

static int begin(void **state)
{
    (void)state;
    assert_ok(tp_tape_new(&tape));
    return 0;
}

static int end(void **state)
{
    (void)state;
    tp_tape_free(tape);
    return 0;
}

/* Mean and variance of all elements; each within five standard errors of what is expected. */
static void check_moments(const tp_tensor *x, double mean, double variance, double kurtosis)
{
    double sum = 0, squares = 0, n = (double)tp_numel(x);
    for (int64_t i = 0; i < tp_numel(x); i++)
        sum += tp_flat(x, i);
    for (int64_t i = 0; i < tp_numel(x); i++)
        squares += (tp_flat(x, i) - mean) * (tp_flat(x, i) - mean);
    assert_close(sum / n, mean, 5 * sqrt(variance / n), 0);
    assert_close(squares / n, variance, 5 * variance * sqrt((kurtosis - 1) / n), 0);
}

static void test_uniform(void **state)
{
    (void)state;
    tp_tensor direct;
    tp_var x = tp_noise_uniform(tape, TP_F64, TP_SHAPE(300, 200), key);
    tp_var f = tp_noise_uniform(tape, TP_F32, TP_SHAPE(300, 200), key);
    assert_ok(tp_tape_status(tape));
    assert_ok(tp_tensor_new(&direct, TP_F64, TP_SHAPE(300, 200)));
    assert_ok(tp_random_uniform(&direct, key));
    for (int64_t i = 0; i < tp_numel(&direct); i++) {
        double u = tp_flat(tp_value(x), i), v = tp_flat(tp_value(f), i);
        assert_true(u == tp_flat(&direct, i) && v == fmin((float)u, 0x1.fffffep-1));
        assert_true(u > 0 && u < 1 && v > 0 && v < 1);
    }
    check_moments(tp_value(x), 0.5, 1 / 12.0, 1.8);
    assert_false(tp_needs_grad(x));
    tp_tensor_free(&direct);
}

/* Whatever the axis, each line holds every index once. */
static void check_lines(tp_shape shape, int axis)
{
    const tp_tensor *y = tp_value(tp_noise_permutation(tape, shape, axis, key));
    tp_tensor lines;
    int last = shape.ndim - 1;
    assert_non_null(y);
    assert_int_equal(y->dtype, TP_I64);
    assert_true(tp_shape_equal(y->shape, shape));
    assert_ok(tp_view_transpose(y, axis, last, &lines));
    int64_t n = lines.shape.dim[last];
    bool seen[64] = {false};
    for (int64_t i = 0; i < tp_numel(&lines); i++) {
        if (i % n == 0)
            memset(seen, 0, sizeof seen);
        int64_t at = (int64_t)tp_flat(&lines, i);
        assert_true(at >= 0 && at < n && !seen[at]);
        seen[at] = true;
    }
}

static void test_permutation_lines(void **state)
{
    (void)state;
    check_lines(TP_SHAPE(7, 5, 6), 0);
    check_lines(TP_SHAPE(7, 5, 6), 1);
    check_lines(TP_SHAPE(7, 5, 6), -1);
    check_lines(TP_SHAPE(64), 0);
    int64_t first[64];
    tp_random_permutation(first, 64, key);
    tp_var alone = tp_noise_permutation(tape, TP_SHAPE(64), 0, key);
    tp_var many = tp_noise_permutation(tape, TP_SHAPE(64, 9), 0, key);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(tp_flat(tp_value(alone), i), first[i]);
        assert_int_equal(tp_flat(tp_value(many), 9 * i), first[i]);
    }
}

/* All pairs (order of line 2i, order of line 2i+1) of three things are equally likely: each line is
 * uniform, and says nothing about its neighbour. */
static void test_permutations_are_fair_and_independent(void **state)
{
    (void)state;
    enum { PAIRS = 36000 };
    tp_var y = tp_noise_permutation(tape, TP_SHAPE(PAIRS, 2, 3), -1, key);
    const int64_t *p = tp_data(tp_value(y));
    int count[36] = {0};
    double chi = 0;
    for (int i = 0; i < PAIRS; i++, p += 6) {
        int64_t a = 2 * p[0] + (p[1] > p[2]), b = 2 * p[3] + (p[4] > p[5]);
        count[6 * a + b]++;
    }
    for (int i = 0; i < 36; i++)
        chi += (count[i] - PAIRS / 36.0) * (count[i] - PAIRS / 36.0) / (PAIRS / 36.0);
    assert_close(chi, 35, 5 * sqrt(2 * 35.0), 0);
}

/* No line of one draw is a line of its neighbours: of 40! orders none is met twice. */
static void test_permutations_of_other_keys(void **state)
{
    (void)state;
    enum { LINES = 20, N = 40, KEYS = 4 };
    const int64_t *p[KEYS];
    const tp_rng_key keys[KEYS] = {key,
                                   {key.seed, key.step, key.draw + 1},
                                   {key.seed, key.step + 1, key.draw},
                                   {key.seed + 1, key.step, key.draw}};
    for (int k = 0; k < KEYS; k++)
        p[k] = tp_data(tp_value(tp_noise_permutation(tape, TP_SHAPE(LINES, N), 1, keys[k])));
    for (int i = 0; i < KEYS * LINES; i++)
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(p[i / LINES] + i % LINES * N, p[j / LINES] + j % LINES * N,
                                    N * sizeof(int64_t));
}

/* The use of it: a column shuffled on its own. Its gradient: test_numbers.c. */
static void test_shuffling(void **state)
{
    (void)state;
    tp_tensor x;
    assert_ok(tp_tensor_new(&x, TP_F64, TP_SHAPE(6, 2)));
    for (int i = 0; i < 12; i++)
        assert_ok(tp_set_flat(&x, i, 10 * i));
    tp_var order = tp_noise_permutation(tape, TP_SHAPE(6, 2), 0, key);
    tp_var y = tp_gather(tp_constant(tape, &x), order, 0);
    assert_ok(tp_tape_status(tape));
    for (int i = 0; i < 12; i++)
        assert_close(tp_flat(tp_value(y), i), 10 * (2 * tp_flat(tp_value(order), i) + i % 2), 0, 0);
    tp_tensor_free(&x);
}

/* --- Gumbel and categorical draws ----------------------------------------------------------------- */

static void test_gumbel(void **state)
{
    (void)state;
    const double euler = 0.577215664901532861, variance = 1.64493406684822644, kurtosis = 5.4;
    tp_shape shape = TP_SHAPE(400, 500);
    tp_var x = tp_noise_gumbel(tape, TP_F64, shape, key);
    tp_var f = tp_noise_gumbel(tape, TP_F32, shape, key);
    check_moments(tp_value(x), euler, variance, kurtosis);
    double below[3] = {0}, worst = 0; /* the distribution function is e^(−e^−x) */
    for (int64_t i = 0; i < tp_numel(tp_value(x)); i++) {
        double g = tp_flat(tp_value(x), i), h = tp_flat(tp_value(f), i);
        assert_true(g > -3.2 && g < 22.9);
        for (int k = 0; k < 3; k++)
            below[k] += g < 4 * k - 1;
        if (g > 0) /* in f32 the upper tail, which decides who is largest, is as fine as the bulk */
            worst = fmax(worst, fabs(h - g) / (1 + g));
    }
    for (int k = 0; k < 3; k++) {
        double p = exp(-exp(1 - 4 * k)), n = (double)tp_shape_numel(shape);
        assert_close(below[k] / n, p, 5 * sqrt(p * (1 - p) / n), 0);
    }
    assert_true(worst < 4e-7);
}

/* Class i comes with probability softmax(logits)_i, in both types, for classes rare and impossible too. */
static void test_categorical(void **state)
{
    (void)state;
    enum { DRAWS = 100000, CLASSES = 5 };
    const double p[CLASSES] = {0.5, 0.3, 0.199, 0.001, 0};
    for (int d = TP_F32; d <= TP_F64; d++) {
        tp_tensor logits;
        double count[CLASSES] = {0};
        assert_ok(tp_tensor_new(&logits, (tp_dtype)d, TP_SHAPE(CLASSES)));
        for (int i = 0; i < CLASSES; i++)
            assert_ok(tp_set_flat(&logits, i, log(p[i]) + 100)); /* a shift changes nothing */
        tp_var x = tp_expand(tp_constant(tape, &logits), TP_SHAPE(DRAWS, CLASSES));
        const tp_tensor *y = tp_value(tp_noise_categorical(x, key));
        assert_non_null(y);
        assert_true(y->dtype == TP_I64 && tp_shape_equal(y->shape, TP_SHAPE(DRAWS)));
        for (int64_t i = 0; i < DRAWS; i++)
            count[(int)tp_flat(y, i)]++;
        for (int i = 0; i < CLASSES; i++)
            assert_close(count[i] / DRAWS, p[i], 5 * sqrt(p[i] * (1 - p[i]) / DRAWS), 0);
        tp_tape_reset(tape);
        tp_tensor_free(&logits);
    }
}

/* Soft draws are distributions, hard ones one-hot; the hard one is the categorical draw of the key, the largest
 * of the soft one; a small temperature brings them together, a large one makes all classes alike. */
static void test_gumbel_softmax(void **state)
{
    (void)state;
    enum { ROWS = 50, CLASSES = 4 };
    for (int d = TP_F32; d <= TP_F64; d++) {
        tp_var x = tp_noise_normal(tape, (tp_dtype)d, TP_SHAPE(ROWS, CLASSES), key);
        tp_var cold = tp_gumbel_softmax(x, 1e-4, false, key);
        tp_var hot = tp_gumbel_softmax(x, 1e12, false, key);
        tp_var soft = tp_gumbel_softmax(x, 0.7, false, key);
        tp_var hard = tp_gumbel_softmax(x, 0.7, true, key), drawn = tp_noise_categorical(x, key);
        tp_var hot_hard = tp_gumbel_softmax(x, 1e30, true, key); /* soft draws are all equal */
        assert_ok(tp_tape_status(tape));
        for (int64_t i = 0; i < ROWS; i++) {
            int64_t at = (int64_t)tp_flat(tp_value(drawn), i);
            double sum = 0, largest = tp_flat(tp_value(soft), i * CLASSES + at);
            for (int64_t j = i * CLASSES; j < (i + 1) * CLASSES; j++) {
                assert_true(tp_flat(tp_value(hard), j) == (j == i * CLASSES + at));
                assert_true(tp_flat(tp_value(hot_hard), j) == (j == i * CLASSES + at));
                assert_true(tp_flat(tp_value(soft), j) <= largest);
                assert_close(tp_flat(tp_value(hot), j), 1.0 / CLASSES, 1e-6, 0);
                assert_close(tp_flat(tp_value(cold), j), j == i * CLASSES + at, 1e-6, 0);
                sum += tp_flat(tp_value(soft), j);
            }
            assert_close(sum, 1, 1e-6, 0);
        }
        tp_tape_reset(tape);
    }
}

static void test_bad_temperatures(void **state)
{
    (void)state;
    const double bad[] = {0, -1, NAN};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tp_var x = tp_full(tape, TP_F64, TP_SHAPE(3), 0);
        assert_status(tp_var_status(tp_gumbel_softmax(x, bad[i], false, key)), TP_EARG);
        assert_message("more than 0 needed");
        tp_tape_reset(tape);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_uniform),
        TEST(test_permutation_lines),
        TEST(test_permutations_are_fair_and_independent),
        TEST(test_permutations_of_other_keys),
        TEST(test_shuffling),
        TEST(test_gumbel),
        TEST(test_categorical),
        TEST(test_gumbel_softmax),
        TEST(test_bad_temperatures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
