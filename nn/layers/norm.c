/* norm.c: see norm.h. The formula that both layers share is standardized. */
#include "nn/layers/norm.h"
#include "autograd/compose.h"
#include "nn/layers/layer.h"

#include <math.h>

/* (x − mean)/√(variance + eps) ⊙ weight + bias; all broadcast to x. */
static tp_var standardized(tp_var x, tp_var mean, tp_var variance, double eps, tp_var weight,
                           tp_var bias)
{
    tp_var centred = tp_sub(x, mean);
    tp_var unit = tp_mul(centred, tp_rsqrt(tp_shift(variance, eps)));
    return tp_add(tp_mul(unit, weight), bias);
}

/* Both begin by changing nothing: weight 1, bias 0. */
static tp_status add_weights(tp_params *ps, const char *name, tp_parameter *weight,
                             tp_parameter *bias, tp_shape shape)
{
    TP_TRY(tp_layer_parameter(ps, weight, name, "weight", shape));
    TP_TRY(tp_layer_parameter(ps, bias, name, "bias", shape));
    return tp_init_constant(weight, 1);
}

/* --- batch norm --------------------------------------------------------------------------------- */

tp_status tp_nn_batch_norm_init(tp_nn_batch_norm *l, tp_params *ps, const char *name,
                                int64_t channels, tp_nn_batch_norm_opts opts)
{
    opts.eps = opts.eps != 0 ? opts.eps : 1e-5;
    opts.momentum = opts.momentum != 0 ? opts.momentum : 0.1;
    if (channels < 1)
        return tp_fail(TP_ESHAPE, "batch norm '%.120s' of %lld channels: at least 1 needed", name,
                       (long long)channels);
    if (!(opts.eps > 0 && opts.eps < INFINITY) || !(opts.momentum > 0 && opts.momentum <= 1))
        return tp_fail(
            TP_EARG,
            "batch norm '%.120s': eps %g and momentum %g: eps > 0 and 0 < momentum <= 1 needed",
            name, opts.eps, opts.momentum);
    tp_shape shape = TP_SHAPE(channels);
    TP_TRY(add_weights(ps, name, &l->weight, &l->bias, shape));
    TP_TRY(tp_layer_buffer(ps, &l->running_mean, name, "running_mean", ps->dtype, shape));
    TP_TRY(tp_layer_buffer(ps, &l->running_var, name, "running_var", ps->dtype, shape));
    TP_TRY(tp_layer_buffer(ps, &l->num_batches_tracked, name, "num_batches_tracked", TP_I64,
                           TP_SHAPE()));
    l->opts = opts;
    return tp_fill(&l->running_var.value, 1);
}

/* The axes of x but that of the channels, and what a value per channel looks like beside x: [1, channels, 1, …]. */
typedef struct layout {
    tp_axes axes;
    tp_shape beside;
    int64_t n; /* elements of a channel */
} layout;

static layout layout_of(tp_shape x)
{
    layout y = {.beside = x, .n = 1};
    for (int i = 0; i < x.ndim; i++)
        if (i != 1) {
            y.axes.axis[y.axes.n++] = i;
            y.beside.dim[i] = 1;
            y.n *= x.dim[i];
        }
    return y;
}

static tp_status check_batch(const tp_nn_batch_norm *l, const tp_ctx *c, tp_shape x, int64_t n)
{
    char text[TP_SHAPE_TEXT];
    int64_t channels = tp_numel(&l->weight.value);
    if (x.ndim < 2 || x.dim[1] != channels)
        return tp_fail(TP_ESHAPE, "x has shape %s, expected [batch,%lld] or more axes",
                       tp_shape_text(x, text), (long long)channels);
    if (c->mode == TP_TRAIN && n < 2)
        return tp_fail(TP_ESHAPE,
                       "x has shape %s: a variance needs at least 2 values per channel in training",
                       tp_shape_text(x, text));
    return TP_OK;
}

