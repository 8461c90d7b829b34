/* ops.h: what the tests of operations share: memory layouts as operations, and samples laid out.
 *
 * unfold looks at a long vector through any strides, and fold is its adjoint: an input that goes through
 * unfold arrives at the op under test with that layout, a result that goes through fold sends its cotangent
 * back with it, and gradients flow through both. Read next: tests/ops/test_ops_gradients.c.
 */
#ifndef TP_TESTS_OPS_H
#define TP_TESTS_OPS_H

#include "autograd/check.h"

typedef enum layout_kind {
    LAYOUT_CONTIGUOUS,
    LAYOUT_TRANSPOSED,   /* axes stored in reverse order */
    LAYOUT_STEPPED,      /* every second element */
    LAYOUT_REVERSED,     /* negative strides */
    LAYOUT_STRIDE0_LAST, /* the last axis longer than 1 repeats one element */
    LAYOUT_STRIDE0_FIRST,
    LAYOUT_OFFSET,      /* starts late; gaps between rows */
    LAYOUT_OVERLAPPING, /* rows share all but one element */
    LAYOUT_ODD,         /* axes of size 1 and 0 have absurd strides; starts late */
    LAYOUT_COUNT
} layout_kind;

extern const char *const layout_names[LAYOUT_COUNT];

typedef struct layout {
    tp_shape shape;
    int64_t stride[TP_MAX_DIMS];
    int64_t offset, length; /* of the vector behind it */
} layout;

/* False if the kind makes no difference to this shape, or would break a positive definite matrix. */
bool layout_make(layout *l, layout_kind kind, tp_shape shape, tp_fill_kind fill);
/* A vector that unfold shows as the elements of x, the last one written winning; gaps are NaN (or -1). */
void layout_store(const layout *l, const tp_tensor *x, tp_tensor *vector);
/* vector under the layout, a view. */
tp_tensor layout_view(const layout *l, const tp_tensor *vector);

extern const tp_op op_unfold, op_fold;
tp_var unfold(tp_var vector, const layout *l);
tp_var fold(tp_var x, const layout *l);

/* A sample with its inputs drawn and laid out, and how the result is folded. */
typedef struct laid_out {
    const tp_op *op;
    const tp_sample *sample;
    tp_dtype dtype;
    layout in[TP_SAMPLE_INPUTS], out;
    bool fold_out;
    tp_parameter p[TP_SAMPLE_INPUTS]; /* the vectors behind inputs that are differentiated by */
    tp_tensor data[TP_SAMPLE_INPUTS]; /* and behind the others */
    tp_parameter weight;              /* the result is multiplied by it, if it has a name */
    tp_parameter *wrt[TP_SAMPLE_INPUTS + 1];
    int wrt_count;
} laid_out;

/* Draws the inputs with the layouts kinds[i]; false (and nothing to free) if none of them applies. */
bool laid_out_make(laid_out *s, const tp_op *op, const tp_sample *sample, tp_dtype dtype,
                   const layout_kind *kinds, uint64_t seed);
void laid_out_free(laid_out *s);
/* Multiplies the (folded) result by one more parameter. A check of second order then sees not only how the rule
 * depends on the inputs but also how on its cotangent, which is all that it depends on if the op is linear. */
void laid_out_weigh(laid_out *s);
/* A tp_check_fn: enters inputs, runs the op, folds and weighs the result. Of an estimator it gives the value of
 * the surrogate (tp_check_apply). */
tp_var laid_out_run(tp_tape *t, void *laid_out_);

/* The op through its typed function. */
tp_var op_call(tp_tape *t, const tp_op *op, int n, const tp_var *x, const void *attr);
/* attr, or if the op's result takes its type from there, a copy with that type. */
enum { ATTR_BYTES = 512 };
typedef union attr_room {
    unsigned char bytes[ATTR_BYTES];
    double align;
} attr_room;
const void *attr_as(const tp_op *op, const void *attr, tp_dtype dtype, attr_room *room);
/* v ~ ±[½, 1½] of a shape, away from 0. */
void draw_cotangent(tp_tensor *v, tp_dtype dtype, tp_shape shape, uint64_t seed);

#endif
