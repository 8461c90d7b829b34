/* test_optim_resume.c: with every optimizer, a schedule and clipping, a run that dies in the middle of an epoch and
 * goes on from its checkpoint ends with the same bits as one that never stopped.
 *
 * What else a checkpoint must hold is tests/models/test_checkpoint.c. Read next: nn/checkpoint.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/support/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "autograd/compose.h"
#include "nn/checkpoint.h"
#include "nn/layers.h"
#include "nn/optim/rule.h"

enum { EXAMPLES = 14, WIDTH = 4, BATCH = 4, STEPS_PER_EPOCH = 4, EPOCHS = 3 };

typedef struct session {
    tp_params ps;
    tp_nn_linear layer;
    tp_dataset data;
    tp_batches batches;
    tp_optimizer optimizer;
    tp_schedule warm, cosine;
    tp_trainer trainer;
    const char *directory;
    uint64_t save_at, die_at; /* 0: never */
} session;

/* A linear autoencoder with dropout. */
static tp_objective loss(void *model, tp_ctx *c, tp_var x)
{
    session *s = model;
    tp_var y = tp_nn_linear_apply(&s->layer, c, tp_dropout(c, x, 0.25));
    tp_var total = tp_mean(tp_square(tp_sub(y, x)), TP_ALL_AXES, false);
    return (tp_objective){total, 1, {{"squared", total, 1}}};
}

static bool on_batch(void *user, const tp_stats *so_far)
{
    session *s = user;
    (void)so_far;
    if (s->trainer.step == s->save_at)
        assert_ok(tp_checkpoint_save(s->directory, &s->trainer, &s->batches, NULL));
    return s->trainer.step != s->die_at;
}

enum { KINDS = 13 };

static void init(tp_optimizer *o, const tp_params *ps, int kind)
{
    tp_sgd_opts sgd = {.lr = 0.1, .momentum = kind == 0 || kind == 1 ? 0 : 0.5};
    tp_adam_opts adam = kind < 7 ? tp_adam_defaults() : tp_adamw_defaults();
    tp_rmsprop_opts rmsprop = tp_rmsprop_defaults();
    tp_adagrad_opts adagrad = tp_adagrad_defaults();
    sgd.weight_decay = kind == 1 || kind == 3 ? 0.1 : 0;
    sgd.nesterov = kind == 3;
    adam.weight_decay += kind == 5 ? 0.1 : 0;
    adam.amsgrad = kind == 6;
    rmsprop.momentum = kind == 9 || kind == 11 ? 0.5 : 0;
    rmsprop.centered = kind == 10 || kind == 11;
    adagrad.lr_decay = 0.1, adagrad.initial_accumulator_value = 0.1;
    assert_ok(kind < 4    ? tp_sgd_init(o, ps, sgd)
              : kind < 7  ? tp_adam_init(o, ps, adam)
              : kind < 8  ? tp_adamw_init(o, ps, adam)
              : kind < 12 ? tp_rmsprop_init(o, ps, rmsprop)
                          : tp_adagrad_init(o, ps, adagrad));
}

static void start(session *s, int kind, tp_dtype dtype, const char *directory)
{
    *s = (session){.directory = directory, .ps = tp_params_make(dtype, 3)};
    assert_ok(tp_nn_linear_init(&s->layer, &s->ps, "fc", WIDTH, WIDTH));
    assert_ok(tp_tensor_new(&s->data.x, dtype, TP_SHAPE(EXAMPLES, WIDTH)));
    assert_ok(tp_random_normal(&s->data.x, (tp_rng_key){.seed = 4}));
    assert_ok(tp_batches_init(&s->batches, &s->data, BATCH, dtype));
    init(&s->optimizer, &s->ps, kind);
    s->warm = s->cosine = tp_schedule_defaults();
    s->warm.lr = s->cosine.lr = 0.05;
    s->cosine.kind = TP_LR_cosine, s->cosine.t_max = 9;
    s->warm.kind = TP_LR_linear, s->warm.until = s->warm.total_iters = 3;
    s->warm.then = &s->cosine;
    s->trainer = (tp_trainer){.loss = loss,
                              .model = s,
                              .optimizer = &s->optimizer,
                              .schedule = &s->warm,
                              .clip_value = 0.4,
                              .clip_norm = 0.5,
                              .seed = 6,
                              .on_batch = on_batch,
                              .user = s};
    assert_ok(tp_tape_new(&s->trainer.tape));
}

