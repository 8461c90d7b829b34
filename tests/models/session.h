/* session.h: a small training run that stops and goes on, for the tests of checkpoints.
 *
 * Read next: test_checkpoint.c.
 */
#ifndef TP_TESTS_MODELS_SESSION_H
#define TP_TESTS_MODELS_SESSION_H

#include "tests/support/check.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/tapir.h"

enum { EXAMPLES = 22, WIDTH = 12, BATCH = 5, STEPS_PER_EPOCH = 5, EPOCHS = 3 };

typedef enum kind { ADAM, MOMENTUM, SGD, KINDS } kind;

typedef struct session {
    tp_dataset data;
    tp_batches batches;
    tp_model model;
    tp_optimizer optimizer;
    tp_trainer trainer;
    const char *directory;
    uint64_t stop_at; /* save and stop behind this step; 0: never */
} session;

static inline bool stop(void *user, const tp_stats *so_far)
{
    session *s = user;
    assert_true(so_far->batches > 0);
    if (s->trainer.step != s->stop_at)
        return true;
    const char *const texts[] = {"note", "two\nlines", NULL};
    assert_ok(tp_checkpoint_save(s->directory, &s->trainer, &s->batches, texts));
    return false;
}

typedef struct variant {
    kind kind;
    tp_dtype dtype;
    int64_t examples, batch, latent;
    uint64_t seed, data_seed;
    tp_binarize_opts binarize;
} variant;

static const variant usual = {ADAM, TP_F32, EXAMPLES, BATCH, 2, 7, 1};

static inline void start(session *s, variant v, const char *directory)
{
    *s = (session){.directory = directory};
    tp_model_config config = tp_model_defaults(&tp_model_vae);
    config.data_dim = WIDTH;
    config.hidden[0] = 9;
    config.latent_dim = v.latent;
    assert_ok(tp_tensor_new(&s->data.x, v.dtype, TP_SHAPE(v.examples, WIDTH)));
    assert_ok(tp_random_uniform(&s->data.x, (tp_rng_key){.seed = v.data_seed}));
    assert_ok(tp_batches_init(&s->batches, &s->data, v.batch, v.dtype));
    assert_ok(tp_batches_binarize(&s->batches, v.binarize));
    assert_ok(tp_model_init(&s->model, &tp_model_vae, config, v.dtype, v.seed));
    const tp_params *ps = &s->model.params;
    if (v.kind == ADAM)
        assert_ok(tp_adam_init(&s->optimizer, ps, tp_adam_defaults()));
    else
        assert_ok(tp_sgd_init(&s->optimizer, ps,
                              (tp_sgd_opts){.lr = 1e-3, .momentum = v.kind == MOMENTUM ? 0.9 : 0}));
    s->trainer = (tp_trainer){.loss = tp_model_loss,
                              .model = &s->model,
                              .optimizer = &s->optimizer,
                              .seed = v.seed,
                              .on_batch = stop,
                              .user = s,
                              .epoch = 1};
    assert_ok(tp_tape_new(&s->trainer.tape));
}

static inline void finish(session *s)
{
    tp_tape_free(s->trainer.tape);
    tp_optimizer_free(&s->optimizer);
    tp_model_free(&s->model);
    tp_batches_free(&s->batches);
    tp_dataset_free(&s->data);
}

/* Trains up to the end of EPOCHS, or until it is stopped. losses[e] becomes the mean of epoch e. */
static inline void train(session *s, double losses[EPOCHS + 1])
{
    while (s->trainer.epoch <= EPOCHS) {
        tp_stats stats;
        uint64_t epoch = s->trainer.epoch;
        if (epoch == 2)
            s->optimizer.lr = 3e-4; /* a schedule */
        assert_ok(tp_train_rest(&s->trainer, &s->batches, &stats));
        if (s->trainer.epoch == epoch)
            return;
        assert_string_equal(stats.name[0], "recon");
        losses[epoch] = stats.loss;
    }
}

static inline bool same_state(const session *a, const session *b)
{
    bool same = a->trainer.step == b->trainer.step && a->trainer.epoch == b->trainer.epoch &&
                a->optimizer.step == b->optimizer.step && a->optimizer.lr == b->optimizer.lr &&
                a->trainer.done.samples == b->trainer.done.samples &&
                a->trainer.done.loss == b->trainer.done.loss;
    for (int i = 0; i < a->model.params.n && same; i++) {
        const tp_moments *x = &a->optimizer.moments[i], *y = &b->optimizer.moments[i];
        same = equal_bits(&a->model.params.item[i]->value, &b->model.params.item[i]->value) &&
               equal_bits(&x->first, &y->first) && equal_bits(&x->second, &y->second) &&
               x->step == y->step;
    }
    return same;
}

/* A fresh directory for checkpoints. */
static inline const char *fresh_directory(void)
{
    static int n;
    char name[32];
    snprintf(name, sizeof name, "run%d", n++);
    const char *path = test_tmp(name);
    assert_int_equal(mkdir(path, 0777), 0);
    return path;
}

static inline char *inside(const char *directory, const char *name, char path[512])
{
    snprintf(path, 512, "%s/%s", directory, name);
    return path;
}

static inline bool exists(const char *directory, const char *name)
{
    char path[512];
    return access(inside(directory, name, path), F_OK) == 0;
}

static inline void load(session *s)
{
    tp_checkpoint c;
    assert_ok(tp_checkpoint_open(&c, s->directory));
    assert_non_null(c.path);
    assert_ok(tp_checkpoint_load(&c, &s->trainer, &s->batches));
    tp_checkpoint_close(&c);
}

/* Going on as v is refused with that message, and changes nothing. */
static inline void assert_refused(variant v, const char *directory, const char *message)
{
    session s, untouched;
    tp_checkpoint c;
    start(&s, v, directory);
    start(&untouched, v, directory);
    assert_ok(tp_checkpoint_open(&c, directory));
    assert_status(tp_checkpoint_load(&c, &s.trainer, &s.batches), TP_EFORMAT);
    assert_message(message);
    assert_true(same_state(&s, &untouched));
    tp_checkpoint_close(&c);
    finish(&s);
    finish(&untouched);
}

#endif
