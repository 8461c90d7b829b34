/* config.c: presets, and config.json, which holds every setting of a run.
 *
 * Keys of config.json are the flags of options.c, so what the file says is checked as flags are.
 * Read next: options.c. */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- presets ------------------------------------------------------------------------------------ */

static const struct {
    const char *name, *summary;
    int64_t hidden, latent_dim, epochs, batch_size;
} presets[] = {
    {"quick", "for the digits in examples/data: good pictures in half a minute", 400, 20, 60, 100},
    {"pytorch-example", "as the VAE of the PyTorch examples, for the whole of MNIST", 400, 20, 10,
     128},
    {"manifold", "two latent dimensions, so that they fit on a page", 400, 2, 50, 100},
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
                 .likelihood = TP_BERNOULLI,
                 .data = DIGITS,
                 .hidden = {1, {presets[i].hidden}},
                 .latent_dim = presets[i].latent_dim,
                 .epochs = presets[i].epochs,
                 .batch_size = presets[i].batch_size,
                 .lr = 1e-3,
                 .beta = 1,
                 .seed = 1,
                 .count = 64};
    while (tp_model_types[o.model] != &tp_model_vae)
        o.model++;
    return o;
}

/* --- config.json -------------------------------------------------------------------------------- */

/* The key of the version that wrote a file. It is not a setting and is not read back. */
static const char version_key[] = "tapir";

/* "batch_size" for the flag "batch-size". */
static const char *key_of(const flag *f, char key[64])
{
    size_t i = 0;
    for (; f->name[i] != '\0' && i < 63; i++)
        key[i] = f->name[i] == '-' ? '_' : f->name[i];
    key[i] = '\0';
    return key;
}

typedef struct reading {
    options *o;
    bool seen[64], preset_set;
} reading;

static tp_status unknown_key(const char *key)
{
    char own[64];
    nearest n = nearest_to(key);
    for (int i = 0; i < flag_count; i++)
        if (flags[i].config)
            nearest_offer(&n, flags[i].name);
    for (int i = 0; i < flag_count; i++)
        if (flags[i].config && n.best == flags[i].name)
            return tp_fail(TP_EFORMAT, "there is no such setting; did you mean \"%s\"?",
                           key_of(&flags[i], own));
    return tp_fail(TP_EFORMAT, "there is no such setting");
}

static tp_status read_field(void *user, const char *key, char type, const char *text)
{
    reading *r = user;
    char own[64];
    if (strcmp(key, version_key) == 0)
        return TP_OK;
    for (int i = 0; i < flag_count; i++) {
        const flag *f = &flags[i];
        if (!f->config || strcmp(key_of(f, own), key) != 0)
            continue;
        char wanted = f->kind == SIZES ? 'a' : f->kind == CHOICE || f->kind == TEXT ? 's' : 'n';
        if (r->seen[i])
            return tp_fail(TP_EFORMAT, "is there twice");
        if (type != wanted)
            return tp_fail(TP_EFORMAT, "expected %s",
                           wanted == 'a'   ? "a list of numbers"
                           : wanted == 's' ? "a string"
                                           : "a number");
        r->seen[i] = true;
        r->preset_set |= f->offset == offsetof(options, preset);
        return flag_set(r->o, f, text);
    }
    return unknown_key(key);
}

tp_status config_read(options *o, const char *path, bool *preset_set)
{
    reading r = {.o = o};
    TP_TRY(json_read(path, read_field, &r));
    *preset_set = r.preset_set;
    return TP_OK;
}

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
        if (!f->config || (metadata && local))
            continue;
        flag_text(o, f, text);
        json_key(j, key_of(f, key), separator);
        if (f->kind == CHOICE || f->kind == TEXT)
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
