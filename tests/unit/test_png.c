/* test_png.c: written images read back, damaged files refused; test_png_grid.c has the grids.
 *
 * Files in the formats that tapir does not write are put together here from chunks, without libpng, so
 * the reader is tested against the specification and not against itself. Read next: tensor/io/png.h.
 */
#include "tests/unit/file_tests.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <zlib.h>

#include "tensor/io/file.h"
#include "tensor/io/png.h"
#include "tensor/mem.h"

static tp_tensor picture(tp_shape shape)
{
    tp_tensor t = fresh(TP_U8, shape);
    for (int64_t i = 0; i < tp_numel(&t); i++)
        assert_ok(tp_set_flat(&t, i, (double)((i * i + 37 * i) % 256)));
    return t;
}

/* The pixels in got, [H,W,C], are those of want, [H,W] or [H,W,C]. */
static void check_pixels(const tp_tensor *got, const tp_tensor *want)
{
    assert_int_equal(got->dtype, TP_U8);
    assert_int_equal(got->shape.ndim, 3);
    assert_int_equal(got->shape.dim[0], want->shape.dim[0]);
    assert_int_equal(got->shape.dim[1], want->shape.dim[1]);
    assert_int_equal(tp_numel(got), tp_numel(want));
    for (int64_t i = 0; i < tp_numel(got); i++)
        assert_true(tp_flat(got, i) == tp_flat(want, i));
}

static void check_round_trip(const tp_tensor *image)
{
    const char *path = test_tmp("round.png");
    tp_tensor back;
    size_t live = tp_mem().live_bytes;
    assert_ok(tp_png_write(path, image));
    assert_ok(tp_png_read(path, &back));
    check_pixels(&back, image);
    tp_tensor_free(&back);
    assert_int_equal(tp_mem().live_bytes, live);
}

/* --- writing ------------------------------------------------------------------------------------ */

static void test_round_trip(void **state)
{
    (void)state;
    const tp_shape shapes[] = {TP_SHAPE(28, 28),  TP_SHAPE(1, 1),      TP_SHAPE(7, 13, 3),
                               TP_SHAPE(5, 4, 1), TP_SHAPE(1, 300, 3), TP_SHAPE(300, 1)};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        tp_tensor t = picture(shapes[i]);
        check_round_trip(&t);
        tp_tensor_free(&t);
    }
}

static void test_layouts(void **state)
{
    (void)state;
    tp_tensor t = picture(TP_SHAPE(6, 8, 3)), view;
    assert_ok(tp_view_transpose(&t, 0, 1, &view));
    check_round_trip(&view);
    assert_ok(tp_view_slice(&t, 1, -1, TP_SLICE_END, -2, &view));
    check_round_trip(&view);
    assert_ok(tp_view_slice(&t, 2, 1, 2, 1, &view)); /* the green channel as grey */
    check_round_trip(&view);
    assert_ok(tp_view_select(&t, 2, 2, &view)); /* the blue one, [H,W] */
    check_round_trip(&view);
    assert_ok(tp_view_expand(&view, TP_SHAPE(6, 8), &view));
    check_round_trip(&view);
    tp_tensor_free(&t);
}

/* Signature, size, depth and colour type, byte by byte. */
static void test_header(void **state)
{
    (void)state;
    const char *path = test_tmp("header.png");
    char *data;
    size_t n;
    tp_tensor grey = picture(TP_SHAPE(3, 258)), colour = picture(TP_SHAPE(3, 258, 3));
    assert_ok(tp_png_write(path, &grey));
    assert_ok(tp_file_read_all(path, 10000, &data, &n));
    assert_memory_equal(data, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\2\0\0\0\3\x08\0\0\0\0", 29);
    assert_memory_equal(data + n - 12, "\0\0\0\0IEND\xae\x42\x60\x82", 12);
    tp_free(data, n + 1);
    assert_ok(tp_png_write(path, &colour));
    assert_ok(tp_file_read_all(path, 10000, &data, &n));
    assert_int_equal(data[25], 2);
    tp_free(data, n + 1);
    tp_tensor_free(&grey);
    tp_tensor_free(&colour);
}

static void test_write_refusals(void **state)
{
    (void)state;
    const char *path = test_tmp("refused.png");
    const tp_shape bad[] = {{0},
                            TP_SHAPE(4),
                            TP_SHAPE(4, 4, 2),
                            TP_SHAPE(4, 4, 4),
                            TP_SHAPE(3, 4, 4),
                            TP_SHAPE(1, 4, 4, 3),
                            TP_SHAPE(0, 4),
                            TP_SHAPE(4, 0)};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tp_tensor t = fresh(TP_U8, bad[i]);
        assert_status(tp_png_write(path, &t), TP_ESHAPE);
        assert_message(path);
        tp_tensor_free(&t);
    }
    tp_tensor one = fresh(TP_U8, TP_SHAPE(1, 1)), real = fresh(TP_F32, TP_SHAPE(2, 2)), wide;
    assert_ok(tp_view_expand(&one, TP_SHAPE(1, 16385), &wide));
    assert_status(tp_png_write(path, &wide), TP_ESHAPE);
    assert_ok(tp_view_expand(&one, TP_SHAPE(16384, 4097), &wide));
    assert_status(tp_png_write(path, &wide), TP_ESHAPE);
    assert_status(tp_png_write(path, &real), TP_EDTYPE);
    assert_null(fopen(path, "rb"));
    assert_status(tp_png_write(test_tmp("no/such/place.png"), &one), TP_EIO);
    tp_tensor_free(&one);
    tp_tensor_free(&real);
}

