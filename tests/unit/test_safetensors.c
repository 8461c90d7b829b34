/* test_safetensors.c: what is written is read back, and every malformed header is refused.
 *
 * Bad files are made here as text. What is refused must name the file and say why, and leak nothing.
 * Read next: tensor/io/safetensors.h, test_safetensors_calls.c.
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/unit/file_tests.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tensor/io/safetensors.h"
#include "tensor/mem.h"

/* A file of a header and data bytes 0 1 2 …, with the length that the header has. */
static const char *made(const char *header, size_t header_bytes, size_t data_bytes)
{
    static const char *path;
    if (path == NULL)
        path = test_tmp("made.safetensors");
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    for (int i = 0; i < 8; i++)
        fputc((int)(header_bytes >> 8 * i & 255), f);
    assert_int_equal(fwrite(header, 1, header_bytes, f), header_bytes);
    for (size_t i = 0; i < data_bytes; i++)
        fputc((int)(i & 255), f);
    assert_int_equal(fclose(f), 0);
    return path;
}

static void check_refused(const char *path, const char *message)
{
    tp_safetensors s;
    size_t live = tp_mem().live_bytes;
    assert_status(tp_safetensors_open(&s, path), TP_EFORMAT);
    assert_message(path);
    assert_message(message);
    assert_int_equal(tp_mem().live_bytes, live);
}

/* --- round trips -------------------------------------------------------------------------------- */

static void test_round_trip(void **state)
{
    (void)state;
    const char *path = test_tmp("round.safetensors");
    size_t live = tp_mem().live_bytes;
    tp_tensor t[6] = {counted(TP_F32, TP_SHAPE(3, 4)),    counted(TP_U8, TP_SHAPE(5)),
                      counted(TP_F64, TP_SHAPE(2, 1, 3)), counted(TP_I64, (tp_shape){0}),
                      counted(TP_F32, TP_SHAPE(0, 7)),    counted(TP_F32, TP_SHAPE(1))};
    const char *names[6] = {"encoder.0.weight", "pixels", "z", "step", "nothing", "a"};
    const char *const metadata[] = {"format", "pt", "note", "two\nlines \"quoted\" \\ \x01 é",
                                    NULL};
    tp_named_tensor items[6];
    for (int i = 0; i < 6; i++)
        items[i] = (tp_named_tensor){names[i], &t[i]};
    assert_ok(tp_safetensors_save(path, items, 6, metadata));

    tp_safetensors s;
    assert_ok(tp_safetensors_open(&s, path));
    assert_int_equal(s.n, 6);
    assert_int_equal(s.data % 8, 0);
    assert_int_equal(s.metadata_n, 3);
    assert_ok(tp_safetensors_verify(&s));
    assert_string_equal(tp_safetensors_metadata(&s, "format"), "pt");
    assert_string_equal(tp_safetensors_metadata(&s, "note"), metadata[3]);
    assert_null(tp_safetensors_metadata(&s, "nope"));
    assert_null(tp_safetensors_find(&s, "nope"));
    for (int i = 0; i < 6; i++) {
        tp_tensor got, into;
        assert_string_equal(s.entry[i].name, names[i]); /* the order given */
        assert_ptr_equal(tp_safetensors_find(&s, names[i]), &s.entry[i]);
        assert_ok(tp_safetensors_load_new(&s, names[i], &got));
        check_equal(&got, &t[i]);
        assert_ok(tp_tensor_new(&into, t[i].dtype, t[i].shape));
        uint64_t version = into.storage->version;
        assert_ok(tp_safetensors_load(&s, names[i], &into));
        assert_true(into.storage->version > version || tp_numel(&into) == 0);
        check_equal(&into, &t[i]);
        tp_tensor_free(&got);
        tp_tensor_free(&into);
    }
    tp_safetensors_close(&s);
    tp_safetensors_close(&s);
    for (int i = 0; i < 6; i++)
        tp_tensor_free(&t[i]);
    assert_int_equal(tp_mem().live_bytes, live);
}

