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

#include "tensor/conv_steps.h"
#include "tensor/map.h"
#include "tensor/matmul.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

/* BLOCK: bytes of rows, which several cores share in their second-level caches. */
/* PARTS: of the images, each worked on by one thread that reads what it has laid out itself, in a block of a
 * PER_PARTth, and with a sum of its own for the gradient of the kernel. Fewer images are worked on by all threads, and
 * those that meet kernels of LARGE bytes. */
enum { MOST = 1 << 30, BLOCK = 2 << 20, PARTS = 8, PER_PART = 2, LARGE = 4 << 20 };

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

/* --- where things lie ------------------------------------------------------------------------------- */

/* Rows a multiple of 512 bytes apart would meet in few sets of the first-level cache: see matmul.c. */
static int64_t pitch_of(int64_t n, int64_t size)
{
    int64_t line = TP_ALIGN / size, pitch = n >= 4 * line ? (n + line - 1) / line * line : n;
    return pitch * size % 512 == 0 ? pitch + line : pitch;
}

/* Element number i along the first axis and all behind it. */
static tp_tensor from(const tp_tensor *t, int64_t i)
{
    tp_tensor v = *t;
    v.offset += i * t->stride[0];
    return v;
}

/* And one example behind the other: then places are a matrix. */
static bool lie(const tp_tensor *t)
{
    const int64_t *d = t->shape.dim;
    return tp_conv_lies(t) && (d[0] == 1 || t->stride[0] == d[1] * d[2] * d[3]);
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
static tp_tensor places(const tp_conv_work *k, const tp_tensor *y, int64_t m)
{
    const tp_conv_job *j = k->j;
    tp_tensor v = matrix(&k->out, m, j->outputs);
    if (lie(y)) {
        v = matrix(y, m, j->outputs);
        v.offset += ((k->first * j->oh) + k->line) * j->ow * j->outputs;
        v.stride[0] = j->outputs, v.stride[1] = 1;
    }
    return v;
}

/* A product into memory that threads share, whose writes were counted before. */
static tp_status product(const tp_tensor *c, const tp_tensor *a, const tp_tensor *b,
                         tp_matmul_opts opts)
{
    tp_storage uncounted = *c->storage;
    tp_tensor to = *c;
    to.storage = &uncounted;
    return tp_matmul_into(&to, a, b, opts);
}

static tp_status add_to_weight(const tp_conv_work *k, int64_t m, int64_t n)
{
    tp_tensor rows = matrix(&k->rows, m, n), out = places(k, &k->j->y, m), turned;
    tp_tensor weight = matrix(&k->to_weight, k->j->outputs, n);
    TP_TRY(tp_view_transpose(&out, 0, 1, &turned));
    return product(&weight, &turned, &rows, (tp_matmul_opts){.accumulate = true});
}

static tp_status make_rows(const tp_conv_work *k, int64_t m, int64_t n)
{
    tp_tensor rows = matrix(&k->rows, m, n), out = places(k, &k->j->y, m);
    tp_tensor weight = matrix(&k->j->weight, k->j->outputs, n);
    return product(&rows, &out, &weight, (tp_matmul_opts){0});
}

static tp_status make_out(const tp_conv_work *k, int64_t m, int64_t n)
{
    const tp_conv_job *j = k->j;
    tp_tensor rows = matrix(&k->rows, m, n), out = places(k, &j->to_y, m);
    tp_tensor weight = matrix(&j->turned, n, j->outputs);
    return product(&out, &rows, &weight, (tp_matmul_opts){0});
}

/* Lines of positions of some images. */
static tp_status run_band(tp_conv_work *k)
{
    const tp_conv_job *j = k->j;
    int64_t m = k->count * k->lines * j->ow, n = j->kh * j->kw * j->channels;
    if (tp_conv_has(&j->x))
        tp_parallel(k->count * k->lines, tp_conv_unfold_line, k);
    if (tp_conv_has(&j->y) && !lie(&j->y))
        tp_parallel(k->count, tp_conv_places_in, k);
    if (tp_conv_has(&j->to_w))
        TP_TRY(add_to_weight(k, m, n));
    if (tp_conv_has(&j->to_x)) {
        TP_TRY(make_rows(k, m, n));
        tp_conv_find_seen(k);
        tp_parallel(k->count * k->seen, tp_conv_fold_line, k);
    }
    if (tp_conv_has(&j->to_y)) {
        TP_TRY(make_out(k, m, n));
        if (!lie(&j->to_y))
            tp_parallel(k->count, tp_conv_places_out, k);
    }
    return TP_OK;
}

/* Images first … last-1. */
static tp_status run_images(tp_conv_work *k, int64_t first, int64_t last)
{
    const tp_conv_job *j = k->j;
    for (k->first = first; k->first < last; k->first += j->block) {
        k->count = k->first + j->block > last ? last - k->first : j->block;
        if (tp_conv_lies(&j->x))
            k->image = from(&j->x, k->first);
        else if (tp_conv_has(&j->x))
            tp_parallel(k->count, tp_conv_image_in, k);
        if (tp_conv_lies(&j->to_x))
            k->to_image = from(&j->to_x, k->first);
        for (k->line = 0; k->line < j->oh; k->line += j->band) {
            k->lines = k->line + j->band > j->oh ? j->oh - k->line : j->band;
            TP_TRY(run_band(k));
        }
        if (tp_conv_has(&j->to_x) && !tp_conv_lies(&j->to_x))
            tp_parallel(k->count, tp_conv_image_out, k);
    }
    return TP_OK;
}

static _Thread_local char here; /* its address tells threads apart */

/* A part of the images, with a buffer that no other thread uses now: there is one for each. */
static void run_part(int64_t part, void *arg)
{
    tp_conv_job *j = arg;
    unsigned buffer = 0;
    while (atomic_fetch_or(&j->busy, 1u << buffer) >> buffer & 1)
        buffer = (buffer + 1) % (unsigned)j->rows.shape.dim[0];
    tp_conv_work k = {.j = j, .rows = from(&j->rows, buffer), .out = from(&j->out, buffer)};
    k.rows.stride[0] = k.rows.stride[1], k.rows.stride[1] = 1;
    k.out.stride[0] = k.out.stride[1], k.out.stride[1] = 1;
    tp_status s = TP_OK;
    if (tp_conv_has(&j->image))
        k.image = from(&j->image, buffer), k.image.stride[0] = j->image.stride[1];
    if (tp_conv_has(&j->to_image))
        k.to_image = from(&j->to_image, buffer), k.to_image.stride[0] = j->to_image.stride[1];
    if (tp_conv_has(&j->to_w)) {
        k.to_weight = from(&j->to_weight, part);
        k.to_weight.stride[0] = k.to_weight.stride[1], k.to_weight.stride[1] = 1;
        memset(tp_conv_at(&k.to_weight, 0), 0, (size_t)(j->to_weight.stride[0] * j->size));
    }
    s = run_images(&k, j->examples * part / j->parts, j->examples * (part + 1) / j->parts);
    if (s != TP_OK)
        atomic_store(&j->status, s);
    if (j->caller != &here)
        tp_matmul_release();
    atomic_fetch_and(&j->busy, ~(1u << buffer));
}

/* The sum of all parts in the place of the first. */
static tp_status add_parts(const tp_conv_job *j)
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
static tp_status run_group(tp_conv_job *j)
{
    if (tp_conv_has(&j->weight))
        tp_parallel(j->outputs, tp_conv_kernel_in, j);
    if (tp_conv_has(&j->turned))
        tp_parallel(j->kh * j->kw, tp_conv_kernel_in_turned, j);
    if (j->parts == 1)
        run_part(0, j);
    else
        tp_parallel(j->parts, run_part, j);
    tp_status s = (tp_status)atomic_load(&j->status);
    if (s != TP_OK)
        return tp_fail(s, "no memory for the products of a convolution");
    if (tp_conv_has(&j->to_w)) {
        TP_TRY(add_parts(j));
        tp_parallel(j->outputs, tp_conv_kernel_out, j);
    }
    return TP_OK;
}

/* Memory for the matrices of blocks, one for each thread that works on a part, and of kernels. */
static tp_status make_buffers(tp_conv_job *j, struct tp_arena *scratch)
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
        {tp_conv_has(&j->x) && !tp_conv_lies(&j->x), &j->image,
         TP_SHAPE(n, j->block, j->height * j->width * j->channels)},
        {tp_conv_has(&j->to_x) && !tp_conv_lies(&j->to_x), &j->to_image,
         TP_SHAPE(n, j->block, j->height * j->width * j->channels)},
        {tp_conv_has(&j->w) && tp_conv_has(&j->to_x), &j->weight, TP_SHAPE(j->outputs, row)},
        {tp_conv_has(&j->w) && tp_conv_has(&j->to_y), &j->turned, TP_SHAPE(columns, place)},
        {tp_conv_has(&j->to_w), &j->to_weight, TP_SHAPE(j->parts, j->outputs, row)},
    };
    for (int i = 0; i < (int)(sizeof all / sizeof *all); i++)
        if (all[i].wanted)
            TP_TRY(tp_arena_tensor(scratch, all[i].buffer, j->dtype, all[i].shape));
    return TP_OK;
}

