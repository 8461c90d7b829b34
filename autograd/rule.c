/* rule.c: running the rule of one node: what it reads is still there and unchanged, then the fused or the
 * composed form. Where the results go is sweep.c. */
#include "autograd/compose.h"
#include "autograd/sweep_step.h"
#include "autograd/trap.h"
#include "tensor/layout.h"

/* Every value the rule reads must still be there, and be what it was. */
static tp_status check_reads(const tp_sweep *s, const tp_node *node)
{
    char rule[TP_VAR_TEXT], what[TP_VAR_TEXT];
    for (int i = -1; i < node->n; i++) { /* -1: the output */
        unsigned bit = i < 0 ? TP_READS_Y : i < 31 ? TP_READS(i) : TP_READS(30);
        uint32_t id = i < 0 ? s->at : node->x[i];
        const tp_node *read = tp_node_at(s->tape, id);
        if (!(node->op->reads & bit))
            continue;
        if (read->freed && read->segment != 0)
            TP_TRY(tp_recompute_restore(s->tape, id));
        if (!read->freed && read->value.storage->version == read->version)
            continue;
        tp_var_text(tp_var_at(s->tape, s->at), rule);
        tp_var_text(tp_var_at(s->tape, id), what);
        if (read->freed)
            return tp_fail(TP_EFREED,
                           "backward of %s needs %s, which an earlier backward released: call it "
                           "without release to keep values",
                           rule, what);
        return tp_fail(TP_EVERSION,
                       "backward of %s needs %s as it was in the forward pass, but it was written "
                       "since (version %llu, now %llu)",
                       rule, what, (unsigned long long)read->version,
                       (unsigned long long)read->value.storage->version);
    }
    return TP_OK;
}

/* The gradient of node s->at, if the rule may write over it and nothing else looks at it or will. */
static bool take_gy(const tp_sweep *s, tp_tensor *g)
{
    const tp_node *gy = tp_node_at(s->tape, s->gy.id), *node = tp_node_at(s->tape, s->at);
    if (!node->op->fused_over_gy || !s->tape->looping || gy->held != 1 ||
        s->tape->trap ||      /* it wants to say what came in */
        s->gy.id < s->base || /* a rule may give a value of the forward pass for a gradient */
        gy->value.storage->arena == NULL || gy->value.storage->uses != 1 ||
        (tp_is_channels_last(&node->value) ? !tp_is_channels_last(&gy->value)
                                           : !tp_is_contiguous(&gy->value)))
        return false;
    *g = gy->value;
    g->storage->uses++;
    return true;
}

/* Whether the rule of node s->at works on values in memory: a constant may be an old gradient. */
static bool rule_sees(const tp_sweep *s, const tp_storage *memory)
{
    const tp_node *node = tp_node_at(s->tape, s->at);
    bool sees =
        node->value.storage == memory || tp_node_at(s->tape, s->gy.id)->value.storage == memory;
    for (int i = 0; i < node->n; i++)
        sees |= tp_node_at(s->tape, node->x[i])->value.storage == memory;
    return sees;
}

/* Where a fused rule writes the gradient of node id. One contribution to a parameter that has no gradient
 * goes straight to the parameter: until tp_sweep_end says so, nobody takes what stands there for a
 * gradient. Not in a sweep that a caller steps through, who might run a second one beside it. */
static tp_status gradient_place(tp_sweep *s, uint32_t id, tp_tensor *g)
{
    tp_tape *t = s->tape;
    tp_node *node = tp_node_at(t, id);
    tp_parameter *p = node->param;
    bool newest = p != NULL && t->leaf_of[p->slot].id == id; /* only one may */
    if (!newest || !t->looping || p->has_grad || node->in_place || rule_sees(s, p->grad.storage)) {
        if (take_gy(s, g))
            return TP_OK;
        TP_TRY(tp_arena_tensor(&t->arena, g, node->value.dtype, node->value.shape));
        if (tp_node_at(t, s->at)->op->layout != TP_CONTIGUOUS && tp_is_channels_last(&node->value))
            tp_make_channels_last(g);
        return TP_OK;
    }
    node->in_place = true;
    *g = p->grad;
    g->owns = false;
    return TP_OK;
}

static tp_status run_fused(tp_sweep *s, const tp_node *node, const bool *want, tp_var *gx)
{
    enum { FEW = 4 };
    tp_tape *t = s->tape;
    const tp_tensor *x[FEW];
    tp_tensor g[FEW] = {{0}};
    if (node->n > FEW)
        return tp_fail(TP_EARG, "%s: a fused rule takes at most %d inputs", node->op->name, FEW);
    tp_status status = TP_OK;
    for (int i = 0; i < node->n; i++) {
        x[i] = &tp_node_at(t, node->x[i])->value;
        if (want[i] && status == TP_OK)
            status = gradient_place(s, node->x[i], &g[i]);
    }
    tp_fused_call call = {node->n, x,          &node->value, &tp_node_at(t, s->gy.id)->value,
                          g,       node->attr, want,         &t->arena};
    if (status == TP_OK)
        status = node->op->vjp_fused(&call);
    if (status == TP_OK && t->trap)
        status = tp_trap_fused(t, s->at, s->gy.id, want, g);
    for (int i = 0; i < node->n; i++) {
        uint32_t id;
        tp_node *out = g[i].storage != NULL && status == TP_OK ? tp_node_push(t, &id) : NULL;
        if (out != NULL) {
            out->value = g[i];
            out->version = g[i].storage->version;
            gx[i] = tp_var_at(t, id);
        } else if (g[i].storage != NULL) {
            tp_tensor_drop(&g[i]);
            status = status != TP_OK ? status : TP_ENOMEM;
        }
    }
    return status;
}

tp_status tp_rule_run(tp_sweep *s, const tp_node *node, const bool *want, tp_var *contribution)
{
    enum { FEW = 8 };
    tp_tape *t = s->tape;
    tp_var few[FEW], *x = few;
    const tp_op *op = node->op;
    TP_TRY(check_reads(s, node));
    size_t bytes = (size_t)node->n * sizeof *x;
    if (node->n > FEW && (x = tp_arena_alloc(&t->arena, bytes)) == NULL)
        return TP_ENOMEM;
    for (int i = 0; i < node->n; i++)
        x[i] = tp_var_at(t, node->x[i]);
    tp_vjp_call call = {node->n, x, tp_var_at(t, s->at), s->gy, node->attr, want};
    t->rule_of = s->at;
    s->fused = op->vjp_fused != NULL && !s->opts.create_graph && !s->opts.composed;
    tp_status status = TP_OK;
    if (s->fused)
        status = run_fused(s, node, want, contribution);
    else
        op->vjp(&call, contribution);
    if (t->rule_hook != NULL)
        t->rule_hook(t->rule_hook_user, op, &call, contribution);
    if (!tp_sweep_alive(s)) {
        tp_fail_prefix("in the rule of %s: ", op->name);
        return s->status;
    }
    t->rule_of = 0;
    if (x != few)
        tp_arena_recycle(&t->arena, x, bytes);
    return status != TP_OK ? status : t->status;
}
