/* checkpoint.c: the state of a run as one list of named tensors and numbers, used in both directions.
 *
 * Counts are metadata in decimals, so that they can be read by people; other numbers are tensors, so that every
 * bit comes back. How a file gets its name safely is tensor/io/file.c. Read next: checkpoint_files.c.
 */
#include "nn/checkpoint.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "nn/checkpoint_files.h"
#include "nn/optim/rule.h"
#include "tensor/io/safetensors_header.h"
#include "tensor/kernels/kernels.h"
#include "tensor/mem.h"

/* --- what is saved ------------------------------------------------------------------------------ */

/* The whole numbers of a state. The first rows say what run it is; they must be the same to go on. */
typedef struct counts {
    uint64_t version, seed, batch_size, examples, data_crc32, step, updates, epoch, samples,
        batches, terms;
} counts;

static const struct {
    const char *key;
    size_t offset;
    const char *differs; /* why a run with another value cannot go on; NULL: restored */
} rows[] = {
    {"tapir.checkpoint", offsetof(counts, version), "is of another version of the format"},
    {"seed", offsetof(counts, seed), "the run has another seed"},
    {"batch_size", offsetof(counts, batch_size), "the run has batches of another size"},
    {"examples", offsetof(counts, examples), "the run has a data set of another size"},
    {"data_crc32", offsetof(counts, data_crc32),
     "the training data have changed, or how they are binarized"},
    {"step", offsetof(counts, step), NULL},
    {"updates", offsetof(counts, updates), NULL},
    {"epoch", offsetof(counts, epoch), NULL},
    {"epoch_samples", offsetof(counts, samples), NULL},
    {"epoch_batches", offsetof(counts, batches), NULL},
    {"epoch_terms", offsetof(counts, terms), NULL},
};

enum { ROWS = sizeof rows / sizeof *rows, FORMAT_VERSION = 2, COUNT_TEXT = 24 };

static const char kind_key[] = "optimizer", set_key[] = "instruction_set";
static const char settings_name[] = "optimizer.settings";
static const char best_prefix[] = "best.", epoch_name[] = "trainer.best_epoch";
static const char *const term_keys[TP_MAX_TERMS] = {"term_0", "term_1", "term_2", "term_3"};

static uint64_t *count_at(counts *c, int row)
{
    return (uint64_t *)((char *)c + rows[row].offset);
}

static tp_status counts_of(const tp_trainer *t, tp_batches *b, counts *c)
{
    uint32_t crc;
    TP_TRY(tp_batches_fingerprint(b, &crc));
    *c = (counts){.version = FORMAT_VERSION,
                  .seed = t->seed,
                  .batch_size = (uint64_t)b->batch_size,
                  .examples = (uint64_t)b->size,
                  .data_crc32 = crc,
                  .step = t->step,
                  .updates = t->optimizer->step,
                  .epoch = t->epoch,
                  .samples = (uint64_t)t->done.samples,
                  .batches = (uint64_t)t->done.batches,
                  .terms = (uint64_t)t->done.terms};
    return TP_OK;
}

/* The state's tensors: those of parameters and optimizer themselves, and three that hold plain numbers. */
typedef struct state {
    tp_named_tensor *items;
    int n, room;
    char *names; /* of the optimizer's state */
    size_t name_bytes;
    tp_tensor updates;  /* i64 [parameters]: steps that each parameter was part of */
    tp_tensor settings; /* f64 [options]: those of the optimizer, of which schedules change lr */
    tp_tensor means;    /* f64 [1 + TP_MAX_TERMS]: loss and terms of the epoch so far */
    tp_tensor best_epoch, best_loss; /* i64 [], f64 []; empty unless the trainer keeps them */
} state;

static void state_free(state *s)
{
    tp_free(s->items, (size_t)s->room * sizeof *s->items);
    tp_free(s->names, s->name_bytes);
    tp_tensor_free(&s->updates);
    tp_tensor_free(&s->settings);
    tp_tensor_free(&s->means);
    tp_tensor_free(&s->best_epoch);
    tp_tensor_free(&s->best_loss);
}

static void add(state *s, const char *name, tp_tensor *t)
{
    if (t->storage != NULL)
        s->items[s->n++] = (tp_named_tensor){name, t};
}

