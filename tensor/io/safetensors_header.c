/* safetensors_header.c: the JSON header of a safetensors file, and names in general.
 *
 * The parser knows the three levels this header has and refuses everything else, so it neither recurses
 * nor skips; it is no general JSON parser. It unescapes strings in place: names point into the header
 * buffer. Read next: safetensors.c, which opens the file and checks how the entries fit together.
 */
#include "tensor/io/safetensors_header.h"

#include <stdio.h>
#include <string.h>

#include "tensor/mem.h"

const char *const tp_st_dtype_names[TP_DTYPE_COUNT] = {
    [TP_F32] = "F32", [TP_F64] = "F64", [TP_I64] = "I64", [TP_U8] = "U8"};

/* --- names -------------------------------------------------------------------------------------- */

const char *tp_st_printable(const char *name, char text[TP_ST_TEXT])
{
    size_t used = 0;
    unsigned char before = 0;
    for (; *name != 0 && used < TP_ST_TEXT - 8; name++) {
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

bool tp_st_utf8_valid(const char *s)
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

static void sift_down(int64_t *index, int64_t at, int64_t n, tp_st_order order, const void *items)
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

int64_t *tp_st_sorted(int64_t n, tp_st_order order, const void *items)
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

/* --- parsing the header -------------------------------------------------------------------------- */

typedef struct parser {
    tp_safetensors *s;
    char *at, *end;
    const char *tensor; /* the entry being read, for messages; NULL outside */
} parser;

static tp_status malformed(const parser *p, const char *what)
{
    char text[TP_ST_TEXT];
    long long place = (long long)(p->at - p->s->header) + 8;
    if (p->tensor != NULL)
        return tp_fail(TP_EFORMAT, "%s: tensor '%s': %s, at byte %lld", p->s->file.path,
                       tp_st_printable(p->tensor, text), what, place);
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
    char text[TP_ST_TEXT], what[TP_ST_TEXT + 64];
    TP_TRY(parse_string(p, &name));
    for (int d = 0; d < TP_DTYPE_COUNT; d++)
        if (strcmp(name, tp_st_dtype_names[d]) == 0) {
            *dtype = (tp_dtype)d;
            return TP_OK;
        }
    snprintf(what, sizeof what, "dtype '%s' is not one of F32, F64, I64, U8",
             tp_st_printable(name, text));
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
                 tp_st_dtype_names[e->dtype], tp_shape_text(e->shape, shape), (long long)want,
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

tp_status tp_st_parse(tp_safetensors *s)
{
    parser p = {s, s->header, s->header + s->header_bytes, NULL};
    return parse_header(&p);
}
