/* config.c: presets, and config.json, which holds every setting of a run.
 *
 * Keys of config.json are the flags of options.c, so what the file says is checked as flags are.
 * Read next: options.c. */
#include "options.h"

#include "tensor/io/file.h"
#include "tensor/io/json.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- presets ------------------------------------------------------------------------------------ */

static const struct {
    const char *name, *summary;
    int64_t latent_dim, epochs, batch_size;
} presets[] = {
    {"quick", "for the digits in examples/data: good pictures in half a minute", 20, 60, 100},
    {"pytorch-example", "as the VAE of the PyTorch examples, for the whole of MNIST", 20, 10, 128},
    {"manifold", "two latent dimensions, so that they fit on a page", 2, 50, 100},
};

enum { PRESETS = sizeof presets / sizeof *presets };

const char *preset_name(int i)
{
    return i < PRESETS ? presets[i].name : NULL;
}

const char *preset_summary(int i)
{
    return presets[i].summary;
}

options preset_options(int i)
{
    options o = {.preset = i,
                 .likelihood = UNSAID,
                 .format = UNSAID,
                 .image = UNSAID,
                 .pilot = UNSAID,
                 .images = 4,
                 .levels = 8,
                 .data = DIGITS,
                 .channels = TP_CHANNELS_AUTO,
                 .latent_dim = presets[i].latent_dim,
                 .epochs = presets[i].epochs,
                 .batch_size = presets[i].batch_size,
                 .lr = 1e-3,
                 .beta = 1,
                 .seed = 1,
                 .binarize_seed = 1};
    (void)tp_optim_named(&o.optimizer, "adam");
    o.schedule = tp_schedule_defaults();
    while (tp_model_types[o.model] != &tp_model_vae)
        o.model++;
    return o;
}

/* --- the model ---------------------------------------------------------------------------------- */

tp_shape options_shape(const options *o)
{
    if (o->height <= 0 || o->width <= 0)
        return (tp_shape){0};
    return o->channels == TP_CHANNELS_COLOUR ? TP_SHAPE(3, o->height, o->width)
                                             : TP_SHAPE(o->height, o->width);
}

tp_status options_model(const options *o, tp_model_config *config)
{
    const tp_model_type *type = tp_model_types[o->model];
    tp_model_config c = tp_model_defaults(type);
    bool kept = *o->run != '\0' || *o->resume != '\0'; /* once, any β was taken from any model */
    if (o->height > 0 && o->width > 0) {               /* else pictures that any model can have */
        c.data_shape = options_shape(o);
        c.data_dim = tp_shape_numel(c.data_shape);
    }
    if (o->hidden.n > 0) {
        c.hidden_layers = o->hidden.n;
        memcpy(c.hidden, o->hidden.size, sizeof c.hidden);
    }
    c.latent_dim = o->latent_dim;
    c.activation = (tp_activation)o->activation;
    c.init = (tp_init_scheme)o->init;
    c.posterior_scale = (tp_posterior_scale)o->posterior_scale;
    if (o->likelihood != UNSAID)
        c.likelihood = (tp_likelihood)o->likelihood;
    c.beta = type->beta || !kept ? o->beta : 1;
    c.levels = o->levels;
    c.classes = o->classes > 0 ? o->classes : 1;
    c.examples = o->examples > 0 ? o->examples : 1;
    for (int i = 0; i < o->set.n; i++)
        TP_TRY(tp_model_set(&c, type, o->set.item[i].name, o->set.item[i].value));
    TP_TRY(tp_model_check(type, &c));
    c.classes = o->classes;
    c.examples = o->examples;
    *config = c;
    return TP_OK;
}

/* --- config.json -------------------------------------------------------------------------------- */

enum { CONFIG_LIMIT = 1 << 16 };

/* The key of the version that wrote a file. It is not a setting and is not read back. */
static const char version_key[] = "tapir";

/* "batch_size" for the flag "batch-size". */
static const char *key_of(const flag *f, char key[64])
{
    size_t i = 0;
    for (; i < 63 && f->name[i] != '\0'; i++)
        key[i] = f->name[i] == '-' ? '_' : f->name[i];
    key[i] = '\0';
    return key;
}

static tp_status unknown_key(const tp_json *j, const char *key)
{
    char own[64];
    nearest n = nearest_to(key);
    for (int i = 0; i < flag_count; i++)
        if (flags[i].config)
            nearest_offer(&n, flags[i].name);
    for (int i = 0; i < flag_count; i++)
        if (flags[i].config && n.best == flags[i].name)
            return tp_json_fail(j, "there is no such setting; did you mean \"%s\"?",
                                key_of(&flags[i], own));
    return tp_json_fail(j, "there is no such setting");
}

