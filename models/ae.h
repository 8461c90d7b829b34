/* ae.h: the autoencoder's parts, for models that are one with another objective. Read next: ae.c. */
#ifndef TP_MODELS_AE_H
#define TP_MODELS_AE_H

#include "models/nets.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_ae {
    tp_encoder encoder; /* deterministic */
    tp_decoder decoder;
    double option[TP_MODEL_OPTIONS]; /* the configured ones */
} tp_ae;

/* As in tp_model_type, for a self that begins with a tp_ae. */
tp_status tp_ae_init(void *self, tp_params *ps, const tp_model_config *config);
tp_var tp_ae_code(void *self, tp_ctx *c, tp_var x);
tp_dist tp_ae_decode(void *self, tp_ctx *c, tp_var z);

#ifdef __cplusplus
}
#endif
#endif
