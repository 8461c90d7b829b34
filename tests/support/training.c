/* training.c: training runs for tests of determinism. */
#define _POSIX_C_SOURCE 200809L /* mkdir, unlink */
#include "tests/support/training.h"

#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "nn/checkpoint.h"
#include "tensor/io/png.h"
#include "tensor/matmul.h"
#include "tensor/parallel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- records ------------------------------------------------------------------------------------ */

static tp_status record_more(record *r, const void *bytes, size_t n)
{
    if (n > r->capacity - r->n) {
        size_t capacity = 2 * (r->n + n);
        unsigned char *larger = realloc(r->bytes, capacity);
        if (larger == NULL)
            return tp_fail(TP_ENOMEM, "no memory for a record");
        r->bytes = larger;
        r->capacity = capacity;
    }
    if (n > 0)
        memcpy(r->bytes + r->n, bytes, n);
    r->n += n;
    return TP_OK;
}

static tp_status record_end(record *r, const char *label)
{
    if (r->sections == MAX_SECTIONS)
        return tp_fail(TP_EARG, "more than %d sections", MAX_SECTIONS);
    snprintf(r->section[r->sections].label, sizeof r->section->label, "%s", label);
    r->section[r->sections++].end = r->n;
    return TP_OK;
}

static tp_status record_tensor(record *r, const char *label, const tp_tensor *t)
{
    if (t->storage != NULL)
        TP_TRY(record_more(r, tp_data(t), (size_t)(tp_numel(t) * tp_dtype_size(t->dtype))));
    return record_end(r, label);
}

static tp_status record_file(record *r, const char *label, const char *path)
{
    char buffer[4096];
    size_t n;
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return tp_fail(TP_EIO, "%s cannot be opened", path);
    tp_status s = TP_OK;
    while (s == TP_OK && (n = fread(buffer, 1, sizeof buffer, f)) > 0)
        s = record_more(r, buffer, n);
    fclose(f);
    unlink(path);
    return s != TP_OK ? s : record_end(r, label);
}

void record_free(record *r)
{
    free(r->bytes);
    *r = (record){0};
}

const char *record_differ(const record *a, const record *b, char text[RECORD_TEXT])
{
    size_t n = a->n < b->n ? a->n : b->n, at = 0, start = 0;
    if (a->n == b->n && memcmp(a->bytes, b->bytes, n) == 0)
        return NULL;
    while (at < n && a->bytes[at] == b->bytes[at])
        at++;
    for (int i = 0; i < a->sections; start = a->section[i++].end)
        if (at < a->section[i].end) {
            snprintf(text, RECORD_TEXT, "byte %zu of '%s'", at - start, a->section[i].label);
            return text;
        }
    snprintf(text, RECORD_TEXT, "%zu and %zu bytes", a->n, b->n);
    return text;
}

uint64_t record_hash(const record *r, const char *label)
{
    size_t end = 0;
    uint64_t hash = 14695981039346656037u;
    for (int i = 0; i < r->sections && strcmp(r->section[i].label, label) != 0; i++)
        end = r->section[i].end;
    for (size_t i = 0; i < end; i++)
        hash = (hash ^ r->bytes[i]) * 1099511628211u;
    return hash;
}

/* --- a run -------------------------------------------------------------------------------------- */

typedef struct running {
    const setup *s;
    const manner *m;
    tp_model model;
    tp_tensor stored; /* what the images are a view of */
    tp_dataset data;
    tp_batches batches;
    tp_optimizer optimizer;
    tp_trainer trainer;
    record *out;
    char folder[512]; /* for files, only of this run */
    uint64_t until;   /* how many steps to do now */
    tp_status status; /* of what on_batch did */
} running;

static tp_objective loss(void *model, tp_ctx *c, tp_var x)
{
    const running *r = model;
    tp_loss_fn inner = r->m->loss != NULL ? r->m->loss : tp_model_loss;
    tp_var keep[1 + TP_MAX_TERMS];
    if (!r->m->recompute)
        return inner((void *)&r->model, c, x);
    tp_recompute_begin(c->tape);
    tp_objective o = inner((void *)&r->model, c, x);
    keep[0] = o.total;
    for (int i = 0; i < o.terms; i++)
        keep[1 + i] = o.term[i].value;
    tp_recompute_end(c->tape, 1 + o.terms, keep);
    return o;
}

