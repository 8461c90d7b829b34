/* idx.c: idx files, plain or gzip.
 *
 * One source of bytes (plain or inflating) feeds one parser. zlib's gz* functions are not used: they
 * take a truncated file for a complete one and drop trailing garbage. inflate() never writes beyond
 * the declared size, so a bomb costs what its header declares, and that is checked against the file.
 * Read next: idx.h for what is accepted.
 */
#include "tensor/io/idx.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

#include "tensor/io/file.h"

enum {
    U8 = 0x08,
    MAX_IDX_DIMS = 4,
    INPUT_BYTES = 1 << 15,
    MAX_RATIO = 1100 /* deflate reaches 1032:1 */
};

typedef struct source {
    tp_file file;
    int64_t offset; /* of the next byte to read from the file */
    bool gzip, member_done;
    z_stream z;
    unsigned char input[INPUT_BYTES];
} source;

static voidpf zlib_alloc(voidpf user, uInt items, uInt size)
{
    (void)user;
    return tp_block_alloc((size_t)items * size);
}

static void zlib_free(voidpf user, voidpf p)
{
    (void)user;
    tp_block_free(p);
}

/* --- gzip --------------------------------------------------------------------------------------- */

static tp_status refill(source *s)
{
    int64_t left = s->file.size - s->offset;
    size_t n = left < INPUT_BYTES ? (size_t)left : INPUT_BYTES;
    TP_TRY(tp_file_read_at(&s->file, s->offset, s->input, n));
    s->offset += (int64_t)n;
    s->z.next_in = s->input;
    s->z.avail_in = (uInt)n;
    return TP_OK;
}

static tp_status zlib_failure(const source *s, int code)
{
    if (code == Z_MEM_ERROR) { /* zlib_alloc has recorded why */
        tp_fail_prefix("%s: ", s->file.path);
        return TP_ENOMEM;
    }
    static const struct {
        const char *zlib, *plain;
    } words[] = {{"incorrect data check", "the checksum is not that of the data"},
                 {"incorrect length check", "the length is not that of the data"},
                 {"incorrect header check", "a gzip member was expected here"}};
    const char *what = s->z.msg ? s->z.msg : "unexpected end of a block";
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(what, words[i].zlib) == 0)
            what = words[i].plain;
    return tp_fail(TP_EFORMAT, "%s: damaged gzip data near byte %lld: %s", s->file.path,
                   (long long)(s->offset - (int64_t)s->z.avail_in), what);
}

/* Between members: another member may follow, any other byte is garbage. */
static tp_status next_member(source *s)
{
    if (s->z.avail_in == 0)
        TP_TRY(refill(s));
    if (s->z.next_in[0] != 0x1f)
        return tp_fail(TP_EFORMAT, "%s: garbage after the gzip data, from byte %lld of %lld",
                       s->file.path, (long long)(s->offset - (int64_t)s->z.avail_in),
                       (long long)s->file.size);
    s->member_done = false;
    int code = inflateReset(&s->z);
    return code == Z_OK ? TP_OK : zlib_failure(s, code);
}

/* Inflates up to bytes bytes. *got is less only at the well-formed end of the last member. */
static tp_status inflate_some(source *s, void *data, int64_t bytes, int64_t *got)
{
    *got = 0;
    while (*got < bytes) {
        bool at_end = s->z.avail_in == 0 && s->offset == s->file.size;
        if (s->member_done && at_end)
            return TP_OK;
        if (s->member_done)
            TP_TRY(next_member(s));
        if (s->z.avail_in == 0 && !at_end)
            TP_TRY(refill(s));
        uInt room = bytes - *got < INT_MAX ? (uInt)(bytes - *got) : (uInt)INT_MAX;
        s->z.next_out = (Bytef *)data + *got;
        s->z.avail_out = room;
        int code = inflate(&s->z, Z_NO_FLUSH);
        *got += room - s->z.avail_out;
        s->member_done = code == Z_STREAM_END;
        if (code == Z_BUF_ERROR && at_end)
            return tp_fail(TP_EFORMAT, "%s: truncated, the gzip data ends at byte %lld of the file",
                           s->file.path, (long long)s->file.size);
        if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
            return zlib_failure(s, code);
    }
    return TP_OK;
}

/* --- either kind -------------------------------------------------------------------------------- */

static tp_status source_open(source *s, const char *path)
{
    TP_TRY(tp_file_open(&s->file, path));
    unsigned char head[2] = {0};
    tp_status status = TP_OK;
    if (s->file.size >= 2)
        status = tp_file_read_at(&s->file, 0, head, 2);
    s->offset = 0;
    s->member_done = false;
    s->gzip = head[0] == 0x1f && head[1] == 0x8b;
    memset(&s->z, 0, sizeof s->z);
    s->z.zalloc = zlib_alloc;
    s->z.zfree = zlib_free;
    if (status == TP_OK && s->gzip) {
        int code = inflateInit2(&s->z, 15 + 16); /* largest window, gzip header only */
        status = code == Z_OK ? TP_OK : zlib_failure(s, code);
    }
    if (status != TP_OK)
        tp_file_close(&s->file);
    return status;
}

static void source_close(source *s)
{
    if (s->gzip)
        inflateEnd(&s->z);
    tp_file_close(&s->file);
}