/* A disk that is full in the middle of the pixels, played by a limit on file sizes: libpng is left by a jump. */
static void test_full_disk(void **state)
{
    (void)state;
    const char *path = test_tmp("full.png");
    struct rlimit old, small;
    tp_tensor noise = fresh(TP_U8, TP_SHAPE(400, 400));
    for (int64_t i = 0; i < tp_numel(&noise); i++)
        assert_ok(tp_set_flat(&noise, i, (double)(rand() % 256)));
    size_t live = tp_mem().live_bytes;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 20000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    tp_status s = tp_png_write(path, &noise);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(s, TP_EIO);
    assert_message("full.png: cannot write: File too large");
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(tp_mem().live_bytes, live);
    check_round_trip(&noise);
    tp_tensor_free(&noise);
}

/* --- files made of chunks ------------------------------------------------------------------------ */

typedef struct maker {
    FILE *f;
    uint32_t crc;
} maker;

static void put(maker *m, const void *data, size_t n)
{
    assert_int_equal(fwrite(data, 1, n, m->f), n);
    m->crc = (uint32_t)crc32(m->crc, data, (uInt)n);
}

static void put32(maker *m, uint32_t v)
{
    const unsigned char b[4] = {(unsigned char)(v >> 24), (unsigned char)(v >> 16),
                                (unsigned char)(v >> 8), (unsigned char)v};
    put(m, b, 4);
}

static void put_chunk(maker *m, const char *type, const void *data, size_t n)
{
    put32(m, (uint32_t)n);
    m->crc = 0;
    put(m, type, 4);
    put(m, data, n);
    put32(m, m->crc);
}

/* A PNG whose IDAT is the zlib stream of raw (filter bytes included). */
static const char *made(uint32_t width, uint32_t height, int depth, int colour, int interlace,
                        const char *extra_type, const void *extra, size_t extra_n,
                        const unsigned char *raw, size_t raw_n)
{
    static const char *path;
    static unsigned char packed[1 << 16];
    uLongf packed_n = sizeof packed;
    if (path == NULL)
        path = test_tmp("made.png");
    maker m = {fopen(path, "wb"), 0};
    assert_non_null(m.f);
    put(&m, "\x89PNG\r\n\x1a\n", 8);
    unsigned char head[13] = {(unsigned char)(width >> 24),
                              (unsigned char)(width >> 16),
                              (unsigned char)(width >> 8),
                              (unsigned char)width,
                              (unsigned char)(height >> 24),
                              (unsigned char)(height >> 16),
                              (unsigned char)(height >> 8),
                              (unsigned char)height,
                              (unsigned char)depth,
                              (unsigned char)colour,
                              0,
                              0,
                              (unsigned char)interlace};
    put_chunk(&m, "IHDR", head, 13);
    if (extra_type != NULL)
        put_chunk(&m, extra_type, extra, extra_n);
    assert_int_equal(compress(packed, &packed_n, raw, (uLong)raw_n), Z_OK);
    put_chunk(&m, "IDAT", packed, packed_n);
    put_chunk(&m, "IEND", "", 0);
    assert_int_equal(fclose(m.f), 0);
    return path;
}

static void check_file(const char *path, tp_shape shape, const double *want)
{
    tp_tensor t;
    size_t live = tp_mem().live_bytes;
    assert_ok(tp_png_read(path, &t));
    assert_true(tp_shape_equal(t.shape, shape));
    assert_tensor_close(&t, want, tp_shape_numel(shape), 0, 0);
    tp_tensor_free(&t);
    assert_int_equal(tp_mem().live_bytes, live);
}

