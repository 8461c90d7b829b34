/* normal: the normal distribution with independent elements, by mean μ and log-variance v = log σ².
 *
 * σ is e^{v/2}: neither e^v, which is σ², nor e^{2v}. */
#include "nn/dist_type.h"

#include <math.h>

static const double LOG_2PI = 1.8378770664093454836;

/* --- constructors ------------------------------------------------------------------------------------ */

tp_dist tp_normal_logvar(tp_var mu, tp_var logvar)
{
    tp_dist d = {.type = &tp_dist_normal, .param = {mu, logvar}, .event_dims = 1};
    return tp_dist_same_shapes(d, "mu", "logvar");
}

tp_dist tp_normal_fixed(tp_var mu, double logvar)
{
    return tp_normal_logvar(mu, tp_full(mu.tape, tp_dtype_of(mu), tp_shape_of(mu), logvar));
}

/* log softplus(r) is r − e^r/2 + O(e^2r) far to the left, where softplus itself vanishes. Each branch sees only
 * the r that it can stand, or the gradient of the one not taken would be 0 times infinity. */
tp_dist tp_normal_softplus(tp_var mu, tp_var raw)
{
    tp_var near = tp_log(tp_softplus(tp_clamp(raw, -20, INFINITY)));
    tp_var far = tp_sub(raw, tp_scale(tp_exp(tp_clamp(raw, -INFINITY, -20)), 0.5));
    tp_var log_sigma = tp_where(tp_inside(raw, -20, INFINITY), near, far);
    return tp_normal_logvar(mu, tp_scale(log_sigma, 2));
}

tp_var tp_logvar_above(tp_var raw, double floor)
{
    return tp_shift(tp_softplus(tp_shift(raw, -floor)), floor);
}

/* softplus(r) = d at r = log(e^d − 1) = d + log(1 − e^−d) */
tp_var tp_logvar_above_inverse(tp_var logvar, double floor)
{
    tp_var d = tp_clamp(tp_shift(logvar, -floor), 1e-9, INFINITY);
    return tp_shift(tp_add(d, tp_log(tp_neg(tp_expm1(tp_neg(d))))), floor);
}

tp_dist tp_normal_standard(tp_var like)
{
    tp_scope_begin(like.tape, "prior");
    tp_var zero = tp_zeros_like(like);
    tp_scope_end(like.tape);
    tp_dist d = tp_normal_logvar(zero, zero);
    d.standard = true;
    return d;
}

static tp_dist make(const tp_var *param)
{
    return tp_normal_logvar(param[0], param[1]);
}

/* --- the distribution -------------------------------------------------------------------------------- */

static tp_var nll(const tp_dist *p, tp_var x)
{
    tp_var mu = p->param[0], logvar = p->param[1];
    tp_var d = tp_mul(tp_sub(x, mu), tp_exp(tp_scale(logvar, -0.5))); /* (x − μ)/σ */
    tp_var twice = tp_shift(tp_add(tp_square(d), logvar), LOG_2PI);
    return tp_scale(twice, 0.5);
}

/* z = μ + e^{v/2} ⊙ ε, ε ~ N(0,1) */
static tp_var draw(const tp_dist *p, tp_ctx *c)
{
    tp_var mu = p->param[0];
    tp_var eps = tp_noise_normal(mu.tape, tp_dtype_of(mu), tp_shape_of(mu), tp_ctx_draw(c));
    return tp_reparameterize(mu, p->param[1], TP_NAME(eps));
}

static tp_var mean(const tp_dist *p)
{
    return p->param[0];
}

static tp_var variance(const tp_dist *p)
{
    return tp_exp(p->param[1]);
}

static tp_var entropy(const tp_dist *p)
{
    return tp_affine(p->param[1], 0.5, 0.5 * (1 + LOG_2PI));
}

/* --- what it is tested on ------------------------------------------------------------------------------ */

static const tp_dist_case cases[] = {
    {"a batch of three", {{TP_DIMS(3, 1), {0, 1.5, -0.7}}, {TP_DIMS(3, 1), {0, -2, 1}}}},
    {"two dimensions", {{TP_DIMS(2), {-3, 0.2}}, {TP_DIMS(2), {0.3, -1}}}},
    {"a batch of pairs", {{TP_DIMS(2, 2), {0, 1, -1, 2}}, {TP_DIMS(2, 2), {0, 0.5, -1, 1}}}},
    {"sharp and wide", {{TP_DIMS(2, 1), {1, -5}}, {TP_DIMS(2, 1), {-12, 8}}}},
};

static const tp_dist_value values[] = {
    {"at the mean",
     {{TP_DIMS(1), {0}}, {TP_DIMS(1), {0}}},
     {TP_DIMS(1), {0}},
     -0.918938533204672781,
     1.41893853320467274},
    {"three sigma off",
     {{TP_DIMS(1), {0}}, {TP_DIMS(1), {0}}},
     {TP_DIMS(1), {3}},
     -5.41893853320467311,
     1.41893853320467274},
    {"far from a sharp one",
     {{TP_DIMS(1), {0}}, {TP_DIMS(1), {-20}}},
     {TP_DIMS(1), {1}},
     -2.42582588623833686e8,
     -8.58106146679532726},
    {"collapsed to a point",
     {{TP_DIMS(1), {0.7}}, {TP_DIMS(1), {-100}}},
     {TP_DIMS(1), {0.7}},
     49.081061466795326,
     -48.5810614667953272},
};

static const tp_dist_refusal refusals[] = {
    {"a log-variance shared by the batch",
     {{TP_DIMS(4, 3), {0}}, {TP_DIMS(3), {0}}},
     {TP_DIMS(4, 3), {0}},
     TP_ESHAPE,
     "mu has shape [4,3], logvar [3]: equal shapes needed"},
    {"an axis forgotten",
     {{TP_DIMS(4, 3), {0}}, {TP_DIMS(4, 3), {0}}},
     {TP_DIMS(3), {0}},
     TP_ESHAPE,
     "losses do not broadcast"},
    {"an axis too small",
     {{TP_DIMS(4, 3), {0}}, {TP_DIMS(4, 3), {0}}},
     {TP_DIMS(4, 1), {0}},
     TP_ESHAPE,
     "x has shape [4,1], one draw has [4,3]"},
};

TP_DEFINE_DIST(normal, .support = TP_REALS, .params = 2, .pathwise = true, .mean = mean,
               .variance = variance, .entropy = entropy,
               .text = "−½(((x − μ)e^{−v/2})² + v + log 2π)",
               .source = "rsample: Kingma and Welling 2014");
