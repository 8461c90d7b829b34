/* models.c: scenarios of nn/ and models/: making, training, evaluating, keeping. Training is all or nothing by the step:
 * after a failure parameters and optimizer are, bit for bit, those of the last step that was good.
 * Read next: rows.c, every row of models.def. */
#include "tests/fault/oom/oom.h"

#include "models/uses.h"

enum { EXAMPLES = 7, SIDE = 4, WIDTH = SIDE * SIDE, BATCH = 3, STEPS = 3 };

static tp_model_config small(tp_likelihood likelihood)
{
    tp_model_config c = tp_model_defaults(&tp_model_vae);
    c.data_dim = WIDTH;
    c.hidden[0] = 5;
    c.latent_dim = 2;
    c.likelihood = likelihood;
    return c;
}

static tp_status make_data(scene *s)
{
    TP_TRY(tp_tensor_new(&s->data.x, TP_U8, TP_SHAPE(EXAMPLES, SIDE, SIDE)));
    unsigned char *x = tp_data_mut(&s->data.x);
    for (int i = 0; i < EXAMPLES * WIDTH; i++)
        x[i] = (unsigned char)(i * 37 % 256);
    return TP_OK;
}

/* --- making ------------------------------------------------------------------------------------------ */

static tp_status note_params(scene *s, const tp_params *ps)
{
    for (int i = 0; i < ps->n; i++)
        TP_TRY(oom_note(s, &ps->item[i]->value));
    return TP_OK;
}

/* A model of one's own, as examples/08_new_model.c: layers and a bare parameter. */
typedef struct own {
    tp_nn_mlp encoder, decoder;
    tp_nn_linear mu, logvar;
    tp_parameter noise;
} own;

static tp_status own_init(void *self, tp_params *ps, const tp_model_config *c)
{
    own *m = self;
    int64_t nh = c->hidden[0], nz = c->latent_dim;
    const int64_t down[] = {WIDTH, nh, nh}, up[] = {nz, nh, WIDTH};
    TP_TRY(tp_nn_mlp_init(&m->encoder, ps, "encoder", down, 2, TP_TANH, TP_TANH));
    TP_TRY(tp_nn_linear_init(&m->mu, ps, "mu", nh, nz));
    TP_TRY(tp_nn_linear_init(&m->logvar, ps, "logvar", nh, nz));
    TP_TRY(tp_nn_mlp_init(&m->decoder, ps, "decoder", up, 2, TP_SOFTPLUS, TP_IDENTITY));
    TP_TRY(tp_params_add(ps, &m->noise, "noise", TP_SHAPE(1)));
    return tp_fill(&m->noise.value, -3);
}

static tp_dist own_posterior(void *self, tp_ctx *c, tp_var x)
{
    const own *m = self;
    tp_var h = tp_nn_mlp_apply(&m->encoder, c, x); /* [batch, nh] */
    return tp_normal_logvar(tp_nn_linear_apply(&m->mu, c, h), tp_nn_linear_apply(&m->logvar, c, h));
}

static tp_dist own_decode(void *self, tp_ctx *c, tp_var z)
{
    own *m = self;
    tp_var mean = tp_nn_mlp_apply(&m->decoder, c, z);
    return tp_normal_logvar(mean, tp_expand(tp_param(c->tape, &m->noise), tp_shape_of(mean)));
}

static tp_dist own_prior(void *self, tp_ctx *c)
{
    const own *m = self;
    int64_t nz = m->mu.bias.value.shape.dim[0];
    return tp_normal_standard(tp_full(c->tape, m->noise.value.dtype, TP_SHAPE(nz), 0));
}

static tp_objective own_loss(void *self, tp_ctx *c, tp_var x)
{
    tp_dist q = own_posterior(self, c, x);
    tp_var z = tp_dist_rsample(q, c);
    return tp_negative_elbo(tp_data_logprob(own_decode(self, c, z), x),
                            tp_kl(q, tp_normal_standard(z)), tp_elbo_defaults());
}

static const tp_model_type own_type = {.name = "own",
                                       .size = sizeof(own),
                                       .any_real = true,
                                       .init = own_init,
                                       .loss = own_loss,
                                       .posterior = own_posterior,
                                       .prior = own_prior,
                                       .decode = own_decode};

