/* pictures.c: decoding latents to PNG grids, and the commands that do nothing else.
 *
 * Shown are means of p(x|z), not draws from it. Read next: models/uses.h. */
#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "pictures.h"
#include "say.h"

#include "autograd/compose.h"
#include "tensor/io/file.h"
#include "tensor/io/png.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

/* Pictures in a row of a square grid: as many as asked for, or as a PNG has room for. */
static int fitting_side(const run *r, int most)
{
    enum { ROOM = 8192 };
    _Static_assert(ROOM * ROOM == TP_PNG_MAX_PIXELS && (int)ROOM <= TP_PNG_MAX_SIDE,
                   "a square of so many pixels a side can be written");
    int64_t fit = (ROOM - PAD) / (longer_side(r) * scale_of(r) + PAD);
    return fit >= most ? most : fit > 0 ? (int)fit : 1;
}

/* Writes values [n, width] as n pictures. */
static tp_status write_grid(const run *r, const char *path, const tp_tensor *values, int columns)
{
    tp_tensor images;
    int64_t n = values->shape.dim[0], height = r->o.height, width = r->o.width;
    bool colour = r->o.channels == TP_CHANNELS_COLOUR;
    tp_shape shape = colour ? TP_SHAPE(n, 3, height, width) : TP_SHAPE(n, height, width);
    TP_TRY(tp_view_reshape(values, shape, &images));
    return tp_png_grid(path, &images, columns, PAD, scale_of(r));
}

static tp_ctx begin(run *r, uint64_t seed)
{
    tp_tape_reset(r->tape);
    tp_no_grad_begin(r->tape);
    tp_ctx c = tp_ctx_eval(r->tape, seed, 0);
    c.key = tp_stream_key(seed, TP_STREAM_SAMPLE, 0);
    return c;
}

