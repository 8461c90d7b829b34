/* test_npy.c: what NumPy saved is read and written alike, and everything else is refused.
 *
 * The files of tests/oracle/npy are NumPy's; damaged ones are made here of them. Every cut, every flipped bit
 * of a file must end in a tensor or a sentence. Read next: tensor/io/npy.h.
 */
#define _POSIX_C_SOURCE 200809L

#include "tests/support/check.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tensor/io/file.h"
#include "tensor/io/npy.h"
#include "tensor/mem.h"
#include "tests/support/views.h"

#define NUMPY(name) TAPIR_SOURCE_DIR "/tests/oracle/npy/" name ".npy"

typedef struct bytes {
    char *data;
    size_t n;
} bytes;

static bytes read_all(const char *path)
{
    bytes b;
    assert_ok(tp_file_read_all(path, 1 << 20, &b.data, &b.n));
    return b;
}

static const char *made(const void *data, size_t n)
{
    static const char *path;
    if (path == NULL)
        path = test_tmp("made.npy");
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return path;
}

static void check_refused(const char *path, tp_status status, const char *message)
{
    size_t live = tp_mem().live_bytes;
    tp_tensor t = {.offset = 42};
    assert_status(tp_npy_load(path, &t), status);
    assert_message(path);
    assert_message(message);
    assert_true(t.storage == NULL && t.offset == 42);
    assert_int_equal(tp_mem().live_bytes, live);
}

/* --- NumPy's files ------------------------------------------------------------------------------ */

static const struct {
    const char *path;
    tp_dtype dtype;
    tp_shape shape;
    int step;   /* elements are 1, 1 + step, … */
    bool alike; /* tapir writes the same bytes */
} numpy[] = {
    {NUMPY("f4_2x3"), TP_F32, TP_DIMS(2, 3), 1, true},
    {NUMPY("f8_4"), TP_F64, TP_DIMS(4), 1, true},
    {NUMPY("i8_scalar"), TP_I64, TP_DIMS(), 1, true},
    {NUMPY("u1_2x1x3"), TP_U8, TP_DIMS(2, 1, 3), 1, true},
    {NUMPY("f4_0x7"), TP_F32, TP_DIMS(0, 7), 1, true},
    {NUMPY("f4_1x1x1x1x1x1x1x2"), TP_F32, TP_DIMS(1, 1, 1, 1, 1, 1, 1, 2), 1, true},
    {NUMPY("f4_13_stepped"), TP_F32, TP_DIMS(13), 2, true},
    {NUMPY("f4_2x3_fortran"), TP_F32, TP_DIMS(2, 3), 1, false},
    {NUMPY("i8_2x3x4_fortran"), TP_I64, TP_DIMS(2, 3, 4), 1, false},
    {NUMPY("f8_3_version2"), TP_F64, TP_DIMS(3), 1, false},
    {NUMPY("f8_3_version3"), TP_F64, TP_DIMS(3), 1, false},
};
enum { NUMPY_COUNT = sizeof numpy / sizeof *numpy };

static void check_same_file(const char *a, const char *b)
{
    bytes x = read_all(a), y = read_all(b);
    assert_int_equal(x.n, y.n);
    assert_memory_equal(x.data, y.data, x.n);
    tp_free(x.data, x.n + 1);
    tp_free(y.data, y.n + 1);
}

static void test_numpy(void **state)
{
    (void)state;
    const char *path = test_tmp("again.npy");
    size_t live = tp_mem().live_bytes;
    for (int i = 0; i < NUMPY_COUNT; i++) {
        tp_tensor t;
        assert_ok(tp_npy_load(numpy[i].path, &t));
        assert_int_equal(t.dtype, numpy[i].dtype);
        assert_true(tp_shape_equal(t.shape, numpy[i].shape));
        assert_true(tp_is_contiguous(&t) && t.owns);
        for (int64_t k = 0; k < tp_numel(&t); k++)
            assert_true(tp_flat(&t, k) == (double)(1 + k * numpy[i].step));
        if (numpy[i].alike) {
            assert_ok(tp_npy_save(path, &t));
            check_same_file(path, numpy[i].path);
        }
        tp_tensor_free(&t);
    }
    assert_int_equal(tp_mem().live_bytes, live);
}

