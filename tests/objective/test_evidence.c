/* test_evidence.c: log p(x) = ELBO + KL(q ‖ p(z|x)), to the last digits, on models whose evidence is known.
 *
 * The bound is the library's, everything else plain C. Formulas that are found in the wild, and that no gradient check
 * can refute, are kept here as controls, each of which must miss the evidence. Read next: test_importance.c.
 */
#include "tests/objective/exact.h"

#include "nn/objective.h"

enum { BATCH = 5 };

/* What a bound is made of, per example. */
typedef struct parts {
    double logprob[BATCH], kl[BATCH]; /* E_q log p(x|z), KL(q ‖ p(z)) */
    double evidence, gap;             /* means of log p(x) and KL(q ‖ p(z|x)) */
    int pixels, latents;
} parts;

/* ½ [|C|² + |m|² − k − log |CCᵀ|] */
static double kl_to_prior(const double *m, const double *c)
{
    double sum = -NZ;
    for (int k = 0; k < NZ; k++) {
        sum += m[k] * m[k] - 2 * log(c[k * NZ + k]);
        for (int j = 0; j <= k; j++)
            sum += c[k * NZ + j] * c[k * NZ + j];
    }
    return 0.5 * sum;
}

/* E_q log N(x; Wz + b, s²I): at the mean, less ½ |WC|²/s² */
static double expected_logprob(const double *x, const double *m, const double *c)
{
    double sum = 0;
    for (int i = 0; i < NX; i++) {
        double gap = x[i] - B[i];
        for (int k = 0; k < NZ; k++)
            gap -= W[i * NZ + k] * m[k];
        sum += gap * gap / exp(LOG_S2) + LOG_S2 + LOG_2PI;
        for (int j = 0; j < NZ; j++) {
            double wc = 0;
            for (int k = j; k < NZ; k++)
                wc += W[i * NZ + k] * c[k * NZ + j];
            sum += wc * wc / exp(LOG_S2);
        }
    }
    return -0.5 * sum;
}

/* Any x, and any normal q for each, with a full covariance. */
static parts linear_parts(fixture *f)
{
    parts p = {.pixels = NX, .latents = NZ};
    const double *x = tp_data(fixture_draw(f, TP_F64, TP_SHAPE(BATCH, NX), 1, 1.5, 0));
    const double *m = tp_data(fixture_draw(f, TP_F64, TP_SHAPE(BATCH, NZ), 2, 1, 0));
    const double *l = tp_data(fixture_draw(f, TP_F64, TP_SHAPE(BATCH, NZ, NZ), 3, 0.4, 0));
    for (int i = 0; i < BATCH; i++, x += NX, m += NZ, l += NZ * NZ) {
        double c[NZ * NZ] = {exp(l[0]), 0, l[2], exp(l[3])};
        p.logprob[i] = expected_logprob(x, m, c);
        p.kl[i] = kl_to_prior(m, c);
        p.evidence += linear_evidence(x) / BATCH;
        p.gap += linear_kl_to_posterior(x, m, c) / BATCH;
    }
    return p;
}

static parts states_parts(int first)
{
    parts p = {.pixels = 2, .latents = 2}; /* not 1, or controls would be right by accident */
    for (int i = 0; i < BATCH; i++) {
        states m = enumerable(first + i % 3);
        for (int s = 0; s < STATES; s++) {
            p.logprob[i] += exp(m.q[s]) * m.logprob[s];
            p.kl[i] += exp(m.q[s]) * (m.q[s] - m.prior[s]);
        }
        p.evidence += states_evidence(&m) / BATCH;
        p.gap += states_kl_to_posterior(&m) / BATCH;
    }
    return p;
}

static double library(fixture *f, const parts *p)
{
    return tp_item_of(tp_negative_elbo(given(f, TP_SHAPE(BATCH), p->logprob),
                                       given(f, TP_SHAPE(BATCH), p->kl), tp_elbo_defaults())
                          .total);
}

