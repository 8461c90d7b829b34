/* choose.c: scenarios of what a run chooses by: optimizers and schedules by name, the best epoch, how a model begins.
 *
 * Read next: oom.c. */
#include "tests/fault/oom/oom.h"

#include <math.h>

enum { EXAMPLES = 4, WIDTH = 3 };

static tp_status begin(scene *s, bool best)
{
    tp_model_config config = tp_model_defaults(&tp_model_vae);
    config.data_dim = WIDTH;
    config.hidden[0] = 4;
    config.latent_dim = 2;
    TP_TRY(oom_draw(&s->data.x, TP_F32, TP_SHAPE(EXAMPLES, WIDTH), 3));
    TP_TRY(tp_model_init(&s->model, &tp_model_vae, config, TP_F32, 1));
    TP_TRY(tp_batches_init(&s->batches, &s->data, 2, TP_F32));
    TP_TRY(tp_adam_init(&s->optimizer, &s->model.params, tp_adam_defaults()));
    if (best)
        TP_TRY(tp_best_init(&s->best, &s->model.params, true));
    s->trainer = (tp_trainer){.optimizer = &s->optimizer, .best = best ? &s->best : NULL};
    for (int i = 0; i < s->model.params.n; i++)
        TP_TRY(oom_watch(s, &s->model.params.item[i]->value));
    return TP_OK;
}

static tp_status bare(scene *s)
{
    return begin(s, false);
}

static tp_status note_model(scene *s)
{
    for (int i = 0; i < s->model.params.n; i++)
        TP_TRY(oom_note(s, &s->model.params.item[i]->value));
    return TP_OK;
}

static tp_status by_name(scene *s)
{
    tp_optim o;
    tp_schedule schedule;
    const double milestones[] = {1, 5};
    TP_TRY(tp_optim_named(&o, "rmsprop"));
    TP_TRY(tp_optim_set(&o, "momentum", 0.9));
    TP_TRY(tp_optim_check(&o));
    TP_TRY(tp_schedule_named(&schedule, "multistep"));
    TP_TRY(tp_schedule_set(&schedule, "milestones", 2, milestones));
    TP_TRY(tp_schedule_check(&schedule));
    return tp_optimizer_init(&s->made_optimizer, &s->model.params, &o);
}

static tp_status keep(scene *s)
{
    TP_TRY(tp_best_init(&s->made_best, &s->model.params, true));
    if (!tp_best_look(&s->made_best, 1, 0.5) || s->made_best.n != s->model.params.n)
        return tp_fail(TP_EVALUE, "the first epoch is not the best");
    tp_best_swap(&s->made_best);
    tp_status status = note_model(s);
    tp_best_swap(&s->made_best);
    return status;
}

/* A checkpoint of the third epoch with other weights than those there are. */
static tp_status kept(scene *s)
{
    TP_TRY(begin(s, true));
    if (!tp_best_look(&s->best, 3, 0.5))
        return tp_fail(TP_EVALUE, "the first epoch is not the best");
    TP_TRY(tp_checkpoint_save(oom_path(""), &s->trainer, &s->batches, NULL));
    s->best.epoch = 0;
    return tp_init_uniform(&s->model.params, s->model.params.item[0], 0.1);
}

static tp_status load(scene *s)
{
    tp_checkpoint c;
    TP_TRY(tp_checkpoint_open(&c, oom_path("")));
    tp_status status = c.path == NULL ? tp_fail(TP_EVALUE, "the checkpoint is not there")
                                      : tp_checkpoint_load(&c, &s->trainer, &s->batches);
    tp_checkpoint_close(&c);
    TP_TRY(status);
    TP_TRY(oom_note_memory(s, &s->best.epoch, sizeof s->best.epoch));
    return note_model(s);
}

static tp_status load_without(scene *s)
{
    s->trainer.best = NULL;
    return load(s);
}

static const char *no_epoch(scene *s)
{
    return s->best.epoch == 0 ? NULL : "the best epoch is another one";
}

static tp_status initialised(scene *s)
{
    const double mean[WIDTH] = {0.25, 0.5, 0.75};
    tp_parameter **p = s->model.params.item;
    TP_TRY(tp_model_output_bias(&s->model, mean));
    TP_TRY(tp_init_layer(&s->model.params, p[0], p[1], WIDTH));
    return note_model(s);
}

static tp_status unwatched(scene *s)
{
    TP_TRY(begin(s, false));
    s->watched_count = 0;
    return TP_OK;
}

const scenario oom_choices[] = {
    {.name = "optimizers and schedules by name", .prepare = bare, .act = by_name},
    {.name = "keep the best epoch", .prepare = bare, .act = keep},
    {.name = "how a model begins", .prepare = unwatched, .act = initialised},
    {.name = "load a checkpoint with a best epoch",
     .prepare = kept,
     .act = load,
     .intact = no_epoch,
     .files = true,
     .foreign = "libc",
     .bare = true},
    {.name = "load a checkpoint without its best epoch",
     .prepare = kept,
     .act = load_without,
     .intact = no_epoch,
     .files = true,
     .foreign = "libc",
     .bare = true},
};
const int oom_choices_count = (int)(sizeof oom_choices / sizeof *oom_choices);
