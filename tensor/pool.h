/* pool.h: windows that slide over images: their sums, averages and maxima, and the adjoints of these.
 *
 * An image x [n,c,h,w] has windows y [n,c,oh,ow]; window i,j holds the elements of x from row i·s − p and column j·s − p
 * on, as many as the kernel says, of which those outside the image count as 0 in sums and never win. Each image of
 * each example is a plane of its own. Nothing here knows of gradients. Read next: pool.c.
 */
#ifndef TP_TENSOR_POOL_H
#define TP_TENSOR_POOL_H

#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Height first. */
typedef struct tp_pool_opts {
    int64_t kernel[2]; /* the window's height and width */
    int64_t stride
        [2]; /* from one window to the next; 0,0: the kernel's, so that windows do not overlap */
    int64_t padding[2]; /* rows and columns of zeros on each side; at most half the kernel */
    int64_t
        divisor; /* what sums are divided by; 0: the number of elements of a window, zeros outside included.
                           1 makes averages sums. Maxima have none */
} tp_pool_opts;

/* The same with defaults filled in. TP_EARG for a kernel or stride outside 1 … 2^30, padding of more than half the
 * kernel, a negative divisor. */
tp_status tp_pool_opts_check(tp_pool_opts *o);

/* How many windows lie along one axis (0: height) of an image of that size: ⌊(size + 2p − k)/s⌋ + 1, none where it is
 * too small. Options are filled in. */
int64_t tp_pool_windows(const tp_pool_opts *o, int axis, int64_t size);

/* All below: images of at least one row and column, f32 or f64, options filled in and shapes that fit, as the caller has
 * checked. Inputs may have any strides, what is written is contiguous; an input that is not is copied to memory
 * of the arena first. TP_ENOMEM. The bits do not depend on strides or threads. */

/* Each window's sum, row by row, over the divisor | the adjoint: every element of x gets the sum of the windows that
 * hold it, over the divisor. With a stride of the kernel's and divisor 1 that repeats elements. */
tp_status tp_pool_average(tp_tensor *y, const tp_tensor *x, const tp_pool_opts *o,
                          struct tp_arena *scratch);
tp_status tp_pool_spread(tp_tensor *x, const tp_tensor *y, const tp_pool_opts *o,
                         struct tp_arena *scratch);

/* Each window's largest element, or, where y is i64, its place row·w + column in its plane: the first of equals in
 * row-major order, a NaN before all | gx = 0 but at these places of x, which get the sum of the gy of the windows that
 * they are largest in. */
tp_status tp_pool_max(tp_tensor *y, const tp_tensor *x, const tp_pool_opts *o,
                      struct tp_arena *scratch);
tp_status tp_pool_max_adjoint(tp_tensor *gx, const tp_tensor *gy, const tp_tensor *x,
                              const tp_pool_opts *o, struct tp_arena *scratch);

#ifdef __cplusplus
}
#endif
#endif