/* The name of a parameter behind a prefix; *at moves on in the block of names. */
static const char *prefixed(const state *s, char **at, const char *prefix, const char *name)
{
    char *made = *at;
    size_t room = s->name_bytes - (size_t)(made - s->names);
    *at += snprintf(made, room, "%s%s", prefix, name) + 1;
    return made;
}

static const char *name_of(const tp_params *ps, int i)
{
    return i < ps->n ? ps->item[i]->name : ps->buffer[i - ps->n]->name;
}

/* The best epoch, with its weights if they are kept. */
static tp_status add_best(const tp_best *b, state *s, char **at)
{
    TP_TRY(tp_tensor_new(&s->best_epoch, TP_I64, TP_SHAPE()));
    TP_TRY(tp_tensor_new(&s->best_loss, TP_F64, TP_SHAPE()));
    for (int i = 0; i < b->n; i++)
        add(s, prefixed(s, at, best_prefix, name_of(b->params, i)), &b->value[i]);
    add(s, epoch_name, &s->best_epoch);
    add(s, "trainer.best_loss", &s->best_loss);
    return TP_OK;
}

/* Lists the tensors of a run; their values are not touched. Freed with state_free, also on failure. */
static tp_status state_of(const tp_trainer *t, state *s)
{
    static const char *const prefix[TP_MAX_STATES] = {"optimizer.first.", "optimizer.second.",
                                                      "optimizer.third."};
    const tp_params *ps = t->optimizer->params;
    double values[TP_MAX_OPTIONS];
    int options = tp_optimizer_get(t->optimizer, values);
    int best = t->best != NULL ? t->best->n : 0;
    *s = (state){.room = (1 + TP_MAX_STATES) * ps->n + ps->buffers + best + 5};
    for (int k = 0; k < TP_MAX_STATES; k++)
        for (int i = 0; i < ps->n; i++)
            s->name_bytes += strlen(prefix[k]) + strlen(ps->item[i]->name) + 1;
    for (int i = 0; i < best; i++)
        s->name_bytes += strlen(best_prefix) + strlen(name_of(ps, i)) + 1;
    s->items = tp_alloc((size_t)s->room * sizeof *s->items);
    s->names = s->items ? tp_alloc(s->name_bytes) : NULL;
    if (s->names == NULL)
        return TP_ENOMEM;
    TP_TRY(tp_tensor_new(&s->updates, TP_I64, TP_SHAPE(ps->n)));
    TP_TRY(tp_tensor_new(&s->settings, TP_F64, TP_SHAPE(options)));
    TP_TRY(tp_tensor_new(&s->means, TP_F64, TP_SHAPE(1 + TP_MAX_TERMS)));
    char *at = s->names;
    for (int i = 0; i < ps->n; i++)
        add(s, ps->item[i]->name, &ps->item[i]->value);
    for (int i = 0; i < ps->buffers; i++)
        add(s, ps->buffer[i]->name, &ps->buffer[i]->value);
    for (int k = 0; k < TP_MAX_STATES; k++)
        for (int i = 0; i < ps->n; i++)
            add(s, prefixed(s, &at, prefix[k], ps->item[i]->name),
                tp_moment(&t->optimizer->moments[i], k));
    add(s, "optimizer.updates", &s->updates);
    add(s, settings_name, &s->settings);
    add(s, "trainer.means", &s->means);
    return t->best != NULL ? add_best(t->best, s, &at) : TP_OK;
}

/* Between the plain numbers of a run and the tensors that hold them. */
static void numbers_out(const tp_trainer *t, state *s)
{
    const tp_optimizer *o = t->optimizer;
    double settings[TP_MAX_OPTIONS];
    int options = tp_optimizer_get(o, settings);
    int64_t *updates = tp_data_mut(&s->updates);
    double *means = tp_data_mut(&s->means);
    for (int i = 0; i < o->n; i++)
        updates[i] = (int64_t)o->moments[i].step;
    memcpy(tp_data_mut(&s->settings), settings, (size_t)options * sizeof *settings);
    means[0] = t->done.loss;
    memcpy(means + 1, t->done.term, sizeof t->done.term);
    if (t->best != NULL) {
        *(int64_t *)tp_data_mut(&s->best_epoch) = (int64_t)t->best->epoch;
        *(double *)tp_data_mut(&s->best_loss) = t->best->loss;
    }
}

