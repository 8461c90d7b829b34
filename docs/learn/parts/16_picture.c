/* 16_picture.c: see 16_picture.h. */
#include "docs/learn/parts/16_picture.h"
#include "docs/learn/draw.h"
#include "docs/learn/parts/16_layers.h"

#include <stdio.h>

enum { CELL = 30, X_LEFT = 60, W_LEFT = 290, Y_LEFT = 470 };
#define PALE "#ffffff"
#define BLUE "#a9cdee"
#define ORANGE "#f3c9a5"

static void cell(double x, double y, double width, double height, const char *fill)
{
    printf("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" "
           "stroke=\"%s\"/>\n",
           x, y, width, height, fill, DRAW_GREY);
}

/* A grid of n by n cells; those from (row, column) on, high by wide, are filled. */
typedef struct block {
    int row, column, high, wide;
} block;

static void grid(double x, double y, int n, block filled, const char *fill, const char *name)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            bool in = i >= filled.row && i < filled.row + filled.high && j >= filled.column &&
                      j < filled.column + filled.wide;
            cell(x + j * CELL, y + i * CELL, CELL, CELL, in ? fill : PALE);
        }
    draw_text(x + n * CELL / 2.0, y - 8, "middle", DRAW_INK, "%s", name);
}

static void in_cell(double x, double y, int i, int j, const char *text)
{
    draw_text(x + (j + 0.5) * CELL, y + (i + 0.7) * CELL, "middle", DRAW_INK, "%s", text);
}

static void letters(double x, double y, int row, int column, const char *const text[4])
{
    for (int i = 0; i < 4; i++)
        in_cell(x, y, row + i / 2, column + i % 2, text[i]);
}

tp_status picture_windows(void)
{
    static const char *const kernel[] = {"a", "b", "c", "d"}, *const half_turn[] = {"d", "c", "b",
                                                                                    "a"};
    draw_begin(620, 605, "A window forward; what one pixel and what one weight touch");
    double y = 65;
    draw_text(20, y - 40, "start", DRAW_FORWARD,
              "forward: y_12 is the window at (1,2), times the weights");
    grid(X_LEFT, y, 4, (block){1, 2, 2, 2}, BLUE, "x");
    grid(W_LEFT, y + CELL, 2, (block){0, 0, 2, 2}, BLUE, "w");
    grid(Y_LEFT, y + CELL / 2.0, 3, (block){1, 2, 1, 1}, BLUE, "y");
    letters(W_LEFT, y + CELL, 0, 0, kernel), letters(X_LEFT, y, 1, 2, kernel);
    draw_arrow(190, y + 60, 270, y + 60, DRAW_FORWARD);
    draw_arrow(365, y + 60, 455, y + 60, DRAW_FORWARD);
    y += 200;
    draw_text(20, y - 40, "start", DRAW_BACKWARD,
              "back to x: the pixel x_12 is in four windows, as d, c, b and a of them");
    grid(X_LEFT, y, 4, (block){1, 2, 1, 1}, ORANGE, "gradient of x");
    grid(Y_LEFT, y + CELL / 2.0, 3, (block){0, 1, 2, 2}, ORANGE, "gradient of y");
    letters(Y_LEFT, y + CELL / 2.0, 0, 1, half_turn);
    draw_arrow(455, y + 60, 190, y + 60, DRAW_BACKWARD);
    y += 200;
    draw_text(20, y - 40, "start", DRAW_BACKWARD,
              "back to w: the weight b is in all nine, and meets nine pixels");
    grid(X_LEFT, y, 4, (block){0, 1, 3, 3}, ORANGE, "x");
    grid(W_LEFT, y + CELL, 2, (block){0, 1, 1, 1}, ORANGE, "gradient of w");
    grid(Y_LEFT, y + CELL / 2.0, 3, (block){0, 0, 3, 3}, ORANGE, "gradient of y");
    in_cell(W_LEFT, y + CELL, 0, 1, "b");
    draw_arrow(455, y + 60, 365, y + 60, DRAW_BACKWARD);
    draw_arrow(190, y + 60, 270, y + 60, DRAW_BACKWARD);
    draw_end();
    return TP_OK;
}

tp_status picture_matrix(void)
{
    static const char *const fill[] = {"#a9cdee", "#f3c9a5", "#bfe3c8", "#e3cdee"};
    const double left = 80, top = 70, width = 32, height = 26;
    draw_begin(620, 325, "The matrix of a convolution: 9 by 16, four different numbers");
    draw_text(left + 8 * width, 30, "middle", DRAW_INK, "pixels x, row after row");
    draw_text(20, top + 5 * height, "start", DRAW_INK, "y");
    for (int c = 0; c < 16; c++)
        draw_text(left + (c + 0.5) * width, top - 10, "middle", DRAW_GREY, "%d%d", c / 4, c % 4);
    for (int r = 0; r < 9; r++) {
        draw_text(left - 10, top + (r + 0.72) * height, "end", DRAW_GREY, "%d%d", r / 3, r % 3);
        for (int c = 0; c < 16; c++) {
            int u = c / 4 - r / 3, v = c % 4 - r % 3;
            bool in = u >= 0 && u < 2 && v >= 0 && v < 2;
            double x = left + c * width, y = top + r * height;
            cell(x, y, width, height, in ? fill[2 * u + v] : PALE);
            if (in)
                draw_text(x + width / 2, y + 0.72 * height, "middle", DRAW_INK, "%c",
                          "abcd"[2 * u + v]);
        }
    }
    for (int i = 1; i < 4; i++)
        printf("<path d=\"M%.1f %.1fv%.1f\" stroke=\"%s\" stroke-width=\"2.5\"/>\n",
               left + 4 * i * width, top, 9 * height, DRAW_INK);
    for (int i = 1; i < 3; i++)
        printf("<path d=\"M%.1f %.1fh%.1f\" stroke=\"%s\" stroke-width=\"2.5\"/>\n", left,
               top + 3 * i * height, 16 * width, DRAW_INK);
    draw_end();
    return TP_OK;
}

/* Dark where many kernels lie. */
static void shade(tp_var y, double left, double top, double side)
{
    int n = (int)tp_shape_of(y).dim[2];
    double most = 0;
    for (int i = 0; i < n * n; i++)
        most = learn_at(y, i) > most ? learn_at(y, i) : most;
    for (int i = 0; i < n * n; i++) {
        int row = i / n, column = i % n;
        int light = 250 - (int)(200 * learn_at(y, i) / most + 0.5);
        printf("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
               "fill=\"rgb(%d,%d,%d)\"/>\n",
               left + column * side, top + row * side, side, side, light, light, light);
    }
}

tp_status picture_covered(void)
{
    draw_begin(820, 260, "How many kernels lie on each pixel, for three ways to twice the size");
    for (int which = 0; which < LAYERS_WAYS; which++) {
        learn_page p;
        double left = 20 + 275 * which;
        TP_TRY(learn_open(&p));
        tp_var y = layers_cover(&p, which);
        TP_TRY(tp_var_status(y));
        draw_text(left, 28, "start", DRAW_INK, "%s", layers_way(which));
        shade(y, left, 44, 16);
        learn_close(&p);
    }
    draw_end();
    return TP_OK;
}
