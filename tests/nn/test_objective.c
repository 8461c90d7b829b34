/* test_objective.c: the negative ELBO against truth.
 *
 * Where log p(x) is known exactly the gap to the bound must be the KL to the true posterior. Convention under
 * test: sum over the event, mean over the batch, nats. Read next: nn/objective.h.
 */
#include "tests/nn/fixture.h"

#include <math.h>
#include <string.h>

#include "autograd/sweep.h"
#include "nn/dist.h"
#include "nn/objective.h"

/* --- the node that is minimised ----------------------------------------------------------------- */

/* total is recon + β·kl to the last bit, in both types. */
static void test_total(void **state)
{
    (void)state;
    const double beta[] = {1, 0, 0.3, 4};
    for (int k = 0; k < 8; k++) {
        fixture *f = fixture_new();
        tp_dtype dtype = k < 4 ? TP_F32 : TP_F64;
        tp_var logprob = tp_constant(f->tape, fixture_draw(f, dtype, TP_SHAPE(7), 1, 30, -100));
        tp_var kl = tp_constant(f->tape, fixture_draw(f, dtype, TP_SHAPE(7), 2, 1, 8));
        tp_objective o = tp_negative_elbo(logprob, kl, (tp_elbo_opts){.beta = beta[k % 4]});
        double recon = tp_item_of(o.term[0].value), mean_kl = tp_item_of(o.term[1].value), total;
        if (dtype == TP_F32) {
            volatile float weighted = (float)beta[k % 4] * (float)mean_kl;
            total = (float)((float)recon + weighted);
        } else {
            volatile double weighted = beta[k % 4] * mean_kl;
            total = recon + weighted;
        }
        assert_true(tp_item_of(o.total) == total);
        assert_int_equal(o.terms, 2);
        assert_string_equal(o.term[0].name, "recon");
        assert_string_equal(o.term[1].name, "kl");
        assert_true(o.term[0].weight == 1 && o.term[1].weight == beta[k % 4]);
        fixture_free(f);
    }
    assert_true(tp_elbo_defaults().beta == 1);
}

static void test_means(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double logprob[] = {-1, -2, -6}, kl[] = {0.5, 1, 3};
    tp_var p = given(f, TP_SHAPE(3), logprob), d = given(f, TP_SHAPE(3), kl);
    tp_objective elbo = tp_negative_elbo(p, d, tp_elbo_defaults()), ae = tp_reconstruction(p);
    assert_close(tp_item_of(elbo.total), 4.5, 0, 1e-15);
    assert_close(tp_item_of(elbo.term[0].value), 3, 0, 1e-15);
    assert_close(tp_item_of(elbo.term[1].value), 1.5, 0, 1e-15);
    assert_close(tp_item_of(ae.total), 3, 0, 1e-15);
    assert_int_equal(ae.terms, 1);
    assert_string_equal(ae.term[0].name, "recon");
    assert_int_equal(ae.total.id, ae.term[0].value.id);
    tp_objective exact = tp_negative_loglikelihood(p);
    assert_close(tp_item_of(exact.total), 3, 0, 1e-15);
    assert_string_equal(exact.term[0].name, "nll");
    char text[TP_VAR_TEXT];
    assert_non_null(strstr(tp_var_text(elbo.total, text), "'loss'"));
    assert_non_null(strstr(tp_var_text(elbo.term[1].value, text), "'kl'"));
    fixture_free(f);
}

