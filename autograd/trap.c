/* trap.c: which operation was the first to give a value that is not finite?
 *
 * A NaN comes out of a NaN, an infinity out of a NaN or an infinity: what has no such input was made here.
 * Everything is asked of values that lie on the tape anyway, so nothing is kept for it; the looks that
 * cost time come after the one fast one (tensor/scan.h) has found something. Read tp_trap_node first. */
#include "autograd/trap.h"
#include "autograd/failure.h"
#include "tensor/gather.h"
#include "tensor/scan.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

/* --- questions ---------------------------------------------------------------------------------- */

/* What was released, and what holds integers, is out of the question. */
static bool is_odd(const tp_tensor *x)
{
    return x->storage != NULL && tp_dtype_is_float(x->dtype) && !tp_all_finite(x);
}

static bool has_nan(const tp_tensor *x)
{
    return is_odd(x) && !tp_all_within(x, -INFINITY, INFINITY);
}

/* Of the nodes x[n] that y was computed from, the one that what is not finite in y may come from; or 0. */
static uint32_t carrier(const tp_tape *t, const tp_tensor *y, int n, const uint32_t *x)
{
    bool nan = has_nan(y);
    for (int i = 0; i < n; i++) {
        const tp_tensor *value = &tp_node_at(t, x[i])->value;
        if (nan ? has_nan(value) : is_odd(value))
            return x[i];
    }
    return 0;
}

/* The node that what is not finite in node id goes back to: id itself, or one before it. */
static uint32_t source(const tp_tape *t, uint32_t id)
{
    for (;;) {
        const tp_node *node = tp_node_at(t, id);
        uint32_t from = carrier(t, &node->value, node->n, node->x);
        if (from == 0)
            return id;
        id = from;
    }
}

/* Infinities that were put in on purpose may pass; no step has a use for a parameter that holds one. */
static bool may_pass(const tp_tape *t, const tp_tensor *y, uint32_t from)
{
    if (from == 0 || has_nan(y))
        return false;
    const tp_node *node = tp_node_at(t, source(t, from));
    return node->param == NULL || !node->is_leaf;
}

/* --- words -------------------------------------------------------------------------------------- */

/* "2 NaN, 1 inf of 64 elements, the first at [0,3]" */
static void say_result(tp_text *to, const tp_tensor *y)
{
    char at[TP_SHAPE_TEXT];
    tp_census c = tp_take_census(y);
    tp_text_odd(to, &c);
    if (c.n > 1)
        tp_text_add(to, " of %lld elements, the first at %s", (long long)c.n,
                    tp_index_text(y->shape, c.first, at));
}

static void say_operand(tp_text *to, tp_tape *t, const char *role, uint32_t id)
{
    const tp_tensor *value = &tp_node_at(t, id)->value;
    tp_failure_operand(to, role, tp_var_at(t, id));
    tp_text_add(to, ": ");
    if (value->storage == NULL)
        tp_text_add(to, "released");
    else
        tp_text_range(to, value, 6);
}

static void say_attributes(tp_text *to, const tp_node *node)
{
    for (int i = 0; i < node->op->field_count; i++) {
        const tp_field *f = &node->op->fields[i];
        tp_text_add(to, "%s%s ", i == 0 ? "\n  with " : ", ", f->name);
        tp_format_attr(to, f, node->attr);
    }
}

/* What may help to see why a result y of op is not finite although its inputs were: the domain of the op, or
 * else how far numbers go, and what the rule is that it runs in. */
static void say_why(tp_text *to, const tp_tape *t, const tp_op *op, const tp_tensor *y)
{
    const tp_op *rule = t->rule_of != 0 ? tp_node_at(t, t->rule_of)->op : NULL;
    if (op->domain != NULL)
        tp_text_add(to, "\n  domain of %s: %s", op->name, op->domain);
    if (rule != NULL && rule->why != NULL)
        tp_text_add(to, "\n  rule of %s: %s", rule->name, rule->why);
    if (op->domain == NULL && !has_nan(y)) {
        tp_text_add(to, "\n  the largest %s is ", tp_dtype_name(y->dtype));
        tp_text_number(to, 6, y->dtype == TP_F32 ? (double)FLT_MAX : DBL_MAX);
    }
}

/* --- the trap ----------------------------------------------------------------------------------- */

