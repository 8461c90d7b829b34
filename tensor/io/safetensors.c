/* safetensors.c: writer, header parser and reader of safetensors files.
 *
 * The parser knows the three levels this header has and refuses everything else, so it neither recurses
 * nor skips. It unescapes strings in place: names point into the header buffer. Sorting is done here
 * because qsort of the C library may allocate behind our back. Read next: safetensors.h.
 */
#include "tensor/io/safetensors.h"

#include <stdio.h>
#include <string.h>

#include "tensor/mem.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#    error "safetensors files are little-endian and copied as they are"
#endif

enum { MAX_HEADER_BYTES = 100 * 1000 * 1000, TEXT = 128 };

static const char *const dtype_names[TP_DTYPE_COUNT] = {
    [TP_F32] = "F32", [TP_F64] = "F64", [TP_I64] = "I64", [TP_U8] = "U8"};

/* A name for a message: control characters (C1, too) and quotes escaped, cut where text is full. */
static const char *printable(const char *name, char text[TEXT])
{
    size_t used = 0;
    unsigned char before = 0;
    for (; *name != 0 && used < TEXT - 8; name++) {
        unsigned char c = (unsigned char)*name;
        bool c1 = before == 0xc2 && c < 0xa0;
        if (c < 32 || c == 127 || c == '\'' || c == '\\' || c1)
            used += (size_t)snprintf(text + used, 5, "\\x%02x", c);
        else
            text[used++] = (char)c;
        before = c;
    }
    if (*name != 0) { /* do not cut inside a character */
        while (used > 0 && ((unsigned char)*name & 0xc0) == 0x80) {
            name--;
            used--;
        }
        memcpy(text + used, "...", 3);
        used += 3;
    }
    text[used] = 0;
    return text;
}

