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
#include "tensor/matmul.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

/* BLOCK: bytes of rows, which several cores share in their second-level caches. */
enum { MOST = 1 << 30, BLOCK = 2 << 20 };

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
    int64_t reach = o->dilation[axis] * (kernel - 1) + 1, room = size + 2 * o->padding[axis];
    return room < reach || kernel < 1 ? 0 : (room - reach) / o->stride[axis] + 1;
}

int64_t tp_conv_size(const tp_conv_opts *o, int axis, int64_t positions, int64_t kernel)
{
    return (positions - 1) * o->stride[axis] - 2 * o->padding[axis] +
           o->dilation[axis] * (kernel - 1) + 1 + o->output_padding[axis];
}

/* --- a job: one group of channels ---------------------------------------------------------------- */

/* What is computed from the other two. */
typedef enum target { PLACES, IMAGES, KERNELS } target;

typedef struct job {
    target target;
    tp_conv_opts o;
    tp_tensor x, w, y; /* the channels of this group */
    int64_t examples, channels, height, width;
    int64_t outputs, kh, kw, oh, ow;
    int64_t block, band;                /* images at a time, and lines of positions at a time */
    tp_tensor image, rows, out, weight; /* as above; image [block, height·width, channels] */
    int64_t first, count, line, lines;  /* now: images, and lines of positions of each */
    int64_t size;                       /* of an element */
    const tp_kernels *kernels;
} job;

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
    tp_pack_fn pack = j->kernels->tile[j->x.dtype].pack;
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
    turn(j, elements, 1, j->channels, at(&j->image, n * j->image.stride[0]),
         (const int64_t[]){j->channels, 0, 1}, at(&j->x, (j->first + n) * j->x.stride[0]),
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
    int64_t places = j->lines * j->ow, pitch = j->out.stride[0], plane = j->y.stride[1];
    const char *from = at(&j->out, n * places * pitch);
    char *to = at(&j->y, (j->first + n) * j->y.stride[0] + j->line * j->ow);
    tp_pack_fn pack = j->kernels->tile[j->x.dtype].pack;
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
    turn(j, taps, 1, j->channels, at(&j->weight, o * j->weight.stride[0]),
         (const int64_t[]){j->channels, 0, 1}, at(&j->w, o * j->w.stride[0]), taps);
}

/* What kernel line u sees of line a of image n, from line i of positions (of those in rows now). */
static tp_window_args window(const job *j, int64_t n, int64_t a, int64_t i, int64_t u)
{
    int64_t row = (n * j->lines + i) * j->ow, c = j->channels;
    return (tp_window_args){
        .channels = c,
        .width = j->width,
        .taps = j->kw,
        .positions = j->ow,
        .stride = j->o.stride[1],
        .padding = j->o.padding[1],
        .dilation = j->o.dilation[1],
        .pitch = j->rows.stride[0],
        .line = a < 0 || a >= j->height ? NULL
                                        : at(&j->image, n * j->image.stride[0] + a * j->width * c),
        .rows = at(&j->rows, row * j->rows.stride[0] + u * j->kw * c),
    };
}

/* What one line of the kernel sees from one line of positions. Threads take neighbouring chunks: of rows where the
 * product divides those among them, of columns for the gradient of the kernel, and find them in their own caches. */
static void unfold_line(int64_t chunk, void *arg)
{
    const job *j = arg;
    int64_t all = j->count * j->lines;
    int64_t u = j->target == KERNELS ? chunk / all : chunk % j->kh;
    int64_t line = j->target == KERNELS ? chunk % all : chunk / j->kh;
    int64_t n = line / j->lines, i = line % j->lines;
    int64_t a = (j->line + i) * j->o.stride[0] + u * j->o.dilation[0] - j->o.padding[0];
    tp_window_args w = window(j, n, a, i, u);
    j->kernels->unfold[j->x.dtype](&w);
}

/* All that rows add to one line of the image: lines of different chunks share nothing. */
static void fold_line(int64_t chunk, void *arg)
{
    const job *j = arg;
    int64_t n = chunk / j->height, a = chunk % j->height, stride = j->o.stride[0];
    if (j->line == 0)
        memset(at(&j->image, n * j->image.stride[0] + a * j->width * j->channels), 0,
               (size_t)(j->width * j->channels * j->size));
    for (int64_t u = j->kh - 1; u >= 0; u--) {
        int64_t from = a + j->o.padding[0] - u * j->o.dilation[0]; /* i · stride */
        if (from < j->line * stride || from % stride != 0 || from / stride >= j->line + j->lines)
            continue;
        tp_window_args w = window(j, n, a, from / stride - j->line, u);
        j->kernels->fold[j->x.dtype](&w);
    }
}

/* --- blocks ----------------------------------------------------------------------------------------- */

/* The rows of out and rows that are in use, as matrices of the sizes that they have without pitch. */
static tp_tensor matrix(const tp_tensor *t, int64_t m, int64_t n)
{
    tp_tensor v = *t;
    v.shape = TP_SHAPE(m, n);
    return v;
}

