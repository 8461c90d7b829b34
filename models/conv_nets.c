/* conv_nets.c: see conv_nets.h. */
#include "models/conv_nets.h"
#include "autograd/compose.h"
#include "autograd/compose/refuse.h"

#include <stdio.h>

enum { KERNEL = 4, LAST = TP_CONV_LAYERS };
static const tp_conv_opts halving = {.stride = {2, 2}, .padding = {1, 1}};

tp_status tp_conv_sizes_of(tp_conv_sizes *s, const tp_model_config *config,
                           const int64_t channels[TP_CONV_LAYERS])
{
    int64_t picture[3], all;
    TP_TRY(tp_model_picture(config, picture));
    *s = (tp_conv_sizes){{picture[0]}, {picture[1]}, {picture[2]}};
    for (int i = 0; i < LAST; i++) {
        s->channels[i + 1] = channels[i];
        s->height[i + 1] = s->height[i] / 2;
        s->width[i + 1] = s->width[i] / 2;
    }
    if (s->height[LAST] < 1 || s->width[LAST] < 1)
        return tp_fail(TP_EARG, "pictures of %lld rows and %lld columns: at least %d each needed",
                       (long long)picture[1], (long long)picture[2], TP_CONV_LEAST);
    for (int i = 1; i <= LAST; i++)
        if (__builtin_mul_overflow(s->channels[i], s->height[i], &all) ||
            __builtin_mul_overflow(all, s->width[i], &all))
            return tp_fail(TP_ESHAPE, "%lld channels of %lld rows and %lld columns are too many",
                           (long long)s->channels[i], (long long)s->height[i],
                           (long long)s->width[i]);
    return TP_OK;
}

int64_t tp_conv_features(const tp_conv_sizes *s)
{
    return s->channels[LAST] * s->height[LAST] * s->width[LAST];
}

/* x [.., features] -> [n, channels, height, width] of a stage. */
static tp_var pictures_of(const tp_conv_sizes *s, int stage, tp_var x)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    tp_shape from = tp_shape_of(x);
    tp_shape to = TP_SHAPE(1, s->channels[stage], s->height[stage], s->width[stage]);
    int last = from.ndim - 1;
    if (tp_var_status(x) == TP_OK && (last < 0 || from.dim[last] != tp_shape_numel(to)))
        return tp_refuse(
            "pictures", x,
            tp_fail(TP_ESHAPE, "x has shape %s, expected [..,%lld] for %s", tp_shape_text(from, a),
                    (long long)tp_shape_numel(to),
                    tp_shape_text((tp_shape){3, {to.dim[1], to.dim[2], to.dim[3]}}, b)));
    for (int i = 0; i < last; i++)
        to.dim[0] *= from.dim[i];
    return tp_reshape(x, to);
}

/* The way back: [n, …] -> the axes in front of x's last, and one. */
static tp_var flat_as(tp_var y, tp_shape x, int64_t last)
{
    if (tp_var_status(y) != TP_OK) /* then x may have no axes */
        return y;
    x.dim[x.ndim - 1] = last;
    return tp_reshape(y, x);
}

static const char *part(char text[160], const char *name, int i)
{
    snprintf(text, 160, "%.140s.%d", name, 2 * i); /* a name that does not fit the layer refuses */
    return text;
}

/* --- down --------------------------------------------------------------------------------------- */

tp_status tp_conv_down_init(tp_conv_down *d, tp_params *ps, const char *name,
                            const tp_conv_sizes *sizes, tp_activation activation)
{
    char text[160];
    const int64_t *channels = sizes->channels;
    *d = (tp_conv_down){.layers = LAST, .sizes = *sizes, .activation = activation};
    for (int i = 0; i < LAST; i++)
        TP_TRY(tp_nn_conv2d_init(&d->layer[i], ps, part(text, name, i), channels[i],
                                 channels[i + 1], KERNEL, KERNEL, halving));
    return TP_OK;
}

tp_var tp_conv_down_apply(const tp_conv_down *d, tp_ctx *c, tp_var x)
{
    if (d->layers == 0)
        return x;
    tp_var h = pictures_of(&d->sizes, 0, x); /* [n, channels, height, width] */
    for (int i = 0; i < d->layers; i++)
        h = tp_nn_conv2d_activate(&d->layer[i], c, h, d->activation);
    tp_var features = flat_as(h, tp_shape_of(x), tp_conv_features(&d->sizes));
    return TP_NAME(features);
}

/* --- up ----------------------------------------------------------------------------------------- */

tp_status tp_conv_up_init(tp_conv_up *u, tp_params *ps, const char *name,
                          const tp_conv_sizes *sizes, const tp_model_config *config)
{
    char text[160];
    int64_t width = tp_likelihood_width(config->likelihood, config->levels);
    if (config->data_dim > INT64_MAX / width)
        return tp_fail(TP_ESHAPE, "a decoder of %lld times %lld outputs is too large",
                       (long long)config->data_dim, (long long)width);
    *u = (tp_conv_up){.layers = LAST,
                      .sizes = *sizes,
                      .activation = config->activation,
                      .likelihood = config->likelihood,
                      .width = width};
    for (int i = 0; i < LAST; i++) {
        int to = LAST - 1 - i;
        int64_t out = to > 0 ? sizes->channels[to] : sizes->channels[0] * width;
        tp_conv_opts doubling = halving;
        doubling.output_padding[0] = sizes->height[to] % 2;
        doubling.output_padding[1] = sizes->width[to] % 2;
        TP_TRY(tp_nn_conv_transpose2d_init(&u->layer[i], ps, part(text, name, i),
                                           sizes->channels[to + 1], out, KERNEL, KERNEL, doubling));
    }
    return TP_OK;
}

/* [n, channels·levels, h, w] -> [n, channels, h, w, levels]: those of one element together. */
static tp_var levels_last(const tp_conv_up *u, tp_var y)
{
    const tp_conv_sizes *s = &u->sizes;
    if (tp_var_status(y) != TP_OK)
        return y;
    tp_shape apart =
        TP_SHAPE(tp_shape_of(y).dim[0], s->channels[0], u->width, s->height[0], s->width[0]);
    return tp_permute(tp_reshape(y, apart), TP_AXES(0, 1, 3, 4, 2));
}

tp_var tp_conv_up_apply(const tp_conv_up *u, tp_ctx *c, tp_var features)
{
    const tp_conv_sizes *s = &u->sizes;
    if (u->layers == 0)
        return features;
    tp_var y = pictures_of(s, LAST, TP_NAME(features)); /* [n, channels, height, width] */
    for (int i = 0; i < u->layers; i++)
        y = tp_nn_conv_transpose2d_activate(&u->layer[i], c, y,
                                            i + 1 < u->layers ? u->activation : TP_IDENTITY);
    if (u->likelihood == TP_CATEGORICAL)
        y = levels_last(u, y);
    return flat_as(y, tp_shape_of(features),
                   s->channels[0] * s->height[0] * s->width[0] * u->width);
}
