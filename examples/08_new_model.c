/* 08_new_model.c: a latent-variable model of your own, from scratch, in one file.
 *
 * Points lie along a curve in the plane: x = (t, t²) + noise, t ~ N(0,1). The model has one latent
 * variable per point, a small network that decodes it to a point, and one learned noise level. It is
 * trained with the ELBO, checked with numerical gradients, and asked what noise it found: 0.1 is the truth,
 * and it comes within a few hundredths of it.
 * Read models/vae.c next for how the library's own models look. */
#include "models/tapir.h"

#include <math.h>
#include <stdio.h>

/* --- the model: parameters, decoder, loss --------------------------------------------------------- */

typedef struct curve {
    tp_nn_mlp encoder, decoder;
    tp_nn_linear mu, logvar;
    tp_parameter noise; /* log-variance of p(x|z), shared by both coordinates: [1] */
} curve;

static tp_status init(void *self, tp_params *ps, const tp_model_config *config)
{
    curve *m = self;
    int64_t nh = config->hidden[0], nz = config->latent_dim;
    const int64_t down[] = {2, nh, nh}, up[] = {nz, nh, nh, 2};
    TP_TRY(tp_nn_mlp_init(&m->encoder, ps, "encoder", down, 2, TP_TANH, TP_TANH));
    TP_TRY(tp_nn_linear_init(&m->mu, ps, "mu", nh, nz));
    TP_TRY(tp_nn_linear_init(&m->logvar, ps, "logvar", nh, nz));
    TP_TRY(tp_nn_mlp_init(&m->decoder, ps, "decoder", up, 3, TP_TANH, TP_IDENTITY));
    /* The noise starts small. Started large, it would explain the data alone, and the latent variable would
     * never be used: posterior collapse. */
    TP_TRY(tp_params_add(ps, &m->noise, "noise", TP_SHAPE(1)));
    return tp_fill(&m->noise.value, -3);
}

static tp_dist posterior(void *self, tp_ctx *c, tp_var x)
{
    const curve *m = self;
    tp_var h = tp_nn_mlp_apply(&m->encoder, c, x);            /* [batch, nh] */
    return tp_normal_logvar(tp_nn_linear_apply(&m->mu, c, h), /* [batch, 1] each */
                            tp_nn_linear_apply(&m->logvar, c, h));
}

static tp_dist prior(void *self, tp_ctx *c)
{
    const curve *m = self;
    tp_shape one = m->mu.bias.value.shape; /* [nz] */
    return tp_normal_standard(tp_full(c->tape, m->noise.value.dtype, one, 0));
}

static tp_dist decode(void *self, tp_ctx *c, tp_var z)
{
    curve *m = self;
    tp_var mean = tp_nn_mlp_apply(&m->decoder, c, z); /* [batch, 2] */
    return tp_normal_logvar(mean, tp_expand(tp_param(c->tape, &m->noise), tp_shape_of(mean)));
}

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    tp_dist q = posterior(self, c, x), p = prior(self, c);
    tp_var z = tp_dist_rsample(q, c);
    return tp_negative_elbo(tp_dist_logprob(decode(self, c, z), x), tp_kl(q, p),
                            tp_elbo_defaults());
}

static const tp_model_type curve_type = {.name = "curve",
                                         .summary = "points along a curve",
                                         .objective = "E_q[−log N(x; f(z), σ²)] + KL(q ‖ N(0,1))",
                                         .size = sizeof(curve),
                                         .any_real = true,
                                         .init = init,
                                         .loss = loss,
                                         .posterior = posterior,
                                         .prior = prior,
                                         .decode = decode};

/* --- is it right? --------------------------------------------------------------------------------- */

