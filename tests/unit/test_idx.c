/* test_idx.c: idx files as they should be, and every way they can be wrong.
 *
 * Files are made here, byte by byte, plain and with zlib's deflate; no data set is needed. What is
 * refused must say why, leave the tensor alone and leak nothing. Read next: tensor/io/idx.h.
 */
#define _POSIX_C_SOURCE 200809L

#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "tensor/io/idx.h"
#include "tensor/mem.h"

typedef struct bytes {
    size_t n;
    unsigned char at[1 << 17];
} bytes;

static void append(bytes *b, const void *data, size_t n)
{
    assert_true(b->n + n <= sizeof b->at);
    memcpy(b->at + b->n, data, n);
    b->n += n;
}

/* Header for ndim sizes, then payload bytes 0, 7, 14, … mod 256. */
static bytes idx_file(int type, int ndim, const uint32_t *size, size_t payload)
{
    bytes b = {0};
    unsigned char head[4] = {0, 0, (unsigned char)type, (unsigned char)ndim};
    append(&b, head, 4);
    for (int i = 0; i < ndim; i++) {
        unsigned char s[4] = {(unsigned char)(size[i] >> 24), (unsigned char)(size[i] >> 16),
                              (unsigned char)(size[i] >> 8), (unsigned char)size[i]};
        append(&b, s, 4);
    }
    for (size_t i = 0; i < payload; i++)
        b.at[b.n++] = (unsigned char)(i * 7);
    return b;
}

/* One gzip member (31) or zlib stream (15) of n bytes. */
static bytes deflated(const void *data, size_t n, int window)
{
    static bytes b;
    z_stream z = {0};
    b.n = 0;
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)n;
    z.next_out = b.at;
    z.avail_out = sizeof b.at;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    b.n = z.total_out;
    deflateEnd(&z);
    return b;
}

static bytes gzip(const bytes *b)
{
    return deflated(b->at, b->n, 15 + 16);
}

static const char *saved(const bytes *b)
{
    static const char *path;
    if (path == NULL)
        path = test_tmp("file.idx");
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(b->at, 1, b->n, f), b->n);
    assert_int_equal(fclose(f), 0);
    return path;
}

static void check_reads(const bytes *b, tp_shape shape)
{
    tp_tensor t;
    size_t live = tp_mem().live_bytes;
    assert_ok(tp_idx_read(saved(b), &t));
    assert_true(tp_shape_equal(t.shape, shape));
    assert_int_equal(t.dtype, TP_U8);
    assert_true(t.owns && tp_is_contiguous(&t));
    for (int64_t i = 0; i < tp_numel(&t); i++)
        assert_true(tp_flat(&t, i) == (double)(unsigned char)(i * 7));
    tp_tensor_free(&t);
    assert_int_equal(tp_mem().live_bytes, live);
}

static void check_refused(const bytes *b, const char *message)
{
    tp_tensor t = {.offset = 42};
    size_t live = tp_mem().live_bytes;
    const char *path = saved(b);
    assert_status(tp_idx_read(path, &t), TP_EFORMAT);
    assert_message(path);
    assert_message(message);
    assert_true(t.storage == NULL && t.offset == 42);
    assert_int_equal(tp_mem().live_bytes, live);
}

static const uint32_t dims[5] = {3, 4, 5, 2, 1};

/* --- good files --------------------------------------------------------------------------------- */

static void test_reads(void **state)
{
    (void)state;
    size_t payload = 1;
    for (int ndim = 1; ndim <= 4; ndim++) {
        tp_shape shape = {ndim, {3, 4, 5, 2}};
        payload *= dims[ndim - 1];
        bytes plain = idx_file(8, ndim, dims, payload), packed = gzip(&plain);
        check_reads(&plain, shape);
        check_reads(&packed, shape);
    }
}

static void test_reads_large(void **state)
{
    (void)state;
    const uint32_t size[2] = {300, 401};
    bytes plain = idx_file(8, 2, size, 300 * 401), packed = gzip(&plain);
    check_reads(&plain, TP_SHAPE(300, 401));
    check_reads(&packed, TP_SHAPE(300, 401));
}

