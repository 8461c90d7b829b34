/* step.h: what there is to show of one step of a sweep. Private to autograd/.
 *
 * Formats (text.c, markdown.c, tex.c, html.c) only write what stands here; what had to be computed for it was
 * computed by replay.c on a tape of its own, so that the user's tape is only read. */
#ifndef TP_AUTOGRAD_EXPLAIN_STEP_H
#define TP_AUTOGRAD_EXPLAIN_STEP_H

#include "autograd/explain/replay.h"

/* What stands between a root and what it was computed from. Ids up to root index the marks. */
typedef struct tp_passage {
    const tp_tape *tape;
    uint32_t root;
    bool *made;   /* the root was computed from it */
    bool *passed; /* … along a path that gradients take; all false before a sweep has begun */
} tp_passage;

/* TP_ENOMEM. A passage is freed once. */
tp_status tp_passage_new(tp_passage *p, tp_var root);
void tp_passage_free(tp_passage *p);
/* Marks what the open sweep passes. */
void tp_passage_mark(tp_passage *p);
/* Whether the sweep takes a step at node id, the number of that step, and of the last one. */
bool tp_passage_treats(const tp_passage *p, uint32_t id);
int tp_passage_number(const tp_passage *p, uint32_t id);
int tp_passage_steps(const tp_passage *p);
/* Whether backward needs the value of node id for the rule of node user (which may be id itself). */
bool tp_passage_reads(const tp_passage *p, uint32_t user, uint32_t id);

typedef enum tp_health { TP_SOUND, TP_VANISHING, TP_NON_FINITE } tp_health;

/* What a step gives to one input: upstream gradient × local derivative. */
typedef struct tp_part {
    int input;    /* which input of the op, */
    uint32_t id;  /* and its node */
    bool nothing; /* the rule gave nothing */
    bool summed;  /* the sweep summed it back to the input's shape */
    tp_formula
        formula;   /* of the rule: that which ran, or if that was fused, the one it must equal */
    uint32_t rule; /* the node to write with it, 0 if there is none */
    const tp_tensor *value; /* the contribution, NULL if it is not there */
    const tp_tensor *total; /* with what came before; NULL if this is the first */
    int uses,
        arrived; /* how often the value was used, and how many of these uses have given their part: */
    int come;
    uint32_t *from;   /* nodes from[0] … from[come-1] */
    tp_health health; /* of the contribution, beside the upstream gradient */
    bool checked;
    tp_finding check;
    int64_t rows, columns; /* of the Jacobian ∂y/∂x, if it was asked for: elements of y, of x; */
    const tp_tensor *jacobian; /* f64 [rows, columns], NULL if it is too large to be shown */
    tp_tensor value_tensor, total_tensor, jacobian_tensor;
} tp_part;

typedef struct tp_step {
    const tp_sweep *sweep;
    const tp_passage *passage;
    const tp_node *node;
    uint32_t id;
    int number;
    const tp_tensor *upstream;
    tp_formula formula; /* of all parts, unless the step was fused */
    int parts;
    tp_part *part;
    tp_replay replay;
    tp_status
        status; /* TP_ENOMEM once memory was short; what is missing for other reasons is said */
} tp_step;

/* look: markup and notation of the formulas. TP_ENOMEM. Every begin that succeeded needs one end. */
tp_status tp_step_begin(tp_step *s, const tp_sweep *sweep, const tp_passage *p,
                        const tp_explain_opts *o, const tp_formula *look);
void tp_step_end(tp_step *s);
/* The value of a node of a formula of the step, or NULL if it is gone; at is where it may be kept. */
const tp_tensor *tp_step_value(tp_step *s, const tp_formula *f, uint32_t id, tp_tensor *at);

#endif
