/* test_total_correlation.c: MI + TC + dimension-wise KL, estimated from minibatches, against aggregate posteriors that are
 * known exactly; and the covariance penalty of DIP-VAE by hand.
 *
 * The density estimate of stratified sampling is unbiased: shown by running through every ordered batch of a small data
 * set. That of weighted sampling is not, by a known amount. Read next: test_density_ratio.c.
 */
#include "tests/objective/exact.h"

#include "nn/objective.h"

/* --- a small data set, all of its batches ------------------------------------------------------------------ */

enum { SMALL = 5, PART = 3, D = 2 };

/* q(z|x_n) = N(mean_n, e^v_n) per dimension, and a fixed sample z_n of each. */
typedef struct data {
    int n, d;
    const double *mean, *logvar, *z;
} data;

static data make_data(fixture *f, int n, int d)
{
    return (data){n, d, tp_data(fixture_draw(f, TP_F64, TP_SHAPE(n, d), 51, 1, 0)),
                  tp_data(fixture_draw(f, TP_F64, TP_SHAPE(n, d), 52, 0.5, -0.7)),
                  tp_data(fixture_draw(f, TP_F64, TP_SHAPE(n, d), 53, 1, 0.2))};
}

/* log q(z_{i,k}|x_j) */
static double pair_density(const data *x, int i, int j, int k)
{
    double v = x->logvar[j * x->d + k], gap = x->z[i * x->d + k] - x->mean[j * x->d + k];
    return -0.5 * (gap * gap * exp(-v) + v + LOG_2PI);
}

static double joint_density(const data *x, int i, int j)
{
    double sum = 0;
    for (int k = 0; k < x->d; k++)
        sum += pair_density(x, i, j, k);
    return sum;
}

/* 1/N Σ_n q(z_i|x_n) */
static double aggregate(const data *x, int i)
{
    double sum = 0;
    for (int j = 0; j < x->n; j++)
        sum += exp(joint_density(x, i, j)) / x->n;
    return sum;
}

/* log q(z_i|x_j) of a batch, [b, b, d] */
static tp_var pairs(fixture *f, const data *x, int b, const int *batch)
{
    tp_tensor *t = &f->tensor[f->n++];
    assert_ok(tp_tensor_new(t, TP_F64, TP_SHAPE(b, b, x->d)));
    double *p = tp_data_mut(t);
    for (int i = 0; i < b; i++)
        for (int j = 0; j < b; j++)
            for (int k = 0; k < x->d; k++)
                *p++ = pair_density(x, batch[i], batch[j], k);
    return tp_constant(f->tape, t);
}

/* Estimates of q(z_i) from a batch, [PART]. */
typedef void (*density_fn)(fixture *f, const data *x, const int *batch, double *q);

static void from_library(fixture *f, const data *x, const int *batch, double *q,
                         tp_tc_estimator estimator)
{
    tp_var zeros = tp_full(f->tape, TP_F64, TP_SHAPE(PART), 0);
    tp_tc_parts parts = tp_tc_decompose(pairs(f, x, PART, batch), zeros,
                                        (tp_tc_opts){estimator, .data_size = SMALL});
    for (int i = 0; i < PART; i++) /* mi = log q(z|x) − log q(z) */
        q[i] = exp(joint_density(x, batch[i], batch[i]) - numbers(parts.mi)[i]);
}

static void stratified(fixture *f, const data *x, const int *batch, double *q)
{
    from_library(f, x, batch, q, TP_TC_MSS);
}

static void weighted(fixture *f, const data *x, const int *batch, double *q)
{
    from_library(f, x, batch, q, TP_TC_MWS);
}

static void by_matrix(const data *x, const int *batch, double w[PART][PART], double *q)
{
    for (int i = 0; i < PART; i++) {
        q[i] = 0;
        for (int j = 0; j < PART; j++)
            q[i] += w[i][j] * exp(joint_density(x, batch[i], batch[j]));
    }
}

enum { OTHERS = PART - 1 };

static const double ONE_OF_THEM = (double)(SMALL - OTHERS) / (SMALL * OTHERS);

