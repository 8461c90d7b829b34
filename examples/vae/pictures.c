/* pictures.c: decoding latents to grids of pictures.
 *
 * Shown are means of p(x|z), not draws from it. Read next: walks.c, drawing.c, models/uses.h. */
#include "pictures.h"
#include "markup.h"

#include "autograd/compose.h"
#include "tensor/io/png.h"
#include "tensor/mem.h"

#include <math.h>
#include <string.h>

enum { PAD = 2, SMALL = 64, SIDE = 20, SHOWN = 10 };

static int64_t longer_side(const run *r)
{
    return r->o.height > r->o.width ? r->o.height : r->o.width;
}

/* Small pictures are shown twice as large. */
static int scale_of(const run *r)
{
    return longer_side(r) <= SMALL ? 2 : 1;
}

int picture_fitting(const run *r, int most)
{
    enum { ROOM = 8192 };
    _Static_assert(ROOM * ROOM == TP_PNG_MAX_PIXELS && (int)ROOM <= TP_PNG_MAX_SIDE,
                   "a square of so many pixels a side can be written");
    int64_t fit = (ROOM - PAD) / (longer_side(r) * scale_of(r) + PAD);
    return fit >= most ? most : fit > 0 ? (int)fit : 1;
}

/* --- on their way ------------------------------------------------------------------------------------ */

const tp_dataset *picture_images(const run *r)
{
    return r->test.x.storage != NULL ? &r->test : &r->train;
}

tp_status picture_measure(run *r, latents *l)
{
    tp_batches b;
    TP_TRY(run_batches(r, &b, picture_images(r), r->o.batch_size, TP_F32));
    tp_status s = measure_latents(r, &b, l);
    tp_batches_free(&b);
    return s;
}

tp_ctx picture_begin(run *r, uint64_t seed)
{
    tp_tape_reset(r->tape);
    tp_no_grad_begin(r->tape);
    tp_ctx c = tp_ctx_eval(r->tape, seed, 0);
    c.key = tp_stream_key(seed, TP_STREAM_SAMPLE, 0);
    return c;
}

tp_status picture_end(run *r, tp_var result)
{
    tp_no_grad_end(r->tape);
    return tp_var_status(result);
}

/* [n, width] as n pictures. */
static tp_status as_images(const run *r, const tp_tensor *x, tp_tensor *images)
{
    int64_t n = x->shape.dim[0], height = r->o.height, width = r->o.width;
    bool colour = r->o.channels == TP_CHANNELS_COLOUR;
    tp_shape shape = colour ? TP_SHAPE(n, 3, height, width) : TP_SHAPE(n, height, width);
    return tp_view_reshape(x, shape, images);
}

static tp_status made(run *r, const latents *l, picture_maker *make, picture *p, tp_tensor *images)
{
    *p = (picture){0};
    tp_status s = make(r, l, p);
    tp_tape_reset(r->tape);
    if (s == TP_OK)
        s = as_images(r, &p->x, images);
    if (s != TP_OK)
        tp_tensor_free(&p->x);
    return s;
}

tp_status picture_save(run *r, const latents *l, picture_maker *make, const char *path,
                       char text[PICTURE_TEXT])
{
    picture p;
    tp_tensor images;
    TP_TRY(made(r, l, make, &p, &images));
    tp_status s = tp_png_grid(path, &images, p.columns, PAD, scale_of(r));
    if (text != NULL)
        memcpy(text, p.text, PICTURE_TEXT);
    tp_tensor_free(&p.x);
    return s;
}

tp_status picture_embed(run *r, const latents *l, picture_maker *make, json *page, const char *what,
                        char text[PICTURE_TEXT])
{
    picture p;
    tp_tensor images;
    unsigned char *data;
    size_t bytes;
    TP_TRY(made(r, l, make, &p, &images));
    tp_status s = tp_png_grid_bytes(&images, p.columns, PAD, scale_of(r), &data, &bytes);
    if (s == TP_OK) {
        json_raw(page, "<img alt=\"");
        markup_text(page, what);
        json_raw(page, "\" src=\"data:image/png;base64,");
        markup_base64(page, data, bytes);
        json_raw(page, "\"/>\n");
        tp_free(data, bytes);
        memcpy(text, p.text, PICTURE_TEXT);
    }
    tp_tensor_free(&p.x);
    return s;
}

/* --- samples -------------------------------------------------------------------------------------------- */

