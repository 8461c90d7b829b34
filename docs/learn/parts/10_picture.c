/* 10_picture.c: lays out the tiny VAE from left to right and prints it as SVG. */
#include "docs/learn/parts/10_picture.h"
#include "docs/learn/draw.h"
#include "docs/learn/parts/10_text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

/* A column of nodes. */
typedef struct picture_column {
    const char *name; /* above the column */
    const double *value;
    const double *alive; /* nodes where it is not positive are drawn as off; NULL: all are on */
} picture_column;

enum {
    PICTURE_X,
    PICTURE_H,
    PICTURE_MU,
    PICTURE_V,
    PICTURE_Z,
    PICTURE_G,
    PICTURE_OUT,
    PICTURE_COLUMNS
};

typedef struct place {
    int n; /* nodes */
    double x, y, step;
} place;

static const place places[PICTURE_COLUMNS] = {
    [PICTURE_X] = {NX, 60, 130, 90},    [PICTURE_H] = {NH, 220, 85, 90},
    [PICTURE_MU] = {NZ, 390, 80, 70},   [PICTURE_V] = {NZ, 390, 290, 70},
    [PICTURE_Z] = {NZ, 550, 170, 100},  [PICTURE_G] = {NH, 710, 85, 90},
    [PICTURE_OUT] = {NX, 870, 130, 90},
};

static double top(int column, int i)
{
    return places[column].y + places[column].step * i;
}

static bool off(const picture_column *c, int i)
{
    return c->alive != NULL && c->alive[i] <= 0;
}

/* A weight: solid if positive, dashed if negative, dotted beside a unit that is off; NAN where there is none. */
static void edge(int from, int i, int to, int j, double weight, bool dead, const char *colour)
{
    if (weight == 0)
        return;
    const char *dashes = dead ? "2 5" : weight < 0 ? "7 3" : "none";
    printf("<line x1=\"%.0f\" y1=\"%.0f\" x2=\"%.0f\" y2=\"%.0f\" stroke=\"%s\" "
           "stroke-width=\"%.1f\" stroke-dasharray=\"%s\"/>\n",
           places[from].x + 25, top(from, i), places[to].x - 25, top(to, j),
           dead            ? "#bbbbbb"
           : isnan(weight) ? DRAW_INK
                           : colour,
           isnan(weight) ? 1.4 : 0.6 + 1.6 * fabs(weight), dashes);
}

static void edges(const picture_column *column, int from, int to, const double *w,
                  const char *colour)
{
    for (int j = 0; j < places[to].n; j++)
        for (int i = 0; i < places[from].n; i++)
            edge(from, i, to, j, w[j * places[from].n + i],
                 off(&column[from], i) || off(&column[to], j), colour);
}

static void nodes(const picture_column *column, int at)
{
    const place *p = &places[at];
    draw_text(p->x, p->y - 34, "middle", DRAW_INK, "%s", column->name);
    for (int i = 0; i < p->n; i++) {
        bool dark = off(column, i);
        printf("<circle cx=\"%.0f\" cy=\"%.0f\" r=\"25\" fill=\"%s\" stroke=\"%s\" "
               "stroke-width=\"2\"/>\n",
               p->x, top(at, i), dark ? "#eeeeee" : "#fffbe6", dark ? "#bbbbbb" : DRAW_INK);
        draw_text(p->x, top(at, i) + 5, "middle", dark ? DRAW_GREY : DRAW_INK, "%s",
                  number(column->value[i]));
    }
}

static void picture(const char *title, const picture_column column[PICTURE_COLUMNS],
                    const char *colour, const char *const caption[2])
{
    tiny_weights w = tiny_start();
    draw_begin(930, 470, title);
    edges(column, PICTURE_X, PICTURE_H, w.w1[0], colour);
    edges(column, PICTURE_H, PICTURE_MU, w.wm[0], colour);
    edges(column, PICTURE_H, PICTURE_V, w.wv[0], colour);
    for (int k = 0; k < NZ; k++) {
        edge(PICTURE_MU, k, PICTURE_Z, k, NAN, false, colour);
        edge(PICTURE_V, k, PICTURE_Z, k, NAN, false, colour);
    }
    edges(column, PICTURE_Z, PICTURE_G, w.w2[0], colour);
    edges(column, PICTURE_G, PICTURE_OUT, w.w3[0], colour);
    for (int i = 0; i < PICTURE_COLUMNS; i++)
        nodes(&column[i], i);
    for (int i = 0; i < 2; i++)
        draw_text(465, 428 + 25 * i, "middle", DRAW_INK, "%s", caption[i]);
    draw_end();
}

void tiny_picture_values(const pass *s)
{
    const picture_column columns[PICTURE_COLUMNS] = {
        {"x", tiny_x, NULL}, {"h", s->h, s->a}, {"μ", s->mu, NULL}, {"v = log σ²", s->v, NULL},
        {"z", s->z, NULL},   {"g", s->g, s->c}, {"p", s->p, NULL}};
    picture(
        "The values of the forward pass", columns, DRAW_FORWARD,
        (const char *[]){"Lines are weights: solid positive, dashed negative, dotted grey beside a "
                         "unit that is off.",
                         note("z = μ + σε with σ = (1, 1/2) and ε = (-2, 1).   recon %.5f + KL "
                              "%.5f = loss %.5f nats",
                              s->recon, s->kl, s->loss)});
}

void tiny_picture_gradients(const pass *s)
{
    const picture_column columns[PICTURE_COLUMNS] = {
        {"x", tiny_x, NULL},    {"∂L/∂a", s->da, s->a}, {"∂L/∂μ", s->dmu, NULL},
        {"∂L/∂v", s->dv, NULL}, {"∂L/∂z", s->dz, NULL}, {"∂L/∂c", s->dc, s->c},
        {"∂L/∂l", s->dl, NULL}};
    picture("The gradients of the backward pass", columns, DRAW_BACKWARD,
            (const char *[]){"Read from right to left. At hidden units it is the gradient behind "
                             "the ReLU: nothing passes a unit that is off.",
                             "At μ and v the KL adds a part of its own: (1/2, -1) and (0, -3/8)."});
}