/* Reads up to bytes bytes; *got is less only at the end. */
static tp_status source_read(source *s, void *data, int64_t bytes, int64_t *got)
{
    if (s->gzip)
        return inflate_some(s, data, bytes, got);
    int64_t left = s->file.size - s->offset;
    *got = bytes < left ? bytes : left;
    TP_TRY(tp_file_read_at(&s->file, s->offset, data, (size_t)*got));
    s->offset += *got;
    return TP_OK;
}

/* --- the format --------------------------------------------------------------------------------- */

/* Of the types that idx knows and that are not read. */
static const char *type_name(int type)
{
    switch (type) {
    case 0x09:
        return "signed bytes";
    case 0x0b:
        return "16-bit integers";
    case 0x0c:
        return "32-bit integers";
    case 0x0d:
        return "32-bit floats";
    case 0x0e:
        return "64-bit floats";
    default:
        return NULL;
    }
}

static bool is_magic(const unsigned char *head)
{
    return head[0] == 0 && head[1] == 0 && (head[2] == U8 || type_name(head[2]) != NULL);
}

static tp_status check_magic(const source *s, const unsigned char *head, int64_t got)
{
    const char *path = s->file.path, *inside = s->gzip ? " inside gzip" : "";
    if (got < 4 || !is_magic(head))
        return tp_file_unexpected(path, head, (size_t)got, 4, "an idx file", inside);
    if (head[2] != U8)
        return tp_fail(TP_EFORMAT,
                       "%s: elements are %s (type 0x%02x), expected unsigned bytes (0x08)", path,
                       type_name(head[2]), head[2]);
    if (head[3] < 1 || head[3] > MAX_IDX_DIMS)
        return tp_fail(TP_EFORMAT, "%s: has %d dimensions, expected 1 to %d", path, head[3],
                       MAX_IDX_DIMS);
    return TP_OK;
}

static tp_status read_header(source *s, tp_shape *shape)
{
    unsigned char head[16], sizes[4 * MAX_IDX_DIMS];
    int64_t got, rest;
    TP_TRY(source_read(s, head, 4, &got)); /* no more: the smallest idx file has 8 bytes */
    if (got == 4 && !is_magic(head)) {     /* a longer look for the message */
        TP_TRY(source_read(s, head + 4, 12, &rest));
        got += rest;
    }
    TP_TRY(check_magic(s, head, got));
    *shape = (tp_shape){head[3], {0}};
    TP_TRY(source_read(s, sizes, 4 * shape->ndim, &got));
    if (got < 4 * shape->ndim)
        return tp_fail(TP_EFORMAT, "%s: truncated, the header of %d bytes ends at byte %lld",
                       s->file.path, 4 + 4 * shape->ndim, (long long)(4 + got));
    for (int i = 0; i < shape->ndim; i++) {
        const unsigned char *p = sizes + 4 * i;
        shape->dim[i] = (int64_t)p[0] << 24 | (int64_t)p[1] << 16 | (int64_t)p[2] << 8 | p[3];
    }
    tp_status status = tp_shape_check(*shape, 1);
    if (status != TP_OK) {
        char text[TP_SHAPE_TEXT];
        return tp_fail(TP_EFORMAT, "%s: declares shape %s, more than memory can address",
                       s->file.path, tp_shape_text(*shape, text));
    }
    return TP_OK;
}

/* Is the declared size possible for a file of this size? Asked before memory is taken. */
static tp_status check_size(const source *s, tp_shape shape)
{
    int64_t payload = tp_shape_numel(shape), header = 4 + 4 * shape.ndim;
    char text[TP_SHAPE_TEXT];
    tp_shape_text(shape, text);
    if (!s->gzip && s->file.size != header + payload)
        return tp_fail(TP_EFORMAT, "%s: has %lld bytes, expected %lld for shape %s (%s)",
                       s->file.path, (long long)s->file.size, (long long)(header + payload), text,
                       s->file.size < header + payload ? "truncated" : "trailing garbage");
    if (s->gzip && payload / MAX_RATIO > s->file.size)
        return tp_fail(TP_EFORMAT,
                       "%s: declares shape %s (%lld bytes), too much for %lld bytes of gzip",
                       s->file.path, text, (long long)payload, (long long)s->file.size);
    return TP_OK;
}

static tp_status read_payload(source *s, tp_tensor *t)
{
    int64_t want = tp_numel(t), got, excess = 0;
    unsigned char one;
    TP_TRY(source_read(s, tp_data_mut(t), want, &got));
    if (got == want) /* also walks through gzip's trailer and checks it */
        TP_TRY(source_read(s, &one, 1, &excess));
    char text[TP_SHAPE_TEXT];
    tp_shape_text(t->shape, text);
    if (got < want)
        return tp_fail(TP_EFORMAT, "%s: truncated, holds %lld elements, expected %lld for shape %s",
                       s->file.path, (long long)got, (long long)want, text);
    if (excess > 0)
        return tp_fail(TP_EFORMAT, "%s: holds more than the %lld elements of shape %s",
                       s->file.path, (long long)want, text);
    return TP_OK;
}

tp_status tp_idx_read(const char *path, tp_tensor *out)
{
    source s;
    tp_shape shape;
    TP_TRY(source_open(&s, path));
    tp_status status = read_header(&s, &shape);
    if (status == TP_OK)
        status = check_size(&s, shape);
    if (status == TP_OK) {
        tp_tensor t;
        status = tp_tensor_new(&t, TP_U8, shape);
        if (status != TP_OK)
            tp_fail_prefix("%s: ", path);
        else if ((status = read_payload(&s, &t)) != TP_OK)
            tp_tensor_free(&t);
        else
            *out = t;
    }
    source_close(&s);
    return status;
}