/* An untrained decoder that says ½ everywhere costs 784·ln 2 nats, whatever the image. */
static void test_zero_logits(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_F64; d++) {
        fixture *f = fixture_new();
        tp_dtype dtype = (tp_dtype)d;
        tp_tensor *x = fixture_draw(f, dtype, TP_SHAPE(5, 784), 1, 0.1, 0.5);
        for (int64_t i = 0; i < tp_numel(x); i++)
            assert_ok(tp_set_flat(x, i, fmin(1, fmax(0, tp_flat(x, i)))));
        tp_var logits = tp_full(f->tape, dtype, TP_SHAPE(5, 784), 0);
        tp_var mu = tp_full(f->tape, dtype, TP_SHAPE(5, 20), 0);
        tp_objective o = tp_negative_elbo(
            tp_dist_logprob(tp_bernoulli_logits(logits), tp_constant(f->tape, x)),
            tp_kl(tp_normal_fixed(mu, 0), tp_normal_standard(mu)), tp_elbo_defaults());
        assert_close(tp_item_of(o.total), 543.42738955899714, 0, dtype == TP_F64 ? 1e-14 : 1e-6);
        assert_true(tp_item_of(o.term[1].value) == 0);
        fixture_free(f);
    }
}

/* --- a model whose evidence is known ------------------------------------------------------------ */

/* z ~ N(0, I₂), x|z ~ N(Wz + b, s²I₃): then x ~ N(b, WWᵀ + s²I), and the posterior is
 * N(A⁻¹Wᵀ(x − b)/s², A⁻¹) with A = I + WᵀW/s². The reference is plain C. */
enum { NX = 3, NZ = 2, BATCH = 4 };

static const double W[NX * NZ] = {0.9, -0.4, 0.3, 1.1, -0.7, 0.5};
static const double B[NX] = {0.2, -0.1, 0.4};
static const double LOG_S2 = -0.8;

/* log |a|, and y = a⁻¹ x, by elimination; a is positive definite. */
static double solve(int n, const double *matrix, const double *x, double *y)
{
    double a[NX * NX], log_det = 0;
    memcpy(a, matrix, (size_t)(n * n) * sizeof *a);
    memcpy(y, x, (size_t)n * sizeof *y);
    for (int k = 0; k < n; k++) {
        log_det += log(a[k * n + k]);
        for (int i = k + 1; i < n; i++) {
            double factor = a[i * n + k] / a[k * n + k];
            for (int j = k; j < n; j++)
                a[i * n + j] -= factor * a[k * n + j];
            y[i] -= factor * y[k];
        }
    }
    for (int k = n - 1; k >= 0; k--) {
        for (int j = k + 1; j < n; j++)
            y[k] -= a[k * n + j] * y[j];
        y[k] /= a[k * n + k];
    }
    return log_det;
}

static double evidence(const double *x)
{
    double cov[NX * NX], gap[NX], solved[NX], quadratic = 0;
    for (int i = 0; i < NX; i++) {
        gap[i] = x[i] - B[i];
        for (int j = 0; j < NX; j++) {
            cov[i * NX + j] = i == j ? exp(LOG_S2) : 0;
            for (int k = 0; k < NZ; k++)
                cov[i * NX + j] += W[i * NZ + k] * W[j * NZ + k];
        }
    }
    double log_det = solve(NX, cov, gap, solved);
    for (int i = 0; i < NX; i++)
        quadratic += gap[i] * solved[i];
    return -0.5 * (quadratic + log_det + NX * log(2 * acos(-1)));
}

/* A, and the posterior's mean. */
static void posterior(const double *x, double precision[NZ * NZ], double mean[NZ])
{
    double right[NZ] = {0};
    for (int k = 0; k < NZ; k++)
        for (int l = 0; l < NZ; l++) {
            precision[k * NZ + l] = k == l;
            for (int i = 0; i < NX; i++)
                precision[k * NZ + l] += W[i * NZ + k] * W[i * NZ + l] / exp(LOG_S2);
        }
    for (int k = 0; k < NZ; k++)
        for (int i = 0; i < NX; i++)
            right[k] += W[i * NZ + k] * (x[i] - B[i]) / exp(LOG_S2);
    solve(NZ, precision, right, mean);
}