static tp_status multiply(job *j)
{
    int64_t m = j->count * j->lines * j->ow, k = j->kh * j->kw * j->channels;
    tp_tensor out = matrix(&j->out, m, j->outputs), rows = matrix(&j->rows, m, k), turned;
    tp_tensor weight = matrix(&j->weight, j->outputs, k);
    switch (j->target) {
    case PLACES:
        TP_TRY(tp_view_transpose(&weight, 0, 1, &turned));
        return tp_matmul_into(&out, &rows, &turned, (tp_matmul_opts){0});
    case IMAGES:
        return tp_matmul_into(&rows, &out, &weight, (tp_matmul_opts){0});
    default:
        TP_TRY(tp_view_transpose(&out, 0, 1, &turned));
        return tp_matmul_into(&weight, &turned, &rows, (tp_matmul_opts){.accumulate = true});
    }
}

/* Lines of positions of some images. */
static tp_status run_band(job *j)
{
    if (j->target != IMAGES)
        tp_parallel(j->count * j->lines * j->kh, unfold_line, j);
    if (j->target != PLACES)
        tp_parallel(j->count, places_in, j);
    TP_TRY(multiply(j));
    if (j->target == PLACES)
        tp_parallel(j->count, places_out, j);
    if (j->target == IMAGES)
        tp_parallel(j->count * j->height, fold_line, j);
    return TP_OK;
}

static tp_status run_group(job *j)
{
    if (j->target == KERNELS)
        TP_TRY(tp_fill(&j->weight, 0));
    else
        tp_parallel(j->outputs, kernel_in, j);
    for (j->first = 0; j->first < j->examples; j->first += j->block) {
        j->count = j->first + j->block > j->examples ? j->examples - j->first : j->block;
        if (j->target != IMAGES)
            tp_parallel(j->count, image_in, j);
        for (j->line = 0; j->line < j->oh; j->line += j->band) {
            j->lines = j->line + j->band > j->oh ? j->oh - j->line : j->band;
            TP_TRY(run_band(j));
        }
        if (j->target == IMAGES)
            tp_parallel(j->count, image_out, j);
    }
    if (j->target == KERNELS)
        tp_parallel(j->outputs, kernel_out, j);
    return TP_OK;
}

/* Sizes of blocks, and memory for them. */
static tp_status make_buffers(job *j, struct tp_arena *scratch)
{
    tp_dtype dtype = j->x.dtype;
    int64_t row = pitch_of(j->kh * j->kw * j->channels, j->size);
    int64_t out = pitch_of(j->outputs, j->size);
    int64_t fits = BLOCK / ((row + out) * j->ow * j->size); /* lines of positions */
    j->block = fits < j->oh ? 1 : fits / j->oh < j->examples ? fits / j->oh : j->examples;
    j->band = fits < 1 ? 1 : fits < j->oh ? fits : j->oh;
    int64_t m = j->block * j->band * j->ow;
    TP_TRY(tp_arena_tensor(scratch, &j->image, dtype,
                           TP_SHAPE(j->block, j->height * j->width, j->channels)));
    TP_TRY(tp_arena_tensor(scratch, &j->rows, dtype, TP_SHAPE(m, row)));
    TP_TRY(tp_arena_tensor(scratch, &j->out, dtype, TP_SHAPE(m, out)));
    return tp_arena_tensor(scratch, &j->weight, dtype, TP_SHAPE(j->outputs, row));
}

static tp_status run(target sought, const tp_tensor *x, const tp_tensor *w, const tp_tensor *y,
                     const tp_conv_opts *o, struct tp_arena *scratch)
{
    const int64_t *image = x->shape.dim, *kernel = w->shape.dim, *places = y->shape.dim;
    job j = {.target = sought,
             .o = *o,
             .x = *x,
             .w = *w,
             .y = *y,
             .examples = image[0],
             .channels = kernel[1],
             .height = image[2],
             .width = image[3],
             .outputs = places[1] / o->groups,
             .kh = kernel[2],
             .kw = kernel[3],
             .oh = places[2],
             .ow = places[3],
             .size = tp_dtype_size(x->dtype),
             .kernels = tp_kernels_get()};
    tp_tensor *written = sought == PLACES ? &j.y : sought == IMAGES ? &j.x : &j.w;
    if (tp_numel(x) == 0 || tp_numel(w) == 0 || tp_numel(y) == 0)
        return tp_fill(written, 0);
    tp_data_mut(written);
    tp_status s = make_buffers(&j, scratch);
    for (int64_t g = 0; s == TP_OK && g < o->groups; g++) {
        j.x.offset = x->offset + g * j.channels * x->stride[1];
        j.w.offset = w->offset + g * j.outputs * w->stride[0];
        j.y.offset = y->offset + g * j.outputs * y->stride[1];
        s = run_group(&j);
    }
    tp_tensor_drop(&j.weight);
    tp_tensor_drop(&j.out);
    tp_tensor_drop(&j.rows);
    tp_tensor_drop(&j.image);
    return s;
}

tp_status tp_conv_into(tp_tensor *y, const tp_tensor *x, const tp_tensor *w, const tp_conv_opts *o,
                       struct tp_arena *scratch)
{
    return run(PLACES, x, w, y, o, scratch);
}

tp_status tp_conv_image_into(tp_tensor *x, const tp_tensor *y, const tp_tensor *w,
                             const tp_conv_opts *o, struct tp_arena *scratch)
{
    return run(IMAGES, x, w, y, o, scratch);
}

tp_status tp_conv_kernel_into(tp_tensor *w, const tp_tensor *x, const tp_tensor *y,
                              const tp_conv_opts *o, struct tp_arena *scratch)
{
    return run(KERNELS, x, w, y, o, scratch);
}
