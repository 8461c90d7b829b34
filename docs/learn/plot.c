/* plot.c: see plot.h. */
#include "docs/learn/plot.h"

#include <stdio.h>

static double px(const plot *p, double x)
{
    return p->left + (x - p->x0) / (p->x1 - p->x0) * (p->right - p->left);
}

static double py(const plot *p, double y)
{
    return p->bottom - (y - p->y0) / (p->y1 - p->y0) * (p->bottom - p->top);
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