/* The means of p, out of the tape. */
static tp_status keep_means(run *r, tp_dist d, picture *p, int columns)
{
    tp_var x = tp_data_mean(d); /* [n, width] */
    TP_TRY(picture_end(r, x));
    p->columns = columns;
    return tp_clone(&p->x, tp_value(x));
}

/* The classes in turn, so that in a grid of so many columns each has its own. */
static tp_status make_labels(tp_tensor *labels, int64_t n, int64_t classes)
{
    TP_TRY(tp_tensor_new(labels, TP_I64, TP_SHAPE(n)));
    int64_t *to = tp_data_mut(labels);
    for (int64_t i = 0; i < n; i++)
        to[i] = i % classes;
    return TP_OK;
}

tp_status picture_samples(run *r, const latents *l, picture *p)
{
    enum { USUAL = 8 };
    int64_t classes = r->model.type->labels ? r->model.config.classes : 0, count = r->o.count;
    int64_t side = picture_fitting(r, USUAL), usual = side * side;
    tp_tensor labels = {0};
    (void)l;
    if (!tp_model_has_samples(r->model.type))
        return tp_fail(TP_EARG,
                       "%s: %s has no prior to draw from; 'reconstruct' shows what it does",
                       r->o.run, r->model.type->name);
    if (count == 0)
        count = classes > 0 ? (usual + classes - 1) / classes * classes : usual;
    if (classes > 0)
        TP_TRY(make_labels(&labels, count, classes));
    tp_ctx c = picture_begin(r, r->o.seed);
    c.labels = &labels;
    tp_status s = keep_means(r, tp_model_generate(&r->model, &c, count), p, (int)classes);
    tp_tape_reset(r->tape);
    tp_tensor_free(&labels);
    return s;
}

/* --- reconstructions -------------------------------------------------------------------------------------- */

tp_status picture_gather(const run *r, const int64_t *row, tp_tensor *x, tp_tensor *index,
                         tp_tensor *labels)
{
    const tp_dataset *d = picture_images(r);
    int64_t n = x->shape.dim[0];
    tp_batches b;
    TP_TRY(tp_tensor_from(index, TP_I64, TP_SHAPE(n), row));
    if (d->labels.storage != NULL) {
        TP_TRY(tp_tensor_new(labels, TP_I64, TP_SHAPE(n)));
        int64_t *to = tp_data_mut(labels);
        for (int64_t i = 0; i < n; i++)
            to[i] = (int64_t)tp_flat(&d->labels, row[i]);
    }
    TP_TRY(run_batches(r, &b, d, n, TP_F32));
    tp_status s = tp_batches_gather(&b, row, n, x);
    tp_batches_free(&b);
    return s;
}

/* The rows below x [n, width]: out [(1 + draws)·n, width]. */
static tp_status reconstruct_into(run *r, tp_tensor *out, const tp_tensor *x,
                                  const tp_tensor *index, const tp_tensor *labels)
{
    int64_t n = x->shape.dim[0], draws = r->o.draws;
    tp_tensor first, rest;
    tp_ctx c = picture_begin(r, r->o.seed);
    c.index = index;
    c.labels = labels;
    tp_var given = tp_constant(r->tape, x);
    tp_var y = tp_model_reconstruct(&r->model, &c, given), many = y;
    if (draws > 0) {
        tp_var z = tp_dist_sample_n(tp_model_posterior(&r->model, &c, given), &c, draws);
        many = tp_data_mean(tp_model_decode(&r->model, &c, z)); /* [draws, n, width] */
    }
    TP_TRY(picture_end(r, y));
    TP_TRY(tp_var_status(many));
    TP_TRY(tp_view_slice(out, 0, 0, n, 1, &first));
    TP_TRY(tp_copy(&first, tp_value(y)));
    if (draws == 0)
        return TP_OK;
    TP_TRY(tp_view_slice(out, 0, n, (1 + draws) * n, 1, &rest));
    TP_TRY(tp_view_reshape(&rest, TP_SHAPE(draws, n, x->shape.dim[1]), &rest));
    return tp_copy(&rest, tp_value(many));
}

bool picture_has_reconstructions(const run *r)
{
    return tp_model_has_code(r->model.type) && r->model.type->decode != NULL;
}