/* Losses seen elsewhere, made of the same parts. */
static double mean(const double *x)
{
    return (x[0] + x[1] + x[2] + x[3] + x[4]) / BATCH;
}

static double twice(const parts *p)
{
    return 2 * (mean(p->kl) - mean(p->logprob));
}

static double maximise_kl(const parts *p)
{
    return -mean(p->logprob) - mean(p->kl);
}

static double kl_over_dimensions(const parts *p)
{
    return -mean(p->logprob) + mean(p->kl) / p->latents;
}

static double recon_over_pixels(const parts *p)
{
    return -mean(p->logprob) / p->pixels + mean(p->kl);
}

static double kl_over_both(const parts *p)
{
    return -mean(p->logprob) + mean(p->kl) / BATCH;
}

static double without_2pi(const parts *p)
{
    return -mean(p->logprob) - 0.5 * p->pixels * LOG_2PI + mean(p->kl);
}

static double beta_of_two(const parts *p)
{
    return -mean(p->logprob) + 2 * mean(p->kl);
}

static const struct {
    const char *name;
    double (*loss)(const parts *p);
} wrong[] = {{"2 × the bound", twice},
             {"maximise the KL", maximise_kl},
             {"KL averaged over dimensions", kl_over_dimensions},
             {"reconstruction averaged over pixels", recon_over_pixels},
             {"KL divided by the batch twice", kl_over_both},
             {"−(D/2)·log 2π dropped", without_2pi},
             {"β = 2", beta_of_two}};

static bool adds_up(double loss, const parts *p)
{
    return fabs(-loss + p->gap - p->evidence) <= 1e-10 && -loss < p->evidence;
}

static void test_evidence(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    parts models[] = {linear_parts(f), states_parts(0), states_parts(3)};
    for (int i = 0; i < 3; i++) {
        assert_true(models[i].gap > 0.01);
        assert_close(-library(f, &models[i]) + models[i].gap, models[i].evidence, 1e-10, 0);
        assert_true(adds_up(library(f, &models[i]), &models[i]));
        for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++)
            if (adds_up(wrong[w].loss(&models[i]), &models[i]))
                fail_msg("not refuted: %s", wrong[w].name);
    }
    fixture_free(f);
}

/* The sampled KL has the analytic one as its mean: exactly, over all states; and L samples count as one each. */
static void test_sampled_kl(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    for (int i = 0; i < MODELS; i++) {
        states m = enumerable(i);
        tp_var kl =
            tp_sampled_kl(given(f, TP_SHAPE(STATES), m.q), given(f, TP_SHAPE(STATES), m.prior));
        double sum = 0, want = 0;
        for (int s = 0; s < STATES; s++) {
            sum += exp(m.q[s]) * numbers(kl)[s];
            want += exp(m.q[s]) * (m.q[s] - m.prior[s]);
        }
        assert_close(sum, want, 1e-14, 0);
    }
    const double x[] = {1, 2, 3, 5, 7, 9}, over_samples[] = {3, 4.5, 6};
    assert_tensor_close(tp_value(tp_sample_mean(given(f, TP_SHAPE(2, 3), x))), over_samples, 3, 0,
                        1e-15);
    fixture_free(f);
}

