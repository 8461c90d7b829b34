/* test_checkpoint.c: a run that goes on from a checkpoint ends with the same bits as one that never stopped, wherever
 * it was stopped; damaged checkpoints are passed over; a checkpoint of another run is refused, and nothing changes.
 *
 * Kills and failing disks are tests/fault. Read next: nn/checkpoint.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/support/check.h"

#include "tensor/kernels/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static bool stop(void *user, const tp_stats *so_far)
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

static void start(session *s, variant v, const char *directory)
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

static void finish(session *s)
{
    tp_tape_free(s->trainer.tape);
    tp_optimizer_free(&s->optimizer);
    tp_model_free(&s->model);
    tp_batches_free(&s->batches);
    tp_dataset_free(&s->data);
}

/* Trains up to the end of EPOCHS, or until it is stopped. losses[e] becomes the mean of epoch e. */
static void train(session *s, double losses[EPOCHS + 1])
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

static bool same_state(const session *a, const session *b)
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
static const char *fresh_directory(void)
{
    static int n;
    char name[32];
    snprintf(name, sizeof name, "run%d", n++);
    const char *path = test_tmp(name);
    assert_int_equal(mkdir(path, 0777), 0);
    return path;
}

static char *inside(const char *directory, const char *name, char path[512])
{
    snprintf(path, 512, "%s/%s", directory, name);
    return path;
}

static bool exists(const char *directory, const char *name)
{
    char path[512];
    return access(inside(directory, name, path), F_OK) == 0;
}

static void load(session *s)
{
    tp_checkpoint c;
    assert_ok(tp_checkpoint_open(&c, s->directory));
    assert_non_null(c.path);
    assert_ok(tp_checkpoint_load(&c, &s->trainer, &s->batches));
    tp_checkpoint_close(&c);
}

static void test_resume_anywhere(void **state)
{
    (void)state;
    size_t live = tp_mem().live_bytes;
    for (int k = 0; k < 2 * KINDS; k++) { /* each kind and type, and each binarization */
        variant v = usual;
        v.kind = k % KINDS;
        v.dtype = k < KINDS ? TP_F32 : TP_F64;
        v.binarize = (tp_binarize_opts){(tp_binarization)(k % (TP_BINARIZE_DYNAMIC + 1)), 3};
        session whole;
        double losses[EPOCHS + 1] = {0};
        start(&whole, v, NULL);
        train(&whole, losses);
        assert_int_equal(whole.trainer.step, EPOCHS * STEPS_PER_EPOCH);
        for (uint64_t stop_at = 1; stop_at <= EPOCHS * STEPS_PER_EPOCH; stop_at++) {
            session first, second;
            const char *directory = fresh_directory();
            double again[EPOCHS + 1] = {0};
            start(&first, v, directory);
            first.stop_at = stop_at;
            train(&first, again);
            assert_int_equal(first.trainer.step, stop_at);
            start(&second, v, directory);
            load(&second);
            assert_true(same_state(&first, &second));
            finish(&first);
            train(&second, again);
            assert_true(same_state(&whole, &second));
            assert_memory_equal(losses, again, sizeof losses);
            finish(&second);
        }
        finish(&whole);
    }
    tp_matmul_release();
    assert_int_equal(tp_mem().live_bytes, live);
}

/* What must be in a checkpoint: each part, left out, is noticed by the comparison above. */
static void test_every_part_matters(void **state)
{
    (void)state;
    session whole, first;
    double losses[EPOCHS + 1] = {0}, other[EPOCHS + 1] = {0};
    const char *directory = fresh_directory();
    start(&whole, usual, NULL);
    train(&whole, losses);
    start(&first, usual, directory);
    first.stop_at = 12; /* in the last epoch, where the schedule says nothing any more */
    train(&first, other);
    for (int part = 0; part < 7; part++) {
        session s;
        start(&s, usual, directory);
        load(&s);
        tp_moments *m = &s.optimizer.moments[1];
        if (part == 1)
            assert_ok(tp_fill(&m->first, 0));
        else if (part == 2)
            assert_ok(tp_fill(&m->second, 0));
        else if (part == 3)
            m->step = 0;
        else if (part == 4)
            s.trainer.step--; /* its noise */
        else if (part == 5)
            s.optimizer.lr = 1e-3;
        else if (part == 6)
            s.trainer.done.loss = 0;
        memcpy(other, losses, sizeof other);
        train(&s, other);
        bool same = same_state(&whole, &s) && memcmp(losses, other, sizeof losses) == 0;
        assert_true(same == (part == 0));
        finish(&s);
    }
    finish(&first);
    finish(&whole);
}

