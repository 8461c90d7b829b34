/* test_likelihood.c: p(x|z) of pictures: that each likelihood is a distribution, and the one it says; its draws. What
 * is refused: test_likelihood_refused.c.
 *
 * The distributions themselves are tests/dist; here it is what the decoder's numbers mean. Read next:
 * models/likelihood.h.
 */
#include "tests/models/fixture.h"
#include "tests/models/one_tape.h"

#include <math.h>
#include <string.h>

#include "autograd/check.h"
#include "models/uses.h"

enum { NX = 3, LEVELS = 3, MOST = 27 };

static const double LOG_2PI = 1.8378770664093454836;

/* What a decoder might say of three numbers, under each likelihood. */
static const double Y[TP_LIKELIHOODS][NX * LEVELS] = {
    [TP_BERNOULLI] = {0.4, -1.3, 2.2},
    [TP_GAUSSIAN] = {0.4, -1.3, 2.2},
    [TP_GAUSSIAN_LEARNED] = {0.4, -1.3, 2.2, -2, -7, 0.5},
    [TP_CATEGORICAL] = {0.4, -1.3, 2.2, 0, 0.3, -0.6, 1.1, -0.2, 0.9}};

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static int64_t width(int likelihood)
{
    return NX * tp_likelihood_width((tp_likelihood)likelihood, LEVELS);
}

/* The distribution that Y makes, for a batch of n that is n times the same. */
static tp_dist dist(int likelihood, int64_t n)
{
    tp_var y = data(TP_F64, TP_SHAPE(width(likelihood)), Y[likelihood]);
    return tp_likelihood_dist((tp_likelihood)likelihood, LEVELS,
                              tp_expand(y, TP_SHAPE(n, width(likelihood))));
}

static const double *numbers(tp_var v)
{
    const tp_tensor *x = tp_value(v);
    assert_ok(tp_var_status(v));
    assert_true(x->dtype == TP_F64 && tp_is_contiguous(x));
    return tp_data(x);
}

/* --- densities ----------------------------------------------------------------------------------------------- */

/* All pictures of NX pixels with this many levels; how many there are. */
static int pictures(int levels, double x[MOST * NX])
{
    int n = 1;
    for (int j = 0; j < NX; j++)
        n *= levels;
    for (int i = 0; i < n; i++)
        for (int j = 0, rest = i; j < NX; j++, rest /= levels)
            x[i * NX + j] = rest % levels / (levels - 1.0);
    return n;
}

/* Over all pictures the probabilities add up to 1, and to the mean that is told. */
static void test_discrete(void **state)
{
    (void)state;
    const struct {
        tp_likelihood likelihood;
        int levels;
    } rows[] = {{TP_BERNOULLI, 2}, {TP_CATEGORICAL, LEVELS}};
    for (int r = 0; r < 2; r++) {
        double x[MOST * NX], sum = 0, mean[NX] = {0};
        int n = pictures(rows[r].levels, x);
        tp_dist p = dist(rows[r].likelihood, n);
        const double *logp = numbers(tp_data_logprob(p, data(TP_F64, TP_SHAPE(n, NX), x)));
        for (int i = 0; i < n; i++) {
            sum += exp(logp[i]);
            for (int j = 0; j < NX; j++)
                mean[j] += exp(logp[i]) * x[i * NX + j];
        }
        assert_close(sum, 1, 0, 1e-14);
        tp_var told = tp_data_mean(p);
        assert_true(tp_shape_equal(tp_shape_of(told), TP_SHAPE(n, NX)));
        for (int j = 0; j < NX; j++)
            assert_close(numbers(told)[j], mean[j], 0, 1e-14);
    }
}

/* One of the pixels over a fine grid from −14 to 15, the others at 0: the integral is what these others have, and the
 * centre is where the mean is told. */
