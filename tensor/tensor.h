/* tensor.h: strided tensors and views.
 *
 * A tensor is a small value: a shape, strides in elements (0 and negative allowed), an offset and a
 * pointer to a storage. tp_tensor_new makes a storage; views share it and copy nothing; the tensor
 * that made it frees it. Every storage counts its writes: tp_data_mut bumps the version, by which the
 * tape notices that a value it needs was changed. A tensor knows nothing of gradients.
 * Read next: iter.h (how elements are visited), then map.h, reduce.h, matmul.h.
 */
#ifndef TP_TENSOR_TENSOR_H
#define TP_TENSOR_TENSOR_H

#include <stddef.h>
#include "tensor/shape.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Element types. Computation is in f32 or f64 and never mixes them; i64 holds indices and labels,
 * u8 stored images. */
typedef enum tp_dtype { TP_F32, TP_F64, TP_I64, TP_U8, TP_DTYPE_COUNT } tp_dtype;

/* Bytes of one element, and the name: "f32", "f64", "i64", "u8". */
static inline int64_t tp_dtype_size(tp_dtype d)
{
    return d == TP_F32 ? 4 : d == TP_F64 || d == TP_I64 ? 8 : 1;
}
const char *tp_dtype_name(tp_dtype d);
static inline bool tp_dtype_is_float(tp_dtype d)
{
    return d == TP_F32 || d == TP_F64;
}

/* The memory behind tensors. Only tensor.c and the tape look inside. */
typedef struct tp_storage {
    void *data;
    size_t bytes;
    uint64_t version;       /* writes so far */
    struct tp_arena *arena; /* where it came from; NULL: tp_tensor_new */
    int uses;               /* live tape values that look at an arena storage */
} tp_storage;

typedef struct tp_tensor {
    tp_storage *storage; /* NULL: an empty handle */
    tp_shape shape;
    int64_t stride[TP_MAX_DIMS]; /* in elements */
    int64_t offset;              /* of the first element, in elements */
    tp_dtype dtype;
    bool owns; /* made by tp_tensor_new and not a view: tp_tensor_free frees the storage */
} tp_tensor;

/* --- making and freeing ----------------------------------------------------------------------- */

/* A zeroed, contiguous tensor. TP_ESHAPE, TP_EDTYPE, TP_ENOMEM; *t is untouched on failure. */
tp_status tp_tensor_new(tp_tensor *t, tp_dtype dtype, tp_shape shape);

/* As tp_tensor_new, filled from numel elements of dtype in row-major order. */
tp_status tp_tensor_from(tp_tensor *t, tp_dtype dtype, tp_shape shape, const void *data);

/* Frees the storage if t owns it and empties the handle; views and empty handles are fine. */
void tp_tensor_free(tp_tensor *t);

/* A contiguous tensor in memory of an arena, not cleared, whose storage counts one use. TP_ESHAPE, TP_ENOMEM | takes
 * one use back: the last gives the memory back to the arena. Empty handles and tensors of tp_tensor_new are fine. */
tp_status tp_arena_tensor(struct tp_arena *a, tp_tensor *t, tp_dtype dtype, tp_shape shape);
void tp_tensor_drop(tp_tensor *t);

/* --- views: y looks at the storage of x and must not outlive it; no data moves ------------------ */

/* Same elements in row-major order under a new shape; one size may be -1 (inferred). TP_ESHAPE if the
 * counts differ or the strides of x cannot express it (then copy first). */
tp_status tp_view_reshape(const tp_tensor *x, tp_shape shape, tp_tensor *y);
/* Axis i of y is axis perm.axis[i] of x; the empty list reverses all axes. */
tp_status tp_view_permute(const tp_tensor *x, tp_axes perm, tp_tensor *y);
/* Swaps two axes. */
tp_status tp_view_transpose(const tp_tensor *x, int axis_a, int axis_b, tp_tensor *y);
/* Elements start, start+step, … before stop along axis, as Python's x[start:stop:step]: negative
 * numbers count from the end, out-of-range ones clip, step may be negative but not 0.
 * TP_SLICE_END as stop means "to the end" in the direction of step. */
#define TP_SLICE_END INT64_MIN
tp_status tp_view_slice(const tp_tensor *x, int axis, int64_t start, int64_t stop, int64_t step,
                        tp_tensor *y);
/* Axes of size 1, and new ones in front, repeat to fit shape (stride 0). */
tp_status tp_view_expand(const tp_tensor *x, tp_shape shape, tp_tensor *y);
/* Drops an axis by picking one index of it. */
tp_status tp_view_select(const tp_tensor *x, int axis, int64_t index, tp_tensor *y);

/* --- elements --------------------------------------------------------------------------------- */

static inline int64_t tp_numel(const tp_tensor *t)
{
    return tp_shape_numel(t->shape);
}
/* Row-major without gaps (axes of size 1 may have any stride). */
bool tp_is_contiguous(const tp_tensor *t);
/* Two elements may share an address (a stride is 0 or strides overlap): such a tensor is read-only. */
bool tp_may_overlap(const tp_tensor *t);

/* Address of the first element. tp_data_mut announces a write: it bumps the storage's version. */
const void *tp_data(const tp_tensor *t);
void *tp_data_mut(tp_tensor *t);

/* One element as a double; index has ndim entries. tp_item wants exactly one element. Out of range or
 * not one element: NaN, with TP_ESHAPE in tp_last_error. */
double tp_at(const tp_tensor *t, const int64_t *index);
double tp_item(const tp_tensor *t);
/* Element number i in row-major order, whatever the strides: for tests and printing, not for speed. */
double tp_flat(const tp_tensor *t, int64_t i);
tp_status tp_set_flat(tp_tensor *t, int64_t i, double value);

/* Every element becomes value (rounded to the element type). */
tp_status tp_fill(tp_tensor *y, double value);
/* y = x elementwise, converting the element type (u8/i64 to floats is exact up to rounding; floats to
 * integers truncate toward zero, out of range or NaN is TP_EVALUE). Same shapes; y must not overlap itself, nor x in another layout. */
tp_status tp_copy(tp_tensor *y, const tp_tensor *x);
/* A fresh contiguous copy of x in the caller's ownership. */
tp_status tp_clone(tp_tensor *y, const tp_tensor *x);

/* "f32[64,20]"; text needs TP_TENSOR_TEXT bytes. Returns text. */
enum { TP_TENSOR_TEXT = TP_SHAPE_TEXT + 8 };
char *tp_tensor_text(const tp_tensor *t, char text[TP_TENSOR_TEXT]);

/* --- for the tape ----------------------------------------------------------------------------- */

/* Row-major strides of a shape. */
void tp_strides(tp_shape shape, int64_t stride[TP_MAX_DIMS]);

#ifdef __cplusplus
}
#endif
#endif
