/* bernoulli: independent bits, by their logits log(p/(1−p)). Probabilities are only ever an output. For grey values x
 * between 0 and 1 log p(x) is the usual cross-entropy, not a log-likelihood. */
#include "nn/dist_type.h"

#include <math.h>

tp_dist tp_bernoulli_logits(tp_var logits)
{
    return (tp_dist){.type = &tp_dist_bernoulli, .param = {logits}, .event_dims = 1};
}

static tp_dist make(const tp_var *param)
{
    return tp_bernoulli_logits(param[0]);
}

static tp_var nll(const tp_dist *p, tp_var x)
{
    return tp_bce_with_logits(p->param[0], x);
}

static tp_var mean(const tp_dist *p)
{
    return tp_sigmoid(p->param[0]);
}

static tp_var draw(const tp_dist *p, tp_ctx *c)
{
    return tp_noise_bernoulli(mean(p), tp_ctx_draw(c));
}

/* σ(a)·σ(−a): 1 − σ(a) would cancel. */
static tp_var variance(const tp_dist *p)
{
    return tp_mul(mean(p), tp_sigmoid(tp_neg(p->param[0])));
}

/* With a = |logit|: softplus(−a) + a·σ(−a), two small numbers where softplus(a) − a·σ(a) would be the difference of
 * two large ones. Even in the logit. */
static tp_var entropy(const tp_dist *p)
{
    tp_var minus = tp_neg(tp_abs(p->param[0]));
    return tp_sub(tp_softplus(minus), tp_mul(minus, tp_sigmoid(minus)));
}

static const tp_dist_case cases[] = {
    {"a batch of three", {{TP_DIMS(3, 1), {-0.847, 1.2, 0.1}}}},
    {"two bits", {{TP_DIMS(2), {2, -0.5}}}},
    {"sure of themselves", {{TP_DIMS(2, 1), {-9, 7}}}},
};

static const tp_dist_value values[] = {
    {"a fair coin",
     {{TP_DIMS(1), {0}}},
     {TP_DIMS(1), {1}},
     -0.693147180559945286,
     0.693147180559945286},
    {"a grey value", {{TP_DIMS(1), {0}}}, {TP_DIMS(1), {0.25}}, -0.693147180559945286, NAN},
    {"surely right",
     {{TP_DIMS(1), {50}}},
     {TP_DIMS(1), {1}},
     -1.92874984796391778e-22,
     9.83662422461598069e-21},
    {"surely right, in denormal numbers",
     {{TP_DIMS(1), {100}}},
     {TP_DIMS(1), {1}},
     -3.72007597602083596e-44,
     NAN},
    {"surely wrong", {{TP_DIMS(1), {-50}}}, {TP_DIMS(1), {1}}, -50, 9.83662422461598069e-21},
    {"half and half", {{TP_DIMS(1), {1000}}}, {TP_DIMS(1), {0.5}}, -500, 0},
    {"any logit", {{TP_DIMS(1), {1e30}}}, {TP_DIMS(1), {0}}, -1e30, 0},
    {"no bit", {{TP_DIMS(1), {2}}}, {TP_DIMS(1), {0}}, -2.12692801104297249, 0.365333855087207608},
};

static const tp_dist_refusal refusals[] = {
    {"a byte",
     {{TP_DIMS(2), {0}}},
     {TP_DIMS(2), {0, 255}},
     TP_EVALUE,
     "target 255 at [1] outside [0,1]"},
    {"no number", {{TP_DIMS(2), {0}}}, {TP_DIMS(2), {0, NAN}}, TP_EVALUE, "at [1] outside [0,1]"},
    {"an axis forgotten",
     {{TP_DIMS(4, 3), {0}}},
     {TP_DIMS(3), {0}},
     TP_ESHAPE,
     "losses do not broadcast"},
};

TP_DEFINE_DIST(bernoulli, .support = TP_BITS, .mean = mean, .variance = variance,
               .entropy = entropy, .params = 1, .text = "−(softplus(a) − x·a)", .source = "");
