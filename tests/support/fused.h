/* fused.h: a fused rule against the rule it is said to be, on one sample in one layout.
 *
 * Read next: tests/ops/test_ops_fused.c, tests/ops/test_ops_mutants.c.
 */
#ifndef TP_TESTS_FUSED_H
#define TP_TESTS_FUSED_H

#include "tests/support/mutants.h"
#include "tests/support/ops.h"

/* How far apart the two may be. */
enum { FUSED_ULPS = 8 };

typedef struct fused_difference {
    double worst; /* in ulp of the gradient, or of the terms behind it where they cancel */
    int input;    /* where, */
    int64_t element;
    double fused, composed; /* and what stands there */
} fused_difference;

/* Gradients of Σ v ⊙ y by the inputs in want, by both rules. The fused one may be broken: m, or NULL. */
fused_difference fused_compare(laid_out *s, unsigned want, mutant *m);
/* The inputs of a sample that are differentiated by, as bits of want. */
unsigned fused_possible(const tp_sample *sample);

#endif
