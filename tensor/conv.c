/* conv.c: the driver of convolutions.
 *
 * Images are turned channels-last, and what the kernel sees at a position laid out as a row of a matrix ("im2col",
 * Chellapilla, Puri and Simard 2006), for a block of images that stays in the caches, or a band of positions of a
 * large one. Then each of the three is a product of matrices, with rows [positions, kh·kw·C], out [positions, O],
 * weight [O, kh·kw·C]:
 *     out = rows · weightᵀ        rows = out · weight        weight += outᵀ · rows
 * and the adjoint of laying out rows is to add them up. Borders of blocks depend on shapes alone, and each element is
 * summed in one order, so bits do not depend on the number of threads.
 * Read next: kernels/window.inc, matmul.c.
 */
#include "tensor/conv.h"

#include <string.h>

#include "tensor/kernels/kernels.h"
#include "tensor/map.h"
#include "tensor/matmul.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

/* BLOCK: bytes of rows, which several cores share in their second-level caches. */
/* PARTS: into which the gradient of a kernel is summed, each from images of its own, so that a thread reads what it
 * has laid out itself. */
enum { MOST = 1 << 30, BLOCK = 2 << 20, PARTS = 4 };

tp_status tp_conv_opts_check(tp_conv_opts *o)
{
    const struct {
        const char *name;
        int64_t *value, least, unset;
    } part[] = {{"stride", o->stride, 1, 1},
                {"padding", o->padding, 0, 0},
                {"dilation", o->dilation, 1, 1},
                {"output_padding", o->output_padding, 0, 0}};
    for (int i = 0; i < 4; i++) {
        int64_t *v = part[i].value;
        if (v[0] == 0 && v[1] == 0)
            v[0] = v[1] = part[i].unset;
        for (int axis = 0; axis < 2; axis++)
            if (v[axis] < part[i].least || v[axis] > MOST)
                return tp_fail(TP_EARG, "%s %lld,%lld: from %lld to 2^30 needed", part[i].name,
                               (long long)v[0], (long long)v[1], (long long)part[i].least);
    }
    o->groups = o->groups == 0 ? 1 : o->groups;
    return o->groups >= 1
               ? TP_OK
               : tp_fail(TP_EARG, "%lld groups: at least 1 needed", (long long)o->groups);
}

int64_t tp_conv_positions(const tp_conv_opts *o, int axis, int64_t size, int64_t kernel)
{
    int64_t dilation = o->dilation[axis], room = size + 2 * o->padding[axis] - 1;
    if (kernel < 1 || room < 0 || kernel - 1 > room / dilation) /* the product may be too large */
        return 0;
    return (room - dilation * (kernel - 1)) / o->stride[axis] + 1;
}

int64_t tp_conv_size(const tp_conv_opts *o, int axis, int64_t positions, int64_t kernel)
{
    return (positions - 1) * o->stride[axis] - 2 * o->padding[axis] +
           o->dilation[axis] * (kernel - 1) + 1 + o->output_padding[axis];
}

/* --- a job: one group of channels ---------------------------------------------------------------- */

typedef struct job {
    tp_conv_opts o;
    tp_tensor x, w, y;          /* the channels of this group of what is given, and */
    tp_tensor to_x, to_w, to_y; /* of what is wanted; without storage what is not */
    int64_t examples, channels, height, width;
    int64_t outputs, kh, kw, oh, ow;
    int64_t block, band; /* images at a time, and lines of positions at a time */
    /* The matrices above; images are [block, height·width, channels]. */
    tp_tensor rows, out, weight, to_weight, image, to_image;
    int64_t first, count, line, lines; /* now: images, and lines of positions of each */
    int64_t top, seen;                 /* and lines of the image that these add to */
    int64_t size;                      /* of an element */
    tp_dtype dtype;
    const tp_kernels *kernels;
} job;

static bool has(const tp_tensor *t)
{
    return t->storage != NULL;
}

/* Rows a multiple of 512 bytes apart would meet in few sets of the first-level cache: see matmul.c. */
static int64_t pitch_of(int64_t n, int64_t size)
{
    int64_t line = TP_ALIGN / size, pitch = n >= 4 * line ? (n + line - 1) / line * line : n;
    return pitch * size % 512 == 0 ? pitch + line : pitch;
}

static char *at(const tp_tensor *t, int64_t element)
{
    return (char *)t->storage->data + (t->offset + element) * tp_dtype_size(t->dtype);
}

