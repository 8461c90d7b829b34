/* npy.c: writer and reader of npy files.
 *
 * The header is a literal of Python; what is read here is the one dictionary that the format allows, its keys
 * in any order. Elements are copied as they are: safetensors.c refuses to compile where that would be wrong.
 * Read next: npy.h for what is accepted.
 */
#include "tensor/io/npy.h"

#include <stdio.h>
#include <string.h>

#include "tensor/io/file.h"
#include "tensor/utf8.h"

static const char magic[6] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};

enum {
    PREFIX_BYTES = 10,        /* of version 1.0: magic, version, length of the header */
    MAX_HEADER_BYTES = 10000, /* numpy.load draws the line there, too */
    ALIGNMENT = 64,           /* of the elements in the file */
    GROWTH_DIGITS = 21        /* room NumPy leaves for the first size to grow in place */
};

static const struct {
    const char *descr;
    tp_dtype dtype;
} types[] = {
    {"<f4", TP_F32}, {"<f8", TP_F64}, {"<i8", TP_I64},
    {"|u1", TP_U8},  {"<u1", TP_U8}, /* how some C++ writers say |u1 */
};

/* --- writing ------------------------------------------------------------------------------------ */

static const char *descr_of(tp_dtype dtype)
{
    size_t i = 0;
    while (types[i].dtype != dtype)
        i++;
    return types[i].descr;
}

/* "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }" and spaces up to the alignment. */
static int make_header(const tp_tensor *x, char *header, size_t room)
{
    char first[32] = "";
    int n = snprintf(header, room, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                     descr_of(x->dtype));
    for (int i = 0; i < x->shape.ndim; i++)
        n += snprintf(header + n, room - (size_t)n, i > 0 ? ", %lld" : "%lld",
                      (long long)x->shape.dim[i]);
    n += snprintf(header + n, room - (size_t)n, x->shape.ndim == 1 ? ",), }" : "), }");
    int end = n;
    if (x->shape.ndim > 0)
        n += GROWTH_DIGITS - snprintf(first, sizeof first, "%lld", (long long)x->shape.dim[0]);
    n += ALIGNMENT - (PREFIX_BYTES + n + 1) % ALIGNMENT; /* NumPy's: 1 to 64 */
    memset(header + end, ' ', (size_t)(n - end));
    header[n++] = '\n';
    return n;
}

tp_status tp_npy_save(const char *path, const tp_tensor *x)
{
    if (x->storage == NULL)
        return tp_fail(TP_EARG, "%s: an empty handle cannot be written", path);
    char header[512];
    int n = make_header(x, header, sizeof header);
    const unsigned char version[4] = {1, 0, (unsigned char)(n & 255), (unsigned char)(n >> 8)};
    tp_file_writer w;
    TP_TRY(tp_file_begin(&w, path));
    tp_file_write(&w, magic, sizeof magic); /* a failure sticks and surfaces below */
    tp_file_write(&w, version, sizeof version);
    tp_file_write(&w, header, (size_t)n);
    tp_status s = tp_file_write_elements(&w, x);
    if (s == TP_OK)
        return tp_file_commit(&w);
    tp_file_abort(&w);
    if (s == TP_ENOMEM)
        tp_fail_prefix("%s: ", path);
    return s;
}

/* --- reading the header ------------------------------------------------------------------------- */

typedef struct header {
    tp_file file;
    int64_t begin, bytes; /* of the dictionary in the file */
    char text[MAX_HEADER_BYTES + 1];
    const char *at; /* the next character to read; a 0 ends the text */
    tp_dtype dtype;
    tp_shape shape;
    bool fortran;
} header;

static tp_status damaged(const header *h, const char *expected)
{
    static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";
    enum { LONGEST = 24 };
    char got[LONGEST + TP_VISIBLE] = "the end";
    const char *next = h->at, *end = h->text + h->bytes;
    int n = (int)strspn(next, word);
    if (n > 0)
        snprintf(got, sizeof got, "'%.*s%s'", n < LONGEST ? n : LONGEST, next,
                 n > LONGEST ? "..." : "");
    if (n == 0 && next < end) {
        got[0] = '\'';
        memcpy(got + 1 + tp_visible(got + 1, &next, end), "'", 2);
    }
    return tp_fail(TP_EFORMAT, "%s: damaged header: expected %s, got %s, at byte %lld",
                   h->file.path, expected, got, (long long)(h->begin + (h->at - h->text)));
}

