/* safetensors.c: writer and reader of safetensors files.
 *
 * The writer prints the header twice, first to count it. The reader trusts nothing: lengths are checked
 * against the file before memory is taken, and the spans of the tensors must tile the data.
 * Read next: safetensors.h for what is accepted, safetensors_header.c for the parser.
 */
#include "tensor/io/safetensors.h"

#include <stdio.h>
#include <string.h>

#include "tensor/io/json.h"
#include "tensor/io/safetensors_header.h"
#include "tensor/mem.h"
#include "tensor/utf8.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#    error "safetensors files are little-endian and copied as they are"
#endif

enum { MAX_HEADER_BYTES = 100 * 1000 * 1000, MIN_FILE_BYTES = 9 };

/* --- orders to sort by --------------------------------------------------------------------------- */

static int by_entry_name(const void *items, int64_t a, int64_t b)
{
    const tp_safetensors_entry *e = items;
    return strcmp(e[a].name, e[b].name);
}

static int by_place(const void *items, int64_t a, int64_t b)
{
    const tp_safetensors_entry *x = (const tp_safetensors_entry *)items + a;
    const tp_safetensors_entry *y = (const tp_safetensors_entry *)items + b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1; /* empty tensors before their neighbour */
    return (a > b) - (a < b);                /* so that messages name the later one */
}

static int by_metadata_key(const void *items, int64_t a, int64_t b)
{
    const char *const *pairs = items;
    return strcmp(pairs[2 * a], pairs[2 * b]);
}

static int by_item_name(const void *items, int64_t a, int64_t b)
{
    const tp_named_tensor *item = items;
    return strcmp(item[a].name, item[b].name);
}

/* --- writing ------------------------------------------------------------------------------------ */

/* In the header as it is first written; the checksum comes last, when all bytes are known. */
static const char crc_key[] = "{\"__metadata__\":{\"" TP_SAFETENSORS_CRC "\":\"";
static const char no_crc[] = "00000000";
enum { CRC_DIGITS = sizeof no_crc - 1 };

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
    int64_t *order = tp_st_sorted(n / 2, by_metadata_key, metadata);
    if (order == NULL)
        return TP_ENOMEM;
    tp_status s = TP_OK;
    for (int64_t i = 1; i < n / 2 && s == TP_OK; i++)
        if (by_metadata_key(metadata, order[i - 1], order[i]) == 0)
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
    if (order == NULL)
        return TP_ENOMEM;
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
    if (length > MAX_HEADER_BYTES)
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
        char crc[CRC_DIGITS + 1];
        snprintf(crc, sizeof crc, "%08x", (unsigned)w.crc);
        tp_file_patch(&w, (int64_t)(sizeof prefix + sizeof crc_key - 1), crc, CRC_DIGITS);
        return tp_file_commit(&w);
    }
    tp_file_abort(&w);
    if (s == TP_ENOMEM)
        tp_fail_prefix("%s: ", path);
    return s;
}

/* --- opening ------------------------------------------------------------------------------------ */

static tp_status check_names(tp_safetensors *s)
{
    char text[TP_ST_TEXT];
    s->by_name = tp_st_sorted(s->n, by_entry_name, s->entry);
    s->by_key = s->by_name ? tp_st_sorted(s->metadata_n, by_metadata_key, s->metadata) : NULL;
    if (s->by_key == NULL)
        return TP_ENOMEM;
    for (int64_t i = 1; i < s->n; i++)
        if (by_entry_name(s->entry, s->by_name[i - 1], s->by_name[i]) == 0)
            return tp_fail(TP_EFORMAT, "%s: two tensors are named '%s'", s->file.path,
                           tp_st_printable(s->entry[s->by_name[i]].name, text));
    for (int64_t i = 1; i < s->metadata_n; i++)
        if (by_metadata_key(s->metadata, s->by_key[i - 1], s->by_key[i]) == 0)
            return tp_fail(TP_EFORMAT, "%s: metadata '%s' is given twice", s->file.path,
                           tp_st_printable(s->metadata[2 * s->by_key[i]], text));
    return TP_OK;
}