static void numbers_in(tp_trainer *t, const state *s)
{
    tp_optimizer *o = t->optimizer;
    const int64_t *updates = tp_data(&s->updates);
    const double *means = tp_data(&s->means);
    for (int i = 0; i < o->n; i++)
        o->moments[i].step = (uint64_t)updates[i];
    (void)tp_optimizer_set(o, tp_data(&s->settings)); /* check_settings has tried it */
    t->done.loss = means[0];
    memcpy(t->done.term, means + 1, sizeof t->done.term);
    if (t->best != NULL) {
        t->best->epoch = (uint64_t) * (const int64_t *)tp_data(&s->best_epoch);
        t->best->loss = *(const double *)tp_data(&s->best_loss);
    }
}

/* --- saving ------------------------------------------------------------------------------------- */

/* Metadata: the counts, the kind of optimizer, the names of the terms, and the caller's texts. */
static tp_status save_state(const char *path, const tp_trainer *t, const state *s, const counts *c,
                            const char *const *texts)
{
    enum { OWN = 2 * (ROWS + 3 + TP_MAX_TERMS) };
    counts copy = *c;
    char text[ROWS][COUNT_TEXT], kind[TP_OPTIMIZER_KIND];
    int own = 0, n = 0;
    while (texts != NULL && texts[n] != NULL)
        n++;
    size_t bytes = (size_t)(OWN + n + 1) * sizeof(char *);
    const char **metadata = tp_alloc(bytes);
    if (metadata == NULL)
        return TP_ENOMEM;
    for (int i = 0; i < ROWS; i++) {
        snprintf(text[i], COUNT_TEXT, "%llu", (unsigned long long)*count_at(&copy, i));
        metadata[own++] = rows[i].key;
        metadata[own++] = text[i];
    }
    for (int i = 0; i < t->done.terms; i++) {
        metadata[own++] = term_keys[i];
        metadata[own++] = t->done.name[i];
    }
    metadata[own++] = kind_key;
    tp_optimizer_kind(t->optimizer, kind);
    metadata[own++] = kind;
    metadata[own++] = set_key;
    metadata[own++] = tp_isa();
    for (int i = 0; i < n; i++)
        metadata[own++] = texts[i];
    metadata[own] = NULL;
    tp_status status = tp_safetensors_save(path, s->items, s->n, metadata);
    tp_free(metadata, bytes);
    return status;
}

tp_status tp_checkpoint_save(const char *directory, const tp_trainer *t, tp_batches *b,
                             const char *const *texts)
{
    state s;
    counts c;
    uint64_t newest = 0;
    bool found;
    TP_TRY(tp_checkpoint_newest(directory, UINT64_MAX, &newest, &found));
    if (found && newest > t->step)
        return tp_fail(
            TP_EARG,
            "%s: holds a checkpoint of step %llu, this run is at step %llu: go on from it, or use "
            "another directory",
            directory, (unsigned long long)newest, (unsigned long long)t->step);
    TP_TRY(counts_of(t, b, &c));
    char *path = tp_checkpoint_path(directory, t->step, "");
    if (path == NULL)
        return TP_ENOMEM;
    tp_status status = state_of(t, &s);
    if (status == TP_OK) {
        numbers_out(t, &s);
        status = save_state(path, t, &s, &c, texts);
    }
    state_free(&s);
    tp_free_string(path);
    if (status == TP_OK)
        tp_checkpoint_remove_old(directory);
    return status;
}

/* --- opening ------------------------------------------------------------------------------------ */

static tp_status read_counts(const tp_checkpoint *c, counts *have)
{
    for (int i = 0; i < ROWS; i++) {
        const char *text = tp_safetensors_metadata(&c->file, rows[i].key);
        if (text == NULL || !tp_checkpoint_count(text, "", count_at(have, i)))
            return tp_fail(TP_EFORMAT,
                           "%s: metadata '%s' is missing or no whole number: no checkpoint",
                           c->path, rows[i].key);
    }
    if (have->terms > TP_MAX_TERMS)
        return tp_fail(TP_EFORMAT, "%s: %llu terms, expected at most %d", c->path,
                       (unsigned long long)have->terms, TP_MAX_TERMS);
    return TP_OK;
}

