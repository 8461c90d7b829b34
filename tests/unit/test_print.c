/* test_print.c: tensors as people see them, against golden text (tests/support/golden.h), and the numbers in
 * it, in locales that write a comma. Read next: tensor/print.h.
 */
#define _POSIX_C_SOURCE 200809L

#include "tests/support/check.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tensor/print.h"
#include "tensor/text.h"
#include "tests/support/golden.h"
#include "tests/support/views.h"

/* --- a page of tensors -------------------------------------------------------------------------- */

static void put(FILE *f, const char *title, const tp_tensor *t)
{
    fprintf(f, "%s\n", title);
    assert_ok(tp_print(f, t));
    fprintf(f, "\n");
}

static void put_values(FILE *f, const char *title, tp_dtype dtype, tp_shape shape, const double *v)
{
    tp_tensor t;
    assert_ok(tp_tensor_new(&t, dtype, shape));
    for (int64_t i = 0; i < tp_numel(&t); i++)
        assert_ok(tp_set_flat(&t, i, v[i]));
    put(f, title, &t);
    tp_tensor_free(&t);
}

/* Elements 0, 1, 2 … scaled. */
static void put_counted(FILE *f, const char *title, tp_dtype dtype, tp_shape shape, double scale)
{
    tp_tensor t;
    assert_ok(tp_tensor_new(&t, dtype, shape));
    for (int64_t i = 0; i < tp_numel(&t); i++)
        assert_ok(tp_set_flat(&t, i, scale * (double)(dtype == TP_U8 ? i % 256 : i)));
    put(f, title, &t);
    tp_tensor_free(&t);
}

static void check_page(FILE *f, const char *name)
{
    char *text = slurp(f);
    assert_golden(name, text);
    free(text);
}

static void test_numbers(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    const double mixed[] = {1, 0.5, -2.25, 3, 0.125, 100};
    const double odd[] = {0.5, NAN, INFINITY, -INFINITY, -0.0, 2};
    const double wide[] = {1.5e-4, 1, 12345.678, 0};
    const double powers[] = {1e-300, 1, 1e300, 0};
    const double large[] = {12345678, -1, 0};
    const double larger[] = {123456789, -1, 0};
    const double near[] = {9.9996, 1, 2};
    const double half[] = {1000.5, 123456.7, 2};
    put_values(f, "whole numbers", TP_F32, TP_SHAPE(2, 3), (double[]){1, -2, 3, 4, 50, 6});
    put_values(f, "fractions", TP_F64, TP_SHAPE(2, 3), mixed);
    put_values(f, "not finite", TP_F32, TP_SHAPE(6), odd);
    put_values(f, "nothing finite", TP_F32, TP_SHAPE(2), odd + 1);
    put_values(f, "nearly too wide", TP_F64, TP_SHAPE(3), wide + 1);
    put_values(f, "too wide for fixed notation", TP_F64, TP_SHAPE(4), wide);
    put_values(f, "exponents of three digits", TP_F64, TP_SHAPE(4), powers);
    put_values(f, "eight digits", TP_F64, TP_SHAPE(3), large);
    put_values(f, "nine digits", TP_F64, TP_SHAPE(3), larger);
    put_values(f, "rounded up", TP_F64, TP_SHAPE(3), near);
    put_values(f, "a fraction shows as one", TP_F64, TP_SHAPE(3), half);
    put_values(f, "a tenth in f32", TP_F32, TP_SHAPE(2), (double[]){0.1, 0.3});
    put_values(f, "a scalar", TP_F64, TP_SHAPE(), (double[]){3.14159265});
    put_values(f, "labels", TP_I64, TP_SHAPE(3), (double[]){7, -12, 0});
    put_values(f, "pixels", TP_U8, TP_SHAPE(2, 2), (double[]){0, 255, 7, 10});
    int64_t exact[] = {INT64_MAX, INT64_MIN, (INT64_C(1) << 53) + 1};
    tp_tensor t;
    assert_ok(tp_tensor_from(&t, TP_I64, TP_SHAPE(3), exact));
    put(f, "integers beyond doubles", &t);
    tp_tensor_free(&t);
    check_page(f, "print_numbers");
}

static void test_shapes(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    put_counted(f, "no elements", TP_F32, TP_SHAPE(0, 3), 1);
    put_counted(f, "no elements inside", TP_F32, TP_SHAPE(3, 0), 1);
    put_counted(f, "one element in two axes", TP_I64, TP_SHAPE(1, 1), 1);
    put_counted(f, "a row that breaks", TP_F32, TP_SHAPE(30), 0.25);
    put_counted(f, "rows that break", TP_F32, TP_SHAPE(2, 30), 0.25);
    put_counted(f, "256 elements, whole", TP_U8, TP_SHAPE(16, 16), 1);
    put_counted(f, "257 elements, cut", TP_I64, TP_SHAPE(257), 1);
    put_counted(f, "long rows", TP_F32, TP_SHAPE(4, 100), 0.5);
    put_counted(f, "many rows", TP_F64, TP_SHAPE(100, 4), 0.5);
    put_counted(f, "blocks", TP_U8, TP_SHAPE(10, 20, 30), 1);
    put_counted(f, "eight axes", TP_I64, TP_SHAPE(2, 1, 2, 1, 2, 1, 1, 2), 1);
    put_counted(f, "eight axes, cut", TP_F32, TP_SHAPE(3, 3, 3, 1, 7, 2, 2, 3), 1);
    check_page(f, "print_shapes");
}

