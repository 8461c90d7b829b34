/* nets.c: see nets.h. */
#include "models/nets.h"
#include "autograd/compose.h"

#include <stdio.h>

/* The heads, by their names with this in front. */
static tp_status add_heads(tp_encoder *e, tp_params *ps, const char *prefix, int64_t hidden,
                           int64_t out, tp_posterior_scale scale)
{
    static const char *const second[] = {
        [TP_SCALE_LOGVAR] = "logvar", [TP_SCALE_SOFTPLUS] = "scale"};
    char name[160]; /* one that does not fit is refused by the layer */
    e->scale = scale;
    snprintf(name, sizeof name, "%.140smu", prefix);
    TP_TRY(tp_nn_linear_init(&e->mu, ps, name, hidden, out));
    if (scale == TP_SCALE_ONE)
        return TP_OK;
    snprintf(name, sizeof name, "%.140s%s", prefix, second[scale]);
    return tp_nn_linear_init(&e->logvar, ps, name, hidden, out);
}

/* The configured hidden layers under a name, and the heads behind them. */
static tp_status add_encoder(tp_encoder *e, tp_params *ps, const tp_model_config *config,
                             const char *name, int64_t in, bool deterministic)
{
    int n = config->hidden_layers;
    int64_t size[TP_MLP_LAYERS + 1] = {in};
    for (int i = 0; i < n; i++)
        size[i + 1] = config->hidden[i];
    TP_TRY(tp_nn_mlp_init(&e->body, ps, name, size, n, config->activation, config->activation));
    return add_heads(e, ps, "", size[n], config->latent_dim,
                     deterministic ? TP_SCALE_ONE : config->posterior_scale);
}

tp_status tp_encoder_init(tp_encoder *e, tp_params *ps, const tp_model_config *config, int64_t in,
                          bool deterministic)
{
    return add_encoder(e, ps, config, "encoder", in, deterministic);
}

tp_status tp_encoder_init_conv(tp_encoder *e, tp_params *ps, const tp_model_config *config,
                               const int64_t channels[TP_CONV_LAYERS])
{
    tp_conv_sizes sizes;
    TP_TRY(tp_conv_sizes_of(&sizes, config, channels));
    TP_TRY(tp_conv_down_init(&e->down, ps, "encoder.conv", &sizes, config->activation));
    return add_encoder(e, ps, config, "encoder.fc", tp_conv_features(&sizes), false);
}

tp_status tp_encoder_init_named(tp_encoder *e, tp_params *ps, const char *name, int64_t in,
                                int64_t hidden, int64_t out, tp_activation activation,
                                tp_posterior_scale scale)
{
    char prefix[160];
    snprintf(prefix, sizeof prefix, "%.130s.", name);
    TP_TRY(tp_nn_mlp_init(&e->body, ps, name, (int64_t[]){in, hidden}, 1, activation, activation));
    return add_heads(e, ps, prefix, hidden, out, scale);
}

tp_var tp_encoder_hidden(const tp_encoder *e, tp_ctx *c, tp_var x)
{
    tp_scope_begin(c->tape, "encoder");
    tp_var h = tp_nn_mlp_apply(&e->body, c, tp_conv_down_apply(&e->down, c, x)); /* [.., nh] */
    tp_scope_end(c->tape);
    return TP_NAME(h);
}

tp_dist tp_encoder_heads(const tp_encoder *e, tp_ctx *c, tp_var h)
{
    tp_scope_begin(c->tape, "heads");
    tp_var mu = tp_nn_linear_apply(&e->mu, c, h); /* [.., nz] */
    tp_dist q;
    if (e->scale == TP_SCALE_ONE) {
        q = tp_normal_fixed(TP_NAME(mu), 0);
    } else if (e->scale == TP_SCALE_SOFTPLUS) {
        tp_var scale = tp_nn_linear_apply(&e->logvar, c, h); /* [.., nz] */
        q = tp_normal_softplus(TP_NAME(mu), TP_NAME(scale));
    } else {
        tp_var logvar = tp_nn_linear_apply(&e->logvar, c, h); /* [.., nz] */
        q = tp_normal_logvar(TP_NAME(mu), TP_NAME(logvar));
    }
    tp_scope_end(c->tape);
    return q;
}