/* Bytes of the UTF-8 character at p (end exclusive); 0 if it is malformed, a surrogate or too large. */
static int utf8_length(const unsigned char *p, const unsigned char *end)
{
    int n = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;
    if (n == 0 || end - p < n)
        return 0;
    for (int i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

static bool utf8_valid(const char *s)
{
    const unsigned char *p = (const unsigned char *)s, *end = p + strlen(s);
    while (p < end) {
        int n = utf8_length(p, end);
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}

/* --- sorting ------------------------------------------------------------------------------------ */

typedef int (*order_fn)(const void *items, int64_t a, int64_t b);

static void sift_down(int64_t *index, int64_t at, int64_t n, order_fn order, const void *items)
{
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && order(items, index[child], index[child + 1]) < 0)
            child++;
        if (order(items, index[at], index[child]) >= 0)
            return;
        int64_t swap = index[at];
        index[at] = index[child];
        index[child] = swap;
    }
}

/* Heapsort of the numbers 0 … n-1; NULL after recording TP_ENOMEM. Freed with 8 n bytes. */
static int64_t *sorted(int64_t n, order_fn order, const void *items)
{
    int64_t *index = tp_alloc((size_t)n * sizeof *index);
    if (index == NULL)
        return NULL;
    for (int64_t i = 0; i < n; i++)
        index[i] = i;
    for (int64_t i = n / 2; i-- > 0;)
        sift_down(index, i, n, order, items);
    for (int64_t i = n; i-- > 1;) {
        int64_t swap = index[0];
        index[0] = index[i];
        index[i] = swap;
        sift_down(index, 0, i, order, items);
    }
    return index;
}

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
    return (x->bytes > y->bytes) - (x->bytes < y->bytes); /* empty tensors before their neighbour */
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
    char escape[8];
    put(s, "\"", 1);
    for (; *text != 0; text++) {
        unsigned char c = (unsigned char)*text;
        if (c >= 32 && c != '"' && c != '\\') {
            put(s, text, 1);
        } else {
            snprintf(escape, sizeof escape, c < 32 ? "\\u%04x" : "\\%c", c);
            put_text(s, escape);
        }
    }
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
    const char *comma = "";
    put_text(s, "{");
    if (metadata != NULL && metadata[0] != NULL) {
        put_text(s, "\"__metadata__\":{");
        for (int i = 0; metadata[i] != NULL; i += 2) {
            put_text(s, i > 0 ? "," : "");
            put_string(s, metadata[i]);
            put_text(s, ":");
            put_string(s, metadata[i + 1]);
        }
        put_text(s, "}");
        comma = ",";
    }
    for (int i = 0; i < n; i++) {
        const tp_tensor *t = items[i].tensor;
        put_text(s, comma);
        comma = ",";
        put_string(s, items[i].name);
        put_text(s, ":{\"dtype\":\"");
        put_text(s, dtype_names[t->dtype]);
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

static tp_status put_tensor(tp_file_writer *w, const tp_tensor *t)
{
    tp_tensor copy = {0};
    if (tp_numel(t) == 0)
        return TP_OK;
    if (!tp_is_contiguous(t)) {
        TP_TRY(tp_clone(&copy, t));
        t = &copy;
    }
    tp_status s = tp_file_write(w, tp_data(t), (size_t)item_bytes(t));
    tp_tensor_free(&copy);
    return s;
}

static tp_status check_metadata(const char *path, const char *const *metadata)
{
    char text[TEXT];
    int64_t n = 0;
    for (; metadata != NULL && metadata[n] != NULL; n += 2) {
        if (metadata[n + 1] == NULL)
            return tp_fail(TP_EARG, "%s: metadata '%s' has no value", path,
                           printable(metadata[n], text));
        if (!utf8_valid(metadata[n]) || !utf8_valid(metadata[n + 1]))
            return tp_fail(TP_EARG, "%s: metadata '%s' is not UTF-8", path,
                           printable(metadata[n], text));
    }
    int64_t *order = sorted(n / 2, by_metadata_key, metadata);
    if (order == NULL)
        return TP_ENOMEM;
    tp_status s = TP_OK;
    for (int64_t i = 1; i < n / 2 && s == TP_OK; i++)
        if (by_metadata_key(metadata, order[i - 1], order[i]) == 0)
            s = tp_fail(TP_EARG, "%s: metadata '%s' is given twice", path,
                        printable(metadata[2 * order[i]], text));
    tp_free(order, (size_t)(n / 2) * sizeof *order);
    return s;
}

static tp_status check_items(const char *path, const tp_named_tensor *items, int n)
{
    char text[TEXT];
    if (n < 0)
        return tp_fail(TP_EARG, "%s: cannot write %d tensors", path, n);
    for (int i = 0; i < n; i++) {
        if (items[i].name == NULL || items[i].tensor == NULL || items[i].tensor->storage == NULL)
            return tp_fail(TP_EARG, "%s: item %d has no name or is an empty handle", path, i);
        if (!utf8_valid(items[i].name) || strcmp(items[i].name, "__metadata__") == 0)
            return tp_fail(TP_EARG, "%s: '%s' cannot be the name of a tensor (%s)", path,
                           printable(items[i].name, text),
                           utf8_valid(items[i].name) ? "reserved" : "not UTF-8");
    }
    int64_t *order = sorted(n, by_item_name, items);
    if (order == NULL)
        return TP_ENOMEM;
    tp_status s = TP_OK;
    for (int i = 1; i < n && s == TP_OK; i++)
        if (by_item_name(items, order[i - 1], order[i]) == 0)
            s = tp_fail(TP_EARG, "%s: two tensors are named '%s'", path,
                        printable(items[order[i]].name, text));
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
        s = put_tensor(&w, items[i].tensor);
    if (s == TP_OK)
        return tp_file_commit(&w);
    tp_file_abort(&w);
    if (s == TP_ENOMEM)
        tp_fail_prefix("%s: ", path);
    return s;
}

/* --- parsing the header -------------------------------------------------------------------------- */

typedef struct parser {
    tp_safetensors *s;
    char *at, *end;
    const char *tensor; /* the entry being read, for messages; NULL outside */
} parser;

static tp_status malformed(const parser *p, const char *what)
{
    char text[TEXT];
    long long place = (long long)(p->at - p->s->header) + 8;
    if (p->tensor != NULL)
        return tp_fail(TP_EFORMAT, "%s: tensor '%s': %s, at byte %lld", p->s->file.path,
                       printable(p->tensor, text), what, place);
    return tp_fail(TP_EFORMAT, "%s: header: %s, at byte %lld", p->s->file.path, what, place);
}

static void skip_space(parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        p->at++;
}

/* Takes the character c if it comes next. */
static bool accept(parser *p, char c)
{
    skip_space(p);
    if (p->at == p->end || *p->at != c)
        return false;
    p->at++;
    return true;
}

static tp_status expect(parser *p, char c)
{
    char what[] = "expected '?'";
    what[10] = c;
    return accept(p, c) ? TP_OK : malformed(p, what);
}

/* Four hexadecimal digits at p->at; -1 if they are not there. */
static int32_t hex4(parser *p)
{
    int32_t v = 0;
    if (p->end - p->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p->at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    p->at += 4;
    return v;
}

/* The rest of \uXXXX, surrogate pairs included, as UTF-8 at *out. */
static tp_status unescape_unicode(parser *p, char **out)
{
    int32_t c = hex4(p);
    if (c >= 0xd800 && c < 0xdc00) {
        int32_t low = -1;
        if (p->end - p->at >= 2 && p->at[0] == '\\' && p->at[1] == 'u') {
            p->at += 2;
            low = hex4(p);
        }
        if (low < 0xdc00 || low > 0xdfff)
            return malformed(p, "half of a surrogate pair");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    } else if (c >= 0xdc00 && c < 0xe000) {
        return malformed(p, "half of a surrogate pair");
    }
    if (c <= 0)
        return malformed(p, c == 0 ? "a NUL in a string" : "a bad \\u escape");
    char *o = *out;
    if (c < 0x80) {
        *o++ = (char)c;
    } else if (c < 0x800) {
        *o++ = (char)(0xc0 | c >> 6);
        *o++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *o++ = (char)(0xe0 | c >> 12);
        *o++ = (char)(0x80 | (c >> 6 & 0x3f));
        *o++ = (char)(0x80 | (c & 0x3f));
    } else {
        *o++ = (char)(0xf0 | c >> 18);
        *o++ = (char)(0x80 | (c >> 12 & 0x3f));
        *o++ = (char)(0x80 | (c >> 6 & 0x3f));
        *o++ = (char)(0x80 | (c & 0x3f));
    }
    *out = o;
    return TP_OK;
}

/* A string, unescaped in place (it never grows) and NUL-terminated. */
static tp_status parse_string(parser *p, const char **string)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (!accept(p, '"'))
        return malformed(p, "expected a string");
    char *out = p->at;
    *string = out;
    while (p->at < p->end && *p->at != '"') {
        if ((unsigned char)*p->at < 32)
            return malformed(p, "a control character in a string");
        if (*p->at != '\\') {
            int n = utf8_length((unsigned char *)p->at, (unsigned char *)p->end);
            if (n == 0)
                return malformed(p, "a string that is not UTF-8");
            memmove(out, p->at, (size_t)n);
            out += n;
            p->at += n;
            continue;
        }
        char c = p->end - p->at < 2 ? 0 : p->at[1];
        const char *known = c != 0 ? strchr(from, c) : NULL;
        if (known == NULL && c != 'u')
            return malformed(p, "an unknown escape");
        p->at += 2;
        if (known != NULL)
            *out++ = to[known - from];
        else
            TP_TRY(unescape_unicode(p, &out));
    }
    if (p->at >= p->end)
        return malformed(p, "a string without end");
    p->at++;
    *out = 0; /* at most on the closing quote */
    return TP_OK;
}

/* A non-negative integer: no sign, fraction, exponent or leading zero. */
static tp_status parse_size(parser *p, int64_t *value)
{
    skip_space(p);
    char *start = p->at;
    int64_t v = 0;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++) {
        int digit = *p->at - '0';
        if (v > (INT64_MAX - digit) / 10)
            return malformed(p, "a number that is too large");
        v = v * 10 + digit;
    }
    char next = p->at < p->end ? *p->at : 0;
    if (p->at == start || (*start == '0' && p->at - start > 1) || next == '.' || next == 'e' ||
        next == 'E') {
        p->at = start;
        return malformed(p, "expected a non-negative integer");
    }
    *value = v;
    return TP_OK;
}

/* A list of at most room sizes. */
static tp_status parse_sizes(parser *p, int64_t *value, int room, int *n)
{
    *n = 0;
    TP_TRY(expect(p, '['));
    if (accept(p, ']'))
        return TP_OK;
    do {
        if (*n == room)
            return malformed(p, room == 2 ? "more than two offsets" : "more than 8 dimensions");
        TP_TRY(parse_size(p, &value[(*n)++]));
    } while (accept(p, ','));
    return expect(p, ']');
}

static tp_status parse_dtype(parser *p, tp_dtype *dtype)
{
    const char *name;
    char text[TEXT], what[TEXT + 64];
    TP_TRY(parse_string(p, &name));
    for (int d = 0; d < TP_DTYPE_COUNT; d++)
        if (strcmp(name, dtype_names[d]) == 0) {
            *dtype = (tp_dtype)d;
            return TP_OK;
        }
    snprintf(what, sizeof what, "dtype '%s' is not one of F32, F64, I64, U8",
             printable(name, text));
    return malformed(p, what);
}

/* Doubles a growing array when it is full; *room counts elements. */
static tp_status grow(void **array, int64_t n, int64_t *room, size_t size)
{
    if (n < *room)
        return TP_OK;
    int64_t more = *room ? 2 * *room : 16;
    void *p = tp_realloc(*array, (size_t)*room * size, (size_t)more * size);
    if (p == NULL)
        return TP_ENOMEM;
    *array = p;
    *room = more;
    return TP_OK;
}

static tp_status parse_metadata(parser *p)
{
    tp_safetensors *s = p->s;
    TP_TRY(expect(p, '{'));
    if (accept(p, '}'))
        return TP_OK;
    do {
        void *array = s->metadata;
        TP_TRY(grow(&array, s->metadata_n, &s->metadata_room, 2 * sizeof *s->metadata));
        s->metadata = array;
        const char **pair = s->metadata + 2 * s->metadata_n;
        TP_TRY(parse_string(p, &pair[0]));
        TP_TRY(expect(p, ':'));
        TP_TRY(parse_string(p, &pair[1]));
        s->metadata_n++;
    } while (accept(p, ','));
    return expect(p, '}');
}

/* {"dtype":…,"shape":…,"data_offsets":…} in any order, each exactly once. */
static tp_status parse_entry(parser *p, tp_safetensors_entry *e)
{
    static const char *const fields[] = {"dtype", "shape", "data_offsets"};
    bool seen[3] = {false};
    int64_t offsets[2] = {0};
    int n = 2;
    TP_TRY(expect(p, '{'));
    for (int i = 0; i < 3; i++) {
        const char *key;
        if (i > 0)
            TP_TRY(expect(p, ','));
        TP_TRY(parse_string(p, &key));
        int f = 0;
        while (f < 3 && strcmp(key, fields[f]) != 0)
            f++;
        if (f == 3 || seen[f])
            return malformed(p, f == 3 ? "an unknown field" : "a field given twice");
        seen[f] = true;
        TP_TRY(expect(p, ':'));
        if (f == 0)
            TP_TRY(parse_dtype(p, &e->dtype));
        else if (f == 1)
            TP_TRY(parse_sizes(p, e->shape.dim, TP_MAX_DIMS, &e->shape.ndim));
        else
            TP_TRY(parse_sizes(p, offsets, 2, &n));
    }
    TP_TRY(expect(p, '}'));
    if (n != 2 || offsets[0] > offsets[1])
        return malformed(p, "data_offsets are not [begin,end]");
    e->begin = offsets[0];
    e->bytes = offsets[1] - offsets[0];
    char shape[TP_SHAPE_TEXT], what[TP_SHAPE_TEXT + 96];
    tp_status s = tp_shape_check(e->shape, tp_dtype_size(e->dtype));
    int64_t want = s == TP_OK ? tp_shape_numel(e->shape) * tp_dtype_size(e->dtype) : -1;
    if (want == e->bytes)
        return TP_OK;
    if (want < 0)
        snprintf(what, sizeof what, "shape %s is larger than memory can address",
                 tp_shape_text(e->shape, shape));
    else
        snprintf(what, sizeof what, "%s%s needs %lld bytes, data_offsets give it %lld",
                 dtype_names[e->dtype], tp_shape_text(e->shape, shape), (long long)want,
                 (long long)e->bytes);
    return malformed(p, what);
}

/* "name":{…}: a tensor, or the metadata. */
static tp_status parse_member(parser *p, bool *metadata_seen)
{
    tp_safetensors *s = p->s;
    const char *name;
    TP_TRY(parse_string(p, &name));
    TP_TRY(expect(p, ':'));
    if (strcmp(name, "__metadata__") == 0) {
        if (*metadata_seen)
            return malformed(p, "__metadata__ given twice");
        *metadata_seen = true;
        return parse_metadata(p);
    }
    void *array = s->entry;
    TP_TRY(grow(&array, s->n, &s->entry_room, sizeof *s->entry));
    s->entry = array;
    s->entry[s->n] = (tp_safetensors_entry){.name = name};
    p->tensor = name;
    TP_TRY(parse_entry(p, &s->entry[s->n++]));
    p->tensor = NULL;
    return TP_OK;
}

static tp_status parse_header(parser *p)
{
    bool metadata_seen = false;
    if (p->at == p->end || *p->at != '{') /* the format wants it first, without space */
        return malformed(p, "expected '{'");
    p->at++;
    if (!accept(p, '}')) {
        do
            TP_TRY(parse_member(p, &metadata_seen));
        while (accept(p, ','));
        TP_TRY(expect(p, '}'));
    }
    while (p->at < p->end && *p->at == ' ') /* padding */
        p->at++;
    return p->at == p->end ? TP_OK : malformed(p, "text after the JSON object");
}

/* --- opening ------------------------------------------------------------------------------------ */

static tp_status check_names(tp_safetensors *s)
{
    char text[TEXT];
    s->by_name = sorted(s->n, by_entry_name, s->entry);
    s->by_key = s->by_name ? sorted(s->metadata_n, by_metadata_key, s->metadata) : NULL;
    if (s->by_key == NULL)
        return TP_ENOMEM;
    for (int64_t i = 1; i < s->n; i++)
        if (by_entry_name(s->entry, s->by_name[i - 1], s->by_name[i]) == 0)
            return tp_fail(TP_EFORMAT, "%s: two tensors are named '%s'", s->file.path,
                           printable(s->entry[s->by_name[i]].name, text));
    for (int64_t i = 1; i < s->metadata_n; i++)
        if (by_metadata_key(s->metadata, s->by_key[i - 1], s->by_key[i]) == 0)
            return tp_fail(TP_EFORMAT, "%s: metadata '%s' is given twice", s->file.path,
                           printable(s->metadata[2 * s->by_key[i]], text));
    return TP_OK;
}

/* The spans, in the order of their places, must follow each other from 0 to the end of the file. */
static tp_status check_spans(tp_safetensors *s)
{
    char text[TEXT];
    int64_t reached = 0, have = s->file.size - s->data;
    int64_t *order = sorted(s->n, by_place, s->entry);
    if (order == NULL)
        return TP_ENOMEM;
    tp_status status = TP_OK;
    for (int64_t i = 0; i < s->n && status == TP_OK; i++) {
        const tp_safetensors_entry *e = &s->entry[order[i]];
        if (e->begin != reached)
            status =
                tp_fail(TP_EFORMAT, "%s: tensor '%s' starts at data byte %lld, expected %lld (%s)",
                        s->file.path, printable(e->name, text), (long long)e->begin,
                        (long long)reached, e->begin < reached ? "an overlap" : "a hole");
        else if (e->bytes > have - reached)
            status =
                tp_fail(TP_EFORMAT, "%s: tensor '%s' ends at data byte %lld, but the file has %lld",
                        s->file.path, printable(e->name, text), (long long)(e->begin + e->bytes),
                        (long long)have);
        reached += e->bytes;
    }
    tp_free(order, (size_t)s->n * sizeof *order);
    if (status == TP_OK && reached != have)
        return tp_fail(TP_EFORMAT, "%s: %lld bytes after the last tensor", s->file.path,
                       (long long)(have - reached));
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
    if (n < 8 || length > (uint64_t)s->file.size - 8) {
        if (n > 8 && head[8] == '{') /* the right kind of file, then: say what is wrong with it */
            return tp_fail(TP_EFORMAT, "%s: truncated, a header of %llu bytes in a file of %lld",
                           s->file.path, (unsigned long long)length, (long long)s->file.size);
        return tp_fail(TP_EFORMAT, "%s: looks like %s of %lld bytes, expected a safetensors file",
                       s->file.path, tp_file_looks_like(head, n), (long long)s->file.size);
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
    if (status == TP_OK) {
        parser p = {&fresh, fresh.header, fresh.header + fresh.header_bytes, NULL};
        status = parse_header(&p);
    }
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
    char text[TEXT];
    *e = tp_safetensors_find(s, name);
    if (*e == NULL)
        return tp_fail(TP_EVALUE, "%s: has no tensor '%s'", s->file.path, printable(name, text));
    return TP_OK;
}

static tp_status read_entry(const tp_safetensors *s, const tp_safetensors_entry *e, void *data)
{
    char text[TEXT];
    tp_status status = tp_file_read_at(&s->file, s->data + e->begin, data, (size_t)e->bytes);
    if (status != TP_OK)
        tp_fail_prefix("tensor '%s': ", printable(e->name, text));
    return status;
}

tp_status tp_safetensors_load(const tp_safetensors *s, const char *name, tp_tensor *t)
{
    const tp_safetensors_entry *e;
    char text[TEXT], have[TP_SHAPE_TEXT], want[TP_TENSOR_TEXT];
    TP_TRY(find_or_fail(s, name, &e));
    bool same_dtype = t->dtype == e->dtype;
    if (t->storage == NULL || !same_dtype || !tp_shape_equal(t->shape, e->shape))
        return tp_fail(t->storage == NULL ? TP_EARG
                       : same_dtype       ? TP_ESHAPE
                                          : TP_EDTYPE,
                       "%s: tensor '%s' is %s%s, expected %s", s->file.path, printable(name, text),
                       tp_dtype_name(e->dtype), tp_shape_text(e->shape, have),
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
    char text[TEXT];
    TP_TRY(find_or_fail(s, name, &e));
    tp_status status = tp_tensor_new(&fresh, e->dtype, e->shape);
    if (status != TP_OK) {
        tp_fail_prefix("%s: tensor '%s': ", s->file.path, printable(name, text));
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