/* The exact bytes of a small file. The checksum is Python's: zlib.crc32 of the file with zeros for it. */
static void test_bytes(void **state)
{
    (void)state;
    static const char want[] =
        "\x68\0\0\0\0\0\0\0"
        "{\"__metadata__\":{\"tapir.crc32\":\"55e703ef\",\"k\":\"v\"},"
        "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}} \1\2";
    const char *path = test_tmp("bytes.safetensors");
    const char *const metadata[] = {"k", "v", NULL};
    tp_tensor t = counted(TP_U8, TP_SHAPE(2));
    assert_ok(tp_safetensors_save(path, &(tp_named_tensor){"b", &t}, 1, metadata));
    char *data;
    size_t n;
    assert_ok(tp_file_read_all(path, 1000, &data, &n));
    assert_int_equal(n, sizeof want - 1);
    assert_memory_equal(data, want, n);
    tp_free(data, n + 1);
    tp_tensor_free(&t);
}

static void test_no_tensors(void **state)
{
    (void)state;
    const char *path = test_tmp("none.safetensors");
    const char *const empty[] = {NULL};
    tp_safetensors s;
    assert_ok(tp_safetensors_save(path, NULL, 0, NULL));
    assert_ok(tp_safetensors_open(&s, path));
    assert_int_equal(s.n, 0);
    assert_null(tp_safetensors_find(&s, ""));
    tp_safetensors_close(&s);
    assert_ok(tp_safetensors_save(path, NULL, 0, empty));
}

static void test_layouts(void **state)
{
    (void)state;
    const char *path = test_tmp("views.safetensors");
    tp_tensor x = counted(TP_F32, TP_SHAPE(4, 6)), views[4];
    assert_ok(tp_view_transpose(&x, 0, 1, &views[0]));
    assert_ok(tp_view_slice(&x, 1, 1, TP_SLICE_END, 2, &views[1]));
    assert_ok(tp_view_slice(&x, 0, -1, TP_SLICE_END, -1, &views[2]));
    assert_ok(tp_view_slice(&x, 0, 2, TP_SLICE_END, 1, &views[3]));
    for (int v = 0; v < 4; v++) {
        tp_safetensors s;
        tp_tensor got, copy;
        assert_ok(tp_safetensors_save(path, &(tp_named_tensor){"x", &views[v]}, 1, NULL));
        assert_ok(tp_safetensors_open(&s, path));
        assert_ok(tp_safetensors_load_new(&s, "x", &got));
        check_equal(&got, &views[v]);
        assert_ok(tp_clone(&copy, &views[v]));
        assert_ok(tp_fill(&views[v], 0)); /* and back into the view */
        assert_ok(tp_safetensors_load(&s, "x", &views[v]));
        check_equal(&views[v], &copy);
        tp_tensor_free(&got);
        tp_tensor_free(&copy);
        tp_safetensors_close(&s);
    }
    tp_tensor row, wide; /* an expanded view can be saved, not loaded into */
    assert_ok(tp_view_slice(&x, 0, 0, 1, 1, &row));
    assert_ok(tp_view_expand(&row, TP_SHAPE(3, 6), &wide));
    assert_ok(tp_safetensors_save(path, &(tp_named_tensor){"x", &wide}, 1, NULL));
    tp_safetensors s;
    assert_ok(tp_safetensors_open(&s, path));
    assert_status(tp_safetensors_load(&s, "x", &wide), TP_EARG);
    assert_message(path);
    tp_safetensors_close(&s);
    tp_tensor_free(&x);
}

static void test_special_values(void **state)
{
    (void)state;
    const char *path = test_tmp("special.safetensors");
    const double values[6] = {NAN, INFINITY, -INFINITY, -0.0, 5e-324, 1.7976931348623157e308};
    tp_tensor t, got;
    tp_safetensors s;
    assert_ok(tp_tensor_from(&t, TP_F64, TP_SHAPE(6), values));
    assert_ok(tp_safetensors_save(path, &(tp_named_tensor){"x", &t}, 1, NULL));
    assert_ok(tp_safetensors_open(&s, path));
    assert_ok(tp_safetensors_load_new(&s, "x", &got));
    assert_memory_equal(tp_data(&got), values, sizeof values);
    tp_safetensors_close(&s);
    tp_tensor_free(&t);
    tp_tensor_free(&got);
}