/* As printed in the paper's appendix: one of the others, here the next one, has another weight. */
static void as_printed(fixture *f, const data *x, const int *batch, double *q)
{
    (void)f;
    double w[PART][PART];
    for (int i = 0; i < PART; i++)
        for (int j = 0; j < PART; j++)
            w[i][j] = i == j ? 1.0 / SMALL : j == (i + 1) % PART ? ONE_OF_THEM : 1.0 / OTHERS;
    by_matrix(x, batch, w, q);
}

/* The matrix of a port that is widely copied: it fills every OTHERS + 1 = PART numbers of a row-major matrix of width
 * PART, which is a column, where the diagonal was meant. */
static void port(fixture *f, const data *x, const int *batch, double *q)
{
    (void)f;
    double w[PART][PART];
    for (int i = 0; i < PART; i++)
        for (int j = 0; j < PART; j++)
            w[i][j] = j == 0 ? 1.0 / SMALL : j == 1 ? ONE_OF_THEM : 1.0 / OTHERS;
    w[OTHERS - 1][0] = ONE_OF_THEM;
    by_matrix(x, batch, w, q);
}

static void plain_mean(fixture *f, const data *x, const int *batch, double *q)
{
    (void)f;
    double w[PART][PART];
    for (int i = 0; i < PART * PART; i++)
        w[i / PART][i % PART] = 1.0 / PART;
    by_matrix(x, batch, w, q);
}

/* mean[i][n]: of the estimate of q(z_n), over all ordered batches in which n is the i-th. square: of its square. */
static void all_batches(const data *x, density_fn density, double mean[PART][SMALL], double *square)
{
    const int count = (SMALL - 1) * (SMALL - 2);
    double q[PART];
    *square = 0;
    for (int i = 0; i < PART * SMALL; i++)
        mean[i / SMALL][i % SMALL] = 0;
    for (int c = 0; c < SMALL * SMALL * SMALL; c++) {
        int batch[PART] = {c % SMALL, c / SMALL % SMALL, c / SMALL / SMALL};
        if (batch[0] == batch[1] || batch[0] == batch[2] || batch[1] == batch[2])
            continue;
        fixture *f = fixture_new();
        density(f, x, batch, q);
        fixture_free(f);
        for (int i = 0; i < PART; i++) {
            mean[i][batch[i]] += q[i] / count;
            *square += q[i] * q[i];
        }
    }
}

static void test_unbiased(void **state)
{
    (void)state;
    const struct {
        density_fn density;
        bool right;
    } rows[] = {{stratified, true},
                {as_printed, true},
                {weighted, false},
                {port, false},
                {plain_mean, false}};
    double square[5];
    fixture *f = fixture_new();
    data x = make_data(f, SMALL, D);
    for (int r = 0; r < 5; r++) {
        double mean[PART][SMALL], worst = 0;
        all_batches(&x, rows[r].density, mean, &square[r]);
        for (int i = 0; i < PART; i++)
            for (int n = 0; n < SMALL; n++)
                worst = fmax(worst, fabs(mean[i][n] / aggregate(&x, n) - 1));
        assert_true(rows[r].right ? worst < 1e-13 : worst > 0.1);
    }
    assert_true(square[0] < square[1]); /* equal means, so less variance than as printed */
    fixture_free(f);
}

/* --- the whole data set as the batch: exact ---------------------------------------------------------------- */

