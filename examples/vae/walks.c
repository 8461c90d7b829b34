/* walks.c: pictures along lines through the latent space: traversals and interpolations. Read next: models/walk.h. */
#include "pictures.h"

#include "autograd/compose.h"
#include "models/walk.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 10, STEPS = 9 };

bool picture_has_walks(const run *r)
{
    return picture_has_reconstructions(r) && !r->model.type->discrete;
}

static tp_status check(const run *r)
{
    if (picture_has_walks(r))
        return TP_OK;
    return tp_fail(TP_EARG,
                   "%s: %s has no code of real numbers to decode: there is nothing to go along",
                   r->o.run, r->model.type->name);
}

/* --- dimensions ---------------------------------------------------------------------------------------- */

static double variance(const latents *l, int64_t dim)
{
    return l->spread[dim] / (double)l->samples;
}

static bool has_kl(const latents *l)
{
    return l->kl != NULL && l->kl_dims >= l->dims; /* of levels, the first is that of the code */
}

static double weight(const latents *l, int64_t dim)
{
    return has_kl(l) ? l->kl[dim] : variance(l, dim);
}

/* Few dimensions, and equal ones stay in order. */
void picture_rank(const latents *l, int64_t *order)
{
    for (int64_t i = 0; i < l->dims; i++) {
        int64_t j = i;
        for (; j > 0 && weight(l, order[j - 1]) < weight(l, i); j--)
            order[j] = order[j - 1];
        order[j] = i;
    }
}

void picture_dim_text(const latents *l, int64_t dim, char *text, size_t bytes)
{
    if (has_kl(l))
        snprintf(text, bytes, "z%lld (KL %.3g nats)", (long long)dim, l->kl[dim]);
    else
        snprintf(text, bytes, "z%lld (variance %.3g)", (long long)dim, variance(l, dim));
}

static bool active(const latents *l, int64_t dim)
{
    return variance(l, dim) > 0.01;
}

/* Which dimensions the rows are, and how many. */
static tp_status choose(const run *r, const latents *l, int64_t *dims, int64_t *n)
{
    const indices *asked = &r->o.dims;
    for (int i = 0; i < asked->n; i++)
        if (asked->at[i] >= l->dims)
            return tp_fail(TP_EARG, "--dims: there is no latent dimension %lld, only 0 to %lld",
                           (long long)asked->at[i], (long long)l->dims - 1);
    *n = asked->n;
    memcpy(dims, asked->at, (size_t)asked->n * sizeof *dims);
    if (asked->n > 0)
        return TP_OK;
    int64_t most = r->o.count > 0 ? r->o.count : picture_fitting(r, ROWS);
    int64_t *order = malloc((size_t)l->dims * sizeof *order);
    if (order == NULL)
        return tp_fail(TP_ENOMEM, "no memory for %lld latent dimensions", (long long)l->dims);
    picture_rank(l, order);
    for (int64_t i = 0; i < l->dims && *n < most; i++)
        if (active(l, order[i]) || (r->o.count == 0 && i == 0)) /* at least one to look at */
            dims[(*n)++] = order[i];
    for (int64_t i = 0; i < l->dims && *n < r->o.count; i++) /* asked for more than are active */
        if (!active(l, order[i]))
            dims[(*n)++] = order[i];
    free(order);
    return TP_OK;
}

/* --- codes ------------------------------------------------------------------------------------------------ */

/* Some images with their codes. */
typedef struct coded {
    tp_tensor x, index, labels, z; /* [n, width], [n], [n] or empty, [n, dims] */
} coded;

static void coded_free(coded *e)
{
    tp_tensor_free(&e->x);
    tp_tensor_free(&e->index);
    tp_tensor_free(&e->labels);
    tp_tensor_free(&e->z);
}

static tp_status encode(run *r, const int64_t *row, int64_t n, coded *e)
{
    TP_TRY(tp_tensor_new(&e->x, TP_F32, TP_SHAPE(n, tp_dataset_width(picture_images(r)))));
    TP_TRY(picture_gather(r, row, &e->x, &e->index, &e->labels));
    tp_ctx c = picture_begin(r, r->o.seed);
    c.index = &e->index;
    c.labels = &e->labels;
    tp_var z = tp_model_code(&r->model, &c, tp_constant(r->tape, &e->x));
    TP_TRY(picture_end(r, z));
    return tp_clone(&e->z, tp_value(z));
}

