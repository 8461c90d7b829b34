/* blind.h: a control for tests of learning: a decoder whose code is the same for every picture. Read next: test_overfit.c. */
#ifndef TP_TESTS_MODELS_BLIND_H
#define TP_TESTS_MODELS_BLIND_H

#include "autograd/compose.h"
#include "models/vae.h"

static tp_objective blind_loss(void *self, tp_ctx *c, tp_var x)
{
    const tp_vae *m = self;
    tp_shape shape = TP_SHAPE(tp_shape_of(x).dim[0], m->latent_dim);
    tp_var z = tp_full(c->tape, tp_dtype_of(x), shape, 1);
    return tp_reconstruction(tp_data_logprob(tp_vae_decode(self, c, z), x));
}

static const tp_model_type blind_type = {.name = "blind",
                                         .size = sizeof(tp_vae),
                                         .init = tp_vae_init,
                                         .loss = blind_loss,
                                         .decode = tp_vae_decode};

#endif
