/* safetensors.c: reader of safetensors files.
 *
 * It trusts nothing: lengths are checked against the file before memory is taken, and the spans of the
 * tensors must tile the data. Read next: safetensors.h for what is accepted, safetensors_header.c for the
 * parser, safetensors_save.c for the writer.
 */
#include "tensor/io/safetensors.h"

#include <stdio.h>
#include <string.h>

#include "tensor/io/json.h"
#include "tensor/io/safetensors_header.h"
#include "tensor/mem.h"
#include "tensor/utf8.h"

enum { MIN_FILE_BYTES = 9 };

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

/* --- opening ------------------------------------------------------------------------------------ */

static tp_status check_names(tp_safetensors *s)
{
    char text[TP_ST_TEXT];
    s->by_name = tp_st_sorted(s->n, by_entry_name, s->entry);
    s->by_key = s->by_name ? tp_st_sorted(s->metadata_n, tp_st_by_key, s->metadata) : NULL;
    if (s->by_key == NULL)
        return TP_ENOMEM;
    for (int64_t i = 1; i < s->n; i++)
        if (by_entry_name(s->entry, s->by_name[i - 1], s->by_name[i]) == 0)
            return tp_fail(TP_EFORMAT, "%s: two tensors are named '%s'", s->file.path,
                           tp_st_printable(s->entry[s->by_name[i]].name, text));
    for (int64_t i = 1; i < s->metadata_n; i++)
        if (tp_st_by_key(s->metadata, s->by_key[i - 1], s->by_key[i]) == 0)
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
    if (length > TP_ST_HEADER_MAX)
        return tp_fail(TP_EFORMAT, "%s: a header of %llu bytes, expected at most %d", s->file.path,
                       (unsigned long long)length, TP_ST_HEADER_MAX);
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
    for (int64_t offset = 0; offset < s->file.size; offset += PIECE) {
        int64_t left = s->file.size - offset;
        size_t n = left < PIECE ? (size_t)left : PIECE;
        status = tp_file_read_at(&s->file, offset, piece, n);
        if (status != TP_OK)
            break;
        for (int64_t i = at; i < at + TP_ST_CRC_DIGITS; i++)
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
    char want[TP_ST_CRC_DIGITS + 1], shown[TP_ST_TEXT];
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

/* The one of n items of so many bytes that begins with a pointer to this name; index is their order by name. -1. */
static int64_t search(const int64_t *index, int64_t n, const void *items, size_t bytes,
                      const char *name)
{
    for (int64_t low = 0, high = n; low < high;) {
        int64_t mid = low + (high - low) / 2, at = index[mid];
        int c = strcmp(name, *(const char *const *)((const char *)items + (size_t)at * bytes));
        if (c == 0)
            return at;
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return -1;
}

const tp_safetensors_entry *tp_safetensors_find(const tp_safetensors *s, const char *name)
{
    int64_t at = search(s->by_name, s->n, s->entry, sizeof *s->entry, name);
    return at < 0 ? NULL : &s->entry[at];
}

const char *tp_safetensors_metadata(const tp_safetensors *s, const char *key)
{
    int64_t at = search(s->by_key, s->metadata_n, s->metadata, 2 * sizeof *s->metadata, key);
    return at < 0 ? NULL : s->metadata[2 * at + 1];
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
    tp_tensor staged; /* what cannot be read to its end must leave t alone */
    TP_TRY(tp_safetensors_load_new(s, name, &staged));
    tp_status status = tp_copy(t, &staged);
    if (status != TP_OK)
        tp_fail_prefix("%s: tensor '%s': ", s->file.path, tp_st_printable(name, text));
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

/* Every item is there with its shape and dtype and can be written, and nothing else is there. */
static tp_status check_all(const tp_safetensors *s, const tp_named_tensor *items, int n)
{
    char want[TP_TENSOR_TEXT], shape[TP_SHAPE_TEXT], text[TP_ST_TEXT];
    const char *path = s->file.path;
    for (int i = 0; i < n; i++) {
        const tp_safetensors_entry *e = tp_safetensors_find(s, items[i].name);
        const tp_tensor *t = items[i].tensor;
        tp_st_printable(items[i].name, text);
        if (t->storage == NULL || tp_may_overlap(t))
            return tp_fail(TP_EARG, "%s: tensor '%s' cannot be loaded into %s", path, text,
                           t->storage == NULL ? "an empty handle"
                                              : "a tensor whose elements share memory");
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
    if (fresh == NULL) {
        tp_fail_prefix("%s: ", s->file.path);
        return TP_ENOMEM;
    }
    tp_status status = TP_OK;
    for (int i = 0; i < n && status == TP_OK; i++)
        status = tp_safetensors_load_new(s, items[i].name, &fresh[i]);
    for (int i = 0; i < n && status == TP_OK; i++)
        status = tp_copy(items[i].tensor, &fresh[i]); /* checked above: cannot fail */
    for (int i = 0; i < n; i++)
        tp_tensor_free(&fresh[i]);
    tp_free(fresh, bytes);
    return status;
}