/* No line is wider than 100 columns, however many brackets close behind it. */
static void test_width(void **state)
{
    (void)state;
    for (int ndim = 1; ndim <= TP_MAX_DIMS; ndim++)
        for (int64_t n = 40; n <= 52; n++) {
            tp_shape shape = {ndim, {1, 1, 1, 1, 1, 1, 1, 1}};
            shape.dim[ndim - 1] = n;
            FILE *f = tmpfile();
            assert_non_null(f);
            put_counted(f, "one row", TP_U8, shape, 0);
            char *page = slurp(f);
            for (char *line = strtok(page, "\n"); line != NULL; line = strtok(NULL, "\n"))
                assert_in_range(tp_text_columns(line), 1, 100);
            free(page);
        }
}

/* The layout in memory does not show. */
static void test_layouts(void **state)
{
    (void)state;
    for (int how = 0; how < LAYOUT_COUNT; how++) {
        tp_tensor owner, view, copy;
        FILE *a = tmpfile(), *b = tmpfile();
        make_view(&owner, &view, TP_F32, TP_SHAPE(9, 4, 11), (layout)how, random_value);
        assert_ok(tp_clone(&copy, &view));
        assert_ok(tp_print(a, &view));
        assert_ok(tp_print(b, &copy));
        char *got = slurp(a), *want = slurp(b);
        assert_string_equal(got, want);
        free(got);
        free(want);
        tp_tensor_free(&copy);
        tp_tensor_free(&owner);
    }
}

/* However many axes are long, a page stays a page. */
static void test_size(void **state)
{
    (void)state;
    for (int64_t n = 3; n <= 8; n++) {
        tp_tensor t, all;
        FILE *f = tmpfile();
        assert_ok(tp_tensor_new(&t, TP_F32, TP_SHAPE(1, 1, 1, 1, 1, 1, 1, 1)));
        assert_ok(tp_view_expand(&t, TP_SHAPE(n, n, n, n, n, n, n, n), &all));
        assert_ok(tp_print(f, &all));
        char *text = slurp(f);
        assert_in_range(strlen(text), 256, 16384);
        free(text);
        tp_tensor_free(&t);
    }
}

static void test_failures(void **state)
{
    (void)state;
    tp_tensor empty = {0}, t;
    FILE *f = tmpfile(), *full = fopen("/dev/full", "w");
    assert_status(tp_print(f, &empty), TP_EARG);
    check_page(f, "print_empty");
    assert_ok(tp_tensor_new(&t, TP_F32, TP_SHAPE(3)));
    if (full != NULL) {
        assert_status(tp_print(full, &t), TP_EIO);
        fclose(full);
    }
    tp_tensor_free(&t);
}

/* --- numbers ------------------------------------------------------------------------------------ */

static void check_point(const char *text, const char *want)
{
    char buffer[TP_NUMBER_TEXT];
    snprintf(buffer, sizeof buffer, "%s", text);
    tp_number_point(buffer);
    assert_string_equal(buffer, want);
}

static void test_point(void **state)
{
    (void)state;
    check_point("3,14", "3.14");
    check_point("3.14", "3.14");
    check_point("-1\xd9\xab"
                "25e-07",
                "-1.25e-07"); /* U+066B, two bytes */
    check_point("1e+10", "1e+10");
    check_point("42", "42");
    check_point("inf", "inf");
    check_point("-inf", "-inf");
    check_point("nan", "nan");
    check_point("", "");
}

/* glibc's localedef makes a locale with a comma where none is installed. */
static bool use_comma(void)
{
    char command[700];
    const char *folder = test_tmp("locales");
    assert_int_equal(mkdir(folder, 0700), 0);
    snprintf(command, sizeof command,
             "localedef -i de_DE -f UTF-8 '%s/de_DE.UTF-8' >/dev/null 2>&1", folder);
    if (system(command) == 0)
        assert_int_equal(setenv("LOCPATH", folder, 1), 0);
    return setlocale(LC_ALL, "de_DE.UTF-8") != NULL;
}

static void test_locale(void **state)
{
    (void)state;
    char text[TP_NUMBER_TEXT];
    if (!use_comma()) {
        print_message("no locale with a decimal comma here: only test_point has looked\n");
        skip();
    }
    snprintf(text, sizeof text, "%.2f", 0.5);
    assert_string_equal(text, "0,50"); /* or this would test nothing */
    test_numbers(state);
    test_shapes(state);
    assert_string_equal(tp_number(text, 'g', 4, -NAN), "nan");
    setlocale(LC_ALL, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_width),   cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_size),    cmocka_unit_test(test_failures),
        cmocka_unit_test(test_point),   cmocka_unit_test(test_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
