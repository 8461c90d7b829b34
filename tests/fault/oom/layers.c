/* layers.c: scenarios of nn/layers/, initial values and buffers. What a model keeps changes with a step as its
 * parameters do, or not at all.
 * Read next: models.c. */
#include "tests/fault/oom/oom.h"

enum { IN = 4, OUT = 3, ROWS = 6, STEPS = 3 };

/* One of each. They lie here and not in the scene: the list frees what is in them. */
typedef struct parts {
    tp_nn_batch_norm batch_norm;
    tp_nn_layer_norm layer_norm;
    tp_nn_embedding embedding;
    tp_nn_gated gated;
    tp_nn_masked_linear masked;
    tp_nn_residual residual;
    tp_nn_conv2d down;
    tp_nn_conv_transpose2d up;
    tp_buffer kept;
} parts;

static parts made, there;

/* --- making -------------------------------------------------------------------------------------- */

static tp_status make_parts(parts *p, tp_params *ps, tp_tensor *mask)
{
    static const int64_t in[IN] = {1, 2, 3, 4}, out[OUT] = {1, 2, 3};
    TP_TRY(tp_tensor_new(mask, TP_U8, TP_SHAPE(OUT, IN)));
    TP_TRY(tp_made_mask(mask, in, out, true));
    TP_TRY(tp_nn_batch_norm_init(&p->batch_norm, ps, "bn", IN, (tp_nn_batch_norm_opts){0}));
    TP_TRY(
        tp_nn_layer_norm_init(&p->layer_norm, ps, "ln", TP_SHAPE(IN), (tp_nn_layer_norm_opts){0}));
    TP_TRY(tp_nn_embedding_init(&p->embedding, ps, "table", ROWS, IN));
    TP_TRY(tp_nn_residual_init(&p->residual, ps, "block", IN, 5, TP_TANH));
    TP_TRY(tp_nn_gated_init(&p->gated, ps, "gate", IN, IN));
    TP_TRY(tp_nn_masked_linear_init(&p->masked, ps, "masked", mask));
    TP_TRY(tp_nn_conv2d_init(&p->down, ps, "down", 1, 3, 2, 2, (tp_conv_opts){0}));
    TP_TRY(tp_nn_conv_transpose2d_init(&p->up, ps, "up", 3, 1, 2, 2, (tp_conv_opts){0}));
    return tp_params_add_buffer(ps, &p->kept, "kept", TP_I64, TP_SHAPE(IN));
}

static tp_status note_all(scene *s, const tp_params *ps)
{
    for (int i = 0; i < ps->n; i++)
        TP_TRY(oom_note(s, &ps->item[i]->value));
    for (int i = 0; i < ps->buffers; i++)
        TP_TRY(oom_note(s, &ps->buffer[i]->value));
    return TP_OK;
}

static tp_status make(scene *s)
{
    tp_buffer alone;
    s->made_params = tp_params_make(TP_F32, 3);
    TP_TRY(make_parts(&made, &s->made_params, &s->made[0]));
    TP_TRY(tp_buffer_init(&alone, "alone", TP_F64, TP_SHAPE(7)));
    tp_buffer_free(&alone);
    return note_all(s, &s->made_params);
}

/* --- initial values ------------------------------------------------------------------------------ */

static tp_status start(scene *s)
{
    s->params = tp_params_make(TP_F32, 3);
    TP_TRY(make_parts(&there, &s->params, &s->t[0]));
    TP_TRY(tp_tape_new(&s->tape));
    for (int i = 0; i < s->params.buffers; i++)
        TP_TRY(oom_watch(s, &s->params.buffer[i]->value));
    return TP_OK;
}

static tp_status draw_all(scene *s)
{
    tp_parameter *w = &there.embedding.weight;
    TP_TRY(tp_init_constant(w, 0.5));
    TP_TRY(tp_init_uniform(&s->params, w, 0.5));
    TP_TRY(tp_init_normal(&s->params, w, 0.02));
    TP_TRY(tp_init_glorot_uniform(&s->params, w, 1));
    TP_TRY(tp_init_glorot_normal(&s->params, w, 1));
    TP_TRY(tp_init_he_uniform(&s->params, w, 1.4));
    TP_TRY(tp_init_he_normal(&s->params, w, 1.4));
    TP_TRY(tp_clone(&s->made[0], &w->value)); /* drawing itself needs no memory */
    return oom_note(s, &s->made[0]);
}

/* --- applying ------------------------------------------------------------------------------------ */

/* h [5, IN] as pictures of 2 by 2 in one channel, to 1 by 1 in three, and back. */
static tp_var convolved(const parts *p, tp_ctx *c, tp_var h)
{
    tp_var x = tp_reshape(h, TP_SHAPE(5, 1, 1, 2, 2)); /* [5, 1, channels, height, width] */
    tp_var a = tp_nn_conv2d_activate(&p->down, c, x, TP_RELU),
           b = tp_nn_conv2d_apply(&p->down, c, x);
    tp_var y = tp_nn_conv_transpose2d_activate(&p->up, c, a, TP_TANH);
    y = tp_add(y, tp_nn_conv_transpose2d_apply(&p->up, c, b));
    return tp_reshape(y, TP_SHAPE(5, IN));
}

