/* target_checkpoint.c: any bytes as the newest checkpoint of a small run. It is loaded as a whole, saved again as the
 * same and gone on with; or it is passed over for the older one, or refused, and nothing has changed. */
#define _POSIX_C_SOURCE 200809L
#include "tests/fuzz/target.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autograd/ops.h"
#include "nn/checkpoint.h"
#include "tests/support/check.h"

enum { EXAMPLES = 5, BATCH = 2, WIDTH = 1, OLDER = 3, NEWER = 7, BUDGET = 1 << 20 };

/* --- right lengths and checksums ------------------------------------------------------------------ */

/* Three quarters of the changed inputs get a header that ends with the last '}', and the right checksum. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    static const char key[] = "\"" TP_SAFETENSORS_CRC "\":\"";
    char digits[9];
    size_t end = size = LLVMFuzzerMutate(data, size, room), at = 0, length = sizeof key - 1;
    while (end > 8 && data[end - 1] != '}')
        end--;
    while (at + length + 8 < end && memcmp(data + at, key, length) != 0)
        at++;
    if (seed % 4 == 0 || at + length + 8 >= end)
        return size;
    for (int i = 0; i < 8; i++)
        data[i] = (uint8_t)((end - 8) >> 8 * i);
    memcpy(data + at + length, "00000000", 8);
    snprintf(digits, sizeof digits, "%08x", (unsigned)tp_crc32(0, data, size));
    memcpy(data + at + length, digits, 8);
    return size;
}

/* --- the run -------------------------------------------------------------------------------------- */

typedef struct run {
    tp_params params;
    tp_parameter w;
    tp_optimizer optimizer;
    tp_dataset data;
    tp_batches batches;
    tp_trainer trainer;
} run;

static tp_objective loss(void *model, tp_ctx *c, tp_var x)
{
    run *r = model;
    tp_var w = tp_param(c->tape, &r->w);
    tp_var total = tp_mean(tp_mul(w, x), TP_ALL_AXES, false);
    return (tp_objective){total, 1, {{"total", total, 1}}};
}

static void start(run *r)
{
    *r = (run){.params = tp_params_make(TP_F32, 1)};
    TARGET_REQUIRE(tp_params_add(&r->params, &r->w, "w", TP_SHAPE(WIDTH)) == TP_OK);
    TARGET_REQUIRE(
        tp_sgd_init(&r->optimizer, &r->params, (tp_sgd_opts){.lr = 0.1, .momentum = 0.5}) == TP_OK);
    TARGET_REQUIRE(tp_tensor_new(&r->data.x, TP_F32, TP_SHAPE(EXAMPLES, WIDTH)) == TP_OK);
    TARGET_REQUIRE(tp_batches_init(&r->batches, &r->data, BATCH, TP_F32) == TP_OK);
    r->trainer =
        (tp_trainer){.loss = loss, .model = r, .optimizer = &r->optimizer, .seed = 1, .epoch = 1};
    TARGET_REQUIRE(tp_tape_new(&r->trainer.tape) == TP_OK);
}

/* Everything that a checkpoint holds of this run, to see whether it changed. */
typedef struct image {
    float w[WIDTH], moment[WIDTH];
    uint64_t step, epoch, updates, of_w;
    double settings[5];
    tp_stats done;
} image;

static image look(const run *r)
{
    image i;
    memset(&i, 0, sizeof i);
    const tp_optimizer *o = &r->optimizer;
    const tp_sgd_opts *opts = &o->opts.sgd;
    const double settings[5] = {o->lr, opts->momentum, opts->dampening, opts->weight_decay,
                                opts->nesterov};
    memcpy(i.w, tp_data(&r->w.value), sizeof i.w);
    memcpy(i.moment, tp_data(&o->moments[0].first), sizeof i.moment);
    memcpy(i.settings, settings, sizeof settings);
    i.step = r->trainer.step, i.epoch = r->trainer.epoch;
    i.updates = o->step, i.of_w = o->moments[0].step;
    i.done.samples = r->trainer.done.samples, i.done.batches = r->trainer.done.batches;
    i.done.loss = r->trainer.done.loss, i.done.terms = r->trainer.done.terms;
    for (int k = 0; k < i.done.terms; k++) {
        strcpy(i.done.name[k], r->trainer.done.name[k]);
        i.done.term[k] = r->trainer.done.term[k];
    }
    return i;
}

