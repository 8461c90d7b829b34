/* safetensors_header.c: the JSON header of a safetensors file, and names in general.
 *
 * It knows the three levels this header has and refuses everything else. Strings are decoded in place: names
 * point into the header buffer. How JSON is written is for json.c. Read next: safetensors.c, which opens the
 * file and checks how the entries fit together.
 */
#include "tensor/io/safetensors_header.h"

#include <stdio.h>
#include <string.h>

#include "tensor/io/json.h"
#include "tensor/mem.h"
#include "tensor/utf8.h"

const char *const tp_st_dtype_names[TP_DTYPE_COUNT] = {
    [TP_F32] = "F32", [TP_F64] = "F64", [TP_I64] = "I64", [TP_U8] = "U8"};

/* --- names -------------------------------------------------------------------------------------- */

const char *tp_st_printable(const char *name, char text[TP_ST_TEXT])
{
    const char *end = name + strlen(name);
    size_t used = 0;
    while (name < end && used + TP_VISIBLE + 4 <= TP_ST_TEXT) {
        bool quote =
            *name == '\'' || *name == '\\'; /* they would end the name, or look like an escape */
        used += quote ? (size_t)snprintf(text + used, 5, "\\x%02x", *name++)
                      : (size_t)tp_visible(text + used, &name, end);
    }
    snprintf(text + used, 4, "%s", name < end ? "..." : "");
    return text;
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

int tp_st_by_key(const void *pairs, int64_t a, int64_t b)
{
    const char *const *key = pairs;
    return strcmp(key[2 * a], key[2 * b]);
}

/* --- parsing the header -------------------------------------------------------------------------- */

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

/* A list of at most room sizes. */
static tp_status parse_sizes(tp_json *j, int64_t *value, int room, int *n)
{
    *n = 0;
    TP_TRY(tp_json_expect(j, '['));
    bool more = !tp_json_accept(j, ']');
    while (more) {
        if (*n == room)
            return tp_json_fail(j, room == 2 ? "more than two offsets" : "more than 8 dimensions");
        TP_TRY(tp_json_size(j, &value[(*n)++]));
        TP_TRY(tp_json_next(j, ']', &more));
    }
    return TP_OK;
}

static tp_status parse_dtype(tp_json *j, tp_dtype *dtype)
{
    const char *name;
    char text[TP_ST_TEXT];
    TP_TRY(tp_json_string(j, &name));
    for (int d = 0; d < TP_DTYPE_COUNT; d++)
        if (strcmp(name, tp_st_dtype_names[d]) == 0) {
            *dtype = (tp_dtype)d;
            return TP_OK;
        }
    return tp_json_fail(j, "dtype '%s' is not one of F32, F64, I64, U8",
                        tp_st_printable(name, text));
}

static tp_status parse_metadata(tp_json *j, tp_safetensors *s)
{
    TP_TRY(tp_json_expect(j, '{'));
    bool more = !tp_json_accept(j, '}');
    while (more) {
        void *array = s->metadata;
        TP_TRY(grow(&array, s->metadata_n, &s->metadata_room, 2 * sizeof *s->metadata));
        s->metadata = array;
        const char **pair = s->metadata + 2 * s->metadata_n;
        TP_TRY(tp_json_string(j, &pair[0]));
        TP_TRY(tp_json_expect(j, ':'));
        TP_TRY(tp_json_string(j, &pair[1]));
        s->metadata_n++;
        TP_TRY(tp_json_next(j, '}', &more));
    }
    return TP_OK;
}

/* The shape and its type fill the span exactly. */
static tp_status check_entry(const tp_json *j, const tp_safetensors_entry *e)
{
    char shape[TP_SHAPE_TEXT];
    if (tp_shape_check(e->shape, tp_dtype_size(e->dtype)) != TP_OK)
        return tp_json_fail(j, "shape %s is larger than memory can address",
                            tp_shape_text(e->shape, shape));
    int64_t want = tp_shape_numel(e->shape) * tp_dtype_size(e->dtype);
    if (want != e->bytes)
        return tp_json_fail(j, "%s%s needs %lld bytes, data_offsets give it %lld",
                            tp_st_dtype_names[e->dtype], tp_shape_text(e->shape, shape),
                            (long long)want, (long long)e->bytes);
    return TP_OK;
}

/* {"dtype":…,"shape":…,"data_offsets":…} in any order, each exactly once. */
static tp_status parse_entry(tp_json *j, tp_safetensors_entry *e)
{
    static const char *const fields[] = {"dtype", "shape", "data_offsets"};
    bool seen[3] = {false};
    int64_t offsets[2] = {0};
    int n = 2;
    TP_TRY(tp_json_expect(j, '{'));
    bool more = !tp_json_accept(j, '}');
    while (more) {
        const char *key;
        char text[TP_ST_TEXT];
        TP_TRY(tp_json_string(j, &key));
        int f = 0;
        while (f < 3 && strcmp(key, fields[f]) != 0)
            f++;
        if (f == 3 || seen[f])
            return tp_json_fail(j, "'%s' %s, expected dtype, shape and data_offsets once each",
                                tp_st_printable(key, text),
                                f == 3 ? "is no field" : "is given twice");
        seen[f] = true;
        TP_TRY(tp_json_expect(j, ':'));
        if (f == 0)
            TP_TRY(parse_dtype(j, &e->dtype));
        else if (f == 1)
            TP_TRY(parse_sizes(j, e->shape.dim, TP_MAX_DIMS, &e->shape.ndim));
        else
            TP_TRY(parse_sizes(j, offsets, 2, &n));
        TP_TRY(tp_json_next(j, '}', &more));
    }
    for (int f = 0; f < 3; f++)
        if (!seen[f])
            return tp_json_fail(j, "no '%s'", fields[f]);
    if (n != 2 || offsets[0] > offsets[1])
        return tp_json_fail(j, n != 2 ? "data_offsets are not [begin,end]"
                                      : "data_offsets end before they begin");
    e->begin = offsets[0];
    e->bytes = offsets[1] - offsets[0];
    return check_entry(j, e);
}

/* "name":{…}: a tensor, or the metadata. */
static tp_status parse_member(tp_json *j, tp_safetensors *s, bool *metadata_seen)
{
    const char *name;
    char text[TP_ST_TEXT], where[TP_ST_TEXT + 16];
    TP_TRY(tp_json_string(j, &name));
    TP_TRY(tp_json_expect(j, ':'));
    if (strcmp(name, "__metadata__") == 0) {
        if (*metadata_seen)
            return tp_json_fail(j, "__metadata__ given twice");
        *metadata_seen = true;
        j->where = "__metadata__";
        TP_TRY(parse_metadata(j, s));
        j->where = "header";
        return TP_OK;
    }
    void *array = s->entry;
    TP_TRY(grow(&array, s->n, &s->entry_room, sizeof *s->entry));
    s->entry = array;
    s->entry[s->n] = (tp_safetensors_entry){.name = name};
    snprintf(where, sizeof where, "tensor '%s'", tp_st_printable(name, text));
    j->where = where;
    tp_status status = parse_entry(j, &s->entry[s->n++]);
    j->where = "header";
    return status;
}

tp_status tp_st_parse(tp_safetensors *s)
{
    tp_json j = tp_json_begin(s->file.path, s->header, s->header_bytes, 8, false);
    bool metadata_seen = false;
    j.where = "header";
    if (j.at < j.end && *j.at != '{') /* the format wants it first, without space */
        return tp_json_fail(&j, "expected '{' as its first byte");
    TP_TRY(tp_json_expect(&j, '{'));
    bool more = !tp_json_accept(&j, '}');
    while (more) {
        TP_TRY(parse_member(&j, s, &metadata_seen));
        TP_TRY(tp_json_next(&j, '}', &more));
    }
    while (j.at < j.end && *j.at == ' ') /* padding */
        j.at++;
    return j.at == j.end ? TP_OK : tp_json_fail(&j, "text after the JSON object");
}
