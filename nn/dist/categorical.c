/* categorical: one of n classes, by logits; x is its number. Also the likelihood of labels and of quantised pixels. */
#include "nn/dist_type.h"

#include <math.h>

tp_dist tp_categorical_logits(tp_var logits)
{
    char text[TP_SHAPE_TEXT];
    tp_shape s = tp_shape_of(logits);
    tp_dist d = {.type = &tp_dist_categorical, .param = {logits}};
    if (tp_dist_valid(&d) && (s.ndim < 1 || s.dim[s.ndim - 1] < 1))
        return tp_dist_refused(d, tp_fail(TP_ESHAPE,
                                          "categorical: logits of shape %s: [.., classes] needed",
                                          tp_shape_text(s, text)));
    return d;
}

static tp_dist make(const tp_var *param)
{
    return tp_categorical_logits(param[0]);
}

static tp_shape shape(const tp_dist *p)
{
    tp_shape s = tp_shape_of(p->param[0]);
    s.ndim -= s.ndim > 0;
    return s;
}

static tp_var nll(const tp_dist *p, tp_var x)
{
    return tp_cross_entropy(p->param[0], x);
}

static tp_var draw(const tp_dist *p, tp_ctx *c)
{
    return tp_noise_categorical(p->param[0], tp_ctx_draw(c));
}

static tp_var mean(const tp_dist *p)
{
    return tp_softmax(p->param[0], -1);
}

/* p(1 − p), of the one-hot vector; by expm1, so that 1 − p keeps its digits where p is almost 1. */
static tp_var variance(const tp_dist *p)
{
    tp_var logp = tp_log_softmax(p->param[0], -1);
    return tp_neg(tp_mul(tp_exp(logp), tp_expm1(logp)));
}

static tp_var entropy(const tp_dist *p)
{
    tp_var logp = tp_log_softmax(p->param[0], -1);
    return tp_neg(tp_sum(tp_mul(tp_exp(logp), logp), TP_AXES(-1), false));
}

static const tp_dist_case cases[] = {
    {"a batch of three", {{TP_DIMS(3, 4), {0, 1, -1, 0.5, 2, 2, 2, 2, -3, 0, 1, 4}}}},
    {"one of two", {{TP_DIMS(1, 2), {0.3, -0.4}}}},
    {"two by two", {{TP_DIMS(2, 2, 3), {0, 0, 1, 5, -5, 0, 1, 2, 3, 0.1, -0.2, 0}}}},
};

static const tp_dist_value values[] = {
    {"one of ten",
     {{TP_DIMS(10), {0}}},
     {TP_DIMS(), {7}},
     -2.30258509299404568,
     2.30258509299404568},
    {"of far apart logits, the likely one", {{TP_DIMS(2), {1000, -1000}}}, {TP_DIMS(), {0}}, 0, 0},
    {"and the other", {{TP_DIMS(2), {1000, -1000}}}, {TP_DIMS(), {1}}, -2000, 0},
    {"of equal large ones",
     {{TP_DIMS(2), {1e30, 1e30}}},
     {TP_DIMS(), {1}},
     -0.693147180559945309,
     0.693147180559945309},
};

static const tp_dist_refusal refusals[] = {
    {"a class that is not there", {{TP_DIMS(2, 3), {0}}}, {TP_DIMS(2), {0, 3}}, TP_EVALUE, "3"},
    {"a negative one", {{TP_DIMS(2, 3), {0}}}, {TP_DIMS(2), {-1, 0}}, TP_EVALUE, "-1"},
    {"an example forgotten",
     {{TP_DIMS(2, 3), {0}}},
     {TP_DIMS(), {0}},
     TP_ESHAPE,
     "losses do not broadcast"},
    {"no axis of classes", {{TP_DIMS(), {0}}}, {TP_DIMS(), {0}}, TP_ESHAPE, "[.., classes] needed"},
};

TP_DEFINE_DIST(categorical, .support = TP_CLASSES, .params = 1, .shape = shape, .mean = mean,
               .variance = variance, .entropy = entropy, .text = "a_x − log Σ e^a",
               .source = "draws: Gumbel 1954");
