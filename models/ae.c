/* ae.c: the autoencoder: the VAE's network, with sampling and KL switched off. */
#include "models/vae.h"

static tp_status init(void *self, tp_params *ps, const tp_model_config *config)
{
    return tp_vae_init(self, ps, config, false);
}

static tp_objective loss(const void *self, tp_ctx *c, tp_var x)
{
    return tp_model_vae.loss(self, c, x);
}

static tp_dist encode(const void *self, tp_ctx *c, tp_var x)
{
    return tp_model_vae.encode(self, c, x);
}

static tp_var decode(const void *self, tp_ctx *c, tp_var z)
{
    return tp_model_vae.decode(self, c, z);
}

const tp_model_type tp_model_ae = {.name = "ae",
                                   .summary = "autoencoder",
                                   .objective = "−log p(x|z), z = encoder(x)",
                                   .size = sizeof(tp_vae),
                                   .init = init,
                                   .loss = loss,
                                   .encode = encode,
                                   .decode = decode};
