/* test_json.c: what the reader of JSON takes, what it refuses and where it says that is, and the escapes.
 *
 * Every string and number is read from a buffer that is exactly as long, so that address checkers see a step
 * too far. The files that are read with it have their own tests: test_safetensors.c, tool/test_vae.sh.
 * Read next: tensor/io/json.h.
 */
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/io/json.h"
#include "tensor/utf8.h"

/* A reader of a copy of n bytes without anything behind; the copy is freed with free(). */
static tp_json over(const char *text, size_t n, char **copy)
{
    *copy = malloc(n > 0 ? n : 1);
    assert_non_null(*copy);
    memcpy(*copy, text, n);
    return tp_json_begin("f", *copy, (int64_t)n, 0, true);
}

/* --- strings ------------------------------------------------------------------------------------ */

static void test_strings(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want, *message; /* one of the two */
    } cases[] = {
        {"\"\"", "", NULL},
        {" \t\r\n\"a\"", "a", NULL},
        {"\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz", NULL},
        {"\"\\u0041\\u00e9\\u20ac\\uffff\"", "A\xc3\xa9\xe2\x82\xac\xef\xbf\xbf", NULL},
        {"\"\\uD83E\\udd8c\\udbff\\udfff\"", "\xf0\x9f\xa6\x8c\xf4\x8f\xbf\xbf", NULL},
        {"\"\xc3\xa9\x7f\xf4\x8f\xbf\xbf\"", "\xc3\xa9\x7f\xf4\x8f\xbf\xbf", NULL},
        {"", NULL, "f: expected a string, got the end, at line 1, byte 0"},
        {"\n\n x", NULL, "f: expected a string, got 'x', at line 3, byte 3"},
        {"\"", NULL, "a string without end, at line 1, byte 1"},
        {"\"a\\", NULL, "an unknown escape, at line 1, byte 2"},
        {"\"\\a\"", NULL, "an unknown escape"},
        {"\"\\u", NULL, "a bad \\u escape"},
        {"\"\\u00g0\"", NULL, "a bad \\u escape"},
        {"\"\\u0000\"", NULL, "a NUL in a string"},
        {"\"\\ud800\"", NULL, "half of a surrogate pair"},
        {"\"\\ud800\\u0041\"", NULL, "half of a surrogate pair"},
        {"\"\\ud800\\u", NULL, "half of a surrogate pair"},
        {"\"\\udc00\\ud800\"", NULL, "half of a surrogate pair"},
        {"\"a\nb\"", NULL, "a control character in a string, at line 1, byte 2"},
        {"\"\xff\"", NULL, "not UTF-8"},
        {"\"\xe2\x82", NULL, "not UTF-8"},
        {"\"\xed\xa0\x80\"", NULL, "not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *copy;
        const char *got = NULL;
        tp_json j = over(cases[i].text, strlen(cases[i].text), &copy);
        assert_status(tp_json_string(&j, &got), cases[i].want != NULL ? TP_OK : TP_EFORMAT);
        if (cases[i].want != NULL) {
            assert_string_equal(got, cases[i].want);
            assert_ok(tp_json_finish(&j));
        } else {
            assert_message(cases[i].message);
        }
        free(copy);
    }
    char *copy;
    const char *got;
    tp_json j = over("\"a\0b\"", 5, &copy);
    assert_status(tp_json_string(&j, &got), TP_EFORMAT);
    assert_message("a control character");
    free(copy);
}

/* Characters of every length, but NUL and the halves of pairs, come back, written as themselves or as escapes. */
static void test_every_character(void **state)
{
    (void)state;
    for (uint32_t c = 1; c < 0x110000; c += c < 0x1000 ? 1 : 61) {
        char text[32], raw[16], *copy;
        const char *got;
        if (c >= 0xd800 && c < 0xe000)
            continue;
        if (c < 0x10000)
            snprintf(text, sizeof text, "\"\\u%04x\"", c);
        else
            snprintf(text, sizeof text, "\"\\u%04x\\u%04x\"", 0xd800 + ((c - 0x10000) >> 10),
                     0xdc00 + (c & 0x3ff));
        tp_json j = over(text, strlen(text), &copy);
        assert_int_equal(tp_json_string(&j, &got), TP_OK);
        snprintf(raw, sizeof raw, "%.8s", got);
        assert_int_equal(tp_utf8_length(raw, raw + strlen(raw)), strlen(raw));
        free(copy);

        char written[32] = "\"";
        int used = 1;
        for (const char *p = raw, *end = raw + strlen(raw); p < end;)
            used += tp_json_escape(written + used, &p, end);
        written[used++] = '"';
        j = over(written, (size_t)used, &copy);
        assert_int_equal(tp_json_string(&j, &got), TP_OK);
        assert_string_equal(got, raw);
        free(copy);
    }
}

/* --- numbers ------------------------------------------------------------------------------------ */