/* A number as it is written, behind a comma if text holds others before. */
static tp_status read_number(tp_json *j, char text[PATH_SIZE])
{
    const char *number;
    int n;
    size_t used = strlen(text);
    TP_TRY(tp_json_number(j, &number, &n));
    if (used + (size_t)n + 2 > PATH_SIZE)
        return tp_json_fail(j, "more than %d characters of numbers", PATH_SIZE - 2);
    snprintf(text + used, PATH_SIZE - used, used > 0 ? ",%.*s" : "%.*s", n, number);
    return TP_OK;
}

/* The members of an object, as a flag has them. */
static tp_status read_options(tp_json *j, char text[PATH_SIZE])
{
    bool more = !tp_json_accept(j, '}');
    while (more) {
        const char *name, *number;
        size_t used = strlen(text);
        int n;
        TP_TRY(tp_json_string(j, &name));
        if (strpbrk(name, ",=") != NULL)
            return tp_json_fail(j, "'%.60s' is not the name of an option", name);
        TP_TRY(tp_json_expect(j, ':'));
        TP_TRY(tp_json_number(j, &number, &n));
        if (used + strlen(name) + (size_t)n + 3 > PATH_SIZE)
            return tp_json_fail(j, "more than %d characters of options", PATH_SIZE - 3);
        snprintf(text + used, PATH_SIZE - used, used > 0 ? ",%s=%.*s" : "%s=%.*s", name, n, number);
        TP_TRY(tp_json_next(j, '}', &more));
    }
    return TP_OK;
}

static bool is_string(const flag *f)
{
    return f->kind == CHOICE || f->kind == TEXT || f->kind == OPTIMIZER || f->kind == SCHEDULE;
}

static tp_status read_value(tp_json *j, options *o, const flag *f)
{
    char numbers[PATH_SIZE] = "";
    const char *text = numbers;
    bool more = false;
    if (is_string(f))
        TP_TRY(tp_json_string(j, &text));
    else if (f->kind == OPTION_LIST) {
        TP_TRY(tp_json_expect(j, '{'));
        TP_TRY(read_options(j, numbers));
        if (*numbers == '\0')
            return TP_OK;
    } else if (f->kind != SIZES)
        TP_TRY(read_number(j, numbers));
    else {
        TP_TRY(tp_json_expect(j, '['));
        more = !tp_json_accept(j, ']');
    }
    while (more) {
        TP_TRY(read_number(j, numbers));
        TP_TRY(tp_json_next(j, ']', &more));
    }
    tp_status s = flag_set(o, f, text);
    if (s != TP_OK)
        tp_fail_prefix("%s: %s: ", j->path, j->where);
    return s;
}

static tp_status read_member(tp_json *j, options *o, bool *seen)
{
    const char *key, *ignored;
    char where[72], own[64];
    TP_TRY(tp_json_string(j, &key));
    snprintf(where, sizeof where, "\"%.60s\"", key);
    j->where = where; /* for messages until the value is read */
    tp_status s = tp_json_expect(j, ':');
    int i = 0;
    while (i < flag_count && !(flags[i].config && strcmp(key_of(&flags[i], own), key) == 0))
        i++;
    if (s == TP_OK && strcmp(key, version_key) == 0)
        s = tp_json_string(j, &ignored);
    else if (s == TP_OK && i == flag_count)
        s = unknown_key(j, key);
    else if (s == TP_OK && seen[i])
        s = tp_json_fail(j, "is there twice");
    else if (s == TP_OK) {
        seen[i] = true;
        s = read_value(j, o, &flags[i]);
    }
    j->where = NULL;
    return s;
}

static bool is_set(const bool *seen, size_t offset)
{
    for (int i = 0; i < flag_count; i++)
        if (seen[i] && flags[i].offset == offset)
            return true;
    return false;
}