static void test_continuous(void **state)
{
    (void)state;
    enum { GRID = 1 << 12 };
    static double x[GRID * NX];
    const double step = 29.0 / GRID;
    for (int l = TP_GAUSSIAN; l <= TP_GAUSSIAN_LEARNED; l++)
        for (int j = 0; j < NX; j++) {
            memset(x, 0, sizeof x);
            for (int i = 0; i < GRID; i++)
                x[i * NX + j] = -14 + i * step;
            tp_dist p = dist(l, GRID);
            const double *logp = numbers(tp_data_logprob(p, data(TP_F64, TP_SHAPE(GRID, NX), x)));
            double sum = 0, mean = 0, others = 0;
            for (int k = 0; k < NX; k++) {
                double raw = l == TP_GAUSSIAN ? 0 : -6 + log1p(exp(Y[l][NX + k] + 6));
                double d = sigmoid(Y[l][k]);
                others += k == j ? 0 : -0.5 * (d * d * exp(-raw) + raw + LOG_2PI);
            }
            for (int i = 0; i < GRID; i++) {
                sum += exp(logp[i] - others) * step;
                mean += exp(logp[i] - others) * step * x[i * NX + j];
            }
            assert_close(sum, 1, 0, 1e-12);
            assert_close(mean, sigmoid(Y[l][j]), 0, 1e-12);
            assert_close(numbers(tp_data_mean(p))[j], sigmoid(Y[l][j]), 0, 1e-15);
            tp_tape_reset(t);
        }
}

/* --- draws --------------------------------------------------------------------------------------------------------- */

enum { DRAWS = SANITIZED ? 4000 : 20000 };

/* How far counts are from what is expected, as χ². */
static double chi_squared(int n, const double *count, const double *logp)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        double expected = DRAWS * exp(logp[i]);
        sum += (count[i] - expected) * (count[i] - expected) / expected;
    }
    return sum;
}

/* Whole pictures come as often as their probability says; those of the control have their levels in reverse. */
static void test_discrete_draws(void **state)
{
    (void)state;
    const struct {
        tp_likelihood likelihood;
        int levels;
    } rows[] = {{TP_BERNOULLI, 2}, {TP_CATEGORICAL, LEVELS}};
    for (int r = 0; r < 2; r++) {
        double x[MOST * NX], count[MOST] = {0}, reverse[MOST];
        int n = pictures(rows[r].levels, x);
        tp_ctx c = tp_ctx_eval(t, 1, 0);
        const double *logp =
            numbers(tp_data_logprob(dist(rows[r].likelihood, n), data(TP_F64, TP_SHAPE(n, NX), x)));
        const double *draw = numbers(tp_data_sample(dist(rows[r].likelihood, DRAWS), &c));
        for (int i = 0; i < DRAWS; i++) {
            int which = 0;
            for (int j = NX - 1; j >= 0; j--) {
                double level = draw[i * NX + j] * (rows[r].levels - 1);
                assert_true(level == round(level) && level >= 0 && level < rows[r].levels);
                which = which * rows[r].levels + (int)level;
            }
            count[which]++;
        }
        for (int i = 0; i < n; i++)
            reverse[i] = logp[n - 1 - i];
        double most = n - 1 + 5 * sqrt(2 * (n - 1.0));
        assert_true(chi_squared(n, count, logp) < most);
        assert_true(chi_squared(n, count, reverse) > 2 * most);
    }
}

/* Mean and variance of the draws, within four standard errors. */
static void test_continuous_draws(void **state)
{
    (void)state;
    for (int l = TP_GAUSSIAN; l <= TP_GAUSSIAN_LEARNED; l++) {
        tp_ctx c = tp_ctx_eval(t, 1, 0);
        const double *x = numbers(tp_data_sample(dist(l, DRAWS), &c));
        for (int j = 0; j < NX; j++) {
            double mean = 0, square = 0, mu = sigmoid(Y[l][j]);
            double var = l == TP_GAUSSIAN ? 1 : exp(-6 + log1p(exp(Y[l][NX + j] + 6)));
            for (int i = 0; i < DRAWS; i++) {
                mean += x[i * NX + j] / DRAWS;
                square += (x[i * NX + j] - mu) * (x[i * NX + j] - mu) / DRAWS;
            }
            assert_close(mean, mu, 4 * sqrt(var / DRAWS), 0);
            assert_close(square, var, 4 * var * sqrt(2.0 / DRAWS), 0);
        }
    }
}

