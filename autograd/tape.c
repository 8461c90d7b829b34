/* tape.c: life of a tape, entering values, looking at vars, names and scopes.
 * Recording operations is apply.c; going backward is sweep.c. */
#include "autograd/node.h"

#include <math.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Heads are static and never handed back to the system: a var of a freed tape still points at one, and
 * its epoch no longer matches. */
static tp_tape heads[TP_MAX_TAPES];
static atomic_bool taken[TP_MAX_TAPES];

/* --- life ------------------------------------------------------------------------------------- */

tp_status tp_tape_new(tp_tape **out)
{
    for (int i = 0; i < TP_MAX_TAPES; i++) {
        bool expected = false;
        if (!atomic_compare_exchange_strong(&taken[i], &expected, true))
            continue;
        tp_tape *t = &heads[i];
        uint32_t epoch = t->epoch;
        *t = (tp_tape){.epoch = epoch, .live = true};
        tp_tape_reset(t);
        *out = t;
        return TP_OK;
    }
    return tp_fail(TP_ENOMEM, "tp_tape_new: %d tapes are live, which is the limit", TP_MAX_TAPES);
}

void tp_tape_reset(tp_tape *t)
{
    tp_arena_reset(&t->arena);
    t->count = 1; /* node 0 is the poisoned var */
    t->reset_epoch = ++t->epoch;
    t->sweeping = t->looping = false;
    t->recompute_depth = 0;
    t->segment_count = t->restored = 0;
    t->scope_count = 1; /* scope 0 is the root */
    t->scope = 0;
    t->no_grad = 0;
    t->rule_of = t->sum_of = 0;
    t->status = TP_OK;
    t->message[0] = '\0';
}

void tp_tape_free(tp_tape *t)
{
    if (t == NULL || !t->live)
        return;
    tp_arena_free(&t->arena);
    for (uint32_t i = 0; i < t->segments; i++)
        tp_free(t->segment[i], TP_SEGMENT * sizeof(tp_node));
    tp_free(t->segment, t->segments * sizeof *t->segment);
    tp_free(t->scopes, t->scope_capacity * sizeof *t->scopes);
    tp_free(t->leaf_of, t->leaf_capacity * sizeof *t->leaf_of);
    tp_free(t->recompute, t->segment_capacity * sizeof *t->recompute);
    *t = (tp_tape){.epoch = t->epoch + 1};
    atomic_store(&taken[t - heads], false);
}

uint32_t tp_tape_epoch(const tp_tape *t)
{
    return t->reset_epoch;
}

tp_status tp_tape_status(const tp_tape *t)
{
    return t->status;
}

const char *tp_tape_message(const tp_tape *t)
{
    return t->message;
}

uint32_t tp_tape_length(const tp_tape *t)
{
    return t->count - 1;
}

size_t tp_tape_bytes(const tp_tape *t)
{
    return t->arena.live_bytes;
}

tp_var tp_tape_poison(tp_tape *t, tp_status status)
{
    if (t->status == TP_OK) {
        t->status = status;
        snprintf(t->message, sizeof t->message, "%.*s", TP_MESSAGE_BYTES - 1, tp_last_error());
    }
    return tp_var_at(t, 0);
}

/* --- nodes ------------------------------------------------------------------------------------ */

tp_node *tp_node_next(tp_tape *t)
{
    while (t->count >= t->segments * TP_SEGMENT) {
        tp_node *fresh = tp_alloc(TP_SEGMENT * sizeof *fresh);
        tp_node **table = fresh == NULL ? NULL
                                        : tp_realloc(t->segment, t->segments * sizeof *table,
                                                     (t->segments + 1) * sizeof *table);
        if (table == NULL) {
            tp_free(fresh, TP_SEGMENT * sizeof *fresh);
            return NULL;
        }
        t->segment = table;
        t->segment[t->segments++] = fresh;
    }
    tp_node *node = tp_node_at(t, t->count);
    memset(&node->op, 0, sizeof *node - offsetof(tp_node, op));
    node->value.storage = NULL;
    node->scope = t->scope;
    node->epoch = t->epoch;
    return node;
}

