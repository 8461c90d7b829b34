/* vae.h: the multilayer perceptron VAE, shared with the autoencoder, which is the same network with
 * sampling and KL switched off. Read next: vae.c. */
#ifndef TP_MODELS_VAE_H
#define TP_MODELS_VAE_H

#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_vae {
    tp_nn_mlp encoder;       /* x -> h */
    tp_nn_linear mu, logvar; /* h -> the posterior's parameters; logvar only if stochastic */
    tp_nn_mlp decoder;       /* z -> logits, or what the Gaussian mean is the sigmoid of */
    tp_likelihood likelihood;
    double beta;
    bool stochastic; /* sample z and pay the KL; off: an autoencoder */
} tp_vae;

/* Parameters "encoder.0.weight" …, "mu.weight", "logvar.weight", "decoder.0.weight" … */
tp_status tp_vae_init(tp_vae *m, tp_params *ps, const tp_model_config *config, bool stochastic);

#ifdef __cplusplus
}
#endif
#endif