/* Turns a matrix: to[p·pitch + i] = from[i·s[0] + (p / width)·s[1] + (p % width)·s[2]], i < lanes, p < lines·width. */
static void turn(const job *j, int64_t lanes, int64_t lines, int64_t width, const char *from,
                 const int64_t s[3], char *to, int64_t pitch)
{
    tp_pack_fn pack = j->kernels->tile[j->dtype].pack;
    if (lines == 1 || s[1] == width * s[2])
        pack(pitch, lanes, lines * width, from, s[0], s[2], to);
    else
        for (int64_t i = 0; i < lines; i++)
            pack(pitch, lanes, width, from + i * s[1] * j->size, s[0], s[2],
                 to + i * width * pitch * j->size);
}

/* --- steps, each with a chunk for every image of the block, or for every line ------------------------ */

static void image_in(int64_t n, void *arg)
{
    const job *j = arg;
    turn(j, j->channels, j->height, j->width, at(&j->x, (j->first + n) * j->x.stride[0]),
         j->x.stride + 1, at(&j->image, n * j->image.stride[0]), j->channels);
}

static void image_out(int64_t n, void *arg)
{
    const job *j = arg;
    int64_t elements = j->height * j->width;
    turn(j, elements, 1, j->channels, at(&j->to_image, n * j->to_image.stride[0]),
         (const int64_t[]){j->channels, 0, 1}, at(&j->to_x, (j->first + n) * j->to_x.stride[0]),
         elements);
}

static void places_in(int64_t n, void *arg)
{
    const job *j = arg;
    const int64_t *s = j->y.stride, pitch = j->out.stride[0];
    turn(j, j->outputs, j->lines, j->ow, at(&j->y, (j->first + n) * s[0] + j->line * s[2]), s + 1,
         at(&j->out, n * j->lines * j->ow * pitch), pitch);
}

static void places_out(int64_t n, void *arg)
{
    const job *j = arg;
    int64_t places = j->lines * j->ow, pitch = j->out.stride[0], plane = j->to_y.stride[1];
    const char *from = at(&j->out, n * places * pitch);
    char *to = at(&j->to_y, (j->first + n) * j->to_y.stride[0] + j->line * j->ow);
    tp_pack_fn pack = j->kernels->tile[j->dtype].pack;
    if (places == plane)
        pack(plane, plane, j->outputs, from, pitch, 1, to);
    else /* a band: each channel apart */
        for (int64_t o = 0; o < j->outputs; o++)
            pack(1, 1, places, from + o * j->size, 1, pitch, to + o * plane * j->size);
}

static void kernel_in(int64_t o, void *arg)
{
    const job *j = arg;
    turn(j, j->channels, j->kh, j->kw, at(&j->w, o * j->w.stride[0]), j->w.stride + 1,
         at(&j->weight, o * j->weight.stride[0]), j->channels);
}

static void kernel_out(int64_t o, void *arg)
{
    const job *j = arg;
    int64_t taps = j->kh * j->kw;
    turn(j, taps, 1, j->channels, at(&j->to_weight, o * j->to_weight.stride[0]),
         (const int64_t[]){j->channels, 0, 1}, at(&j->to_w, o * j->to_w.stride[0]), taps);
}

/* What kernel line u sees from line i of positions (of those in rows now): line a of that image. */
static tp_window_args window(const job *j, const tp_tensor *image, int64_t n, int64_t a, int64_t i,
                             int64_t u)
{
    int64_t row = (n * j->lines + i) * j->ow, c = j->channels;
    bool exists = a >= 0 && a < j->height;
    return (tp_window_args){
        .channels = c,
        .width = j->width,
        .taps = j->kw,
        .positions = j->ow,
        .stride = j->o.stride[1],
        .padding = j->o.padding[1],
        .dilation = j->o.dilation[1],
        .pitch = j->rows.stride[0],
        .line = exists ? at(image, n * image->stride[0] + a * j->width * c) : NULL,
        .rows = at(&j->rows, row * j->rows.stride[0] + u * j->kw * c),
    };
}

/* All rows of one line of positions. */
static void unfold_line(int64_t chunk, void *arg)
{
    const job *j = arg;
    int64_t n = chunk / j->lines, i = chunk % j->lines;
    for (int64_t u = 0; u < j->kh; u++) {
        int64_t a = (j->line + i) * j->o.stride[0] + u * j->o.dilation[0] - j->o.padding[0];
        tp_window_args w = window(j, &j->image, n, a, i, u);
        j->kernels->unfold[j->dtype](&w);
    }
}