/* Names that need escapes, and many of them, found again. */
static void test_names(void **state)
{
    (void)state;
    enum { N = 300 };
    static char names[N][16];
    static tp_named_tensor items[N];
    const char *path = test_tmp("names.safetensors");
    const char *const odd[] = {"",     "\"",    "\\",           "\n\t\r\b\f",       "\x1f",
                               "\x7f", "grüße", "\xe2\x82\xac", "\xf0\x9f\xa6\x8c", "a/b c"};
    tp_tensor t = counted(TP_F32, TP_SHAPE(2));
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], i < 10 ? "%s" : "w%s%d", i < 10 ? odd[i] : "",
                 i * 7919 % N);
        items[i] = (tp_named_tensor){names[i], &t};
    }
    assert_ok(tp_safetensors_save(path, items, N, NULL));
    tp_safetensors s;
    assert_ok(tp_safetensors_open(&s, path));
    assert_int_equal(s.n, N);
    for (int i = 0; i < N; i++)
        assert_ptr_equal(tp_safetensors_find(&s, names[i]), &s.entry[i]);
    assert_null(tp_safetensors_find(&s, "w"));
    tp_safetensors_close(&s);
    tp_tensor_free(&t);
}

/* --- legal headers that the writer would not write ------------------------------------------------ */

static void test_reads_foreign_headers(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        int64_t n;
        size_t data;
        const char *name; /* of a tensor in it */
    } cases[] = {
        {"{}", 0, 0, NULL},
        {"{ \t\n\r}   ", 0, 0, NULL},
        {"{\"__metadata__\":{}}", 0, 0, NULL},
        {"{\"a\":{\"shape\":[],\"data_offsets\":[0,4],\"dtype\":\"F32\"}}", 1, 4, "a"},
        {"{ \"a\" : { \"dtype\" : \"U8\" , \"shape\" : [ 1 , 2 ] , \"data_offsets\" : [ 0 , 2 ] } }",
         1, 2, "a"},
        /* out of order, an empty tensor on a border, data not aligned to its type */
        {"{\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,5]},"
         "\"e\":{\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[1,1]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
         3, 5, "b"},
        {"{\"\\u0061\\u00e9\\u20AC\\ud83e\\udd8c\\/\":{\"dtype\":\"U8\",\"shape\":[0],"
         "\"data_offsets\":[0,0]}}",
         1, 0, "a\xc3\xa9\xe2\x82\xac\xf0\x9f\xa6\x8c/"},
        {"{\"\\u005f_metadata__x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 1, 0,
         "__metadata__x"},
        {"{\"a\":{\"dtype\":\"U\\u0038\",\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1,
         1, "a"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tp_safetensors s;
        assert_ok(
            tp_safetensors_open(&s, made(cases[i].header, strlen(cases[i].header), cases[i].data)));
        assert_int_equal(s.n, cases[i].n);
        if (cases[i].name != NULL) {
            tp_tensor t;
            assert_ok(tp_safetensors_load_new(&s, cases[i].name, &t));
            if (strcmp(cases[i].name, "b") == 0) {
                const unsigned char bytes[4] = {1, 2, 3, 4};
                assert_memory_equal(tp_data(&t), bytes, 4);
            }
            tp_tensor_free(&t);
        }
        tp_safetensors_close(&s);
    }
}

/* --- malformed headers ---------------------------------------------------------------------------- */