/* KL(N(m, diag e^v) ‖ posterior) = ½ [tr(AΣ) + (m − μ)ᵀA(m − μ) − k − log|Σ| − log|A|] */
static double kl_to_posterior(const double *x, const double *m, const double *v)
{
    double a[NZ * NZ], mu[NZ], unused[NZ], sum = -NZ;
    posterior(x, a, mu);
    for (int k = 0; k < NZ; k++) {
        sum += a[k * NZ + k] * exp(v[k]) - v[k];
        for (int l = 0; l < NZ; l++)
            sum += (m[k] - mu[k]) * a[k * NZ + l] * (m[l] - mu[l]);
    }
    return 0.5 * (sum - solve(NZ, a, mu, unused));
}

static tp_dist decode(fixture *f, tp_var z)
{
    return tp_normal_fixed(tp_linear(z, given(f, TP_SHAPE(NX, NZ), W), given(f, TP_SHAPE(NX), B)),
                           LOG_S2);
}

/* E_q log p(x|z) in closed form: at the mean, less ½ Σ_k e^{v_k} |W_k|²/s². */
static tp_var expected_logprob(fixture *f, tp_dist q, tp_var x)
{
    double columns[NZ] = {0};
    for (int i = 0; i < NX * NZ; i++)
        columns[i % NZ] += W[i] * W[i] / exp(LOG_S2);
    tp_var spread = tp_mul(tp_exp(q.param[1]), given(f, TP_SHAPE(NZ), columns));
    return tp_sub(tp_dist_logprob(decode(f, q.param[0]), x),
                  tp_scale(tp_sum(spread, TP_AXES(-1), false), 0.5));
}

/* log p(x) = ELBO + KL(q ‖ posterior) for any q, here a random one per example. */
static void test_exact_evidence(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_tensor *x = fixture_draw(f, TP_F64, TP_SHAPE(BATCH, NX), 1, 1, 0);
    tp_tensor *m = fixture_draw(f, TP_F64, TP_SHAPE(BATCH, NZ), 2, 1, 0);
    tp_tensor *v = fixture_draw(f, TP_F64, TP_SHAPE(BATCH, NZ), 3, 0.7, -1);
    tp_dist q = tp_normal_logvar(tp_constant(f->tape, m), tp_constant(f->tape, v));
    tp_objective o = tp_negative_elbo(expected_logprob(f, q, tp_constant(f->tape, x)),
                                      tp_kl(q, tp_normal_standard(q.param[0])), tp_elbo_defaults());
    double log_p = 0, gap = 0;
    for (int i = 0; i < BATCH; i++) {
        const double *xi = (const double *)tp_data(x) + i * NX;
        double kl = kl_to_posterior(xi, (const double *)tp_data(m) + i * NZ,
                                    (const double *)tp_data(v) + i * NZ);
        assert_true(kl > 0);
        log_p += evidence(xi) / BATCH;
        gap += kl / BATCH;
    }
    assert_close(-tp_item_of(o.total) + gap, log_p, 0, 1e-10);
    assert_true(-tp_item_of(o.total) < log_p);
    fixture_free(f);
}

/* The sampled bound has the right mean (four standard errors) and stays below the evidence. */
static void test_sampled_bound(void **state)
{
    (void)state;
    enum { N = 40000 };
    fixture *f = fixture_new();
    const double x[NX] = {0.8, -0.5, 1.1}, m[NZ] = {0.4, -0.3}, v[NZ] = {-1, -0.6};
    tp_dist q = tp_normal_logvar(tp_expand(given(f, TP_SHAPE(NZ), m), TP_SHAPE(N, NZ)),
                                 tp_expand(given(f, TP_SHAPE(NZ), v), TP_SHAPE(N, NZ)));
    tp_var many_x = tp_expand(given(f, TP_SHAPE(NX), x), TP_SHAPE(N, NX));
    tp_ctx c = tp_ctx_train(f->tape, 5, 0);
    tp_var logprob = tp_dist_logprob(decode(f, tp_dist_rsample(q, &c)), many_x);
    tp_objective o =
        tp_negative_elbo(logprob, tp_kl(q, tp_normal_standard(q.param[0])), tp_elbo_defaults());
    double square = 0, recon = tp_item_of(o.term[0].value);
    const double *value = tp_data(tp_value(logprob));
    for (int64_t i = 0; i < N; i++)
        square += (value[i] + recon) * (value[i] + recon) / N;
    double bound = evidence(x) - kl_to_posterior(x, m, v);
    assert_close(-tp_item_of(o.total), bound, 4 * sqrt(square / N), 0);
    fixture_free(f);
}

