/* exact.h: models whose evidence log p(x) is known, in plain C that shares nothing with the library.
 *
 * A linear-Gaussian model, by Cholesky factors; and models with few latent states, where a sum over all of them is
 * exact: a discrete one and a Gaussian mixture. Read next: test_evidence.c.
 */
#ifndef TP_TESTS_OBJECTIVE_EXACT_H
#define TP_TESTS_OBJECTIVE_EXACT_H

#include "tests/nn/fixture.h"

#include <math.h>

static const double LOG_2PI = 1.8378770664093454836;

/* --- numbers ---------------------------------------------------------------------------------------- */

/* Mean of n numbers at a stride, and the standard error of that mean. */
static inline double mean_of(const double *x, int64_t n, int64_t stride, double *se)
{
    double mean = 0, square = 0;
    for (int64_t i = 0; i < n; i++)
        mean += x[i * stride] / (double)n;
    for (int64_t i = 0; i < n; i++)
        square += (x[i * stride] - mean) * (x[i * stride] - mean) / (double)n;
    *se = sqrt(square / (double)n);
    return mean;
}

static inline const double *numbers(tp_var x)
{
    const tp_tensor *t = tp_value(x);
    assert_non_null(t);
    assert_true(t->dtype == TP_F64 && tp_is_contiguous(t));
    return tp_data(t);
}

/* Lower factor of a, in place; log |a|. */
static inline double factor(int n, double *a)
{
    double log_det = 0;
    for (int j = 0; j < n; j++)
        for (int i = j; i < n; i++) {
            double sum = a[i * n + j];
            for (int k = 0; k < j; k++)
                sum -= a[i * n + k] * a[j * n + k];
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
            log_det += i == j ? log(sum) : 0;
        }
    return log_det;
}

/* L⁻¹x in place, and (Lᵀ)⁻¹x. */
static inline void forward(int n, const double *l, double *x)
{
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < i; k++)
            x[i] -= l[i * n + k] * x[k];
        x[i] /= l[i * n + i];
    }
}

static inline void backward(int n, const double *l, double *x)
{
    for (int i = n - 1; i >= 0; i--) {
        for (int k = i + 1; k < n; k++)
            x[i] -= l[k * n + i] * x[k];
        x[i] /= l[i * n + i];
    }
}

/* --- densities on a tape, written down here once more ------------------------------------------------ */

/* log N(x; mu, e^logvar) over the last axis; shapes broadcast */
static inline tp_var log_normal(tp_var x, tp_var mu, tp_var logvar)
{
    tp_var d2 = tp_mul(tp_square(tp_sub(x, mu)), tp_exp(tp_neg(logvar)));
    tp_var all = tp_add(tp_shift(d2, LOG_2PI), logvar);
    return tp_scale(tp_sum(all, TP_AXES(-1), false), -0.5);
}

static inline tp_var number(fixture *f, double v)
{
    return tp_scalar(f->tape, TP_F64, v);
}

/* --- the linear-Gaussian model: z ~ N(0, I), x|z ~ N(Wz + b, s²I) ------------------------------------- */

enum { NX = 3, NZ = 2 };

static const double W[NX * NZ] = {0.9, -0.4, 0.3, 1.1, -0.7, 0.5};
static const double B[NX] = {0.2, -0.1, 0.4};
static const double LOG_S2 = -0.8;

static inline double linear_evidence(const double *x)
{
    double l[NX * NX], d[NX], quadratic = 0;
    for (int i = 0; i < NX; i++) {
        d[i] = x[i] - B[i];
        for (int j = 0; j < NX; j++) {
            l[i * NX + j] = i == j ? exp(LOG_S2) : 0;
            for (int k = 0; k < NZ; k++)
                l[i * NX + j] += W[i * NZ + k] * W[j * NZ + k];
        }
    }
    double log_det = factor(NX, l);
    forward(NX, l, d);
    for (int i = 0; i < NX; i++)
        quadratic += d[i] * d[i];
    return -0.5 * (quadratic + log_det + NX * LOG_2PI);
}

/* p(z|x) = N(mean, A⁻¹) with A = I + WᵀW/s²: gives the mean and L with A = LLᵀ; log |A|. */
static inline double linear_posterior(const double *x, double mean[NZ], double l[NZ * NZ])
{
    for (int k = 0; k < NZ; k++) {
        mean[k] = 0;
        for (int i = 0; i < NX; i++)
            mean[k] += W[i * NZ + k] * (x[i] - B[i]) / exp(LOG_S2);
        for (int m = 0; m < NZ; m++) {
            l[k * NZ + m] = k == m;
            for (int i = 0; i < NX; i++)
                l[k * NZ + m] += W[i * NZ + k] * W[i * NZ + m] / exp(LOG_S2);
        }
    }
    double log_det = factor(NZ, l);
    forward(NZ, l, mean);
    backward(NZ, l, mean);
    return log_det;
}