/* Means of p(x|z) of codes [n, dims] into out [n, width]; labels are n classes, for a model that wants some. */
static tp_status decode(run *r, const tp_tensor *codes, const tp_tensor *labels, tp_tensor *out)
{
    tp_ctx c = picture_begin(r, r->o.seed);
    c.labels = labels;
    tp_var x = tp_data_mean(tp_model_decode(&r->model, &c, tp_constant(r->tape, codes)));
    TP_TRY(picture_end(r, x));
    return tp_copy(out, tp_value(x));
}

/* Whether codes are to be N(0,1). */
static tp_status is_standard(run *r, bool *standard)
{
    *standard = false;
    if (r->model.type->prior == NULL)
        return TP_OK;
    tp_ctx c = picture_begin(r, r->o.seed);
    tp_dist p = tp_model_prior(&r->model, &c);
    *standard = p.standard;
    return picture_end(r, p.param[0]);
}

/* --- traversals ----------------------------------------------------------------------------------------------- */

/* The code that all rows go through. */
static tp_status base_of(run *r, const latents *l, bool standard, coded *e)
{
    int64_t size = tp_dataset_size(picture_images(r)),
            image = r->o.image == UNSAID ? 0 : r->o.image;
    if (image >= size)
        return tp_fail(TP_EARG, "--image: there is no image %lld, only 0 to %lld", (long long)image,
                       (long long)size - 1);
    TP_TRY(encode(r, &image, 1, e));
    for (int64_t i = 0; i < l->dims && r->o.image == UNSAID; i++)
        TP_TRY(tp_set_flat(&e->z, i, standard ? 0 : l->mean[i]));
    return TP_OK;
}

/* One class n times. */
static tp_status repeat_label(const tp_tensor *label, int64_t n, tp_tensor *labels)
{
    if (label->storage == NULL)
        return TP_OK;
    TP_TRY(tp_tensor_new(labels, TP_I64, TP_SHAPE(n)));
    return tp_fill(labels, tp_flat(label, 0));
}

static void describe(const latents *l, const tp_walk *walk, int64_t n, char text[PICTURE_TEXT])
{
    size_t used = (size_t)snprintf(text, PICTURE_TEXT, "rows from above: ");
    for (int64_t i = 0; i < n; i++) {
        if (used + 80 > PICTURE_TEXT) {
            snprintf(text + used, PICTURE_TEXT - used, ", …");
            return;
        }
        char dim[64];
        picture_dim_text(l, walk[i].dim, dim, sizeof dim);
        used += (size_t)snprintf(text + used, PICTURE_TEXT - used, "%s%s", i > 0 ? ", " : "", dim);
    }
}

static tp_status traverse(run *r, const latents *l, picture *p, tp_walk *walk, coded *base,
                          tp_tensor *codes, tp_tensor *labels)
{
    int64_t dims[INDICES_MOST], n = 0;
    int64_t steps = r->o.steps > 0 ? r->o.steps : picture_fitting(r, STEPS);
    bool standard;
    tp_tensor z;
    TP_TRY(choose(r, l, dims, &n));
    TP_TRY(is_standard(r, &standard));
    TP_TRY(base_of(r, l, standard, base));
    for (int64_t i = 0; i < n; i++) {
        double middle = standard ? 0 : l->mean[dims[i]];
        double reach = 3 * (standard ? 1 : sqrt(variance(l, dims[i])));
        walk[i] = (tp_walk){dims[i], middle - reach, middle + reach};
    }
    TP_TRY(tp_view_reshape(&base->z, TP_SHAPE(l->dims), &z));
    TP_TRY(tp_traverse(codes, &z, walk, n, steps));
    TP_TRY(repeat_label(&base->labels, n * steps, labels));
    TP_TRY(tp_tensor_new(&p->x, TP_F32, TP_SHAPE(n * steps, r->model.config.data_dim)));
    p->columns = (int)steps;
    describe(l, walk, n, p->text);
    return decode(r, codes, labels, &p->x);
}

tp_status picture_traversals(run *r, const latents *l, picture *p)
{
    TP_TRY(check(r));
    tp_walk walk[INDICES_MOST];
    coded base = {0};
    tp_tensor codes = {0}, labels = {0};
    tp_status s = traverse(r, l, p, walk, &base, &codes, &labels);
    tp_tape_reset(r->tape);
    coded_free(&base);
    tp_tensor_free(&codes);
    tp_tensor_free(&labels);
    return s;
}