static void test_two_are_kept(void **state)
{
    (void)state;
    session s;
    double losses[EPOCHS + 1];
    const char *directory = fresh_directory();
    start(&s, usual, directory);
    for (s.stop_at = 2; s.stop_at <= 10; s.stop_at += 4)
        train(&s, losses);
    assert_false(exists(directory, "checkpoint-2.safetensors"));
    assert_true(exists(directory, "checkpoint-6.safetensors"));
    assert_true(exists(directory, "checkpoint-10.safetensors"));

    tp_checkpoint c; /* texts come back */
    assert_ok(tp_checkpoint_open(&c, directory));
    assert_int_equal(c.step, 10);
    assert_null(c.note);
    assert_string_equal(tp_checkpoint_text(&c, "note"), "two\nlines");
    assert_null(tp_checkpoint_text(&c, "other"));
    tp_checkpoint_close(&c);

    /* A run that is behind what the directory holds is another one. */
    s.trainer.step = 9;
    assert_status(tp_checkpoint_save(directory, &s.trainer, &s.batches, NULL), TP_EARG);
    assert_message("holds a checkpoint of step 10, this run is at step 9");
    s.trainer.step = 10;
    assert_ok(tp_checkpoint_save(directory, &s.trainer, &s.batches, NULL)); /* the same once more */
    const char *const twice[] = {"seed", "1", NULL};
    s.trainer.step = 11;
    assert_status(tp_checkpoint_save(directory, &s.trainer, &s.batches, twice), TP_EARG);
    assert_message("metadata 'seed' is given twice");
    finish(&s);
}

static void flip_byte(const char *path, long offset)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, offset, SEEK_SET), 0);
    int byte = fgetc(f);
    assert_int_equal(fseek(f, offset, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 1, f), byte ^ 1);
    assert_int_equal(fclose(f), 0);
}

/* A flipped bit in the newest: the one before it is taken, and the run still ends with the same bits. */
static void test_damage(void **state)
{
    (void)state;
    char path[512];
    session whole, s, again;
    double losses[EPOCHS + 1];
    tp_checkpoint c;
    const char *directory = fresh_directory();
    start(&whole, usual, NULL);
    train(&whole, losses);
    start(&s, usual, directory);
    for (s.stop_at = 4; s.stop_at <= 9; s.stop_at += 5)
        train(&s, losses);
    finish(&s);
    flip_byte(inside(directory, "checkpoint-9.safetensors", path), 4000);

    assert_ok(tp_checkpoint_open(&c, directory));
    assert_int_equal(c.step, 4);
    assert_non_null(
        strstr(c.note, "checkpoint-9.safetensors: damaged: its bytes have the checksum "));
    assert_true(exists(directory, "checkpoint-9.safetensors")); /* looking changes nothing */
    start(&again, usual, directory);
    assert_ok(tp_checkpoint_load(&c, &again.trainer, &again.batches));
    tp_checkpoint_close(&c);
    assert_false(exists(directory, "checkpoint-9.safetensors"));
    assert_true(exists(directory, "checkpoint-9.safetensors.damaged"));
    again.stop_at = 6; /* and saving goes on, where a newer one stood in the way */
    train(&again, losses);
    assert_true(exists(directory, "checkpoint-6.safetensors"));
    train(&again, losses);
    assert_true(same_state(&whole, &again));
    finish(&again);
    finish(&whole);

    flip_byte(inside(directory, "checkpoint-6.safetensors", path), 100);
    assert_int_equal(truncate(inside(directory, "checkpoint-4.safetensors", path), 500), 0);
    assert_status(tp_checkpoint_open(&c, directory), TP_EFORMAT);
    assert_message("checkpoint-6.safetensors: ");
    assert_message("; no older checkpoint is whole");
}

