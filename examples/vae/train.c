/* train.c: "vae train": the loop over epochs, and the files of a run.
 *
 * After every epoch the folder holds a complete state: model, curves, settings. If the first epoch does
 * not get that far, nothing is left. Read next: nn/train.c for what an epoch is, measure.c, pictures.c. */
#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "measure.h"
#include "pictures.h"
#include "say.h"

#include "tensor/parallel.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct training {
    run r;
    folder out;
    tp_batches train, test;
    tp_optimizer adam;
    tp_trainer trainer;
    bar bar;
    json metrics, timing;
    int64_t epoch; /* the one that is going on, from 1 */
    int64_t complete;
} training;

typedef struct epoch_result {
    tp_stats train, test;
    int64_t active;
    double train_seconds, seconds;
} epoch_result;

/* --- files -------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *what;
} files[] = {
    {"model.safetensors", "the weights, named and laid out as PyTorch does"},
    {"config.json", "every setting; 'train --config' reads it back"},
    {"metrics.jsonl", "losses of each epoch"},
    {"timing.jsonl", "speed of each epoch"},
    {"reconstructions.png", "images above their reconstructions"},
    {"samples.png", "draws from the prior"},
    {"manifold.png", "the latent space"},
};

enum { FILES = sizeof files / sizeof *files };

static tp_status save_config(const training *t)
{
    char path[PATH_SIZE];
    json j = {0};
    config_write(&t->r.o, &j, false);
    tp_status s = json_save(&j, path_in(path, t->out.path, "config.json"));
    json_free(&j);
    return s;
}

static tp_status save_model(const training *t)
{
    char path[PATH_SIZE];
    json j = {0};
    config_write(&t->r.o, &j, true);
    if (j.failed)
        return tp_fail(TP_ENOMEM, "no memory for the metadata of the model");
    const char *metadata[] = {"format", "pt", "tapir", VERSION, "config", j.text, NULL};
    tp_status s = tp_params_save(&t->r.model.params,
                                 path_in(path, t->out.path, "model.safetensors"), metadata);
    json_free(&j);
    return s;
}

static tp_status save_state(const training *t)
{
    char path[PATH_SIZE];
    if (t->complete == 0)
        TP_TRY(save_config(t));
    TP_TRY(save_model(t));
    TP_TRY(json_save(&t->metrics, path_in(path, t->out.path, "metrics.jsonl")));
    return json_save(&t->timing, path_in(path, t->out.path, "timing.jsonl"));
}

static tp_status save_pictures(training *t)
{
    char path[PATH_SIZE];
    const char *to = t->out.path;
    TP_TRY(picture_reconstructions(&t->r, path_in(path, to, "reconstructions.png")));
    if (t->r.model.type->has_prior)
        TP_TRY(picture_samples(&t->r, path_in(path, to, "samples.png"), 64, t->r.o.seed));
    if (t->r.o.latent_dim != 2)
        return TP_OK;
    return picture_manifold(&t->r, path_in(path, to, "manifold.png"));
}

/* Removes what a first epoch that failed has left: the folder was empty before, so all of it is ours. */
static void undo(const training *t)
{
    char path[PATH_SIZE];
    for (int i = 0; i < FILES; i++)
        unlink(path_in(path, t->out.path, files[i].name));
    folder_undo(&t->out);
}

/* --- one epoch ---------------------------------------------------------------------------------- */

static bool on_batch(void *user, const tp_stats *so_far)
{
    training *t = user;
    bar_show(&t->bar, t->epoch, so_far->samples, so_far->loss);
    return true;
}

static bool has_test(const training *t)
{
    return t->r.test.x.storage != NULL;
}

static void write_stats(json *j, const char *prefix, const tp_stats *s)
{
    static const char *const names[] = {"loss", "recon", "kl"};
    for (int i = 0; i < 3; i++) {
        char key[32];
        const double *v = i == 0 ? &s->loss : stats_term(s, names[i]);
        snprintf(key, sizeof key, "%s_%s", prefix, names[i]);
        json_key(j, key, " ");
        if (v != NULL && s->samples > 0)
            json_number(j, *v);
        else
            json_null(j); /* no test images, or an autoencoder's KL */
    }
}

/* A line each for metrics.jsonl, which the seed determines, and timing.jsonl, which it does not. */
static void record(training *t, const epoch_result *e)
{
    json *m = &t->metrics, *s = &t->timing;
    json_raw(m, "{");
    json_key(m, "epoch", " ");
    json_integer(m, t->epoch);
    json_key(m, "step", " ");
    json_integer(m, (int64_t)t->trainer.step);
    write_stats(m, "train", &e->train);
    write_stats(m, "test", &e->test);
    json_key(m, "active_units", " ");
    if (has_test(t))
        json_integer(m, e->active);
    else
        json_null(m);
    json_raw(m, "}\n");

    json_raw(s, "{");
    json_key(s, "epoch", " ");
    json_integer(s, t->epoch);
    json_key(s, "samples_per_second", " ");
    json_number(s, (double)e->train.samples / e->train_seconds);
    json_key(s, "seconds", " ");
    json_number(s, e->seconds);
    json_key(s, "threads", " ");
    json_integer(s, tp_threads());
    json_raw(s, "}\n");
}