static tp_status make_own(scene *s)
{
    TP_TRY(tp_model_init(&s->made_model, &own_type, small(TP_GAUSSIAN), TP_F32, 1));
    return note_params(s, &s->made_model.params);
}

static tp_status with_model_of(scene *s, const tp_model_type *type, tp_likelihood likelihood,
                               tp_dtype dtype)
{
    TP_TRY(make_data(s));
    TP_TRY(tp_model_init(&s->model, type, small(likelihood), dtype, 1));
    TP_TRY(tp_tape_new(&s->tape));
    return tp_batches_init(&s->batches, &s->data, BATCH, dtype);
}

static tp_status with_model(scene *s)
{
    TP_TRY(with_model_of(s, &tp_model_vae, TP_BERNOULLI, TP_F32));
    for (int i = 0; i < s->model.params.n; i++)
        TP_TRY(oom_watch(s, &s->model.params.item[i]->value));
    return TP_OK;
}

/* The most that a rule keeps. */
static tp_rmsprop_opts three_states(void)
{
    tp_rmsprop_opts o = tp_rmsprop_defaults();
    o.centered = true;
    o.momentum = 0.9;
    return o;
}

static tp_status make_optimizers(scene *s)
{
    tp_sgd_opts momentum = tp_sgd_defaults();
    momentum.momentum = 0.9;
    TP_TRY(tp_sgd_init(&s->made_optimizer, &s->model.params, momentum));
    tp_optimizer_free(&s->made_optimizer);
    TP_TRY(tp_adamw_init(&s->made_optimizer, &s->model.params, tp_adamw_defaults()));
    tp_optimizer_free(&s->made_optimizer);
    TP_TRY(tp_rmsprop_init(&s->made_optimizer, &s->model.params, three_states()));
    tp_optimizer_free(&s->made_optimizer);
    TP_TRY(tp_adagrad_init(&s->made_optimizer, &s->model.params, tp_adagrad_defaults()));
    tp_optimizer_free(&s->made_optimizer);
    return tp_adam_init(&s->made_optimizer, &s->model.params, tp_adam_defaults());
}

static tp_status make_batches(scene *s)
{
    tp_batch batch;
    bool got;
    TP_TRY(tp_batches_init(&s->made_batches, &s->data, BATCH, TP_F32));
    tp_batches_shuffle(&s->made_batches, 1, 2);
    TP_TRY(tp_batches_next(&s->made_batches, &batch, &got));
    return oom_note(s, &batch.x);
}

/* Batches of a data set that lies in memory with gaps. */
static tp_status with_gaps(scene *s)
{
    tp_tensor wide;
    TP_TRY(oom_draw(&s->t[0], TP_F32, TP_SHAPE(EXAMPLES, 2 * WIDTH), 4));
    TP_TRY(tp_view_slice(&s->t[0], 1, 0, TP_SLICE_END, 2, &wide));
    s->data.x = wide;
    return oom_watch(s, &s->t[0]);
}

static tp_status know_batches(scene *s)
{
    uint32_t crc;
    TP_TRY(tp_batches_init(&s->made_batches, &s->data, BATCH, TP_F32));
    TP_TRY(tp_batches_fingerprint(&s->made_batches, &crc));
    TP_TRY(tp_batches_skip(&s->made_batches, BATCH));
    return oom_note_memory(s, &crc, sizeof crc);
}

/* --- training ---------------------------------------------------------------------------------------- */

/* The bits of everything a step changes, after 0, 1, 2 … good steps; made by the first act, which is the clean
 * one, and looked up after failures. */
static uint64_t after[STEPS + 1];

static uint64_t state_of(scene *s)
{
    uint64_t keep = s->bits, state;
    s->bits = 1;
    const tp_optimizer *o = &s->optimizer;
    for (int i = 0; i < o->n; i++) {
        oom_note(s, &s->model.params.item[i]->value);
        oom_note_memory(s, &o->moments[i].step, sizeof o->moments[i].step);
        if (o->moments[i].first.storage != NULL)
            oom_note(s, &o->moments[i].first);
        if (o->moments[i].second.storage != NULL)
            oom_note(s, &o->moments[i].second);
        if (o->moments[i].third.storage != NULL)
            oom_note(s, &o->moments[i].third);
    }
    oom_note_memory(s, &o->step, sizeof o->step);
    state = s->bits;
    s->bits = keep;
    return state;
}