tp_status picture_reconstructions(run *r, const latents *l, picture *p)
{
    const tp_dataset *d = picture_images(r);
    int64_t size = tp_dataset_size(d), most = picture_fitting(r, SHOWN),
            n = size < most ? size : most;
    int64_t row[SHOWN] = {0}, rows = 2 + r->o.draws;
    (void)l;
    if (!picture_has_reconstructions(r))
        return tp_fail(TP_EARG,
                       "%s: %s has no code to reconstruct from; 'sample' shows what it does",
                       r->o.run, r->model.type->name);
    if (r->o.draws > 0 && r->model.type->posterior == NULL)
        return tp_fail(TP_EARG,
                       "--draws: %s has no q(z|x) to draw from, only one code for each image",
                       r->model.type->name);
    for (int64_t i = 0; i < n; i++)
        row[i] = i * size / n; /* some test sets are sorted by digit: never the first ones */
    tp_tensor inputs, outputs, index = {0}, labels = {0};
    TP_TRY(tp_tensor_new(&p->x, TP_F32, TP_SHAPE(rows * n, tp_dataset_width(d))));
    p->columns = (int)n;
    tp_status s = tp_view_slice(&p->x, 0, 0, n, 1, &inputs);
    if (s == TP_OK)
        s = tp_view_slice(&p->x, 0, n, rows * n, 1, &outputs);
    if (s == TP_OK)
        s = picture_gather(r, row, &inputs, &index, &labels);
    if (s == TP_OK)
        s = reconstruct_into(r, &outputs, &inputs, &index, &labels);
    tp_tape_reset(r->tape);
    tp_tensor_free(&index);
    tp_tensor_free(&labels);
    return s;
}

/* --- the plane ---------------------------------------------------------------------------------------------- */

/* z with Φ(z) = p, by bisection: exact to the last bits and used for twenty numbers. */
static double normal_quantile(double p)
{
    double low = -10, high = 10;
    for (int i = 0; i < 70; i++) {
        double z = (low + high) / 2;
        if (0.5 * erfc(-z * sqrt(0.5)) < p)
            low = z;
        else
            high = z;
    }
    return (low + high) / 2;
}

/* How many numbers z has: those of a draw from the prior, or of the code of a black picture. */
static tp_status count_latents(run *r, int64_t *n)
{
    tp_ctx c = picture_begin(r, r->o.seed);
    tp_shape shape;
    if (r->model.type->prior != NULL) {
        tp_dist p = tp_model_prior(&r->model, &c);
        shape = tp_dist_shape(&p);
    } else {
        tp_var x = tp_full(r->tape, TP_F32, TP_SHAPE(1, r->model.config.data_dim), 0);
        shape = tp_shape_of(tp_model_code(&r->model, &c, x));
    }
    tp_no_grad_end(r->tape);
    TP_TRY(tp_tape_status(r->tape));
    *n = tp_shape_numel(shape);
    return TP_OK;
}

tp_status picture_has_manifold(run *r, bool *has)
{
    const tp_model_type *type = r->model.type;
    int64_t n = 0;
    *has = false;
    if (r->o.latent_dim != 2 || type->decode == NULL || type->discrete || type->labels ||
        !(type->prior != NULL || tp_model_has_code(type)))
        return TP_OK;
    TP_TRY(count_latents(r, &n));
    *has = n == 2;
    return TP_OK;
}

tp_status picture_manifold(run *r, const latents *l, picture *p)
{
    (void)l;
    bool has;
    if (r->o.latent_dim != 2)
        return tp_fail(TP_EARG, "%s has %lld latent dimensions; a manifold is drawn for 2",
                       r->o.run, (long long)r->o.latent_dim);
    TP_TRY(picture_has_manifold(r, &has));
    if (!has)
        return tp_fail(TP_EARG, "%s: %s does not decode pictures from two numbers alone", r->o.run,
                       r->model.type->name);
    float grid[SIDE * SIDE][2];
    int side = picture_fitting(r, SIDE);
    for (int i = 0; i < side * side; i++) {
        int column = i % side, row = side - 1 - i / side;
        grid[i][0] = (float)normal_quantile((column + 0.5) / side);
        grid[i][1] = (float)normal_quantile((row + 0.5) / side);
    }
    tp_tensor z;
    TP_TRY(tp_tensor_from(&z, TP_F32, TP_SHAPE(side * side, 2), grid));
    tp_ctx c = picture_begin(r, r->o.seed);
    tp_dist d = tp_model_decode(&r->model, &c, tp_constant(r->tape, &z));
    tp_status s = keep_means(r, d, p, side);
    tp_tape_reset(r->tape);
    tp_tensor_free(&z);
    return s;
}