/* Writes the metadata of one checkpoint as another, with one value changed. */
static void save_changed(const char *from, const char *to, const char *key, const char *value)
{
    const char *metadata[128];
    int n = 0;
    tp_safetensors s;
    tp_tensor one;
    assert_ok(tp_safetensors_open(&s, from));
    for (int64_t i = 0; i < 2 * s.metadata_n; i += 2) {
        if (strcmp(s.metadata[i], TP_SAFETENSORS_CRC) == 0)
            continue; /* is written by itself */
        assert_true(n < 126);
        metadata[n++] = s.metadata[i];
        metadata[n++] = strcmp(s.metadata[i], key) == 0 ? value : s.metadata[i + 1];
    }
    metadata[n] = NULL;
    assert_ok(tp_tensor_new(&one, TP_F32, TP_SHAPE(1)));
    assert_ok(tp_safetensors_save(to, &(tp_named_tensor){"one", &one}, 1, metadata));
    tp_tensor_free(&one);
    tp_safetensors_close(&s);
}

/* Whole files of the right name that are no checkpoints all the same. */
static void test_not_checkpoints(void **state)
{
    (void)state;
    char path[512], other[512];
    session s;
    double losses[EPOCHS + 1];
    tp_checkpoint c;
    const char *directory = fresh_directory();
    start(&s, usual, directory);
    s.stop_at = 4;
    train(&s, losses);
    finish(&s);
    inside(directory, "checkpoint-4.safetensors", path);

    save_changed(path, inside(directory, "checkpoint-5.safetensors", other), "epoch_terms", "5");
    assert_ok(tp_checkpoint_open(&c, directory));
    assert_int_equal(c.step, 4);
    assert_non_null(strstr(c.note, "checkpoint-5.safetensors: 5 terms, expected at most 4"));
    tp_checkpoint_close(&c);

    save_changed(path, inside(directory, "checkpoint-6.safetensors", other), "epoch", "one");
    assert_ok(tp_checkpoint_open(&c, directory));
    assert_non_null(strstr(c.note, "metadata 'epoch' is missing or no whole number"));
    tp_checkpoint_close(&c);

    save_changed(path, inside(directory, "checkpoint-7.safetensors", other), "", "");
    char head[65] = {0};
    FILE *f = fopen(other, "r+b"); /* the checksum under another name is none */
    assert_non_null(f);
    assert_int_equal(fread(head, 1, 64, f), 64);
    char *name = strstr(head + 8, TP_SAFETENSORS_CRC); /* behind the length */
    assert_non_null(name);
    *name = 'T';
    rewind(f);
    assert_int_equal(fwrite(head, 1, 64, f), 64);
    assert_int_equal(fclose(f), 0);
    assert_ok(tp_checkpoint_open(&c, directory));
    assert_non_null(strstr(c.note, "checkpoint-7.safetensors: has no checksum"));
    assert_int_equal(c.step, 4);
    tp_checkpoint_close(&c);

    save_changed(path, inside(directory, "checkpoint-8.safetensors", other), "", ""); /* renamed */
    assert_ok(tp_checkpoint_open(&c, directory));
    assert_non_null(
        strstr(c.note, "checkpoint-8.safetensors: holds step 4, another one than its name says"));
    assert_int_equal(c.step, 4);
    tp_checkpoint_close(&c);
}