static bool remember_step(void *user, const tp_stats *so_far)
{
    scene *s = user;
    if (so_far->batches <= STEPS)
        after[so_far->batches] = state_of(s);
    return true;
}

static bool keep_going(void *user, const tp_stats *so_far)
{
    (void)user, (void)so_far;
    return true;
}

static const char *as_of_last_step(scene *s)
{
    if (s->trainer.step > STEPS || state_of(s) != after[s->trainer.step])
        return "parameters or optimizer are not those of the last good step";
    return NULL;
}

typedef tp_status (*make_optimizer)(scene *s);

static tp_status adam(scene *s)
{
    return tp_adam_init(&s->optimizer, &s->model.params, tp_adam_defaults());
}

static tp_status momentum(scene *s)
{
    tp_sgd_opts o = tp_sgd_defaults();
    o.momentum = 0.9;
    TP_TRY(tp_sgd_init(&s->optimizer, &s->model.params, o));
    return tp_optimizer_check(&s->optimizer);
}

static tp_status rmsprop(scene *s)
{
    return tp_rmsprop_init(&s->optimizer, &s->model.params, three_states());
}

static tp_status sgd(scene *s)
{
    return tp_sgd_init(&s->optimizer, &s->model.params, tp_sgd_defaults());
}

/* The state at the start is the same at each attempt, and so is what follows: one clean run of it says what each
 * step leaves behind. */
static tp_status ready(scene *s, make_optimizer optimizer, bool trap)
{
    tp_stats stats;
    TP_TRY(optimizer(s));
    s->trainer = (tp_trainer){.tape = s->tape,
                              .loss = tp_model_loss,
                              .model = &s->model,
                              .optimizer = &s->optimizer,
                              .seed = 1,
                              .trap = trap,
                              .on_batch = remember_step,
                              .user = s};
    after[0] = state_of(s);
    TP_TRY(tp_train_epoch(&s->trainer, &s->batches, 1, &stats));
    const tp_model_type *type = s->model.type;
    tp_model_config config = s->model.config;
    tp_dtype dtype = s->model.params.dtype;
    tp_optimizer_free(&s->optimizer);
    tp_model_free(&s->model);
    tp_tape_free(s->tape);
    s->tape = NULL;
    TP_TRY(tp_tape_new(&s->tape)); /* one that has no memory yet */
    TP_TRY(tp_model_init(&s->model, type, config, dtype, 1));
    TP_TRY(optimizer(s));
    s->trainer.tape = s->tape;
    s->trainer.step = 0;
    s->trainer.epoch = 0;
    s->trainer.done = (tp_stats){0};
    s->trainer.on_batch = keep_going;
    return state_of(s) == after[0] ? TP_OK
                                   : tp_fail(TP_EVALUE, "a model is not what its seed says");
}

static tp_status vae_adam(scene *s)
{
    TP_TRY(with_model_of(s, &tp_model_vae, TP_BERNOULLI, TP_F32));
    return ready(s, adam, false);
}

static tp_status vae_trapped(scene *s)
{
    TP_TRY(with_model_of(s, &tp_model_vae, TP_GAUSSIAN, TP_F32));
    return ready(s, adam, true);
}

static tp_status ae_momentum(scene *s)
{
    TP_TRY(with_model_of(s, &tp_model_ae, TP_GAUSSIAN, TP_F64));
    return ready(s, momentum, false);
}

static tp_status vae_rmsprop(scene *s)
{
    /* ready did without: this is RMSprop's default, and nothing reaches the bounds. */
    static const tp_schedule constant = {.kind = TP_LR_constant, .lr = 1e-2};
    TP_TRY(with_model_of(s, &tp_model_vae, TP_BERNOULLI, TP_F32));
    TP_TRY(ready(s, rmsprop, false));
    s->trainer.schedule = &constant;
    s->trainer.clip_norm = 1e9;
    s->trainer.clip_value = 1e9;
    return TP_OK;
}