enum { SHOWN = 4 }; /* inputs */

static void say_inputs(tp_text *to, tp_tape *t, const tp_node *node, unsigned which)
{
    char role[24];
    for (int i = 0; i < node->n && i < SHOWN; i++) {
        snprintf(role, sizeof role, "input %d", i);
        if (which & TP_READS(i))
            say_operand(to, t, role, node->x[i]);
    }
}

/* The message for node id, whose value is not finite; from: the input this came from, or 0. */
static tp_status fail_node(tp_tape *t, uint32_t id, uint32_t from)
{
    const tp_node *node = tp_node_at(t, id);
    char what[TP_VAR_TEXT];
    tp_text text = {0};
    tp_failure_context(&text, t);
    tp_text_add(&text, "%s", tp_var_text(tp_var_at(t, id), what));
    if (node->file != NULL)
        tp_text_add(&text, " (%.80s:%d)", node->file, node->line);
    tp_text_add(&text, node->n > 0 ? ": gave " : ": holds ");
    say_result(&text, &node->value);
    if (node->op != NULL)
        say_attributes(&text, node);
    say_inputs(&text, t, node, ~0u);
    if (from != 0)
        say_operand(&text, t, "not made here: it goes back to", source(t, from));
    else if (node->n > 0)
        say_why(&text, t, node->op, &node->value);
    return tp_fail(TP_ENONFINITE, "%s", text.data);
}

tp_status tp_trap_node(tp_tape *t, uint32_t id)
{
    const tp_node *node = tp_node_at(t, id);
    if (node->n == 0)
        return TP_OK; /* it may hold what it likes; who computes with it answers for it */
    for (int i = 0; i < node->n; i++)
        if (tp_node_at(t, node->x[i])->value.storage == node->value.storage)
            return TP_OK; /* a view */
    if (!is_odd(&node->value))
        return TP_OK;
    uint32_t from = carrier(t, &node->value, node->n, node->x);
    return may_pass(t, &node->value, from) ? TP_OK : fail_node(t, id, from);
}

/* As fail_node, for the gradient g of input i. */
static tp_status fail_fused(tp_tape *t, uint32_t at, uint32_t gy, int i, const tp_tensor *g,
                            uint32_t from)
{
    const tp_node *node = tp_node_at(t, at);
    char what[TP_VAR_TEXT];
    tp_text text = {0};
    tp_failure_context(&text, t);
    tp_text_add(&text, "gave for input %d, %s, ", i, tp_var_text(tp_var_at(t, node->x[i]), what));
    say_result(&text, g);
    say_attributes(&text, node);
    say_operand(&text, t, "gradient", gy);
    say_inputs(&text, t, node, node->op->reads);
    if (node->op->reads & TP_READS_Y)
        say_operand(&text, t, "output", at);
    if (from != 0)
        say_operand(&text, t, "not made here: it goes back to", source(t, from));
    else
        say_why(&text, t, node->op, g);
    return tp_fail(TP_ENONFINITE, "%s", text.data);
}

tp_status tp_trap_fused(tp_tape *t, uint32_t at, uint32_t gy, const bool *want, const tp_tensor *g)
{
    enum { FEW = 8 };
    const tp_node *node = tp_node_at(t, at);
    uint32_t read[FEW] = {gy};
    int n = 1;
    for (int k = 0; k < node->n && n < FEW - 1; k++)
        if (node->op->reads & TP_READS(k))
            read[n++] = node->x[k];
    if (node->op->reads & TP_READS_Y)
        read[n++] = at;
    for (int i = 0; i < node->n; i++) {
        if (!want[i] || !is_odd(&g[i]))
            continue;
        uint32_t from = carrier(t, &g[i], n, read);
        if (!may_pass(t, &g[i], from))
            return fail_fused(t, at, gy, i, &g[i], from);
    }
    return TP_OK;
}

/* --- public ------------------------------------------------------------------------------------- */

bool tp_tape_trap(tp_tape *t, bool on)
{
    bool before = t->trap;
    t->trap = on;
    return before;
}

tp_status tp_var_finite(tp_var v)
{
    TP_TRY(tp_var_status(v));
    if (!is_odd(&tp_node_at(v.tape, v.id)->value))
        return TP_OK;
    return fail_node(v.tape, source(v.tape, v.id), 0);
}