/* Opens c->path and looks at every byte. */
static tp_status open_whole(tp_checkpoint *c)
{
    counts have;
    TP_TRY(tp_safetensors_open(&c->file, c->path));
    tp_status s = tp_safetensors_verify(&c->file);
    if (s == TP_OK)
        s = read_counts(c, &have);
    if (s == TP_OK && tp_safetensors_metadata(&c->file, TP_SAFETENSORS_CRC) == NULL)
        s = tp_fail(TP_EFORMAT, "%s: has no checksum", c->path);
    if (s == TP_OK && have.step != c->step) /* or it would stand in the way of later ones */
        s = tp_fail(TP_EFORMAT, "%s: holds step %llu, another one than its name says", c->path,
                    (unsigned long long)have.step);
    if (s != TP_OK)
        tp_safetensors_close(&c->file);
    return s;
}

/* Adds a line to the note. */
static tp_status add_note(tp_checkpoint *c, const char *text)
{
    size_t old = c->note != NULL ? strlen(c->note) + 1 : 0, bytes = old + strlen(text) + 1;
    char *note = tp_alloc(bytes); /* of exactly its length, as tp_free_string wants it */
    if (note == NULL)
        return TP_ENOMEM;
    if (old > 0) {
        memcpy(note, c->note, old - 1);
        note[old - 1] = '\n';
    }
    memcpy(note + old, text, bytes - old);
    tp_free_string(c->note);
    c->note = note;
    return TP_OK;
}

/* Bits are promised for one instruction set only. */
static tp_status compare_instruction_sets(tp_checkpoint *c)
{
    char text[256 + TP_ST_TEXT], shown[TP_ST_TEXT];
    const char *had = tp_safetensors_metadata(&c->file, set_key), *have = tp_isa();
    if (had == NULL || strcmp(had, have) == 0)
        return TP_OK;
    snprintf(
        text, sizeof text,
        "the run used instruction set %s, here it is %s: it goes on, but not bit for bit as it would "
        "have (TAPIR_ISA chooses)",
        tp_st_printable(had, shown), have);
    return add_note(c, text);
}

/* The newest whole one below a step; *first becomes the status of the first that is not, if any is not. */
static tp_status open_below(tp_checkpoint *c, const char *directory, tp_status *first)
{
    for (c->step = UINT64_MAX;;) {
        bool found;
        TP_TRY(tp_checkpoint_newest(directory, c->step, &c->step, &found));
        if (!found)
            return TP_OK;
        c->path = tp_checkpoint_path(directory, c->step, "");
        tp_status s = c->path != NULL ? open_whole(c) : TP_ENOMEM;
        if (s == TP_OK)
            return compare_instruction_sets(c);
        tp_free_string(c->path);
        c->path = NULL;
        if (s == TP_ENOMEM)
            return s;
        *first = *first == TP_OK ? s : *first;
        TP_TRY(add_note(c, tp_last_error() + strlen(tp_status_name(s)) + 1));
    }
}

tp_status tp_checkpoint_open(tp_checkpoint *c, const char *directory)
{
    tp_checkpoint made = {.file = {.file = {-1, 0, NULL}}};
    tp_status first = TP_OK, s = open_below(&made, directory, &first);
    if (s == TP_OK && made.path == NULL && first != TP_OK)
        s = tp_fail(first, "%.*s; no older checkpoint is whole", (int)strcspn(made.note, "\n"),
                    made.note);
    if (s == TP_OK)
        *c = made;
    else
        tp_checkpoint_close(&made);
    return s;
}

const char *tp_checkpoint_text(const tp_checkpoint *c, const char *key)
{
    return c->path != NULL ? tp_safetensors_metadata(&c->file, key) : NULL;
}

/* --- loading ------------------------------------------------------------------------------------ */

/* Is it a state of this run? */
static tp_status check_run(const tp_checkpoint *c, const tp_trainer *t, const counts *have,
                           const counts *want)
{
    counts is = *have, needed = *want;
    char text[TP_ST_TEXT], expected[TP_OPTIMIZER_KIND];
    tp_optimizer_kind(t->optimizer, expected);
    for (int i = 0; i < ROWS; i++)
        if (rows[i].differs != NULL && *count_at(&is, i) != *count_at(&needed, i))
            return tp_fail(TP_EFORMAT, "%s: %s is %llu, expected %llu: %s", c->path, rows[i].key,
                           (unsigned long long)*count_at(&is, i),
                           (unsigned long long)*count_at(&needed, i), rows[i].differs);
    const char *kind = tp_safetensors_metadata(&c->file, kind_key);
    if (kind == NULL || strcmp(kind, expected) != 0)
        return tp_fail(TP_EFORMAT, "%s: the optimizer was %s, expected %s", c->path,
                       kind != NULL ? tp_st_printable(kind, text) : "not named", expected);
    for (uint64_t i = 0; i < have->terms; i++) {
        const char *name = tp_safetensors_metadata(&c->file, term_keys[i]);
        if (name == NULL || strlen(name) >= TP_TERM_NAME)
            return tp_fail(TP_EFORMAT, "%s: metadata '%s' is missing or longer than %d bytes",
                           c->path, term_keys[i], TP_TERM_NAME - 1);
    }
    return TP_OK;
}

