/* apply.c: recording one operation: resolve inputs, check shapes, allocate, compute, publish.
 * Nothing is published unless everything succeeded. The messages of failures are put together here; what
 * the trap for NaN says of a result is trap.c. */
#include "autograd/failure.h"
#include "autograd/trap.h"
#include "tensor/layout.h"

#include <stdio.h>
#include <string.h>

/* --- messages --------------------------------------------------------------------------------- */

/* If an input came from a reduction without keepdim and would fit with it, say so. */
static void add_hint(tp_text *to, const tp_op_call *c, const tp_var *x)
{
    tp_tape *t = x[0].tape;
    for (int i = 0; i < 2; i++) {
        const tp_node *node = tp_node_at(t, x[i].id);
        const tp_field *keepdim = NULL, *axes = NULL;
        for (int k = 0; node->op != NULL && k < node->op->field_count; k++) {
            const tp_field *f = &node->op->fields[k];
            if (f->kind == TP_FIELD_BOOL && strcmp(f->name, "keepdim") == 0)
                keepdim = f;
            if (f->kind == TP_FIELD_AXES)
                axes = f;
        }
        if (keepdim == NULL || axes == NULL)
            continue;
        bool kept, mask[TP_MAX_DIMS];
        tp_axes list;
        memcpy(&kept, (const char *)node->attr + keepdim->offset, sizeof kept);
        memcpy(&list, (const char *)node->attr + axes->offset, sizeof list);
        tp_shape before = tp_node_at(t, node->x[0])->value.shape, with, both;
        if (kept || tp_axes_mask(before, list, mask) != TP_OK)
            continue;
        with = tp_shape_reduced(before, mask, true);
        char shape[TP_SHAPE_TEXT];
        if (tp_shape_broadcast(with, c->x[1 - i]->shape, &both) == TP_OK)
            tp_text_add(to, "\n  hint: %s#%u with keepdim gives %s", node->op->name, x[i].id,
                        tp_shape_text(with, shape));
    }
}

/* The text of the last failure; without the operation's name, which drivers of tensor/ put in front, too. */
static const char *reason_of(const tp_op *op, tp_status status)
{
    const char *reason = tp_last_error() + strlen(tp_status_name(status)) + 1;
    size_t n = strlen(op->name);
    return strncmp(reason, op->name, n) == 0 && strncmp(reason + n, ": ", 2) == 0 ? reason + n + 2
                                                                                  : reason;
}

/* Turns "E_SHAPE shapes … do not broadcast" into a message with path, operands and hint; with n = 0 without
 * operands, of which c is not needed then. */
static tp_var fail_op(tp_tape *t, const tp_op *op, const tp_op_call *c, const tp_var *x, int n,
                      tp_status status)
{
    char path[TP_VAR_TEXT], role[24];
    tp_text text = {0};
    tp_failure_context(&text, t);
    tp_scope_path(t, t->scope, path);
    tp_text_add(&text, "%s%s%s#%u: %s", path, path[0] ? ": " : "", op->name, t->count,
                reason_of(op, status));
    for (int i = 0; i < n && i < 4; i++) {
        snprintf(role, sizeof role, "input %d", i);
        tp_failure_operand(&text, role, x[i]);
    }
    if (status == TP_ESHAPE && n == 2 && op->shape == tp_shape_broadcast_all)
        add_hint(&text, c, x);
    tp_fail(status, "%s", text.data);
    return tp_tape_poison(t, status);
}

/* --- recording -------------------------------------------------------------------------------- */

/* The first valid input decides where a failure goes; a stale one only if there is no other, because the
 * head of a freed tape may belong to somebody else by now. */
static tp_tape *tape_of(int n, const tp_var *x)
{
    for (int i = 0; i < n; i++)
        if (tp_var_current(x[i]))
            return x[i].tape;
    for (int i = 0; i < n; i++)
        if (x[i].tape != NULL && x[i].tape->live)
            return x[i].tape;
    return NULL;
}

tp_var tp_apply(const tp_op *op, int n, const tp_var *x, const void *attr)
{
    tp_tape *t = tape_of(n, x);
    if (t == NULL) {
        tp_fail(n > 0 && x[0].tape != NULL ? TP_ESTALE : TP_ETAPE, "%s: %s", op->name,
                n > 0 && x[0].tape != NULL ? "its input belongs to a tape that was freed"
                                           : "no input belongs to a tape");
        return (tp_var){0};
    }
    return tp_apply_on(t, op, n, x, attr);
}

