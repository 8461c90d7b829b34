/* injected.h: the VAE's loss with noise that the caller brings.
 *
 * Uses the networks of models/vae.h and the parts of nn/, as models/vae.c does; only the draw is replaced, because
 * PyTorch's generator is another one. tests/models/test_vae.c checks that with the model's own draw this is
 * the model's own loss, bit for bit. Read next: test_oracle_vae.c.
 */
#ifndef TP_TESTS_INJECTED_H
#define TP_TESTS_INJECTED_H

#include "autograd/compose.h"
#include "models/vae.h"
#include "nn/dist.h"

/* x [batch, nx], eps [batch, nz] */
static inline tp_objective injected_loss(const tp_model *model, tp_ctx *c, tp_var x, tp_var eps)
{
    const tp_vae *m = model->self;
    tp_dist q = tp_encoder_apply(&m->encoder, c, x);
    tp_var z = tp_reparameterize(q.param[0], q.param[1], eps);
    tp_dist p = tp_decoder_apply(&m->decoder, c, z);
    return tp_negative_elbo(tp_data_logprob(p, x), tp_kl(q, tp_normal_standard(z)),
                            (tp_elbo_opts){.beta = m->beta});
}

#endif
