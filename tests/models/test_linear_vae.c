/* test_linear_vae.c: the linear VAE against probabilistic principal component analysis, which has a closed form.
 *
 * On real digits, averaged down to 7×7: the largest log-likelihood that such a model can have is known from the
 * eigenvalues of their covariance (Tipping and Bishop 1999), here by a solver of the test's own. Training must come near
 * and never beyond; at the optimum itself the bound is log p(x). Read next: test_truth.c.
 */
#include "tests/models/fixture.h"

#include <math.h>
#include <stdlib.h>

#include "autograd/compose.h"
#include "models/uses.h"

enum { SIDE = 7, NX = SIDE * SIDE, NZ = 6, N = 4000, SMALL = 200 };

static const double LOG_2PI = 1.8378770664093454836;

/* --- principal components ------------------------------------------------------------------------------ */

/* Eigenvalues of a symmetric n×n matrix on its diagonal, in no order, and eigenvectors in the columns of v: cyclic
 * Jacobi rotations. */
static void jacobi(int n, double *a, double *v)
{
    for (int i = 0; i < n * n; i++)
        v[i] = i % (n + 1) == 0;
    for (int sweep = 0; sweep < 12; sweep++)
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) {
                if (a[p * n + q] == 0)
                    continue;
                double theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
                double t = copysign(1, theta) / (fabs(theta) + hypot(theta, 1));
                double c = 1 / hypot(t, 1), s = t * c;
                for (int k = 0; k < n; k++) {
                    double x = a[k * n + p], y = a[k * n + q];
                    a[k * n + p] = c * x - s * y, a[k * n + q] = s * x + c * y;
                }
                for (int k = 0; k < n; k++) {
                    double x = a[p * n + k], y = a[q * n + k];
                    a[p * n + k] = c * x - s * y, a[q * n + k] = s * x + c * y;
                    x = v[k * n + p], y = v[k * n + q];
                    v[k * n + p] = c * x - s * y, v[k * n + q] = s * x + c * y;
                }
            }
}

/* The maximum-likelihood fit: mean, the leading eigenvectors as rows and their eigenvalues, the noise, and the mean
 * log-likelihood there. */
typedef struct ppca {
    double mean[NX], vector[NZ][NX], value[NZ], noise, loglik;
} ppca;

static ppca fit(const double *x)
{
    static double cov[NX * NX], v[NX * NX];
    ppca p = {0};
    bool taken[NX] = {false};
    double rest = 0, log_det = 0;
    for (int i = 0; i < N * NX; i++)
        p.mean[i % NX] += x[i] / N;
    for (int a = 0; a < NX; a++)
        for (int b = 0; b < NX; b++) {
            cov[a * NX + b] = 0;
            for (int i = 0; i < N; i++)
                cov[a * NX + b] += (x[i * NX + a] - p.mean[a]) * (x[i * NX + b] - p.mean[b]) / N;
        }
    jacobi(NX, cov, v);
    for (int k = 0; k < NZ; k++) {
        int best = -1;
        for (int i = 0; i < NX; i++)
            if (!taken[i] && (best < 0 || cov[i * (NX + 1)] > cov[best * (NX + 1)]))
                best = i;
        taken[best] = true;
        p.value[k] = cov[best * (NX + 1)];
        log_det += log(p.value[k]);
        for (int i = 0; i < NX; i++)
            p.vector[k][i] = v[i * NX + best];
    }
    for (int i = 0; i < NX; i++)
        rest += taken[i] ? 0 : cov[i * (NX + 1)];
    p.noise = rest / (NX - NZ);
    p.loglik = -0.5 * (NX * LOG_2PI + log_det + (NX - NZ) * log(p.noise) + NX);
    return p;
}

/* --- data and models ----------------------------------------------------------------------------------- */

/* The embedded digits, each number the mean of 4×4 pixels: [N, NX] f64 in [0,1]. */
static tp_dataset digits(void)
{
    tp_dataset all, small = {0};
    assert_ok(tp_dataset_read(&all, TAPIR_SOURCE_DIR "/examples/data", "train"));
    assert_true(tp_dataset_size(&all) >= N && tp_dataset_width(&all) == 784);
    assert_ok(tp_tensor_new(&small.x, TP_F64, TP_SHAPE(N, NX)));
    const unsigned char *from = tp_data(&all.x);
    double *to = tp_data_mut(&small.x);
    for (int i = 0; i < N; i++)
        for (int p = 0; p < 784; p++)
            to[i * NX + p / 28 / 4 * SIDE + p % 28 / 4] += from[i * 784 + p] / (16 * 255.0);
    tp_dataset_free(&all);
    return small;
}

