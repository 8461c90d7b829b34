/* picture.c: see picture.h. */
#include "docs/learn/picture.h"

#include <math.h>
#include <stdio.h>

void learn_svg_begin(int width, int height)
{
    printf(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" "
        "font-size=\"14\">\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
        width, height, width, height);
}

void learn_svg_end(void)
{
    printf("</svg>\n");
}

/* How many pixels of digit i from `at` on to the end of the row have this grey. */
static int run_length(const tp_tensor *x, int64_t i, int at, int level)
{
    int n = 0;
    while ((at + n) / LEARN_SIDE == at / LEARN_SIDE &&
           (int)floor(5 * tp_flat(x, i * LEARN_PIXELS + at + n) + 0.5) == level)
        n++;
    return n;
}

/* Dark ink in five greys: one path for each, a stroke for each run of equal pixels. */
static void draw_digit(const tp_tensor *x, int64_t i, int row)
{
    static const char *const grey[] = {"", "#ddd", "#aaa", "#777", "#444", "#000"};
    printf("<g transform=\"translate(%d %d) scale(4)\">", LEARN_LABEL + (int)i * LEARN_ROW,
           row * LEARN_ROW + 4);
    for (int level = 1; level <= 5; level++) {
        printf("<path stroke=\"%s\" d=\"", grey[level]);
        for (int at = 0, n; at<LEARN_PIXELS; at += n> 0 ? n : 1)
            if ((n = run_length(x, i, at, level)) > 0)
                printf("M%d %d.5h%d", at % LEARN_SIDE, at / LEARN_SIDE, n);
        printf("\"/>");
    }
    printf("</g>\n");
}

tp_status learn_svg_digits(int row, const char *label, tp_var x)
{
    const tp_tensor *value = tp_value(x);
    if (value == NULL)
        return tp_var_status(x);
    printf("<text x=\"8\" y=\"%d\">%s</text>\n", row * LEARN_ROW + 36, label);
    for (int i = 0; i < LEARN_ACROSS; i++)
        draw_digit(value, i, row);
    return TP_OK;
}

/* --- curves --------------------------------------------------------------------------------------------- */

enum { LEFT = 60, TOP = 20, ACROSS = 600, DOWN = 300, EACH = 5 };

static double at_x(const learn_chart *c, double x)
{
    return LEFT + ACROSS * x / c->x_max;
}

static double at_y(const learn_chart *c, double y)
{
    return TOP + DOWN - DOWN * y / c->y_max;
}

void learn_chart_begin(const learn_chart *c)
{
    learn_svg_begin(LEFT + ACROSS + 20, TOP + DOWN + 50);
    for (int y = 0; y <= c->y_max; y += c->y_tick)
        printf("<path d=\"M%d %.1fh%d\" stroke=\"#eee\"/>"
               "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%d</text>\n",
               LEFT, at_y(c, y), ACROSS, LEFT - 8, at_y(c, y) + 5, y);
    for (int x = 0; x <= c->x_max; x += c->x_tick)
        printf("<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>\n", at_x(c, x),
               TOP + DOWN + 20, x);
    printf("<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>"
           "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n",
           LEFT + ACROSS / 2, TOP + DOWN + 40, c->x_name, LEFT - 8, TOP - 9, c->y_name);
}

void learn_chart_level(const learn_chart *c, double y, const char *words)
{
    printf("<path d=\"M%d %.1fh%d\" stroke=\"#888\" stroke-dasharray=\"4 4\"/>"
           "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\" fill=\"#555\">%s</text>\n",
           LEFT, at_y(c, y), ACROSS, LEFT + ACROSS - 6, at_y(c, y) + 16, words);
}

void learn_chart_curve(const learn_chart *c, const double *y, const char *colour, bool dashed,
                       int words_x, int words_y, const char *words)
{
    printf("<path fill=\"none\" stroke=\"%s\" stroke-width=\"2\"%s d=\"", colour,
           dashed ? " stroke-dasharray=\"7 4\"" : "");
    for (int i = 0; i + EACH <= c->x_max; i += EACH) {
        double sum = 0;
        for (int j = i; j < i + EACH; j++)
            sum += y[j];
        printf("%c%.1f %.1f", i == 0 ? 'M' : 'L', at_x(c, i + 0.5 * EACH), at_y(c, sum / EACH));
    }
    printf("\"/><text x=\"%.1f\" y=\"%.1f\" fill=\"%s\">%s</text>\n", at_x(c, words_x),
           at_y(c, words_y), colour, words);
}
