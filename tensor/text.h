/* text.h: numbers and tensors as text. Private to the library and its tools.
 *
 * Everything that is shown to people goes through here, so that a number reads the same in a derivation, in
 * tp_print and in the reference. A locale's decimal comma never shows. Read next: print.h.
 */
#ifndef TP_TENSOR_TEXT_H
#define TP_TENSOR_TEXT_H

#include <stdio.h>
#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A bounded buffer. What does not fit is dropped and the text ends in "…". */
enum { TP_TEXT_BYTES = 4096 };
typedef struct tp_text {
    size_t used;
    bool cut;
    char data[TP_TEXT_BYTES];
} tp_text;

/* Not for numbers with a point: those go through tp_text_number. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void tp_text_add(tp_text *t, const char *format, ...);
/* Columns on a terminal: code points that do not combine with the one before. */
int tp_text_columns(const char *s);

/* v as printf's %g, %f or %e (style is the letter) with so many digits, in every locale as in C; "nan" has no
 * sign. Returns text, which is cut if it is too long. */
enum { TP_NUMBER_TEXT = 48 };
char *tp_number(char text[TP_NUMBER_TEXT], char style, int digits, double v);
/* Puts a point where the text of a number has something else between its digits. */
void tp_number_point(char *text);
/* v with so many significant digits. */
void tp_text_number(tp_text *t, int digits, double v);

/* At most 12 elements whole, in one line; otherwise a corner, the range and the 2-norm. */
void tp_text_tensor(tp_text *t, const tp_tensor *x);
/* Its element i in row-major order, and "from -3 to 28, norm 5", as above. */
void tp_text_element(tp_text *t, const tp_tensor *x, int64_t i);
void tp_text_summary(tp_text *t, const tp_tensor *x);
/* What stands in a tensor: how many elements, how many of them NaN, inf and -inf, the index of the first of
 * these (-1: there is none), and where the smallest and the largest of the others are (NULL: there is none). */
typedef struct tp_census {
    int64_t n, nan, up, down, first;
    const void *lo, *hi;
} tp_census;
tp_census tp_take_census(const tp_tensor *x);
/* "1 NaN, 2 inf": what is not finite; of a single element only what it is. */
void tp_text_odd(tp_text *t, const tp_census *c);
/* "from -3 to 28, 1 NaN", floats with so many significant digits; of a single element its value. */
void tp_text_range(tp_text *t, const tp_tensor *x, int digits);

/* TP_EIO, naming who wrote, unless all that was written to out has arrived. */
tp_status tp_text_written(FILE *out, const char *who);

#ifdef __cplusplus
}
#endif
#endif
