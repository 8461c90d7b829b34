/* 12_picture.c: see 12_picture.h. */
#include "docs/learn/parts/12_picture.h"

#include <math.h>
#include <stdio.h>

/* --- digits --------------------------------------------------------------------------------------------- */

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

tp_status learn_draw_digits(int row, const char *label, tp_var x)
{
    const tp_tensor *value = tp_value(x);
    if (value == NULL)
        return tp_var_status(x);
    draw_text(8, row * LEARN_ROW + 36, "start", DRAW_INK, "%s", label);
    for (int i = 0; i < LEARN_ACROSS; i++)
        draw_digit(value, i, row);
    return TP_OK;
}

/* --- charts --------------------------------------------------------------------------------------------- */

enum { LEFT = 60, TOP = 24, ACROSS = 600, DOWN = 300, EACH = 5, POINTS = 1000 };

static double at_x(const learn_chart *c, double x)
{
    return LEFT + ACROSS * x / c->x_max;
}

static double at_y(const learn_chart *c, double y)
{
    return TOP + DOWN - DOWN * y / c->y_max;
}

void learn_chart_begin(const learn_chart *c, const char *title)
{
    draw_begin(LEFT + ACROSS + 20, TOP + DOWN + 50, title);
    for (int y = 0; y <= c->y_max; y += c->y_tick) {
        draw_line(LEFT, at_y(c, y), LEFT + ACROSS, at_y(c, y), "#e6e6e6");
        draw_text(LEFT - 8, at_y(c, y) + 5, "end", DRAW_INK, "%d", y);
    }
    for (int x = 0; x <= c->x_max; x += c->x_tick)
        draw_text(at_x(c, x), TOP + DOWN + 20, "middle", DRAW_INK, "%d", x);
    draw_text(LEFT + ACROSS / 2.0, TOP + DOWN + 42, "middle", DRAW_INK, "%s", c->x_name);
    draw_text(LEFT, TOP - 9, "middle", DRAW_INK, "%s", c->y_name);
}

void learn_chart_level(const learn_chart *c, double y, const char *words)
{
    draw_line(LEFT, at_y(c, y), LEFT + ACROSS, at_y(c, y), DRAW_GREY);
    draw_text(LEFT + ACROSS - 6, at_y(c, y) + 17, "end", DRAW_GREY, "%s", words);
}

void learn_chart_curve(const learn_chart *c, const double *y, const char *colour, int words_x,
                       int words_y, const char *words)
{
    double px[POINTS], py[POINTS];
    int n = 0;
    for (int i = 0; i + EACH <= c->x_max && n < POINTS; i += EACH, n++) {
        double sum = 0;
        for (int j = i; j < i + EACH; j++)
            sum += y[j];
        px[n] = at_x(c, i + 0.5 * EACH);
        py[n] = at_y(c, sum / EACH);
    }
    draw_curve(n, px, py, colour);
    draw_text(at_x(c, words_x), at_y(c, words_y), "start", colour, "%s", words);
}