static void start(tp_model *m, int64_t nx, int64_t nz, tp_dtype dtype)
{
    tp_model_config c = tp_model_defaults(&tp_model_linear_vae);
    assert_int_equal(c.likelihood, TP_GAUSSIAN);
    c.data_dim = nx;
    c.latent_dim = nz;
    assert_ok(tp_model_init(m, &tp_model_linear_vae, c, dtype, 1));
    assert_int_equal(m->params.n, 6);
}

static tp_tensor *value(tp_model *m, const char *name)
{
    tp_parameter *p = tp_params_find(&m->params, name);
    assert_non_null(p);
    return &p->value;
}

static void set(tp_model *m, const char *name, int64_t i, double v)
{
    assert_ok(tp_set_flat(value(m, name), i, v));
}

static double get(tp_model *m, const char *name, int64_t i)
{
    return tp_flat(value(m, name), i);
}

/* W = U(Λ − σ²)^½ for any noise; q(z|x) is the exact posterior, which has a diagonal covariance because the columns of W
 * are orthogonal: variance σ²/λ, mean Wᵀ(x − b)/λ. */
static void set_to(tp_model *m, const ppca *p, double noise)
{
    set(m, "noise_logvar", 0, log(noise));
    for (int i = 0; i < NX; i++)
        set(m, "decoder.bias", i, p->mean[i]);
    for (int k = 0; k < NZ; k++) {
        double shift = 0, w = sqrt(p->value[k] - noise);
        set(m, "logvar", k, log(noise / p->value[k]));
        for (int i = 0; i < NX; i++) {
            set(m, "decoder.weight", i * NZ + k, w * p->vector[k][i]);
            set(m, "mu.weight", k * NX + i, w * p->vector[k][i] / p->value[k]);
            shift -= w * p->vector[k][i] / p->value[k] * p->mean[i];
        }
        set(m, "mu.bias", k, shift);
    }
}

/* --- what it says of data ------------------------------------------------------------------------------- */

static double exact_loglik(const tp_model *m, const tp_dataset *d)
{
    tp_batches b;
    tp_tape *t;
    double nll;
    assert_ok(tp_batches_init(&b, d, 500, m->params.dtype));
    assert_ok(tp_tape_new(&t));
    assert_ok(tp_model_nll(m, t, &b, 1, 1, &nll));
    tp_tape_free(t);
    tp_batches_free(&b);
    return -nll;
}

/* The ELBO without a draw: E_q[log p(x|z)] = log p(x|μ) − Σ_k s_k |w_k|²/2σ², s the variances of q. */
static double exact_elbo(tp_model *m, const double *x)
{
    double noise = exp(get(m, "noise_logvar", 0)), sum = -0.5 * NX * (LOG_2PI + log(noise));
    for (int k = 0; k < NZ; k++) {
        double v = get(m, "logvar", k);
        sum -= 0.5 * (exp(v) - 1 - v);
        for (int i = 0; i < NX; i++)
            sum -= 0.5 * exp(v) * pow(get(m, "decoder.weight", i * NZ + k), 2) / noise;
    }
    for (int n = 0; n < N; n++) {
        double z[NZ];
        for (int k = 0; k < NZ; k++) {
            z[k] = get(m, "mu.bias", k);
            for (int i = 0; i < NX; i++)
                z[k] += get(m, "mu.weight", k * NX + i) * x[n * NX + i];
            sum -= 0.5 * z[k] * z[k] / N;
        }
        for (int i = 0; i < NX; i++) {
            double gap = x[n * NX + i] - get(m, "decoder.bias", i);
            for (int k = 0; k < NZ; k++)
                gap -= get(m, "decoder.weight", i * NZ + k) * z[k];
            sum -= 0.5 * gap * gap / noise / N;
        }
    }
    return sum;
}

/* --- training ------------------------------------------------------------------------------------------ */

/* Adam, with a rate that falls to nothing. */
static void train(tp_model *m, const tp_dataset *d, uint64_t epochs)
{
    tp_batches b;
    tp_optimizer o;
    tp_stats stats;
    tp_trainer t = {.loss = tp_model_loss, .model = m, .optimizer = &o, .seed = 1};
    assert_ok(tp_tape_new(&t.tape));
    assert_ok(tp_adam_init(&o, &m->params, tp_adam_defaults()));
    assert_ok(tp_batches_init(&b, d, 100, TP_F64));
    for (uint64_t e = 0; e < epochs; e++) {
        o.lr = 0.02 * (1 - (double)e / (double)epochs);
        assert_ok(tp_train_epoch(&t, &b, e, &stats));
    }
    tp_tape_free(t.tape);
    tp_optimizer_free(&o);
    tp_batches_free(&b);
}