/* With q = p(z|x) every weight is p(x): the bound, of any number of samples, is the evidence without any noise. */
static void test_no_noise_at_the_posterior(void **state)
{
    (void)state;
    enum { M = 3, K = 7 };
    fixture *f = fixture_new();
    const double x[NX] = {0.8, -0.5, 1.1};
    double mean_z[NZ], l[NZ * NZ], z[M * K * NZ], log_q[M * K];
    double log_det = linear_posterior(x, mean_z, l), evidence = linear_evidence(x);
    const double *eps = tp_data(fixture_draw(f, TP_F64, TP_SHAPE(M * K, NZ), 4, 1, 0));
    for (int i = 0; i < M * K; i++) { /* z = mean + L⁻ᵀε, whose density is that of ε times |L| */
        log_q[i] = 0.5 * log_det - NZ * LOG_2PI / 2;
        for (int k = 0; k < NZ; k++) {
            z[i * NZ + k] = eps[i * NZ + k];
            log_q[i] -= 0.5 * eps[i * NZ + k] * eps[i * NZ + k];
        }
        backward(NZ, l, z + i * NZ);
        for (int k = 0; k < NZ; k++)
            z[i * NZ + k] += mean_z[k];
    }
    tp_shape each = TP_SHAPE(M, K, 1), flat = TP_SHAPE(M * K, 1), one = TP_SHAPE(M * K);
    tp_var zs = given(f, TP_SHAPE(M, K, 1, NZ), z);
    tp_var logprob = linear_logprob(f, zs, x, given(f, TP_SHAPE(NX), B));
    tp_var prior = standard_logprob(f, zs), posterior = given(f, each, log_q);
    tp_var log_w = tp_log_weight(logprob, prior, posterior); /* [M, K, 1] */
    for (int i = 0; i < M * K; i++)
        assert_close(numbers(log_w)[i], evidence, 1e-10, 0);
    tp_var kl = tp_sampled_kl(tp_reshape(posterior, one), tp_reshape(prior, one));
    tp_objective o = tp_negative_elbo(tp_reshape(logprob, one), kl, tp_elbo_defaults());
    assert_close(-tp_item_of(o.total), evidence, 1e-10, 0);
    assert_close(-tp_item_of(tp_iwae(tp_reshape(log_w, flat)).total), evidence, 1e-10, 0);
    assert_close(-tp_item_of(tp_miwae(log_w).total), evidence, 1e-10, 0);
    assert_close(numbers(tp_importance_logprob(tp_reshape(log_w, flat)))[0], evidence, 1e-10, 0);
    fixture_free(f);
}

/* An ELBO of L samples per example has the exact one as its mean, within four standard errors, which fall with L. */
static void test_samples(void **state)
{
    (void)state;
    enum { N = 10000 };
    const double x[NX] = {0.8, -0.5, 1.1}, m[NZ] = {0.4, -0.3}, v[NZ] = {-1, -0.6};
    const double c[NZ * NZ] = {exp(-0.5), 0, 0, exp(-0.3)};
    double bound = linear_evidence(x) - linear_kl_to_posterior(x, m, c), se[2];
    for (int many = 0; many < 2; many++)
        for (int analytic = 0; analytic < 2; analytic++) {
            fixture *f = fixture_new();
            int64_t samples = many ? 8 : 1;
            tp_shape each = TP_SHAPE(samples, N, NZ);
            tp_var mu = tp_expand(given(f, TP_SHAPE(NZ), m), each);
            tp_var logvar = tp_expand(given(f, TP_SHAPE(NZ), v), each);
            tp_var eps = tp_noise_normal(f->tape, TP_F64, each, (tp_rng_key){.seed = 3});
            tp_var z = tp_reparameterize(mu, logvar, eps); /* [L, N, NZ] */
            tp_var log_q = log_normal(z, mu, logvar);
            tp_var kl = tp_full(f->tape, TP_F64, TP_SHAPE(N), kl_to_prior(m, c));
            if (!analytic)
                kl = tp_sample_mean(tp_sampled_kl(log_q, standard_logprob(f, z)));
            tp_var logprob = tp_sample_mean(linear_logprob(f, z, x, given(f, TP_SHAPE(NX), B)));
            tp_objective o = tp_negative_elbo(logprob, kl, tp_elbo_defaults());
            mean_of(numbers(tp_sub(logprob, kl)), N, 1, &se[many]);
            assert_close(-tp_item_of(o.total), bound, 4 * se[many], 0);
            if (many && !analytic)
                assert_close(se[1] / se[0], sqrt(1.0 / 8), 0, 0.1);
            fixture_free(f);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evidence),
        cmocka_unit_test(test_sampled_kl),
        cmocka_unit_test(test_no_noise_at_the_posterior),
        cmocka_unit_test(test_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
