/* quad.h: the reference in quad precision: what every operation is, written from its definition.
 *
 * Nothing here calls tapir's kernels or index arithmetic: loops over indices, one formula per operation, in
 * __float128 with 113 bits. Derivatives of a reference are differences (differences.c), so no derivative
 * formula can be wrong in the same way twice. tapir's side is run.c, the comparison tests/ops/test_ops_quad.c.
 * Read next: pointwise.c.
 */
#ifndef TP_TESTS_QUAD_H
#define TP_TESTS_QUAD_H

#include <quadmath.h>

#include "autograd/op.h"

typedef __float128 quad;

/* pi in three doubles; quadmath.h has it with a suffix that C11 has not */
#define QUAD_PI                                                                                    \
    ((quad)0x1.921fb54442d18p1 + (quad)0x1.1a62633145c07p-53 - (quad)0x1.f1976b7ed8fbcp-109)

typedef struct quads {
    tp_shape shape;
    int64_t n;
    quad *at; /* row-major */
} quads;

/* y is the sum of its parts, whose differences are taken one by one. A tail such as 1 − e^-100 is 1 in 113
 * bits, but its parts 1 and −e^-100 keep every digit of the slope. The straight part is linear in all
 * inputs, piecewise at worst: it has no second derivative. Of the curved parts most ops need one. */
enum { STRAIGHT, CURVED, CURVED_TOO, QUAD_PARTS = 8 };

typedef struct quad_op quad_op;

typedef struct quad_call {
    const quad_op *ref;
    const char *name; /* of the operation; attributes are looked up by name in its fields */
    int n;
    quads x[TP_SAMPLE_INPUTS];
    const void *attr;
    const tp_field *fields;
    int field_count;
    tp_dtype dtype;
    bool sizes; /* size and condition are asked for, not only y */
    /* What the reference gives. */
    tp_shape shape;
    int64_t count;
    quad *part[QUAD_PARTS]; /* zeroed before the call */
    int parts;              /* how many may be in use: three, unless the reference says more */
    quad *size;             /* Σ of the absolute terms behind y; 0 stands for |y| */
    int64_t additions;      /* the m of the bound: of n terms, n - 1 */
    quad condition; /* multiplies the sizes of all derivatives; 1 unless the formula solves */
} quad_call;

struct quad_op {
    const char *name;
    void (*forward)(quad_call *c);
    /* Of elementwise ops, in place of forward: y at one element from the inputs there, as parts. */
    void (*point)(const quad_call *c, const quad *x, quad *y);
    quad (*point_size)(const quad_call *c, const quad *x);
    /* How far the reference is smooth around element k of an input; a step is far smaller. NULL: 1. */
    quad (*room)(const quad_call *c, int in, int64_t k);
    /* Σ of the absolute terms of ∂y_j/∂x_k (x_k: element k of input in) and of ∂²y_j/∂x_k∂x_l, where a right
     * rule must subtract or is worse conditioned than its result; the derivative itself is given as d.
     * NULL: |d|. */
    quad (*slope)(const quad_call *c, int in, int64_t k, int64_t j, quad d);
    quad (*curve)(const quad_call *c, int in, int64_t k, int in2, int64_t l, int64_t j, quad d);
    /* The same for elementwise ops, from the inputs at the element. */
    quad (*point_slope)(const quad_call *c, const quad *x, int in);
    quad (*point_curve)(const quad_call *c, const quad *x, int in, int in2);
    /* 113 bits may not show that y_j depends on x_k: slope and curve, which give 0 where it does not, decide. */
    bool coarse;
    /* An estimator is differentiated through this instead. */
    void (*surrogate)(quad_call *c);
};

/* The reference of an operation, NULL if there is none. */
const quad_op *quad_find(const char *name);

/* Tables of the families, ended by a row without name. */
extern const quad_op quad_pointwise_ops[], quad_loss_ops[], quad_reduction_ops[], quad_matrix_ops[],
    quad_convolution_ops[], quad_place_ops[], quad_pool_ops[], quad_noise_ops[],
    quad_composition_ops[];

/* --- arrays and attributes (arrays.c) -------------------------------------------------------------- */

void *quad_alloc(int64_t n, size_t size); /* zeroed; a failure ends the test */
quads quads_of(const tp_tensor *t);
void quads_free(quads *q);

/* Says what shape y has and how many additions made one element; call it first in a reference. */
void quad_result(quad_call *c, tp_shape shape, int64_t additions);
/* Calls the reference on c->x; the arrays of y are made at the first call. */
void quad_forward(quad_call *c, bool surrogate);
quad quad_value(const quad_call *c, int64_t j);
void quad_call_free(quad_call *c);

void quad_index(tp_shape s, int64_t flat, int64_t *index);
int64_t quad_flat(tp_shape s, const int64_t *index);
/* Where an input of shape in is read for element index of an output of shape out, broadcasting. */
int64_t quad_broadcast_flat(tp_shape in, tp_shape out, const int64_t *index);
tp_shape quad_broadcast_shape(tp_shape a, tp_shape b);
int quad_axis(int ndim, int axis);
/* Marks the axes of a list; the empty one means all. */
void quad_axes(tp_shape s, tp_axes axes, bool *mask);
tp_shape quad_reduced(tp_shape s, const bool *mask, bool keepdim);
/* Element of the reduced array (axes kept) that element index of x goes into. */
int64_t quad_reduced_flat(tp_shape s, const bool *mask, const int64_t *index);

const void *quad_attr(const quad_call *c, const char *name);
int64_t quad_attr_int(const quad_call *c, const char *name);
/* As a number of the inputs' type, which is how it enters the computation. */
quad quad_attr_real(const quad_call *c, const char *name);
tp_shape quad_attr_shape(const quad_call *c, const char *name);
tp_axes quad_attr_axes(const quad_call *c, const char *name);

/* forward, slope and curve of elementwise references (pointwise.c). */
void quad_pointwise(quad_call *c);
quad quad_point_slope(const quad_call *c, int in, int64_t k, int64_t j, quad d);
quad quad_point_curve(const quad_call *c, int in, int64_t k, int in2, int64_t l, int64_t j, quad d);

/* --- differences (differences.c) -------------------------------------------------------------------- */

/* What a derivative should be, element by element. */
typedef struct quad_wanted {
    int64_t n;
    quad *value, *size; /* size: Σ|v||J| and the like */
    quad *blur;         /* how far differences in 113 bits may be off */
    int64_t *additions;
} quad_wanted;

void quad_wanted_free(quad_wanted *w);

/* The elements of all inputs that are differentiated by, one after the other. */
typedef struct quad_slots {
    int64_t n;
    int *in;
    int64_t *k;
} quad_slots;

quad_slots quad_slots_make(const quad_call *c, const bool *by);
void quad_slots_free(quad_slots *s);

/* vJ, by slot; Ju, by output; and (with second) Σ_j v_j Σ_l u_l ∂²y_j/∂x_k∂x_l, by slot k. */
void quad_differentiate(quad_call *c, const quad_slots *s, const quad *v, const quad *u,
                        bool second, quad_wanted *vj, quad_wanted *ju, quad_wanted *vhu);

#endif