static tp_status own_sgd(scene *s)
{
    TP_TRY(with_model_of(s, &own_type, TP_GAUSSIAN, TP_F32));
    return ready(s, sgd, false);
}

/* One epoch, or what a failure has left of it. */
static tp_status train(scene *s)
{
    tp_stats stats;
    s->trainer.epoch = 1;
    TP_TRY(tp_train_rest(&s->trainer, &s->batches, &stats));
    if (as_of_last_step(s) != NULL)
        return tp_fail(TP_EVALUE, "%s", as_of_last_step(s));
    oom_note_memory(s, &stats.loss, sizeof stats.loss);
    return note_params(s, &s->model.params);
}

/* A step without a trainer. */
static tp_status by_hand(scene *s)
{
    TP_TRY(with_model(s));
    return adam(s);
}

static const char *untouched(scene *s)
{
    return s->optimizer.step == 0 ? NULL : "the optimizer took a step";
}

static tp_status step_by_hand(scene *s)
{
    tp_batch batch;
    bool got;
    tp_tape_reset(s->tape);
    tp_batches_rewind(&s->batches);
    TP_TRY(tp_batches_next(&s->batches, &batch, &got));
    tp_trainer t = {.tape = s->tape, .loss = tp_model_loss, .model = &s->model, .seed = 1};
    tp_objective o = tp_train_record(&t, &batch);
    tp_params_zero_grad(&s->model.params);
    TP_TRY(tp_backward(o.total));
    tp_schedule constant = tp_schedule_defaults();
    constant.lr = 1e-3;
    TP_TRY(tp_schedule_lr(&constant, 0, &s->optimizer.lr));
    TP_TRY(tp_clip_grad_value(&s->model.params, 0.5));
    TP_TRY(tp_clip_grad_norm(&s->model.params, 1, NULL));
    TP_TRY(tp_optimizer_step(&s->optimizer));
    return note_params(s, &s->model.params);
}

static tp_status evaluate(scene *s)
{
    tp_stats stats;
    tp_trainer t = {.tape = s->tape, .loss = tp_model_loss, .model = &s->model, .seed = 1};
    TP_TRY(tp_evaluate(&t, &s->batches, &stats));
    return oom_note_memory(s, &stats.loss, sizeof stats.loss);
}

/* --- parts of a model ------------------------------------------------------------------------------------ */

/* Distributions, objectives, layers and what they are made of. */
static tp_status distributions(scene *s)
{
    tp_tape_reset(s->tape);
    tp_ctx c = tp_ctx_train(s->tape, 1, 0);
    tp_var x = tp_constant(s->tape, &s->t[0]); /* [3,5] in (0,1) */
    tp_var h = tp_nn_mlp_apply(&s->mlp, &c, tp_nn_linear_apply(&s->linear, &c, x));
    tp_dist p = tp_bernoulli_logits(tp_dropout(&c, h, 0.5));
    tp_dist n = tp_normal_fixed(tp_dist_mean(p), -1);
    tp_var drawn = tp_dist_sample(p, &c), kl = tp_kl(n, tp_normal_standard(h));
    tp_objective o = tp_negative_elbo(tp_dist_logprob(p, drawn), kl, tp_elbo_defaults());
    tp_objective r = tp_reconstruction(tp_dist_logprob(n, drawn));
    TP_TRY(oom_note_var(s, o.total));
    TP_TRY(oom_note_var(s, tp_activate(TP_SOFTPLUS, r.total)));
    tp_params_zero_grad(&s->params);
    TP_TRY(tp_backward(tp_add(o.total, r.total)));
    return oom_note(s, tp_parameter_grad(&s->linear.weight));
}

static tp_status layers(scene *s)
{
    const int64_t sizes[] = {4, 3, 5};
    s->params = tp_params_make(TP_F32, 9);
    TP_TRY(tp_tape_new(&s->tape));
    TP_TRY(tp_nn_linear_init(&s->linear, &s->params, "first", 5, 4));
    TP_TRY(tp_nn_mlp_init(&s->mlp, &s->params, "rest", sizes, 2, TP_RELU, TP_IDENTITY));
    return oom_draw(&s->t[0], TP_F32, TP_SHAPE(3, 5), 3);
}