tp_status config_read(options *o, const char *path, bool *preset_set)
{
    char *data;
    size_t bytes;
    bool seen[128] = {false}, more;
    TP_TRY(tp_file_read_all(path, CONFIG_LIMIT, &data, &bytes));
    tp_json j = tp_json_begin(path, data, (int64_t)bytes, 0, true);
    tp_status s = tp_json_expect(&j, '{');
    for (more = s == TP_OK && !tp_json_accept(&j, '}'); s == TP_OK && more;) {
        s = read_member(&j, o, seen);
        if (s == TP_OK)
            s = tp_json_next(&j, '}', &more);
    }
    if (s == TP_OK)
        s = tp_json_finish(&j);
    tp_free(data, bytes + 1);
    *preset_set = is_set(seen, offsetof(options, preset));
    /* A run of a version that knew no colour. */
    if (is_set(seen, offsetof(options, height)) && !is_set(seen, offsetof(options, channels)))
        o->channels = TP_CHANNELS_GREY;
    /* One of a version that measured on the test images, whatever else there were. */
    if (is_set(seen, offsetof(options, height)) && !is_set(seen, offsetof(options, valid)))
        o->valid = UNSAID;
    return s;
}

static bool as_always(const options *o, const flag *f)
{
    char now[PATH_SIZE], always[PATH_SIZE];
    options standard = preset_options(0);
    flag_text(o, f, now);
    flag_text(&standard, f, always);
    return strcmp(now, always) == 0;
}

/* Does a setting say nothing that was not so before there was that setting? */
static bool nothing_new(const options *o, const flag *f)
{
    const tp_model_type *type = tp_model_types[o->model];
    switch (f->offset) {
    case offsetof(options, binarize):
    case offsetof(options, binarize_seed):
        return o->binarize == TP_BINARIZE_GREY;
    case offsetof(options, channels):
        return o->channels != TP_CHANNELS_COLOUR;
    case offsetof(options, levels):
        return o->likelihood != TP_CATEGORICAL;
    case offsetof(options, classes):
        return !type->labels;
    case offsetof(options, examples):
        return !type->indexed;
    case offsetof(options, activation):
    case offsetof(options, init):
    case offsetof(options, output_bias):
    case offsetof(options, posterior_scale):
    case offsetof(options, valid):
    case offsetof(options, keep):
    case offsetof(options, patience):
    case offsetof(options, optimizer):
    case offsetof(options, schedule):
        return as_always(o, f);
    default:
        return false;
    }
}

/* An object of all options, or of those that are not what they are by default. */
static void write_options(const options *o, json *j, const flag *f, const char *separator, bool all)
{
    tp_model_config standard = tp_model_defaults(tp_model_types[o->model]);
    char key[64];
    int written = 0;
    for (int i = 0; i < o->set.n; i++) {
        if (!all && standard.option[i] == o->set.item[i].value)
            continue; /* behind options_read they stand in the order of the type */
        if (written++ == 0) {
            json_key(j, key_of(f, key), separator);
            json_raw(j, "{");
        }
        json_key(j, o->set.item[i].name, " ");
        json_number(j, o->set.item[i].value);
    }
    if (written > 0)
        json_raw(j, "}");
}

/* What says nothing new is left out of the metadata: there, settings from before there was binarization are told to
 * be the same by their text. */
void config_write(const options *o, json *j, bool metadata)
{
    char key[64], text[PATH_SIZE];
    const char *separator = metadata ? " " : "\n  ";
    json_raw(j, metadata ? "{" : "{\n  ");
    json_key(j, version_key, separator);
    json_text(j, VERSION);
    for (int i = 0; i < flag_count; i++) {
        const flag *f = &flags[i];
        bool local = f->offset == offsetof(options, data) ||
                     f->offset == offsetof(options, threads) ||
                     f->offset == offsetof(options, checkpoint_every);
        if (!f->config || (metadata && (local || nothing_new(o, f))))
            continue;
        flag_text(o, f, text);
        if (f->kind == OPTION_LIST) {
            write_options(o, j, f, separator, !metadata);
            continue;
        }
        if (*text == '\0')
            continue; /* nobody has said it yet */
        json_key(j, key_of(f, key), separator);
        if (is_string(f))
            json_text(j, text);
        else
            json_raw(j, f->kind == SIZES ? "[%s]" : "%s", text);
    }
    json_raw(j, metadata ? "}" : "\n}\n");
}

bool config_same_run(const char *a, const char *b)
{
    static const char key[] = "\"epochs\": ", digits[] = "0123456789";
    a += strcspn(a, ","); /* behind the version, which comes first */
    b += strcspn(b, ",");
    const char *in_a = strstr(a, key), *in_b = strstr(b, key);
    if (in_a == NULL || in_b == NULL || in_a - a != in_b - b ||
        strncmp(a, b, (size_t)(in_a - a)) != 0)
        return false;
    in_a += strlen(key), in_b += strlen(key);
    return strcmp(in_a + strspn(in_a, digits), in_b + strspn(in_b, digits)) == 0;
}
