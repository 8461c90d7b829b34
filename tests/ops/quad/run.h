/* run.h: what tapir computes, as quads to compare: value, gradient by both rules, and what double backward
 * gives. Also the inputs it is asked for: the rows' own samples, and harsher ones. Read next: run.c, harsh.c. */
#ifndef TP_TESTS_QUAD_RUN_H
#define TP_TESTS_QUAD_RUN_H

#include "tests/ops/quad/quad.h"

/* A sample where a formula is in danger; one of a row's own has only s. */
typedef struct quad_harsh {
    const char *op;
    int attr_of;      /* it takes its attributes from this sample of the row */
    unsigned decades; /* bit i: input i is ±e^uniform(log lo, log hi), TP_FILL_POSITIVE: + */
    tp_sample s;
    bool f64_only; /* in f32 too many numbers underflow */
    bool hilbert;  /* input 0 is the Hilbert matrix 1/(i + j + 1), nearly singular */
} quad_harsh;

extern const quad_harsh quad_harsh_samples[];
extern const int quad_harsh_count;

/* A sample with its inputs drawn. */
typedef struct quad_inputs {
    const tp_op *op;
    const tp_sample *sample;
    void *attr; /* a copy; if a source says its dtype there, it is this: */
    tp_dtype dtype;
    uint64_t seed;
    tp_tensor x[TP_SAMPLE_INPUTS];
    bool by[TP_SAMPLE_INPUTS]; /* differentiated by */
} quad_inputs;

quad_inputs quad_inputs_make(const tp_op *op, const quad_harsh *h, tp_dtype dtype, uint64_t seed);
void quad_inputs_free(quad_inputs *in);

typedef struct quad_result_of {
    tp_dtype dtype; /* of y */
    quads y;
    bool gradient;          /* y needs one; else the rest is empty */
    quad *v, *u;            /* cotangent and direction, ±[½, 1½] */
    quad *fused, *composed; /* vJ, by slot */
    quad *ju, *second;      /* by output; by slot */
} quad_result_of;

quad_result_of quad_run(const quad_inputs *in, int64_t slots);
void quad_result_free(quad_result_of *r);

#endif
