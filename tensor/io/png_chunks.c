/* png_chunks.c: see png_chunks.h.
 *
 * A PNG file is a signature and chunks: a length, a name of four letters (the case of the first says whether a
 * reader may skip it), data and a checksum. libpng forgives much of what is wrong here, and its messages do not
 * say where. Read next: png.c.
 */
#include "tensor/io/png_chunks.h"

#include <string.h>
#include <zlib.h>

#include "tensor/io/png.h"

enum { SIGNATURE_BYTES = 8, FRAME_BYTES = 12, IHDR_BYTES = 13, MAX_RATIO = 1100 };
enum { GREY = 0, RGB = 2, PALETTE = 3, GREY_ALPHA = 4, RGB_ALPHA = 6 };

static const unsigned char signature[SIGNATURE_BYTES] = {0x89, 'P',  'N',  'G',
                                                         '\r', '\n', 0x1a, '\n'};

/* The walk: the chunk it stands at, and what has been met before. */
typedef struct walk {
    const tp_file *file;
    int64_t at; /* of the chunk in the file */
    char name[5];
    int64_t length; /* of its data */
    int colour;
    bool header, palette, data, data_over, end;
} walk;

static uint32_t big_endian(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static tp_status misplaced(const walk *w, const char *what)
{
    return tp_fail(TP_EFORMAT, "%s: chunk %s at byte %lld %s", w->file->path, w->name,
                   (long long)w->at, what);
}

/* --- chunks in general --------------------------------------------------------------------------- */

static tp_status check_checksum(const walk *w)
{
    unsigned char buffer[4096], stored[4];
    int64_t end = w->at + 8 + w->length;
    uLong crc = crc32(0, NULL, 0);
    for (int64_t at = w->at + 4; at < end;) { /* the name counts, the length does not */
        size_t n = end - at < (int64_t)sizeof buffer ? (size_t)(end - at) : sizeof buffer;
        TP_TRY(tp_file_read_at(w->file, at, buffer, n));
        crc = crc32(crc, buffer, (uInt)n);
        at += (int64_t)n;
    }
    TP_TRY(tp_file_read_at(w->file, end, stored, sizeof stored));
    if (crc != big_endian(stored))
        return tp_fail(TP_EFORMAT,
                       "%s: chunk %s at byte %lld is damaged: checksum %08x, expected %08x",
                       w->file->path, w->name, (long long)w->at, big_endian(stored), (unsigned)crc);
    return TP_OK;
}

/* Name and length of the chunk at w->at, which lies in the file and is sound. */
static tp_status read_chunk(walk *w)
{
    const char *path = w->file->path;
    unsigned char head[8];
    int64_t left = w->file->size - w->at;
    if (left == 0)
        return tp_fail(TP_EFORMAT, "%s: truncated, ends at byte %lld without a chunk IEND", path,
                       (long long)w->at);
    if (left < FRAME_BYTES)
        return tp_fail(TP_EFORMAT, "%s: truncated, %lld bytes are left for a chunk at byte %lld",
                       path, (long long)left, (long long)w->at);
    TP_TRY(tp_file_read_at(w->file, w->at, head, sizeof head));
    memcpy(w->name, head + 4, 4);
    w->length = big_endian(head);
    for (int i = 0; i < 4; i++)
        if ((head[4 + i] | 32) < 'a' || (head[4 + i] | 32) > 'z')
            return tp_fail(TP_EFORMAT,
                           "%s: the chunk at byte %lld is named %02x%02x%02x%02x in hex, "
                           "expected four letters",
                           path, (long long)w->at, head[4], head[5], head[6], head[7]);
    if (w->length > left - FRAME_BYTES)
        return tp_fail(TP_EFORMAT,
                       "%s: truncated, chunk %s at byte %lld declares %lld bytes, the file "
                       "has %lld left for it",
                       path, w->name, (long long)w->at, (long long)w->length,
                       (long long)(left - FRAME_BYTES));
    return check_checksum(w);
}

/* --- the chunks that matter ------------------------------------------------------------------------ */

/* Bits of a pixel; 0 for a pair that does not exist. */
static int pixel_bits(int colour, int depth)
{
    static const int channels[] = {1, 0, 3, 1, 2, 0, 4};
    static const int depths[] = {1 | 2 | 4 | 8 | 16, 0, 8 | 16, 1 | 2 | 4 | 8, 8 | 16, 0, 8 | 16};
    bool power = depth > 0 && (depth & (depth - 1)) == 0;
    return colour <= RGB_ALPHA && power && depths[colour] & depth ? channels[colour] * depth : 0;
}

static tp_status check_header(walk *w)
{
    unsigned char d[IHDR_BYTES];
    const char *path = w->file->path;
    if (w->length != IHDR_BYTES)
        return tp_fail(TP_EFORMAT, "%s: chunk IHDR at byte %lld has %lld bytes, expected 13", path,
                       (long long)w->at, (long long)w->length);
    TP_TRY(tp_file_read_at(w->file, w->at + 8, d, sizeof d));
    int64_t width = big_endian(d), height = big_endian(d + 4), bits = pixel_bits(d[9], d[8]);
    if (width < 1 || height < 1 || width > TP_PNG_MAX_SIDE || height > TP_PNG_MAX_SIDE ||
        width * height > TP_PNG_MAX_PIXELS)
        return tp_fail(TP_EFORMAT,
                       "%s: declares %lld x %lld pixels, expected 1 to %d a side and 64 Mi in all",
                       path, (long long)width, (long long)height, TP_PNG_MAX_SIDE);
    if (bits == 0)
        return tp_fail(TP_EFORMAT,
                       "%s: declares colour type %d at depth %d, which PNG does not have", path,
                       d[9], d[8]);
    if (d[10] != 0 || d[11] != 0 || d[12] > 1)
        return tp_fail(
            TP_EFORMAT,
            "%s: declares compression %d, filter %d, interlace %d, expected 0, 0, 0 or 1", path,
            d[10], d[11], d[12]);
    int64_t bytes = height * ((width * bits + 7) / 8);
    if (bytes / MAX_RATIO > w->file->size)
        return tp_fail(
            TP_EFORMAT, "%s: declares %lld x %lld pixels (%lld bytes), too much for a file of %lld",
            path, (long long)width, (long long)height, (long long)bytes, (long long)w->file->size);
    w->colour = d[9];
    return TP_OK;
}

static tp_status check_palette(const walk *w)
{
    if (w->palette || w->data)
        return misplaced(w, w->palette ? "is a second palette" : "comes after the pixels");
    if (w->colour == GREY || w->colour == GREY_ALPHA)
        return misplaced(w, "is a palette in a grey image");
    if (w->length == 0 || w->length % 3 != 0 || w->length > 3 * 256)
        return tp_fail(TP_EFORMAT, "%s: a palette of %lld bytes, expected 1 to 256 times 3",
                       w->file->path, (long long)w->length);
    return TP_OK;
}

static tp_status check_data(const walk *w)
{
    if (w->data_over)
        return misplaced(w, "does not follow the other chunks IDAT");
    if (w->colour == PALETTE && !w->palette)
        return misplaced(w, "has no palette (chunk PLTE) before it");
    return TP_OK;
}

static tp_status check_end(const walk *w)
{
    int64_t after = w->file->size - w->at - FRAME_BYTES - w->length;
    if (!w->data)
        return misplaced(w, "comes before any pixels (chunk IDAT)");
    if (w->length > 0)
        return misplaced(w, "has data, expected none");
    if (after > 0)
        return tp_fail(TP_EFORMAT,
                       "%s: the image ends at byte %lld, but the file has %lld (trailing garbage)",
                       w->file->path, (long long)(w->file->size - after), (long long)w->file->size);
    return TP_OK;
}

static tp_status check_chunk(walk *w)
{
    bool is_header = strcmp(w->name, "IHDR") == 0, is_data = strcmp(w->name, "IDAT") == 0;
    if (is_header == w->header)
        return misplaced(w, is_header ? "is a second header" : "comes first, expected IHDR");
    w->data_over = w->data_over || (w->data && !is_data);
    if (is_header) {
        w->header = true;
        return check_header(w);
    }
    if (is_data) {
        TP_TRY(check_data(w));
        w->data = true;
    } else if (strcmp(w->name, "PLTE") == 0) {
        TP_TRY(check_palette(w));
        w->palette = true;
    } else if (strcmp(w->name, "IEND") == 0) {
        TP_TRY(check_end(w));
        w->end = true;
    } else if ((w->name[0] & 32) == 0) {
        return misplaced(w, "is needed to show the image, and is not known here");
    }
    return TP_OK;
}

tp_status tp_png_check(const tp_file *file)
{
    walk w = {.file = file, .at = SIGNATURE_BYTES};
    unsigned char head[16];
    size_t n = file->size < 16 ? (size_t)file->size : 16;
    TP_TRY(tp_file_read_at(file, 0, head, n));
    if (n < SIGNATURE_BYTES || memcmp(head, signature, 4) != 0)
        return tp_file_unexpected(file->path, head, n, SIGNATURE_BYTES, "a PNG image", "");
    if (memcmp(head, signature, SIGNATURE_BYTES) != 0)
        return tp_fail(
            TP_EFORMAT,
            "%s: looks like a PNG image damaged by copying it as text, expected a PNG image",
            file->path);
    for (; !w.end; w.at += FRAME_BYTES + w.length) {
        TP_TRY(read_chunk(&w));
        TP_TRY(check_chunk(&w));
    }
    return TP_OK;
}