/* An array in Fortran order, saved again, is the file of its row-major twin. */
static void test_fortran(void **state)
{
    (void)state;
    const char *path = test_tmp("c.npy");
    tp_tensor t;
    assert_ok(tp_npy_load(NUMPY("f4_2x3_fortran"), &t));
    assert_ok(tp_npy_save(path, &t));
    check_same_file(path, NUMPY("f4_2x3"));
    tp_tensor_free(&t);
}

static void test_special_values(void **state)
{
    (void)state;
    const double f8[6] = {NAN, INFINITY, -INFINITY, -0.0, 5e-324, 1.7976931348623157e308};
    const int64_t i8[5] = {0, -1, INT64_MAX, INT64_MIN, (INT64_C(1) << 53) + 1};
    const char *path = test_tmp("special.npy");
    tp_tensor t;
    assert_ok(tp_npy_load(NUMPY("f8_special"), &t));
    assert_int_equal(tp_numel(&t), 6);
    const double *got = tp_data(&t);
    assert_true(isnan(got[0]));
    assert_memory_equal(got + 1, f8 + 1, 5 * sizeof *f8);
    assert_ok(tp_npy_save(path, &t));
    check_same_file(path, NUMPY("f8_special"));
    tp_tensor_free(&t);
    assert_ok(tp_npy_load(NUMPY("i8_special"), &t));
    assert_int_equal(tp_numel(&t), 5);
    assert_memory_equal(tp_data(&t), i8, sizeof i8);
    assert_ok(tp_npy_save(path, &t));
    check_same_file(path, NUMPY("i8_special"));
    tp_tensor_free(&t);
}

static void test_numpy_refused(void **state)
{
    (void)state;
    check_refused(NUMPY("big_endian"), TP_EDTYPE, "elements are '>f4', big-endian");
    check_refused(NUMPY("i4"), TP_EDTYPE, "elements are '<i4', expected '<f4'");
    check_refused(NUMPY("f2"), TP_EDTYPE, "elements are '<f2'");
    check_refused(NUMPY("bool"), TP_EDTYPE, "elements are '|b1'");
    check_refused(NUMPY("complex"), TP_EDTYPE, "elements are '<c8'");
    check_refused(NUMPY("text"), TP_EDTYPE, "elements are '<U2'");
    check_refused(NUMPY("date"), TP_EDTYPE, "elements are '<M8[s]'");
    check_refused(NUMPY("record"), TP_EDTYPE, "elements are records");
    check_refused(NUMPY("object"), TP_EDTYPE, "pickled Python objects, which are never loaded");
    check_refused(NUMPY("nine_dimensions"), TP_EFORMAT, "9 or more dimensions, expected at most 8");
}

/* --- layouts ------------------------------------------------------------------------------------ */

static double natural(int64_t i)
{
    return (double)(i % 200);
}

static void test_layouts(void **state)
{
    (void)state;
    const char *path = test_tmp("view.npy");
    for (int dtype = 0; dtype < TP_DTYPE_COUNT; dtype++)
        for (int how = 0; how < LAYOUT_COUNT; how++) {
            tp_tensor owner, view, got;
            make_view(&owner, &view, (tp_dtype)dtype, TP_SHAPE(3, 4, 5), (layout)how, natural);
            assert_ok(tp_npy_save(path, &view));
            assert_ok(tp_npy_load(path, &got));
            assert_int_equal(got.dtype, dtype);
            assert_true(tp_shape_equal(got.shape, view.shape));
            for (int64_t i = 0; i < tp_numel(&view); i++)
                assert_true(tp_flat(&got, i) == tp_flat(&view, i));
            tp_tensor_free(&got);
            tp_tensor_free(&owner);
        }
}

/* --- damaged files ------------------------------------------------------------------------------ */

static void test_every_cut(void **state)
{
    (void)state;
    for (int i = 0; i < NUMPY_COUNT; i++) {
        bytes whole = read_all(numpy[i].path);
        whole.data[whole.n] = 'x'; /* instead of the NUL that read_all puts there */
        const char *path = made(whole.data, whole.n + 1);
        check_refused(path, TP_EFORMAT, "trailing garbage");
        for (size_t n = whole.n; n-- > 0;) {
            assert_int_equal(truncate(path, (off_t)n), 0);
            check_refused(path, TP_EFORMAT,
                          n == 0   ? "looks like"
                          : n < 10 ? "has only"
                                   : "truncated");
        }
        tp_free(whole.data, whole.n + 1);
    }
}