static void finish(session *s)
{
    tp_tape_free(s->trainer.tape);
    tp_optimizer_free(&s->optimizer);
    tp_batches_free(&s->batches);
    tp_dataset_free(&s->data);
    tp_params_free(&s->ps);
}

static void train(session *s)
{
    while (s->trainer.epoch < EPOCHS) {
        tp_stats stats;
        uint64_t epoch = s->trainer.epoch;
        assert_ok(tp_train_rest(&s->trainer, &s->batches, &stats));
        if (s->trainer.epoch == epoch)
            return; /* it died */
    }
}

static bool same_state(session *a, session *b)
{
    bool same = a->trainer.step == b->trainer.step && a->optimizer.step == b->optimizer.step &&
                a->optimizer.lr == b->optimizer.lr;
    for (int i = 0; i < a->ps.n && same; i++) {
        tp_moments *x = &a->optimizer.moments[i], *y = &b->optimizer.moments[i];
        same = equal_bits(&a->ps.item[i]->value, &b->ps.item[i]->value) && x->step == y->step;
        for (int k = 0; k < TP_MAX_STATES; k++)
            same = same && equal_bits(tp_moment(x, k), tp_moment(y, k));
    }
    return same;
}

static const char *fresh_directory(void)
{
    static int n;
    char name[32];
    snprintf(name, sizeof name, "run%d", n++);
    const char *path = test_tmp(name);
    assert_int_equal(mkdir(path, 0777), 0);
    return path;
}

static tp_status load(session *s)
{
    tp_checkpoint c;
    assert_ok(tp_checkpoint_open(&c, s->directory));
    assert_non_null(c.path);
    tp_status status = tp_checkpoint_load(&c, &s->trainer, &s->batches);
    tp_checkpoint_close(&c);
    return status;
}

/* Saved behind step 5, in the second epoch; dead behind 7. What came between is lost and done again. */
static void test_resume(void **state)
{
    (void)state;
    bool seen[TP_UPDATE_COUNT] = {false};
    for (int k = 0; k < 2 * KINDS; k++) {
        tp_dtype dtype = k < KINDS ? TP_F32 : TP_F64;
        session whole, first, second;
        start(&whole, k % KINDS, dtype, NULL);
        seen[whole.optimizer.update] = true;
        train(&whole);
        assert_int_equal(whole.trainer.step, EPOCHS * STEPS_PER_EPOCH);
        const char *directory = fresh_directory();
        start(&first, k % KINDS, dtype, directory);
        first.save_at = 5, first.die_at = 7;
        train(&first);
        assert_int_equal(first.trainer.step, 7);
        finish(&first);
        start(&second, k % KINDS, dtype, directory);
        assert_ok(load(&second));
        assert_int_equal(second.trainer.step, 5);
        train(&second);
        assert_true(same_state(&whole, &second));
        finish(&second);
        for (int part = 0; part < tp_optimizer_states(&whole.optimizer); part++) {
            start(&second, k % KINDS, dtype, directory); /* the control: each state matters */
            assert_ok(load(&second));
            assert_ok(tp_fill(tp_moment(&second.optimizer.moments[0], part), 0.75));
            train(&second);
            assert_false(same_state(&whole, &second));
            finish(&second);
        }
        finish(&whole);
    }
    for (int i = 0; i < TP_UPDATE_COUNT; i++)
        assert_true(seen[i]); /* a new row of updates.def needs a kind */
}

/* The options are the run's: those that a program sets give way to those that were saved. */
static void test_options(void **state)
{
    (void)state;
    session first, second;
    const char *directory = fresh_directory();
    start(&first, 11, TP_F64, directory);
    first.save_at = first.die_at = 2;
    train(&first);
    start(&second, 11, TP_F64, directory);
    second.optimizer.opts.rmsprop.alpha = 0.5;
    second.optimizer.opts.rmsprop.momentum = 0.25;
    assert_ok(load(&second));
    assert_memory_equal(&first.optimizer.opts.rmsprop, &second.optimizer.opts.rmsprop,
                        offsetof(tp_rmsprop_opts, centered) + sizeof(bool));
    assert_true(first.optimizer.lr == second.optimizer.lr);
    finish(&first);
    finish(&second);
}

