/* train.c: "vae train": the loop over epochs, and the files of a run.
 *
 * After every epoch the folder holds a complete state: model, curves, settings, and a checkpoint that holds all of
 * it once more, so that --resume needs nothing else but config.json, where the data are named. If a new run fails
 * before its first checkpoint, nothing is left. Read next: resume.c, nn/checkpoint.h, nn/train.c for what an epoch is, measure.c, pictures.c. */
#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "pictures.h"
#include "record.h"
#include "say.h"
#include "stop.h"
#include "train.h"

#include "tensor/io/file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool has_test(const training *t)
{
    return t->r.test.x.storage != NULL;
}

/* Is the model to be left with the weights of the best epoch, and is there one? */
static bool keeps_best(const training *t)
{
    return t->r.o.keep == KEEP_BEST && t->best.epoch > 0;
}

/* Those of a warm-up do not count: with little weight on it the KL is large, so that the loss, where it has its whole
 * weight, may begin with rising. */
int64_t epochs_waited(const training *t)
{
    double steps = run_option(&t->r, "warmup");
    int64_t warm = (int64_t)ceil(steps / (double)tp_batches_count(&t->train));
    int64_t best = (int64_t)t->best.epoch;
    return (int64_t)t->trainer.epoch - 1 - (best > warm ? best : warm);
}

bool out_of_patience(const training *t)
{
    return t->r.o.patience > 0 && epochs_waited(t) >= t->r.o.patience;
}

static bool finished(const training *t)
{
    return (int64_t)t->trainer.epoch > t->r.o.epochs || out_of_patience(t);
}

/* --- files -------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *what;
} files[] = {
    {"model.safetensors", "the weights, named and laid out as PyTorch does"},
    {"config.json", "every setting; 'train --config' reads it back"},
    {"metrics.jsonl", "losses of each epoch"},
    {"timing.jsonl", "speed of each epoch"},
    {"reconstructions.png", "images above their reconstructions"},
    {"samples.png", "draws from the model"},
    {"manifold.png", "the latent space"},
};

enum { FILES = sizeof files / sizeof *files };

tp_status save_config(const training *t)
{
    char path[PATH_SIZE];
    json j = {0};
    config_write(&t->r.o, &j, false);
    tp_status s = json_save(&j, path_in(path, t->out.path, "config.json"));
    json_free(&j);
    return s;
}

static tp_status save_model(training *t)
{
    char path[PATH_SIZE];
    json j = {0};
    config_write(&t->r.o, &j, true);
    if (j.failed)
        return tp_fail(TP_ENOMEM, "no memory for the metadata of the model");
    const char *metadata[] = {"format", "pt", "tapir", VERSION, "config", j.text, NULL};
    bool best = keeps_best(t);
    if (best)
        tp_best_swap(&t->best);
    tp_status s = tp_params_save(&t->r.model.params,
                                 path_in(path, t->out.path, "model.safetensors"), metadata);
    if (best)
        tp_best_swap(&t->best);
    json_free(&j);
    return s;
}

const char *const test_keys[] = {"test_data_crc32", "valid_data_crc32"};

/* What the curves are measured on, as a checkpoint says it, under which of the keys. */
tp_status test_fingerprint(training *t, int key, char text[TEST_TEXT])
{
    uint32_t crc;
    snprintf(text, TEST_TEXT, "none");
    if (!has_test(t) || key != run_has_valid(&t->r))
        return TP_OK;
    TP_TRY(tp_batches_fingerprint(&t->test, &crc));
    snprintf(text, TEST_TEXT, "%lu", (unsigned long)crc);
    return TP_OK;
}

/* The state of the run, with its curves so far and the settings it must be gone on with. Nothing that a clock
 * decides: two runs that do the same write the same bytes. */
