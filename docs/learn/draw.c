/* draw.c: SVG with printf. Coordinates have one decimal, so that the last bit of a number moves nothing. */
#include "docs/learn/draw.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void draw_begin(int width, int height, const char *title)
{
    printf(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
        "role=\"img\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"15\">\n",
        width, height, width, height);
    printf("<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n<defs>\n",
           title);
    const char *colours[] = {DRAW_INK, DRAW_GREY, DRAW_FORWARD, DRAW_BACKWARD};
    for (int i = 0; i < 4; i++)
        printf(
            "<marker id=\"head-%s\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" "
            "markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0 8 4 0 8Z\" fill=\"%s\"/></marker>\n",
            colours[i] + 1, colours[i]);
    printf("</defs>\n");
}

void draw_end(void)
{
    printf("</svg>\n");
}

void draw_box(double x, double y, double width, double height, const char *fill)
{
    printf("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"4\" fill=\"%s\" "
           "stroke=\"%s\"/>\n",
           x, y, width, height, fill, DRAW_INK);
}

void draw_dot(double x, double y, double radius, const char *colour)
{
    printf("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" fill=\"%s\"/>\n", x, y, radius, colour);
}

void draw_line(double x0, double y0, double x1, double y1, const char *colour)
{
    printf("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", x0, y0, x1,
           y1, colour);
}

void draw_arrow(double x0, double y0, double x1, double y1, const char *colour)
{
    bool back = strcmp(colour, DRAW_BACKWARD) == 0;
    printf(
        "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"1.6\"%s "
        "marker-end=\"url(#head-%s)\"/>\n",
        x0, y0, x1, y1, colour, back ? " stroke-dasharray=\"6 4\"" : "", colour + 1);
}

void draw_text(double x, double y, const char *anchor, const char *colour, const char *format, ...)
{
    va_list args;
    printf("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\">", x, y, anchor, colour);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("</text>\n");
}

void draw_curve(int n, const double *x, const double *y, const char *colour)
{
    printf("<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", colour);
    for (int i = 0; i < n; i++)
        printf("%s%.1f,%.1f", i > 0 ? " " : "", x[i], y[i]);
    printf("\"/>\n");
}