/* Checks that every input is a usable value of tape t. */
static tp_status resolve(tp_tape *t, const tp_op *op, int n, const tp_var *x,
                         const tp_tensor **value)
{
    char text[TP_VAR_TEXT];
    for (int i = 0; i < n; i++) {
        if (x[i].tape == NULL)
            return tp_fail(TP_ETAPE, "%s#%u: input %d is an empty var", op->name, t->count, i);
        if (x[i].tape != t)
            return tp_fail(TP_ETAPE, "%s#%u: input %d belongs to another tape", op->name, t->count,
                           i);
        const tp_node *node = tp_node_of(x[i]);
        if (node == NULL) {
            tp_fail_prefix("%s#%u: input %d: ", op->name, t->count, i);
            return tp_var_current(x[i]) ? TP_ETAPE : TP_ESTALE;
        }
        if (node->freed)
            return tp_fail(TP_EFREED, "%s#%u: input %d, %s, was %s", op->name, t->count, i,
                           tp_var_text(x[i], text),
                           node->segment != 0 ? "dropped by tp_recompute_end: keep it there"
                                              : "released by the backward sweep");
        value[i] = &node->value;
    }
    return TP_OK;
}

static tp_status check_dtypes(const tp_op_call *c)
{
    for (int i = 0; i < c->n; i++) {
        if (!tp_dtype_is_float(c->x[i]->dtype))
            return tp_fail(TP_EDTYPE, "input %d is %s: f32 or f64 needed", i,
                           tp_dtype_name(c->x[i]->dtype));
        if (c->x[i]->dtype != c->x[0]->dtype)
            return tp_fail(TP_EDTYPE, "inputs are %s and %s: types are not mixed",
                           tp_dtype_name(c->x[0]->dtype), tp_dtype_name(c->x[i]->dtype));
    }
    return TP_OK;
}

static void choose_layout(const tp_op *op, const tp_op_call *c)
{
    bool last = op->layout == TP_CHANNELS_LAST;
    for (int i = 0; i < c->n && !last; i++)
        last = tp_is_channels_last(c->x[i]) && tp_shape_equal(c->x[i]->shape, c->y->shape);
    if (last)
        tp_make_channels_last(c->y);
}

/* Validates, sizes, allocates and computes y. On failure nothing is held. */
static tp_status compute(const tp_op *op, const tp_op_call *c)
{
    if (op->arity != TP_ANY_ARITY && op->arity != c->n)
        return tp_fail(TP_EARG, "%d inputs given, %d needed", c->n, op->arity);
    c->y->dtype = c->n > 0 ? c->x[0]->dtype : TP_F32;
    if (!op->mixed_dtypes)
        TP_TRY(check_dtypes(c));
    TP_TRY(op->shape(c));
    if (op->view != NULL) {
        TP_TRY(op->view(c));
        if (c->y->storage != NULL) {
            c->y->owns = false;
            c->y->storage->uses += c->y->storage->arena != NULL;
            return TP_OK;
        }
    }
    TP_TRY(tp_arena_tensor(c->scratch, c->y, c->y->dtype, c->y->shape));
    if (op->layout != TP_CONTIGUOUS && c->y->shape.ndim == 4)
        choose_layout(op, c);
    tp_status s = op->forward(c);
    if (s != TP_OK)
        tp_tensor_drop(c->y);
    return s;
}

tp_status tp_node_compute(tp_tape *t, tp_node *node)
{
    enum { FEW = 8 };
    const tp_tensor *few[FEW], **value = few;
    size_t bytes = (size_t)node->n * sizeof *value;
    if (node->n > FEW && (value = tp_arena_alloc(&t->arena, bytes)) == NULL)
        return TP_ENOMEM;
    for (int i = 0; i < node->n; i++)
        value[i] = &tp_node_at(t, node->x[i])->value;
    tp_tensor y = {0};
    tp_status status = compute(node->op, &(tp_op_call){node->n, value, &y, node->attr, &t->arena});
    if (value != few)
        tp_arena_recycle(&t->arena, value, bytes);
    if (status != TP_OK)
        return status;
    node->value = y;
    node->version = y.storage->version;
    node->freed = false;
    return TP_OK;
}

