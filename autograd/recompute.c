/* recompute.c: values that are dropped after the forward pass and computed again when backward needs them.
 *
 * A segment is a range of nodes. Dropping one forgets the values of its operations, but not the nodes: an
 * operation is a pure function of its inputs and attributes (noise has its key), so computing it again gives
 * the same bits. rule.c asks for a segment when a rule reads one of its values; sweep.c drops it again when
 * the sweep is past it. Read next: rule.c. */
#include "autograd/node.h"

static void drop(tp_tape *t, const tp_segment *s)
{
    for (uint32_t id = s->first; id < s->last; id++) {
        tp_node *node = tp_node_at(t, id);
        if (node->segment != 0 && node->held == 0)
            tp_node_release(node);
    }
}

/* --- recording ---------------------------------------------------------------------------------- */

void tp_recompute_begin(tp_tape *t)
{
    if (t->recompute_depth++ == 0)
        t->recompute_first = t->count;
}

/* Room for one more segment. */
static tp_status reserve(tp_tape *t)
{
    if (t->segment_count < t->segment_capacity)
        return TP_OK;
    uint32_t capacity = 2 * t->segment_capacity + 8;
    tp_segment *grown =
        tp_realloc(t->recompute, t->segment_capacity * sizeof *grown, capacity * sizeof *grown);
    if (grown == NULL) {
        tp_fail_prefix("tp_recompute_end: ");
        return TP_ENOMEM;
    }
    t->recompute = grown;
    t->segment_capacity = capacity;
    return TP_OK;
}

static tp_status check_keep(tp_tape *t, int n, const tp_var *keep)
{
    for (int i = 0; i < n; i++) {
        tp_status status = tp_var_status(keep[i]);
        if (status == TP_OK && keep[i].tape != t)
            status = tp_fail(TP_ETAPE, "it belongs to another tape");
        if (status != TP_OK) {
            tp_fail_prefix("tp_recompute_end: value %d to keep: ", i);
            return status;
        }
    }
    return TP_OK;
}

/* Whether a value can be had again. A sweep inside the segment (tp_grad) releases gradients as it goes: what was
 * computed from those has to stay. */
static bool has_inputs(const tp_tape *t, const tp_node *node)
{
    for (int i = 0; i < node->n; i++)
        if (tp_node_at(t, node->x[i])->freed)
            return false;
    return node->op != NULL;
}

void tp_recompute_end(tp_tape *t, int n, const tp_var *keep)
{
    if (t->recompute_depth == 0) {
        tp_tape_poison(t, tp_fail(TP_EARG, "tp_recompute_end without tp_recompute_begin"));
        return;
    }
    if (--t->recompute_depth > 0 || t->status != TP_OK) /* the outermost pair is the segment */
        return;
    tp_status status = check_keep(t, n, keep);
    if (status == TP_OK)
        status = reserve(t);
    if (status != TP_OK) {
        tp_tape_poison(t, status);
        return;
    }
    t->recompute[t->segment_count++] = (tp_segment){t->recompute_first, t->count, false};
    for (uint32_t id = t->recompute_first; id < t->count; id++)
        if (has_inputs(t, tp_node_at(t, id)))
            tp_node_at(t, id)->segment = t->segment_count;
    for (int i = 0; i < n; i++)
        tp_node_at(t, keep[i].id)->segment = 0;
    drop(t, &t->recompute[t->segment_count - 1]);
}

void tp_recompute_truncate(tp_tape *t, uint32_t id)
{
    t->recompute_first = t->recompute_first < id ? t->recompute_first : id;
    while (t->segment_count > 0 && t->recompute[t->segment_count - 1].first >= id)
        t->segment_count--;
    if (t->segment_count > 0 && t->recompute[t->segment_count - 1].last > id)
        t->recompute[t->segment_count - 1].last = id;
}

/* --- going backward ----------------------------------------------------------------------------- */

/* What a value is computed from again must still be there, and be what it was. */
static tp_status check_inputs(tp_tape *t, uint32_t id)
{
    const tp_node *node = tp_node_at(t, id);
    char what[TP_VAR_TEXT], input[TP_VAR_TEXT];
    for (int i = 0; i < node->n; i++) {
        const tp_node *x = tp_node_at(t, node->x[i]);
        if (!x->freed && x->value.storage->version == x->version)
            continue;
        tp_var_text(tp_var_at(t, id), what);
        tp_var_text(tp_var_at(t, node->x[i]), input);
        if (x->freed)
            return tp_fail(TP_EFREED, "computing %s again needs %s, which was released", what,
                           input);
        return tp_fail(TP_EVERSION,
                       "computing %s again needs %s as it was, but it was written since", what,
                       input);
    }
    return TP_OK;
}

/* Marks what has to be computed, from id down, to have the value of id: not all of the segment, of which a sweep
 * with release may have passed a part. */
static void mark_missing(tp_tape *t, uint32_t first, uint32_t id)
{
    tp_node_at(t, id)->missing = true;
    for (uint32_t k = id; k >= first; k--) {
        const tp_node *node = tp_node_at(t, k);
        for (int i = 0; i < node->n && node->missing; i++) {
            tp_node *x = tp_node_at(t, node->x[i]);
            x->missing = x->freed && x->op != NULL && node->x[i] >= first;
        }
    }
}

tp_status tp_recompute_restore(tp_tape *t, uint32_t id)
{
    tp_status status = TP_OK;
    uint32_t segment = tp_node_at(t, id)->segment;
    tp_segment *s = &t->recompute[segment - 1];
    s->restored = true;
    t->restored = segment;
    mark_missing(t, s->first, id);
    for (uint32_t k = s->first; k <= id; k++) {
        tp_node *node = tp_node_at(t, k);
        if (node->missing && status == TP_OK)
            status = check_inputs(t, k);
        if (node->missing && status == TP_OK)
            status = tp_node_compute(t, node);
        node->missing = false;
    }
    return status;
}

void tp_recompute_passed(tp_tape *t, uint32_t id)
{
    tp_segment *s = t->restored != 0 ? &t->recompute[t->restored - 1] : NULL;
    if (s == NULL || id >= s->first)
        return;
    drop(t, s);
    s->restored = false;
    t->restored = 0;
}

void tp_recompute_drop_all(tp_tape *t)
{
    for (uint32_t i = 0; i < t->segment_count; i++)
        if (t->recompute[i].restored) {
            drop(t, &t->recompute[i]);
            t->recompute[i].restored = false;
        }
    t->restored = 0;
}