static void drop_buffers(tp_conv_job *j)
{
    tp_tensor *buffer[] = {&j->rows,   &j->out,    &j->image,    &j->to_image,
                           &j->weight, &j->turned, &j->to_weight};
    for (int i = (int)(sizeof buffer / sizeof *buffer) - 1; i >= 0; i--)
        tp_tensor_drop(buffer[i]);
}

/* Sizes, of the tensor of each role that is there, and of blocks. */
static void measure(tp_conv_job *j)
{
    const int64_t *image = (tp_conv_has(&j->x) ? &j->x : &j->to_x)->shape.dim;
    const int64_t *kernel = (tp_conv_has(&j->w) ? &j->w : &j->to_w)->shape.dim;
    const tp_tensor *positions = tp_conv_has(&j->y) ? &j->y : &j->to_y;
    j->kernels = tp_kernels_get();
    j->dtype = positions->dtype;
    j->size = tp_dtype_size(j->dtype);
    j->examples = image[0], j->channels = kernel[1], j->height = image[2], j->width = image[3];
    j->outputs = kernel[0] / j->o.groups, j->kh = kernel[2], j->kw = kernel[3];
    j->oh = positions->shape.dim[2], j->ow = positions->shape.dim[3];
    j->x.shape.dim[1] = j->to_x.shape.dim[1] = j->channels;
    j->y.shape.dim[1] = j->to_y.shape.dim[1] = j->outputs;
    int64_t row = pitch_of(j->kh * j->kw * j->channels, j->size) + pitch_of(j->outputs, j->size);
    double bytes =
        (double)row * (double)j->ow * (double)j->size; /* of a line: int64_t may not hold them */
    bool large = j->outputs > LARGE / row / j->size;
    j->parts = j->examples < PARTS || large ? 1 : PARTS;
    double room = j->parts == 1 ? BLOCK : (double)BLOCK / PER_PART;
    int64_t fits = (int64_t)(room / bytes); /* lines of positions */
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
static void stand_up(tp_conv_job *j)
{
    tp_tensor *all[] = {&j->x, &j->w, &j->y, &j->to_x, &j->to_w, &j->to_y};
    for (int i = 0; i < 6; i++)
        if (tp_conv_has(all[i]) && all[i]->shape.dim[2] != 1)
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
    if (tp_conv_has(t))
        t->offset += n * t->stride[axis];
}

static tp_status run(tp_conv_job *j, struct tp_arena *scratch)
{
    tp_tensor *wanted[] = {&j->to_x, &j->to_w, &j->to_y}, *given[] = {&j->x, &j->w, &j->y};
    bool empty = false;
    for (int i = 0; i < 3; i++)
        empty = empty || (tp_conv_has(wanted[i]) && tp_numel(wanted[i]) == 0) ||
                (tp_conv_has(given[i]) && tp_numel(given[i]) == 0);
    for (int i = 0; i < 3; i++)
        if (tp_conv_has(wanted[i]) && empty)
            TP_TRY(tp_fill(wanted[i], 0));
        else if (tp_conv_has(wanted[i]))
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
    }
    drop_buffers(j);
    return s;
}