#define ENTRY(name, dtype, shape, offsets)                                                         \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static const struct {
    const char *header;
    size_t data;
    const char *message;
} malformed[] = {
    {"", 0, "has only 8 bytes"},
    {" {}", 0, "header: expected '{' as its first byte, at byte 8"},
    {"[]", 0, "expected '{'"},
    {"{", 0, "expected a string"},
    {"{}x", 0, "text after"},
    {"{}\n", 0, "text after"},
    {"{}{}", 0, "text after"},
    {"{\"a\"", 0, "expected ':'"},
    {"{\"a", 0, "without end"},
    {"{\"a\\", 0, "unknown escape"},
    {"{a:1}", 0, "expected a string"},
    {"{'a':1}", 0, "expected a string"},
    {"{\"a\":1}", 0, "expected '{'"},
    {"{\"a\":null}", 0, "expected '{'"},
    {"{\"a\":[[[[[[[[[[]]]]]]]]]]}", 0, "expected '{'"},
    {"{\"a\":{}}", 0, "no 'dtype'"},
    {"{" ENTRY("a", "U8", "[1]", "[0,1]") ",}", 1, "expected a string"},
    {"{," ENTRY("a", "U8", "[1]", "[0,1]") "}", 1, "expected a string"},
    {"{" ENTRY("a", "U8", "[1]", "[0,1]") " " ENTRY("b", "U8", "[1]", "[1,2]") "}", 2,
     "header: expected ',' or '}', got '\"', at byte 61"},
    {"{" ENTRY("a", "U8", "[1]", "[0,1]"), 1,
     "header: expected ',' or '}', got the end, at byte 60"},
    /* strings */
    {"{\"a\\x\":1}", 0, "unknown escape"},
    {"{\"a\\u12g4\":1}", 0, "bad \\u escape"},
    {"{\"a\\u12", 0, "bad \\u escape"},
    {"{\"a\\u0000\":1}", 0, "a NUL"},
    {"{\"\\ud83e\":1}", 0, "surrogate"},
    {"{\"\\ud83e\\n\":1}", 0, "surrogate"},
    {"{\"\\ud83e\\u0041\":1}", 0, "surrogate"},
    {"{\"\\udd8c\":1}", 0, "surrogate"},
    {"{\"a\nb\":1}", 0, "a control character"},
    {"{\"\xff\":1}", 0, "not UTF-8"},
    {"{\"\xc0\xaf\":1}", 0, "not UTF-8"},
    {"{\"\xe0\x80\xaf\":1}", 0, "not UTF-8"},
    {"{\"\xf0\x80\x80\xaf\":1}", 0, "not UTF-8"},
    {"{\"\xed\xa0\x80\":1}", 0, "not UTF-8"},
    {"{\"\xf4\x90\x80\x80\":1}", 0, "not UTF-8"},
    {"{\"\xe2\x82\":1}", 0, "not UTF-8"},
    {"{\"\xe2\x82", 0, "not UTF-8"},
    /* entries */
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "no 'data_offsets'"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"dtype\":\"U8\"}}", 1, "given twice"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"more\":1}}", 1,
     "tensor 'a': 'more' is no field"},
    {"{\"a\":{\"kind\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
     "tensor 'a': 'kind' is no field"},
    {"{\"a\":{\"dtype\":8,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "expected a string"},
    {"{" ENTRY("a", "BF16", "[1]", "[0,2]") "}", 2, "tensor 'a': dtype 'BF16' is not one of"},
    {"{" ENTRY("a", "f32", "[1]", "[0,4]") "}", 4, "dtype 'f32'"},
    {"{" ENTRY("a", "", "[1]", "[0,4]") "}", 4, "dtype ''"},
    /* shapes */
    {"{" ENTRY("a", "U8", "1", "[0,1]") "}", 1, "expected '['"},
    {"{" ENTRY("a", "U8", "[1,]", "[0,1]") "}", 1, "expected a non-negative integer"},
    {"{" ENTRY("a", "U8", "[-1]", "[0,1]") "}", 1, "expected a non-negative integer"},
    {"{" ENTRY("a", "U8", "[+1]", "[0,1]") "}", 1, "expected a non-negative integer"},
    {"{" ENTRY("a", "U8", "[01]", "[0,1]") "}", 1,
     "tensor 'a': expected a non-negative integer, got '01', at byte 36"},
    {"{" ENTRY("a", "U8", "[1.0]", "[0,1]") "}", 1, "expected a non-negative integer"},
    {"{" ENTRY("a", "U8", "[1e0]", "[0,1]") "}", 1, "expected a non-negative integer"},
    {"{" ENTRY("a", "U8", "[\"1\"]", "[0,1]") "}", 1, "expected a non-negative integer"},
    {"{" ENTRY("a", "U8", "[[1]]", "[0,1]") "}", 1, "expected a non-negative integer"},
    {"{" ENTRY("a", "U8", "[1", "[0,1]") "}", 1, "expected a non-negative integer, got '\"'"},
    {"{" ENTRY("a", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") "}", 1, "more than 8 dimensions"},
    {"{" ENTRY("a", "U8", "[9223372036854775808]", "[0,1]") "}", 1, "below 2^63"},
    {"{" ENTRY("a", "U8", "[18446744073709551617]", "[0,1]") "}", 1, "below 2^63"},
    {"{" ENTRY("a", "U8", "[4294967296,4294967296]", "[0,0]") "}", 0, "larger than memory"},
    {"{" ENTRY("a", "F64", "[2305843009213693952]", "[0,0]") "}", 0, "larger than memory"},
    {"{" ENTRY("a", "U8", "[0,4611686018427387905]", "[0,0]") "}", 0, "larger than memory"},
    /* spans */
    {"{" ENTRY("a", "F32", "[2]", "[0,4]") "}", 4, "F32[2] needs 8 bytes, data_offsets give it 4"},
    {"{" ENTRY("a", "F32", "[]", "[0,0]") "}", 0, "needs 4 bytes"},
    {"{" ENTRY("a", "U8", "[0]", "[0,1]") "}", 1, "needs 0 bytes"},
    {"{" ENTRY("a", "U8", "[1]", "[1,0]") "}", 1, "end before they begin"},
    {"{" ENTRY("a", "U8", "[1]", "[0]") "}", 1, "not [begin,end]"},
    {"{" ENTRY("a", "U8", "[1]", "[]") "}", 1, "not [begin,end]"},
    {"{" ENTRY("a", "U8", "[1]", "[0,1,2]") "}", 1, "more than two"},
    {"{" ENTRY("a", "U8", "[1]", "[-1,0]") "}", 1, "expected a non-negative integer"},
    {"{" ENTRY("a", "U8", "[2]", "[0,2]") "}", 1, "ends at data byte 2, but the file has 1"},
    {"{" ENTRY("a", "U8", "[2]", "[0,2]") "}", 3,
     "the tensors end at data byte 2, but the file has 3 (trailing"},
    {"{}", 1, "the tensors end at data byte 0, but the file has 1 (trailing"},
    {"{" ENTRY("a", "U8", "[1]", "[1,2]") "}", 2, "'a' starts at data byte 1, expected 0 (a hole)"},
    {"{" ENTRY("a", "U8", "[2]", "[0,2]") "," ENTRY("b", "U8", "[2]", "[1,3]") "}", 3,
     "'b' starts at data byte 1, expected 2 (an overlap)"},
    {"{" ENTRY("a", "U8", "[2]", "[0,2]") "," ENTRY("b", "U8", "[2]", "[0,2]") "}", 2, "overlap"},
    {"{" ENTRY("a", "U8", "[1]", "[0,1]") "," ENTRY("b", "U8", "[1]", "[2,3]") "}", 3, "a hole"},
    {"{" ENTRY("a", "U8", "[2]", "[0,2]") "," ENTRY("b", "U8", "[0]", "[1,1]") "}", 2, "overlap"},
    {"{" ENTRY("a", "U8", "[0]", "[5,5]") "}", 0, "a hole"},
    {"{" ENTRY("a", "U8", "[4611686018427387903]", "[0,4611686018427387903]") "}", 9,
     "but the file has 9"},
    /* names */
    {"{" ENTRY("a", "U8", "[1]", "[0,1]") "," ENTRY("a", "U8", "[1]", "[1,2]") "}", 2,
     "two tensors are named 'a'"},
    {"{" ENTRY("a", "U8", "[1]", "[0,1]") "," ENTRY("\\u0061", "U8", "[1]", "[1,2]") "}", 2,
     "two tensors are named 'a'"},
    {"{" ENTRY("x\\n\\u001b[31m'", "BF16", "[1]", "[0,1]") "}", 1, "'x\\x0a\\x1b[31m\\x27'"},
    {"{" ENTRY("x\\u009b2J", "BF16", "[1]", "[0,1]") "}", 1, "'x\\xc2\\x9b2J'"},
    /* metadata */
    {"{\"__metadata__\":1}", 0, "expected '{'"},
    {"{\"__metadata__\":{\"k\":1}}", 0, "expected a string"},
    {"{\"__metadata__\":{\"k\":{}}}", 0, "expected a string"},
    {"{\"__metadata__\":{\"k\"}}", 0, "expected ':'"},
    {"{\"__metadata__\":{\"k\":\"v\",}}", 0, "expected a string"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__ given twice"},
    {"{\"__metadata__\":{\"k\":\"v\",\"k\":\"w\"}}", 0, "metadata 'k' is given twice"},
};

static void test_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
        check_refused(made(malformed[i].header, strlen(malformed[i].header), malformed[i].data),
                      malformed[i].message);
    check_refused(made("{\"a\0b\":1}", 9, 0), "a control character"); /* a raw NUL */
    check_refused(made("{}\0\0", 4, 0), "text after");
}

/* Files whose first 8 bytes are not what they should be. */
static void test_header_length(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *message;
    } cases[] = {
        {"", 0, "an empty file"},
        {"\2", 1, "expected a safetensors file"},
        {"\2\0\0\0\0\0\0", 7, "expected a safetensors file"},
        {"\0\0\0\0\0\0\0\0", 8, "has only 8 bytes"},
        {"\3\0\0\0\0\0\0\0{}", 10, "truncated, a header of 3 bytes"},
        {"\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "a header of 18446744073709551615 bytes"},
        {"\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10, "truncated"},
        {"\0\0\0\0\1\0\0\0{}", 10, "truncated"},
        {"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16, "a PNG image"},
        {"PK\3\4\24\0\0\0\10\0abcdef", 16, "a zip archive"},
        {"{\"a\":{\"dtype\":\"F32\"}}", 21, "a text file"},
        {"\x1f\x8b\x08\0\0\0\0\0\0\3abcdef", 16, "a gzip archive"},
    };
    const char *path = test_tmp("length.safetensors");
    tp_mem_set_budget(tp_mem().live_bytes + 100000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(cases[i].bytes, 1, cases[i].n, f), cases[i].n);
        assert_int_equal(fclose(f), 0);
        check_refused(path, cases[i].message);
    }
    FILE *f = fopen(path, "wb"); /* a sparse file as large as its header claims to be */
    assert_non_null(f);
    assert_int_equal(fwrite("\1\xe1\xf5\5\0\0\0\0{", 1, 9, f), 9);
    assert_int_equal(fseek(f, 100000000 + 100, SEEK_SET), 0);
    fputc('}', f);
    assert_int_equal(fclose(f), 0);
    check_refused(path, "a header of 100000001 bytes, expected at most 100000000");
    remove(path);
    tp_mem_set_budget(0);
}

/* Every proper prefix is refused, and so is every prefix with garbage in place of the rest. */
static void test_truncation(void **state)
{
    (void)state;
    const char *path = test_tmp("whole.safetensors"), *cut = test_tmp("cut.safetensors");
    tp_tensor a = counted(TP_F32, TP_SHAPE(2, 2)), b = counted(TP_I64, TP_SHAPE(1));
    const tp_named_tensor items[2] = {{"weight", &a}, {"step", &b}};
    const char *const metadata[] = {"key", "value", NULL};
    char *data;
    size_t n;
    assert_ok(tp_safetensors_save(path, items, 2, metadata));
    assert_ok(tp_file_read_all(path, 1000, &data, &n));
    for (size_t k = 0; k < n; k++) {
        FILE *f = fopen(cut, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(data, 1, k, f), k);
        assert_int_equal(fclose(f), 0);
        check_refused(cut, "");
    }
    size_t refused = 0, live = tp_mem().live_bytes;
    for (size_t k = 0; k < n; k++) { /* one byte changed: refused, at the latest by its checksum */
        tp_safetensors s;
        FILE *f = fopen(cut, "wb");
        assert_non_null(f);
        data[k] ^= 0x15;
        assert_int_equal(fwrite(data, 1, n, f), n);
        data[k] ^= 0x15;
        assert_int_equal(fclose(f), 0);
        if (tp_safetensors_open(&s, cut) != TP_OK) {
            refused++;
        } else { /* unless its name is what has changed */
            tp_status status = tp_safetensors_verify(&s);
            assert_true(status == TP_EFORMAT ||
                        tp_safetensors_metadata(&s, TP_SAFETENSORS_CRC) == NULL);
            tp_safetensors_close(&s);
        }
        assert_int_equal(tp_mem().live_bytes, live);
    }
    assert_true(refused > 100);
    tp_free(data, n + 1);
    tp_tensor_free(&a);
    tp_tensor_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_no_tensors),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_special_values),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_reads_foreign_headers),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_header_length),
        cmocka_unit_test(test_truncation),

    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