static void test_reads_other_kinds(void **state)
{
    (void)state;
    /* 1-bit grey: 1 0 1 / 0 1 1 */
    const unsigned char bits[] = {0, 0xa0, 0, 0x60};
    const double bits_want[] = {255, 0, 255, 0, 255, 255};
    check_file(made(3, 2, 1, 0, 0, NULL, NULL, 0, bits, sizeof bits), TP_SHAPE(2, 3, 1), bits_want);
    /* 2-bit palette, with transparency that is ignored */
    const unsigned char palette[] = {1, 2, 3, 40, 50, 60, 255, 0, 9}, index[] = {0, 0x18};
    const double palette_want[] = {1, 2, 3, 40, 50, 60, 255, 0, 9};
    check_file(made(3, 1, 2, 3, 0, "PLTE", palette, 9, index, 2), TP_SHAPE(1, 3, 3), palette_want);
    /* 16-bit grey: rounded, not cut */
    const unsigned char deep[] = {0, 0x00, 0x00, 0x12, 0xff, 0xff, 0xff};
    const double deep_want[] = {0, 0x13, 255};
    check_file(made(3, 1, 16, 0, 0, NULL, NULL, 0, deep, 7), TP_SHAPE(1, 3, 1), deep_want);
    /* grey with alpha, RGB with alpha */
    const unsigned char grey_alpha[] = {0, 10, 0, 20, 128}, rgba[] = {0, 1, 2, 3, 0, 4, 5, 6, 77};
    const double grey_want[] = {10, 20}, rgb_want[] = {1, 2, 3, 4, 5, 6};
    check_file(made(2, 1, 8, 4, 0, NULL, NULL, 0, grey_alpha, 5), TP_SHAPE(1, 2, 1), grey_want);
    check_file(made(2, 1, 8, 6, 0, NULL, NULL, 0, rgba, 9), TP_SHAPE(1, 2, 3), rgb_want);
    /* the Sub and Up filters */
    const unsigned char filtered[] = {1, 10, 1, 1, 2, 5, 5, 250};
    const double filtered_want[] = {10, 11, 12, 15, 16, 6};
    check_file(made(3, 2, 8, 0, 0, NULL, NULL, 0, filtered, 8), TP_SHAPE(2, 3, 1), filtered_want);
}

/* Adam7: the seven passes of an 11 x 9 grey image whose pixel is 11 y + x. */
static void test_reads_interlaced(void **state)
{
    (void)state;
    static const int x0[] = {0, 4, 0, 2, 0, 1, 0}, y0[] = {0, 0, 4, 0, 2, 0, 1};
    static const int dx[] = {8, 8, 4, 4, 2, 2, 1}, dy[] = {8, 8, 8, 4, 4, 2, 2};
    unsigned char raw[256];
    double want[99];
    size_t n = 0;
    for (int pass = 0; pass < 7; pass++)
        for (int y = y0[pass]; y < 9; y += dy[pass]) {
            raw[n++] = 0;
            for (int x = x0[pass]; x < 11; x += dx[pass])
                raw[n++] = (unsigned char)(11 * y + x);
        }
    for (int i = 0; i < 99; i++)
        want[i] = i;
    check_file(made(11, 9, 8, 0, 1, NULL, NULL, 0, raw, n), TP_SHAPE(9, 11, 1), want);
}

/* --- damaged files -------------------------------------------------------------------------------- */

static void check_refused(const char *path, tp_status status, const char *message)
{
    tp_tensor t = {.offset = 42};
    size_t live = tp_mem().live_bytes;
    assert_status(tp_png_read(path, &t), status);
    assert_message(message);
    assert_true(t.storage == NULL && t.offset == 42);
    assert_int_equal(tp_mem().live_bytes, live);
}

static void test_refuses_limits(void **state)
{
    (void)state;
    const unsigned char raw[4] = {0};
    tp_mem_set_budget(tp_mem().live_bytes + (1 << 20)); /* nothing large is tried */
    check_refused(made(16385, 1, 8, 0, 0, NULL, NULL, 0, raw, 4), TP_EFORMAT, "");
    check_refused(made(1, 16385, 8, 0, 0, NULL, NULL, 0, raw, 4), TP_EFORMAT, "");
    check_refused(made(16384, 16384, 8, 0, 0, NULL, NULL, 0, raw, 4), TP_EFORMAT,
                  "and 64 Mi in all");
    check_refused(made(0, 1, 8, 0, 0, NULL, NULL, 0, raw, 4), TP_EFORMAT, "");
    check_refused(made(1, 1, 3, 0, 0, NULL, NULL, 0, raw, 4), TP_EFORMAT, "");
    check_refused(made(1, 1, 8, 5, 0, NULL, NULL, 0, raw, 4), TP_EFORMAT, "");
    check_refused(made(1, 1, 8, 3, 0, NULL, NULL, 0, raw, 4), TP_EFORMAT, "");  /* no palette */
    check_refused(made(5, 5, 8, 0, 0, NULL, NULL, 0, raw, 4), TP_EFORMAT, "");  /* too few rows */
    check_refused(made(5, 5, 8, 0, 0, "ABCD", "x", 1, raw, 4), TP_EFORMAT, ""); /* critical chunk */
    tp_mem_set_budget(0);
}

