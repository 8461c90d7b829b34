/* 11_chart.c: lines in a frame, printed as SVG. */
#include "docs/learn/parts/11_chart.h"
#include "docs/learn/draw.h"

#include <stdio.h>

/* The nudge makes a number halfway between two decimals round in the same way everywhere. */
static const double nudge = 1e-6;

static double px(const chart *c, double x)
{
    return c->left + (x - c->x0) / (c->x1 - c->x0) * c->width + nudge;
}

static double py(const chart *c, double y)
{
    return c->top + (c->y1 - y) / (c->y1 - c->y0) * c->height + nudge;
}

void chart_tick_y(const chart *c, double y, const char *label)
{
    draw_line(c->left, py(c, y), c->left + c->width, py(c, y), "#dddddd");
    draw_text(c->left - 8, py(c, y) + 5, "end", DRAW_INK, "%s", label);
}

void chart_tick_x(const chart *c, double x, const char *label)
{
    draw_text(px(c, x), c->top + c->height + 20, "middle", DRAW_INK, "%s", label);
}

void chart_line(const chart *c, int n, double at[][2], const char *colour, const char *dashes,
                bool dots)
{
    printf("<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" stroke-dasharray=\"%s\" "
           "points=\"",
           colour, dashes);
    for (int i = 0; i < n; i++)
        printf("%s%.1f,%.1f", i > 0 ? " " : "", px(c, at[i][0]), py(c, at[i][1]));
    printf("\"/>\n");
    for (int i = 0; i < n && dots; i++)
        draw_dot(px(c, at[i][0]), py(c, at[i][1]), 4, colour);
}

void chart_ellipse(const chart *c, double rx, double ry)
{
    printf("<ellipse cx=\"%.1f\" cy=\"%.1f\" rx=\"%.1f\" ry=\"%.1f\" fill=\"none\" "
           "stroke=\"#bbbbbb\"/>\n",
           px(c, 0), py(c, 0), px(c, rx) - px(c, 0), py(c, 0) - py(c, ry));
}

void chart_key(double x, double y, const char *colour, const char *dashes, const char *label)
{
    printf("<line x1=\"%.0f\" y1=\"%.0f\" x2=\"%.0f\" y2=\"%.0f\" stroke=\"%s\" "
           "stroke-width=\"3\" stroke-dasharray=\"%s\"/>\n",
           x, y, x + 36, y, colour, dashes);
    draw_text(x + 44, y + 5, "start", DRAW_INK, "%s", label);
}
