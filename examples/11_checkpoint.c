/* 11_checkpoint.c: stopping and going on. A model is trained twice, once in one go and once with everything thrown
 * away in between but a checkpoint; the weights come out as the same bits.
 * "vae train --resume" is this with signals and settings. Read nn/checkpoint.h next. */
#define _POSIX_C_SOURCE 200809L
#include "models/tapir.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EPOCHS = 2, STOP = 130 };

typedef struct session {
    tp_dataset train;
    tp_batches batches;
    tp_model model;
    tp_optimizer adam;
    tp_trainer trainer;
    const char *folder; /* for checkpoints; NULL: none */
} session;

/* Called after every batch: the moment to look at a clock, a signal, or, as here, the number of steps. */
static bool on_batch(void *user, const tp_stats *so_far)
{
    session *s = user;
    (void)so_far;
    return s->folder == NULL || s->trainer.step != STOP;
}

static tp_status start(session *s, const char *folder)
{
    tp_model_config config = tp_model_defaults(&tp_model_vae);
    config.hidden[0] = 32;
    config.latent_dim = 4;
    *s = (session){.folder = folder};
    TP_TRY(tp_dataset_read(&s->train, TAPIR_EXAMPLE_DATA, "train"));
    TP_TRY(tp_batches_init(&s->batches, &s->train, 100, TP_F32));
    TP_TRY(tp_model_init(&s->model, &tp_model_vae, config, TP_F32, 1));
    TP_TRY(tp_adam_init(&s->adam, &s->model.params, tp_adam_defaults()));
    s->trainer = (tp_trainer){.loss = tp_model_loss,
                              .model = &s->model,
                              .optimizer = &s->adam,
                              .seed = 1,
                              .on_batch = on_batch,
                              .user = s};
    return tp_tape_new(&s->trainer.tape);
}

static void finish(session *s)
{
    tp_tape_free(s->trainer.tape);
    tp_optimizer_free(&s->adam);
    tp_model_free(&s->model);
    tp_batches_free(&s->batches);
    tp_dataset_free(&s->train);
}

/* Goes on from wherever the trainer is; for a new one that is the beginning. */
static tp_status train(session *s)
{
    while (s->trainer.epoch < EPOCHS) {
        tp_stats stats;
        uint64_t epoch = s->trainer.epoch;
        TP_TRY(tp_train_rest(&s->trainer, &s->batches, &stats));
        if (s->trainer.epoch == epoch) { /* on_batch said stop */
            printf("stopped behind step %d of epoch %d\n", (int)s->trainer.step, (int)epoch);
            return tp_checkpoint_save(s->folder, &s->trainer, &s->batches, NULL);
        }
        printf("epoch %d  loss %.1f\n", (int)epoch, stats.loss);
    }
    return TP_OK;
}

static tp_status go_on(session *s)
{
    tp_checkpoint c;
    TP_TRY(tp_checkpoint_open(&c, s->folder));
    if (c.note != NULL) /* the newest one was damaged; this is the one before */
        printf("%s\n", c.note);
    tp_status status = tp_checkpoint_load(&c, &s->trainer, &s->batches);
    printf("goes on behind step %d\n", (int)c.step);
    tp_checkpoint_close(&c);
    return status;
}

static bool same_weights(const session *a, const session *b)
{
    for (int i = 0; i < a->model.params.n; i++) {
        const tp_tensor *x = &a->model.params.item[i]->value, *y = &b->model.params.item[i]->value;
        for (int64_t k = 0; k < tp_numel(x); k++)
            if (tp_flat(x, k) != tp_flat(y, k))
                return false;
    }
    return true;
}

static tp_status run(const char *folder)
{
    session whole, part;
    TP_TRY(start(&whole, NULL));
    TP_TRY(train(&whole));
    TP_TRY(start(&part, folder));
    TP_TRY(train(&part));
    finish(&part); /* or a power cut */
    TP_TRY(start(&part, folder));
    TP_TRY(go_on(&part));
    TP_TRY(train(&part));
    printf("the weights are %s\n", same_weights(&whole, &part) ? "the same bits" : "different");
    finish(&part);
    finish(&whole);
    return TP_OK;
}

int main(void)
{
    char folder[] = "/tmp/tapir-checkpoint-XXXXXX", path[64];
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    tp_status s = run(folder);
    snprintf(path, sizeof path, "%s/checkpoint-%d.safetensors", folder, STOP);
    unlink(path);
    rmdir(folder);
    if (s != TP_OK)
        fprintf(stderr, "%s\n", tp_last_error());
    return s != TP_OK;
}