static bool take(header *h, const char *token)
{
    size_t n = strlen(token);
    while (*h->at == ' ' || *h->at == '\t' || *h->at == '\n' || *h->at == '\r')
        h->at++;
    if (strncmp(h->at, token, n) != 0)
        return false;
    h->at += n;
    return true;
}

/* A quoted string of printable characters. */
static tp_status take_string(header *h, const char **text, int *length)
{
    char quote = take(h, "'") ? '\'' : take(h, "\"") ? '"' : '\0';
    if (quote == '\0')
        return damaged(h, "a string in quotes");
    *text = h->at;
    while (*h->at != quote && *h->at != '\\' && *h->at >= ' ' && *h->at <= '~')
        h->at++;
    *length = (int)(h->at - *text);
    if (*h->at != quote)
        return damaged(h, "the end of a string");
    h->at++;
    return TP_OK;
}

static tp_status take_descr(header *h)
{
    const char *text, *path = h->file.path;
    int length;
    if (take(h, "["))
        return tp_fail(TP_EDTYPE, "%s: elements are records, expected plain numbers", path);
    TP_TRY(take_string(h, &text, &length));
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (length == 3 && memcmp(text, types[i].descr, 3) == 0) {
            h->dtype = types[i].dtype;
            return TP_OK;
        }
    if (memchr(text, 'O', (size_t)length) != NULL)
        return tp_fail(TP_EDTYPE, "%s: elements are pickled Python objects, which are never loaded",
                       path);
    return tp_fail(TP_EDTYPE,
                   "%s: elements are '%.*s'%s, expected '<f4', '<f8', '<i8' or '|u1' (in NumPy: "
                   "x.astype)",
                   path, length < 32 ? length : 32, text,
                   length > 0 && text[0] == '>' ? ", big-endian" : "");
}

static tp_status take_size(header *h, int64_t *size)
{
    take(h, ""); /* spaces */
    const char *digits = h->at;
    *size = 0;
    for (; *h->at >= '0' && *h->at <= '9'; h->at++) {
        if (*size > INT64_MAX / 10 - 1) {
            h->at = digits;
            return damaged(h, "a size of at most 18 digits");
        }
        *size = 10 * *size + (*h->at - '0');
    }
    if (h->at == digits)
        return damaged(h, "a size");
    take(h, "L"); /* how Python 2 ended long integers */
    return TP_OK;
}

static tp_status take_shape(header *h)
{
    if (!take(h, "("))
        return damaged(h, "a shape in brackets");
    while (!take(h, ")")) {
        int64_t size;
        TP_TRY(take_size(h, &size));
        if (h->shape.ndim == TP_MAX_DIMS)
            return tp_fail(TP_EFORMAT, "%s: has %d or more dimensions, expected at most %d",
                           h->file.path, TP_MAX_DIMS + 1, TP_MAX_DIMS);
        h->shape.dim[h->shape.ndim++] = size;
        if (!take(h, ",") && (h->shape.ndim == 1 || *h->at != ')'))
            return damaged(h, "a comma");
    }
    return TP_OK;
}

static tp_status take_order(header *h)
{
    h->fortran = take(h, "True");
    return h->fortran || take(h, "False") ? TP_OK : damaged(h, "True or False");
}

static tp_status parse(header *h)
{
    static const struct {
        const char *key;
        tp_status (*take)(header *h);
    } entry[] = {{"descr", take_descr}, {"fortran_order", take_order}, {"shape", take_shape}};
    bool seen[3] = {false};
    if (!take(h, "{"))
        return damaged(h, "a dictionary");
    while (!take(h, "}")) {
        const char *key;
        int length, i = 0;
        TP_TRY(take_string(h, &key, &length));
        while (i < 3 && ((int)strlen(entry[i].key) != length ||
                         memcmp(key, entry[i].key, (size_t)length) != 0))
            i++;
        if (i == 3 || seen[i])
            return tp_fail(TP_EFORMAT,
                           "%s: '%.*s' %s, expected descr, fortran_order and shape once each",
                           h->file.path, length < 32 ? length : 32, key,
                           i == 3 ? "in the header" : "twice in the header");
        seen[i] = true;
        if (!take(h, ":"))
            return damaged(h, "a colon");
        TP_TRY(entry[i].take(h));
        if (!take(h, ",") && *h->at != '}')
            return damaged(h, "a comma");
    }
    take(h, ""); /* spaces */
    if (h->at != h->text + h->bytes)
        return damaged(h, "nothing but spaces");
    for (int i = 0; i < 3; i++)
        if (!seen[i])
            return tp_fail(
                TP_EFORMAT,
                "%s: no '%s' in the header, expected descr, fortran_order and shape once each",
                h->file.path, entry[i].key);
    return TP_OK;
}