static void test_no_checkpoint(void **state)
{
    (void)state;
    char path[512];
    tp_checkpoint c;
    session s;
    const char *directory = fresh_directory();
    static const char *const names[] = {
        "checkpoint-.safetensors", "checkpoint-01.safetensors", "checkpoint-1.safetensors.tmp-1-2",
        "checkpoint-18446744073709551616.safetensors", "model.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        FILE *f = fopen(inside(directory, names[i], path), "w");
        assert_non_null(f);
        fclose(f);
    }
    assert_ok(tp_checkpoint_open(&c, directory));
    assert_null(c.path);
    assert_null(tp_checkpoint_text(&c, "note"));
    start(&s, usual, directory);
    assert_status(tp_checkpoint_load(&c, &s.trainer, &s.batches), TP_EARG);
    finish(&s);
    tp_checkpoint_close(&c);
    assert_status(tp_checkpoint_open(&c, inside(directory, "nowhere", path)), TP_EIO);
    assert_message("nowhere: cannot open: ");

    tp_tensor t; /* a file of that name that is no checkpoint */
    assert_ok(tp_tensor_new(&t, TP_F32, TP_SHAPE(2)));
    assert_ok(tp_safetensors_save(inside(directory, "checkpoint-5.safetensors", path),
                                  &(tp_named_tensor){"t", &t}, 1, NULL));
    tp_tensor_free(&t);
    assert_status(tp_checkpoint_open(&c, directory), TP_EFORMAT);
    assert_message("metadata 'tapir.checkpoint' is missing or no whole number: no checkpoint");
}

static void test_other_runs(void **state)
{
    (void)state;
    static const struct {
        variant v;
        const char *message;
    } others[] = {
        {{ADAM, TP_F32, EXAMPLES, BATCH, 2, 8, 1},
         "seed is 7, expected 8: the run has another seed"},
        {{ADAM, TP_F32, EXAMPLES, 4, 2, 7, 1},
         "batch_size is 5, expected 4: the run has batches of another size"},
        {{ADAM, TP_F32, 21, BATCH, 2, 7, 1},
         "examples is 22, expected 21: the run has a data set of another size"},
        {{ADAM, TP_F32, EXAMPLES, BATCH, 2, 7, 2}, ": the training data have changed"},
        {{SGD, TP_F32, EXAMPLES, BATCH, 2, 7, 1}, "the optimizer was adam, expected sgd"},
        {{ADAM, TP_F32, EXAMPLES, BATCH, 3, 7, 1},
         "tensor 'mu.weight' is f32[2,9], expected f32[3,9]"},
        {{ADAM, TP_F64, EXAMPLES, BATCH, 2, 7, 1}, ": the training data have changed"},
        {{ADAM, TP_F32, EXAMPLES, BATCH, 2, 7, 1, {TP_BINARIZE_DYNAMIC, 0}},
         ": the training data have changed, or how they are binarized"},
    };
    session first;
    double losses[EPOCHS + 1];
    const char *directory = fresh_directory();
    start(&first, usual, directory);
    first.stop_at = 3;
    train(&first, losses);
    finish(&first);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        session s, untouched;
        tp_checkpoint c;
        start(&s, others[i].v, directory);
        start(&untouched, others[i].v, directory);
        assert_ok(tp_checkpoint_open(&c, directory));
        assert_status(tp_checkpoint_load(&c, &s.trainer, &s.batches), TP_EFORMAT);
        assert_message(others[i].message);
        assert_true(same_state(&s, &untouched));
        tp_checkpoint_close(&c);
        finish(&s);
        finish(&untouched);
    }
}

/* The right run, but not all of its state. */
static void test_state_is_missing(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *message;
    } changes[] = {
        {"term_0", "a name of a term that is far too long",
         "metadata 'term_0' is missing or longer than 31 bytes"},
        {"", "", "tensor 'encoder.0.weight' is missing"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char path[512], other[512];
        session s, untouched;
        double losses[EPOCHS + 1];
        tp_checkpoint c;
        const char *directory = fresh_directory();
        start(&s, usual, directory);
        s.stop_at = 4;
        train(&s, losses);
        finish(&s);
        save_changed(inside(directory, "checkpoint-4.safetensors", path),
                     inside(directory, "whole", other), changes[i].key, changes[i].value);
        assert_int_equal(rename(other, path), 0);
        start(&s, usual, directory);
        start(&untouched, usual, directory);
        assert_ok(tp_checkpoint_open(&c, directory));
        assert_status(tp_checkpoint_load(&c, &s.trainer, &s.batches), TP_EFORMAT);
        assert_message(changes[i].message);
        assert_true(same_state(&s, &untouched));
        tp_checkpoint_close(&c);
        finish(&s);
        finish(&untouched);
    }
}