/* The lines of the image that the rows of now add to; the first band clears all of them. */
static void find_seen(job *j)
{
    int64_t top = j->line * j->o.stride[0] - j->o.padding[0];
    int64_t end = top + (j->lines - 1) * j->o.stride[0] + (j->kh - 1) * j->o.dilation[0] + 1;
    j->top = j->line == 0 || top < 0 ? 0 : top;
    end = j->line == 0 || end > j->height ? j->height : end;
    j->seen = end > j->top ? end - j->top : 0;
}

/* All that rows add to one line of the image: lines of different chunks share nothing. */
static void fold_line(int64_t chunk, void *arg)
{
    const job *j = arg;
    int64_t n = chunk / j->seen, a = j->top + chunk % j->seen, stride = j->o.stride[0];
    if (j->line == 0)
        memset(at(&j->to_image, n * j->to_image.stride[0] + a * j->width * j->channels), 0,
               (size_t)(j->width * j->channels * j->size));
    for (int64_t u = j->kh - 1; u >= 0; u--) {
        int64_t from = a + j->o.padding[0] - u * j->o.dilation[0]; /* i · stride */
        if (from < j->line * stride || from % stride != 0 || from / stride >= j->line + j->lines)
            continue;
        tp_window_args w = window(j, &j->to_image, n, a, from / stride - j->line, u);
        j->kernels->fold[j->dtype](&w);
    }
}

/* --- blocks ----------------------------------------------------------------------------------------- */

/* The part of a matrix that is in use. */
static tp_tensor matrix(const tp_tensor *t, int64_t m, int64_t n)
{
    tp_tensor v = *t;
    v.shape = TP_SHAPE(m, n);
    return v;
}

/* A matrix [m, n] as parts of it, one below the other. */
static tp_tensor in_parts(const tp_tensor *t, int64_t parts, int64_t m, int64_t n)
{
    tp_tensor v = *t;
    v.shape = TP_SHAPE(parts, m / parts, n);
    v.stride[2] = t->stride[1], v.stride[1] = t->stride[0];
    v.stride[0] = m / parts * t->stride[0];
    return v;
}

static tp_status add_to_weight(const job *j, int64_t m, int64_t k)
{
    int64_t parts = j->count % PARTS == 0 ? PARTS : 1;
    tp_tensor rows = in_parts(&j->rows, parts, m, k);
    tp_tensor out = in_parts(&j->out, parts, m, j->outputs), turned;
    tp_tensor weight = in_parts(&j->to_weight, parts, parts * j->outputs, k);
    TP_TRY(tp_view_transpose(&out, 1, 2, &turned));
    return tp_matmul_into(&weight, &turned, &rows, (tp_matmul_opts){.accumulate = true});
}

/* The sum of all parts in the place of the first. */
static tp_status add_parts(const job *j)
{
    tp_tensor first, part;
    TP_TRY(tp_view_slice(&j->to_weight, 0, 0, j->outputs, 1, &first));
    for (int64_t i = 1; i < PARTS; i++) {
        TP_TRY(tp_view_slice(&j->to_weight, 0, i * j->outputs, (i + 1) * j->outputs, 1, &part));
        TP_TRY(tp_map2(&first, &first, &part, TP_K_add));
    }
    return TP_OK;
}

static tp_status make_rows(const job *j, int64_t m, int64_t k)
{
    tp_tensor rows = matrix(&j->rows, m, k), out = matrix(&j->out, m, j->outputs);
    tp_tensor weight = matrix(&j->weight, j->outputs, k);
    return tp_matmul_into(&rows, &out, &weight, (tp_matmul_opts){0});
}

static tp_status make_out(const job *j, int64_t m, int64_t k)
{
    tp_tensor rows = matrix(&j->rows, m, k), out = matrix(&j->out, m, j->outputs), turned;
    tp_tensor weight = matrix(&j->weight, j->outputs, k);
    TP_TRY(tp_view_transpose(&weight, 0, 1, &turned));
    return tp_matmul_into(&out, &rows, &turned, (tp_matmul_opts){0});
}