/* --- batches ------------------------------------------------------------------------------------ */

/* The loss of a union of batches is their mean weighted by size: nothing depends on how data is cut. */
static void test_union(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_tensor *p = fixture_draw(f, TP_F64, TP_SHAPE(12), 1, 20, -90);
    tp_tensor *d = fixture_draw(f, TP_F64, TP_SHAPE(12), 2, 1, 5);
    const int64_t cut[] = {0, 5, 11, 12};
    tp_elbo_opts opts = {.beta = 2};
    double sum = 0;
    for (int i = 0; i < 3; i++) {
        tp_tensor part[2];
        assert_ok(tp_view_slice(p, 0, cut[i], cut[i + 1], 1, &part[0]));
        assert_ok(tp_view_slice(d, 0, cut[i], cut[i + 1], 1, &part[1]));
        tp_objective o =
            tp_negative_elbo(tp_constant(f->tape, &part[0]), tp_constant(f->tape, &part[1]), opts);
        sum += tp_item_of(o.total) * (double)(cut[i + 1] - cut[i]);
    }
    tp_objective all = tp_negative_elbo(tp_constant(f->tape, p), tp_constant(f->tape, d), opts);
    assert_close(tp_item_of(all.total), sum / 12, 0, 1e-14);
    fixture_free(f);
}

/* ∂total/∂logprob_i = −1/n and ∂total/∂kl_i = β/n. */
static void test_gradient(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_var p = tp_leaf(f->tape, fixture_draw(f, TP_F64, TP_SHAPE(5), 1, 1, 0));
    tp_var d = tp_leaf(f->tape, fixture_draw(f, TP_F64, TP_SHAPE(5), 2, 1, 0));
    assert_ok(tp_backward(tp_negative_elbo(p, d, (tp_elbo_opts){.beta = 3}).total));
    for (int64_t i = 0; i < 5; i++) {
        assert_close(tp_flat(tp_leaf_grad(p), i), -0.2, 0, 1e-15);
        assert_close(tp_flat(tp_leaf_grad(d), i), 0.6, 0, 1e-15);
    }
    fixture_free(f);
}

/* A log-density not summed over its event, or a KL of another batch, would be averaged in silence. */
static void test_shapes(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_var four = tp_full(f->tape, TP_F64, TP_SHAPE(4), 1);
    tp_negative_elbo(four, tp_full(f->tape, TP_F64, TP_SHAPE(3), 1), tp_elbo_defaults());
    assert_int_equal(tp_tape_status(f->tape), TP_ESHAPE);
    assert_non_null(strstr(tp_tape_message(f->tape), "log-density has shape [4], the KL [3]"));
    tp_tape_reset(f->tape);
    tp_reconstruction(tp_full(f->tape, TP_F64, TP_SHAPE(64, 20), 1));
    assert_non_null(strstr(tp_tape_message(f->tape), "[64,20], but [batch] is needed"));
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),         cmocka_unit_test(test_total),
        cmocka_unit_test(test_means),          cmocka_unit_test(test_zero_logits),
        cmocka_unit_test(test_exact_evidence), cmocka_unit_test(test_sampled_bound),
        cmocka_unit_test(test_union),          cmocka_unit_test(test_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