/* A file with one bit wrong is refused, or it is a tensor of the size that the file has. */
static void test_every_bit(void **state)
{
    (void)state;
    int refused = 0, read = 0;
    for (int i = 0; i < NUMPY_COUNT; i++) {
        bytes b = read_all(numpy[i].path);
        const char *path = made(b.data, b.n);
        int fd = open(path, O_WRONLY);
        assert_true(fd >= 0);
        for (size_t bit = 0; bit < 8 * b.n; bit++) {
            tp_tensor t = {0};
            char wrong = (char)(b.data[bit / 8] ^ 1 << bit % 8);
            assert_int_equal(pwrite(fd, &wrong, 1, (off_t)(bit / 8)), 1);
            tp_status s = tp_npy_load(path, &t);
            if (s != TP_OK) {
                assert_true(s == TP_EFORMAT || s == TP_EDTYPE);
                assert_message(path);
            } else {
                assert_in_range(tp_numel(&t) * tp_dtype_size(t.dtype), 0, b.n);
            }
            refused += s != TP_OK;
            read += s == TP_OK;
            tp_tensor_free(&t);
            assert_int_equal(pwrite(fd, &b.data[bit / 8], 1, (off_t)(bit / 8)), 1);
        }
        close(fd);
        tp_free(b.data, b.n + 1);
    }
    print_message("%d flips refused, %d read\n", refused, read);
    assert_true(refused > 5000 && read > 500);
}

/* A file of version 1.0 with this dictionary and so many bytes behind it. */
static const char *with_header(const char *text, size_t elements)
{
    char data[12000] = "\x93NUMPY\1";
    size_t n = strlen(text);
    assert_in_range(10 + n + elements, 0, sizeof data);
    data[8] = (char)(n & 255);
    data[9] = (char)(n >> 8);
    memcpy(data + 10, text, n);
    return made(data, 10 + n + elements);
}

/* Other writers order, space and quote differently. */
static void test_headers_accepted(void **state)
{
    (void)state;
    static const char *const header[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n",
        "{'shape':(2,3),'fortran_order':False,'descr':'<f4'}",
        "{\"fortran_order\" : True , \"shape\" : (2 , 3 , ) , \"descr\" : \"<f4\"} \t\r\n ",
        "  {'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L)}", /* Python 2 */
        "{'descr': '<f4',\n 'fortran_order': False,\n 'shape': (02, 3)}"};
    for (size_t i = 0; i < sizeof header / sizeof *header; i++) {
        tp_tensor t;
        assert_ok(tp_npy_load(with_header(header[i], 24), &t));
        assert_true(tp_shape_equal(t.shape, TP_SHAPE(2, 3)));
        tp_tensor_free(&t);
    }
    tp_tensor t;
    assert_ok(
        tp_npy_load(with_header("{'descr': '<u1', 'fortran_order': False, 'shape': (5,)}", 5), &t));
    assert_int_equal(t.dtype, TP_U8);
    tp_tensor_free(&t);
}

static void test_headers_refused(void **state)
{
    (void)state;
    static const struct {
        const char *header, *message;
    } bad[] = {
        {"", "expected a dictionary, got "},
        {"[]", "expected a dictionary, got "},
        {"{}", "no 'descr' in the header"},
        {"{'descr': '<f4', 'shape': (2, 3)}", "no 'fortran_order' in the header"},
        {"{'descr': '<f4', 'fortran_order': False}", "no 'shape' in the header"},
        {"{'descr': '<f4', 'descr': '<f4'}", "'descr' twice in the header"},
        {"{'description': '<f4'}", "'description' in the header, expected descr"},
        {"{descr: '<f4'}", "expected a string in quotes, got "},
        {"{'descr", "expected the end of a string, got "},
        {"{'de\\x73cr': '<f4'}", "expected the end of a string, got "},
        {"{'d\xc3\xa9': 1}", "expected the end of a string, got "},
        {"{'descr' '<f4'}", "expected a colon, got "},
        {"{'descr': <f4}", "expected a string in quotes"},
        {"{'descr': '<f4' 'shape': (2,)}", "expected a comma"},
        {"{'fortran_order': 0}", "expected True or False"},
        {"{'fortran_order': Falsehood}", "expected a comma"},
        {"{'shape': [2, 3]}", "expected a shape in brackets"},
        {"{'shape': (2, -3)}", "expected a size"},
        {"{'shape': (2, 3.0)}", "expected a comma"},
        {"{'shape': (,)}", "expected a size"},
        {"{'shape': (2,,3)}", "expected a size"},
        {"{'shape': (6)}", "expected a comma"},
        {"{'shape': (2 3)}", "expected a comma"},
        {"{'shape': (2, 3", "expected a comma"},
        {"{'shape': (2, 9999999999999999999)}",
         "expected a size of at most 18 digits, got '9999999999999999999'"},
        {"{'shape': (1,1,1,1,1,1,1,1,1)}", "9 or more dimensions, expected at most 8"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} #", "nothing but spaces"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}}", "nothing but spaces"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}", "trailing garbage"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3)}",
         "24 bytes after the header, expected 48 for f64[2,3] (truncated)"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (100000000000000000, 3)}",
         "(truncated)"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (100000000000000000, 1000)}",
         "more than memory can address"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 100000000000000000, 1000)}",
         "more than memory can address"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_refused(with_header(bad[i].header, 24), TP_EFORMAT, bad[i].message);
    check_refused(with_header("{'descr': ''}", 24), TP_EDTYPE, "elements are ''");
    check_refused(with_header("{'descr': '<f4 '}", 24), TP_EDTYPE, "elements are '<f4 '");
}