/* Lines of positions of some images. */
static tp_status run_band(job *j)
{
    int64_t m = j->count * j->lines * j->ow, k = j->kh * j->kw * j->channels;
    if (has(&j->x))
        tp_parallel(j->count * j->lines, unfold_line, j);
    if (has(&j->y))
        tp_parallel(j->count, places_in, j);
    if (has(&j->to_w))
        TP_TRY(add_to_weight(j, m, k));
    if (has(&j->to_x)) {
        TP_TRY(make_rows(j, m, k));
        find_seen(j);
        tp_parallel(j->count * j->seen, fold_line, j);
    }
    if (has(&j->to_y)) {
        TP_TRY(make_out(j, m, k));
        tp_parallel(j->count, places_out, j);
    }
    return TP_OK;
}

static tp_status run_group(job *j)
{
    if (has(&j->w))
        tp_parallel(j->outputs, kernel_in, j);
    if (has(&j->to_w))
        TP_TRY(tp_fill(&j->to_weight, 0));
    for (j->first = 0; j->first < j->examples; j->first += j->block) {
        j->count = j->first + j->block > j->examples ? j->examples - j->first : j->block;
        if (has(&j->x))
            tp_parallel(j->count, image_in, j);
        for (j->line = 0; j->line < j->oh; j->line += j->band) {
            j->lines = j->line + j->band > j->oh ? j->oh - j->line : j->band;
            TP_TRY(run_band(j));
        }
        if (has(&j->to_x))
            tp_parallel(j->count, image_out, j);
    }
    if (has(&j->to_w)) {
        TP_TRY(add_parts(j));
        tp_parallel(j->outputs, kernel_out, j);
    }
    return TP_OK;
}

/* Memory for the matrices of a block. */
static tp_status make_buffers(job *j, struct tp_arena *scratch)
{
    int64_t row = pitch_of(j->kh * j->kw * j->channels, j->size), m = j->block * j->band * j->ow;
    tp_shape image = TP_SHAPE(j->block, j->height * j->width, j->channels);
    tp_shape weight = TP_SHAPE(j->outputs, row), out = TP_SHAPE(m, pitch_of(j->outputs, j->size));
    TP_TRY(tp_arena_tensor(scratch, &j->rows, j->dtype, TP_SHAPE(m, row)));
    TP_TRY(tp_arena_tensor(scratch, &j->out, j->dtype, out));
    if (has(&j->x))
        TP_TRY(tp_arena_tensor(scratch, &j->image, j->dtype, image));
    if (has(&j->to_x))
        TP_TRY(tp_arena_tensor(scratch, &j->to_image, j->dtype, image));
    if (has(&j->w))
        TP_TRY(tp_arena_tensor(scratch, &j->weight, j->dtype, weight));
    weight.dim[0] *= PARTS;
    return has(&j->to_w) ? tp_arena_tensor(scratch, &j->to_weight, j->dtype, weight) : TP_OK;
}

static void drop_buffers(job *j)
{
    tp_tensor *buffer[] = {&j->rows, &j->out, &j->image, &j->to_image, &j->weight, &j->to_weight};
    for (int i = (int)(sizeof buffer / sizeof *buffer) - 1; i >= 0; i--)
        tp_tensor_drop(buffer[i]);
}

/* Sizes, of the tensor of each role that is there, and of blocks. */
static void measure(job *j)
{
    const int64_t *image = (has(&j->x) ? &j->x : &j->to_x)->shape.dim;
    const int64_t *kernel = (has(&j->w) ? &j->w : &j->to_w)->shape.dim;
    const tp_tensor *places = has(&j->y) ? &j->y : &j->to_y;
    j->kernels = tp_kernels_get();
    j->dtype = places->dtype;
    j->size = tp_dtype_size(j->dtype);
    j->examples = image[0], j->channels = kernel[1], j->height = image[2], j->width = image[3];
    j->outputs = kernel[0] / j->o.groups, j->kh = kernel[2], j->kw = kernel[3];
    j->oh = places->shape.dim[2], j->ow = places->shape.dim[3];
    int64_t row = pitch_of(j->kh * j->kw * j->channels, j->size) + pitch_of(j->outputs, j->size);
    double bytes =
        (double)row * (double)j->ow * (double)j->size; /* of a line: int64_t may not hold them */
    int64_t fits = (int64_t)(BLOCK / bytes);           /* lines of positions */
    j->block = fits < j->oh ? 1 : fits / j->oh < j->examples ? fits / j->oh : j->examples;
    j->block -= j->block > PARTS ? j->block % PARTS : 0;
    j->band = fits < 1 ? 1 : fits < j->oh ? fits : j->oh;
}