tp_node *tp_node_push(tp_tape *t, uint32_t *id)
{
    tp_node *node = tp_node_next(t);
    if (node != NULL)
        *id = t->count++;
    return node;
}

void tp_node_release(tp_node *node)
{
    if (node->freed || node->value.storage == NULL || node->value.storage->arena == NULL)
        return;
    tp_tensor_drop(&node->value);
    node->freed = true;
}

void tp_tape_truncate(tp_tape *t, uint32_t id)
{
    t->epoch++; /* ids will be used again: vars that keep one of them must not match */
    tp_recompute_truncate(t, id);
    while (t->count > id) {
        tp_node *node = tp_node_at(t, --t->count);
        tp_node_release(node);
        if (node->x != NULL)
            tp_arena_recycle(&t->arena, (void *)node->x, (size_t)node->n * sizeof *node->x);
        if (node->attr != NULL)
            tp_arena_recycle(&t->arena, (void *)node->attr, node->op->attr_size);
    }
}

/* --- entering values -------------------------------------------------------------------------- */

static tp_var enter(tp_tape *t, const tp_tensor *x, const char *what)
{
    if (t->status != TP_OK)
        return tp_var_at(t, 0);
    if (x == NULL || x->storage == NULL)
        return tp_tape_poison(t, tp_fail(TP_EARG, "%s: the tensor is empty", what));
    uint32_t id;
    tp_node *node = tp_node_push(t, &id);
    if (node == NULL) {
        tp_fail_prefix("%s: ", what);
        return tp_tape_poison(t, TP_ENOMEM);
    }
    node->value = *x;
    node->value.owns = false;
    node->version = x->storage->version;
    x->storage->uses += x->storage->arena != NULL; /* x may itself be the value of a var */
    return tp_var_at(t, id);
}

tp_var tp_constant(tp_tape *t, const tp_tensor *x)
{
    return enter(t, x, "tp_constant");
}

tp_var tp_leaf(tp_tape *t, const tp_tensor *x)
{
    tp_var v = enter(t, x, "tp_leaf");
    if (v.id != 0 && !tp_dtype_is_float(x->dtype))
        return tp_tape_poison(t,
                              tp_fail(TP_EDTYPE, "tp_leaf: %s has no gradient: f32 or f64 needed",
                                      tp_dtype_name(x->dtype)));
    if (v.id != 0)
        tp_node_at(t, v.id)->is_leaf = tp_node_at(t, v.id)->needs_grad = true;
    return v;
}

tp_var tp_param(tp_tape *t, tp_parameter *p)
{
    if (p->value.storage == NULL)
        return tp_tape_poison(
            t,
            tp_fail(
                TP_EARG,
                "tp_param: the parameter was never made (tp_nn_linear_init, tp_params_add) or was freed"));
    if (p->slot >= t->leaf_capacity && t->status == TP_OK) {
        uint32_t capacity = p->slot + 64;
        void *table = tp_realloc(t->leaf_of, t->leaf_capacity * sizeof *t->leaf_of,
                                 capacity * sizeof *t->leaf_of);
        if (table == NULL) {
            tp_fail_prefix("tp_param: ");
            return tp_tape_poison(t, TP_ENOMEM);
        }
        t->leaf_of = table;
        memset(t->leaf_of + t->leaf_capacity, 0,
               (capacity - t->leaf_capacity) * sizeof *t->leaf_of);
        t->leaf_capacity = capacity;
    }
    if (t->status != TP_OK)
        return tp_var_at(t, 0);
    if (tp_var_current((tp_var){t, t->leaf_of[p->slot].id, t->leaf_of[p->slot].epoch}) &&
        t->leaf_of[p->slot].id != 0) {
        tp_node *old = tp_node_at(t, t->leaf_of[p->slot].id);
        /* a parameter that was written since is a new value, hence a new leaf */
        if (old->param == p && old->value.storage == p->value.storage &&
            old->version == p->value.storage->version && old->is_leaf == !p->frozen)
            return tp_var_at(t, t->leaf_of[p->slot].id);
    }
    tp_var v = enter(t, &p->value, "tp_param");
    if (v.id == 0)
        return v;
    tp_node *node = tp_node_at(t, v.id);
    node->param = p;
    node->name = p->name;
    node->is_leaf = node->needs_grad = !p->frozen;
    t->leaf_of[p->slot].epoch = v.epoch;
    t->leaf_of[p->slot].id = v.id;
    return v;
}

