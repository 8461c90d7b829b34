/* relaxed_one_hot: softmax((logits + Gumbel noise)/temperature): a distribution of vectors inside the simplex whose
 * draws tend to one-hot ones as the temperature goes to 0, and carry gradients. Known as Concrete and Gumbel-Softmax. */
#include "nn/dist_type.h"
#include "tensor/gather.h"
#include "tensor/scan.h"

#include <float.h>
#include <math.h>

tp_dist tp_relaxed_one_hot(tp_var logits, double temperature)
{
    char text[TP_SHAPE_TEXT];
    tp_shape s = tp_shape_of(logits);
    tp_dist d = {.type = &tp_dist_relaxed_one_hot,
                 .param = {logits},
                 .event_dims = 1,
                 .temperature = temperature};
    if (!(temperature > 0 && temperature < INFINITY))
        return tp_dist_refused(
            d,
            tp_fail(TP_EARG, "relaxed_one_hot: temperature %g: more than 0 needed", temperature));
    if (tp_dist_valid(&d) && (s.ndim < 1 || s.dim[s.ndim - 1] < 2))
        return tp_dist_refused(
            d, tp_fail(TP_ESHAPE,
                       "relaxed_one_hot: logits of shape %s: [.., 2 or more classes] needed",
                       tp_shape_text(s, text)));
    return d;
}

static tp_dist make(const tp_var *param)
{
    return tp_relaxed_one_hot(param[0], 0.7);
}

/* TP_EVALUE unless every vector of x is in the simplex. */
static tp_status check(tp_var x)
{
    char at[TP_SHAPE_TEXT];
    int64_t bad = tp_first_outside(tp_value(x), 0, 1);
    if (bad >= 0)
        return tp_fail(TP_EVALUE, "relaxed_one_hot: x is %g at %s: vectors of the simplex needed",
                       tp_flat(tp_value(x), bad), tp_index_text(tp_shape_of(x), bad, at));
    tp_var sum = tp_sum(tp_detach(x), TP_AXES(-1), false);
    bad = tp_var_status(sum) == TP_OK ? tp_first_outside(tp_value(sum), 0.999, 1.001) : -1;
    if (bad >= 0)
        return tp_fail(TP_EVALUE,
                       "relaxed_one_hot: x adds up to %g at %s: vectors of the simplex needed",
                       tp_flat(tp_value(sum), bad), tp_index_text(tp_shape_of(sum), bad, at));
    return tp_var_status(sum);
}

/* With n classes, logits a and temperature τ:
 *     log p(x) = log (n−1)! + (n−1) log τ + Σ (a − (τ+1) log x) − n log Σ e^{a − τ log x}
 * A coordinate that has underflowed to 0 counts as the smallest normal number: the limit does not exist. */
static tp_var nll(const tp_dist *p, tp_var x)
{
    double n = (double)tp_dist_width(p), tau = p->temperature;
    if (check(x) != TP_OK)
        return tp_dist_refuse(p, TP_EVALUE);
    tp_var logx = tp_log(tp_clamp(x, tp_dtype_of(x) == TP_F32 ? FLT_MIN : DBL_MIN, 1));
    tp_var weight = tp_sub(p->param[0], tp_scale(logx, tau)); /* a − τ log x */
    tp_var sum = tp_sum(tp_sub(weight, logx), TP_AXES(-1), false);
    tp_var norm = tp_scale(tp_logsumexp(weight, TP_AXES(-1), false), n);
    return tp_shift(tp_sub(norm, sum), -lgamma(n) - (n - 1) * log(tau));
}

static tp_var draw(const tp_dist *p, tp_ctx *c)
{
    return tp_gumbel_softmax(p->param[0], p->temperature, false, tp_ctx_draw(c));
}

static const tp_dist_case cases[] = {
    {"three classes", {{TP_DIMS(1, 3), {0, 0.5, -0.3}}}},
    {"a batch", {{TP_DIMS(2, 3), {1, -1, 0, 0.2, 0.3, 0.4}}}},
};

/* At the temperature of make, 0.7. */
static const tp_dist_value values[] = {
    {"near the centre",
     {{TP_DIMS(3), {0}}},
     {TP_DIMS(3), {0.125, 0.125, 0.75}},
     0.692645494220808706,
     NAN},
    {"near an edge",
     {{TP_DIMS(3), {1, -1, 0}}},
     {TP_DIMS(3), {0.0009765625, 0.9375, 0.0615234375}},
     -1.00626156141032305,
     NAN},
};

static const tp_dist_refusal refusals[] = {
    {"not in the simplex",
     {{TP_DIMS(3), {0}}},
     {TP_DIMS(3), {0.5, 0.6, -0.1}},
     TP_EVALUE,
     "x is -0.1 at [2]"},
    {"not of sum 1",
     {{TP_DIMS(1, 3), {0}}},
     {TP_DIMS(1, 3), {0.5, 0.6, 0.1}},
     TP_EVALUE,
     "x adds up to 1.2 at [0]"},
    {"a single class",
     {{TP_DIMS(4, 1), {0}}},
     {TP_DIMS(4, 1), {1, 1, 1, 1}},
     TP_ESHAPE,
     "2 or more classes"},
    {"an axis forgotten",
     {{TP_DIMS(2, 3), {0}}},
     {TP_DIMS(3), {0.2, 0.3, 0.5}},
     TP_ESHAPE,
     "losses do not broadcast"},
};

TP_DEFINE_DIST(relaxed_one_hot, .support = TP_SIMPLEX, .params = 1, .rank = 1, .pathwise = true,
               .text = "log (n−1)! + (n−1) log τ + Σ(a − (τ+1) log x) − n log Σ e^{a − τ log x}",
               .source = "Maddison, Mnih and Teh 2017, definition 1; Jang, Gu and Poole 2017");