/* --- interpolations ------------------------------------------------------------------------------------------- */

/* Of each picture on the way the class of the nearer end. */
static tp_status nearer_labels(const tp_tensor *ends, int64_t n, int64_t steps, tp_tensor *labels)
{
    if (ends->storage == NULL)
        return TP_OK;
    TP_TRY(tp_tensor_new(labels, TP_I64, TP_SHAPE(n * steps)));
    for (int64_t i = 0; i < n * steps; i++) {
        bool second = 2 * (i % steps) > steps - 1;
        TP_TRY(tp_set_flat(labels, i, tp_flat(ends, i / steps + (second ? n : 0))));
    }
    return TP_OK;
}

/* Column `column` of a grid with so many of them. */
static tp_status put_column(tp_tensor *grid, int64_t columns, int64_t column, const tp_tensor *x,
                            int64_t first)
{
    int64_t rows = grid->shape.dim[0] / columns;
    tp_tensor from, to;
    TP_TRY(tp_view_slice(x, 0, first, first + rows, 1, &from));
    TP_TRY(tp_view_slice(grid, 0, column, rows * columns, columns, &to));
    return tp_copy(&to, &from);
}

/* The decoded pictures between the first and the last column. */
static tp_status put_between(tp_tensor *grid, int64_t n, int64_t steps, const tp_tensor *x)
{
    int64_t width = grid->shape.dim[1];
    tp_tensor from, to;
    TP_TRY(tp_view_reshape(x, TP_SHAPE(n, steps, width), &from));
    TP_TRY(tp_view_reshape(grid, TP_SHAPE(n, steps + 2, width), &to));
    TP_TRY(tp_view_slice(&to, 1, 1, steps + 1, 1, &to));
    return tp_copy(&to, &from);
}

static tp_status interpolate(run *r, picture *p, int64_t n, coded *ends, tp_tensor *codes,
                             tp_tensor *labels, tp_tensor *x)
{
    int64_t steps = r->o.steps > 0 ? r->o.steps : picture_fitting(r, STEPS + 2) - 2;
    tp_tensor a, b;
    steps = steps > 2 ? steps : 2;
    TP_TRY(tp_view_slice(&ends->z, 0, 0, n, 1, &a));
    TP_TRY(tp_view_slice(&ends->z, 0, n, 2 * n, 1, &b));
    TP_TRY(tp_interpolate(codes, &a, &b, steps, r->o.spherical ? TP_SPHERICAL : TP_STRAIGHT));
    TP_TRY(nearer_labels(&ends->labels, n, steps, labels));
    TP_TRY(tp_tensor_new(x, TP_F32, TP_SHAPE(n * steps, r->model.config.data_dim)));
    TP_TRY(decode(r, codes, labels, x));
    p->columns = (int)steps + 2;
    TP_TRY(tp_tensor_new(&p->x, TP_F32, TP_SHAPE(n * (steps + 2), r->model.config.data_dim)));
    TP_TRY(put_column(&p->x, steps + 2, 0, &ends->x, 0));
    TP_TRY(put_column(&p->x, steps + 2, steps + 1, &ends->x, n));
    return put_between(&p->x, n, steps, x);
}

/* Both ends of a row are far from each other in the stored order: some test sets are sorted by digit. */
tp_status picture_interpolations(run *r, const latents *l, picture *p)
{
    enum { PAIRS = 8, MOST = 1024 };
    int64_t size = tp_dataset_size(picture_images(r)), row[2 * MOST];
    int64_t n = r->o.count > 0 ? r->o.count : picture_fitting(r, PAIRS);
    (void)l;
    TP_TRY(check(r));
    n = n < MOST ? n : MOST;
    n = 2 * n <= size ? n : size > 1 ? size / 2 : 1;
    for (int64_t i = 0; i < 2 * n; i++)
        row[i] = i * size / (2 * n);
    coded ends = {0};
    tp_tensor codes = {0}, labels = {0}, x = {0};
    tp_status s = encode(r, row, 2 * n, &ends);
    if (s == TP_OK)
        s = interpolate(r, p, n, &ends, &codes, &labels, &x);
    tp_tape_reset(r->tape);
    coded_free(&ends);
    tp_tensor_free(&codes);
    tp_tensor_free(&labels);
    tp_tensor_free(&x);
    return s;
}
