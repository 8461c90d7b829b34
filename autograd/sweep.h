/* sweep.h: going backward.
 *
 * A sweep is a cursor over the tape, from the root to its first entry. Each step takes one node whose
 * gradient is complete, runs that node's rule and adds the results to the gradients of its inputs.
 * tp_backward is the loop over this cursor; a teacher single-steps the same cursor and looks at what each
 * rule recorded (explain.h). Read next: sweep.c, one page.
 */
#ifndef TP_AUTOGRAD_SWEEP_H
#define TP_AUTOGRAD_SWEEP_H

#include "autograd/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_sweep_opts {
    bool release;      /* free what the root was computed from as the sweep passes it (training) */
    bool create_graph; /* record the rules so that gradients can be differentiated again */
    bool composed;     /* never use a fused rule: the derivation shows every operation */
    /* Gradients for these parameters only, and for no leaf; NULL and 0: for all. Everything else is a
     * constant to this sweep: a discriminator's loss does not reach the encoder. Of several sweeps over
     * one tape only the last may release: what they share goes with the first that does. */
    tp_parameter *const *wrt;
    int wrt_count;
} tp_sweep_opts;

typedef struct tp_sweep {
    tp_tape *tape;  /* NULL when the sweep is over */
    uint32_t epoch; /* of the tape: a sweep does not survive tp_tape_reset */
    tp_sweep_opts opts;
    tp_status status;
    uint32_t root;  /* id of the node it began at */
    uint32_t base;  /* nodes before the sweep: what lies beyond are gradients */
    uint32_t at;    /* id of the node this step treated; nodes below it are still to come */
    uint32_t first; /* the rule recorded nodes first … rule_end-1, adding up made … last-1 */
    uint32_t rule_end, last;
    bool done;                  /* no node is left */
    bool fused;                 /* the step used the fused rule */
    tp_var gy;                  /* gradient of the root with respect to the node at */
    int n;                      /* its inputs, */
    const tp_var *contribution; /* what the rule gave for each (none: id 0), */
    const tp_var *gx;           /* and the gradient of each so far */
} tp_sweep;

/* Starts at a root with one element, whose gradient is 1. Failures are found in .status and on the tape.
 * One sweep at a time: while one is open on a tape, begin, tp_backward and tp_grad are TP_EARG there, and it
 * goes on. TP_EARG also for release with create_graph, which needs what release frees. */
tp_sweep tp_sweep_begin(tp_var root, tp_sweep_opts opts);
/* Treats the next node; false when there is none left, a rule failed, or the tape was reset or freed
 * (TP_ESTALE). */
bool tp_sweep_next(tp_sweep *s);
/* Adds the gradients to the parameters and leaves if every node was treated and all steps succeeded (all or
 * nothing: a sweep abandoned half-way adds none) and drops the sweep's nodes. Every begin needs one end. */
tp_status tp_sweep_end(tp_sweep *s);
/* The gradient a node holds in this sweep; none (id 0) if none arrived. */
tp_var tp_sweep_grad(const tp_sweep *s, tp_var v);

/* The whole loop. Adds d root / d p to the gradient of every parameter p and every tp_leaf that root
 * depends on. TP_ESHAPE unless root has one element; TP_EGRAD if it depends on none; TP_EFREED after a
 * sweep that released; TP_EVERSION if a value that a rule needs was written since, or a gradient
 * while the sweep was building it. */
tp_status tp_backward(tp_var root);
tp_status tp_backward_opts(tp_var root, tp_sweep_opts opts);

typedef struct tp_grad_opts {
    const tp_var *grad_outputs; /* cotangent per output, of its shape; NULL: ones */
    bool create_graph;          /* the results can be differentiated again */
    bool allow_unused;          /* an input no output depends on gets zeros instead of TP_EGRAD */
} tp_grad_opts;

/* grads[j] = Σ_i grad_outputs[i] · d outputs[i] / d inputs[j], as vars on the same tape. Touches no
 * parameter. On failure the grads are poisoned. */
tp_status tp_grad(int outputs, const tp_var *output, int inputs, const tp_var *input, tp_var *grads,
                  tp_grad_opts opts);

#ifdef __cplusplus
}
#endif
#endif