static tp_var apply(const parts *p, tp_ctx *c, tp_var index)
{
    tp_var h = tp_nn_embedding_apply(&p->embedding, c, index); /* [5, IN] */
    h = tp_nn_residual_apply(&p->residual, c, h);
    h = tp_nn_batch_norm_apply(&p->batch_norm, c, h);
    h = tp_nn_gated_apply(&p->gated, c, h);
    h = tp_nn_layer_norm_apply(&p->layer_norm, c, convolved(p, c, h));
    return tp_nn_masked_linear_apply(&p->masked, c, h); /* [5, OUT] */
}

/* Forward and backward, not committed: what is kept is watched. */
static tp_status use(scene *s)
{
    static const int64_t rows[] = {5, 0, 2, 5, 1};
    TP_TRY(tp_tensor_from(&s->made[0], TP_I64, TP_SHAPE(5), rows));
    tp_tape_reset(s->tape);
    tp_params_zero_grad(&s->params);
    tp_ctx train = tp_ctx_train(s->tape, 1, 0), eval = tp_ctx_eval(s->tape, 1, 0);
    tp_var index = tp_constant(s->tape, &s->made[0]);
    tp_buffer_set(&train, &there.kept, tp_reshape(tp_slice(index, 0, 0, IN, 1), TP_SHAPE(IN)));
    tp_var y = tp_add(apply(&there, &train, index), apply(&there, &eval, index));
    TP_TRY(tp_backward(tp_sum(tp_square(y), TP_ALL_AXES, false)));
    TP_TRY(oom_note_var(s, y));
    for (int i = 0; i < s->params.buffers; i++)
        if (s->params.buffer[i] != &there.masked.mask)
            TP_TRY(oom_note(s, tp_buffer_next(&train, s->params.buffer[i])));
    return oom_note(s, tp_parameter_grad(&there.embedding.weight));
}

/* --- training ------------------------------------------------------------------------------------ */

/* The bits of everything a step changes, after 0, 1, 2 … good steps; the first act is the clean one. */
static uint64_t after[STEPS + 1];

static uint64_t state_of(scene *s)
{
    uint64_t keep = s->bits, state;
    s->bits = 1;
    note_all(s, &s->params);
    state = s->bits;
    s->bits = keep;
    return state;
}

static tp_objective loss(void *model, tp_ctx *c, tp_var x)
{
    const parts *p = model;
    tp_var h = tp_nn_gated_apply(&p->gated, c, tp_nn_batch_norm_apply(&p->batch_norm, c, x));
    tp_var total = tp_mean(tp_square(h), TP_ALL_AXES, false);
    return (tp_objective){.total = total, .terms = 1, .term = {{"squared", total, 1}}};
}

static bool remember(void *user, const tp_stats *so_far)
{
    scene *s = user;
    uint64_t *entry = &after[so_far->batches];
    *entry = *entry != 0 ? *entry : state_of(s);
    return true;
}

static tp_status ready(scene *s)
{
    TP_TRY(start(s));
    s->watched_count = 0; /* they change with every good step */
    TP_TRY(oom_draw(&s->data.x, TP_F32, TP_SHAPE(STEPS * 2, IN), 3));
    TP_TRY(tp_batches_init(&s->batches, &s->data, 2, TP_F32));
    TP_TRY(tp_adam_init(&s->optimizer, &s->params, tp_adam_defaults()));
    s->trainer = (tp_trainer){.tape = s->tape,
                              .loss = loss,
                              .model = &there,
                              .optimizer = &s->optimizer,
                              .seed = 1,
                              .epoch = 1,
                              .on_batch = remember,
                              .user = s};
    after[0] = state_of(s);
    return TP_OK;
}

static const char *as_of_last_step(scene *s)
{
    if (s->trainer.step > STEPS || state_of(s) != after[s->trainer.step])
        return "parameters or buffers are not those of the last good step";
    return NULL;
}

static tp_status train(scene *s)
{
    tp_stats stats;
    TP_TRY(tp_train_rest(&s->trainer, &s->batches, &stats));
    if (as_of_last_step(s) != NULL)
        return tp_fail(TP_EVALUE, "%s", as_of_last_step(s));
    oom_note_memory(s, &stats.loss, sizeof stats.loss);
    return note_all(s, &s->params);
}

/* --- keeping ------------------------------------------------------------------------------------- */

static tp_status saved(scene *s)
{
    TP_TRY(start(s));
    TP_TRY(tp_params_save(&s->params, oom_path("parts.safetensors"), NULL));
    TP_TRY(tp_fill(&there.batch_norm.running_mean.value, 7));
    return tp_fill(&there.kept.value, 7);
}

static tp_status save(scene *s)
{
    return tp_params_save(&s->params, oom_path("parts.safetensors"), NULL);
}

static tp_status load(scene *s)
{
    TP_TRY(tp_params_load(&s->params, oom_path("parts.safetensors")));
    return note_all(s, &s->params);
}

const scenario oom_layers[] = {
    {.name = "make one of every layer", .act = make},
    {.name = "draw initial values", .prepare = start, .act = draw_all},
    {.name = "apply every layer", .prepare = start, .act = use},
    {.name = "train with batch norm",
     .prepare = ready,
     .act = train,
     .intact = as_of_last_step,
     .says = "training step "},
    {.name = "save buffers", .prepare = saved, .act = save, .files = true, .bare = true},
    {.name = "load buffers", .prepare = saved, .act = load, .files = true, .bare = true},
};
const int oom_layers_count = (int)(sizeof oom_layers / sizeof *oom_layers);