/* KL(N(m, CCᵀ) ‖ p(z|x)) = ½ [|LᵀC|² + |Lᵀ(m − mean)|² − k − log|A| − log|CCᵀ|], C lower triangular */
static inline double linear_kl_to_posterior(const double *x, const double *m, const double *c)
{
    double mean[NZ], l[NZ * NZ], sum = -NZ - linear_posterior(x, mean, l);
    for (int k = 0; k < NZ; k++) {
        double gap = 0;
        for (int i = k; i < NZ; i++)
            gap += l[i * NZ + k] * (m[i] - mean[i]);
        sum += gap * gap - 2 * log(c[k * NZ + k]);
        for (int j = 0; j < NZ; j++) {
            double lc = 0;
            for (int i = k; i < NZ; i++)
                lc += l[i * NZ + k] * (i >= j ? c[i * NZ + j] : 0);
            sum += lc * lc;
        }
    }
    return 0.5 * sum;
}

/* log p(x|z) for z [.., NZ] and x [NX]: [..] */
static inline tp_var linear_logprob(fixture *f, tp_var z, const double *x, tp_var bias)
{
    tp_var mean = tp_add(tp_matmul(z, tp_transpose(given(f, TP_SHAPE(NX, NZ), W))), bias);
    return log_normal(given(f, TP_SHAPE(NX), x), mean, number(f, LOG_S2));
}

static inline tp_var standard_logprob(fixture *f, tp_var z)
{
    return log_normal(z, number(f, 0), number(f, 0));
}

/* --- models with few states ---------------------------------------------------------------------------- */

enum { STATES = 4 };

/* For one x: log p(z), log p(x|z) and some log q(z|x). */
typedef struct states {
    double prior[STATES], logprob[STATES], q[STATES];
} states;

static inline void normalise(double *log_p)
{
    double sum = 0;
    for (int s = 0; s < STATES; s++)
        sum += exp(log_p[s]);
    for (int s = 0; s < STATES; s++)
        log_p[s] -= log(sum);
}

enum { SYMBOLS = 3 };

static const double SYMBOL[STATES][SYMBOLS] = {
    {0.7, 0.2, 0.1}, {0.1, 0.85, 0.05}, {0.25, 0.25, 0.5}, {0.02, 0.08, 0.9}};

/* x is one of three symbols */
static inline states discrete_model(int x)
{
    states m = {.prior = {0.3, -0.2, 1, 0.1}, .q = {0.4, 0.1, -0.6, 0.9}};
    for (int s = 0; s < STATES; s++) {
        m.logprob[s] = log(SYMBOL[s][x]);
        m.q[s] *= x + 1;
    }
    normalise(m.prior);
    normalise(m.q);
    return m;
}

static const double CENTRE[STATES][2] = {{0, 0}, {2, 1}, {-1, 1.5}, {0.5, -2}};
static const double SPREAD[STATES] = {0, -0.7, 0.4, -0.2}; /* log-variances */

/* x in the plane; z is the component */
static inline states mixture_model(double x, double y)
{
    states m = {.prior = {0.1, 0.6, -0.3, 0}, .q = {0.2, -0.5, 0.3, 0.1}};
    for (int s = 0; s < STATES; s++) {
        double dx = x - CENTRE[s][0], dy = y - CENTRE[s][1];
        m.logprob[s] = -0.5 * (dx * dx + dy * dy) * exp(-SPREAD[s]) - SPREAD[s] - LOG_2PI;
    }
    normalise(m.prior);
    normalise(m.q);
    return m;
}

enum { MODELS = 6 };

static inline states enumerable(int i)
{
    return i < 3 ? discrete_model(i) : mixture_model(i - 4, 0.5 * i - 1.5);
}

static inline double log_weight(const states *m, int s)
{
    return m->logprob[s] + m->prior[s] - m->q[s];
}

static inline double states_evidence(const states *m)
{
    double sum = 0;
    for (int s = 0; s < STATES; s++)
        sum += exp(m->prior[s] + m->logprob[s]);
    return log(sum);
}

/* KL(q ‖ p(z|x)) */
static inline double states_kl_to_posterior(const states *m)
{
    double sum = 0, evidence = states_evidence(m);
    for (int s = 0; s < STATES; s++)
        sum += exp(m->q[s]) * (m->q[s] - (m->prior[s] + m->logprob[s] - evidence));
    return sum;
}

/* All tuples of k states: how many; with pick[k·i + j], the j-th state of tuple i, and its probability under q. */
enum { TUPLES = 1024 };

static inline int tuples(const states *m, int k, int *pick, double *probability)
{
    int n = 1;
    for (int j = 0; j < k; j++)
        n *= STATES;
    assert_true(n <= TUPLES);
    for (int i = 0; i < n; i++) {
        probability[i] = 1;
        for (int j = 0, rest = i; j < k; j++, rest /= STATES) {
            pick[k * i + j] = rest % STATES;
            probability[i] *= exp(m->q[rest % STATES]);
        }
    }
    return n;
}

#endif
