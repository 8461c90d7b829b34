/* nets.h: the two networks that most models are made of: x to a normal posterior, and z to a likelihood.
 *
 * Multilayer perceptrons, the decoder's sizes those of the encoder in reverse; of pictures with convolutions at the end
 * where x is (conv_nets.h). Read next: vae.c.
 */
#ifndef TP_MODELS_NETS_H
#define TP_MODELS_NETS_H

#include "models/conv_nets.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_encoder {
    tp_conv_down down;        /* x -> its features; none: x itself */
    tp_nn_mlp body;           /* -> h */
    tp_nn_linear mu, logvar;  /* h -> the posterior's parameters; */
    tp_posterior_scale scale; /* the second in this form */
} tp_encoder;

/* Registers "encoder.0.weight" …, "mu.weight", … and, unless it is to be deterministic, "logvar.weight", … or, if the
 * configured scale is another one, "scale.weight", …; inputs are in numbers. */
tp_status tp_encoder_init(tp_encoder *e, tp_params *ps, const tp_model_config *config, int64_t in,
                          bool deterministic);
/* Of pictures: tp_conv_down in front of the hidden layers, with these channels. Registers "encoder.conv.0.weight", …,
 * "encoder.fc.0.weight", …, and the heads as above. */
tp_status tp_encoder_init_conv(tp_encoder *e, tp_params *ps, const tp_model_config *config,
                               const int64_t channels[TP_CONV_LAYERS]);
/* The same network between other variables, with one hidden layer: "<name>.0.weight", …, "<name>.mu.weight", …,
 * "<name>.logvar.weight", …, or as above. */
tp_status tp_encoder_init_named(tp_encoder *e, tp_params *ps, const char *name, int64_t in,
                                int64_t hidden, int64_t out, tp_activation activation,
                                tp_posterior_scale scale);
/* q(z|x) = N(μ(x), σ(x)²), event [latent_dim]; x [.., in]. */
tp_dist tp_encoder_apply(const tp_encoder *e, tp_ctx *c, tp_var x);
/* Its two halves, for a model that makes more out of h: x -> h [.., last hidden], and h -> q(z|x). */
tp_var tp_encoder_hidden(const tp_encoder *e, tp_ctx *c, tp_var x);
tp_dist tp_encoder_heads(const tp_encoder *e, tp_ctx *c, tp_var h);
/* μ(x) alone: the code of a deterministic one. */
tp_var tp_encoder_mean(const tp_encoder *e, tp_ctx *c, tp_var x);

/* The hidden layers and one linear layer behind, x -> [.., n · each], for codes and posteriors that are no normal
 * distribution: registers "encoder.0.weight", …. Applied by tp_nn_mlp_apply. TP_ESHAPE if n · each is too large. */
tp_status tp_encoder_mlp_init(tp_nn_mlp *l, tp_params *ps, const tp_model_config *config,
                              int64_t in, int64_t n, int64_t each);

typedef struct tp_decoder {
    tp_nn_mlp body; /* z -> h, */
    tp_conv_up up;  /* h -> the likelihood's numbers; none: h itself */
    tp_likelihood likelihood;
    int64_t levels;
} tp_decoder;

/* Registers "decoder.0.weight", …; inputs are in numbers, for most models latent_dim. */
tp_status tp_decoder_init(tp_decoder *d, tp_params *ps, const tp_model_config *config, int64_t in);
/* Of pictures: tp_conv_up behind the hidden layers, with these channels, from the last to the first. Registers
 * "decoder.fc.0.weight", …, "decoder.conv.0.weight", …. */
tp_status tp_decoder_init_conv(tp_decoder *d, tp_params *ps, const tp_model_config *config,
                               const int64_t channels[TP_CONV_LAYERS]);
/* p(x|z) of the configured likelihood; z [.., in]. */
tp_dist tp_decoder_apply(const tp_decoder *d, tp_ctx *c, tp_var z);

/* [.., n·width] -> [.., n, width], n numbers or vectors out of a network's outputs | the last two axes as one again. */
tp_var tp_split_last(tp_var x, int64_t width);
tp_var tp_join_last(tp_var x);

#ifdef __cplusplus
}
#endif
#endif
