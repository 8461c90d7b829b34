/* oracle.h: reading what PyTorch computed, and comparing with it.
 *
 * A comparison is relative: to the element, or for elements that cancelled nearly to zero to the largest of
 * their tensor. The worst deviation seen is kept, so that a run can say how near it was.
 * Read next: test_oracle_ops.c.
 */
#ifndef TP_TESTS_ORACLE_H
#define TP_TESTS_ORACLE_H

#include "tests/support/check.h"

#include <math.h>
#include <stdio.h>

#include "tensor/io/safetensors.h"

#define ORACLE_FILE(name) TAPIR_SOURCE_DIR "/tests/oracle/" name

/* `ORACLE_FIXTURE("vae.safetensors");` gives a test program that file, open between open_file and close_file, which are
 * for cmocka_run_group_tests. */
#define ORACLE_FIXTURE(name)                                                                       \
    static tp_safetensors file;                                                                    \
    static int open_file(void **state)                                                             \
    {                                                                                              \
        (void)state;                                                                               \
        return tp_safetensors_open(&file, ORACLE_FILE(name)) != TP_OK;                             \
    }                                                                                              \
    static int close_file(void **state)                                                            \
    {                                                                                              \
        (void)state;                                                                               \
        tp_safetensors_close(&file);                                                               \
        return 0;                                                                                  \
    }                                                                                              \
    _Static_assert(sizeof(name) > 1, "a file is needed") /* takes the semicolon */

enum { ORACLE_NAME = 128 };

/* "<a>.<b>" */
static inline const char *joined(char text[ORACLE_NAME], const char *a, const char *b)
{
    int n = snprintf(text, ORACLE_NAME, "%s.%s", a, b);
    assert_in_range(n, 1, ORACLE_NAME - 1);
    return text;
}

/* The tensor of that name; the caller frees it. */
static inline tp_tensor oracle_load(const tp_safetensors *file, const char *name)
{
    tp_tensor t = {0};
    assert_ok(tp_safetensors_load_new(file, name, &t));
    return t;
}

/* The same as floats of dtype. */
static inline tp_tensor oracle_load_as(const tp_safetensors *file, const char *name, tp_dtype dtype)
{
    tp_tensor raw = oracle_load(file, name), t;
    assert_ok(tp_tensor_new(&t, dtype, raw.shape));
    assert_ok(tp_copy(&t, &raw));
    tp_tensor_free(&raw);
    return t;
}

static inline double oracle_item(const tp_safetensors *file, const char *name)
{
    tp_tensor t = oracle_load(file, name);
    double value = tp_item(&t);
    tp_tensor_free(&t);
    return value;
}

static inline double largest(const tp_tensor *t)
{
    double most = 0;
    for (int64_t i = 0; i < tp_numel(t); i++)
        if (isfinite(tp_flat(t, i)))
            most = fmax(most, fabs(tp_flat(t, i)));
    return most;
}

/* Every element is within rel of want, or within abs. */
static inline void compare_within(const char *what, const tp_tensor *got, const tp_tensor *want,
                                  double rel, double abs, double *worst)
{
    assert_non_null(got);
    if (!tp_shape_equal(got->shape, want->shape))
        fail_msg("%s: the shape differs from PyTorch's", what);
    for (int64_t i = 0; i < tp_numel(want); i++) {
        double g = tp_flat(got, i), w = tp_flat(want, i);
        if (!close_enough(g, w, abs, rel))
            fail_msg("%s: element %lld is %.17g, PyTorch says %.17g", what, (long long)i, g, w);
        if (isfinite(w) && g != w)
            *worst = fmax(*worst, fabs(g - w) / fmax(fabs(w), abs / rel));
    }
}

/* Every element is within rel of want, or within rel/10 of the largest of its tensor. */
static inline void compare(const char *what, const tp_tensor *got, const tp_tensor *want,
                           double rel, double *worst)
{
    compare_within(what, got, want, rel, rel / 10 * largest(want), worst);
}

/* ‖got − want‖ / ‖want‖ */
static inline double norm_deviation(const tp_tensor *got, const tp_tensor *want)
{
    double off = 0, all = 0;
    assert_true(tp_shape_equal(got->shape, want->shape));
    for (int64_t i = 0; i < tp_numel(want); i++) {
        double d = tp_flat(got, i) - tp_flat(want, i);
        off += d * d;
        all += tp_flat(want, i) * tp_flat(want, i);
    }
    return off == 0 ? 0 : sqrt(off / all);
}

#endif
