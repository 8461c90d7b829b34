/* 10_text.h: numbers as a pencil writes them: fractions, and sums of products with their result. */
#ifndef DOCS_LEARN_PARTS_10_TEXT_H
#define DOCS_LEARN_PARTS_10_TEXT_H

#include <stddef.h>

/* "-3/8", "2", "ln 3", "ln 4", else four digits. Valid until eight more are made. signed_number has
 * brackets around a negative one. */
const char *number(double x);
const char *signed_number(double x);

/* Prints text and blanks up to this many columns. */
void text_pad(const char *text, int columns);

/* "[1  -1/2  0]". Valid until eight more are made. */
const char *list(int n, const double *x);

/* Formatted text, valid until the next. */
const char *note(const char *format, ...);

/* "  name0 = 1/2·1 - 1·0 + 1 = 3/2   note" and a newline: Σ_k w[k·stride]·x[k] + b. */
void text_dot(const char *name, int i, int n, const double *w, int stride, const double *x,
              double b, double result, const char *note);

/* The matrix dy·xᵀ [out, in] with dy at its left and x above. */
void text_outer(const char *name, int out, int in, const double *dy, const double *x,
                const double *dw);

#endif