static void test_digits(void **state)
{
    (void)state;
    tp_dataset d = digits();
    const double *x = tp_data(&d.x);
    ppca p = fit(x);
    tp_model m;
    start(&m, NX, NZ, TP_F64);
    double before = exact_loglik(&m, &d);
    assert_true(exact_elbo(&m, x) < before && before < p.loglik - 20);
    train(&m, &d, 40);
    double loglik = exact_loglik(&m, &d), elbo = exact_elbo(&m, x);
    print_message(
        "nats per digit: exact pPCA %.4f, the linear VAE %.4f, its ELBO %.4f (%.1f before)\n",
        p.loglik, loglik, elbo, before);
    assert_true(loglik <= p.loglik && elbo <= loglik);
    assert_true(elbo > p.loglik - 1);
    tp_model_free(&m);
    tp_dataset_free(&d);
}

/* --- at the optimum ------------------------------------------------------------------------------------ */

/* The bound is tight: every draw has the weight p(x), whatever z it is. */
static void test_tight(void **state)
{
    (void)state;
    enum { K = 3 };
    tp_dataset d = digits();
    const double *x = tp_data(&d.x);
    ppca p = fit(x);
    tp_model m;
    tp_tape *t;
    tp_tensor some;
    start(&m, NX, NZ, TP_F64);
    set_to(&m, &p, p.noise);
    assert_close(exact_loglik(&m, &d), p.loglik, 1e-10, 0);
    assert_close(exact_elbo(&m, x), p.loglik, 1e-10, 0);
    assert_ok(tp_tape_new(&t));
    assert_ok(tp_view_slice(&d.x, 0, 0, SMALL, 1, &some));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_var data = tp_constant(t, &some);
    const tp_tensor *log_p = tp_value(m.type->logprob(m.self, &c, data)); /* [SMALL] */
    const tp_tensor *w = tp_value(tp_model_log_weight(&m, &c, data, K));  /* [K, SMALL] */
    assert_true(tp_shape_equal(w->shape, TP_SHAPE(K, SMALL)));
    for (int64_t i = 0; i < K * SMALL; i++)
        assert_close(tp_flat(w, i), tp_flat(log_p, i % SMALL), 1e-10, 0);
    for (int k = 0; k < NZ; k++) /* control: the variance of q taken for σ */
        set(&m, "logvar", k, 2 * get(&m, "logvar", k));
    tp_tape_reset(t);
    w = tp_value(tp_model_log_weight(&m, &c, tp_constant(t, &some), 2));
    assert_true(fabs(tp_flat(w, 0) - tp_flat(w, SMALL)) > 0.01);
    assert_true(exact_elbo(&m, x) < p.loglik - 0.1);
    tp_tape_free(t);
    tp_tensor_free(&some);
    tp_model_free(&m);
    tp_dataset_free(&d);
}

/* The reference is a maximum: neither more or less noise nor W = UΛ^½, in which the noise counts twice, reaches it. */
static void test_largest(void **state)
{
    (void)state;
    tp_dataset d = digits();
    ppca p = fit(tp_data(&d.x));
    tp_model m;
    start(&m, NX, NZ, TP_F64);
    for (int i = 0; i < 2; i++) {
        set_to(&m, &p, p.noise * (i == 0 ? 0.95 : 1.05));
        assert_true(exact_loglik(&m, &d) < p.loglik - 0.001);
    }
    set_to(&m, &p, p.noise);
    for (int k = 0; k < NZ; k++)
        for (int i = 0; i < NX; i++)
            set(&m, "decoder.weight", i * NZ + k, sqrt(p.value[k]) * p.vector[k][i]);
    assert_true(exact_loglik(&m, &d) < p.loglik - 0.01);
    tp_model_free(&m);
    tp_dataset_free(&d);
}

/* KL(q(z|x) ‖ p(z|x)) = 0 by the closed form for a full covariance, with W rotated it is not: then the posterior of a
 * linear VAE, which is diagonal, cannot be exact. */
