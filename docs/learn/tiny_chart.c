/* tiny_chart.c: lines in a frame, printed as SVG. */
#include "docs/learn/tiny_chart.h"

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

void chart_open(const char *title, int width, int height)
{
    printf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
           "height=\"%d\" font-family=\"sans-serif\" font-size=\"15\">\n<title>%s</title>\n"
           "<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n",
           width, height, width, height, title, width, height);
}

void chart_close(void)
{
    printf("</svg>\n");
}

void chart_tick_y(const chart *c, double y, const char *label)
{
    printf("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#dddddd\"/>"
           "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
           c->left, py(c, y), c->left + c->width, py(c, y), c->left - 8, py(c, y) + 5, label);
}

void chart_tick_x(const chart *c, double x, const char *label)
{
    printf("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", px(c, x),
           c->top + c->height + 20, label);
}

void chart_line(const chart *c, int n, double at[][2], const char *colour, const char *dashes,
                bool dots)
{
    printf("<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" stroke-dasharray=\"%s\" "
           "points=\"",
           colour, dashes[0] == '\0' ? "none" : dashes);
    for (int i = 0; i < n; i++)
        printf("%s%.1f,%.1f", i > 0 ? " " : "", px(c, at[i][0]), py(c, at[i][1]));
    printf("\"/>\n");
    for (int i = 0; i < n && dots; i++)
        printf("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n", px(c, at[i][0]),
               py(c, at[i][1]), colour);
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
           "stroke-width=\"3\" stroke-dasharray=\"%s\"/><text x=\"%.0f\" y=\"%.0f\">%s</text>\n",
           x, y, x + 36, y, colour, dashes[0] == '\0' ? "none" : dashes, x + 44, y + 5, label);
}

void chart_text(double x, double y, const char *text)
{
    printf("<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\">%s</text>\n", x, y, text);
}
