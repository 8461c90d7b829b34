/* axis.h: from numbers to pixels, and the round numbers that stand at an axis. Read next: axis.c. */
#ifndef VAE_AXIS_H
#define VAE_AXIS_H

#include "tensor/text.h"

#include <stdbool.h>

typedef struct axis {
    double low, high; /* numbers at both ends */
    double from, to;  /* pixels there */
    bool log;
    bool whole;  /* what is counted: no ticks between whole numbers */
    double step; /* between ticks, where the ends were made two of them; else 0 */
} axis;

/* A number that can be drawn: finite, of moderate size, above 0 where the axis is logarithmic. */
bool axis_takes(const axis *a, double v);
/* Numbers that fit on it: makes low and high wide enough for v. Begin with low > high. */
void axis_include(axis *a, double v);
/* Behind the last of them: makes the axis longer than nothing, and with round its ends the ticks around. */
void axis_settle(axis *a, bool round);
double axis_pixel(const axis *a, double v);

/* The ticks: 1, 2 or 5 times a power of ten apart, or powers of ten; all within low and high. */
enum { AXIS_TICKS = 24 };
int axis_ticks(const axis *a, double tick[AXIS_TICKS]);
/* "0.25", "−3", "60k", "1.5M" */
char *axis_text(char text[TP_NUMBER_TEXT], double v);

#endif