/* The spans, in the order of their places, must follow each other from 0 to the end of the file. */
static tp_status check_spans(tp_safetensors *s)
{
    char text[TP_ST_TEXT];
    int64_t reached = 0, have = s->file.size - s->data;
    int64_t *order = tp_st_sorted(s->n, by_place, s->entry);
    if (order == NULL)
        return TP_ENOMEM;
    tp_status status = TP_OK;
    for (int64_t i = 0; i < s->n && status == TP_OK; i++) {
        const tp_safetensors_entry *e = &s->entry[order[i]];
        if (e->begin != reached)
            status =
                tp_fail(TP_EFORMAT, "%s: tensor '%s' starts at data byte %lld, expected %lld (%s)",
                        s->file.path, tp_st_printable(e->name, text), (long long)e->begin,
                        (long long)reached, e->begin < reached ? "an overlap" : "a hole");
        else if (e->bytes > have - reached)
            status =
                tp_fail(TP_EFORMAT,
                        "%s: tensor '%s' ends at data byte %lld, but the file has %lld (truncated)",
                        s->file.path, tp_st_printable(e->name, text),
                        (long long)(e->begin + e->bytes), (long long)have);
        reached += e->bytes;
    }
    tp_free(order, (size_t)s->n * sizeof *order);
    if (status == TP_OK && reached != have)
        return tp_fail(
            TP_EFORMAT,
            "%s: the tensors end at data byte %lld, but the file has %lld (trailing garbage)",
            s->file.path, (long long)reached, (long long)have);
    return status;
}

static tp_status read_header(tp_safetensors *s)
{
    unsigned char head[16];
    size_t n = s->file.size < 16 ? (size_t)s->file.size : 16;
    uint64_t length = 0;
    TP_TRY(tp_file_read_at(&s->file, 0, head, n));
    for (int i = 7; i >= 0 && n >= 8; i--)
        length = length << 8 | head[i];
    if (n < MIN_FILE_BYTES || length == 0 || length > (uint64_t)s->file.size - 8) {
        if (length > 0 && n > 8 &&
            head[8] == '{') /* the right kind of file, then: say what is wrong with it */
            return tp_fail(TP_EFORMAT, "%s: truncated, a header of %llu bytes in a file of %lld",
                           s->file.path, (unsigned long long)length, (long long)s->file.size);
        return tp_file_unexpected(s->file.path, head, n, MIN_FILE_BYTES, "a safetensors file", "");
    }
    if (length > MAX_HEADER_BYTES)
        return tp_fail(TP_EFORMAT, "%s: a header of %llu bytes, expected at most %d", s->file.path,
                       (unsigned long long)length, MAX_HEADER_BYTES);
    s->header_bytes = (int64_t)length;
    s->data = 8 + s->header_bytes;
    s->header = tp_alloc((size_t)length);
    return s->header ? tp_file_read_at(&s->file, 8, s->header, (size_t)length) : TP_ENOMEM;
}

tp_status tp_safetensors_open(tp_safetensors *s, const char *path)
{
    tp_safetensors fresh = {.file = {-1, 0, NULL}};
    TP_TRY(tp_file_open(&fresh.file, path));
    tp_status status = read_header(&fresh);
    if (status == TP_OK)
        status = tp_st_parse(&fresh);
    if (status == TP_OK)
        status = check_names(&fresh);
    if (status == TP_OK)
        status = check_spans(&fresh);
    if (status == TP_ENOMEM)
        tp_fail_prefix("%s: ", path);
    if (status == TP_OK)
        *s = fresh;
    else
        tp_safetensors_close(&fresh);
    return status;
}

void tp_safetensors_close(tp_safetensors *s)
{
    tp_free(s->header, (size_t)s->header_bytes);
    tp_free(s->entry, (size_t)s->entry_room * sizeof *s->entry);
    tp_free(s->metadata, (size_t)s->metadata_room * 2 * sizeof *s->metadata);
    tp_free(s->by_name, (size_t)s->n * sizeof *s->by_name);
    tp_free(s->by_key, (size_t)s->metadata_n * sizeof *s->by_key);
    tp_file_close(&s->file);
    *s = (tp_safetensors){.file = {-1, 0, NULL}};
}