static void test_full_batch(void **state)
{
    (void)state;
    enum { N = 6, DIMS = 3 };
    const int all[N] = {0, 1, 2, 3, 4, 5};
    double log_n = log(N);
    fixture *f = fixture_new();
    data x = make_data(f, N, DIMS);
    tp_var pair = pairs(f, &x, N, all), prior = drawn(f, TP_SHAPE(N), 54);
    tp_tc_parts mss = tp_tc_decompose(pair, prior, (tp_tc_opts){.data_size = N});
    tp_tc_parts mws = tp_tc_decompose(pair, prior, (tp_tc_opts){TP_TC_MWS, N});
    for (int i = 0; i < N; i++) {
        double own = joint_density(&x, i, i), joint = log(aggregate(&x, i)), product = 0;
        for (int k = 0; k < DIMS; k++) {
            double sum = 0;
            for (int j = 0; j < N; j++)
                sum += exp(pair_density(&x, i, j, k)) / N;
            product += log(sum);
        }
        double want[] = {own - joint, joint - product, product - numbers(prior)[i]};
        assert_close(numbers(mss.mi)[i], want[0], 1e-12, 0);
        assert_close(numbers(mss.tc)[i], want[1], 1e-12, 0);
        assert_close(numbers(mss.kl_dim)[i], want[2], 1e-12, 0);
        /* the known bias of weighted sampling */
        assert_close(numbers(mws.mi)[i], want[0] + log_n, 1e-12, 0);
        assert_close(numbers(mws.tc)[i], want[1] + (DIMS - 1) * log_n, 1e-12, 0);
        assert_close(numbers(mws.kl_dim)[i], want[2] - DIMS * log_n, 1e-12, 0);
        /* the sum is the sampled KL, whatever the estimator */
        assert_close(numbers(mws.mi)[i] + numbers(mws.tc)[i] + numbers(mws.kl_dim)[i],
                     own - numbers(prior)[i], 1e-12, 0);
    }
    fixture_free(f);
}

/* All weights 1 are the ELBO with a sampled KL; β counts TC alone. */
static void test_objective(void **state)
{
    (void)state;
    const int all[SMALL] = {0, 1, 2, 3, 4};
    fixture *f = fixture_new();
    data x = make_data(f, SMALL, D);
    double own[SMALL];
    for (int i = 0; i < SMALL; i++)
        own[i] = joint_density(&x, i, i);
    tp_var prior = drawn(f, TP_SHAPE(SMALL), 54), logprob = drawn(f, TP_SHAPE(SMALL), 55);
    tp_tc_parts parts =
        tp_tc_decompose(pairs(f, &x, SMALL, all), prior, (tp_tc_opts){.data_size = 1000});
    tp_var kl = tp_sampled_kl(given(f, TP_SHAPE(SMALL), own), prior);
    double elbo = tp_item_of(tp_negative_elbo(logprob, kl, tp_elbo_defaults()).total);
    tp_objective one = tp_tc_elbo(logprob, parts, (tp_tc_weights){1, 1, 1});
    tp_objective six = tp_tc_elbo(logprob, parts, (tp_tc_weights){1, 6, 1});
    assert_close(tp_item_of(one.total), elbo, 1e-13, 0);
    assert_close(tp_item_of(six.total), elbo + 5 * tp_item_of(one.term[2].value), 1e-13, 0);
    const char *const names[] = {"recon", "mi", "tc", "kl_dim"};
    for (int i = 0; i < 4; i++)
        assert_string_equal(six.term[i].name, names[i]);
    fixture_free(f);
}

/* --- a normal aggregate posterior, whose total correlation is known ------------------------------------------- */

/* Means ~ N(0, C) with C + ½I of correlation rho and variance 1, and q(z|x) = N(mean, ½): the aggregate of infinitely many is
 * N(0, C + ½I), of which TC = −½ log(1 − rho²). Estimates from batches of b. */