/* --- keeping it ---------------------------------------------------------------------------------------- */

static tp_status old_weights(scene *s)
{
    TP_TRY(with_model(s));
    TP_TRY(tp_params_save(&s->model.params, oom_path("model.safetensors"), NULL));
    return tp_init_uniform(&s->model.params, s->model.params.item[0], 0.1);
}

static tp_status save(scene *s)
{
    static const char *const metadata[] = {"epoch", "3", NULL};
    return tp_params_save(&s->model.params, oom_path("model.safetensors"), metadata);
}

static tp_status load(scene *s)
{
    TP_TRY(tp_params_load(&s->model.params, oom_path("model.safetensors")));
    return note_params(s, &s->model.params);
}

/* A run with a checkpoint of its first epoch, which goes on for another. */
static tp_status checkpointed(scene *s)
{
    tp_stats stats;
    TP_TRY(vae_adam(s));
    TP_TRY(tp_train_epoch(&s->trainer, &s->batches, 1, &stats));
    TP_TRY(tp_checkpoint_save(oom_path(""), &s->trainer, &s->batches, NULL));
    TP_TRY(tp_train_epoch(&s->trainer, &s->batches, 2, &stats));
    for (int i = 0; i < s->model.params.n; i++)
        TP_TRY(oom_watch(s, &s->model.params.item[i]->value));
    return TP_OK;
}

static tp_status save_checkpoint(scene *s)
{
    static const char *const texts[] = {"note", "two epochs", NULL};
    return tp_checkpoint_save(oom_path(""), &s->trainer, &s->batches, texts);
}

static tp_status load_checkpoint(scene *s)
{
    tp_checkpoint c;
    TP_TRY(tp_checkpoint_open(&c, oom_path("")));
    tp_status status = c.path == NULL ? tp_fail(TP_EVALUE, "the checkpoint is not there")
                                      : tp_checkpoint_load(&c, &s->trainer, &s->batches);
    tp_checkpoint_close(&c);
    TP_TRY(status);
    oom_note_memory(s, &s->trainer.step, sizeof s->trainer.step);
    return note_params(s, &s->model.params);
}

const scenario oom_models[] = {
    {.name = "make a model of one's own", .act = make_own},
    {.name = "make optimizers", .prepare = with_model, .act = make_optimizers},
    {.name = "make batches", .prepare = with_model, .act = make_batches},
    {.name = "know batches by a fingerprint", .prepare = with_gaps, .act = know_batches},
    {.name = "one step by hand", .prepare = by_hand, .act = step_by_hand, .intact = untouched},
    {.name = "train a vae with Adam",
     .prepare = vae_adam,
     .act = train,
     .intact = as_of_last_step,
     .says = "training step "},
    {.name = "train with the trap",
     .prepare = vae_trapped,
     .act = train,
     .intact = as_of_last_step,
     .says = "training step "},
    {.name = "train an autoencoder with momentum",
     .prepare = ae_momentum,
     .act = train,
     .intact = as_of_last_step,
     .says = "training step "},
    {.name = "train with RMSprop, a schedule and clipping",
     .prepare = vae_rmsprop,
     .act = train,
     .intact = as_of_last_step,
     .says = "training step "},
    {.name = "train a model of one's own with SGD",
     .prepare = own_sgd,
     .act = train,
     .intact = as_of_last_step,
     .says = "training step "},
    {.name = "evaluate", .prepare = with_model, .act = evaluate},
    {.name = "distributions and layers", .prepare = layers, .act = distributions},
    {.name = "save", .prepare = old_weights, .act = save, .files = true, .bare = true},
    {.name = "load", .prepare = old_weights, .act = load, .files = true, .bare = true},
    {.name = "save a checkpoint",
     .prepare = checkpointed,
     .act = save_checkpoint,
     .files = true,
     .foreign = "libc",
     .bare = true},
    {.name = "load a checkpoint",
     .prepare = checkpointed,
     .act = load_checkpoint,
     .files = true,
     .foreign = "libc",
     .bare = true},
};
const int oom_models_count = (int)(sizeof oom_models / sizeof *oom_models);