/* --- checksum ------------------------------------------------------------------------------------ */

/* CRC of the whole file as it was when the digits at `at` were still zeros. */
static tp_status file_crc(const tp_safetensors *s, int64_t at, uint32_t *crc)
{
    enum { PIECE = 1 << 16 };
    unsigned char *piece = tp_alloc(PIECE);
    if (piece == NULL) {
        tp_fail_prefix("%s: ", s->file.path);
        return TP_ENOMEM;
    }
    tp_status status = TP_OK;
    *crc = 0;
    for (int64_t offset = 0; offset < s->file.size && status == TP_OK; offset += PIECE) {
        int64_t left = s->file.size - offset;
        size_t n = left < PIECE ? (size_t)left : PIECE;
        status = tp_file_read_at(&s->file, offset, piece, n);
        for (int64_t i = at; i < at + CRC_DIGITS && status == TP_OK; i++)
            if (i >= offset && i < offset + (int64_t)n)
                piece[i - offset] = '0';
        *crc = tp_crc32(*crc, piece, n);
    }
    tp_free(piece, PIECE);
    return status;
}

tp_status tp_safetensors_verify(const tp_safetensors *s)
{
    const char *text = tp_safetensors_metadata(s, TP_SAFETENSORS_CRC);
    uint32_t crc;
    char want[CRC_DIGITS + 1], shown[TP_ST_TEXT];
    if (text == NULL)
        return TP_OK;
    TP_TRY(file_crc(s, 8 + (text - s->header), &crc)); /* strings stay where they were read */
    snprintf(want, sizeof want, "%08x", (unsigned)crc);
    if (strcmp(text, want) == 0)
        return TP_OK;
    return tp_fail(TP_EFORMAT,
                   "%s: damaged: its bytes have the checksum %s, its metadata '" TP_SAFETENSORS_CRC
                   "' says %s (a program that changes the file must leave that entry out)",
                   s->file.path, want, tp_st_printable(text, shown));
}

/* --- looking up and loading ----------------------------------------------------------------------- */

