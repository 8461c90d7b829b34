/* numbers.h: everything a sample gives, as one list of numbers: the value, its gradients, and the gradients of
 * those, under any dtype and memory layout. Two lists made in two ways can then be compared number by number.
 *
 * With y = f(x), cotangent v and g_i = ∂(v·y)/∂x_i, the second order is the gradient of Σ w_i·g_i by every x
 * and by v: how the rule depends on its inputs, and how on its cotangent. Read next: tests/ops/test_ops_f32.c.
 */
#ifndef TP_TESTS_NUMBERS_H
#define TP_TESTS_NUMBERS_H

#include "tests/support/ops.h"

/* The inputs of a sample and its cotangents v and w_i: f32 numbers, as both types see the same then. */
typedef struct point {
    const tp_op *op;
    const tp_sample *sample;
    tp_tensor x[TP_SAMPLE_INPUTS], v, w[TP_SAMPLE_INPUTS];
    bool differentiable;
} point;

typedef struct numbers {
    double *at;               /* [n] */
    int64_t n, first, second; /* where the gradients begin, and the second gradients */
} numbers;

/* Draws a point whose inputs can have the layout in, and whose cotangent can have the layout gy: elements that
 * share memory there are equal. False, and nothing to free, if neither makes a difference to the sample. */
bool point_make(point *p, const tp_op *op, const tp_sample *sample, layout_kind in, layout_kind gy,
                uint64_t seed);
void point_free(point *p);

/* Runs the op there in dtype, with inputs and cotangents laid out. move other than 0 is a seed: every float
 * that may be anything moves by ±ε of f32, relative. */
numbers numbers_make(const point *p, tp_dtype dtype, layout_kind in, layout_kind gy, uint64_t move);
void numbers_free(numbers *n);
/* "value", "gradient" or "second gradient". */
const char *numbers_order(const numbers *n, int64_t i);

#endif