static void test_reads_empty(void **state)
{
    (void)state;
    const uint32_t size[3] = {0, 28, 28};
    bytes plain = idx_file(8, 3, size, 0), packed = gzip(&plain);
    check_reads(&plain, TP_SHAPE(0, 28, 28));
    check_reads(&packed, TP_SHAPE(0, 28, 28));
}

/* Well-formed members one after another, empty ones included, cut anywhere: even in the header. */
static void test_reads_members(void **state)
{
    (void)state;
    bytes plain = idx_file(8, 3, dims, 60), all;
    for (size_t cut = 0; cut <= plain.n; cut++) {
        all = deflated(plain.at, cut, 31);
        bytes rest = deflated(plain.at + cut, plain.n - cut, 31), none = deflated("", 0, 31);
        append(&all, rest.at, rest.n);
        append(&all, none.at, none.n);
        check_reads(&all, TP_SHAPE(3, 4, 5));
    }
}

/* gzip may carry a name, a comment and extra fields. */
static void test_reads_gzip_header_fields(void **state)
{
    (void)state;
    bytes plain = idx_file(8, 3, dims, 60), packed = gzip(&plain), b = {0};
    append(&b, packed.at, 10);
    b.at[3] = 4 | 8 | 16;
    append(&b, "\3\0abcname\0comment", 18);
    append(&b, packed.at + 10, packed.n - 10);
    check_reads(&b, TP_SHAPE(3, 4, 5));
}

/* A member that ends with the bytes that are read at once: 32768, here filled up by the name. */
static void test_reads_member_at_a_border(void **state)
{
    (void)state;
    enum { READ = 32768 };
    bytes plain = idx_file(8, 3, dims, 60), first = deflated(plain.at, 20, 31), b = {0};
    bytes rest = deflated(plain.at + 20, plain.n - 20, 31);
    append(&b, first.at, 10);
    b.at[3] = 8;
    memset(b.at + b.n, 'x', (size_t)READ - first.n - 1);
    b.n += (size_t)READ - first.n - 1;
    append(&b, "", 1);
    append(&b, first.at + 10, first.n - 10);
    assert_int_equal(b.n, (size_t)READ);
    append(&b, rest.at, rest.n);
    check_reads(&b, TP_SHAPE(3, 4, 5));
}

/* --- bad files ---------------------------------------------------------------------------------- */

