/* infer.h: q(z|x) without an encoder: the normal distribution that fits best is sought for each x anew.
 *
 * For models that have none, and to see what an encoder loses against it. Read next: infer.c, per_example_vae.c.
 */
#ifndef TP_MODELS_INFER_H
#define TP_MODELS_INFER_H

#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_infer_opts {
    int64_t steps; /* of ascent; 0: the prior */
    double
        rate; /* of each, in (0,1]: 1 jumps to where the log-likelihood would have its best if it were quadratic and
                    * its dimensions independent */
} tp_infer_opts;

/* q = N(μ, e^v), batch [batch], for x [batch, data_dim]: begins at the type's prior, which must be normal, and climbs the
 * ELBO of type->decode by natural gradients with respect to μ and v alone; the decoder stays as it is. A function of x
 * only: its draws have keys of their own and are the same for all x. No gradient flows into the result. Works in no-grad
 * mode too. Costs two decodings of the batch and their gradients per step, of which the tape keeps some numbers per latent
 * dimension. TP_ESHAPE for another x or prior. Hoffman et
 * al. 2013 (natural gradients); Khan and Lin 2017 (with any decoder). */
tp_dist tp_infer_normal(const tp_model_type *type, void *self, tp_ctx *c, tp_var x,
                        tp_infer_opts opts);

#ifdef __cplusplus
}
#endif
#endif
