/* conv_steps.c: turning images and kernels, and laying out what a kernel sees. Read next: kernels/window.inc. */
#include "tensor/conv_steps.h"

#include <string.h>

#include "tensor/map.h"

/* Turns a matrix: to[p·pitch + i] = from[i·s[0] + (p / width)·s[1] + (p % width)·s[2]], i < lanes, p < lines·width. */
static void turn(const tp_conv_job *j, int64_t lanes, int64_t lines, int64_t width,
                 const char *from, const int64_t s[3], char *to, int64_t pitch)
{
    tp_pack_fn pack = j->kernels->tile[j->dtype].pack;
    if (lines == 1 || s[1] == width * s[2])
        pack(pitch, lanes, lines * width, from, s[0], s[2], to);
    else
        for (int64_t i = 0; i < lines; i++)
            pack(pitch, lanes, width, from + i * s[1] * j->size, s[0], s[2],
                 to + i * width * pitch * j->size);
}

void tp_conv_image_in(int64_t n, void *arg)
{
    const tp_conv_work *k = arg;
    const tp_conv_job *j = k->j;
    turn(j, j->channels, j->height, j->width, tp_conv_at(&j->x, (k->first + n) * j->x.stride[0]),
         j->x.stride + 1, tp_conv_at(&k->image, n * k->image.stride[0]), j->channels);
}

/* Lines of one picture, from a matrix whose rows are the channels of its pixels. The writes were counted before, which
 * threads must not do at a time. */
static void write_out(const tp_conv_job *j, const tp_tensor *to, int64_t n, int64_t line,
                      int64_t lines, const tp_tensor *buffer, int64_t at_element, int64_t pitch)
{
    int64_t channels = to->shape.dim[1], width = to->shape.dim[3], pixels = lines * width;
    const int64_t *s = to->stride;
    int64_t first = n * s[0] + line * s[2];
    if (s[3] == 1 && s[2] == width && s[1] == pixels) {
        j->kernels->tile[j->dtype].pack(pixels, pixels, channels, tp_conv_at(buffer, at_element),
                                        pitch, 1, tp_conv_at(to, first));
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

void tp_conv_image_out(int64_t n, void *arg)
{
    const tp_conv_work *k = arg;
    const tp_conv_job *j = k->j;
    write_out(j, &j->to_x, k->first + n, 0, j->height, &k->to_image, n * k->to_image.stride[0],
              j->channels);
}

void tp_conv_places_in(int64_t n, void *arg)
{
    const tp_conv_work *k = arg;
    const tp_conv_job *j = k->j;
    const int64_t *s = j->y.stride, pitch = k->out.stride[0];
    turn(j, j->outputs, k->lines, j->ow, tp_conv_at(&j->y, (k->first + n) * s[0] + k->line * s[2]),
         s + 1, tp_conv_at(&k->out, n * k->lines * j->ow * pitch), pitch);
}

void tp_conv_places_out(int64_t n, void *arg)
{
    const tp_conv_work *k = arg;
    const tp_conv_job *j = k->j;
    int64_t pitch = k->out.stride[0];
    write_out(j, &j->to_y, k->first + n, k->line, k->lines, &k->out, n * k->lines * j->ow * pitch,
              pitch);
}

void tp_conv_kernel_in(int64_t o, void *arg)
{
    const tp_conv_job *j = arg;
    turn(j, j->channels, j->kh, j->kw, tp_conv_at(&j->w, o * j->w.stride[0]), j->w.stride + 1,
         tp_conv_at(&j->weight, o * j->weight.stride[0]), j->channels);
}

/* The same for one element of the kernel and all channels. */
void tp_conv_kernel_in_turned(int64_t tap, void *arg)
{
    const tp_conv_job *j = arg;
    const int64_t *s = j->w.stride, pitch = j->turned.stride[0];
    j->kernels->tile[j->dtype].pack(pitch, j->outputs, j->channels,
                                    tp_conv_at(&j->w, tap / j->kw * s[2] + tap % j->kw * s[3]),
                                    s[0], s[1], tp_conv_at(&j->turned, tap * j->channels * pitch));
}

void tp_conv_kernel_out(int64_t o, void *arg)
{
    const tp_conv_job *j = arg;
    write_out(j, &j->to_w, o, 0, j->kh, &j->to_weight, o * j->to_weight.stride[1], j->channels);
}

/* What kernel line u sees from line i of positions (of those in rows now): line a of that image. */
static tp_window_args window(const tp_conv_work *k, const tp_tensor *image, int64_t n, int64_t a,
                             int64_t i, int64_t u)
{
    const tp_conv_job *j = k->j;
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
        .line = exists ? tp_conv_at(image, n * image->stride[0] + a * j->width * c) : NULL,
        .rows = tp_conv_at(&k->rows, row * k->rows.stride[0] + u * j->kw * c),
    };
}

/* All rows of one line of positions. */
void tp_conv_unfold_line(int64_t chunk, void *arg)
{
    const tp_conv_work *k = arg;
    const tp_conv_job *j = k->j;
    int64_t n = chunk / k->lines, i = chunk % k->lines;
    for (int64_t u = 0; u < j->kh; u++) {
        int64_t a = (k->line + i) * j->o.stride[0] + u * j->o.dilation[0] - j->o.padding[0];
        tp_window_args w = window(k, &k->image, n, a, i, u);
        j->kernels->unfold[j->dtype](&w);
    }
}

/* The lines of the image that the rows of now add to; the first band clears all of them. */
void tp_conv_find_seen(tp_conv_work *k)
{
    const tp_conv_job *j = k->j;
    int64_t top = k->line * j->o.stride[0] - j->o.padding[0];
    int64_t end = top + (k->lines - 1) * j->o.stride[0] + (j->kh - 1) * j->o.dilation[0] + 1;
    k->top = k->line == 0 || top < 0 ? 0 : top;
    end = k->line == 0 || end > j->height ? j->height : end;
    k->seen = end > k->top ? end - k->top : 0;
}

/* All that rows add to one line of the image: lines of different chunks share nothing. */
void tp_conv_fold_line(int64_t chunk, void *arg)
{
    const tp_conv_work *k = arg;
    const tp_conv_job *j = k->j;
    int64_t n = chunk / k->seen, a = k->top + chunk % k->seen, stride = j->o.stride[0];
    if (k->line == 0)
        memset(tp_conv_at(&k->to_image, n * k->to_image.stride[0] + a * j->width * j->channels), 0,
               (size_t)(j->width * j->channels * j->size));
    for (int64_t u = j->kh - 1; u >= 0; u--) {
        int64_t first = a + j->o.padding[0] - u * j->o.dilation[0]; /* i · stride */
        if (first < k->line * stride || first % stride != 0 || first / stride >= k->line + k->lines)
            continue;
        tp_window_args w = window(k, &k->to_image, n, a, first / stride - k->line, u);
        j->kernels->fold[j->dtype](&w);
    }
}
