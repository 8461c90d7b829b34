/* test_check.c: the checks are checked: each of them must be able to fail. */
#define _XOPEN_SOURCE 700

#include "tests/support/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_close_enough(void **state)
{
    (void)state;
    assert_true(close_enough(1.0, 1.0, 0, 0));
    assert_true(close_enough(-0.0, 0.0, 0, 0));
    assert_false(close_enough(1.0, nextafter(1.0, 2.0), 0, 0));
    assert_false(close_enough(1.0, 1.0 + 1e-9, 0, 0)); /* equal as floats */
    assert_true(close_enough(1.0, 1.5, 0.5, 0));
    assert_false(close_enough(1.0, 1.5, 0.499, 0));
    assert_true(close_enough(90.0, 100.0, 0, 0.1));
    assert_false(close_enough(89.0, 100.0, 0, 0.1));
    assert_false(close_enough(1e-300, 0.0, 0, 1));
}

static void test_nan_and_infinity(void **state)
{
    (void)state;
    assert_true(close_enough(NAN, NAN, 0, 0));
    assert_false(close_enough(NAN, 1.0, INFINITY, INFINITY));
    assert_false(close_enough(1.0, NAN, INFINITY, INFINITY));
    assert_false(close_enough(NAN, INFINITY, 1, 1));
    assert_true(close_enough(INFINITY, INFINITY, 0, 0));
    assert_false(close_enough(INFINITY, -INFINITY, 1, 1));
    assert_false(close_enough(1e308, INFINITY, 1, 1)); /* rel * inf would let anything pass */
    assert_false(close_enough(INFINITY, 1e308, 1, 1));
}

/* Whatever their size, so that two of size 0 are equal, and whatever their layout. */
static void test_equal_bits(void **state)
{
    (void)state;
    const tp_shape shapes[] = {TP_DIMS(), TP_DIMS(6), TP_DIMS(2, 3), TP_DIMS(3, 0),
                               TP_DIMS(2, 0, 3)};
    tp_tensor x, y, f32, flat;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        assert_ok(tp_tensor_new(&x, TP_F64, shapes[i]));
        assert_ok(tp_clone(&y, &x));
        assert_ok(tp_tensor_new(&f32, TP_F32, shapes[i]));
        assert_true(equal_bits(&x, &y));
        assert_false(equal_bits(&x, &f32));
        assert_false(equal_bits(&x, &(tp_tensor){0}));
        if (tp_numel(&y) > 0) {
            assert_ok(tp_set_flat(&y, tp_numel(&y) - 1, -0.0));
            assert_false(equal_bits(&x, &y));
        }
        tp_tensor_free(&x), tp_tensor_free(&y), tp_tensor_free(&f32);
    }
    assert_ok(tp_tensor_new(&x, TP_F64, TP_SHAPE(2, 3)));
    assert_ok(tp_tensor_new(&flat, TP_F64, TP_SHAPE(3, 2)));
    assert_false(equal_bits(&x, &flat));
    assert_ok(tp_view_transpose(&flat, 0, 1, &y));
    assert_true(equal_bits(&x, &y));     /* in another layout */
    assert_ok(tp_set_flat(&flat, 1, 7)); /* y[1,0] */
    assert_false(equal_bits(&x, &y));
    assert_ok(tp_set_flat(&x, 3, 7));
    assert_true(equal_bits(&x, &y));
    tp_tensor_free(&x), tp_tensor_free(&flat);
}

/* Runs one failing check in a child whose cmocka report is thrown away; returns its exit code. */
static void (*failing)(void);

static void run_failing(void **state)
{
    (void)state;
    failing();
}

static int exit_code_of(void (*check)(void))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        failing = check;
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(99);
        const struct CMUnitTest tests[] = {cmocka_unit_test(run_failing)};
        int failures = cmocka_run_group_tests(tests, NULL, NULL);
        _exit(failures != 0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void fine(void)
{
    assert_close(1.0, 1.0, 0, 0);
    assert_ok(TP_OK);
}

static void nan_for_number(void)
{
    assert_close(NAN, 1.0, 1e9, 0);
}

static void not_ok(void)
{
    assert_ok(TP_EARG);
}

static void other_status(void)
{
    assert_status(TP_EARG, TP_EIO);
}

static void other_message(void)
{
    tp_fail(TP_EARG, "here: apples");
    assert_message("pears");
}

static void wrong_element(void)
{
    tp_tensor t;
    assert_ok(tp_tensor_from(&t, TP_F64, TP_SHAPE(2), (double[]){1, 2}));
    tp_tensor copy = t;
    static const double want[] = {1, 3};
    assert_tensor_close(&copy, want, 2, 0, 0);
    tp_tensor_free(&t);
}

static void wrong_count(void)
{
    tp_tensor t;
    assert_ok(tp_tensor_from(&t, TP_F64, TP_SHAPE(2), (double[]){1, 2}));
    static const double want[] = {1};
    assert_tensor_close(&t, want, 1, 0, 0);
    tp_tensor_free(&t);
}

static void test_checks_fail(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of(fine), 0);
    assert_int_equal(exit_code_of(nan_for_number), 1);
    assert_int_equal(exit_code_of(not_ok), 1);
    assert_int_equal(exit_code_of(other_status), 1);
    assert_int_equal(exit_code_of(other_message), 1);
    assert_int_equal(exit_code_of(wrong_element), 1);
    assert_int_equal(exit_code_of(wrong_count), 1);
}

static void test_checks_pass(void **state)
{
    (void)state;
    assert_status(tp_fail(TP_EIO, "%s: not there", "a.npy"), TP_EIO);
    assert_message("a.npy: not there");
    tp_tensor t;
    assert_ok(tp_tensor_from(&t, TP_F32, TP_SHAPE(2, 2), (float[]){1, 2, 3, (float)NAN}));
    tp_tensor turned;
    assert_ok(tp_view_transpose(&t, 0, 1, &turned));
    static const double want[] = {1, 3, 2, NAN};
    assert_tensor_close(&turned, want, 4, 0, 0);
    tp_tensor_free(&t);
}

static void test_files(void **state)
{
    (void)state;
    const char *a = test_tmp("a"), *b = test_tmp("b");
    assert_string_not_equal(a, b);
    FILE *f = fopen(a, "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(access(a, R_OK), 0);

    const char *before = getenv("TAPIR_SHARED");
    char *saved = before ? strdup(before) : NULL;
    char folder[4096];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(a, '/') - a), a);
    assert_int_equal(setenv("TAPIR_SHARED", folder, 1), 0);
    assert_string_equal(test_shared("a"), a);
    assert_null(test_shared("no such file"));
    if (saved)
        setenv("TAPIR_SHARED", saved, 1);
    else
        unsetenv("TAPIR_SHARED");
    free(saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close_enough), cmocka_unit_test(test_nan_and_infinity),
        cmocka_unit_test(test_checks_fail),  cmocka_unit_test(test_checks_pass),
        cmocka_unit_test(test_files),        cmocka_unit_test(test_equal_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
