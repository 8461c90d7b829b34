/* plot.h: charts of the book: curves, dots, bars and ellipses at places given by their numbers, between draw_begin and
 * draw_end of draw.h. Lines are told apart by their dashes, too. */
#ifndef DOCS_LEARN_PLOT_H
#define DOCS_LEARN_PLOT_H

#include "docs/learn/draw.h"

#include <stdbool.h>

#define PLOT_BLUE DRAW_FORWARD
#define PLOT_ORANGE DRAW_BACKWARD
#define PLOT_GREEN "#00704a"

/* A frame of pixels and the numbers that its borders stand for. */
typedef struct plot {
    double left, top, right, bottom; /* pixels */
    double x0, x1, y0, y1;           /* numbers, at left and right, bottom and top */
} plot;

/* The horizontal axis with n numbers under it, and what they mean. */
void plot_axis(const plot *p, int n, const double *ticks, const char *format, const char *label);
/* style: further attributes, as "stroke-dasharray='4 4'". */
void plot_curve(const plot *p, int n, const double *x, const double *y, const char *colour,
                const char *style);
void plot_line(const plot *p, double xa, double ya, double xb, double yb, const char *colour,
               const char *style);
void plot_dot(const plot *p, double x, double y, const char *colour);
/* From the number 0 up to y, between xa and xb. */
void plot_bar(const plot *p, double xa, double xb, double y, const char *colour);
/* Half axes a along (1, −1) and b along (1, 1) of a frame with equal scales. */
void plot_ellipse(const plot *p, double x, double y, double a, double b, const char *colour,
                  const char *style);
/* Half axes rx, ry along the axes, thin and grey. */
void plot_contour(const plot *p, double x, double y, double rx, double ry);
/* A grey line across at y, or a mark under x, with its label. */
void plot_tick_y(const plot *p, double y, const char *label);
void plot_tick_x(const plot *p, double x, const char *label);
/* Through n points, with dots at them if asked for. dashes as in SVG, or "none". */
void plot_path(const plot *p, int n, double at[][2], const char *colour, const char *dashes,
               bool dots);
/* A line of a key, in pixels. */
void plot_key(double x, double y, const char *colour, const char *dashes, const char *label);
/* dx, dy: pixels away from the place. anchor is start, middle or end. */
void plot_text(const plot *p, double x, double y, double dx, double dy, const char *anchor,
               const char *colour, const char *text);

#endif