/* --- looking at vars -------------------------------------------------------------------------- */

/* The node of a var that is no more keeps what TP_NAME said until another takes its place. */
static void fail_stale(tp_var v)
{
    const tp_tape *t = v.tape;
    const tp_node *node =
        t->live && v.id > 0 && v.id < t->segments * TP_SEGMENT ? tp_node_at(t, v.id) : NULL;
    char name[64] = "", at[112] = "";
    if (node != NULL && node->epoch == v.epoch && node->name != NULL && node->file != NULL) {
        snprintf(name, sizeof name, "'%.48s' ", node->name);
        snprintf(at, sizeof at, " (%.80s:%d)", node->file, node->line);
    }
    tp_fail(TP_ESTALE, "var %s#%u%s outlived its values: %s", name, v.id, at,
            !t->live                   ? "its tape was freed since"
            : v.epoch < t->reset_epoch ? "its tape was reset since"
                                       : "the backward sweep that made them has ended");
}

tp_node *tp_node_of(tp_var v)
{
    if (v.tape == NULL) {
        tp_fail(TP_ETAPE, "an empty var was used");
        return NULL;
    }
    if (!tp_var_current(v)) {
        fail_stale(v);
        return NULL;
    }
    if (v.id == 0) {
        if (v.tape->status != TP_OK) /* repeat the tape's message without its code word twice */
            tp_fail(v.tape->status, "%s",
                    v.tape->message + strlen(tp_status_name(v.tape->status)) + 1);
        else
            tp_fail(TP_ETAPE, "an empty var was used");
        return NULL;
    }
    return tp_node_at(v.tape, v.id);
}

/* The code that tp_last_error starts with, after tp_node_of returned NULL. */
static tp_status why_not(tp_var v)
{
    if (v.tape == NULL)
        return TP_ETAPE;
    if (!tp_var_current(v))
        return TP_ESTALE;
    return v.tape->status != TP_OK ? v.tape->status : TP_ETAPE;
}

tp_status tp_var_status(tp_var v)
{
    const tp_node *node = tp_node_of(v);
    char text[TP_VAR_TEXT];
    if (node == NULL)
        return why_not(v);
    if (node->freed)
        return tp_fail(TP_EFREED, "%s: the value was %s", tp_var_text(v, text),
                       node->segment != 0 ? "dropped by tp_recompute_end: name it there to keep it"
                                          : "released by the backward sweep");
    return TP_OK;
}

const tp_tensor *tp_value(tp_var v)
{
    return tp_var_status(v) == TP_OK ? &tp_node_at(v.tape, v.id)->value : NULL;
}

double tp_item_of(tp_var v)
{
    const tp_tensor *x = tp_value(v);
    return x == NULL ? (double)NAN : tp_item(x);
}

tp_shape tp_shape_of(tp_var v)
{
    const tp_node *node = tp_node_of(v);
    return node == NULL ? (tp_shape){0, {0}} : node->value.shape;
}

tp_dtype tp_dtype_of(tp_var v)
{
    const tp_node *node = tp_node_of(v);
    return node == NULL ? TP_F32 : node->value.dtype;
}

bool tp_needs_grad(tp_var v)
{
    const tp_node *node = tp_node_of(v);
    return node != NULL && node->needs_grad;
}

const tp_tensor *tp_leaf_grad(tp_var leaf)
{
    const tp_node *node = tp_node_of(leaf);
    return node == NULL ? NULL : node->leaf_grad;
}