static void print_epoch(const training *t, const epoch_result *e)
{
    const tp_stats *shown = has_test(t) ? &e->test : &e->train;
    const double *recon = stats_term(shown, "recon"), *kl = stats_term(shown, "kl");
    long long epochs = t->r.o.epochs;
    int width = snprintf(NULL, 0, "%lld", epochs);
    bar_clear(&t->bar);
    printf("epoch %*lld/%lld  train %.2f", width, (long long)t->epoch, epochs, e->train.loss);
    if (has_test(t))
        printf("  test %.2f", e->test.loss);
    if (recon != NULL && kl != NULL)
        printf("  (recon %.2f kl %.2f)", *recon, *kl);
    printf("  %.1fk samples/s\n", 1e-3 * (double)e->train.samples / e->train_seconds);
}

static tp_status run_epoch(training *t)
{
    epoch_result e = {0};
    double start = seconds_now();
    TP_TRY(tp_train_epoch(&t->trainer, &t->train, (uint64_t)t->epoch, &e.train));
    e.train_seconds = seconds_now() - start;
    if (has_test(t)) {
        latents l;
        TP_TRY(tp_evaluate(&t->trainer, &t->test, &e.test));
        TP_TRY(measure_latents(&t->r, &t->test, stats_term(&e.test, "kl") != NULL, &l));
        e.active = l.active;
        latents_free(&l);
    }
    e.seconds = seconds_now() - start;
    record(t, &e);
    TP_TRY(save_state(t));
    t->complete = t->epoch;
    print_epoch(t, &e);
    if (fflush(stdout) != 0)
        return tp_fail(TP_EIO, "cannot write to standard output");
    return TP_OK;
}

/* --- the command -------------------------------------------------------------------------------- */

static tp_status prepare(training *t, const options *o)
{
    TP_TRY(folder_check(o->out)); /* before anything that takes time */
    TP_TRY(run_open(&t->r, o));
    t->r.o.height = t->r.o.width = 0; /* the data say, whatever a config.json said */
    TP_TRY(run_data(&t->r));
    TP_TRY(run_new_model(&t->r));
    TP_TRY(tp_batches_init(&t->train, &t->r.train, o->batch_size, TP_F32));
    if (has_test(t))
        TP_TRY(tp_batches_init(&t->test, &t->r.test, o->batch_size, TP_F32));
    tp_adam_opts opts = tp_adam_defaults();
    opts.lr = o->lr;
    TP_TRY(tp_adam_init(&t->adam, &t->r.model.params, opts));
    t->trainer = (tp_trainer){.tape = t->r.tape,
                              .loss = tp_model_loss,
                              .model = &t->r.model,
                              .optimizer = &t->adam,
                              .seed = o->seed,
                              .trap = o->trap,
                              .on_batch = on_batch,
                              .user = t};
    return TP_OK;
}

static tp_status train_all(training *t)
{
    const options *o = &t->r.o;
    int64_t test = has_test(t) ? tp_dataset_size(&t->r.test) : 0;
    TP_TRY(folder_make(&t->out, o->out));
    t->bar = bar_start(o->epochs, tp_dataset_size(&t->r.train), test);
    for (t->epoch = 1; t->epoch <= o->epochs; t->epoch++) {
        tp_status s = run_epoch(t);
        if (s != TP_OK) {
            bar_clear(&t->bar);
            if (t->complete == 0)
                undo(t);
            else
                tp_fail_prefix("after epoch %lld, whose model is in %s: ", (long long)t->complete,
                               t->out.path);
            return s;
        }
    }
    return save_pictures(t);
}

static void print_summary(const training *t)
{
    char path[PATH_SIZE], time[TIME_TEXT];
    const char *program = t->r.o.program, *out = t->out.path;
    printf("\n%s, %lld parameters, trained in %s. In %s:\n", t->r.model.type->summary,
           (long long)tp_params_count(&t->r.model.params),
           time_text(seconds_now() - t->bar.start, time), out);
    for (int i = 0; i < FILES; i++)
        if (access(path_in(path, out, files[i].name), F_OK) == 0)
            printf("  %-21s%s\n", files[i].name, files[i].what);
    printf("\nNext:\n  %s eval --run %s\n", program, out);
    if (t->r.model.type->has_prior)
        printf("  %s sample --run %s --count 100 --seed 2 --out more.png\n", program, out);
}

int command_train(const options *o)
{
    training t = {0};
    tp_status s = prepare(&t, o);
    if (s == TP_OK)
        s = train_all(&t);
    if (s == TP_OK)
        print_summary(&t);
    json_free(&t.metrics);
    json_free(&t.timing);
    tp_optimizer_free(&t.adam);
    tp_batches_free(&t.train);
    tp_batches_free(&t.test);
    run_close(&t.r);
    return s == TP_OK ? EXIT_GOOD : complain_error(EXIT_BAD);
}
