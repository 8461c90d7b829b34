/* loaders.c: see loaders.h. */
#define _POSIX_C_SOURCE 200809L

#include "tests/support/loaders.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "tensor/io/idx.h"
#include "tensor/io/npy.h"
#include "tensor/io/png.h"
#include "tensor/io/safetensors.h"
#include "tensor/io/safetensors_header.h"
#include "tensor/mem.h"
#include "tensor/text.h"
#include "tensor/utf8.h"

/* --- what was read ------------------------------------------------------------------------------- */

enum { SHOWN_ELEMENTS = 24, SHOWN_TENSORS = 8, MARK = 42 };

static void say(loaded *out, const char *format, ...)
{
    size_t used = strlen(out->text);
    va_list args;
    va_start(args, format);
    vsnprintf(out->text + used, sizeof out->text - used, format, args);
    va_end(args);
}

/* "f32[2,3] 1 2 3 4 5 6", or the checksum of the bytes where there are more. */
static void describe(loaded *out, const tp_tensor *t)
{
    char text[TP_TENSOR_TEXT], number[TP_NUMBER_TEXT];
    int64_t n = tp_numel(t), bytes = n * tp_dtype_size(t->dtype);
    out->bytes += bytes;
    say(out, "%s", tp_tensor_text(t, text));
    for (int64_t i = 0; i < n && n <= SHOWN_ELEMENTS; i++)
        say(out, " %s", tp_number(number, 'g', 17, tp_flat(t, i)));
    if (n > SHOWN_ELEMENTS)
        say(out, " crc32 %08lx", crc32(0, tp_data(t), (uInt)bytes));
}

typedef tp_status reader(const char *path, tp_tensor *t);

static tp_status load_one(reader *read, const char *path, loaded *out, bool *untouched)
{
    tp_tensor t = {.offset = MARK};
    tp_status status = read(path, &t);
    if (status == TP_OK) {
        describe(out, &t);
        tp_tensor_free(&t);
    } else {
        *untouched = t.storage == NULL && t.offset == MARK;
    }
    return status;
}

static tp_status load_idx(const char *path, loaded *out, bool *untouched)
{
    return load_one(tp_idx_read, path, out, untouched);
}

static tp_status load_npy(const char *path, loaded *out, bool *untouched)
{
    return load_one(tp_npy_load, path, out, untouched);
}

static tp_status load_png(const char *path, loaded *out, bool *untouched)
{
    return load_one(tp_png_read, path, out, untouched);
}

static tp_status load_entries(const tp_safetensors *s, loaded *out)
{
    char name[TP_ST_TEXT], value[TP_ST_TEXT];
    say(out, "%lld tensors", (long long)s->n);
    for (int64_t i = 0; i < s->metadata_n; i++)
        say(out, "; metadata '%s' = '%s'", tp_st_printable(s->metadata[2 * i], name),
            tp_st_printable(s->metadata[2 * i + 1], value));
    for (int64_t i = 0; i < s->n; i++) {
        tp_tensor t;
        loaded skipped = {.bytes = 0};
        TP_TRY(tp_safetensors_load_new(s, s->entry[i].name, &t));
        if (i < SHOWN_TENSORS)
            say(out, "; '%s' ", tp_st_printable(s->entry[i].name, name));
        describe(i < SHOWN_TENSORS ? out : &skipped, &t);
        out->bytes += skipped.bytes;
        tp_tensor_free(&t);
    }
    return TP_OK;
}

static tp_status load_safetensors(const char *path, loaded *out, bool *untouched)
{
    tp_safetensors s = {.n = MARK};
    tp_status status = tp_safetensors_open(&s, path);
    if (status == TP_OK) {
        status = load_entries(&s, out);
        tp_safetensors_close(&s);
    } else {
        *untouched = s.n == MARK && s.entry == NULL;
    }
    return status;
}

/* deflate packs at most 1032:1, and a byte of a PNG may hold 8 pixels of 3 bytes. */
const loader loaders[LOADERS] = {
    {"idx", "an idx file", 4, 1100, load_idx},
    {"npy", "an npy file", 10, 4, load_npy},
    {"safetensors", "a safetensors file", 9, 16, load_safetensors},
    {"png", "a PNG image", 8, 1100 * 24, load_png},
};

/* --- watching ------------------------------------------------------------------------------------ */

const char *message_fault(const char *message)
{
    char shown[TP_VISIBLE];
    const char *end = message + strlen(message);
    for (const char *p = message; p < end;) {
        const char *before = p;
        if (p[0] == '\n' && p[1] == ' ' && p[2] == ' ' && p[3] != 0) {
            p++; /* a line that is indented belongs to the message */
            continue;
        }
        int n = tp_visible(shown, &p, end);
        if (n != p - before)
            return "the message has a raw control character or is not UTF-8";
    }
    return NULL;
}

/* The next descriptor the system would give: a leaked one would be this. */
static int next_descriptor(void)
{
    int fd = dup(STDOUT_FILENO);
    close(fd);
    return fd;
}

static const char *refusal_fault(tp_status status, const char *path, bool untouched)
{
    static char start[4096];
    const char *message = tp_last_error();
    snprintf(start, sizeof start, "%s %s: ", tp_status_name(status), path);
    if (!untouched)
        return "the result was touched";
    if (status != TP_EFORMAT && status != TP_EDTYPE && status != TP_EIO)
        return "the status is not one of a bad file";
    if (message_fault(message) != NULL)
        return message_fault(message);
    if (strncmp(message, start, strlen(start)) != 0)
        return "the message does not start with the status and the file";
    return strchr(message, '\n') ? "the message has several lines" : NULL;
}

outcome load_watched(const loader *l, const char *path)
{
    enum { CONSTANT = 256 * 1024 };
    static loaded out;
    static char line[LOADED_TEXT + 512];
    struct stat info = {0};
    outcome o = {.fault = NULL};
    bool untouched = true;
    (void)stat(path, &info);
    size_t size = S_ISREG(info.st_mode) ? (size_t)info.st_size : 0, live = tp_mem().live_bytes;
    int descriptor = next_descriptor();
    out = (loaded){.bytes = 0};
    tp_mem_set_budget(live + CONSTANT + l->times * size);
    o.status = l->load(path, &out, &untouched);
    tp_mem_set_budget(0);
    snprintf(line, sizeof line, "%s", tp_last_error());
    if (o.status == TP_OK)
        snprintf(line, sizeof line, "OK %s: %s", path, out.text);
    else
        o.fault = refusal_fault(o.status, path, untouched);
    if (o.status == TP_ENOMEM)
        o.fault = "it takes more memory than such a file is worth";
    if (tp_mem().live_bytes != live)
        o.fault = "memory was leaked";
    if (next_descriptor() != descriptor)
        o.fault = "a descriptor was leaked";
    o.line = line;
    o.bytes = out.bytes;
    return o;
}
