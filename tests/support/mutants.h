/* mutants.h: operations broken on purpose, one at a time: its rule, its fused rule or its value, in one of a few
 * ways. Nothing of the operation is touched: hooks of the tape change what it gave.
 *
 * Who must notice stands in tests/ops/test_ops_mutants.c. Read next: break_var in mutants.c.
 */
#ifndef TP_TESTS_MUTANTS_H
#define TP_TESTS_MUTANTS_H

#include "autograd/op.h"

typedef enum mutation {
    SCALED,        /* by 1 + 1e-6 */
    NEGATED,       /* the sign */
    ONE_ELEMENT,   /* the last element, by 1e-6 */
    FLIPPED,       /* in reverse order: rules along the last axis, values altogether */
    TRANSPOSED,    /* square matrices, of rules only */
    DROPPED,       /* a contribution of the rule left out */
    SWAPPED,       /* two contributions */
    LEAKED,        /* the cotangent given to an input that gets nothing */
    GY_IGNORED,    /* the rule took ones for its cotangent */
    DETACHED,      /* the right gradient, but without a derivative of its own */
    SECOND_SCALED, /* the right gradient, its own derivative scaled by 1 + 1e-6 */
    MUTATIONS
} mutation;

extern const char *const mutations[MUTATIONS];

typedef enum target { RULE, FUSED_RULE, VALUE, TARGETS } target;

extern const char *const targets[TARGETS];

typedef struct mutant {
    const tp_op *op;
    target what;
    mutation how;
    int i, j;     /* of a rule: the contribution; SWAPPED: both */
    bool changed; /* there was something to change */
} mutant;

/* From now on m's operation is broken on t; tp_tape_free is the only way back. */
void mutant_release(tp_tape *t, mutant *m);

/* Whether this mutation makes sense of rules, fused rules or values. */
bool mutation_applies(mutation how, target what);

#endif
