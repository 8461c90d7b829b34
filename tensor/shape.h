/* shape.h: shapes, axes and the two rules everybody uses: broadcasting and axis lists.
 *
 * Sizes are checked for overflow once, here. Nothing in this file touches data. Read next: tensor.h.
 */
#ifndef TP_TENSOR_SHAPE_H
#define TP_TENSOR_SHAPE_H

#include <stdbool.h>
#include <stdint.h>
#include "tensor/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TP_MAX_DIMS = 8 };

/* ndim sizes, outermost first. ndim 0 is a scalar (one element); a size may be 0 (no elements). */
typedef struct tp_shape {
    int ndim;
    int64_t dim[TP_MAX_DIMS];
} tp_shape;

/* A list of axes, negative ones counting from the end. The empty list means all axes. */
typedef struct tp_axes {
    int n;
    int axis[TP_MAX_DIMS];
} tp_axes;

#ifndef __cplusplus
#    define TP_COUNT_I64_(...) ((int)(sizeof((int64_t[]){0, __VA_ARGS__}) / sizeof(int64_t)) - 1)
#    define TP_COUNT_INT_(...) ((int)(sizeof((int[]){0, __VA_ARGS__}) / sizeof(int)) - 1)
/* Braces for static tables: `.shape = TP_DIMS(3, 4)`. The + 0 is there for the empty list. */
#    define TP_DIMS(...)                                                                           \
        {                                                                                          \
            TP_COUNT_I64_(__VA_ARGS__),                                                            \
            {                                                                                      \
                __VA_ARGS__ + 0                                                                    \
            }                                                                                      \
        }
/* A shape or axis list as an expression: TP_SHAPE(64, 20), TP_SHAPE() a scalar, TP_AXES(0, -1). */
#    define TP_SHAPE(...) ((tp_shape){TP_COUNT_I64_(__VA_ARGS__), {__VA_ARGS__ + 0}})
#    define TP_AXES(...) ((tp_axes){TP_COUNT_INT_(__VA_ARGS__), {__VA_ARGS__ + 0}})
#    define TP_ALL_AXES ((tp_axes){0, {0}})
#endif

/* Number of elements (1 for a scalar, 0 if any size is 0). The shape must have passed
 * tp_shape_check. */
int64_t tp_shape_numel(tp_shape s);

/* TP_ESHAPE unless 0 <= ndim <= 8, no size is negative, and the product of the sizes (zeros counted
 * as ones, so that strides fit too) times element_size fits in 62 bits. */
tp_status tp_shape_check(tp_shape s, int64_t element_size);

bool tp_shape_equal(tp_shape a, tp_shape b);

/* The shape that a and b broadcast to by NumPy's rule: align at the last axis, sizes must be equal
 * or 1. TP_ESHAPE names the axis that clashes. */
tp_status tp_shape_broadcast(tp_shape a, tp_shape b, tp_shape *out);

/* Marks the axes of a list in mask[0..ndim). TP_ESHAPE for one out of range or named twice. */
tp_status tp_axes_mask(tp_shape s, tp_axes axes, bool mask[TP_MAX_DIMS]);

/* The shape after reducing the axes in mask: gone, or of size 1 with keepdim. */
tp_shape tp_shape_reduced(tp_shape s, const bool mask[TP_MAX_DIMS], bool keepdim);

/* An axis in [-ndim, ndim) as one in [0, ndim); TP_ESHAPE otherwise. */
tp_status tp_axis_normal(int ndim, int axis, int *out);

/* "[64,20]", "[]" for a scalar; text needs TP_SHAPE_TEXT bytes. Returns text. */
enum { TP_SHAPE_TEXT = 176 };
char *tp_shape_text(tp_shape s, char text[TP_SHAPE_TEXT]);

#ifdef __cplusplus
}
#endif
#endif