/* Settings that an optimizer of this kind can have? Asked before anything of the run is changed. */
static tp_status check_settings(const tp_checkpoint *c, const tp_trainer *t, state *s)
{
    char kind[TP_OPTIMIZER_KIND];
    tp_optimizer as_saved = *t->optimizer;
    const tp_safetensors_entry *e = tp_safetensors_find(&c->file, settings_name);
    if (e == NULL || e->dtype != TP_F64 || !tp_shape_equal(e->shape, s->settings.shape))
        return TP_OK; /* which the load will say */
    TP_TRY(tp_safetensors_load(&c->file, settings_name, &s->settings));
    if (tp_optimizer_set(&as_saved, tp_data(&s->settings)) == TP_OK)
        return TP_OK;
    tp_optimizer_kind(t->optimizer, kind);
    return tp_fail(TP_EFORMAT, "%s: tensor '%s' holds what %s cannot have", c->path, settings_name,
                   kind);
}

static tp_status load(const tp_checkpoint *c, tp_trainer *t, tp_batches *b)
{
    counts have, want;
    state s;
    TP_TRY(counts_of(t, b, &want));
    TP_TRY(read_counts(c, &have));
    TP_TRY(check_run(c, t, &have, &want));
    tp_status status = state_of(t, &s);
    if (status == TP_OK)
        status = check_settings(c, t, &s);
    if (status == TP_OK)
        status = tp_checkpoint_set_aside(c->path, c->step);
    if (status == TP_OK)
        status = tp_safetensors_load_all(&c->file, s.items, s.n);
    if (status == TP_OK) {
        t->step = have.step;
        t->optimizer->step = have.updates;
        t->epoch = have.epoch;
        t->done = (tp_stats){.samples = (int64_t)have.samples,
                             .batches = (int64_t)have.batches,
                             .terms = (int)have.terms};
        for (int i = 0; i < t->done.terms; i++) {
            const char *name = tp_safetensors_metadata(&c->file, term_keys[i]);
            snprintf(t->done.name[i], sizeof t->done.name[i], "%s", name);
        }
        numbers_in(t, &s);
    }
    state_free(&s);
    return status;
}

/* Does the file hold the weights of a best epoch? */
static bool has_best_weights(const tp_checkpoint *c, const tp_params *ps)
{
    char name[256];
    if (ps->n == 0)
        return false;
    snprintf(name, sizeof name, "%s%s", best_prefix, ps->item[0]->name);
    return tp_safetensors_find(&c->file, name) != NULL;
}

tp_status tp_checkpoint_load(const tp_checkpoint *c, tp_trainer *t, tp_batches *b)
{
    if (c->path == NULL)
        return tp_fail(TP_EARG, "no checkpoint is open");
    tp_best *own = t->best, as_saved;
    const tp_params *ps = t->optimizer->params;
    bool weights = has_best_weights(c, ps), any = tp_safetensors_find(&c->file, epoch_name) != NULL;
    if (own != NULL ? own->n > 0 || !weights : !any)
        return load(c, t, b);
    TP_TRY(tp_best_init(&as_saved, ps, weights)); /* more than is wanted */
    t->best = &as_saved;
    tp_status s = load(c, t, b);
    t->best = own;
    if (s == TP_OK && own != NULL) {
        own->epoch = as_saved.epoch;
        own->loss = as_saved.loss;
    }
    tp_best_free(&as_saved);
    return s;
}

void tp_checkpoint_close(tp_checkpoint *c)
{
    if (c->path != NULL)
        tp_safetensors_close(&c->file);
    tp_free_string(c->path);
    tp_free_string(c->note);
    *c = (tp_checkpoint){.file = {.file = {-1, 0, NULL}}};
}