/* What becomes of the running statistics if the step succeeds. */
static void track(tp_nn_batch_norm *l, tp_ctx *c, tp_var mean, tp_var variance, int64_t n)
{
    tp_shape shape = l->weight.value.shape;
    tp_no_grad_begin(c->tape);
    tp_var unbiased = tp_scale(variance, (double)n / (double)(n - 1));
    tp_buffer_average(c, &l->running_mean, tp_reshape(mean, shape), l->opts.momentum);
    tp_buffer_average(c, &l->running_var, tp_reshape(unbiased, shape), l->opts.momentum);
    tp_buffer_count(c, &l->num_batches_tracked);
    tp_no_grad_end(c->tape);
}

tp_var tp_nn_batch_norm_apply(const tp_nn_batch_norm *l, tp_ctx *c, tp_var x)
{
    tp_var weight = tp_params_var(c, &l->weight), bias = tp_params_var(c, &l->bias);
    tp_var mean, variance; /* [1, channels, 1, …] */
    if (tp_var_status(x) != TP_OK || tp_var_status(weight) != TP_OK)
        return tp_mul(x, weight); /* which says why */
    layout y = layout_of(tp_shape_of(x));
    tp_status status = check_batch(l, c, tp_shape_of(x), y.n);
    if (status != TP_OK)
        return tp_layer_refuse("batch norm", &l->weight, x, status);
    if (c->mode == TP_TRAIN) {
        mean = tp_mean(x, y.axes, true);
        variance = tp_variance(x, y.axes, 0, true);
        track((tp_nn_batch_norm *)l, c, mean, variance, y.n);
    } else {
        mean = tp_reshape(tp_constant(c->tape, &l->running_mean.value), y.beside);
        variance = tp_reshape(tp_constant(c->tape, &l->running_var.value), y.beside);
    }
    return standardized(x, mean, variance, l->opts.eps, tp_reshape(weight, y.beside),
                        tp_reshape(bias, y.beside));
}

/* --- layer norm --------------------------------------------------------------------------------- */

tp_status tp_nn_layer_norm_init(tp_nn_layer_norm *l, tp_params *ps, const char *name,
                                tp_shape event, tp_nn_layer_norm_opts opts)
{
    char text[TP_SHAPE_TEXT];
    opts.eps = opts.eps != 0 ? opts.eps : 1e-5;
    if (event.ndim < 1 || tp_shape_numel(event) < 1)
        return tp_fail(TP_ESHAPE,
                       "layer norm '%.120s' of shape %s: at least one axis and one element needed",
                       name, tp_shape_text(event, text));
    if (!(opts.eps > 0 && opts.eps < INFINITY))
        return tp_fail(TP_EARG, "layer norm '%.120s': eps %g: eps > 0 needed", name, opts.eps);
    TP_TRY(add_weights(ps, name, &l->weight, &l->bias, event));
    l->opts = opts;
    return TP_OK;
}

tp_var tp_nn_layer_norm_apply(const tp_nn_layer_norm *l, tp_ctx *c, tp_var x)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    tp_var weight = tp_params_var(c, &l->weight), bias = tp_params_var(c, &l->bias);
    tp_shape s = tp_shape_of(x), event = l->weight.value.shape;
    if (tp_var_status(x) != TP_OK || tp_var_status(weight) != TP_OK)
        return tp_mul(x, weight); /* which says why */
    tp_axes axes = {event.ndim, {0}};
    bool fits = s.ndim >= event.ndim;
    for (int i = 0; i < event.ndim && fits; i++) {
        axes.axis[i] = s.ndim - event.ndim + i;
        fits = s.dim[axes.axis[i]] == event.dim[i];
    }
    if (!fits)
        return tp_layer_refuse("layer norm", &l->weight, x,
                               tp_fail(TP_ESHAPE, "x has shape %s, expected one that ends with %s",
                                       tp_shape_text(s, a), tp_shape_text(event, b)));
    tp_var mean = tp_mean(x, axes, true); /* [.., 1, …] */
    return standardized(x, mean, tp_variance(x, axes, 0, true), l->opts.eps, weight, bias);
}