/* Copies inputs and attributes next to the node. */
static tp_status remember(tp_tape *t, tp_node *node, const tp_op *op, int n, const tp_var *x,
                          const void *attr)
{
    uint32_t *ids = n > 0 ? tp_arena_alloc(&t->arena, (size_t)n * sizeof *ids) : NULL;
    void *copy = op->attr_size > 0 ? tp_arena_alloc(&t->arena, op->attr_size) : NULL;
    if ((n > 0 && ids == NULL) || (op->attr_size > 0 && copy == NULL)) {
        if (ids != NULL)
            tp_arena_recycle(&t->arena, ids, (size_t)n * sizeof *ids);
        if (copy != NULL)
            tp_arena_recycle(&t->arena, copy, op->attr_size);
        return TP_ENOMEM;
    }
    for (int i = 0; i < n; i++) {
        ids[i] = x[i].id;
        const tp_node *in = tp_node_at(t, x[i].id);
        node->needs_grad |= in->needs_grad;
    }
    if (copy != NULL)
        memcpy(copy, attr, op->attr_size);
    node->cut = op->smooth == TP_NO_GRADIENT || t->no_grad > 0;
    node->needs_grad &= !node->cut;
    node->op = op;
    node->x = ids;
    node->n = n;
    node->attr = copy;
    node->version = node->value.storage->version;
    return TP_OK;
}

static tp_var record(tp_tape *t, const tp_op *op, int n, const tp_var *x, const tp_tensor **value,
                     const void *attr)
{
    tp_status s = resolve(t, op, n, x, value);
    if (s != TP_OK)
        return tp_tape_poison(t, s);
    tp_node *node = tp_node_next(t);
    if (node == NULL)
        return fail_op(t, op, NULL, x, 0, TP_ENOMEM);
    tp_op_call call = {n, value, &node->value, attr, &t->arena};
    s = compute(op, &call);
    if (s == TP_OK && t->value_hook != NULL)
        t->value_hook(t->value_hook_user, op, &call);
    if (s != TP_OK)
        return fail_op(t, op, &call, x, n, s);
    s = remember(t, node, op, n, x, attr);
    if (s != TP_OK) {
        tp_tensor_drop(&node->value);
        return fail_op(t, op, &call, x, n, s);
    }
    uint32_t id = t->count++;
    if (!t->trap || (s = tp_trap_node(t, id)) == TP_OK)
        return tp_var_at(t, id);
    tp_tape_truncate(t, id);
    return tp_tape_poison(t, s);
}

tp_var tp_apply_on(tp_tape *t, const tp_op *op, int n, const tp_var *x, const void *attr)
{
    enum { FEW = 8 };
    const tp_tensor *few[FEW], **value = few;
    if (t == NULL || !t->live) {
        tp_fail(t == NULL ? TP_ETAPE : TP_ESTALE, "%s: %s", op->name,
                t == NULL ? "no tape was given" : "the tape was freed");
        return (tp_var){0};
    }
    if (t->status != TP_OK)
        return tp_var_at(t, 0);
    if (n > FEW && (value = tp_arena_alloc(&t->arena, (size_t)n * sizeof *value)) == NULL)
        return fail_op(t, op, NULL, x, 0, TP_ENOMEM);
    tp_var y = record(t, op, n, x, value, attr);
    if (value != few)
        tp_arena_recycle(&t->arena, value, (size_t)n * sizeof *value);
    return y;
}

/* --- shape rules and scratch -------------------------------------------------------------------- */

tp_status tp_shape_same(const tp_op_call *c)
{
    c->y->shape = c->x[0]->shape;
    return TP_OK;
}

tp_status tp_shape_broadcast_all(const tp_op_call *c)
{
    c->y->shape = c->x[0]->shape;
    for (int i = 1; i < c->n; i++)
        if (!tp_shape_equal(c->y->shape, c->x[i]->shape))
            TP_TRY(tp_shape_broadcast(c->y->shape, c->x[i]->shape, &c->y->shape));
    return TP_OK;
}

tp_status tp_shape_equal_all(const tp_op_call *c)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    c->y->shape = c->x[0]->shape;
    for (int i = 1; i < c->n; i++)
        if (!tp_shape_equal(c->x[0]->shape, c->x[i]->shape))
            return tp_fail(TP_ESHAPE, "shapes %s and %s differ: this operation does not broadcast",
                           tp_shape_text(c->x[0]->shape, a), tp_shape_text(c->x[i]->shape, b));
    return TP_OK;
}

tp_status tp_scratch(const tp_op_call *c, tp_tensor *t, tp_dtype dtype, tp_shape shape)
{
    return tp_arena_tensor(c->scratch, t, dtype, shape);
}

void tp_scratch_done(tp_tensor *t)
{
    tp_tensor_drop(t);
}