static void test_numbers(void **state)
{
    (void)state;
    static const char *const good[] = {"0",   "-0",    "10",   "-7",  "0.5",       "-1.25",
                                       "1e5", "1E+05", "2e-3", "0e0", "12.50e+10", "1e999"};
    static const char *const bad[] = {"",   "-",   "+1",   "01",   "-01",   ".5",  "1.",    "1.e3",
                                      "1e", "1e+", "nan",  "inf",  "0x1",   "1_0", "1.2.3", "--1",
                                      "1-", "NaN", "true", "null", "\"1\"", "[1]", "1e5x",  "1,5"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char *copy;
        const char *text;
        int n;
        tp_json j = over(good[i], strlen(good[i]), &copy);
        assert_ok(tp_json_number(&j, &text, &n));
        assert_int_equal(n, strlen(good[i]));
        assert_memory_equal(text, good[i], n);
        free(copy);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *copy;
        const char *text;
        int n;
        tp_json j = over(bad[i], strlen(bad[i]), &copy);
        tp_status s = tp_json_number(&j, &text, &n);
        if (s == TP_OK) /* 1,5 is a number and something else */
            s = tp_json_finish(&j);
        assert_int_equal(s, TP_EFORMAT);
        free(copy);
    }
    char *copy;
    const char *text;
    int n;
    tp_json j = over("99999999999999999999999999x", 27, &copy);
    assert_status(tp_json_number(&j, &text, &n), TP_EFORMAT);
    assert_message("expected a number, got '999999999999999999999999...', at line 1, byte 0");
    free(copy);
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want; /* -1: refused */
        const char *message;
    } cases[] = {
        {"0", 0, NULL},
        {" 7", 7, NULL},
        {"9007199254740993", 9007199254740993, NULL}, /* no double has it */
        {"9223372036854775807", INT64_MAX, NULL},
        {"9223372036854775808", -1, "expected an integer below 2^63"},
        {"18446744073709551617", -1, "expected an integer below 2^63"},
        {"-1", -1, "expected a non-negative integer, got '-1'"},
        {"-0", -1, "expected a non-negative integer, got '-0'"},
        {"1.0", -1, "expected a non-negative integer, got '1.0'"},
        {"1e0", -1, "expected a non-negative integer, got '1e0'"},
        {"007", -1, "expected a non-negative integer, got '007'"},
        {"", -1, "expected a non-negative integer, got the end"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *copy;
        int64_t v = -1;
        tp_json j = over(cases[i].text, strlen(cases[i].text), &copy);
        assert_status(tp_json_size(&j, &v), cases[i].want >= 0 ? TP_OK : TP_EFORMAT);
        assert_int_equal(v, cases[i].want);
        if (cases[i].message != NULL)
            assert_message(cases[i].message);
        free(copy);
    }
}

/* --- structure ---------------------------------------------------------------------------------- */

static void test_structure(void **state)
{
    (void)state;
    static const char text[] = " [ 1 ,\n2 ] \n";
    char *copy;
    bool more;
    int64_t v;
    tp_json j = over(text, sizeof text - 1, &copy);
    assert_false(tp_json_accept(&j, '{'));
    assert_ok(tp_json_expect(&j, '['));
    assert_ok(tp_json_size(&j, &v));
    assert_ok(tp_json_next(&j, ']', &more));
    assert_true(more);
    assert_status(tp_json_finish(&j), TP_EFORMAT);
    assert_message("f: expected the end, got '2', at line 2, byte 7");
    assert_ok(tp_json_size(&j, &v));
    assert_status(tp_json_next(&j, '}', &more), TP_EFORMAT);
    assert_message("f: expected ',' or '}', got ']', at line 2, byte 9");
    assert_ok(tp_json_next(&j, ']', &more));
    assert_false(more);
    assert_ok(tp_json_finish(&j));
    assert_status(tp_json_expect(&j, '}'), TP_EFORMAT);
    assert_message("f: expected '}', got the end, at line 3, byte 12");
    free(copy);
}

/* What a message quotes cannot reach a terminal as a command, and places are counted as the file has them. */
static void test_messages(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *got;
    } cases[] = {
        {"\x1b[2J", 4, "got '\\x1b'"},
        {"\0", 1, "got '\\x00'"},
        {"\xc2\x9b", 2, "got '\\xc2\\x9b'"},
        {"\xff", 1, "got '\\xff'"},
        {"\xef\xbb\xbf{}", 5, "got '\\xef\\xbb\\xbf'"}, /* a byte order mark */
        {"\xe2\x80\xae", 3, "got '\\xe2\\x80\\xae'"},   /* right to left from here */
        {"\xc3\xa9", 2, "got '\xc3\xa9'"},
        {"\xc3", 1, "got '\\xc3'"},
        {"'a'", 3, "got '''"},
        {"abcdefghijklmnopqrstuvwxyz", 26, "got 'abcdefghijklmnopqrstuvwx...'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *copy;
        tp_json j = over(cases[i].text, cases[i].n, &copy);
        assert_status(tp_json_expect(&j, '{'), TP_EFORMAT);
        assert_message(cases[i].got);
        free(copy);
    }
    char text[] = "\"a\\nb\" 1";
    const char *s;
    tp_json j = tp_json_begin("f", text, sizeof text - 1, 8, true);
    assert_ok(tp_json_string(&j, &s)); /* now it holds a newline, which is not one of the file */
    j.where = "here";
    assert_status(tp_json_expect(&j, ','), TP_EFORMAT);
    assert_message("f: here: expected ',', got '1', at line 1, byte 15");
    j.line = 0;
    assert_status(tp_json_fail(&j, "%d things", 3), TP_EFORMAT);
    assert_message("f: here: 3 things, at byte 15");
}

static void test_escapes(void **state)
{
    (void)state;
    static const char text[] = "a\"\\\n\x7f\xc2\x9b\xc2\xa0\xff\xe2\x82";
    char got[64];
    int used = 0;
    for (const char *p = text, *end = text + sizeof text - 1; p < end;)
        used += tp_json_escape(got + used, &p, end);
    got[used] = 0;
    assert_string_equal(got, "a\\\"\\\\\\u000a\\u007f\\u009b\xc2\xa0\\ufffd\\ufffd\\ufffd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),  cmocka_unit_test(test_every_character),
        cmocka_unit_test(test_numbers),  cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_escapes),  cmocka_unit_test(test_structure),
        cmocka_unit_test(test_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