const tp_safetensors_entry *tp_safetensors_find(const tp_safetensors *s, const char *name)
{
    for (int64_t low = 0, high = s->n; low < high;) {
        int64_t mid = low + (high - low) / 2;
        const tp_safetensors_entry *e = &s->entry[s->by_name[mid]];
        int c = strcmp(name, e->name);
        if (c == 0)
            return e;
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

const char *tp_safetensors_metadata(const tp_safetensors *s, const char *key)
{
    for (int64_t low = 0, high = s->metadata_n; low < high;) {
        int64_t mid = low + (high - low) / 2;
        const char *const *pair = (const char *const *)s->metadata + 2 * s->by_key[mid];
        int c = strcmp(key, pair[0]);
        if (c == 0)
            return pair[1];
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

static tp_status find_or_fail(const tp_safetensors *s, const char *name,
                              const tp_safetensors_entry **e)
{
    char text[TP_ST_TEXT];
    *e = tp_safetensors_find(s, name);
    if (*e == NULL)
        return tp_fail(TP_EVALUE, "%s: has no tensor '%s'", s->file.path,
                       tp_st_printable(name, text));
    return TP_OK;
}

static tp_status read_entry(const tp_safetensors *s, const tp_safetensors_entry *e, void *data)
{
    char text[TP_ST_TEXT];
    tp_status status = tp_file_read_at(&s->file, s->data + e->begin, data, (size_t)e->bytes);
    if (status != TP_OK)
        tp_fail_prefix("tensor '%s': ", tp_st_printable(e->name, text));
    return status;
}

tp_status tp_safetensors_load(const tp_safetensors *s, const char *name, tp_tensor *t)
{
    const tp_safetensors_entry *e;
    char text[TP_ST_TEXT], have[TP_SHAPE_TEXT], want[TP_TENSOR_TEXT];
    TP_TRY(find_or_fail(s, name, &e));
    bool same_dtype = t->dtype == e->dtype;
    if (t->storage == NULL || !same_dtype || !tp_shape_equal(t->shape, e->shape))
        return tp_fail(t->storage == NULL ? TP_EARG
                       : same_dtype       ? TP_ESHAPE
                                          : TP_EDTYPE,
                       "%s: tensor '%s' is %s%s, expected %s", s->file.path,
                       tp_st_printable(name, text), tp_dtype_name(e->dtype),
                       tp_shape_text(e->shape, have),
                       t->storage ? tp_tensor_text(t, want) : "no empty handle to load into");
    if (e->bytes == 0)
        return TP_OK;
    if (tp_is_contiguous(t))
        return read_entry(s, e, tp_data_mut(t));
    tp_tensor staged;
    TP_TRY(tp_safetensors_load_new(s, name, &staged));
    tp_status status = tp_copy(t, &staged);
    tp_tensor_free(&staged);
    return status;
}

tp_status tp_safetensors_load_new(const tp_safetensors *s, const char *name, tp_tensor *t)
{
    const tp_safetensors_entry *e;
    tp_tensor fresh;
    char text[TP_ST_TEXT];
    TP_TRY(find_or_fail(s, name, &e));
    tp_status status = tp_tensor_new(&fresh, e->dtype, e->shape);
    if (status != TP_OK) {
        tp_fail_prefix("%s: tensor '%s': ", s->file.path, tp_st_printable(name, text));
        return status;
    }
    if (e->bytes > 0)
        status = read_entry(s, e, tp_data_mut(&fresh));
    if (status == TP_OK)
        *t = fresh;
    else
        tp_tensor_free(&fresh);
    return status;
}

/* Every item is there with its shape and dtype, and nothing else is. */
static tp_status check_all(const tp_safetensors *s, const tp_named_tensor *items, int n)
{
    char want[TP_TENSOR_TEXT], shape[TP_SHAPE_TEXT], text[TP_ST_TEXT];
    const char *path = s->file.path;
    for (int i = 0; i < n; i++) {
        const tp_safetensors_entry *e = tp_safetensors_find(s, items[i].name);
        const tp_tensor *t = items[i].tensor;
        tp_st_printable(items[i].name, text);
        if (e == NULL)
            return tp_fail(TP_EFORMAT, "%s: tensor '%s' is missing", path, text);
        if (e->dtype != t->dtype || !tp_shape_equal(e->shape, t->shape))
            return tp_fail(TP_EFORMAT, "%s: tensor '%s' is %s%s, expected %s", path, text,
                           tp_dtype_name(e->dtype), tp_shape_text(e->shape, shape),
                           tp_tensor_text(t, want));
    }
    for (int64_t i = 0; i < s->n && n < s->n; i++) {
        bool asked = false;
        for (int k = 0; k < n && !asked; k++)
            asked = strcmp(items[k].name, s->entry[i].name) == 0;
        if (!asked)
            return tp_fail(TP_EFORMAT, "%s: tensor '%s' is one too many", path,
                           tp_st_printable(s->entry[i].name, text));
    }
    return TP_OK;
}

tp_status tp_safetensors_load_all(const tp_safetensors *s, const tp_named_tensor *items, int n)
{
    TP_TRY(check_all(s, items, n));
    size_t bytes = (size_t)n * sizeof(tp_tensor);
    tp_tensor *fresh = tp_alloc_zero(bytes);
    tp_status status = fresh == NULL ? TP_ENOMEM : TP_OK;
    for (int i = 0; i < n && status == TP_OK; i++)
        status = tp_safetensors_load_new(s, items[i].name, &fresh[i]);
    for (int i = 0; i < n && status == TP_OK; i++)
        status = tp_copy(items[i].tensor, &fresh[i]); /* of one shape and type: cannot fail */
    for (int i = 0; i < n && fresh != NULL; i++)
        tp_tensor_free(&fresh[i]);
    tp_free(fresh, bytes);
    return status;
}
