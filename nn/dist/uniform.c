/* uniform: on [low, high]. Outside log p is −∞: that is no mistake of the caller's, as the bounds may be learned. */
#include "nn/dist_type.h"
#include "tensor/gather.h"
#include "tensor/scan.h"

#include <float.h>
#include <math.h>

static tp_var width(const tp_dist *p)
{
    return tp_sub(p->param[1], p->param[0]);
}

tp_dist tp_uniform_between(tp_var low, tp_var high)
{
    char at[TP_SHAPE_TEXT];
    tp_dist d = {.type = &tp_dist_uniform, .param = {low, high}, .event_dims = 1};
    d = tp_dist_same_shapes(d, "low", "high");
    tp_var w = tp_dist_valid(&d) ? width(&d) : low;
    if (tp_var_status(w) != TP_OK || !tp_dist_valid(&d))
        return d;
    int64_t bad = tp_first_outside(tp_value(w), DBL_TRUE_MIN, DBL_MAX);
    if (bad < 0)
        return d;
    tp_index_text(tp_shape_of(low), bad, at);
    return tp_dist_refused(
        d, tp_fail(TP_EVALUE, "uniform: low is %g and high %g at %s: low < high needed",
                   tp_flat(tp_value(low), bad), tp_flat(tp_value(high), bad), at));
}

static tp_dist make(const tp_var *param)
{
    return tp_uniform_between(param[0], param[1]);
}

static tp_var nll(const tp_dist *p, tp_var x)
{
    tp_var inside = tp_mul(tp_greater_equal(x, p->param[0]), tp_greater_equal(p->param[1], x));
    tp_var never = tp_scalar(x.tape, tp_dtype_of(x), INFINITY);
    return tp_where(inside, tp_log(width(p)), never);
}

static tp_var draw(const tp_dist *p, tp_ctx *c)
{
    tp_var low = p->param[0];
    tp_var u = tp_noise_uniform(low.tape, tp_dtype_of(low), tp_shape_of(low), tp_ctx_draw(c));
    return tp_add(low, tp_mul(width(p), u));
}

static tp_var mean(const tp_dist *p)
{
    return tp_add(p->param[0], tp_scale(width(p), 0.5));
}

static tp_var variance(const tp_dist *p)
{
    return tp_scale(tp_square(width(p)), 1.0 / 12);
}

static tp_var entropy(const tp_dist *p)
{
    return tp_log(width(p));
}

static const tp_dist_case cases[] = {
    {"a batch of three", {{TP_DIMS(3, 1), {0, 0.5, -3}}, {TP_DIMS(3, 1), {1, 2, -0.5}}}},
    {"two dimensions", {{TP_DIMS(2), {-2, 0}}, {TP_DIMS(2), {3, 0.25}}}},
    {"narrow and wide", {{TP_DIMS(2, 1), {0.125, -300}}, {TP_DIMS(2, 1), {0.1328125, 500}}}},
};

static const tp_dist_value values[] = {
    {"inside",
     {{TP_DIMS(1), {-1}}, {TP_DIMS(1), {1}}},
     {TP_DIMS(1), {0.3}},
     -0.693147180559945309,
     0.693147180559945309},
    {"on the edge",
     {{TP_DIMS(1), {-1}}, {TP_DIMS(1), {1}}},
     {TP_DIMS(1), {1}},
     -0.693147180559945309,
     0.693147180559945309},
    {"outside",
     {{TP_DIMS(1), {-1}}, {TP_DIMS(1), {1}}},
     {TP_DIMS(1), {1.001}},
     -INFINITY,
     0.693147180559945309},
    {"on the other side",
     {{TP_DIMS(1), {-1}}, {TP_DIMS(1), {1}}},
     {TP_DIMS(1), {-5}},
     -INFINITY,
     0.693147180559945309},
};

static const tp_dist_refusal refusals[] = {
    {"bounds swapped",
     {{TP_DIMS(2), {0, 1}}, {TP_DIMS(2), {1, 0.5}}},
     {TP_DIMS(2), {0.5, 0.5}},
     TP_EVALUE,
     "uniform: low is 1 and high 0.5 at [1]: low < high needed"},
    {"nothing between them",
     {{TP_DIMS(1), {1}}, {TP_DIMS(1), {1}}},
     {TP_DIMS(1), {1}},
     TP_EVALUE,
     "low < high needed"},
    {"no number",
     {{TP_DIMS(1), {0}}, {TP_DIMS(1), {NAN}}},
     {TP_DIMS(1), {1}},
     TP_EVALUE,
     "low < high needed"},
    {"a bound shared by the batch",
     {{TP_DIMS(4, 3), {0}}, {TP_DIMS(3), {1, 1, 1}}},
     {TP_DIMS(4, 3), {0}},
     TP_ESHAPE,
     "uniform: low has shape [4,3], high [3]"},
};

TP_DEFINE_DIST(uniform, .support = TP_REALS, .params = 2, .pathwise = true, .kinks = true,
               .mean = mean, .variance = variance, .entropy = entropy,
               .text = "−log(high − low) for low ≤ x ≤ high, else −∞", .source = "");