static tp_status save_checkpoint(training *t)
{
    json config = {0};
    char test[TEST_TEXT];
    int key = run_has_valid(&t->r);
    TP_TRY(test_fingerprint(t, key, test));
    config_write(&t->r.o, &config, true);
    tp_status s = TP_OK;
    if (config.failed || t->metrics.failed)
        s = tp_fail(TP_ENOMEM, "no memory to put the checkpoint together");
    const char *texts[] = {
        "config",       config.text, "metrics", t->metrics.text != NULL ? t->metrics.text : "",
        test_keys[key], test,        NULL};
    if (s == TP_OK)
        s = tp_checkpoint_save(t->out.path, &t->trainer, &t->train, texts);
    json_free(&config);
    t->kept |= s == TP_OK;
    return s;
}

/* The checkpoint does not hold it: so it is saved before, and what it says of epochs that the checkpoint does not
 * know of is dropped by the next process. */
tp_status save_timing(const training *t)
{
    char path[PATH_SIZE];
    return json_save(&t->timing, path_in(path, t->out.path, "timing.jsonl"));
}

/* What people and other programs read. The checkpoint holds it all: should the process end in between, the next one
 * writes it again. */
tp_status save_results(training *t)
{
    char path[PATH_SIZE];
    TP_TRY(save_model(t));
    return json_save(&t->metrics, path_in(path, t->out.path, "metrics.jsonl"));
}

static tp_status save_picture(training *t, picture_maker *make, const char *name)
{
    char path[PATH_SIZE];
    return picture_save(&t->r, NULL, make, path_in(path, t->out.path, name), NULL);
}

static tp_status save_pictures(training *t)
{
    bool manifold;
    if (picture_has_reconstructions(&t->r))
        TP_TRY(save_picture(t, picture_reconstructions, "reconstructions.png"));
    if (tp_model_has_samples(t->r.model.type))
        TP_TRY(save_picture(t, picture_samples, "samples.png"));
    TP_TRY(picture_has_manifold(&t->r, &manifold));
    return manifold ? save_picture(t, picture_manifold, "manifold.png") : TP_OK;
}

/* Removes what a run that failed before its first checkpoint has left: the folder was empty before, so all of it is
 * ours. So is a checkpoint that is there but may not survive a crash, which counts as a failure. */
static void undo(const training *t)
{
    char path[PATH_SIZE], name[64];
    snprintf(name, sizeof name, "checkpoint-%llu.safetensors", (unsigned long long)t->trainer.step);
    unlink(path_in(path, t->out.path, name));
    for (int i = 0; i < FILES; i++)
        unlink(path_in(path, t->out.path, files[i].name));
    folder_undo(&t->out);
}

/* --- one epoch ---------------------------------------------------------------------------------- */

/* After every step: shows how far it is, saves if it is time to, and stops if that fails or a signal came. */
static bool on_batch(void *user, const tp_stats *so_far)
{
    training *t = user;
    int64_t every = t->r.o.checkpoint_every;
    bar_show(&t->bar, (int64_t)t->trainer.epoch, so_far->samples, so_far->loss);
    if (every > 0 && t->trainer.step % (uint64_t)every == 0)
        t->failure = save_checkpoint(t);
    return t->failure == TP_OK && stop_signal() == 0;
}

/* How good the model is by now. */
static tp_status look(training *t, tp_batches *b, tp_stats *s, latents *l)
{
    TP_TRY(tp_evaluate(&t->trainer, b, s));
    return measure_latents(&t->r, b, l);
}

static tp_status save_epoch(training *t)
{
    TP_TRY(save_timing(t));
    TP_TRY(save_checkpoint(t));
    return save_results(t);
}