/* After every step: its loss on record; in the middle another number of threads. */
static bool on_batch(void *user, const tp_stats *so_far)
{
    running *r = user;
    r->status = record_more(r->out, &so_far->loss, sizeof so_far->loss);
    if (r->status == TP_OK)
        r->status = record_more(r->out, so_far->term, (size_t)so_far->terms * sizeof(double));
    if (r->status == TP_OK && r->m->later > 0 && r->trainer.step == r->s->steps / 2)
        r->status = tp_set_threads(r->m->later);
    return r->status == TP_OK && r->trainer.step < r->until;
}

/* Images by a formula: blots that differ from one to the next, and all 256 values. */
static tp_status make_data(running *r)
{
    int64_t n = r->s->examples, w = r->s->width, rows = n, columns = w, first = 0;
    if (r->m->offset_data)
        rows = n + 3, columns = w + 5, first = 2 * columns + 3;
    TP_TRY(tp_tensor_new(&r->stored, TP_U8, TP_SHAPE(rows, columns)));
    unsigned char *to = tp_data_mut(&r->stored);
    memset(to, 0xa5, (size_t)(rows * columns));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < w; j++) {
            uint32_t noise = (uint32_t)(i * w + j) * 2654435761u >> 24;
            to[first + i * columns + j] = (unsigned char)((j * (3 + i % 5) / w) % 2 ? noise : 0);
        }
    r->data.x = r->stored;
    r->data.x.owns = false;
    r->data.x.shape = TP_SHAPE(n, w);
    r->data.x.offset = first;
    return TP_OK;
}

/* Leaves blocks of many sizes behind, full of NaN and of numbers. */
static tp_status use_tape(tp_tape *t)
{
    static const int64_t sizes[] = {1, 17, 300, 4099, 65537, 300001};
    for (int round = 0; round < 3; round++) {
        for (int i = round % 2; i < 6; i++) {
            tp_var x = tp_full(t, i % 2 ? TP_F32 : TP_F64, TP_SHAPE(sizes[i]), -1);
            tp_var_status(tp_exp(tp_log(tp_add(x, tp_neg(tp_sqrt(x))))));
        }
        TP_TRY(tp_tape_status(t));
        tp_tape_reset(t);
    }
    return TP_OK;
}

static tp_status open_run(running *r, int threads)
{
    const setup *s = r->s;
    tp_model_config config = tp_model_defaults(s->model);
    config.data_dim = s->width;
    config.hidden[0] = s->hidden;
    config.latent_dim = s->latent;
    config.likelihood = s->likelihood;
    config.examples = s->examples;
    TP_TRY(tp_set_threads(threads));
    TP_TRY(tp_model_init(&r->model, s->model, config, s->dtype, 1));
    TP_TRY(make_data(r));
    TP_TRY(tp_batches_init(&r->batches, &r->data, s->batch, s->dtype));
    if (s->optimizer == ADAM)
        TP_TRY(tp_adam_init(&r->optimizer, &r->model.params, tp_adam_defaults()));
    else
        TP_TRY(tp_sgd_init(&r->optimizer, &r->model.params,
                           (tp_sgd_opts){.lr = 1e-4, .momentum = s->optimizer == SGD ? 0 : 0.9}));
    r->trainer = (tp_trainer){.loss = loss,
                              .model = r,
                              .optimizer = &r->optimizer,
                              .seed = 5,
                              .trap = r->m->trap,
                              .on_batch = on_batch,
                              .user = r};
    TP_TRY(tp_tape_new(&r->trainer.tape));
    return r->m->used_tape ? use_tape(r->trainer.tape) : TP_OK;
}

static void close_run(running *r)
{
    tp_tape_free(r->trainer.tape);
    tp_optimizer_free(&r->optimizer);
    tp_batches_free(&r->batches);
    tp_tensor_free(&r->stored);
    tp_model_free(&r->model);
    tp_matmul_release();
    r->trainer.tape = NULL; /* closed once more if what follows fails early */
}

static tp_status record_stats(record *r, const tp_stats *s)
{
    TP_TRY(record_more(r, &s->loss, sizeof s->loss));
    TP_TRY(record_more(r, s->term, (size_t)s->terms * sizeof(double)));
    return record_end(r, "evaluation");
}

