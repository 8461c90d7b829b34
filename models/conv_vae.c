/* conv_vae.c: the VAE of pictures: two convolutions in front of the encoder's hidden layers, their mirror image behind the
 * decoder's, and all else as in vae.c.
 *
 * C -> 32 -> 64 channels, each layer with a quarter of the positions of the last (conv_nets.h), 256 hidden units, 20
 * latents. A model of any other objective gets these networks by the same two lines. Read next: conv_nets.c. */
#include "models/vae.h"

enum { WARMUP, CHANNELS };
static const tp_model_option options[] = {
    TP_WARMUP_OPTION,
    {"channels1", 32, 1, 4096, "channels of the first convolution, at the picture", true},
    {"channels2", 64, 1, 4096, "channels of the second one", true},
    {0},
};

static tp_status init(void *self, tp_params *ps, const tp_model_config *config)
{
    tp_vae *m = self;
    const int64_t channels[TP_CONV_LAYERS] = {(int64_t)config->option[CHANNELS],
                                              (int64_t)config->option[CHANNELS + 1]};
    tp_vae_configure(m, config);
    TP_TRY(tp_encoder_init_conv(&m->encoder, ps, config, channels));
    return tp_decoder_init_conv(&m->decoder, ps, config, channels);
}

const tp_model_type tp_model_conv_vae = {
    .name = "conv_vae",
    .summary = "VAE of pictures, with convolutions",
    .objective = "E_q[−log p(x|z)] + β·KL(q(z|x) ‖ N(0,1))",
    .source = "Kingma and Welling 2014; Radford, Metz and Chintala 2016 (the networks)",
    .size = sizeof(tp_vae),
    .options = options,
    .hidden = 256,
    .pictures = TP_CONV_LEAST,
    .beta = true,
    .scale = true,
    .init = init,
    .loss = tp_vae_loss,
    .posterior = tp_vae_posterior,
    .prior = tp_vae_prior,
    .decode = tp_vae_decode};
