/* conv.h: convolution in two dimensions, and its two adjoints.
 *
 * Three functions of the same bilinear form
 *     Σ x[n, g·C/G + c, i·s + u·d − p, j·s + v·d − p] · w[g·O/G + o, c, u, v] · y[n, g·O/G + o, i, j]
 * over images x [N,C,H,W], kernels w [O,C/G,kh,kw] and positions y [N,O,OH,OW]; what lies outside the image counts as
 * 0. Each is its derivative by one of the three. (As all of the field, this is cross-correlation: the kernel is not
 * turned over.) Read next: matmul.h, which does the work.
 */
#ifndef TP_TENSOR_CONV_H
#define TP_TENSOR_CONV_H

#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Height first, and both are said: {1} is 1,0. A pair of zeros stands for the default, a stride or dilation of 1, no
 * padding; groups of 0 for one group. A group is a job of its own: many small ones are slow. */
typedef struct tp_conv_opts {
    int64_t stride[2];   /* from one position to the next */
    int64_t padding[2];  /* zeros on each side of the image */
    int64_t dilation[2]; /* from one element of the kernel to the next, in the image */
    int64_t
        groups; /* of channels, convolved apart: channels of one side see those of their group only */
    /* Of the transposed one: rows and columns of the image behind the last that a kernel with this stride reaches,
     * less than the stride. Images of several sizes have the same positions, and this says which is meant. */
    int64_t output_padding[2];
} tp_conv_opts;

/* The same with defaults filled in. TP_EARG for what is negative or, but for groups, more than 2^30, and for a
 * stride or dilation of which one is 0. */
tp_status tp_conv_opts_check(tp_conv_opts *o);

/* How many positions a kernel has on one axis (0: height) of an image of that size; 0: it does not fit | The size of the
 * image that has these positions, with output_padding; 0 or less: there is none. Options are filled in. */
int64_t tp_conv_positions(const tp_conv_opts *o, int axis, int64_t size, int64_t kernel);
int64_t tp_conv_size(const tp_conv_opts *o, int axis, int64_t positions, int64_t kernel);

/* y from x and w | x from y and w | w from x and y. Shapes must fit as above, options are filled in; inputs and
 * what is written may have any strides; pictures that lie channels-last (layout.h) are worked on where they lie. f32 or f64, all the same. TP_ENOMEM, or TP_ESHAPE if no number holds the
 * bytes: images are laid out as matrices, in memory of the arena, a block of some 2 MB at a time, and at least one line
 * of positions. */
tp_status tp_conv_into(tp_tensor *y, const tp_tensor *x, const tp_tensor *w, const tp_conv_opts *o,
                       struct tp_arena *scratch);
tp_status tp_conv_image_into(tp_tensor *x, const tp_tensor *y, const tp_tensor *w,
                             const tp_conv_opts *o, struct tp_arena *scratch);
tp_status tp_conv_kernel_into(tp_tensor *w, const tp_tensor *x, const tp_tensor *y,
                              const tp_conv_opts *o, struct tp_arena *scratch);
/* Two at once, in less time: what a rule of convolution wants, and one of the transposed. Bits as of the two apart. */
tp_status tp_conv_image_kernel_into(tp_tensor *to_x, tp_tensor *to_w, const tp_tensor *x,
                                    const tp_tensor *w, const tp_tensor *y, const tp_conv_opts *o,
                                    struct tp_arena *scratch);
tp_status tp_conv_places_kernel_into(tp_tensor *to_y, tp_tensor *to_w, const tp_tensor *x,
                                     const tp_tensor *w, const tp_tensor *y, const tp_conv_opts *o,
                                     struct tp_arena *scratch);

#ifdef __cplusplus
}
#endif
#endif