static tp_status record_state(running *r)
{
    char label[48];
    const tp_params *ps = &r->model.params;
    TP_TRY(record_more(r->out, &r->optimizer.step, sizeof r->optimizer.step));
    TP_TRY(record_end(r->out, "steps"));
    for (int i = 0; i < ps->n; i++) {
        const tp_moments *m = &r->optimizer.moments[i];
        TP_TRY(record_tensor(r->out, ps->item[i]->name, &ps->item[i]->value));
        snprintf(label, sizeof label, "moment 1 of %.30s", ps->item[i]->name);
        TP_TRY(record_tensor(r->out, label, &m->first));
        snprintf(label, sizeof label, "moment 2 of %.30s", ps->item[i]->name);
        TP_TRY(record_tensor(r->out, label, &m->second));
    }
    return TP_OK;
}

/* The first batch, encoded and decoded, as rows of pixels. */
static tp_status save_picture(running *r, const char *path)
{
    tp_batch batch;
    bool got;
    tp_tensor images;
    tp_tape *t = r->trainer.tape;
    tp_batches_rewind(&r->batches);
    TP_TRY(tp_batches_next(&r->batches, &batch, &got));
    tp_tape_reset(t);
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    const tp_tensor *y = tp_value(tp_model_reconstruct(&r->model, &c, tp_constant(t, &batch.x)));
    if (y == NULL)
        return tp_tape_status(t);
    TP_TRY(tp_view_reshape(y, TP_SHAPE(batch.n, 1, r->s->width), &images));
    return tp_png_grid(path, &images, 1, 1, 1);
}

static tp_status record_checkpoint(running *r)
{
    tp_checkpoint c;
    TP_TRY(tp_checkpoint_save(r->folder, &r->trainer, &r->batches, NULL));
    TP_TRY(tp_checkpoint_open(&c, r->folder));
    tp_status s = record_file(r->out, "checkpoint", c.path);
    tp_checkpoint_close(&c);
    return s;
}

static tp_status record_files(running *r)
{
    char path[600];
    snprintf(path, sizeof path, "%s/file", r->folder);
    TP_TRY(record_checkpoint(r));
    TP_TRY(tp_params_save(&r->model.params, path, NULL));
    TP_TRY(record_file(r->out, "file of weights", path));
    TP_TRY(save_picture(r, path));
    return record_file(r->out, "picture", path);
}

/* --- a whole run -------------------------------------------------------------------------------- */

static tp_status train_until(running *r, uint64_t steps)
{
    tp_stats stats;
    r->until = steps;
    while (r->trainer.step < steps) {
        TP_TRY(tp_train_rest(&r->trainer, &r->batches, &stats));
        TP_TRY(r->status);
    }
    return TP_OK;
}

/* Saves all, frees all, begins anew and goes on from the file. */
static tp_status resume(running *r)
{
    tp_checkpoint c;
    TP_TRY(tp_checkpoint_save(r->folder, &r->trainer, &r->batches, NULL));
    close_run(r);
    TP_TRY(open_run(r, r->m->later > 0 ? r->m->later : r->m->threads));
    TP_TRY(tp_checkpoint_open(&c, r->folder));
    tp_status s = tp_checkpoint_load(&c, &r->trainer, &r->batches);
    if (s == TP_OK && unlink(c.path) != 0)
        s = tp_fail(TP_EIO, "%s cannot be removed", c.path);
    tp_checkpoint_close(&c);
    return s;
}

static tp_status run_all(running *r)
{
    tp_stats stats;
    TP_TRY(open_run(r, r->m->threads));
    if (r->m->resumed) {
        TP_TRY(train_until(r, r->s->steps / 2));
        TP_TRY(resume(r));
    }
    TP_TRY(train_until(r, r->s->steps));
    TP_TRY(record_end(r->out, "losses"));
    TP_TRY(tp_evaluate(&r->trainer, &r->batches, &stats));
    TP_TRY(record_stats(r->out, &stats));
    TP_TRY(record_state(r));
    return record_files(r);
}

tp_status training_run(const setup *s, const manner *m, const char *folder, record *out)
{
    running r = {.s = s, .m = m, .out = out};
    *out = (record){0};
    snprintf(r.folder, sizeof r.folder, "%s/run-%p", folder, (void *)&r); /* others may run now */
    if (mkdir(r.folder, 0700) != 0)
        return tp_fail(TP_EIO, "%s cannot be made", r.folder);
    tp_status status = run_all(&r);
    close_run(&r);
    if (rmdir(r.folder) != 0 && status == TP_OK)
        status = tp_fail(TP_EIO, "%s is not empty", r.folder);
    if (status != TP_OK)
        record_free(out);
    return status;
}
