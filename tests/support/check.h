/* check.h: what every test includes: cmocka, and assertions that know numbers and statuses.
 *
 * cmocka's own assert_float_equal casts to float and lets NaN pass, so numbers are compared here. A
 * test program ends with `return cmocka_run_group_tests(tests, NULL, NULL) != 0;` because the plain
 * count of failures wraps at 256. Asserts leave the function by longjmp: never inside a parallel body.
 * Read next: tests/unit/test_check.c.
 */
#ifndef TP_TESTS_CHECK_H
#define TP_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tensor/status.h"
#include "tensor/tensor.h"

/* Under the address sanitizer all is several times slower. Long tests leave there what would show it no other code. */
#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* Tests that train until something is learned run at full speed only: anywhere else (sanitizers, valgrind, coverage) they
 * would take minutes and show no code that others do not. */
#ifdef NDEBUG
enum { FULL_SPEED = 1 };
#else
enum { FULL_SPEED = 0 };
#endif

/* |got - want| <= abs + rel |want|. NaN is close to NaN only, an infinity only to itself. */
bool close_enough(double got, double want, double abs, double rel);

/* Both are of one type and shape, in any layout, and equal bit for bit, the sign of zero included; or neither has any
 * memory. */
bool equal_bits(const tp_tensor *a, const tp_tensor *b);

#define assert_close(got, want, abs, rel)                                                          \
    check_close((double)(got), (double)(want), (abs), (rel), #got, __FILE__, __LINE__)

/* The call succeeds; if not, its message is printed. */
#define assert_ok(expr) check_status((expr), TP_OK, #expr, __FILE__, __LINE__)
#define assert_status(expr, status) check_status((expr), (status), #expr, __FILE__, __LINE__)

/* tp_last_error() contains text. */
#define assert_message(text) check_message((text), __FILE__, __LINE__)

/* The tensor at t has n elements; in row-major order each is close to the double in want. */
#define assert_tensor_close(t, want, n, abs, rel)                                                  \
    check_tensor((t), (want), (n), (abs), (rel), #t, __FILE__, __LINE__)

/* A path for name in a fresh directory of this process, which disappears at exit. The string stays
 * valid until then. */
const char *test_tmp(const char *name);

/* The path of optional data, below $TAPIR_SHARED or ../shared beside the source tree; NULL, after
 * saying so on stdout, if it is not there: then skip(). */
const char *test_shared(const char *rel);

void check_close(double got, double want, double abs, double rel, const char *text,
                 const char *file, int line);
void check_status(tp_status got, tp_status want, const char *text, const char *file, int line);
void check_message(const char *part, const char *file, int line);
void check_tensor(const tp_tensor *t, const double *want, int64_t n, double abs, double rel,
                  const char *text, const char *file, int line);

#endif
