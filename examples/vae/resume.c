/* resume.c: a run that goes on: its folder must hold what it was begun with, and then is as its last checkpoint says.
 *
 * Read next: train.c, nn/checkpoint.h. */
#define _POSIX_C_SOURCE 200809L
#include "train.h"

#include "tensor/io/file.h"
#include "tensor/mem.h"

#include <string.h>
#include <unistd.h>

/* The settings must be those of the checkpoint: the file may have been edited since. */
static tp_status check_settings(const training *t, const tp_checkpoint *c)
{
    json now = {0};
    const char *then = tp_checkpoint_text(c, "config");
    config_write(&t->r.o, &now, true);
    tp_status s = TP_OK;
    if (now.failed)
        s = tp_fail(TP_ENOMEM, "no memory to compare settings");
    else if (then == NULL || !config_same_run(then, now.text))
        s = tp_fail(
            TP_EFORMAT,
            "%s/config.json: its settings are not those the run began with, which are in %s",
            t->out.path, c->path);
    json_free(&now);
    return s;
}

/* The images to measure on must be those of the checkpoint too, or the curves would be of two data sets. */
static tp_status check_test_data(training *t, const tp_checkpoint *c)
{
    const char *then[] = {tp_checkpoint_text(c, test_keys[0]), tp_checkpoint_text(c, test_keys[1])};
    if (then[0] == NULL && then[1] == NULL) /* of a version that did not look */
        return TP_OK;
    for (int i = 0; i < 2; i++) {
        char now[TEST_TEXT], visible[SHOWN_TEXT];
        const char *was = then[i] != NULL ? then[i] : "none";
        TP_TRY(test_fingerprint(t, i, now));
        if (strcmp(was, now) != 0)
            return tp_fail(TP_EFORMAT, "%s: %s is %s, expected %s: the %s images have changed",
                           c->path, test_keys[i], shown(visible, was), now,
                           i == 1 ? "validation" : "test");
    }
    return TP_OK;
}

/* The lines of earlier calls, if the file is there: one for each epoch that is done, and not those of epochs that will
 * be done again. */
static tp_status read_timing(training *t)
{
    enum { LIMIT = 1 << 28 };
    char path[PATH_SIZE], *text;
    size_t bytes;
    if (access(path_in(path, t->out.path, "timing.jsonl"), F_OK) != 0)
        return TP_OK;
    TP_TRY(tp_file_read_all(path, LIMIT, &text, &bytes));
    size_t kept = 0;
    for (uint64_t done = 1; done < t->trainer.epoch && text[kept] != '\0'; done++)
        kept += strcspn(text + kept, "\n") + (text[kept + strcspn(text + kept, "\n")] == '\n');
    json_raw(&t->timing, "%.*s", (int)kept, text);
    tp_free(text, bytes + 1);
    return save_timing(t);
}

/* Everything as it was when the checkpoint was saved, the files of results too. */
static tp_status restore(training *t, const tp_checkpoint *c)
{
    const char *metrics = tp_checkpoint_text(c, "metrics");
    TP_TRY(check_settings(t, c));
    if (t->trainer.best != NULL) /* which a checkpoint of a run without validation images has not */
        TP_TRY(check_test_data(t, c));
    TP_TRY(tp_checkpoint_load(c, &t->trainer, &t->train));
    TP_TRY(check_test_data(t, c));
    t->kept = true;
    long long epoch = (long long)t->trainer.epoch, epochs = t->r.o.epochs;
    long long begun = epoch - (t->trainer.done.samples == 0); /* the last one that was */
    if (epochs < begun)
        return tp_fail(TP_EARG, "--epochs %lld: the run is in epoch %lld already", epochs, begun);
    json_raw(&t->metrics, "%s", metrics != NULL ? metrics : "");
    TP_TRY(read_timing(t));
    if (out_of_patience(t)) /* which a larger --epochs does not change */
        note("%lld epochs without a lower validation loss: the run has ended behind epoch %lld",
             (long long)epochs_waited(t), epoch - 1);
    else if (epoch > epochs)
        note("all %lld epochs are done; a larger --epochs goes on behind them", epochs);
    else
        note("goes on behind step %llu, in epoch %lld of %lld", (unsigned long long)t->trainer.step,
             epoch, epochs);
    return save_results(t);
}

static void note_lines(const char *text)
{
    for (size_t n; text != NULL && *text != '\0'; text += n + (text[n] == '\n')) {
        n = strcspn(text, "\n");
        note("%.*s", (int)n, text);
    }
}

tp_status resume_training(training *t, const options *o)
{
    tp_checkpoint c;
    TP_TRY(folder_open(&t->out, o->resume));
    TP_TRY(folder_lock(&t->out));
    TP_TRY(tp_file_clean(t->out.path));
    TP_TRY(prepare_training(t, o));
    TP_TRY(tp_checkpoint_open(&c, t->out.path));
    note_lines(c.note);
    if (c.path == NULL)
        note("%s: no checkpoint yet: starts from the beginning", t->out.path);
    tp_status s = c.path != NULL ? restore(t, &c) : TP_OK;
    tp_checkpoint_close(&c);
    return s == TP_OK ? save_config(t) : s; /* with the number of epochs and what else may change */
}