static tp_status write_means(run *r, tp_dist p, const char *path, int columns)
{
    tp_var x = tp_data_mean(p); /* [n, width] */
    tp_no_grad_end(r->tape);
    TP_TRY(tp_var_status(x));
    return write_grid(r, path, tp_value(x), columns);
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

tp_status picture_samples(run *r, const char *path, int64_t count, uint64_t seed)
{
    enum { USUAL = 8 };
    int64_t classes = r->model.type->labels ? r->model.config.classes : 0;
    int64_t side = fitting_side(r, USUAL), usual = side * side;
    tp_tensor labels = {0};
    if (count == 0)
        count = classes > 0 ? (usual + classes - 1) / classes * classes : usual;
    if (classes > 0)
        TP_TRY(make_labels(&labels, count, classes));
    tp_ctx c = begin(r, seed);
    c.labels = &labels;
    tp_status s = write_means(r, tp_model_generate(&r->model, &c, count), path, (int)classes);
    tp_tape_reset(r->tape);
    tp_tensor_free(&labels);
    return s;
}

/* Examples by their numbers: pictures into x, and what else a model may ask for. */
static tp_status gather(const run *r, const tp_dataset *d, const int64_t *row, tp_tensor *x,
                        tp_tensor *index, tp_tensor *labels)
{
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

/* Draws x into out. */
static tp_status reconstruct_into(run *r, tp_tensor *out, const tp_tensor *x,
                                  const tp_tensor *index, const tp_tensor *labels)
{
    tp_ctx c = begin(r, r->o.seed);
    c.index = index;
    c.labels = labels;
    tp_var y = tp_model_reconstruct(&r->model, &c, tp_constant(r->tape, x));
    tp_no_grad_end(r->tape);
    TP_TRY(tp_var_status(y));
    return tp_copy(out, tp_value(y));
}

bool picture_has_reconstructions(const run *r)
{
    return tp_model_has_code(r->model.type) && r->model.type->decode != NULL;
}

tp_status picture_reconstructions(run *r, const char *path)
{
    const tp_dataset *d = r->test.x.storage != NULL ? &r->test : &r->train;
    int64_t size = tp_dataset_size(d), most = fitting_side(r, SHOWN), n = size < most ? size : most;
    int64_t row[SHOWN] = {0};
    for (int64_t i = 0; i < n; i++)
        row[i] = i * size / n; /* some test sets are sorted by digit: never the first ones */
    tp_tensor both, inputs, outputs, index = {0}, labels = {0};
    TP_TRY(tp_tensor_new(&both, TP_F32, TP_SHAPE(2 * n, tp_dataset_width(d))));
    tp_status s = tp_view_slice(&both, 0, 0, n, 1, &inputs);
    if (s == TP_OK)
        s = tp_view_slice(&both, 0, n, 2 * n, 1, &outputs);
    if (s == TP_OK)
        s = gather(r, d, row, &inputs, &index, &labels);
    if (s == TP_OK)
        s = reconstruct_into(r, &outputs, &inputs, &index, &labels);
    if (s == TP_OK)
        s = write_grid(r, path, &both, (int)n);
    tp_tape_reset(r->tape);
    tp_tensor_free(&both);
    tp_tensor_free(&index);
    tp_tensor_free(&labels);
    return s;
}

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
    tp_ctx c = begin(r, r->o.seed);
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

tp_status picture_manifold(run *r, const char *path)
{
    bool has;
    if (r->o.latent_dim != 2)
        return tp_fail(TP_EARG, "%s has %lld latent dimensions; a manifold is drawn for 2",
                       r->o.run, (long long)r->o.latent_dim);
    TP_TRY(picture_has_manifold(r, &has));
    if (!has)
        return tp_fail(TP_EARG, "%s: %s does not decode pictures from two numbers alone", r->o.run,
                       r->model.type->name);
    float grid[SIDE * SIDE][2];
    int side = fitting_side(r, SIDE);
    for (int i = 0; i < side * side; i++) {
        int column = i % side, row = side - 1 - i / side;
        grid[i][0] = (float)normal_quantile((column + 0.5) / side);
        grid[i][1] = (float)normal_quantile((row + 0.5) / side);
    }
    tp_tensor z;
    TP_TRY(tp_tensor_from(&z, TP_F32, TP_SHAPE(side * side, 2), grid));
    tp_ctx c = begin(r, r->o.seed);
    tp_dist p = tp_model_decode(&r->model, &c, tp_constant(r->tape, &z));
    tp_status s = write_means(r, p, path, side);
    tp_tape_reset(r->tape);
    tp_tensor_free(&z);
    return s;
}

/* --- commands ----------------------------------------------------------------------------------- */

/* A picture may replace a picture, nothing else. */
static tp_status check_target(const char *path, bool *exists)
{
    char head[16];
    tp_file f;
    *exists = access(path, F_OK) == 0;
    if (!*exists)
        return TP_OK;
    TP_TRY(tp_file_open(&f, path));
    size_t n = f.size < 16 ? (size_t)f.size : 16;
    tp_status s = tp_file_read_at(&f, 0, head, n);
    tp_file_close(&f);
    if (s == TP_OK && strcmp(tp_file_looks_like(head, n), "a PNG image") != 0)
        return tp_fail(TP_EIO, "--out %s: is there and is %s, which is not replaced", path,
                       tp_file_looks_like(head, n));
    return s;
}

static tp_status sample(run *r)
{
    TP_TRY(run_load_model(r));
    if (!tp_model_has_samples(r->model.type))
        return tp_fail(TP_EARG,
                       "%s: %s has no prior to draw from; 'reconstruct' shows what it does",
                       r->o.run, r->model.type->name);
    return picture_samples(r, r->o.out, r->o.count, r->o.seed);
}

static tp_status reconstruct(run *r)
{
    TP_TRY(run_data(r));
    run_note_untested(r);
    TP_TRY(run_load_model(r));
    if (!picture_has_reconstructions(r))
        return tp_fail(TP_EARG,
                       "%s: %s has no code to reconstruct from; 'sample' shows what it does",
                       r->o.run, r->model.type->name);
    return picture_reconstructions(r, r->o.out);
}

static tp_status manifold(run *r)
{
    TP_TRY(run_load_model(r));
    return picture_manifold(r, r->o.out);
}

static int draw(const options *o, tp_status (*picture)(run *r))
{
    run r;
    bool exists = false;
    tp_status s = run_open(&r, o);
    if (s == TP_OK)
        s = check_target(o->out, &exists);
    if (s == TP_OK)
        s = picture(&r);
    run_close(&r);
    if (s != TP_OK)
        return complain_error(EXIT_BAD);
    char out[SHOWN_TEXT];
    printf("%s %s\n", exists ? "replaced" : "wrote", shown(out, o->out));
    return EXIT_GOOD;
}

int command_sample(const options *o)
{
    return draw(o, sample);
}

int command_reconstruct(const options *o)
{
    return draw(o, reconstruct);
}

int command_manifold(const options *o)
{
    return draw(o, manifold);
}
