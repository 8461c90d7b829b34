/* mvn: the multivariate normal distribution of vectors, by its mean μ and the lower Cholesky factor L of its covariance
 * L·Lᵀ. log det of the covariance is 2 Σ log L_ii; the inverse is never formed. */
#include "nn/dist_type.h"
#include "tensor/gather.h"
#include "tensor/scan.h"

#include <float.h>
#include <math.h>

static const double LOG_2PI = 1.8378770664093454836;

/* --- constructors ------------------------------------------------------------------------------------ */

/* TP_ESHAPE unless mu [.., n] and matrix [.., n, n]. */
static tp_status check_shapes(tp_var mu, tp_var matrix)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    tp_shape m = tp_shape_of(mu), square = m, s = tp_shape_of(matrix);
    if (m.ndim > 0 && m.ndim < TP_MAX_DIMS) {
        square.dim[square.ndim++] = m.dim[m.ndim - 1];
        if (tp_shape_equal(square, s))
            return TP_OK;
    }
    return tp_fail(TP_ESHAPE,
                   "mvn: mu has shape %s, its matrices %s: [.., n] and [.., n, n] needed",
                   tp_shape_text(m, a), tp_shape_text(s, b));
}

static tp_dist raw_dist(tp_var mu, tp_var cholesky)
{
    return (tp_dist){.type = &tp_dist_mvn, .param = {mu, cholesky}, .event_dims = 1};
}

tp_dist tp_mvn_cholesky(tp_var mu, tp_var cholesky)
{
    char at[TP_SHAPE_TEXT];
    tp_dist d = raw_dist(mu, cholesky);
    if (!tp_dist_valid(&d))
        return d;
    tp_status s = check_shapes(mu, cholesky);
    tp_var diagonal = s == TP_OK ? tp_diagonal(cholesky, 0) : mu; /* [.., n] */
    int64_t bad = s == TP_OK && tp_var_status(diagonal) == TP_OK
                      ? tp_first_outside(tp_value(diagonal), DBL_TRUE_MIN, DBL_MAX)
                      : -1;
    if (bad >= 0)
        s = tp_fail(TP_EVALUE,
                    "mvn: %g on the diagonal of the Cholesky factor, at %s: more than 0 needed",
                    tp_flat(tp_value(diagonal), bad), tp_index_text(tp_shape_of(mu), bad, at));
    return s != TP_OK ? tp_dist_refused(d, s) : d;
}

tp_dist tp_mvn_raw(tp_var mu, tp_var raw)
{
    tp_dist d = raw_dist(mu, raw);
    if (!tp_dist_valid(&d))
        return d;
    tp_status s = check_shapes(mu, raw);
    if (s != TP_OK)
        return tp_dist_refused(d, s);
    tp_var l = tp_add(tp_tril(raw, -1), tp_diag(tp_exp(tp_diagonal(raw, 0))));
    return tp_mvn_cholesky(mu, l);
}

tp_dist tp_mvn_covariance(tp_var mu, tp_var covariance)
{
    return tp_mvn_cholesky(mu, tp_cholesky(covariance));
}

static tp_dist make(const tp_var *param)
{
    return tp_mvn_cholesky(param[0], param[1]);
}

/* --- the distribution -------------------------------------------------------------------------------- */

/* ½ log det of the covariance, [..] */
static tp_var half_logdet(const tp_dist *p)
{
    return tp_sum(tp_log(tp_diagonal(p->param[1], 0)), TP_AXES(-1), false);
}

/* n/2 · a */
static double half_of_each(const tp_dist *p, double a)
{
    return 0.5 * (double)tp_dist_width(p) * a;
}

static tp_var nll(const tp_dist *p, tp_var x)
{
    tp_var gap = tp_unsqueeze(tp_sub(x, p->param[0]), -1);
    tp_var d =
        tp_squeeze(tp_triangular_solve(p->param[1], gap, false), -1); /* L⁻¹(x − μ) [.., n] */
    tp_var half = tp_scale(tp_sum(tp_square(d), TP_AXES(-1), false), 0.5);
    return tp_shift(tp_add(half, half_logdet(p)), half_of_each(p, LOG_2PI));
}

