/* 10_text.c: numbers as a pencil writes them. */
#include "docs/learn/parts/10_text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

const char *number(double x)
{
    static char text[8][24];
    static int at;
    char *t = text[at = (at + 1) % 8];
    double n = round(x * 64);
    int d = 64;
    for (int k = 3; k <= 4; k++)
        if (fabs(fabs(x) - log(k)) < 1e-12) {
            snprintf(t, sizeof text[0], "%sln %d", x < 0 ? "-" : "", k);
            return t;
        }
    if (fabs(x * 64 - n) > 1e-9) {
        snprintf(t, sizeof text[0], "%.4f", x);
        return t;
    }
    for (; d > 1 && fmod(n, 2) == 0; d /= 2)
        n /= 2;
    if (d == 1)
        snprintf(t, sizeof text[0], "%.0f", n == 0 ? 0.0 : n);
    else
        snprintf(t, sizeof text[0], "%.0f/%d", n, d);
    return t;
}

const char *signed_number(double x)
{
    static char text[8][32];
    static int at;
    char *t = text[at = (at + 1) % 8];
    snprintf(t, sizeof text[0], x < 0 ? "(%s)" : "%s", number(x));
    return t;
}

/* Bytes that begin a character, combining marks (U+0300 to U+036F) left out. */
static int columns_of(const char *text)
{
    int n = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++)
        n += (*c & 0xC0) != 0x80 && *c != 0xCC && *c != 0xCD;
    return n;
}

void text_pad(const char *text, int columns)
{
    printf("%s%*s", text, columns > columns_of(text) ? columns - columns_of(text) : 0, "");
}

const char *list(int n, const double *x)
{
    static char text[8][96];
    static int which;
    char *t = text[which = (which + 1) % 8];
    int at = snprintf(t, sizeof text[0], "[");
    for (int i = 0; i < n; i++)
        at +=
            snprintf(t + at, sizeof text[0] - (size_t)at, "%s%s", i > 0 ? "  " : "", number(x[i]));
    snprintf(t + at, sizeof text[0] - (size_t)at, "]");
    return t;
}

const char *note(const char *format, ...)
{
    static char text[128];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return text;
}

void text_dot(const char *name, int i, int n, const double *w, int stride, const double *x,
              double b, double result, const char *note)
{
    char line[256];
    int at = snprintf(line, sizeof line, "  %s%d = ", name, i);
    for (int k = 0; k < n; k++) {
        double c = w[k * stride];
        const char *sign = c < 0 ? (k > 0 ? " - " : "-") : (k > 0 ? " + " : "");
        at += snprintf(line + at, sizeof line - (size_t)at, "%s%s·%s", sign, number(fabs(c)),
                       signed_number(x[k]));
    }
    if (b != 0)
        at += snprintf(line + at, sizeof line - (size_t)at, " %c %s", b < 0 ? '-' : '+',
                       number(fabs(b)));
    snprintf(line + at, sizeof line - (size_t)at, " = %s", number(result));
    text_pad(line, note[0] == '\0' ? 0 : 54);
    printf("%s\n", note);
}

void text_outer(const char *name, int out, int in, const double *dy, const double *x,
                const double *dw)
{
    for (int i = -1; i < out; i++) {
        text_pad(i < 0 ? name : "", 6);
        text_pad(i < 0 ? "" : number(dy[i]), 6);
        printf(i < 0 ? "  " : "| ");
        for (int j = 0; j < in; j++)
            text_pad(number(i < 0 ? x[j] : dw[i * in + j]), j + 1 < in ? 6 : 0);
        putchar('\n');
    }
}