static void test_prefixes(void **state)
{
    (void)state;
    static const char v4[] = "\x93NUMPY\4\0\1\0\0\0{";
    static const char minor[] = "\x93NUMPY\1\1\1\0{";
    static const char absurd[] = "\x93NUMPY\2\0\xff\xff\xff\xff{";
    char spaces[11000] = "\x93NUMPY\1";
    check_refused(made("", 0), TP_EFORMAT, "looks like an empty file");
    check_refused(made("hello, world", 12), TP_EFORMAT,
                  "looks like a text file, expected an npy file");
    check_refused(made("PK\3\4............", 16), TP_EFORMAT, "a zip archive"); /* an npz */
    check_refused(made(v4, sizeof v4), TP_EFORMAT, "version 4.0, expected 1.0, 2.0 or 3.0");
    check_refused(made(minor, sizeof minor), TP_EFORMAT, "version 1.1");
    check_refused(made(absurd, sizeof absurd), TP_EFORMAT,
                  "truncated, a header of 4294967307 bytes in a file of 14");
    spaces[8] = (char)(10001 & 255), spaces[9] = 10001 >> 8;
    check_refused(made(spaces, 10 + 10001), TP_EFORMAT,
                  "a header of 10001 bytes, expected at most 10000");
    tp_tensor t;
    assert_status(tp_npy_load(test_tmp("none.npy"), &t), TP_EIO);
    assert_status(tp_npy_load(TAPIR_SOURCE_DIR, &t), TP_EIO);
}

/* --- saving ------------------------------------------------------------------------------------- */

static void test_save_refused(void **state)
{
    (void)state;
    tp_tensor empty = {0}, t, large, transposed, got;
    const char *path = test_tmp("kept.npy");
    assert_status(tp_npy_save(path, &empty), TP_EARG);
    assert_message("kept.npy: an empty handle");
    assert_ok(tp_npy_load(NUMPY("f4_2x3"), &t));
    assert_status(tp_npy_save(test_tmp("no/such/folder.npy"), &t), TP_EIO);
    assert_ok(tp_npy_save(path, &t));
    assert_ok(tp_tensor_new(&large, TP_F32, TP_SHAPE(50, 60)));
    assert_ok(tp_view_transpose(&large, 0, 1, &transposed));
    tp_mem_set_budget(tp_mem().live_bytes + 5000); /* room for the path, not for a copy */
    tp_status s = tp_npy_save(path, &transposed);
    tp_mem_set_budget(0);
    assert_int_equal(s, TP_ENOMEM);
    assert_message("kept.npy");
    assert_ok(tp_npy_load(path, &got)); /* what was there is there */
    assert_true(tp_shape_equal(got.shape, t.shape));
    tp_tensor_free(&got);
    tp_tensor_free(&large);
    tp_tensor_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numpy),           cmocka_unit_test(test_fortran),
        cmocka_unit_test(test_special_values),  cmocka_unit_test(test_numpy_refused),
        cmocka_unit_test(test_layouts),         cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_every_bit),       cmocka_unit_test(test_headers_accepted),
        cmocka_unit_test(test_headers_refused), cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_save_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
