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

#include <stdatomic.h>
#include <string.h>

#include "tensor/kernels/kernels.h"
#include "tensor/map.h"
#include "tensor/matmul.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

/* BLOCK: bytes of rows, which several cores share in their second-level caches. */
/* PARTS: of the images, each worked on by one thread that reads what it has laid out itself, in a block of a
 * PER_PARTth, and with a sum of its own for the gradient of the kernel. Fewer images are worked on by all threads, and
 * those that meet kernels of LARGE bytes. */
enum { MOST = 1 << 30, BLOCK = 2 << 20, PARTS = 8, PER_PART = 4, LARGE = 4 << 20 };

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
    tp_tensor bias;             /* of what is wanted, and whether negatives are cut off */
    bool relu;
    int64_t examples, channels, height, width;
    int64_t outputs, kh, kw, oh, ow;
    int64_t parts, block, band; /* of the images; and images and lines of positions at a time */
    tp_tensor weight, turned;   /* the kernel as [outputs, kh·kw·channels], and turned */
    tp_tensor to_weight;        /* [parts, outputs, kh·kw·channels] */
    /* For each thread: rows, out, and images [block, height·width, channels] that do not lie so. */
    tp_tensor rows, out, image, to_image;
    int64_t size; /* of an element */
    tp_dtype dtype;
    const tp_kernels *kernels;
    const void *caller; /* the thread that has kept memory for products before */
    atomic_uint busy;   /* buffers, a bit for each */
    atomic_int status;
} job;

/* A part of the images, in the hands of one thread, with what that thread has of the above. */
typedef struct work {
    const job *j;
    tp_tensor rows, out, image, to_image, to_weight;
    int64_t first, count, line, lines; /* now: images, and lines of positions of each */
    int64_t top, seen;                 /* and lines of the image that these add to */
} work;

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

/* Element number i along the first axis and all behind it. */
static tp_tensor from(const tp_tensor *t, int64_t i)
{
    tp_tensor v = *t;
    v.offset += i * t->stride[0];
    return v;
}

/* Whether each example lies channels-last without gaps, as the steps below have it. */
static bool lies(const tp_tensor *t)
{
    const int64_t *d = t->shape.dim, *s = t->stride;
    return has(t) && (d[1] == 1 || s[1] == 1) && (d[3] == 1 || s[3] == d[1]) &&
           (d[2] == 1 || s[2] == d[3] * d[1]);
}

/* And one example behind the other: then places are a matrix. */
static bool lie(const tp_tensor *t)
{
    const int64_t *d = t->shape.dim;
    return lies(t) && (d[0] == 1 || t->stride[0] == d[1] * d[2] * d[3]);
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
    const work *k = arg;
    const job *j = k->j;
    turn(j, j->channels, j->height, j->width, at(&j->x, (k->first + n) * j->x.stride[0]),
         j->x.stride + 1, at(&k->image, n * k->image.stride[0]), j->channels);
}

/* Lines of one picture, from a matrix whose rows are the channels of its pixels. The writes were counted before, which
 * threads must not do at a time. */
static void write_out(const job *j, const tp_tensor *to, int64_t n, int64_t line, int64_t lines,
                      const tp_tensor *buffer, int64_t at_element, int64_t pitch)
{
    int64_t channels = to->shape.dim[1], width = to->shape.dim[3], pixels = lines * width;
    const int64_t *s = to->stride;
    int64_t first = n * s[0] + line * s[2];
    if (s[3] == 1 && s[2] == width && s[1] == pixels) {
        j->kernels->tile[j->dtype].pack(pixels, pixels, channels, at(buffer, at_element), pitch, 1,
                                        at(to, first));
        return;
    }
    tp_storage uncounted = *to->storage;
    tp_tensor y = {.storage = &uncounted,
                   .dtype = j->dtype,
                   .shape = TP_SHAPE(lines, width, channels),
                   .stride = {s[2], s[3], s[1]},
                   .offset = to->offset + first};
    tp_tensor x = {.storage = buffer->storage,
                   .dtype = j->dtype,
                   .shape = y.shape,
                   .stride = {width * pitch, pitch, 1},
                   .offset = buffer->offset + at_element};
    (void)tp_map1(&y, &x, TP_K_copy);
}