/* --- axes of samples ---------------------------------------------------------------------------------------------- */

/* Of p(x|z) with a batch for each sample, [samples, batch]: sample by sample the same bits as alone. */
static void test_sample_axes(void **state)
{
    (void)state;
    enum { S = 3, N = 4 };
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    for (int l = 0; l < TP_LIKELIHOODS; l++) {
        tp_shape all = TP_SHAPE(S, N, width(l));
        tp_var x = tp_noise_uniform(t, TP_F64, TP_SHAPE(N, NX), tp_ctx_draw(&c));
        tp_var y = tp_noise_normal(t, TP_F64, all, tp_ctx_draw(&c));
        tp_dist p = tp_likelihood_dist((tp_likelihood)l, LEVELS, y);
        tp_var logp = tp_data_logprob(p, x), mean = tp_data_mean(p);
        assert_true(tp_shape_equal(tp_shape_of(logp), TP_SHAPE(S, N)));
        assert_true(tp_shape_equal(tp_shape_of(mean), TP_SHAPE(S, N, NX)));
        assert_true(tp_shape_equal(tp_shape_of(tp_data_sample(p, &c)), TP_SHAPE(S, N, NX)));
        for (int s = 0; s < S; s++) {
            tp_var own = tp_reshape(tp_slice(y, 0, s, s + 1, 1), TP_SHAPE(N, width(l)));
            tp_dist q = tp_likelihood_dist((tp_likelihood)l, LEVELS, own);
            const double *alone = numbers(tp_data_logprob(q, x)), *its = numbers(tp_data_mean(q));
            for (int i = 0; i < N; i++)
                assert_true(numbers(logp)[s * N + i] == alone[i]);
            for (int i = 0; i < N * NX; i++)
                assert_true(numbers(mean)[s * N * NX + i] == its[i]);
        }
    }
}

/* --- the learned variance ----------------------------------------------------------------------------------------- */

static double log_normal(double x, double mu, double logvar)
{
    return -0.5 * ((x - mu) * (x - mu) * exp(-logvar) + logvar + LOG_2PI);
}

/* All means come first, then all variances; the control has them by turns. */
static void test_layout(void **state)
{
    (void)state;
    const double x[NX] = {0.2, 0.3, 0.8}, *y = Y[TP_GAUSSIAN_LEARNED];
    double want = 0, by_turns = 0;
    for (int j = 0; j < NX; j++) {
        want += log_normal(x[j], sigmoid(y[j]), -6 + log1p(exp(y[NX + j] + 6)));
        by_turns += log_normal(x[j], sigmoid(y[2 * j]), -6 + log1p(exp(y[2 * j + 1] + 6)));
    }
    double got =
        tp_item_of(tp_data_logprob(dist(TP_GAUSSIAN_LEARNED, 1), data(TP_F64, TP_SHAPE(1, NX), x)));
    assert_close(got, want, 0, 1e-14);
    assert_true(fabs(by_turns - want) > 0.1);
}