/* Magic, version and length, each looked at before what it describes is read. */
static tp_status read_header(header *h)
{
    unsigned char head[16];
    const char *path = h->file.path;
    int64_t size = h->file.size;
    size_t n = size < 16 ? (size_t)size : 16;
    TP_TRY(tp_file_read_at(&h->file, 0, head, n));
    if (n < PREFIX_BYTES || memcmp(head, magic, sizeof magic) != 0)
        return tp_file_unexpected(path, head, n, PREFIX_BYTES, "an npy file", "");
    if (head[6] < 1 || head[6] > 3 || head[7] != 0)
        return tp_fail(TP_EFORMAT, "%s: is of version %d.%d, expected 1.0, 2.0 or 3.0", path,
                       head[6], head[7]);
    h->begin = head[6] > 1 ? 12 : PREFIX_BYTES;
    for (int64_t i = h->begin - 1; i >= 8 && h->begin <= size; i--)
        h->bytes = h->bytes << 8 | head[i];
    if (h->begin > size || h->bytes > size - h->begin)
        return tp_fail(TP_EFORMAT, "%s: truncated, a header of %lld bytes in a file of %lld", path,
                       (long long)(h->begin + h->bytes), (long long)size);
    if (h->bytes > MAX_HEADER_BYTES)
        return tp_fail(TP_EFORMAT, "%s: a header of %lld bytes, expected at most %d", path,
                       (long long)h->bytes, MAX_HEADER_BYTES);
    h->text[h->bytes] = '\0';
    h->at = h->text;
    return tp_file_read_at(&h->file, h->begin, h->text, (size_t)h->bytes);
}

/* --- reading the elements ----------------------------------------------------------------------- */

/* Is the file as long as the header says? Asked before memory is taken. */
static tp_status check_size(const header *h)
{
    char text[TP_SHAPE_TEXT];
    tp_shape_text(h->shape, text);
    if (tp_shape_check(h->shape, tp_dtype_size(h->dtype)) != TP_OK)
        return tp_fail(TP_EFORMAT, "%s: declares shape %s, more than memory can address",
                       h->file.path, text);
    int64_t want = tp_shape_numel(h->shape) * tp_dtype_size(h->dtype);
    int64_t have = h->file.size - h->begin - h->bytes;
    if (have != want)
        return tp_fail(TP_EFORMAT, "%s: %lld bytes after the header, expected %lld for %s%s (%s)",
                       h->file.path, (long long)have, (long long)want, tp_dtype_name(h->dtype),
                       text, have < want ? "truncated" : "trailing garbage");
    return TP_OK;
}

/* Fortran order is row-major order of the reversed shape. */
static tp_status read_elements(const header *h, tp_tensor *out)
{
    tp_shape stored = h->shape;
    for (int i = 0; h->fortran && i < stored.ndim; i++)
        stored.dim[i] = h->shape.dim[stored.ndim - 1 - i];
    tp_tensor t, reversed;
    TP_TRY(tp_tensor_new(&t, h->dtype, stored));
    tp_status s = TP_OK;
    if (tp_numel(&t) > 0)
        s = tp_file_read_at(&h->file, h->begin + h->bytes, tp_data_mut(&t),
                            (size_t)(tp_numel(&t) * tp_dtype_size(t.dtype)));
    if (s == TP_OK && !h->fortran) {
        *out = t;
        return TP_OK;
    }
    if (s == TP_OK)
        s = tp_view_permute(&t, (tp_axes){0}, &reversed);
    if (s == TP_OK)
        s = tp_clone(out, &reversed);
    tp_tensor_free(&t);
    return s;
}

tp_status tp_npy_load(const char *path, tp_tensor *out)
{
    header h = {.file = {-1, 0, NULL}};
    TP_TRY(tp_file_open(&h.file, path));
    tp_status s = read_header(&h);
    if (s == TP_OK)
        s = parse(&h);
    if (s == TP_OK)
        s = check_size(&h);
    if (s == TP_OK && (s = read_elements(&h, out)) == TP_ENOMEM)
        tp_fail_prefix("%s: ", path);
    tp_file_close(&h.file);
    return s;
}