static void image_out(int64_t n, void *arg)
{
    const work *k = arg;
    const job *j = k->j;
    int64_t elements = j->height * j->width;
    char *image = at(&k->to_image, n * k->to_image.stride[0]);
    if (j->relu)
        j->kernels->map[TP_K_relu][j->dtype](elements * j->channels, image, (const void *[]){image},
                                             NULL);
    if (!lies(&j->to_x))
        write_out(j, &j->to_x, k->first + n, 0, j->height, &k->to_image, n * k->to_image.stride[0],
                  j->channels);
}

static void places_in(int64_t n, void *arg)
{
    const work *k = arg;
    const job *j = k->j;
    const int64_t *s = j->y.stride, pitch = k->out.stride[0];
    turn(j, j->outputs, k->lines, j->ow, at(&j->y, (k->first + n) * s[0] + k->line * s[2]), s + 1,
         at(&k->out, n * k->lines * j->ow * pitch), pitch);
}

static void places_out(int64_t n, void *arg)
{
    const work *k = arg;
    const job *j = k->j;
    int64_t pitch = k->out.stride[0];
    write_out(j, &j->to_y, k->first + n, k->line, k->lines, &k->out, n * k->lines * j->ow * pitch,
              pitch);
}

static void kernel_in(int64_t o, void *arg)
{
    const job *j = arg;
    turn(j, j->channels, j->kh, j->kw, at(&j->w, o * j->w.stride[0]), j->w.stride + 1,
         at(&j->weight, o * j->weight.stride[0]), j->channels);
}

/* The same for one element of the kernel and all channels. */
static void kernel_in_turned(int64_t tap, void *arg)
{
    const job *j = arg;
    const int64_t *s = j->w.stride, pitch = j->turned.stride[0];
    j->kernels->tile[j->dtype].pack(pitch, j->outputs, j->channels,
                                    at(&j->w, tap / j->kw * s[2] + tap % j->kw * s[3]), s[0], s[1],
                                    at(&j->turned, tap * j->channels * pitch));
}

static void kernel_out(int64_t o, void *arg)
{
    const job *j = arg;
    write_out(j, &j->to_w, o, 0, j->kh, &j->to_weight, o * j->to_weight.stride[1], j->channels);
}

/* What kernel line u sees from line i of positions (of those in rows now): line a of that image. */
static tp_window_args window(const work *k, const tp_tensor *image, int64_t n, int64_t a, int64_t i,
                             int64_t u)
{
    const job *j = k->j;
    int64_t row = (n * k->lines + i) * j->ow, c = j->channels;
    bool exists = a >= 0 && a < j->height;
    return (tp_window_args){
        .channels = c,
        .width = j->width,
        .taps = j->kw,
        .positions = j->ow,
        .stride = j->o.stride[1],
        .padding = j->o.padding[1],
        .dilation = j->o.dilation[1],
        .pitch = k->rows.stride[0],
        .line = exists ? at(image, n * image->stride[0] + a * j->width * c) : NULL,
        .rows = at(&k->rows, row * k->rows.stride[0] + u * j->kw * c),
    };
}

/* All rows of one line of positions. */
static void unfold_line(int64_t chunk, void *arg)
{
    const work *k = arg;
    const job *j = k->j;
    int64_t n = chunk / k->lines, i = chunk % k->lines;
    for (int64_t u = 0; u < j->kh; u++) {
        int64_t a = (k->line + i) * j->o.stride[0] + u * j->o.dilation[0] - j->o.padding[0];
        tp_window_args w = window(k, &k->image, n, a, i, u);
        j->kernels->unfold[j->dtype](&w);
    }
}