/* log σ² falls with y, but never below −6, in both types; far up it is y. */
static void test_floor(void **state)
{
    (void)state;
    const double raw[] = {-1e30, -1e4, -40, -20, -6, 0, 3, 60};
    for (int dtype = TP_F32; dtype <= TP_F64; dtype++)
        for (int i = 0; i < 8; i++) {
            const double y[] = {0.7, raw[i]}, x = sigmoid(0.7);
            double want = raw[i] < 50 ? -6 + log1p(exp(raw[i] + 6)) : raw[i];
            tp_var v = data((tp_dtype)dtype, TP_SHAPE(1, 2), y);
            tp_dist p = tp_likelihood_dist(TP_GAUSSIAN_LEARNED, LEVELS, v);
            double var = tp_item_of(tp_dist_variance(p));
            assert_close(log(var), want, dtype == TP_F32 ? 2e-6 : 1e-14, 0);
            assert_true(var >= (dtype == TP_F32 ? (double)(float)exp(-6) : exp(-6)));
            double at_mean = tp_item_of(
                tp_data_logprob(p, data((tp_dtype)dtype, TP_SHAPE(1, 1), (double[]){x})));
            assert_close(at_mean, -0.5 * (want + LOG_2PI), 1e-5, 0);
            end(NULL), begin(NULL);
        }
}

/* --- gradients -------------------------------------------------------------------------------------------------- */

typedef struct problem {
    int likelihood;
    tp_parameter y;
    tp_tensor x;
} problem;

static tp_var nll(tp_tape *tape, void *user)
{
    problem *p = user;
    tp_dist d = tp_likelihood_dist((tp_likelihood)p->likelihood, LEVELS, tp_param(tape, &p->y));
    return tp_neg(tp_data_logprob(d, tp_constant(tape, &p->x)));
}

static void test_gradients(void **state)
{
    (void)state;
    for (int l = 0; l < TP_LIKELIHOODS; l++) {
        problem p = {.likelihood = l, .x = uniform(TP_F64, 2, NX, 3)};
        tp_parameter *wrt = &p.y;
        tp_check_report report;
        assert_ok(tp_parameter_init(&p.y, "y", TP_F64, TP_SHAPE(2, width(l))));
        for (int64_t i = 0; i < 2 * width(l); i++)
            assert_ok(tp_set_flat(&p.y.value, i, Y[l][i % width(l)] * (i < width(l) ? 1 : -2)));
        for (int order = 1; order <= 2; order++) {
            assert_ok(tp_gradcheck(nll, &p, 1, &wrt, (tp_check_opts){.order = order}, &report));
            assert_true(report.checked == 2 * width(l) && report.skipped_kinks == 0);
        }
        tp_parameter_free(&p.y);
        tp_tensor_free(&p.x);
    }
}

/* And through a whole VAE. */
static void test_model_gradients(void **state)
{
    (void)state;
    for (int l = 0; l < TP_LIKELIHOODS; l++) {
        tp_model m;
        tp_check_report report;
        tp_batch batch = {.x = uniform(TP_F64, 4, NX, 1), .n = 4};
        tp_model_config config = tiny(TP_TANH, (tp_likelihood)l);
        config.levels = LEVELS;
        assert_ok(tp_model_init(&m, &tp_model_vae, config, TP_F64, 5));
        assert_ok(tp_model_gradcheck(&m, &batch, (tp_check_opts){0}, &report));
        assert_true(report.checked > 0 && report.skipped_kinks == 0);
        tp_model_free(&m);
        tp_tensor_free(&batch.x);
    }
}

/* --- grey levels -------------------------------------------------------------------------------------------------- */

/* A grey value counts as the nearest level; between two, as the darker. In f32 as well, where a level times n − 1 is not
 * always whole. */
