/* laplace: by its mean μ and the logarithm s of its scale b. σ² is 2b². */
#include "nn/dist_type.h"

#include <math.h>

static const double LOG_2 = 0.69314718055994530942;

tp_dist tp_laplace_logscale(tp_var mu, tp_var logscale)
{
    tp_dist d = {.type = &tp_dist_laplace, .param = {mu, logscale}, .event_dims = 1};
    return tp_dist_same_shapes(d, "mu", "logscale");
}

static tp_dist make(const tp_var *param)
{
    return tp_laplace_logscale(param[0], param[1]);
}

static tp_var nll(const tp_dist *p, tp_var x)
{
    tp_var far = tp_mul(tp_abs(tp_sub(x, p->param[0])), tp_exp(tp_neg(p->param[1])));
    return tp_shift(tp_add(far, p->param[1]), LOG_2);
}

/* −log u is exponential, and the difference of two exponential variables is Laplace. The usual inverse of the
 * distribution function would need log(1 − 2|u − ½|), which f32 rounds to log 0. */
static tp_var draw(const tp_dist *p, tp_ctx *c)
{
    tp_var mu = p->param[0];
    tp_dtype dtype = tp_dtype_of(mu);
    tp_shape s = tp_shape_of(mu);
    tp_var up = tp_log(tp_noise_uniform(mu.tape, dtype, s, tp_ctx_draw(c)));
    tp_var down = tp_log(tp_noise_uniform(mu.tape, dtype, s, tp_ctx_draw(c)));
    return tp_add(mu, tp_mul(tp_exp(p->param[1]), tp_sub(down, up)));
}

static tp_var mean(const tp_dist *p)
{
    return p->param[0];
}

static tp_var variance(const tp_dist *p)
{
    return tp_scale(tp_exp(tp_scale(p->param[1], 2)), 2);
}

static tp_var entropy(const tp_dist *p)
{
    return tp_shift(p->param[1], 1 + LOG_2);
}

static const tp_dist_case cases[] = {
    {"a batch of three", {{TP_DIMS(3, 1), {0, 1.5, -0.7}}, {TP_DIMS(3, 1), {0, -1, 0.5}}}},
    {"two dimensions", {{TP_DIMS(2), {-1, 0.2}}, {TP_DIMS(2), {0.3, -1}}}},
    {"sharp and wide", {{TP_DIMS(2, 1), {1, -5}}, {TP_DIMS(2, 1), {-6, 4}}}},
};

static const tp_dist_value values[] = {
    {"at the mean",
     {{TP_DIMS(1), {0}}, {TP_DIMS(1), {0}}},
     {TP_DIMS(1), {0}},
     -0.693147180559945309,
     1.69314718055994531},
    {"off it",
     {{TP_DIMS(1), {1}}, {TP_DIMS(1), {1}}},
     {TP_DIMS(1), {-2}},
     -2.79678550407427239,
     2.69314718055994531},
    {"far from a sharp one",
     {{TP_DIMS(1), {0}}, {TP_DIMS(1), {-20}}},
     {TP_DIMS(1), {1}},
     -485165176.102937459,
     -18.3068528194400547},
    {"collapsed to a point",
     {{TP_DIMS(1), {0.7}}, {TP_DIMS(1), {-80}}},
     {TP_DIMS(1), {0.7}},
     79.3068528194400547,
     -78.3068528194400547},
};

static const tp_dist_refusal refusals[] = {
    {"a scale shared by the batch",
     {{TP_DIMS(4, 3), {0}}, {TP_DIMS(3), {0}}},
     {TP_DIMS(4, 3), {0}},
     TP_ESHAPE,
     "laplace: mu has shape [4,3], logscale [3]: equal shapes needed"},
    {"an axis forgotten",
     {{TP_DIMS(4, 3), {0}}, {TP_DIMS(4, 3), {0}}},
     {TP_DIMS(3), {0}},
     TP_ESHAPE,
     "losses do not broadcast"},
};

TP_DEFINE_DIST(laplace, .support = TP_REALS, .params = 2, .pathwise = true, .kinks = true,
               .mean = mean, .variance = variance, .entropy = entropy,
               .text = "−|x − μ|e^{−s} − s − log 2", .source = "");