/* The lines of the image that the rows of now add to; the first band clears all of them. */
static void find_seen(work *k)
{
    const job *j = k->j;
    int64_t top = k->line * j->o.stride[0] - j->o.padding[0];
    int64_t end = top + (k->lines - 1) * j->o.stride[0] + (j->kh - 1) * j->o.dilation[0] + 1;
    k->top = k->line == 0 || top < 0 ? 0 : top;
    end = k->line == 0 || end > j->height ? j->height : end;
    k->seen = end > k->top ? end - k->top : 0;
}

/* A line of the image before anything is added to it. */
static void begin_line(const job *j, char *line)
{
    size_t size = (size_t)j->size, all = (size_t)(j->width * j->channels) * size, done;
    if (!has(&j->bias)) {
        memset(line, 0, all);
        return;
    }
    for (int64_t c = 0; c < j->channels; c++)
        memcpy(line + c * j->size, at(&j->bias, c * j->bias.stride[0]), size);
    for (done = (size_t)j->channels * size; done < all; done *= 2)
        memcpy(line + done, line, done < all - done ? done : all - done);
}

/* All that rows add to one line of the image: lines of different chunks share nothing. */
static void fold_line(int64_t chunk, void *arg)
{
    const work *k = arg;
    const job *j = k->j;
    int64_t n = chunk / k->seen, a = k->top + chunk % k->seen, stride = j->o.stride[0];
    if (k->line == 0)
        begin_line(j, at(&k->to_image, n * k->to_image.stride[0] + a * j->width * j->channels));
    for (int64_t u = j->kh - 1; u >= 0; u--) {
        int64_t first = a + j->o.padding[0] - u * j->o.dilation[0]; /* i · stride */
        if (first < k->line * stride || first % stride != 0 || first / stride >= k->line + k->lines)
            continue;
        tp_window_args w = window(k, &k->to_image, n, a, first / stride - k->line, u);
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

/* The places of now as a matrix: where they lie, or in the buffer. */
static tp_tensor places(const work *k, const tp_tensor *y, int64_t m)
{
    const job *j = k->j;
    tp_tensor v = matrix(&k->out, m, j->outputs);
    if (lie(y)) {
        v = matrix(y, m, j->outputs);
        v.offset += ((k->first * j->oh) + k->line) * j->ow * j->outputs;
        v.stride[0] = j->outputs, v.stride[1] = 1;
    }
    return v;
}

/* A product into memory that threads share, whose writes were counted before. */
static tp_status product(tp_tensor *c, const tp_tensor *a, const tp_tensor *b, tp_matmul_opts opts)
{
    tp_storage uncounted = *c->storage;
    c->storage = &uncounted;
    return tp_matmul_into(c, a, b, opts);
}

static tp_status add_to_weight(const work *k, int64_t m, int64_t n)
{
    tp_tensor rows = matrix(&k->rows, m, n), out = places(k, &k->j->y, m), turned;
    tp_tensor weight = matrix(&k->to_weight, k->j->outputs, n);
    TP_TRY(tp_view_transpose(&out, 0, 1, &turned));
    return product(&weight, &turned, &rows, (tp_matmul_opts){.accumulate = true});
}

static tp_status make_rows(const work *k, int64_t m, int64_t n)
{
    tp_tensor rows = matrix(&k->rows, m, n), out = places(k, &k->j->y, m);
    tp_tensor weight = matrix(&k->j->weight, k->j->outputs, n);
    return product(&rows, &out, &weight, (tp_matmul_opts){0});
}

static tp_status make_out(const work *k, int64_t m, int64_t n)
{
    const job *j = k->j;
    tp_tensor rows = matrix(&k->rows, m, n), out = places(k, &j->to_y, m);
    tp_tensor weight = matrix(&j->turned, n, j->outputs);
    return product(&out, &rows, &weight,
                   (tp_matmul_opts){.bias = has(&j->bias) ? &j->bias : NULL, .relu = j->relu});
}

/* Lines of positions of some images. */
static tp_status run_band(work *k)
{
    const job *j = k->j;
    int64_t m = k->count * k->lines * j->ow, n = j->kh * j->kw * j->channels;
    if (has(&j->x))
        tp_parallel(k->count * k->lines, unfold_line, k);
    if (has(&j->y) && !lie(&j->y))
        tp_parallel(k->count, places_in, k);
    if (has(&j->to_w))
        TP_TRY(add_to_weight(k, m, n));
    if (has(&j->to_x)) {
        TP_TRY(make_rows(k, m, n));
        find_seen(k);
        tp_parallel(k->count * k->seen, fold_line, k);
    }
    if (has(&j->to_y)) {
        TP_TRY(make_out(k, m, n));
        if (!lie(&j->to_y))
            tp_parallel(k->count, places_out, k);
    }
    return TP_OK;
}

/* Images first … last-1. */
static tp_status run_images(work *k, int64_t first, int64_t last)
{
    const job *j = k->j;
    for (k->first = first; k->first < last; k->first += j->block) {
        k->count = k->first + j->block > last ? last - k->first : j->block;
        if (lies(&j->x))
            k->image = from(&j->x, k->first);
        else if (has(&j->x))
            tp_parallel(k->count, image_in, k);
        if (lies(&j->to_x))
            k->to_image = from(&j->to_x, k->first);
        for (k->line = 0; k->line < j->oh; k->line += j->band) {
            k->lines = k->line + j->band > j->oh ? j->oh - k->line : j->band;
            TP_TRY(run_band(k));
        }
        if (has(&j->to_x) && (j->relu || !lies(&j->to_x)))
            tp_parallel(k->count, image_out, k);
    }
    return TP_OK;
}

static _Thread_local char here; /* its address tells threads apart */

/* A part of the images, with a buffer that no other thread uses now: there is one for each. */
static void run_part(int64_t part, void *arg)
{
    job *j = arg;
    unsigned buffer = 0;
    while (atomic_fetch_or(&j->busy, 1u << buffer) >> buffer & 1)
        buffer = (buffer + 1) % PARTS;
    work k = {.j = j, .rows = from(&j->rows, buffer), .out = from(&j->out, buffer)};
    k.rows.stride[0] = k.rows.stride[1], k.rows.stride[1] = 1;
    k.out.stride[0] = k.out.stride[1], k.out.stride[1] = 1;
    tp_status s = TP_OK;
    if (has(&j->image))
        k.image = from(&j->image, buffer), k.image.stride[0] = j->image.stride[1];
    if (has(&j->to_image))
        k.to_image = from(&j->to_image, buffer), k.to_image.stride[0] = j->to_image.stride[1];
    if (has(&j->to_w)) {
        k.to_weight = from(&j->to_weight, part);
        k.to_weight.stride[0] = k.to_weight.stride[1], k.to_weight.stride[1] = 1;
        memset(at(&k.to_weight, 0), 0, (size_t)(j->to_weight.stride[0] * j->size));
    }
    s = run_images(&k, j->examples * part / j->parts, j->examples * (part + 1) / j->parts);
    if (s != TP_OK)
        atomic_store(&j->status, s);
    if (j->caller != &here)
        tp_matmul_release();
    atomic_fetch_and(&j->busy, ~(1u << buffer));
}

/* The sum of all parts in the place of the first. */
static tp_status add_parts(const job *j)
{
    tp_tensor first = matrix(&j->to_weight, 1, j->to_weight.stride[0]);
    first.stride[1] = 1;
    for (int64_t i = 1; i < j->parts; i++) {
        tp_tensor part = from(&first, i);
        TP_TRY(tp_map2(&first, &first, &part, TP_K_add));
    }
    return TP_OK;
}

/* A single part is not called as a chunk: its steps are shared among the threads. */
static tp_status run_group(job *j)
{
    if (has(&j->weight))
        tp_parallel(j->outputs, kernel_in, j);
    if (has(&j->turned))
        tp_parallel(j->kh * j->kw, kernel_in_turned, j);
    if (j->parts == 1)
        run_part(0, j);
    else
        tp_parallel(j->parts, run_part, j);
    tp_status s = (tp_status)atomic_load(&j->status);
    if (s != TP_OK)
        return tp_fail(s, "no memory for the products of a convolution");
    if (has(&j->to_w)) {
        TP_TRY(add_parts(j));
        tp_parallel(j->outputs, kernel_out, j);
    }
    return TP_OK;
}

/* Memory for the matrices of blocks, one for each thread that works on a part, and of kernels. */
static tp_status make_buffers(job *j, struct tp_arena *scratch)
{
    int64_t columns = j->kh * j->kw * j->channels, row = pitch_of(columns, j->size);
    int64_t m = j->block * j->band * j->ow, place = pitch_of(j->outputs, j->size);
    int64_t threads = j->parts < tp_threads() ? j->parts : tp_threads();
    int64_t n = j->parts == 1 ? 1 : threads;
    const struct {
        bool wanted;
        tp_tensor *buffer;
        tp_shape shape;
    } all[] = {
        {true, &j->rows, TP_SHAPE(n, m, row)},
        {true, &j->out, TP_SHAPE(n, m, place)},
        {has(&j->x) && !lies(&j->x), &j->image,
         TP_SHAPE(n, j->block, j->height * j->width * j->channels)},
        {has(&j->to_x) && !lies(&j->to_x), &j->to_image,
         TP_SHAPE(n, j->block, j->height * j->width * j->channels)},
        {has(&j->w) && has(&j->to_x), &j->weight, TP_SHAPE(j->outputs, row)},
        {has(&j->w) && has(&j->to_y), &j->turned, TP_SHAPE(columns, place)},
        {has(&j->to_w), &j->to_weight, TP_SHAPE(j->parts, j->outputs, row)},
    };
    for (int i = 0; i < (int)(sizeof all / sizeof *all); i++)
        if (all[i].wanted)
            TP_TRY(tp_arena_tensor(scratch, all[i].buffer, j->dtype, all[i].shape));
    return TP_OK;
}

static void drop_buffers(job *j)
{
    tp_tensor *buffer[] = {&j->rows,   &j->out,    &j->image,    &j->to_image,
                           &j->weight, &j->turned, &j->to_weight};
    for (int i = (int)(sizeof buffer / sizeof *buffer) - 1; i >= 0; i--)
        tp_tensor_drop(buffer[i]);
}

/* Sizes, of the tensor of each role that is there, and of blocks. */
static void measure(job *j)
{
    const int64_t *image = (has(&j->x) ? &j->x : &j->to_x)->shape.dim;
    const int64_t *kernel = (has(&j->w) ? &j->w : &j->to_w)->shape.dim;
    const tp_tensor *positions = has(&j->y) ? &j->y : &j->to_y;
    j->kernels = tp_kernels_get();
    j->dtype = positions->dtype;
    j->size = tp_dtype_size(j->dtype);
    j->examples = image[0], j->channels = kernel[1], j->height = image[2], j->width = image[3];
    j->outputs = kernel[0] / j->o.groups, j->kh = kernel[2], j->kw = kernel[3];
    j->oh = positions->shape.dim[2], j->ow = positions->shape.dim[3];
    j->x.shape.dim[1] = j->to_x.shape.dim[1] = j->channels;
    j->y.shape.dim[1] = j->to_y.shape.dim[1] = j->outputs;
    j->bias.shape.dim[0] = has(&j->to_y) ? j->outputs : j->channels;
    int64_t row = pitch_of(j->kh * j->kw * j->channels, j->size) + pitch_of(j->outputs, j->size);
    double bytes =
        (double)row * (double)j->ow * (double)j->size; /* of a line: int64_t may not hold them */
    bool large = j->outputs > LARGE / row / j->size;
    j->parts = j->examples < PARTS || large ? 1 : PARTS;
    int64_t fits =
        (int64_t)(BLOCK / (j->parts == 1 ? 1 : PER_PART) / bytes); /* lines of positions */
    int64_t most = (j->examples + j->parts - 1) / j->parts;
    j->block = fits < j->oh ? 1 : fits / j->oh < most ? fits / j->oh : most;
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
    j->caller = &here;
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
        next_group(&j->bias, 0, has(&j->to_y) ? j->outputs : j->channels);
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
