/* replay.h: one step of a sweep, computed again on a tape of its own. Private to autograd/.
 *
 * For explain.c: it brings back values that the sweep has released, and checks the step's rule in f64
 * against finite differences. tp_gradcheck (check.h) is the checker for whole functions. */
#ifndef TP_AUTOGRAD_REPLAY_H
#define TP_AUTOGRAD_REPLAY_H

#include "autograd/explain/format.h"
#include "autograd/sweep.h"

typedef struct tp_replay {
    tp_tape *tape;
    const tp_tape *from; /* the tape of the step, */
    uint32_t id;         /* its node, */
    const tp_node *node;
    const tp_tensor *upstream; /* and the gradient that came to it */
    bool ready;       /* the members below are: what is made when the rule is first asked for */
    tp_status status; /* why they could not be */
    tp_var *x, *gx;   /* the op's inputs in f64 and what its rule gives for them */
    tp_var y, gy;
    tp_tensor *value;       /* of the inputs */
    uint32_t *first, *last; /* the rule for input i recorded nodes first[i] … last[i]-1 */
    tp_alias alias;         /* what inputs and output are called on the sweep's tape */
} tp_replay;

typedef enum tp_verdict { TP_SKIPPED, TP_AGREES, TP_DIFFERS } tp_verdict;

/* What checking one input found. Errors are relative to Σ|g ⊙ d|, d the direction. */
typedef struct tp_finding {
    tp_verdict verdict;
    const char *why; /* TP_SKIPPED: the reason */
    double error, bound;
    double rule, difference; /* along the direction */
    double
        shift; /* how far the numbers shown are from the rule in f64, if that is why they differ */
    bool surrogate; /* the difference is that of the surrogate */
} tp_finding;

/* Of node id, with any cotangent; which inputs are wanted is what the last sweep said. TP_ENOMEM. Every begin that
 * succeeded needs one end. */
tp_status tp_replay_begin(tp_replay *r, const tp_tape *from, uint32_t id,
                          const tp_tensor *upstream);
void tp_replay_end(tp_replay *r);
/* The value of a node of the sweep's tape, computed anew if it was released; valid until the end.
 * TP_EFREED if what it was computed from is gone too. */
tp_status tp_replay_value(const tp_replay *r, uint32_t id, tp_tensor *value);
/* Runs the op and its rule, written with operations, in f64. */
tp_status tp_replay_rule(tp_replay *r);
/* ∂y/∂x of input i, [elements of y, elements of x] in f64. */
tp_status tp_replay_jacobian(tp_replay *r, int i, tp_tensor *jacobian);
/* The column of it that belongs to element at of x, in the shape of y. */
tp_status tp_replay_column(tp_replay *r, int i, int64_t at, tp_tensor *column);
/* Checks the rule for input i, whose contribution is shown (or NULL). TP_ENOMEM; all else is in the finding. */
tp_status tp_replay_check(tp_replay *r, int i, const tp_tensor *shown, tp_finding *f);

#endif