tp_dist tp_encoder_apply(const tp_encoder *e, tp_ctx *c, tp_var x)
{
    return tp_encoder_heads(e, c, tp_encoder_hidden(e, c, x));
}

tp_var tp_encoder_mean(const tp_encoder *e, tp_ctx *c, tp_var x)
{
    tp_var h = tp_encoder_hidden(e, c, x);
    tp_scope_begin(c->tape, "heads");
    tp_var mu = tp_nn_linear_apply(&e->mu, c, h);
    tp_scope_end(c->tape);
    return TP_NAME(mu);
}

tp_status tp_encoder_mlp_init(tp_nn_mlp *l, tp_params *ps, const tp_model_config *config,
                              int64_t in, int64_t n, int64_t each)
{
    int hidden = config->hidden_layers;
    int64_t size[TP_MLP_LAYERS + 1] = {in};
    if (n > INT64_MAX / each)
        return tp_fail(TP_ESHAPE, "an encoder of %lld times %lld outputs is too large",
                       (long long)n, (long long)each);
    for (int i = 0; i < hidden; i++)
        size[i + 1] = config->hidden[i];
    size[hidden + 1] = n * each;
    return tp_nn_mlp_init(l, ps, "encoder", size, hidden + 1, config->activation, TP_IDENTITY);
}

/* z -> out through the configured hidden layers in reverse. */
static tp_status add_decoder(tp_decoder *d, tp_params *ps, const tp_model_config *config,
                             const char *name, int64_t in, int64_t out, tp_activation last)
{
    int n = config->hidden_layers;
    int64_t size[TP_MLP_LAYERS + 1] = {in};
    for (int i = 0; i < n; i++)
        size[i + 1] = config->hidden[n - 1 - i];
    size[n + 1] = out;
    d->likelihood = config->likelihood;
    d->levels = config->levels;
    return tp_nn_mlp_init(&d->body, ps, name, size, n + 1, config->activation, last);
}

tp_status tp_decoder_init(tp_decoder *d, tp_params *ps, const tp_model_config *config, int64_t in)
{
    int64_t width = tp_likelihood_width(config->likelihood, config->levels);
    if (config->data_dim > INT64_MAX / width)
        return tp_fail(TP_ESHAPE, "a decoder of %lld times %lld outputs is too large",
                       (long long)config->data_dim, (long long)width);
    return add_decoder(d, ps, config, "decoder", in, config->data_dim * width, TP_IDENTITY);
}

tp_status tp_decoder_init_conv(tp_decoder *d, tp_params *ps, const tp_model_config *config,
                               const int64_t channels[TP_CONV_LAYERS])
{
    tp_conv_sizes sizes;
    TP_TRY(tp_conv_sizes_of(&sizes, config, channels));
    TP_TRY(add_decoder(d, ps, config, "decoder.fc", config->latent_dim, tp_conv_features(&sizes),
                       config->activation));
    return tp_conv_up_init(&d->up, ps, "decoder.conv", &sizes, config);
}

tp_dist tp_decoder_apply(const tp_decoder *d, tp_ctx *c, tp_var z)
{
    tp_scope_begin(c->tape, "decoder");
    tp_var y = tp_conv_up_apply(&d->up, c, tp_nn_mlp_apply(&d->body, c, z)); /* [.., nx · width] */
    tp_dist p = tp_likelihood_dist(d->likelihood, d->levels, y);
    tp_scope_end(c->tape);
    return p;
}

tp_var tp_split_last(tp_var x, int64_t width)
{
    tp_shape s = tp_shape_of(x);
    if (tp_var_status(x) != TP_OK || s.ndim == 0 || s.ndim == TP_MAX_DIMS)
        return tp_unsqueeze(x, -1); /* which says why */
    s.dim[s.ndim - 1] /= width;
    s.dim[s.ndim++] = width;
    return tp_reshape(x, s);
}

tp_var tp_join_last(tp_var x)
{
    tp_shape s = tp_shape_of(x);
    if (tp_var_status(x) != TP_OK || s.ndim < 2)
        return tp_squeeze(x, -1); /* which says why */
    s.ndim--;
    s.dim[s.ndim - 1] *= s.dim[s.ndim];
    return tp_reshape(x, s);
}