static tp_status check_gradients(void)
{
    tp_model model;
    tp_batch few = {.n = 4};
    tp_check_report report;
    tp_model_config config = tp_model_defaults(&curve_type);
    config.data_dim = 2, config.hidden[0] = 3, config.latent_dim = 1;
    TP_TRY(tp_model_init(&model, &curve_type, config, TP_F64, 5));
    TP_TRY(tp_tensor_new(&few.x, TP_F64, TP_SHAPE(4, 2)));
    TP_TRY(tp_random_normal(&few.x, (tp_rng_key){.seed = 6}));
    TP_TRY(tp_model_gradcheck(&model, &few, (tp_check_opts){0}, &report));
    printf("gradient check: %lld numbers, worst error %.1e of what is allowed\n",
           (long long)report.checked, report.worst);
    tp_tensor_free(&few.x);
    tp_model_free(&model);
    return TP_OK;
}

/* --- data and training ------------------------------------------------------------------------------ */

enum { POINTS = 2000 };

static tp_status make_points(tp_tensor *x)
{
    tp_tensor t = {0}, noise = {0};
    TP_TRY(tp_tensor_new(x, TP_F32, TP_SHAPE(POINTS, 2)));
    TP_TRY(tp_tensor_new(&t, TP_F32, TP_SHAPE(POINTS)));
    TP_TRY(tp_tensor_new(&noise, TP_F32, TP_SHAPE(POINTS, 2)));
    TP_TRY(tp_random_normal(&t, (tp_rng_key){.seed = 1}));
    TP_TRY(tp_random_normal(&noise, (tp_rng_key){.seed = 2}));
    for (int64_t i = 0; i < POINTS; i++) {
        double ti = tp_flat(&t, i);
        TP_TRY(tp_set_flat(x, 2 * i, ti + 0.1 * tp_flat(&noise, 2 * i)));
        TP_TRY(tp_set_flat(x, 2 * i + 1, ti * ti + 0.1 * tp_flat(&noise, 2 * i + 1)));
    }
    tp_tensor_free(&t);
    tp_tensor_free(&noise);
    return TP_OK;
}

static tp_status train(void)
{
    tp_dataset points = {0};
    tp_batches batches;
    tp_model model;
    tp_optimizer adam;
    tp_tape *tape;
    tp_model_config config = tp_model_defaults(&curve_type);
    tp_adam_opts opts = tp_adam_defaults();
    config.data_dim = 2, config.hidden[0] = 32, config.latent_dim = 1;
    opts.lr = 3e-3;
    TP_TRY(make_points(&points.x));
    TP_TRY(tp_batches_init(&batches, &points, 50, TP_F32));
    TP_TRY(tp_model_init(&model, &curve_type, config, TP_F32, 1));
    TP_TRY(tp_adam_init(&adam, &model.params, opts));
    TP_TRY(tp_tape_new(&tape));
    tp_trainer trainer = {
        .tape = tape, .loss = tp_model_loss, .model = &model, .optimizer = &adam, .seed = 1};
    for (uint64_t epoch = 1; epoch <= 240; epoch++) {
        tp_stats s;
        TP_TRY(tp_train_epoch(&trainer, &batches, epoch, &s));
        if (epoch % 40 == 0)
            printf("epoch %3d  loss %6.3f = recon %6.3f + kl %.3f   noise %.3f\n", (int)epoch,
                   s.loss, s.term[0], s.term[1],
                   exp(tp_flat(&tp_params_find(&model.params, "noise")->value, 0) / 2));
    }
    double nll; /* comes for free, from posterior, prior and decoder */
    TP_TRY(tp_model_nll(&model, tape, &batches, 1, 100, &nll));
    printf("-log p(x) of a point, from 100 samples of the posterior: %.2f\n", nll);
    tp_tape_free(tape);
    tp_optimizer_free(&adam);
    tp_model_free(&model);
    tp_batches_free(&batches);
    tp_dataset_free(&points);
    return TP_OK;
}

int main(void)
{
    if (check_gradients() != TP_OK || train() != TP_OK) {
        fprintf(stderr, "%s\n", tp_last_error());
        return 1;
    }
    return 0;
}