/* --- the directions ------------------------------------------------------------------------------------ */

tp_status tp_conv_into(tp_tensor *y, const tp_tensor *x, const tp_tensor *w, const tp_conv_opts *o,
                       struct tp_arena *scratch)
{
    return run(&(tp_conv_job){.o = *o, .x = *x, .w = *w, .to_y = *y}, scratch);
}

tp_status tp_conv_image_into(tp_tensor *x, const tp_tensor *y, const tp_tensor *w,
                             const tp_conv_opts *o, struct tp_arena *scratch)
{
    return run(&(tp_conv_job){.o = *o, .y = *y, .w = *w, .to_x = *x}, scratch);
}

tp_status tp_conv_kernel_into(tp_tensor *w, const tp_tensor *x, const tp_tensor *y,
                              const tp_conv_opts *o, struct tp_arena *scratch)
{
    return run(&(tp_conv_job){.o = *o, .x = *x, .y = *y, .to_w = *w}, scratch);
}

tp_status tp_conv_image_kernel_into(tp_tensor *to_x, tp_tensor *to_w, const tp_tensor *x,
                                    const tp_tensor *w, const tp_tensor *y, const tp_conv_opts *o,
                                    struct tp_arena *scratch)
{
    return run(&(tp_conv_job){.o = *o, .x = *x, .w = *w, .y = *y, .to_x = *to_x, .to_w = *to_w},
               scratch);
}

tp_status tp_conv_places_kernel_into(tp_tensor *to_y, tp_tensor *to_w, const tp_tensor *x,
                                     const tp_tensor *w, const tp_tensor *y, const tp_conv_opts *o,
                                     struct tp_arena *scratch)
{
    return run(&(tp_conv_job){.o = *o, .x = *x, .w = *w, .y = *y, .to_y = *to_y, .to_w = *to_w},
               scratch);
}