static void test_nearest_level(void **state)
{
    (void)state;
    const double logits[] = {0.3, -0.8, 1.4};
    const struct {
        double x;
        int level;
    } rows[] = {{0, 0},    {0.2, 0},  {0.24, 0}, {0.25, 0}, {0.26, 1}, {0.5, 1},
                {0.74, 1}, {0.75, 1}, {0.76, 2}, {0.9, 2},  {1, 2}};
    double norm = log(exp(0.3) + exp(-0.8) + exp(1.4));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tp_dist p = tp_likelihood_dist(TP_CATEGORICAL, 3, data(TP_F64, TP_SHAPE(1, 3), logits));
        tp_var x = data(TP_F64, TP_SHAPE(1, 1), &rows[i].x);
        assert_close(tp_item_of(tp_data_logprob(p, x)), logits[rows[i].level] - norm, 0, 1e-14);
        end(NULL), begin(NULL);
    }
    for (int n = 2; n <= 256; n += n < 8 ? 1 : 31) {
        double all[256], grey[256];
        for (int k = 0; k < n; k++) {
            all[k] = k == n - 1 ? 0.01 * k : 0.01 * k - 0.3; /* all different */
            grey[k] = (float)k / (float)(n - 1);
        }
        tp_var y = tp_expand(data(TP_F32, TP_SHAPE(n), all), TP_SHAPE(n, n));
        tp_var x = data(TP_F32, TP_SHAPE(n, 1), grey);
        tp_var logp = tp_data_logprob(tp_likelihood_dist(TP_CATEGORICAL, n, y), x);
        for (int k = 1; k < n; k++)
            assert_close(tp_flat(tp_value(logp), k) - tp_flat(tp_value(logp), 0), all[k] - all[0],
                         1e-5, 0);
        end(NULL), begin(NULL);
    }
}

/* Of two levels it is Bernoulli, whose logit is the difference of the two. */
static void test_two_levels(void **state)
{
    (void)state;
    enum { N = 8 };
    double bits[MOST * NX];
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    assert_int_equal(pictures(2, bits), N);
    tp_var x = data(TP_F64, TP_SHAPE(N, NX), bits);
    tp_var y = tp_noise_normal(t, TP_F64, TP_SHAPE(N, NX, 2), tp_ctx_draw(&c));
    tp_var logit = tp_sub(tp_slice(y, -1, 1, 2, 1), tp_slice(y, -1, 0, 1, 1));
    tp_dist a = tp_likelihood_dist(TP_CATEGORICAL, 2, tp_reshape(y, TP_SHAPE(N, 2 * NX)));
    tp_dist b = tp_likelihood_dist(TP_BERNOULLI, 2, tp_reshape(logit, TP_SHAPE(N, NX)));
    tp_dist other = tp_likelihood_dist(TP_BERNOULLI, 2, tp_neg(b.param[0]));
    const double *one = numbers(tp_data_logprob(a, x)), *two = numbers(tp_data_logprob(b, x));
    const double *control = numbers(tp_data_logprob(other, x));
    for (int i = 0; i < N; i++) {
        assert_close(one[i], two[i], 0, 1e-14);
        assert_true(fabs(one[i] - control[i]) > 1e-3);
    }
    for (int i = 0; i < N * NX; i++)
        assert_close(numbers(tp_data_mean(a))[i], numbers(tp_data_mean(b))[i], 0, 1e-14);
}

/* --- names ------------------------------------------------------------------------------------------------------- */

static void test_names_and_widths(void **state)
{
    (void)state;
    const char *const names[] = {"bernoulli", "gaussian", "gaussian_learned", "categorical"};
    const int64_t widths[] = {1, 1, 2, 17};
    for (int l = 0; l < TP_LIKELIHOODS; l++) {
        assert_string_equal(tp_likelihood_name(l), names[l]);
        assert_int_equal(tp_likelihood_width((tp_likelihood)l, 17), widths[l]);
    }
    assert_null(tp_likelihood_name(-1));
    assert_null(tp_likelihood_name(TP_LIKELIHOODS));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_discrete),        TEST(test_continuous),
        TEST(test_discrete_draws),  TEST(test_continuous_draws),
        TEST(test_sample_axes),     TEST(test_layout),
        TEST(test_floor),           TEST(test_gradients),
        TEST(test_model_gradients), TEST(test_nearest_level),
        TEST(test_two_levels),      TEST(test_names_and_widths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
