/* check.h: is a gradient right? Gradients against finite differences, for models and for operations.
 *
 * tp_gradcheck takes any function of parameters; tp_check_op takes one row of the op table, or an op of
 * your own, and runs everything its file promises: samples, first and second order, refusals. Works in
 * f64 only: in f32 a difference quotient has three digits. Read next: check.c, examples/07_new_op.c.
 */
#ifndef TP_AUTOGRAD_CHECK_H
#define TP_AUTOGRAD_CHECK_H

#include "autograd/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Builds the output, of any shape, from parameters that it enters with tp_param. Called many times, on an
 * empty tape; equal parameters must give equal values, so noise needs a fixed key. */
typedef tp_var (*tp_check_fn)(tp_tape *t, void *user);

/* Zero fields mean the defaults. */
typedef struct tp_check_opts {
    int order; /* 1, or 2: the gradient of v·gradient, by create_graph, against differences of it */
    int all_up_to;   /* up to this many elements are checked one by one (64); -1: never */
    int directions;  /* beyond that, so many random directions (16) … */
    int elements;    /* … and so many random elements (16); -1: none */
    uint64_t seed;   /* of the cotangent v, the directions and the choice of elements */
    double rtol;     /* relative tolerance (1e-8) */
    double atol;     /* absolute tolerance (none): for an f that is 0 but for rounding errors */
    double rounding; /* how many ulps of its values f may be off by (4) */
} tp_check_opts;

/* What was compared, and the comparison that came closest to failing. */
typedef struct tp_check_report {
    int64_t checked;       /* elements and directions compared */
    int64_t skipped_kinks; /* those at a kink or the domain's edge, where there is no derivative */
    double worst;          /* largest |analytic − numeric| / bound; above 1: wrong */
    char parameter[64];    /* its parameter, */
    int64_t index;         /* element in row-major order, -1 for a random direction, */
    double analytic, numeric, bound;
    int samples, refusals; /* tp_check_op: how many of each were run */
} tp_check_report;

/* Compares the gradient of Σ v ⊙ f by the n parameters wrt, v fixed and random, with the six-point
 * central difference at step h. Accepted is
 *     |analytic − numeric| <= atol + rtol·max(|analytic|, |numeric|) + rounding·ε·S/h
 * with S = Σ |v_j|·max|f_j| over the outputs j that depend on the element. h starts at 2^-8·max(1, |x|)
 * and is halved while h and 2h disagree by more, or a stencil point leaves the domain. An element where
 * no h settles it lies at a kink: it is counted, not passed. The parameters are restored bit for bit;
 * their gradients are not touched. report may be NULL.
 * TP_EVALUE names the worst element if a gradient is wrong; also if all elements lie at kinks, or f gives
 * something not finite or two answers. TP_EDTYPE unless all is f64; TP_EARG for a frozen parameter or a
 * bad option; else what f failed with. */
tp_status tp_gradcheck(tp_check_fn f, void *user, int n, tp_parameter *const *wrt,
                       tp_check_opts opts, tp_check_report *report);

/* Runs an op's samples through its typed function in f64, first and second order (by the cotangent too), then its
 * refusals: status, message, poisoned output. A piecewise op draws other inputs if it hits a kink. TP_NO_GRADIENT:
 * the result must be finite and need no gradient. TP_ESTIMATOR: the rule is compared with differences of
 * .surrogate, so an input that the surrogate does not depend on must get nothing.
 * Not checked here: .reads, which tests/ops does by poisoning what it leaves out. TP_EARG without .smooth, and
 * unless .surrogate is there for an estimator and for nothing else.
 * report sums up, and may be NULL. The failure of a check is TP_EVALUE and names op and sample. */
tp_status tp_check_op(const tp_op *op, tp_check_report *report);

/* The op through its typed function, as checks differentiate it. Of an estimator: the value of its
 * surrogate, with the gradient of its own rule. TP_ESHAPE if their shapes differ. */
tp_var tp_check_apply(tp_tape *t, const tp_op *op, int n, const tp_var *x, const void *attr);

/* The tensor a sample describes, drawn by seed: of dtype (f32 is f64 rounded), but i64 for TP_FILL_INDEX.
 * The caller frees it. TP_ESHAPE for TP_FILL_SPD without square matrices. */
tp_status tp_sample_fill(const tp_sample_input *in, tp_dtype dtype, uint64_t seed, tp_tensor *out);
/* Whether a sample's input is data, of which no gradient is asked. */
bool tp_sample_fixed(const tp_sample_input *in);

#ifdef __cplusplus
}
#endif
#endif
