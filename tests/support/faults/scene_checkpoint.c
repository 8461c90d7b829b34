/* scene_checkpoint.c: the scene of scenes.h whose path is a folder, in which versions are checkpoints. */
#include "tests/support/faults/scenes.h"

#include <stdio.h>
#include <string.h>

#include "models/tapir.h"

enum { EXAMPLES = 10, WIDTH = 16, UNTOUCHED = 19 };

typedef struct session {
    tp_dataset data;
    tp_batches batches;
    tp_model model;
    tp_optimizer adam;
    tp_trainer trainer;
} session;

/* Every number of the state says which version it is of. */
static void fill(tp_tensor *t, int64_t seed, int version)
{
    float *data = tp_data_mut(t);
    for (int64_t i = 0; i < tp_numel(t); i++)
        data[i] = (float)((i * 7 + seed * 3 + version * 11) % 251);
}

static bool filled(const tp_tensor *t, int64_t seed, int version)
{
    for (int64_t i = 0; i < tp_numel(t); i++)
        if (tp_flat(t, i) != (double)((i * 7 + seed * 3 + version * 11) % 251))
            return false;
    return true;
}

static void set_version(session *s, int version)
{
    const tp_params *ps = &s->model.params;
    for (int i = 0; i < ps->n; i++) {
        fill(&ps->item[i]->value, i, version);
        fill(&s->adam.moments[i].first, i + 20, version);
        fill(&s->adam.moments[i].second, i + 40, version);
        s->adam.moments[i].step = (uint64_t)version;
    }
    s->adam.step = (uint64_t)version;
    s->trainer.step = (uint64_t)version;
    s->trainer.epoch = (uint64_t)version + 1;
}

static int version_of(const session *s)
{
    const tp_params *ps = &s->model.params;
    int version = (int)s->trainer.step;
    bool same = s->adam.step == s->trainer.step && s->trainer.epoch == s->trainer.step + 1;
    for (int i = 0; i < ps->n; i++)
        same = same && filled(&ps->item[i]->value, i, version) &&
               filled(&s->adam.moments[i].first, i + 20, version) &&
               filled(&s->adam.moments[i].second, i + 40, version) &&
               s->adam.moments[i].step == (uint64_t)version;
    return same ? version : -1;
}

static void finish(session *s)
{
    tp_optimizer_free(&s->adam);
    tp_model_free(&s->model);
    tp_batches_free(&s->batches);
    tp_dataset_free(&s->data);
}

static tp_status begin(session *s, int version)
{
    tp_model_config config = tp_model_defaults(&tp_model_vae);
    config.data_dim = WIDTH;
    config.hidden[0] = 40;
    config.latent_dim = 2;
    *s = (session){0};
    TP_TRY(tp_tensor_new(&s->data.x, TP_U8, TP_SHAPE(EXAMPLES, WIDTH)));
    TP_TRY(tp_batches_init(&s->batches, &s->data, 4, TP_F32));
    TP_TRY(tp_model_init(&s->model, &tp_model_vae, config, TP_F32, 1));
    TP_TRY(tp_adam_init(&s->adam, &s->model.params, tp_adam_defaults()));
    s->trainer =
        (tp_trainer){.loss = tp_model_loss, .model = &s->model, .optimizer = &s->adam, .seed = 1};
    set_version(s, version);
    return TP_OK;
}

static tp_status put(const char *path, int version)
{
    session s;
    const char *const texts[] = {"note", "a test of faults", NULL};
    tp_status status = begin(&s, version);
    if (status == TP_OK)
        status = tp_checkpoint_save(path, &s.trainer, &s.batches, texts);
    finish(&s);
    return status;
}

static tp_status get(const char *path, int *version)
{
    session s;
    tp_checkpoint c = {0};
    tp_status status = begin(&s, UNTOUCHED);
    if (status == TP_OK)
        status = tp_checkpoint_open(&c, path);
    if (status == TP_OK) {
        if (c.path == NULL)
            status = tp_fail(TP_EVALUE, "%s: holds no checkpoint", path);
        else
            status = tp_checkpoint_load(&c, &s.trainer, &s.batches);
        tp_checkpoint_close(&c);
    }
    *version = version_of(&s);
    if (status != TP_OK && *version != UNTOUCHED)
        status = tp_fail(TP_EVALUE, "%s: half loaded", path);
    finish(&s);
    return status;
}

const scene checkpoint_scene = {"checkpoint", true, put, get};