/* Settings that no optimizer of the kind has are refused before anything is changed. */
static void test_settings(void **state)
{
    (void)state;
    static const struct {
        double lr, momentum;
    } broken[] = {{NAN, 0.9}, {-1, 0.9}, {INFINITY, 0.9}, {0.1, 1}, {0.1, INFINITY}};
    variant v = usual;
    v.kind = MOMENTUM;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        session s, untouched;
        tp_checkpoint c;
        const char *directory = fresh_directory();
        start(&s, v, directory);
        start(&untouched, v, directory);
        assert_ok(tp_checkpoint_save(directory, &s.trainer, &s.batches, NULL));
        load(&s); /* the control */
        s.optimizer.lr = broken[i].lr;
        s.optimizer.opts.sgd.momentum = broken[i].momentum;
        s.trainer.step = 1;
        assert_ok(tp_checkpoint_save(directory, &s.trainer, &s.batches, NULL));
        finish(&s);

        start(&s, v, directory);
        assert_ok(tp_checkpoint_open(&c, directory));
        assert_status(tp_checkpoint_load(&c, &s.trainer, &s.batches), TP_EFORMAT);
        assert_message("'optimizer.settings' holds what sgd/momentum cannot have");
        assert_true(same_state(&s, &untouched));
        tp_checkpoint_close(&c);
        finish(&s);
        finish(&untouched);
    }
}

/* Of drawn pixels the seed of the draw that is kept belongs to the run, too. */
static void test_other_binarization(void **state)
{
    (void)state;
    static const tp_binarize_opts others[] = {{TP_BINARIZE_GREY, 0},
                                              {TP_BINARIZE_THRESHOLD, 3},
                                              {TP_BINARIZE_DYNAMIC, 3},
                                              {TP_BINARIZE_STATIC, 4},
                                              {TP_BINARIZE_STATIC, 3}};
    enum { OTHERS = sizeof others / sizeof *others };
    session first;
    double losses[EPOCHS + 1];
    const char *directory = fresh_directory();
    variant v = usual;
    v.binarize = others[OTHERS - 1];
    start(&first, v, directory);
    first.stop_at = 3;
    train(&first, losses);
    finish(&first);
    for (int i = 0; i < OTHERS; i++) {
        session s;
        tp_checkpoint c;
        v.binarize = others[i];
        start(&s, v, directory);
        assert_ok(tp_checkpoint_open(&c, directory));
        assert_status(tp_checkpoint_load(&c, &s.trainer, &s.batches),
                      i < OTHERS - 1 ? TP_EFORMAT : TP_OK);
        if (i < OTHERS - 1)
            assert_message(": the training data have changed, or how they are binarized");
        tp_checkpoint_close(&c);
        finish(&s);
    }
}

/* The bits are promised for one instruction set: another one is said, not refused. */
static void test_instruction_set(void **state)
{
    (void)state;
    session s;
    double losses[EPOCHS + 1];
    tp_checkpoint c;
    char level[32];
    snprintf(level, sizeof level, "%s", tp_isa());
    const char *directory = fresh_directory();
    start(&s, usual, directory);
    s.stop_at = 2;
    assert_ok(tp_set_isa("ref"));
    train(&s, losses);
    assert_ok(tp_checkpoint_open(&c, directory));
    assert_null(c.note);
    tp_checkpoint_close(&c);
    assert_ok(tp_set_isa(level));
    if (strcmp(level, "ref") != 0) {
        assert_ok(tp_checkpoint_open(&c, directory));
        assert_non_null(strstr(c.note, "the run used instruction set ref, here it is "));
        tp_checkpoint_close(&c);
    }
    finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume_anywhere),    cmocka_unit_test(test_every_part_matters),
        cmocka_unit_test(test_two_are_kept),       cmocka_unit_test(test_damage),
        cmocka_unit_test(test_no_checkpoint),      cmocka_unit_test(test_other_runs),
        cmocka_unit_test(test_state_is_missing),   cmocka_unit_test(test_settings),
        cmocka_unit_test(test_other_binarization), cmocka_unit_test(test_instruction_set),
        cmocka_unit_test(test_not_checkpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
