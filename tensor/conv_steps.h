/* conv_steps.h: what threads do in a convolution between its products. Private to conv.c and conv_steps.c. */
#ifndef TP_TENSOR_CONV_STEPS_H
#define TP_TENSOR_CONV_STEPS_H

#include <stdatomic.h>

#include "tensor/conv.h"
#include "tensor/kernels/kernels.h"

/* One group of channels. */
typedef struct tp_conv_job {
    tp_conv_opts o;
    tp_tensor x, w, y;          /* the channels of this group of what is given, and */
    tp_tensor to_x, to_w, to_y; /* of what is wanted; without storage what is not */
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
} tp_conv_job;

/* A part of the images, in the hands of one thread, with what that thread has of the above. */
typedef struct tp_conv_work {
    const tp_conv_job *j;
    tp_tensor rows, out, image, to_image, to_weight;
    int64_t first, count, line, lines; /* now: images, and lines of positions of each */
    int64_t top, seen;                 /* and lines of the image that these add to */
} tp_conv_work;

static inline bool tp_conv_has(const tp_tensor *t)
{
    return t->storage != NULL;
}

static inline char *tp_conv_at(const tp_tensor *t, int64_t element)
{
    return (char *)t->storage->data + (t->offset + element) * tp_dtype_size(t->dtype);
}

/* Whether each example lies channels-last without gaps, as the steps below have it. */
static inline bool tp_conv_lies(const tp_tensor *t)
{
    const int64_t *d = t->shape.dim, *s = t->stride;
    return tp_conv_has(t) && (d[1] == 1 || s[1] == 1) && (d[3] == 1 || s[3] == d[1]) &&
           (d[2] == 1 || s[2] == d[3] * d[1]);
}

/* Steps of a block, each with a chunk for every image of it, or of a line of each. arg is the tp_conv_work. */
void tp_conv_image_in(int64_t n, void *arg);
void tp_conv_image_out(int64_t n, void *arg);
void tp_conv_places_in(int64_t n, void *arg);
void tp_conv_places_out(int64_t n, void *arg);
/* All rows of one line of positions | all that rows add to one line of the image, of those that tp_conv_find_seen
 * found: lines of different chunks share nothing. */
void tp_conv_unfold_line(int64_t chunk, void *arg);
void tp_conv_fold_line(int64_t chunk, void *arg);
void tp_conv_find_seen(struct tp_conv_work *k);

/* Steps of a group, with a chunk for every output, or for every element of the kernel. arg is the tp_conv_job. */
void tp_conv_kernel_in(int64_t o, void *arg);
void tp_conv_kernel_in_turned(int64_t tap, void *arg);
void tp_conv_kernel_out(int64_t o, void *arg);

#endif