/* An epoch, or the rest of one. *stopped: a signal ended it early, and the checkpoint is there. */
static tp_status run_epoch(training *t, bool *stopped)
{
    epoch_result e = {.epoch = (int64_t)t->trainer.epoch,
                      .measured = run_has_valid(&t->r) ? "valid" : "test"};
    t->begun = seconds_now();
    t->begun_at = t->trainer.done.samples;
    TP_TRY(tp_train_rest(&t->trainer, &t->train, &e.train));
    TP_TRY(t->failure);
    *stopped = (int64_t)t->trainer.epoch == e.epoch;
    if (*stopped) {
        TP_TRY(save_checkpoint(t));
        return save_model(t);
    }
    e.samples_per_second = (double)(e.train.samples - t->begun_at) / (seconds_now() - t->begun);
    if (has_test(t))
        TP_TRY(look(t, &t->test, &e.test, &e.latents));
    if (t->trainer.best != NULL)
        tp_best_look(&t->best, (uint64_t)e.epoch, e.test.loss);
    e.best = t->best.epoch;
    e.step = (int64_t)t->trainer.step;
    e.seconds = seconds_now() - t->begun;
    record_metrics(&t->metrics, &e);
    record_timing(&t->timing, &e);
    tp_status s = save_epoch(t);
    if (s == TP_OK) {
        bar_clear(&t->bar);
        record_print(&e, t->r.o.epochs);
    }
    latents_free(&e.latents);
    TP_TRY(s);
    *stopped = stop_signal() != 0;
    if (fflush(stdout) != 0)
        return tp_fail(TP_EIO, "cannot write to standard output");
    return TP_OK;
}

/* --- the command -------------------------------------------------------------------------------- */

/* Only validation images may choose between epochs: test images never, and training images say little. */
static tp_status prepare_best(training *t)
{
    const options *o = &t->r.o;
    if (run_has_valid(&t->r)) {
        t->trainer.best = &t->best;
        return tp_best_init(&t->best, &t->r.model.params, o->keep == KEEP_BEST);
    }
    if (o->keep == KEEP_LAST && o->patience == 0)
        return TP_OK;
    if (*o->resume != '\0')
        return tp_fail(TP_EIO, "%s: the validation images, the split valid, are not there any more",
                       o->data);
    return tp_fail(TP_EARG,
                   "--%s: there are no validation images; --valid N holds N training "
                   "images back",
                   o->patience > 0 ? "patience" : "keep best");
}

tp_status prepare_training(training *t, const options *o)
{
    TP_TRY(run_open(&t->r, o));
    if (*o->resume == '\0') { /* the data say, whatever a config.json said */
        t->r.o.height = t->r.o.width = t->r.o.classes = t->r.o.examples = 0;
        t->r.o.valid = o->valid == UNSAID ? 0 : o->valid;
    }
    TP_TRY(run_data(&t->r));
    run_note_untested(&t->r);
    TP_TRY(run_new_model(&t->r));
    TP_TRY(set_output_bias(&t->r));
    TP_TRY(run_trainer(&t->r, &t->train, &t->optimizer, &t->trainer));
    TP_TRY(prepare_best(t));
    t->trainer.on_batch = on_batch;
    t->trainer.user = t;
    if (has_test(t))
        TP_TRY(run_batches(&t->r, &t->test, &t->r.test, o->batch_size, TP_F32));
    return TP_OK;
}

static tp_status begin_new(training *t, const options *o)
{
    TP_TRY(folder_check(o->out)); /* before anything that takes time */
    TP_TRY(prepare_training(t, o));
    TP_TRY(folder_make(&t->out, o->out));
    tp_status s = folder_lock(&t->out);
    if (s == TP_OK)
        s = folder_check(o->out); /* another process may have been there before the lock was ours */
    if (s != TP_OK) {
        folder_undo(&t->out); /* what is in it by now is the other's */
        return s;
    }
    s = save_config(t); /* from here on the run can be gone on with */
    if (s != TP_OK)
        undo(t);
    return s;
}

/* At the end: what the latent space is used for, on the images to measure on or, without any, the training images. */
static tp_status report_use(training *t)
{
    tp_stats stats;
    latents l = {0};
    TP_TRY(look(t, has_test(t) ? &t->test : &t->train, &stats, &l));
    record_use(&t->r, &l, &stats, t->trainer.step);
    latents_free(&l);
    return TP_OK;
}

