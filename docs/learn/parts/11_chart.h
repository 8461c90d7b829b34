/* 11_chart.h: lines in a frame for the pictures of chapter 11, on top of draw.h. dashes as in SVG, or "none". */
#ifndef DOCS_LEARN_PARTS_11_CHART_H
#define DOCS_LEARN_PARTS_11_CHART_H

#include <stdbool.h>

/* What part of the plane, and where it is drawn. */
typedef struct chart {
    double x0, x1, y0, y1;
    double left, top, width, height;
} chart;

/* A line across at y, or a mark at x, with a label. */
void chart_tick_y(const chart *c, double y, const char *label);
void chart_tick_x(const chart *c, double x, const char *label);
/* Through n points, with dots at them if asked for. */
void chart_line(const chart *c, int n, double at[][2], const char *colour, const char *dashes,
                bool dots);
/* Around the origin. */
void chart_ellipse(const chart *c, double rx, double ry);
/* A line of a key, in pixels. */
void chart_key(double x, double y, const char *colour, const char *dashes, const char *label);

#endif
