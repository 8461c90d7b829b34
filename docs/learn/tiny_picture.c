/* tiny_picture.c: lays out the tiny VAE from left to right and prints it as SVG. */
#include "docs/learn/tiny_picture.h"
#include "docs/learn/tiny_text.h"

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

static void edge(int from, int i, int to, int j, double weight, bool dead)
{
    if (weight == 0)
        return;
    printf("<line x1=\"%.0f\" y1=\"%.0f\" x2=\"%.0f\" y2=\"%.0f\" stroke=\"%s\" "
           "stroke-width=\"%.1f\"%s/>\n",
           places[from].x + 25, top(from, i), places[to].x - 25, top(to, j),
           dead            ? "#bbbbbb"
           : isnan(weight) ? "#222222"
           : weight > 0    ? "#0072b2"
                           : "#d55e00",
           isnan(weight) ? 1.4 : 0.6 + 1.6 * fabs(weight),
           dead         ? " stroke-dasharray=\"2 5\""
           : weight < 0 ? " stroke-dasharray=\"7 3\""
                        : "");
}

static void edges(const picture_column *column, int from, int to, const double *w)
{
    for (int j = 0; j < places[to].n; j++)
        for (int i = 0; i < places[from].n; i++)
            edge(from, i, to, j, w[j * places[from].n + i],
                 off(&column[from], i) || off(&column[to], j));
}

static void nodes(const picture_column *column, int at)
{
    const place *p = &places[at];
    printf("<text x=\"%.0f\" y=\"%.0f\" font-weight=\"bold\">%s</text>\n", p->x, p->y - 34,
           column->name);
    for (int i = 0; i < p->n; i++)
        printf("<circle cx=\"%.0f\" cy=\"%.0f\" r=\"25\" fill=\"%s\" stroke=\"%s\" "
               "stroke-width=\"2\"/><text x=\"%.0f\" y=\"%.0f\"%s>%s</text>\n",
               p->x, top(at, i), off(column, i) ? "#eeeeee" : "#fffbe6",
               off(column, i) ? "#bbbbbb" : "#222222", p->x, top(at, i) + 5,
               off(column, i) ? " fill=\"#666666\"" : "", number(column->value[i]));
}

static void picture(const char *title, const tiny_weights *w,
                    const picture_column column[PICTURE_COLUMNS], const char *const caption[2])
{
    printf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 930 470\" width=\"930\" "
           "height=\"470\" font-family=\"sans-serif\" font-size=\"15\" text-anchor=\"middle\">\n"
           "<title>%s</title>\n<rect width=\"930\" height=\"470\" fill=\"#ffffff\"/>\n",
           title);
    edges(column, PICTURE_X, PICTURE_H, w->w1[0]);
    edges(column, PICTURE_H, PICTURE_MU, w->wm[0]);
    edges(column, PICTURE_H, PICTURE_V, w->wv[0]);
    for (int k = 0; k < NZ; k++) {
        edge(PICTURE_MU, k, PICTURE_Z, k, NAN, false); /* no weight */
        edge(PICTURE_V, k, PICTURE_Z, k, NAN, false);
    }
    edges(column, PICTURE_Z, PICTURE_G, w->w2[0]);
    edges(column, PICTURE_G, PICTURE_OUT, w->w3[0]);
    for (int i = 0; i < PICTURE_COLUMNS; i++)
        nodes(&column[i], i);
    printf("<text x=\"465\" y=\"428\">%s</text>\n<text x=\"465\" y=\"453\">%s</text>\n</svg>\n",
           caption[0], caption[1]);
}

void tiny_picture_values(const pass *s)
{
    tiny_weights w = tiny_start();
    const picture_column columns[PICTURE_COLUMNS] = {
        {"x", tiny_x, NULL}, {"h", s->h, s->a}, {"μ", s->mu, NULL}, {"v = log σ²", s->v, NULL},
        {"z", s->z, NULL},   {"g", s->g, s->c}, {"p", s->p, NULL}};
    picture("The values of the forward pass", &w, columns,
            (const char *[]){"Weights: blue positive, dashed orange negative, dotted grey beside a "
                             "unit that is off.",
                             note("z = μ + σε with σ = (1, 1/2) and ε = (-2, 1).   recon %.5f + KL "
                                  "%.5f = loss %.5f nats",
                                  s->recon, s->kl, s->loss)});
}

void tiny_picture_gradients(const pass *s)
{
    tiny_weights w = tiny_start();
    const picture_column columns[PICTURE_COLUMNS] = {
        {"x", tiny_x, NULL},    {"∂L/∂a", s->da, s->a}, {"∂L/∂μ", s->dmu, NULL},
        {"∂L/∂v", s->dv, NULL}, {"∂L/∂z", s->dz, NULL}, {"∂L/∂c", s->dc, s->c},
        {"∂L/∂l", s->dl, NULL}};
    picture("The gradients of the backward pass", &w, columns,
            (const char *[]){"Read from right to left. At hidden units it is the gradient behind "
                             "the ReLU: nothing passes a unit that is off.",
                             "At μ and v the KL adds a part of its own: (1/2, -1) and (0, -3/8)."});
}