static void swap(int64_t v[2])
{
    int64_t first = v[0];
    v[0] = v[1], v[1] = first;
}

/* A signal: images, kernels and positions all of one line. It is taken for one column, or its line of positions, which
 * may be long, would be a band that does not fit. What is contiguous stays so. */
static void stand_up(job *j)
{
    tp_tensor *all[] = {&j->x, &j->w, &j->y, &j->to_x, &j->to_w, &j->to_y};
    for (int i = 0; i < 6; i++)
        if (has(all[i]) && all[i]->shape.dim[2] != 1)
            return;
    for (int i = 0; i < 6; i++) {
        swap(all[i]->shape.dim + 2), swap(all[i]->stride + 2);
        all[i]->stride[3] = all[i]->stride[2]; /* of an axis of one: turn sees a single run */
    }
    swap(j->o.stride), swap(j->o.padding), swap(j->o.dilation);
}

/* Moves a tensor, if it is there, by the elements between groups. */
static void next_group(tp_tensor *t, int axis, int64_t n)
{
    if (has(t))
        t->offset += n * t->stride[axis];
}

static tp_status run(job *j, struct tp_arena *scratch)
{
    tp_tensor *wanted[] = {&j->to_x, &j->to_w, &j->to_y}, *given[] = {&j->x, &j->w, &j->y};
    bool empty = false;
    for (int i = 0; i < 3; i++)
        empty = empty || (has(wanted[i]) && tp_numel(wanted[i]) == 0) ||
                (has(given[i]) && tp_numel(given[i]) == 0);
    for (int i = 0; i < 3; i++)
        if (has(wanted[i]) && empty)
            TP_TRY(tp_fill(wanted[i], 0));
        else if (has(wanted[i]))
            tp_data_mut(wanted[i]);
    if (empty)
        return TP_OK;
    measure(j);
    if (j->block == 1 && j->band * j->oh == 1 && j->ow > 1) {
        stand_up(j);
        measure(j);
    }
    tp_status s = make_buffers(j, scratch);
    for (int64_t g = 0; s == TP_OK && g < j->o.groups; g++) {
        s = run_group(j);
        next_group(&j->x, 1, j->channels), next_group(&j->to_x, 1, j->channels);
        next_group(&j->w, 0, j->outputs), next_group(&j->to_w, 0, j->outputs);
        next_group(&j->y, 1, j->outputs), next_group(&j->to_y, 1, j->outputs);
    }
    drop_buffers(j);
    return s;
}

/* --- the directions ------------------------------------------------------------------------------------ */

tp_status tp_conv_into(tp_tensor *y, const tp_tensor *x, const tp_tensor *w, const tp_conv_opts *o,
                       struct tp_arena *scratch)
{
    return run(&(job){.o = *o, .x = *x, .w = *w, .to_y = *y}, scratch);
}

tp_status tp_conv_image_into(tp_tensor *x, const tp_tensor *y, const tp_tensor *w,
                             const tp_conv_opts *o, struct tp_arena *scratch)
{
    return run(&(job){.o = *o, .y = *y, .w = *w, .to_x = *x}, scratch);
}

tp_status tp_conv_kernel_into(tp_tensor *w, const tp_tensor *x, const tp_tensor *y,
                              const tp_conv_opts *o, struct tp_arena *scratch)
{
    return run(&(job){.o = *o, .x = *x, .y = *y, .to_w = *w}, scratch);
}

tp_status tp_conv_image_kernel_into(tp_tensor *to_x, tp_tensor *to_w, const tp_tensor *x,
                                    const tp_tensor *w, const tp_tensor *y, const tp_conv_opts *o,
                                    struct tp_arena *scratch)
{
    return run(&(job){.o = *o, .x = *x, .w = *w, .y = *y, .to_x = *to_x, .to_w = *to_w}, scratch);
}

tp_status tp_conv_places_kernel_into(tp_tensor *to_y, tp_tensor *to_w, const tp_tensor *x,
                                     const tp_tensor *w, const tp_tensor *y, const tp_conv_opts *o,
                                     struct tp_arena *scratch)
{
    return run(&(job){.o = *o, .x = *x, .w = *w, .y = *y, .to_y = *to_y, .to_w = *to_w}, scratch);
}