/* --- names, scopes, no-grad ------------------------------------------------------------------- */

tp_var tp_name(tp_var v, const char *name, const char *file, int line)
{
    tp_node *node = tp_node_of(v);
    if (node != NULL && node->param == NULL) { /* a parameter keeps the name it was made with */
        node->name = name;
        node->file = file;
        node->line = line;
    }
    return v;
}

const char *tp_name_of(tp_var v)
{
    const tp_node *node = tp_node_of(v);
    return node == NULL ? NULL : node->name;
}

void tp_scope_begin(tp_tape *t, const char *name)
{
    if (t == NULL || !t->live || t->status != TP_OK)
        return;
    for (uint32_t i = 1; i < t->scope_count; i++)
        if (t->scopes[i].parent == t->scope && strcmp(t->scopes[i].name, name) == 0) {
            t->scope = i;
            return;
        }
    if (t->scope_count >= t->scope_capacity) {
        uint32_t capacity = t->scope_capacity * 2 + 32;
        tp_scope *grown =
            tp_realloc(t->scopes, t->scope_capacity * sizeof *grown, capacity * sizeof *grown);
        if (grown == NULL) {
            tp_fail_prefix("tp_scope_begin: ");
            tp_tape_poison(t, TP_ENOMEM);
            return;
        }
        t->scopes = grown;
        t->scopes[0] = (tp_scope){"", 0};
        t->scope_capacity = capacity;
    }
    size_t bytes = strlen(name) + 1;
    char *copy = tp_arena_alloc(&t->arena, bytes); /* the caller's string may be short-lived */
    if (copy == NULL) {
        tp_fail_prefix("tp_scope_begin: ");
        tp_tape_poison(t, TP_ENOMEM);
        return;
    }
    memcpy(copy, name, bytes);
    t->scopes[t->scope_count] = (tp_scope){copy, t->scope};
    t->scope = t->scope_count++;
}

void tp_scope_end(tp_tape *t)
{
    if (t != NULL && t->scope != 0)
        t->scope = t->scopes[t->scope].parent;
}

char *tp_scope_path(const tp_tape *t, uint32_t scope, char text[TP_VAR_TEXT])
{
    text[0] = '\0';
    for (size_t used = 0; scope != 0; scope = t->scopes[scope].parent) {
        size_t length = strlen(t->scopes[scope].name);
        if (used + length + 2 > TP_VAR_TEXT / 2)
            break;
        memmove(text + length + (used > 0), text, used + 1);
        memcpy(text, t->scopes[scope].name, length);
        if (used > 0)
            text[length] = '/';
        used += length + (used > 0);
    }
    return text;
}

char *tp_var_text(tp_var v, char text[TP_VAR_TEXT])
{
    const tp_node *node = tp_node_of(v);
    if (node == NULL) {
        snprintf(text, TP_VAR_TEXT, "an invalid var");
        return text;
    }
    char path[TP_VAR_TEXT], name[64] = "";
    tp_scope_path(v.tape, node->scope, path);
    if (node->name != NULL)
        snprintf(name, sizeof name, "'%.48s'%s", node->name, node->op ? " = " : "");
    if (node->op != NULL)
        snprintf(text, TP_VAR_TEXT, "%s%.140s%s%.30s#%u", name, path, path[0] ? ": " : "",
                 node->op->name, v.id);
    else
        snprintf(text, TP_VAR_TEXT, "%s %s#%u",
                 node->param     ? "parameter"
                 : node->is_leaf ? "leaf"
                                 : "constant",
                 name, v.id);
    return text;
}

void tp_no_grad_begin(tp_tape *t)
{
    t->no_grad++;
}

void tp_no_grad_end(tp_tape *t)
{
    if (t->no_grad > 0)
        t->no_grad--;
}

int tp_no_grad_pause(tp_tape *t)
{
    int depth = t->no_grad;
    t->no_grad = 0;
    return depth;
}

void tp_no_grad_resume(tp_tape *t, int depth)
{
    t->no_grad = depth;
}
