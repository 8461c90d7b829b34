/* scatter.c: "vae scatter". Read next: chart.c, measure.c. */
#include "scatter.h"
#include "chart.h"
#include "pictures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USUAL = 2000, CLASSES = 256, NAMED = 40, NAME = 32 };

/* The points, those of a class together. */
typedef struct cloud {
    int64_t n, dim[2];
    int64_t *row;
    int *label;
    double *x, *y, *sorted; /* sorted: x and y by class */
    int classes;
    char name[CLASSES][NAME];
    chart_series series[CLASSES];
} cloud;

bool scatter_has(const run *r, const latents *l)
{
    return tp_model_has_code(r->model.type) && !r->model.type->discrete && l->dims >= 2;
}

static tp_status choose(const run *r, const latents *l, int64_t dim[2])
{
    const indices *asked = &r->o.dims;
    if (asked->n != 0 && asked->n != 2)
        return tp_fail(TP_EARG, "--dims: a plane has two dimensions, got %d", asked->n);
    for (int i = 0; i < asked->n; i++)
        if (asked->at[i] >= l->dims)
            return tp_fail(TP_EARG, "--dims: there is no latent dimension %lld, only 0 to %lld",
                           (long long)asked->at[i], (long long)l->dims - 1);
    if (asked->n == 2) {
        dim[0] = asked->at[0];
        dim[1] = asked->at[1];
        return TP_OK;
    }
    int64_t *order = malloc((size_t)l->dims * sizeof *order);
    if (order == NULL)
        return tp_fail(TP_ENOMEM, "no memory for %lld latent dimensions", (long long)l->dims);
    picture_rank(l, order);
    dim[0] = order[0];
    dim[1] = order[1];
    if (l->dims == 2) /* a plane of its own: as the manifold has it */
        dim[0] = 0, dim[1] = 1;
    free(order);
    return TP_OK;
}

/* Codes of the images row[0 … n). */
static tp_status encode(run *r, cloud *c, int64_t from, int64_t n)
{
    tp_tensor x, index = {0}, labels = {0};
    TP_TRY(tp_tensor_new(&x, TP_F32, TP_SHAPE(n, tp_dataset_width(picture_images(r)))));
    tp_status s = picture_gather(r, c->row + from, &x, &index, &labels);
    if (s == TP_OK) {
        tp_ctx ctx = picture_begin(r, r->o.seed);
        ctx.index = &index;
        ctx.labels = &labels;
        tp_var z = tp_model_code(&r->model, &ctx, tp_constant(r->tape, &x)); /* [n, dims] */
        s = picture_end(r, z);
        for (int64_t i = 0; i < n && s == TP_OK; i++) {
            int64_t dims = tp_numel(tp_value(z)) / n;
            c->x[from + i] = tp_flat(tp_value(z), i * dims + c->dim[0]);
            c->y[from + i] = tp_flat(tp_value(z), i * dims + c->dim[1]);
            c->label[from + i] = labels.storage != NULL ? (int)tp_flat(&labels, i) : 0;
        }
    }
    tp_tape_reset(r->tape);
    tp_tensor_free(&x);
    tp_tensor_free(&index);
    tp_tensor_free(&labels);
    return s;
}

static tp_status fill(run *r, cloud *c)
{
    int64_t size = tp_dataset_size(picture_images(r)), batch = r->o.batch_size;
    int64_t most = r->o.count > 0 ? r->o.count : USUAL;
    c->n = size < most ? size : most;
    size_t n = (size_t)c->n;
    c->row = malloc(n * sizeof *c->row);
    c->label = malloc(n * sizeof *c->label);
    c->x = malloc(n * sizeof *c->x);
    c->y = malloc(n * sizeof *c->y);
    c->sorted = malloc(2 * n * sizeof *c->sorted);
    if (c->row == NULL || c->label == NULL || c->x == NULL || c->y == NULL || c->sorted == NULL)
        return tp_fail(TP_ENOMEM, "no memory for %lld points", (long long)c->n);
    for (int64_t i = 0; i < c->n; i++)
        c->row[i] = i * size / c->n;
    for (int64_t i = 0; i < c->n; i += batch)
        TP_TRY(encode(r, c, i, c->n - i < batch ? c->n - i : batch));
    return TP_OK;
}

/* A series for each class that is there. */
static void sort(cloud *c)
{
    int64_t used = 0;
    for (int label = 0; label < CLASSES; label++) {
        int64_t first = used;
        for (int64_t i = 0; i < c->n; i++)
            if (c->label[i] == label) {
                c->sorted[used] = c->x[i];
                c->sorted[c->n + used++] = c->y[i];
            }
        if (used == first)
            continue;
        snprintf(c->name[label], NAME, "%d", label);
        c->series[c->classes++] = (chart_series){.name = c->name[label],
                                                 .x = c->sorted + first,
                                                 .y = c->sorted + c->n + first,
                                                 .n = used - first,
                                                 .look = label};
    }
}

static tp_status draw(run *r, const latents *l, cloud *c, json *out)
{
    char label[2][64], title[128];
    bool labelled = picture_images(r)->labels.storage != NULL;
    TP_TRY(choose(r, l, c->dim));
    TP_TRY(fill(r, c));
    sort(c);
    for (int i = 0; i < 2; i++)
        picture_dim_text(l, c->dim[i], label[i], sizeof label[i]);
    snprintf(title, sizeof title, "Codes of %lld images%s", (long long)c->n,
             labelled ? ", by label" : "");
    chart plane = {.kind = CHART_POINTS,
                   .title = title,
                   .x_label = label[0],
                   .y_label = label[1],
                   .equal = true,
                   .series = c->series,
                   .n = c->classes};
    chart_svg(out, &(chart_sheet){.title = title,
                                  .charts = &plane,
                                  .n = 1,
                                  .columns = 1,
                                  .legend = c->series,
                                  .legends = !labelled            ? 0
                                             : c->classes < NAMED ? c->classes
                                                                  : NAMED});
    return TP_OK;
}

tp_status scatter_draw(run *r, const latents *l, json *out)
{
    if (!scatter_has(r, l))
        return tp_fail(TP_EARG,
                       "%s: %s has no codes of two real numbers or more: there is no plane",
                       r->o.run, r->model.type->name);
    cloud *c = calloc(1, sizeof *c);
    if (c == NULL)
        return tp_fail(TP_ENOMEM, "no memory for the points");
    tp_status s = draw(r, l, c, out);
    free(c->row);
    free(c->label);
    free(c->x);
    free(c->y);
    free(c->sorted);
    free(c);
    return s;
}