static void test_posterior(void **state)
{
    (void)state;
    enum { D = 3, Z = 2 };
    static const double w[2][D * Z] = {{2, 0.5, 0, 1, -1, 1}, {1.5, 1, 1, 0.5, -0.5, 1}};
    for (int which = 0; which < 2; which++) {
        tp_model m;
        tp_tape *t;
        start(&m, D, Z, TP_F64);
        double noise = 0.4, a[Z][Z] = {{0}}, det;
        set(&m, "noise_logvar", 0, log(noise));
        for (int i = 0; i < D * Z; i++)
            set(&m, "decoder.weight", i, w[which][i]);
        for (int j = 0; j < Z; j++)
            for (int k = 0; k < Z; k++) {
                for (int i = 0; i < D; i++)
                    a[j][k] += w[which][i * Z + j] * w[which][i * Z + k] / noise;
                a[j][k] += j == k;
            }
        det = a[0][0] * a[1][1] - a[0][1] * a[1][0];
        double cov[] = {a[1][1] / det, -a[0][1] / det, -a[1][0] / det, a[0][0] / det};
        for (int k = 0; k < Z; k++) { /* the best a diagonal one can do */
            double shift = 0;
            set(&m, "logvar", k, -log(a[k][k]));
            for (int i = 0; i < D; i++) {
                double v = 0;
                for (int j = 0; j < Z; j++)
                    v += cov[k * Z + j] * w[which][i * Z + j] / noise;
                set(&m, "mu.weight", k * D + i, v);
                shift -= v * get(&m, "decoder.bias", i);
            }
            set(&m, "mu.bias", k, shift);
        }
        assert_ok(tp_tape_new(&t));
        tp_tensor x = uniform(TP_F64, 4, D, 1), covariance;
        assert_ok(tp_tensor_new(&covariance, TP_F64, TP_SHAPE(Z, Z)));
        for (int i = 0; i < Z * Z; i++)
            assert_ok(tp_set_flat(&covariance, i, cov[i]));
        tp_ctx c = tp_ctx_eval(t, 1, 0);
        tp_dist q = tp_model_posterior(&m, &c, tp_constant(t, &x));
        tp_var wide = tp_expand(tp_constant(t, &covariance), TP_SHAPE(4, Z, Z));
        const tp_tensor *kl = tp_value(tp_kl(q, tp_mvn_covariance(tp_dist_mean(q), wide)));
        /* ½ (log Π a_kk − log |A|): what a diagonal posterior has to pay */
        double want = 0.5 * log(a[0][0] * a[1][1] / det);
        for (int i = 0; i < 4; i++)
            assert_close(tp_flat(kl, i), want, 1e-13, 0);
        assert_true(which == 0 ? fabs(want) < 1e-15 : want > 0.1);
        tp_tape_free(t);
        tp_tensor_free(&x);
        tp_tensor_free(&covariance);
        tp_model_free(&m);
    }
}

/* --- log p(x) ------------------------------------------------------------------------------------------ */

/* N(x; b, WWᵀ + noise·I) with the matrix written out: [batch]. */
static tp_var dense(tp_model *m, tp_tape *t, const tp_tensor *x, double noise)
{
    tp_var w = tp_constant(t, value(m, "decoder.weight")), data = tp_constant(t, x);
    tp_shape s = tp_shape_of(data);
    tp_var bias = tp_expand(tp_constant(t, value(m, "decoder.bias")), s);
    tp_var eye = tp_diag(tp_full(t, m->params.dtype, TP_SHAPE(s.dim[1]), noise));
    tp_var cov = tp_add(tp_matmul(w, tp_transpose(w)), eye); /* [nx, nx] */
    tp_shape each = TP_SHAPE(s.dim[0], s.dim[1], s.dim[1]);
    return tp_dist_logprob(tp_mvn_covariance(bias, tp_expand(cov, each)), data);
}

/* More dimensions in x than in z, and the other way round; data of any sign; f32 as well. */
static void test_dense(void **state)
{
    (void)state;
    static const int sizes[][2] = {{6, 2}, {3, 5}, {1, 1}, {20, 4}};
    for (int i = 0; i < 4; i++)
        for (int d = TP_F32; d <= TP_F64; d++) {
            tp_model m;
            tp_tape *t;
            tp_tensor x;
            start(&m, sizes[i][0], sizes[i][1], (tp_dtype)d);
            set(&m, "noise_logvar", 0, -1.3);
            assert_ok(tp_tensor_new(&x, (tp_dtype)d, TP_SHAPE(7, sizes[i][0])));
            assert_ok(tp_random_normal(&x, (tp_rng_key){3, 0, 0}));
            assert_ok(tp_tape_new(&t));
            tp_ctx c = tp_ctx_eval(t, 1, 0);
            const tp_tensor *got = tp_value(m.type->logprob(m.self, &c, tp_constant(t, &x)));
            const tp_tensor *want = tp_value(dense(&m, t, &x, exp(-1.3)));
            const tp_tensor *wrong = tp_value(dense(&m, t, &x, exp(-1.3 / 2))); /* σ for σ² */
            assert_true(tp_shape_equal(got->shape, TP_SHAPE(7)));
            for (int k = 0; k < 7; k++) {
                assert_close(tp_flat(got, k), tp_flat(want, k), d == TP_F64 ? 1e-10 : 1e-4, 0);
                assert_true(fabs(tp_flat(got, k) - tp_flat(wrong, k)) > 1e-3);
            }
            tp_objective o = tp_model_loss(&m, &c, tp_constant(t, &x)); /* of any real numbers */
            assert_true(isfinite(tp_item_of(o.total)));
            tp_tape_free(t);
            tp_tensor_free(&x);
            tp_model_free(&m);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digits),  cmocka_unit_test(test_tight),
        cmocka_unit_test(test_largest), cmocka_unit_test(test_posterior),
        cmocka_unit_test(test_dense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