static void write_bytes(const char *path, const char *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void test_refuses_other_formats(void **state)
{
    (void)state;
    const char *path = test_tmp("other.png");
    write_bytes(path, "", 0);
    check_refused(path, TP_EFORMAT, "an empty file");
    write_bytes(path, "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1", 16);
    check_refused(path, TP_EFORMAT, "a JPEG image");
    write_bytes(path, "hello", 5);
    check_refused(path, TP_EFORMAT, "has only 5 bytes, expected a PNG image");
    write_bytes(path, "\x89PNG\n\x1a\n\0\0\0\rIHDR", 15); /* after a transfer as text */
    check_refused(path, TP_EFORMAT, "expected a PNG");
    check_refused(test_tmp("missing.png"), TP_EIO, "No such file");
}

static void test_truncation_and_damage(void **state)
{
    (void)state;
    const char *path = test_tmp("whole.png"), *cut = test_tmp("cut.png");
    char *data;
    size_t n;
    tp_tensor image = picture(TP_SHAPE(6, 5, 3));
    assert_ok(tp_png_write(path, &image));
    assert_ok(tp_file_read_all(path, 10000, &data, &n));
    for (size_t k = 0; k < n; k++) {
        write_bytes(cut, data, k);
        check_refused(cut, TP_EFORMAT, cut);
    }
    for (size_t k = 0; k + 12 < n; k++) { /* every byte before IEND is under a checksum */
        data[k] ^= 0x20;
        write_bytes(cut, data, n);
        data[k] ^= 0x20;
        tp_tensor t;
        size_t live = tp_mem().live_bytes;
        tp_status s = tp_png_read(cut, &t); /* a change of case may make a chunk optional */
        if (s == TP_OK) {
            check_pixels(&t, &image);
            tp_tensor_free(&t);
        } else {
            assert_int_equal(s, TP_EFORMAT);
        }
        assert_int_equal(tp_mem().live_bytes, live);
    }
    tp_free(data, n + 1);
    tp_tensor_free(&image);
}

/* Whatever allocation fails, the status is TP_ENOMEM, nothing leaks and no file appears. */
static void test_out_of_memory(void **state)
{
    (void)state;
    const char *path = test_tmp("memory.png"), *good = test_tmp("good.png");
    const char *other = test_tmp("other.png");
    tp_tensor image = fresh(TP_U8, TP_SHAPE(60, 40)), turned; /* must be copied first */
    assert_ok(tp_view_transpose(&image, 0, 1, &turned));
    tp_tensor images = fresh(TP_F32, TP_SHAPE(4, 20, 30));
    assert_ok(tp_png_grid(good, &images, 2, 1, 1));
    size_t live = tp_mem().live_bytes;
    int failed_writes = 0, failed_reads = 0;
    for (size_t budget = 0; budget < 400000; budget += 1009) {
        tp_tensor t;
        tp_mem_set_budget(live + budget + 1);
        tp_status wrote = short_of_memory(tp_png_grid(path, &images, 2, 1, 1), path);
        tp_status again = short_of_memory(tp_png_write(other, &turned), other);
        tp_status read = short_of_memory(tp_png_read(good, &t), good);
        tp_mem_set_budget(0);
        failed_writes += wrote != TP_OK;
        failed_writes += again != TP_OK;
        failed_reads += read != TP_OK;
        if (read == TP_OK)
            tp_tensor_free(&t);
        FILE *f = fopen(path, "rb");
        assert_true((f != NULL) == (wrote == TP_OK));
        if (f != NULL)
            fclose(f);
        remove(path);
        assert_int_equal(tp_mem().live_bytes, live);
    }
    assert_true(failed_writes > 50 && failed_reads > 10);
    tp_tensor_free(&image);
    tp_tensor_free(&images);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_write_refusals),
        cmocka_unit_test(test_full_disk),

        cmocka_unit_test(test_reads_other_kinds),
        cmocka_unit_test(test_reads_interlaced),
        cmocka_unit_test(test_refuses_limits),
        cmocka_unit_test(test_refuses_other_formats),
        cmocka_unit_test(test_truncation_and_damage),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
