/* node.h: the inside of a tape. Private to autograd/: programs use tape.h.
 *
 * Nodes live in segments that never move, so a rule may append while the sweep holds pointers. Node 0
 * is the poisoned var. */
#ifndef TP_AUTOGRAD_NODE_H
#define TP_AUTOGRAD_NODE_H

#include "autograd/op.h"

enum { TP_SEGMENT = 256, TP_MESSAGE_BYTES = 2048 };

typedef struct tp_node {
    tp_tensor value;   /* first: what follows is cleared when a node is made */
    const tp_op *op;   /* NULL for values that were entered: constants, leaves, parameters */
    const uint32_t *x; /* ids of the inputs */
    int n;
    const void *attr;
    tp_parameter *param;
    uint64_t version; /* of the value's storage when it was published */
    const char *name, *file;
    int line;
    uint32_t scope;
    uint32_t segment; /* 1 + index of the segment that may drop the value, 0 if none may */
    uint32_t epoch;   /* of the tape when it was made; ids are used again, epochs are not */
    bool needs_grad, is_leaf, freed;
    bool missing; /* recompute.c is about to compute the value again */
    bool cut;     /* recorded without gradients, or its op has none: nothing passes */

    /* the newest sweep's notes */
    bool target;          /* differentiate by this node: keep its gradient */
    bool wanted;          /* a target, or on the way to one */
    bool ancestor;        /* the root was computed from it */
    bool wanted_inputs;   /* some input is wanted: the rule must run */
    bool in_place;        /* a parameter whose own gradient tensor was given to a rule to fill */
    uint32_t grad;        /* id of the var that holds the gradient so far, 0 if none */
    uint32_t held;        /* gradient slots that point at this node: it may not be released */
    tp_tensor *leaf_grad; /* of tp_leaf: what backward has added up, in the arena; NULL before */
} tp_node;

typedef struct tp_scope {
    const char *name;
    uint32_t parent;
} tp_scope;

/* Nodes first … last-1, whose values are dropped and computed again in backward: recompute.c. */
typedef struct tp_segment {
    uint32_t first, last;
    bool restored;
} tp_segment;

struct tp_tape {
    uint32_t epoch;       /* grows at every reset, truncation and free; given to new nodes */
    uint32_t reset_epoch; /* the epoch after the last reset: that of the poisoned var */
    bool live;
    tp_arena arena;
    tp_node **segment;
    uint32_t segments, count;
    tp_scope *scopes;
    uint32_t scope_count, scope_capacity, scope;
    struct {
        uint32_t epoch, id;
    } * leaf_of; /* by parameter slot */
    uint32_t leaf_capacity;
    int no_grad;
    int recompute_depth;      /* open tp_recompute_begin's, the outermost of which stood */
    uint32_t recompute_first; /* before this node */
    tp_segment *recompute;
    uint32_t segment_count, segment_capacity;
    uint32_t restored; /* 1 + index of the segment restored last, 0 if it was dropped again */
    bool sweeping; /* a sweep is open: its notes are in the nodes, so there can be no second one */
    bool looping;  /* it is that of tp_backward: nobody acts between two of its steps */
    bool trap;     /* see tp_tape_trap */
    uint32_t rule_of; /* id of the node whose rule is running, 0 if none is */
    uint32_t sum_of;  /* id of the node whose gradient is being added up, 0 if none is */
    tp_status status;
    char message[TP_MESSAGE_BYTES];
    /* Called after every rule with its result: how tests break rules on purpose. */
    void (*rule_hook)(void *user, const tp_op *op, const tp_vjp_call *c, tp_var *gx);
    void *rule_hook_user;
    /* Called with every result before it is published, for the same. */
    void (*value_hook)(void *user, const tp_op *op, const tp_op_call *c);
    void *value_hook_user;
};

static inline tp_node *tp_node_at(const tp_tape *t, uint32_t id)
{
    return &t->segment[id / TP_SEGMENT][id % TP_SEGMENT];
}

static inline tp_var tp_var_at(tp_tape *t, uint32_t id)
{
    return (tp_var){t, id, id == 0 ? t->reset_epoch : tp_node_at(t, id)->epoch};
}

/* Whether v names a value, or the poisoned var, of its tape as it is now. Records nothing. */
static inline bool tp_var_current(tp_var v)
{
    return v.tape != NULL && v.tape->live && v.id < v.tape->count &&
           v.epoch == tp_var_at(v.tape, v.id).epoch;
}

/* The node of a var, or NULL after recording why not (stale, poisoned). Released nodes are returned. */
tp_node *tp_node_of(tp_var v);
/* An empty node at the end, not yet part of the tape (count++ makes it so); NULL after recording TP_ENOMEM. */
tp_node *tp_node_next(tp_tape *t);
/* Appends an empty node and writes its id; NULL after recording TP_ENOMEM. */
tp_node *tp_node_push(tp_tape *t, uint32_t *id);
/* Drops the last reference of a node to its value; the memory goes back to the arena. */
void tp_node_release(tp_node *node);
/* Computes the value of a node that was released once more, from its inputs. */
tp_status tp_node_compute(tp_tape *t, tp_node *node);
/* Drops all nodes from id on. */
void tp_tape_truncate(tp_tape *t, uint32_t id);
/* Computes the dropped value of node id, and what it needs of its segment. TP_EFREED or TP_EVERSION if what that
 * is computed from is not what it was. */
tp_status tp_recompute_restore(tp_tape *t, uint32_t id);
/* The sweep is at node id: drops the segment restored last if all of it was passed. */
void tp_recompute_passed(tp_tape *t, uint32_t id);
/* Segments end at node id at the latest. */
void tp_recompute_truncate(tp_tape *t, uint32_t id);
/* Drops whatever is restored. */
void tp_recompute_drop_all(tp_tape *t);
/* "encoder/fc1/" for a scope; text needs TP_VAR_TEXT bytes. */
char *tp_scope_path(const tp_tape *t, uint32_t scope, char text[TP_VAR_TEXT]);

#endif