/* Every other kind is refused by name, and nothing changes. */
static void test_other_kinds(void **state)
{
    (void)state;
    static const char *const names[KINDS] = {"sgd",
                                             "sgd/decay",
                                             "sgd/momentum",
                                             "sgd/nesterov",
                                             "adam",
                                             "adam/adam_decay",
                                             "adam/amsgrad",
                                             "adamw/adam_decay",
                                             "rmsprop",
                                             "rmsprop/rmsprop_momentum",
                                             "rmsprop/centered",
                                             "rmsprop/centered_momentum",
                                             "adagrad"};
    session first;
    const char *directory = fresh_directory();
    start(&first, 7, TP_F32, directory);
    first.save_at = first.die_at = 2;
    train(&first);
    finish(&first);
    for (int kind = 0; kind < KINDS; kind++) {
        session s, untouched;
        char message[128];
        start(&s, kind, TP_F32, directory);
        start(&untouched, kind, TP_F32, directory);
        if (kind == 7)
            assert_ok(load(&s));
        else {
            assert_status(load(&s), TP_EFORMAT);
            snprintf(message, sizeof message, ": the optimizer was adamw/adam_decay, expected %s",
                     names[kind]);
            assert_message(message);
            assert_true(same_state(&s, &untouched));
        }
        finish(&s);
        finish(&untouched);
    }
}

/* Version 1 knew SGD and Adam only, and kept their options otherwise. */
static void test_old_version(void **state)
{
    (void)state;
    session s;
    char path[512];
    tp_tensor any;
    const char *const metadata[] = {
        "tapir.checkpoint", "1", "seed",          "6", "batch_size",  "4", "examples", "14",
        "data_crc32",       "0", "step",          "3", "updates",     "3", "epoch",    "0",
        "epoch_samples",    "0", "epoch_batches", "0", "epoch_terms", "0", NULL};
    const char *directory = fresh_directory();
    start(&s, 4, TP_F32, directory);
    snprintf(path, sizeof path, "%s/checkpoint-3.safetensors", directory);
    assert_ok(tp_tensor_new(&any, TP_F32, TP_SHAPE(2)));
    assert_ok(tp_safetensors_save(path, &(tp_named_tensor){"any", &any}, 1, metadata));
    assert_status(load(&s), TP_EFORMAT);
    assert_message("tapir.checkpoint is 1, expected 2: is of another version of the format");
    tp_tensor_free(&any);
    finish(&s);
}

/* What the trainer does with a schedule, or clipping, that makes no sense; and the rate it leaves behind. */
static void test_trainer(void **state)
{
    (void)state;
    session s;
    tp_stats stats;
    start(&s, 4, TP_F32, NULL);
    assert_ok(tp_train_epoch(&s.trainer, &s.batches, 0, &stats));
    double lr;
    assert_ok(tp_schedule_lr(&s.warm, 3, &lr)); /* that of the fourth step */
    assert_close(s.optimizer.lr, lr, 0, 0);
    s.cosine.t_max = 0;
    assert_status(tp_train_epoch(&s.trainer, &s.batches, 1, &stats), TP_EARG);
    assert_message("E_ARG training step 5: schedule cosine: expected t_max > 0 and eta_min >= 0, "
                   "got t_max 0, eta_min 0: start from tp_schedule_defaults()");
    s.trainer.schedule = NULL;
    s.trainer.clip_norm = -1;
    assert_status(tp_train_epoch(&s.trainer, &s.batches, 1, &stats), TP_EARG);
    assert_message("E_ARG training step 5: clip_grad_norm: max_norm is -1, expected a number > 0");
    s.trainer.clip_norm = 0, s.trainer.clip_value = NAN;
    assert_status(tp_train_epoch(&s.trainer, &s.batches, 1, &stats), TP_EARG);
    assert_message("E_ARG training step 5: clip_grad_value: clip_value is nan");
    s.trainer.clip_value = 0;
    s.optimizer.lr = -1;
    assert_status(tp_train_epoch(&s.trainer, &s.batches, 1, &stats), TP_EARG);
    assert_message("E_ARG training step 5: adam: lr is -1, expected a finite number >= 0");
    assert_int_equal(s.trainer.step, 4);
    finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume),      cmocka_unit_test(test_options),
        cmocka_unit_test(test_other_kinds), cmocka_unit_test(test_old_version),
        cmocka_unit_test(test_trainer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
