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
    const tp_sweep *sweep;
    const tp_node *node;
    bool ready;     /* the members below are: what tp_replay_check makes when it is first called */
    tp_var *x, *gx; /* the op's inputs in f64 and what its rule gives for them */
    tp_tensor *value; /* of the inputs */
    tp_tensor gy;
} tp_replay;

/* TP_ENOMEM. Every begin that succeeded needs one end. */
tp_status tp_replay_begin(tp_replay *r, const tp_sweep *s);
void tp_replay_end(tp_replay *r);
/* The value of a node of the sweep's tape, computed anew if it was released; valid until the end.
 * TP_EFREED if what it was computed from is gone too. */
tp_status tp_replay_value(const tp_replay *r, uint32_t id, tp_tensor *value);
/* Writes "ok 2e-10", "FAIL …" or "not checked: …" for input i, whose contribution is shown (or NULL).
 * The status is why nothing was checked. */
tp_status tp_replay_check(tp_replay *r, int i, const tp_tensor *shown, tp_text *verdict);

#endif
