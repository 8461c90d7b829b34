/* views.h: tensors of a wanted shape in every kind of layout, for tests of the drivers. */
#ifndef TP_TESTS_VIEWS_H
#define TP_TESTS_VIEWS_H

#include "tensor/tensor.h"

typedef enum layout {
    LAYOUT_CONTIGUOUS,
    LAYOUT_TRANSPOSED,    /* axes in reversed order in memory */
    LAYOUT_STEPPED,       /* every second element along every axis */
    LAYOUT_REVERSED,      /* negative strides along every axis */
    LAYOUT_EXPANDED,      /* stride 0 along the last axis: read-only */
    LAYOUT_REPEATED,      /* stride 0 along the first axis: read-only */
    LAYOUT_OFFSET,        /* rows inside longer rows */
    LAYOUT_CHANNELS_LAST, /* of four axes the second is innermost in memory; contiguous else */
    LAYOUT_COUNT
} layout;

/* view has the shape; its elements (and those between them) are v(0), v(1), … in memory order. Free owner. */
void make_view(tp_tensor *owner, tp_tensor *view, tp_dtype dtype, tp_shape shape, layout how,
               double (*v)(int64_t));

/* Values for make_view. */
double small_integer(int64_t i); /* -4 … 4: sums of products stay exact */
double random_value(int64_t i);  /* in (-1, 1), a function of i alone */

#endif
