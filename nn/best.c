/* best.c: see best.h. */
#include "nn/best.h"
#include "tensor/map.h"
#include "tensor/mem.h"

#include <math.h>

/* Value i of a list: its parameters, then its buffers. */
static tp_tensor *value_of(const tp_params *ps, int i)
{
    return i < ps->n ? &ps->item[i]->value : &ps->buffer[i - ps->n]->value;
}

tp_status tp_best_init(tp_best *b, const tp_params *ps, bool weights)
{
    tp_best made = {.params = ps};
    tp_status s = TP_OK;
    if (weights) {
        made.n = ps->n + ps->buffers;
        made.value = tp_alloc_zero((size_t)made.n * sizeof *made.value);
        s = made.value == NULL ? TP_ENOMEM : TP_OK;
    }
    for (int i = 0; i < made.n && s == TP_OK; i++) {
        const tp_tensor *now = value_of(ps, i);
        s = tp_tensor_new(&made.value[i], now->dtype, now->shape);
        if (s == TP_OK)
            s = tp_copy(&made.value[i], now);
    }
    if (s == TP_OK) {
        *b = made;
        return TP_OK;
    }
    tp_fail_prefix("the best weights: ");
    tp_best_free(&made);
    return s;
}

void tp_best_free(tp_best *b)
{
    for (int i = 0; i < b->n && b->value != NULL; i++)
        tp_tensor_free(&b->value[i]);
    tp_free(b->value, (size_t)b->n * sizeof *b->value);
    *b = (tp_best){0};
}

bool tp_best_look(tp_best *b, uint64_t epoch, double loss)
{
    if (!isfinite(loss) || (b->epoch > 0 && loss >= b->loss))
        return false;
    b->epoch = epoch;
    b->loss = loss;
    for (int i = 0; i < b->n; i++)
        (void)tp_copy(&b->value[i], value_of(b->params, i)); /* alike: cannot fail */
    return true;
}

void tp_best_swap(tp_best *b)
{
    for (int i = 0; i < b->n; i++) {
        tp_tensor *now = value_of(b->params, i), kept = b->value[i];
        b->value[i] = *now;
        *now = kept;
    }
}
