/* chart.h: charts as SVG: lines, points or bars over axes with round numbers, several on a sheet, with a legend.
 *
 * A sheet stands alone as a file or within a page. It is readable in light and dark, and nothing is told apart by colour
 * alone: lines have dashes or markers, too, points have shapes. Same numbers, same bytes. Read next: chart.c, axis.h.
 */
#ifndef VAE_CHART_H
#define VAE_CHART_H

#include "json.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum chart_kind {
    CHART_LINES, /* through the points; a value that is no number is a gap */
    CHART_POINTS,
    CHART_BARS /* from 0 to y, side by side; x is the number below each */
} chart_kind;

typedef struct chart_series {
    const char *name; /* in the legend */
    const double *x, *y;
    int64_t n;
    int look;   /* colour, and the shape of points: 0, 1, … */
    int dash;   /* of a line: 0 is solid */
    int marker; /* shape of marks here and there on a line, from 1; 0: none */
} chart_series;

typedef struct chart {
    chart_kind kind;
    const char *title, *x_label, *y_label;
    bool log_x;   /* what is not above 0 is left out then */
    bool whole_x; /* counted: no ticks between whole numbers */
    bool zero;    /* the vertical axis begins at 0 */
    bool equal;   /* a unit is as long on both axes; the chart is square */
    const chart_series *series;
    int n;
} chart;

typedef struct chart_sheet {
    const char *title; /* what a screen reader says */
    const chart *charts;
    int n, columns;             /* so many side by side */
    const chart_series *legend; /* names and looks */
    int legends;                /* 0: no legend */
} chart_sheet;

/* One <svg> element. */
void chart_svg(json *out, const chart_sheet *sheet);

#endif
