/* 12_picture.h: rows of digits and charts of curves, out of the shapes of draw.h. Read next:
 * 12_real_vae.c. */
#ifndef DOCS_LEARN_PARTS_12_PICTURE_H
#define DOCS_LEARN_PARTS_12_PICTURE_H

#include "docs/learn/digits.h"
#include "docs/learn/plot.h"

/* Rows of digits: a label, then the first LEARN_ACROSS of x [.., pixels], ink from 0 to 1. Between draw_begin, LEARN_WIDE
 * wide and LEARN_ROW high for each row, and draw_end. */
enum { LEARN_ACROSS = 10, LEARN_ROW = 62, LEARN_LABEL = 190 };
enum { LEARN_WIDE = LEARN_LABEL + LEARN_ACROSS * LEARN_ROW };
tp_status learn_draw_digits(int row, const char *label, tp_var x);

/* A chart of curves over whole numbers from 0 on; both axes begin at 0. Calls draw_begin; the caller draw_end. */
typedef struct learn_chart {
    int x_max, x_tick, y_max, y_tick;
    const char *x_name, *y_name;
} learn_chart;
void learn_chart_begin(const learn_chart *c, const char *title);
/* A line across, with words under its right end. */
void learn_chart_level(const learn_chart *c, double y, const char *words);
/* Means over five of y[0 … x_max − 1], so that single values do not hide the line; words at (words_x, words_y). */
void learn_chart_curve(const learn_chart *c, const double *y, const char *colour, int words_x,
                       int words_y, const char *words);

#endif