/* Which epoch was the best, and whose weights there are. */
static void print_best(const training *t)
{
    long long last = (long long)t->trainer.epoch - 1, best = (long long)t->best.epoch;
    if (out_of_patience(t))
        printf("no lower validation loss in %lld epochs: ends behind epoch %lld\n",
               (long long)epochs_waited(t), last);
    if (best > 0)
        printf(
            "best: epoch %lld with valid %.2f; model.safetensors has the weights of epoch %lld\n",
            best, t->best.loss, keeps_best(t) ? best : last);
}

static tp_status train_all(training *t, bool *stopped)
{
    const options *o = &t->r.o;
    int64_t test = has_test(t) ? tp_dataset_size(&t->r.test) : 0;
    bool new_run = *o->resume == '\0';
    t->bar = bar_start(o->epochs, tp_dataset_size(&t->r.train), test, (int64_t)t->trainer.epoch,
                       t->trainer.done.samples);
    tp_status s = TP_OK;
    while (s == TP_OK && !finished(t) && !*stopped)
        s = run_epoch(t, stopped);
    bar_clear(&t->bar);
    *stopped = !finished(t);
    if (s == TP_OK && !*stopped) {
        print_best(t);
        if (keeps_best(t))
            tp_best_swap(&t->best); /* the model from here on; no checkpoint follows */
    }
    if (s == TP_OK && !*stopped)
        s = report_use(t);
    if (s == TP_OK && !*stopped)
        s = save_pictures(t);
    if (s != TP_OK && !t->kept && new_run)
        undo(t);
    return s;
}

static void print_summary(const training *t)
{
    char path[PATH_SIZE], time[TIME_TEXT], visible[SHOWN_TEXT], words[2][SHOWN_TEXT];
    const char *program = shell_word(words[0], t->r.o.program),
               *out = shown(visible, shell_word(words[1], t->out.path));
    printf("\n%s, %lld parameters, trained in %s. In %s:\n", t->r.model.type->summary,
           (long long)tp_params_count(&t->r.model.params),
           time_text(seconds_now() - t->bar.start, time), out);
    for (int i = 0; i < FILES; i++)
        if (access(path_in(path, t->out.path, files[i].name), F_OK) == 0)
            printf("  %-21s%s\n", files[i].name, files[i].what);
    printf("  checkpoint-….safetensors: what 'train --resume %s' needs to go on\n", out);
    printf("\nNext:\n  %s report --run %s\n  %s eval --run %s\n", program, out, program, out);
    if (tp_model_has_samples(t->r.model.type))
        printf("  %s sample --run %s --count 100 --seed 2 --out more.png\n", program, out);
}

static void say_how(const training *t, const char *what)
{
    char words[2][SHOWN_TEXT];
    note("%s; to go on: %s train --resume %s", what, shell_word(words[0], t->r.o.program),
         shell_word(words[1], t->out.path));
}

/* The code is what a shell reports of a process that a signal ended. */
static int say_stopped(const training *t)
{
    char what[64];
    int number = stop_signal();
    snprintf(what, sizeof what, "stopped by %s behind step %llu", stop_name(number),
             (unsigned long long)t->trainer.step);
    say_how(t, what);
    return 128 + number;
}

int command_train(const options *o)
{
    training t = {0};
    bool stopped = false;
    stop_watch();
    tp_status s = *o->resume != '\0' ? resume_training(&t, o) : begin_new(&t, o);
    bool begun = s == TP_OK;
    if (begun)
        s = train_all(&t, &stopped);
    int code = s != TP_OK ? complain_error(EXIT_BAD) : stopped ? say_stopped(&t) : EXIT_GOOD;
    if (s != TP_OK && begun && t.kept)
        say_how(&t, "the run is kept up to its last checkpoint");
    if (code == EXIT_GOOD)
        print_summary(&t);
    folder_unlock(&t.out);
    json_free(&t.metrics);
    json_free(&t.timing);
    tp_optimizer_free(&t.optimizer);
    tp_best_free(&t.best);
    tp_batches_free(&t.train);
    tp_batches_free(&t.test);
    run_close(&t.r);
    return code;
}