static void test_refuses_other_formats(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        size_t n;
        const char *message;
    } cases[] = {
        {"", 0, "an empty file"},
        {"\0", 1, "only 1 byte"},
        {"\0\0\x08", 3, "only 3 bytes"},
        {"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16, "a PNG image"},
        {"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1", 16, "a JPEG image"},
        {"PK\3\4\24\0\0\0\10\0abcdef", 16, "a zip archive"},
        {"BZh91AY&SY", 10, "a bzip2 archive"},
        {"\x93NUMPY\1\0v\0{'desc", 16, "a NumPy array"},
        {"<!DOCTYPE html><html>", 21, "a web page"},
        {"label,pixel0,pixel1\n", 20, "a text file"},
        {"\x7f"
         "ELF\2\1\1\0\0\0\0\0\0\0\0\0",
         16, "a program"},
        {"\x10\0\0\0\0\0\0\0{\"a\":{}}", 16, "a safetensors file"},
        {"\1\0\x08\1\0\0\0\1\1", 9, "binary data"},
        {"\0\1\x08\1\0\0\0\1\1", 9, "binary data"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b = {0}, packed;
        append(&b, cases[i].data, cases[i].n);
        check_refused(&b, cases[i].message);
        packed = gzip(&b); /* and the same inside gzip */
        check_refused(&packed, cases[i].message);
        assert_message("inside gzip");
    }
    bytes good = idx_file(8, 1, dims, 3), once = gzip(&good), twice = gzip(&once);
    check_refused(&twice, "a gzip archive inside gzip");
    bytes zlib_stream = deflated(good.at, good.n, 15);
    check_refused(&zlib_stream, "expected an idx file");
}

static bool type_is_known(int type)
{
    return type >= 9 && type <= 14 && type != 10;
}

static void test_refuses_types(void **state)
{
    (void)state;
    static const struct {
        int type;
        const char *message;
    } cases[] = {{0x09, "signed bytes"},           {0x0b, "16-bit integers"},
                 {0x0c, "32-bit integers"},        {0x0d, "32-bit floats"},
                 {0x0e, "64-bit floats"},          {0x00, "looks like binary data"},
                 {0x0a, "looks like binary data"}, {0xff, "looks like binary data"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b = idx_file(cases[i].type, 1, dims, 3);
        check_refused(&b, cases[i].message);
        assert_message(type_is_known(cases[i].type) ? "expected unsigned bytes"
                                                    : "expected an idx file");
    }
}

static void test_refuses_dimensions(void **state)
{
    (void)state;
    bytes none = idx_file(8, 0, dims, 1), five = idx_file(8, 5, dims, 120), many = none;
    check_refused(&none, "has 0 dimensions");
    check_refused(&five, "has 5 dimensions");
    many.at[3] = 255;
    check_refused(&many, "has 255 dimensions");
}

static void test_refuses_wrong_sizes(void **state)
{
    (void)state;
    bytes b = idx_file(8, 3, dims, 59), packed = gzip(&b);
    check_refused(&b, "truncated");
    check_refused(&packed, "holds 59 elements, expected 60");
    b = idx_file(8, 3, dims, 61), packed = gzip(&b);
    check_refused(&b, "trailing garbage");
    assert_message("has 77 bytes, expected 76");
    check_refused(&packed, "more than the 60 elements");
    b = idx_file(8, 3, dims, 600), packed = gzip(&b);
    check_refused(&packed, "more than the 60 elements");
}

/* Products that overflow or promise far more than the file can hold; no memory is taken for them. */
static void test_refuses_huge(void **state)
{
    (void)state;
    static const struct {
        uint32_t size[4];
        const char *plain, *packed;
    } cases[] = {
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, "more than memory", "more than memory"},
        {{0x80000000, 0x80000000, 2, 1}, "more than memory", "more than memory"},
        {{0x10000, 0x10000, 0x10000, 0x10000}, "more than memory", "more than memory"},
        {{0, 0xffffffff, 0xffffffff, 0xffffffff}, "more than memory", "more than memory"},
        {{0x40000000, 0x40000000, 1, 1}, "truncated", "too much"},
        {{1000000, 28, 28, 1}, "truncated", "too much"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b = idx_file(8, 4, cases[i].size, 100), packed = gzip(&b);
        tp_mem_set_budget(tp_mem().live_bytes + (1 << 20)); /* a large request would be ENOMEM */
        check_refused(&b, cases[i].plain);
        check_refused(&packed, cases[i].packed);
        tp_mem_set_budget(0);
    }
}

/* A bomb: a megabyte of zeros behind a header that declares little. */
static void test_bomb(void **state)
{
    (void)state;
    static unsigned char zeros[1 << 24];
    const uint32_t size = 10;
    bytes head = idx_file(8, 1, &size, 10);
    memcpy(zeros, head.at, head.n);
    bytes bomb = deflated(zeros, sizeof zeros, 31);
    tp_mem_set_budget(tp_mem().live_bytes + (1 << 17));
    check_refused(&bomb, "more than the 10 elements");
    tp_mem_set_budget(0);
}

/* Every proper prefix of a good file is refused. */
static void test_truncation(void **state)
{
    (void)state;
    bytes plain = idx_file(8, 3, dims, 60), packed = gzip(&plain);
    for (int kind = 0; kind < 2; kind++) {
        bytes b = kind ? packed : plain;
        for (size_t n = b.n; n-- > 0;) {
            b.n = n;
            check_refused(&b, "");
        }
    }
    bytes two = gzip(&plain), none = deflated("", 0, 31); /* a second member cut short */
    size_t first = two.n;
    append(&two, none.at, none.n);
    while (--two.n > first)
        check_refused(&two, two.n == first ? "" : "truncated");
}

/* Any changed byte of the checksums and sizes, of the data, of the magic is noticed. */
static void test_damage(void **state)
{
    (void)state;
    bytes plain = idx_file(8, 3, dims, 60), packed = gzip(&plain);
    for (size_t i = 0; i < packed.n; i++) {
        bytes b = packed;
        if (i >= 4 && i < 10)
            continue; /* time, level and system of gzip's header mean nothing here */
        b.at[i] ^= 0x41;
        check_refused(&b, "");
    }
    bytes b = packed;
    b.at[b.n - 6] ^= 1;
    check_refused(&b, "the checksum is not that of the data");
    b = packed;
    b.at[b.n - 1] ^= 1;
    check_refused(&b, "the length is not that of the data");
    b = packed;
    b.at[2] = 7;
    check_refused(&b, "unknown compression method");
}

static void test_garbage_after_gzip(void **state)
{
    (void)state;
    static const char *const garbage[] = {"x", "\n", "garbage", "\x1e\x8b\x08"};
    bytes plain = idx_file(8, 3, dims, 60), packed = gzip(&plain);
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        bytes b = packed;
        append(&b, garbage[i], strlen(garbage[i]));
        check_refused(&b, "garbage after the gzip data");
    }
    bytes b = packed;
    append(&b, "", 1); /* a zero byte, as tar pads */
    check_refused(&b, "garbage after the gzip data");
    b = packed;
    append(&b, "\x1f", 1); /* the start of a member */
    check_refused(&b, "truncated");
    b = packed;
    append(&b, "\x1f\x8c\x08\0\0\0\0\0\0\0", 10);
    check_refused(&b, "damaged gzip data");
    b = packed;
    append(&b, packed.at, packed.n); /* a whole second file */
    check_refused(&b, "more than the 60 elements");
}

static void test_system_errors(void **state)
{
    (void)state;
    tp_tensor t = {0};
    assert_status(tp_idx_read(test_tmp("missing"), &t), TP_EIO);
    assert_message("No such file");
    assert_status(tp_idx_read(test_tmp("."), &t), TP_EIO);
    assert_message("a directory");
    const char *fifo = test_tmp("fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_status(tp_idx_read(fifo, &t), TP_EIO); /* and does not hang */
    assert_message("a pipe or device");
}

/* Whatever allocation fails, the status is TP_ENOMEM and nothing leaks. */
static void test_out_of_memory(void **state)
{
    (void)state;
    const uint32_t size = 50000;
    bytes plain = idx_file(8, 1, &size, 50000), packed = gzip(&plain);
    const char *path = saved(&packed);
    size_t live = tp_mem().live_bytes;
    int failures = 0;
    for (size_t budget = 64; budget < 200000; budget += 1000) {
        tp_tensor t;
        tp_mem_set_budget(live + budget);
        tp_status s = tp_idx_read(path, &t);
        tp_mem_set_budget(0);
        if (s == TP_OK) {
            tp_tensor_free(&t);
        } else {
            assert_status(s, TP_ENOMEM);
            assert_message("budget");
            failures++;
        }
        assert_int_equal(tp_mem().live_bytes, live);
    }
    assert_true(failures > 50);
}

static void test_mnist(void **state)
{
    (void)state;
    const char *images = test_shared("data/mnist/t10k-images-idx3-ubyte.gz");
    const char *labels = test_shared("data/mnist/t10k-labels-idx1-ubyte.gz");
    if (images == NULL || labels == NULL)
        skip();
    tp_tensor t;
    assert_ok(tp_idx_read(images, &t));
    assert_true(tp_shape_equal(t.shape, TP_SHAPE(10000, 28, 28)));
    double sum = 0;
    const unsigned char *p = tp_data(&t);
    for (int64_t i = 0; i < tp_numel(&t); i++)
        sum += p[i];
    assert_close(sum / (double)tp_numel(&t) / 255, 0.1325, 1e-4, 0); /* as published */
    tp_tensor_free(&t);
    assert_ok(tp_idx_read(labels, &t));
    assert_true(tp_shape_equal(t.shape, TP_SHAPE(10000)));
    assert_true(tp_flat(&t, 0) == 7 && tp_flat(&t, 1) == 2 && tp_flat(&t, 2) == 1);
    tp_tensor_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_reads_large),
        cmocka_unit_test(test_reads_empty),
        cmocka_unit_test(test_reads_members),
        cmocka_unit_test(test_reads_gzip_header_fields),
        cmocka_unit_test(test_reads_member_at_a_border),
        cmocka_unit_test(test_refuses_other_formats),
        cmocka_unit_test(test_refuses_types),
        cmocka_unit_test(test_refuses_dimensions),
        cmocka_unit_test(test_refuses_wrong_sizes),
        cmocka_unit_test(test_refuses_huge),
        cmocka_unit_test(test_bomb),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_garbage_after_gzip),
        cmocka_unit_test(test_system_errors),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_mnist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