static double mean_tc(double rho, int n, int b, tp_tc_estimator estimator, double *se)
{
    double sum = 0, var = 0, own_se, r = 2 * rho;
    *se = 0;
    for (int start = 0; start + b <= n; start += b) {
        fixture *f = fixture_new();
        tp_tensor *mean = fixture_draw(f, TP_F64, TP_SHAPE(n, 2), 61, sqrt(0.5), 0);
        double *m = tp_data_mut(mean);
        for (int i = 0; i < n; i++)
            m[2 * i + 1] = r * m[2 * i] + sqrt(1 - r * r) * m[2 * i + 1];
        tp_var mu = tp_slice(tp_constant(f->tape, mean), 0, start, start + b, 1);
        tp_var logvar = tp_full(f->tape, TP_F64, TP_SHAPE(b, 2), log(0.5));
        tp_var eps = tp_noise_normal(f->tape, TP_F64, TP_SHAPE(b, 2),
                                     (tp_rng_key){.seed = 62, .step = (uint64_t)start});
        tp_var z = tp_reparameterize(mu, logvar, eps);
        tp_var gap = tp_sub(tp_unsqueeze(z, 1), tp_unsqueeze(mu, 0)); /* [b, b, 2] */
        tp_var pair = tp_scale(tp_shift(tp_square(gap), 0.5 * (LOG_2PI + log(0.5))), -1);
        tp_tc_parts parts =
            tp_tc_decompose(pair, standard_logprob(f, z), (tp_tc_opts){estimator, n});
        sum += mean_of(numbers(parts.tc), b, 1, &own_se) * b / n;
        var += own_se * own_se * b * b / n / n;
        fixture_free(f);
    }
    *se = sqrt(var);
    return sum;
}

static void test_normal_aggregate(void **state)
{
    (void)state;
    enum { N = SANITIZED ? 400 : 800 };
    const double rho[] = {0, 0.3, 0.45};
    for (int i = 0; i < 3; i++) {
        double se, truth = -0.5 * log(1 - rho[i] * rho[i]);
        double full = mean_tc(rho[i], N, N, TP_TC_MSS, &se);
        print_message("rho %.2f: TC %.4f; stratified, full batch %.4f (s.e. %.4f)", rho[i], truth,
                      full, se);
        assert_close(full, truth, 4 * se + 6.0 / N,
                     0); /* the aggregate of N is not that of infinitely many */
        double part = mean_tc(rho[i], N, N / 4, TP_TC_MSS, &se);
        assert_close(part, truth, 4 * se + 24.0 / N, 0);
        double biased = mean_tc(rho[i], N, N / 4, TP_TC_MWS, &se);
        print_message(", a quarter %.4f, weighted %.4f\n", part, biased);
        assert_close(biased - part, log(N), 0.1, 0); /* (D − 1)·log N */
    }
}

/* --- DIP-VAE ---------------------------------------------------------------------------------------------------- */

/* mu = [[1,2],[3,6]]: centred over the batch [[−1,−2],[1,2]], covariance [[1,2],[2,4]]. Centred over the latents it would
 * be [[1.25,−1.25],[−1.25,1.25]]. */
static void test_dip(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double m[] = {1, 2, 3, 6}, v[] = {0, log(3), log(2), 0}, zero[] = {0, 0};
    tp_var mu = given(f, TP_SHAPE(2, 2), m), logvar = given(f, TP_SHAPE(2, 2), v);
    tp_var nothing = given(f, TP_SHAPE(2), zero);
    tp_dip_opts opts = {.off_diagonal = 10, .diagonal = 5};
    tp_objective one = tp_dip_elbo(nothing, nothing, mu, (tp_var){0}, opts);
    assert_close(tp_item_of(one.term[2].value), 4 + 4, 0, 1e-15);
    assert_close(tp_item_of(one.term[3].value), 0 + 9, 0, 1e-15);
    assert_close(tp_item_of(one.total), 80 + 45, 0, 1e-15);
    assert_true(fabs(2 * 1.25 * 1.25 - tp_item_of(one.term[2].value)) > 1); /* the control */
    /* with the mean of e^logvar, (1.5, 2), on the diagonal */
    tp_objective two = tp_dip_elbo(nothing, nothing, mu, logvar, opts);
    assert_close(tp_item_of(two.term[2].value), 8, 0, 1e-15);
    assert_close(tp_item_of(two.term[3].value), 1.5 * 1.5 + 5 * 5, 0, 1e-14);
    const char *const names[] = {"recon", "kl", "cov", "var"};
    for (int i = 0; i < 4; i++)
        assert_string_equal(two.term[i].name, names[i]);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unbiased),  cmocka_unit_test(test_full_batch),
        cmocka_unit_test(test_objective), cmocka_unit_test(test_normal_aggregate),
        cmocka_unit_test(test_dip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
