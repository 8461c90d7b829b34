/* plot.c: see plot.h. */
#include "docs/learn/plot.h"

#include <stdio.h>

/* The nudge makes a number halfway between two decimals round in the same way everywhere. */
static const double nudge = 1e-6;

static double px(const plot *p, double x)
{
    return p->left + (x - p->x0) / (p->x1 - p->x0) * (p->right - p->left) + nudge;
}

static double py(const plot *p, double y)
{
    return p->bottom - (y - p->y0) / (p->y1 - p->y0) * (p->bottom - p->top) + nudge;
}

void plot_axis(const plot *p, int n, const double *ticks, const char *format, const char *label)
{
    char text[32];
    draw_line(p->left, p->bottom, p->right, p->bottom, DRAW_GREY);
    for (int i = 0; i < n; i++) {
        draw_line(px(p, ticks[i]), p->bottom, px(p, ticks[i]), p->bottom + 5, DRAW_GREY);
        snprintf(text, sizeof text, format, ticks[i]);
        plot_text(p, ticks[i], p->y0, 0, 20, "middle", DRAW_GREY, text);
    }
    plot_text(p, p->x1, p->y0, 0, 40, "end", DRAW_GREY, label);
}

void plot_curve(const plot *p, int n, const double *x, const double *y, const char *colour,
                const char *style)
{
    printf("<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2.5\" %s points=\"", colour,
           style);
    for (int i = 0; i < n; i++)
        printf("%s%.1f,%.1f", i > 0 ? " " : "", px(p, x[i]), py(p, y[i]));
    printf("\"/>\n");
}

void plot_line(const plot *p, double xa, double ya, double xb, double yb, const char *colour,
               const char *style)
{
    printf("<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"%s\" stroke-width=\"2\" %s/>\n", px(p, xa),
           py(p, ya), px(p, xb), py(p, yb), colour, style);
}

void plot_dot(const plot *p, double x, double y, const char *colour)
{
    draw_dot(px(p, x), py(p, y), 5, colour);
}

void plot_bar(const plot *p, double xa, double xb, double y, const char *colour)
{
    printf("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", px(p, xa),
           py(p, y), px(p, xb) - px(p, xa) - 1, py(p, 0) - py(p, y), colour);
}

void plot_ellipse(const plot *p, double x, double y, double a, double b, const char *colour,
                  const char *style)
{
    double unit = (p->right - p->left) / (p->x1 - p->x0);
    printf("<ellipse rx=\"%.1f\" ry=\"%.1f\" transform=\"translate(%.1f %.1f) rotate(45)\" "
           "fill=\"none\" stroke=\"%s\" stroke-width=\"2.5\" %s/>\n",
           a * unit, b * unit, px(p, x), py(p, y), colour, style);
}

void plot_text(const plot *p, double x, double y, double dx, double dy, const char *anchor,
               const char *colour, const char *text)
{
    draw_text(px(p, x) + dx, py(p, y) + dy, anchor, colour, "%s", text);
}

void plot_tick_y(const plot *p, double y, const char *label)
{
    draw_line(p->left, py(p, y), p->right, py(p, y), "#dddddd");
    draw_text(p->left - 8, py(p, y) + 5, "end", DRAW_INK, "%s", label);
}

void plot_tick_x(const plot *p, double x, const char *label)
{
    draw_text(px(p, x), p->bottom + 20, "middle", DRAW_INK, "%s", label);
}

void plot_path(const plot *p, int n, double at[][2], const char *colour, const char *dashes,
               bool dots)
{
    printf("<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" stroke-dasharray=\"%s\" "
           "points=\"",
           colour, dashes);
    for (int i = 0; i < n; i++)
        printf("%s%.1f,%.1f", i > 0 ? " " : "", px(p, at[i][0]), py(p, at[i][1]));
    printf("\"/>\n");
    for (int i = 0; i < n && dots; i++)
        draw_dot(px(p, at[i][0]), py(p, at[i][1]), 4, colour);
}

void plot_contour(const plot *p, double x, double y, double rx, double ry)
{
    printf("<ellipse cx=\"%.1f\" cy=\"%.1f\" rx=\"%.1f\" ry=\"%.1f\" fill=\"none\" "
           "stroke=\"#bbbbbb\"/>\n",
           px(p, x), py(p, y), px(p, x + rx) - px(p, x), py(p, y) - py(p, y + ry));
}

void plot_key(double x, double y, const char *colour, const char *dashes, const char *label)
{
    printf("<line x1=\"%.0f\" y1=\"%.0f\" x2=\"%.0f\" y2=\"%.0f\" stroke=\"%s\" "
           "stroke-width=\"3\" stroke-dasharray=\"%s\"/>\n",
           x, y, x + 36, y, colour, dashes);
    draw_text(x + 44, y + 5, "start", DRAW_INK, "%s", label);
}