/* The state of a run that has not started. */
static void rewind_run(run *r)
{
    tp_trainer *t = &r->trainer;
    t->step = 0, t->epoch = 1;
    memset(&t->done, 0, sizeof t->done);
    r->optimizer.step = 0, r->optimizer.lr = 0.1,
    r->optimizer.opts.sgd = (tp_sgd_opts){.lr = 0.1, .momentum = 0.5};
    r->optimizer.moments[0].step = 0;
    tp_fill(&r->w.value, 1);
    tp_fill(&r->optimizer.moments[0].first, 0);
}

/* --- there and back ------------------------------------------------------------------------------- */

/* What was loaded is saved in another folder and loaded from there as the same. */
static void check_again(run *r, const char *folder)
{
    tp_checkpoint c;
    image first = look(r);
    if (r->trainer.step == UINT64_MAX)
        return; /* no file is looked for under this number */
    TARGET_REQUIRE(tp_checkpoint_save(folder, &r->trainer, &r->batches, NULL) == TP_OK);
    rewind_run(r);
    TARGET_REQUIRE(tp_checkpoint_open(&c, folder) == TP_OK);
    TARGET_REQUIRE(c.path != NULL && c.note == NULL && unlink(c.path) == 0);
    TARGET_REQUIRE(tp_checkpoint_load(&c, &r->trainer, &r->batches) == TP_OK);
    image second = look(r);
    TARGET_REQUIRE(memcmp(&first, &second, sizeof first) == 0);
    tp_checkpoint_close(&c);
}

static void check_note(const tp_checkpoint *c)
{
    char text[1 << 14];
    TARGET_REQUIRE(c->note != NULL || c->step == NEWER);
    if (c->note == NULL)
        return;
    snprintf(text, sizeof text, "%s", c->note);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        target_check_text(line);
}

static void load(run *r, const char *folder, const char *other)
{
    tp_checkpoint c;
    tp_stats stats;
    rewind_run(r);
    image before = look(r);
    TARGET_REQUIRE(tp_checkpoint_open(&c, folder) == TP_OK); /* if need be, the older one */
    TARGET_REQUIRE(c.path != NULL && (c.step == NEWER || c.step == OLDER));
    check_note(&c);
    tp_status s = tp_checkpoint_load(&c, &r->trainer, &r->batches);
    target_check_status(s, 1u << TP_EFORMAT, c.path);
    TARGET_REQUIRE(s == TP_OK || c.step == NEWER);
    image after = look(r);
    if (s != TP_OK)
        TARGET_REQUIRE(memcmp(&before, &after, sizeof before) == 0);
    tp_checkpoint_close(&c);
    if (s != TP_OK)
        return;
    check_again(r, other);
    s = tp_train_rest(&r->trainer, &r->batches, &stats);
    target_check_status(s, 1u << TP_EARG | 1u << TP_ENONFINITE, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static run r;
    static char newer[4096], damaged[4200];
    static const char *folder, *other;
    const char *path = target_file(data, size);
    if (folder == NULL) { /* the newest is a link to the input, the older one is a real one */
        folder = test_tmp("folder"), other = test_tmp("other");
        TARGET_REQUIRE(mkdir(folder, 0700) == 0 && mkdir(other, 0700) == 0);
        start(&r);
        r.trainer.step = OLDER;
        TARGET_REQUIRE(tp_checkpoint_save(folder, &r.trainer, &r.batches, NULL) == TP_OK);
        snprintf(newer, sizeof newer, "%s/checkpoint-%d.safetensors", folder, NEWER);
        snprintf(damaged, sizeof damaged, "%s.damaged", newer);
        TARGET_REQUIRE(symlink(path, newer) == 0);
        load(&r, folder, other); /* what stays allocated now, stays */
        rename(damaged, newer);
    }
    size_t begun = target_begin(64 * size + BUDGET);
    load(&r, folder, other);
    tp_tape_reset(r.trainer.tape);
    rename(damaged, newer); /* where it was passed over */
    target_end(begun);
    return 0;
}
