/* ae.c: the autoencoder: the VAE's network, with sampling and KL switched off. */
#include "models/ae.h"

#include <string.h>

tp_status tp_ae_init(void *self, tp_params *ps, const tp_model_config *config)
{
    tp_ae *m = self;
    memcpy(m->option, config->option, sizeof m->option);
    TP_TRY(tp_encoder_init(&m->encoder, ps, config, config->data_dim, true));
    return tp_decoder_init(&m->decoder, ps, config, config->latent_dim);
}

tp_var tp_ae_code(void *self, tp_ctx *c, tp_var x)
{
    return tp_encoder_mean(&((tp_ae *)self)->encoder, c, x);
}

tp_dist tp_ae_decode(void *self, tp_ctx *c, tp_var z)
{
    return tp_decoder_apply(&((tp_ae *)self)->decoder, c, z);
}

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    tp_var z = tp_ae_code(self, c, x); /* [batch, nz] */
    return tp_reconstruction(tp_data_logprob(tp_ae_decode(self, c, z), x));
}

const tp_model_type tp_model_ae = {.name = "ae",
                                   .summary = "autoencoder",
                                   .objective = "−log p(x|z), z = encoder(x)",
                                   .source = "Rumelhart, Hinton and Williams 1986",
                                   .size = sizeof(tp_ae),
                                   .init = tp_ae_init,
                                   .loss = loss,
                                   .code = tp_ae_code,
                                   .decode = tp_ae_decode};