static tp_var draw(const tp_dist *p, tp_ctx *c)
{
    tp_var mu = p->param[0];
    tp_var eps = tp_noise_normal(mu.tape, tp_dtype_of(mu), tp_shape_of(mu), tp_ctx_draw(c));
    tp_var shaped = tp_matmul(tp_tril(p->param[1], 0), tp_unsqueeze(TP_NAME(eps), -1));
    return tp_add(mu, tp_squeeze(shaped, -1));
}

static tp_var mean(const tp_dist *p)
{
    return p->param[0];
}

/* The diagonal of L·Lᵀ. */
static tp_var variance(const tp_dist *p)
{
    return tp_sum(tp_square(tp_tril(p->param[1], 0)), TP_AXES(-1), false);
}

static tp_var entropy(const tp_dist *p)
{
    return tp_shift(half_logdet(p), half_of_each(p, 1 + LOG_2PI));
}

static const tp_dist_case cases[] = {
    {"a batch of three numbers",
     {{TP_DIMS(3, 1), {0, 1.5, -0.7}}, {TP_DIMS(3, 1, 1), {1, 0.4, 1.6}}}},
    {"a pair", {{TP_DIMS(2), {-1, 0.2}}, {TP_DIMS(2, 2), {1.2, 99, 0.5, 0.8}}}},
    {"a batch of pairs",
     {{TP_DIMS(2, 2), {0, 1, -1, 3}}, {TP_DIMS(2, 2, 2), {0.5, 0, -0.4, 1, 2, 0, 1, 0.9}}}},
};

static const tp_dist_value values[] = {
    {"three independent ones",
     {{TP_DIMS(3), {0}}, {TP_DIMS(3, 3), {1, 0, 0, 0, 1, 0, 0, 0, 1}}},
     {TP_DIMS(3), {0}},
     -2.75681559961401834,
     4.25681559961401834},
    {"a correlated pair",
     {{TP_DIMS(2), {1, 2}}, {TP_DIMS(2, 2), {2, 0, 1, 0.5}}},
     {TP_DIMS(2), {0, 0}},
     -6.46287706640934548,
     2.83787706640934548},
    {"sharp in one direction",
     {{TP_DIMS(2), {0, 0}}, {TP_DIMS(2, 2), {1, 0, 1, 1e-6}}},
     {TP_DIMS(2), {1, 1}},
     11.4776334915549287,
     -10.9776334915549287},
};

static const tp_dist_refusal refusals[] = {
    {"a diagonal that is not positive",
     {{TP_DIMS(2), {0}}, {TP_DIMS(2, 2), {1, 0, 0.5, -1}}},
     {TP_DIMS(2), {0}},
     TP_EVALUE,
     "mvn: -1 on the diagonal of the Cholesky factor, at [1]: more than 0 needed"},
    {"variances where the factor belongs",
     {{TP_DIMS(4, 3), {0}}, {TP_DIMS(4, 3), {1}}},
     {TP_DIMS(4, 3), {0}},
     TP_ESHAPE,
     "mvn: mu has shape [4,3], its matrices [4,3]: [.., n] and [.., n, n] needed"},
    {"one factor for a batch",
     {{TP_DIMS(2, 2), {0}}, {TP_DIMS(2, 2), {1, 0, 0, 1}}},
     {TP_DIMS(2, 2), {0}},
     TP_ESHAPE,
     "[.., n, n] needed"},
    {"an axis forgotten",
     {{TP_DIMS(1, 2), {0}}, {TP_DIMS(1, 2, 2), {1, 0, 0, 1}}},
     {TP_DIMS(2), {0}},
     TP_ESHAPE,
     "losses do not broadcast"},
};

TP_DEFINE_DIST(mvn, .support = TP_REALS, .params = 2, .rank = 1, .pathwise = true, .mean = mean,
               .variance = variance, .entropy = entropy,
               .text = "−½|L⁻¹(x − μ)|² − Σ log L_ii − ½n log 2π", .source = "");
