/* 06_vae.c: a variational autoencoder, complete. The encoder gives q(z|x) = N(μ, e^logvar), one sample of
 * it is decoded, and the loss is the negative evidence lower bound. Read nn/objective.h next. */
#include "models/tapir.h"

#include <stdio.h>

typedef struct vae {
    tp_nn_linear enc, mu, logvar, dec, out;
} vae;

static tp_status init(vae *m, tp_params *ps)
{
    TP_TRY(tp_nn_linear_init(&m->enc, ps, "enc", 784, 400));
    TP_TRY(tp_nn_linear_init(&m->mu, ps, "mu", 400, 20));
    TP_TRY(tp_nn_linear_init(&m->logvar, ps, "logvar", 400, 20));
    TP_TRY(tp_nn_linear_init(&m->dec, ps, "dec", 20, 400));
    return tp_nn_linear_init(&m->out, ps, "out", 400, 784);
}

static tp_dist decode(const vae *m, tp_ctx *c, tp_var z)
{
    tp_var h = tp_relu(tp_nn_linear_apply(&m->dec, c, z)); /* [batch, 400] */
    return tp_bernoulli_logits(tp_nn_linear_apply(&m->out, c, h));
}

static tp_objective loss(void *model, tp_ctx *c, tp_var x)
{
    const vae *m = model;
    tp_var h = tp_relu(tp_nn_linear_apply(&m->enc, c, x));         /* [batch, 400] */
    tp_dist q = tp_normal_logvar(tp_nn_linear_apply(&m->mu, c, h), /* [batch, 20] each */
                                 tp_nn_linear_apply(&m->logvar, c, h));
    tp_var z = tp_dist_rsample(q, c); /* z = μ + e^{logvar/2} ⊙ ε: reparameterize */
    tp_dist p = decode(m, c, z);
    return tp_negative_elbo(tp_dist_logprob(p, x), tp_kl(q, tp_normal_standard(z)),
                            tp_elbo_defaults());
}

static tp_status run(void)
{
    vae m;
    tp_dataset digits;
    tp_batches batches;
    tp_optimizer adam;
    tp_tape *tape;
    tp_params params = tp_params_make(TP_F32, 1);
    TP_TRY(tp_set_threads(0)); /* as many as there are cores */
    TP_TRY(tp_dataset_read(&digits, TAPIR_EXAMPLE_DATA, "train"));
    TP_TRY(tp_batches_init(&batches, &digits, 100, TP_F32));
    TP_TRY(init(&m, &params));
    TP_TRY(tp_adam_init(&adam, &params, tp_adam_defaults()));
    TP_TRY(tp_tape_new(&tape));
    tp_trainer trainer = {.tape = tape, .loss = loss, .model = &m, .optimizer = &adam, .seed = 1};
    for (uint64_t epoch = 1; epoch <= 3; epoch++) {
        tp_stats s;
        TP_TRY(tp_train_epoch(&trainer, &batches, epoch, &s));
        printf("epoch %d  loss %.2f = recon %.2f + kl %.2f nats\n", (int)epoch, s.loss, s.term[0],
               s.term[1]);
    }
    tp_tape_free(tape);
    tp_optimizer_free(&adam);
    tp_params_free(&params);
    tp_batches_free(&batches);
    tp_dataset_free(&digits);
    return TP_OK;
}

int main(void)
{
    if (run() != TP_OK) {
        fprintf(stderr, "%s\n", tp_last_error());
        return 1;
    }
    return 0;
}
