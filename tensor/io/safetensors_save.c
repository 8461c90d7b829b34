/* safetensors_save.c: writer of safetensors files. It prints the header twice, first to count it. Read next:
 * safetensors.h, file.c for how a file appears whole or not at all.
 */
#include "tensor/io/safetensors.h"

#include <stdio.h>
#include <string.h>

#include "tensor/io/json.h"
#include "tensor/io/safetensors_header.h"
#include "tensor/mem.h"
#include "tensor/utf8.h"

/* In the header as it is first written; the checksum comes last, when all bytes are known. */
static const char crc_key[] = "{\"__metadata__\":{\"" TP_SAFETENSORS_CRC "\":\"";
static const char no_crc[TP_ST_CRC_DIGITS + 1] = "00000000";

/* Receives the header twice: first only counted (writer NULL), then written. */
typedef struct sink {
    tp_file_writer *writer;
    int64_t bytes;
} sink;

static void put(sink *s, const char *text, size_t n)
{
    if (s->writer != NULL)
        tp_file_write(s->writer, text, n); /* a failure sticks and surfaces in the commit */
    s->bytes += (int64_t)n;
}

static void put_text(sink *s, const char *text)
{
    put(s, text, strlen(text));
}

static void put_string(sink *s, const char *text)
{
    char escaped[TP_JSON_ESCAPE];
    put(s, "\"", 1);
    for (const char *end = text + strlen(text); text < end;)
        put(s, escaped, (size_t)tp_json_escape(escaped, &text, end));
    put(s, "\"", 1);
}

static int64_t item_bytes(const tp_tensor *t)
{
    return tp_numel(t) * tp_dtype_size(t->dtype);
}

static void put_header(sink *s, const tp_named_tensor *items, int n, const char *const *metadata)
{
    char number[64];
    int64_t begin = 0;
    put_text(s, crc_key);
    put_text(s, no_crc);
    put_text(s, "\"");
    for (int i = 0; metadata != NULL && metadata[i] != NULL; i += 2) {
        put_text(s, ",");
        put_string(s, metadata[i]);
        put_text(s, ":");
        put_string(s, metadata[i + 1]);
    }
    put_text(s, "}");
    for (int i = 0; i < n; i++) {
        const tp_tensor *t = items[i].tensor;
        put_text(s, ",");
        put_string(s, items[i].name);
        put_text(s, ":{\"dtype\":\"");
        put_text(s, tp_st_dtype_names[t->dtype]);
        put_text(s, "\",\"shape\":");
        char shape[TP_SHAPE_TEXT];
        put_text(s, tp_shape_text(t->shape, shape)); /* prints as JSON does */
        snprintf(number, sizeof number, ",\"data_offsets\":[%lld,%lld]}", (long long)begin,
                 (long long)(begin + item_bytes(t)));
        put_text(s, number);
        begin += item_bytes(t);
    }
    put_text(s, "}");
}

static int by_item_name(const void *items, int64_t a, int64_t b)
{
    const tp_named_tensor *item = items;
    return strcmp(item[a].name, item[b].name);
}

static tp_status check_metadata(const char *path, const char *const *metadata)
{
    char text[TP_ST_TEXT];
    int64_t n = 0;
    for (; metadata != NULL && metadata[n] != NULL; n += 2) {
        if (metadata[n + 1] == NULL)
            return tp_fail(TP_EARG, "%s: metadata '%s' has no value", path,
                           tp_st_printable(metadata[n], text));
        if (strcmp(metadata[n], TP_SAFETENSORS_CRC) == 0)
            return tp_fail(TP_EARG, "%s: metadata '%s' is written by itself", path, metadata[n]);
        if (!tp_utf8_valid(metadata[n]) || !tp_utf8_valid(metadata[n + 1]))
            return tp_fail(TP_EARG, "%s: metadata '%s' is not UTF-8", path,
                           tp_st_printable(metadata[n], text));
    }
    int64_t *order = tp_st_sorted(n / 2, tp_st_by_key, metadata);
    if (order == NULL) {
        tp_fail_prefix("%s: ", path);
        return TP_ENOMEM;
    }
    tp_status s = TP_OK;
    for (int64_t i = 1; i < n / 2 && s == TP_OK; i++)
        if (tp_st_by_key(metadata, order[i - 1], order[i]) == 0)
            s = tp_fail(TP_EARG, "%s: metadata '%s' is given twice", path,
                        tp_st_printable(metadata[2 * order[i]], text));
    tp_free(order, (size_t)(n / 2) * sizeof *order);
    return s;
}

static tp_status check_items(const char *path, const tp_named_tensor *items, int n)
{
    char text[TP_ST_TEXT];
    if (n < 0)
        return tp_fail(TP_EARG, "%s: cannot write %d tensors", path, n);
    for (int i = 0; i < n; i++) {
        if (items[i].name == NULL || items[i].tensor == NULL || items[i].tensor->storage == NULL)
            return tp_fail(TP_EARG, "%s: item %d has no name or is an empty handle", path, i);
        if (!tp_utf8_valid(items[i].name) || strcmp(items[i].name, "__metadata__") == 0)
            return tp_fail(TP_EARG, "%s: '%s' cannot be the name of a tensor (%s)", path,
                           tp_st_printable(items[i].name, text),
                           tp_utf8_valid(items[i].name) ? "reserved" : "not UTF-8");
    }
    int64_t *order = tp_st_sorted(n, by_item_name, items);
    if (order == NULL) {
        tp_fail_prefix("%s: ", path);
        return TP_ENOMEM;
    }
    tp_status s = TP_OK;
    for (int i = 1; i < n && s == TP_OK; i++)
        if (by_item_name(items, order[i - 1], order[i]) == 0)
            s = tp_fail(TP_EARG, "%s: two tensors are named '%s'", path,
                        tp_st_printable(items[order[i]].name, text));
    tp_free(order, (size_t)n * sizeof *order);
    return s;
}

tp_status tp_safetensors_save(const char *path, const tp_named_tensor *items, int n,
                              const char *const *metadata)
{
    TP_TRY(check_items(path, items, n));
    TP_TRY(check_metadata(path, metadata));
    sink count = {0};
    put_header(&count, items, n, metadata);
    int64_t padding = (8 - count.bytes % 8) % 8;
    uint64_t length = (uint64_t)(count.bytes + padding);
    if (length > TP_ST_HEADER_MAX)
        return tp_fail(TP_EARG, "%s: a header of %llu bytes is too long", path,
                       (unsigned long long)length);
    unsigned char prefix[8];
    for (int i = 0; i < 8; i++)
        prefix[i] = (unsigned char)(length >> 8 * i);
    tp_file_writer w;
    TP_TRY(tp_file_begin(&w, path));
    sink header = {&w, 0};
    put(&header, (const char *)prefix, sizeof prefix);
    put_header(&header, items, n, metadata);
    put(&header, "       ", (size_t)padding);
    tp_status s = TP_OK;
    for (int i = 0; i < n && s == TP_OK; i++)
        s = tp_file_write_elements(&w, items[i].tensor);
    if (s == TP_OK) {
        char crc[TP_ST_CRC_DIGITS + 1];
        snprintf(crc, sizeof crc, "%08x", (unsigned)w.crc);
        tp_file_patch(&w, (int64_t)(sizeof prefix + sizeof crc_key - 1), crc, TP_ST_CRC_DIGITS);
        return tp_file_commit(&w);
    }
    tp_file_abort(&w);
    if (s == TP_ENOMEM)
        tp_fail_prefix("%s: ", path);
    return s;
}
