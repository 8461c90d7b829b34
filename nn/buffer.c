/* buffer.c: see buffer.h. */
#include "nn/buffer.h"
#include "autograd/compose.h"
#include "tensor/mem.h"

/* --- life --------------------------------------------------------------------------------------- */

tp_status tp_buffer_init(tp_buffer *b, const char *name, tp_dtype dtype, tp_shape shape)
{
    tp_buffer made = {.name = tp_strdup(name)};
    tp_status s = made.name == NULL ? TP_ENOMEM : tp_tensor_new(&made.value, dtype, shape);
    if (s == TP_OK)
        s = tp_tensor_new(&made.next, dtype, shape);
    if (s != TP_OK) {
        tp_fail_prefix("buffer '%s': ", name);
        tp_buffer_free(&made);
        return s;
    }
    *b = made;
    return TP_OK;
}

void tp_buffer_free(tp_buffer *b)
{
    tp_free_string(b->name);
    tp_tensor_free(&b->value);
    tp_tensor_free(&b->next);
    *b = (tp_buffer){0};
}

/* --- within a step ------------------------------------------------------------------------------ */

/* Whether next was written since the tape began this recording. */
static bool is_of(const tp_buffer *b, const tp_tape *t)
{
    return b->tape == t && b->epoch == tp_tape_epoch(t);
}

tp_tensor *tp_buffer_next(tp_ctx *c, tp_buffer *b)
{
    if (!is_of(b, c->tape)) {
        tp_copy(&b->next, &b->value); /* equal shapes and types: cannot fail */
        b->tape = c->tape;
        b->epoch = tp_tape_epoch(c->tape);
    }
    return &b->next;
}

static tp_status set(tp_ctx *c, tp_buffer *b, tp_var x)
{
    const tp_tensor *value = tp_value(x);
    if (value == NULL)
        return tp_var_status(x);
    if (value->dtype != b->value.dtype)
        return tp_fail(TP_EDTYPE, "it is %s and would become %s", tp_dtype_name(b->value.dtype),
                       tp_dtype_name(value->dtype));
    return tp_copy(tp_buffer_next(c, b), value);
}

void tp_buffer_set(tp_ctx *c, tp_buffer *b, tp_var x)
{
    if (c->mode == TP_EVAL || tp_tape_status(c->tape) != TP_OK)
        return;
    tp_status s = set(c, b, x);
    if (s != TP_OK) {
        tp_fail_prefix("buffer '%s': ", b->name);
        tp_tape_poison(c->tape, s);
    }
}

void tp_buffer_average(tp_ctx *c, tp_buffer *b, tp_var x, double momentum)
{
    if (c->mode == TP_EVAL)
        return;
    tp_no_grad_begin(c->tape);
    tp_var now = tp_constant(c->tape, tp_buffer_next(c, b));
    tp_buffer_set(c, b, tp_add(tp_scale(now, 1 - momentum), tp_scale(x, momentum)));
    tp_no_grad_end(c->tape);
}

void tp_buffer_count(tp_ctx *c, tp_buffer *b)
{
    if (c->mode == TP_EVAL)
        return;
    tp_tensor *next = tp_buffer_next(c, b);
    tp_set_flat(next, 0, tp_flat(next, 0) + 1);
}

void tp_buffer_commit(tp_buffer *b, const tp_tape *t)
{
    if (!is_of(b, t))
        return;
    tp_copy(&b->value, &b->next); /* equal shapes and types: cannot fail */
    b->tape = NULL;
}
