/* injected.h: the VAE's loss with noise that the caller brings.
 *
 * Uses the layers of models/vae.h and the parts of nn/, as models/vae.c does; only the draw is replaced, because
 * PyTorch's generator is another one. tests/models/test_vae.c checks that with the model's own draw this is
 * the model's own loss, bit for bit. Read next: test_oracle_vae.c.
 */
#ifndef TP_TESTS_INJECTED_H
#define TP_TESTS_INJECTED_H

#include "autograd/compose.h"
#include "models/vae.h"
#include "nn/dist.h"

static inline tp_var injected_logprob(const tp_vae *m, tp_var y, tp_var x)
{
    if (m->decoder.likelihood == TP_BERNOULLI)
        return tp_dist_logprob(tp_bernoulli_logits(y), x);
    return tp_dist_logprob(tp_normal_fixed(tp_sigmoid(y), 0), x);
}

/* x [batch, nx], eps [batch, nz] */
static inline tp_objective injected_loss(const tp_model *model, tp_ctx *c, tp_var x, tp_var eps)
{
    const tp_vae *m = model->self;
    tp_var h = tp_nn_mlp_apply(&m->encoder.body, c, x);
    tp_dist q = tp_normal_logvar(tp_nn_linear_apply(&m->encoder.mu, c, h),
                                 tp_nn_linear_apply(&m->encoder.logvar, c, h));
    tp_var z = tp_reparameterize(q.param[0], q.param[1], eps);
    tp_var y = tp_nn_mlp_apply(&m->decoder.body, c, z);
    return tp_negative_elbo(injected_logprob(m, y, x), tp_kl(q, tp_normal_standard(z)),
                            (tp_elbo_opts){.beta = m->beta});
}

#endif
