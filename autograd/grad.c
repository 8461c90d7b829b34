/* grad.c: gradients as vars, by any vars: the sweep of sweep.c with other targets, and nothing committed. */
#include "autograd/compose.h"
#include "autograd/sweep_step.h"

#include <string.h>

static tp_status check_vars(tp_tape *t, int n, const tp_var *v, const char *what)
{
    for (int i = 0; i < n; i++) {
        tp_status status = tp_var_status(v[i]);
        if (status != TP_OK) {
            tp_fail_prefix("tp_grad: %s %d: ", what, i);
            return status;
        }
        if (v[i].tape != t)
            return tp_fail(TP_ETAPE, "tp_grad: %s %d belongs to another tape", what, i);
    }
    return TP_OK;
}

/* The cotangents of the outputs become their first gradients. */
static tp_status seed(tp_sweep *s, int outputs, const tp_var *output, const tp_var *cotangent)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    for (int i = 0; i < outputs; i++) {
        tp_var g = cotangent ? cotangent[i] : tp_ones_like(output[i]);
        if (s->tape->status != TP_OK)
            return s->tape->status;
        if (!tp_shape_equal(tp_shape_of(g), tp_shape_of(output[i])))
            return tp_fail(TP_ESHAPE, "tp_grad: cotangent %d has shape %s, its output %s", i,
                           tp_shape_text(tp_shape_of(g), a),
                           tp_shape_text(tp_shape_of(output[i]), b));
        s->tape->sum_of = output[i].id;
        if (tp_node_at(s->tape, output[i].id)->wanted)
            tp_sweep_add(s, tp_node_at(s->tape, output[i].id), g);
        s->tape->sum_of = 0;
    }
    return s->tape->status;
}

static tp_status collect(tp_sweep *s, int inputs, const tp_var *input, tp_var *grads,
                         bool allow_unused)
{
    char what[TP_VAR_TEXT];
    for (int j = 0; j < inputs; j++) {
        uint32_t g = tp_node_at(s->tape, input[j].id)->grad;
        if (g == 0 && !allow_unused)
            return tp_fail(TP_EGRAD, "tp_grad: no output depends on input %d, %s", j,
                           tp_var_text(input[j], what));
        grads[j] = g != 0 ? tp_var_at(s->tape, g) : tp_zeros_like(input[j]);
    }
    return s->tape->status;
}

tp_status tp_grad(int outputs, const tp_var *output, int inputs, const tp_var *input, tp_var *grads,
                  tp_grad_opts opts)
{
    tp_tape *t = outputs > 0 ? output[0].tape : NULL;
    for (int j = 0; j < inputs; j++)
        grads[j] = t != NULL && t->live ? tp_var_at(t, 0) : (tp_var){0};
    if (t == NULL || !t->live || inputs < 1)
        return tp_fail(TP_ETAPE,
                       "tp_grad: at least one output and one input on a live tape needed");
    TP_TRY(tp_sweep_may_open(t));
    tp_status status = check_vars(t, outputs, output, "output");
    if (status == TP_OK)
        status = check_vars(t, inputs, input, "input");
    if (status == TP_OK && opts.grad_outputs != NULL)
        status = check_vars(t, outputs, opts.grad_outputs, "cotangent");
    if (status != TP_OK) {
        if (tp_var_current(output[0])) /* else the tape may be somebody else's by now */
            tp_tape_poison(t, status);
        return status;
    }

    uint32_t top = 0;
    for (int i = 0; i < outputs; i++)
        top = output[i].id > top ? output[i].id : top;
    for (uint32_t id = 1; id < t->count; id++) {
        tp_node_at(t, id)->target = false;
        tp_node_at(t, id)->grad = tp_node_at(t, id)->held = 0;
    }
    for (int j = 0; j < inputs; j++)
        tp_node_at(t, input[j].id)->target = true;
    tp_sweep s = tp_sweep_open(t, top, (tp_sweep_opts){.create_graph = opts.create_graph});
    tp_sweep_mark(&s);
    status = seed(&s, outputs, output, opts.grad_outputs);
    s.status = status;
    while (tp_sweep_next(&s))
        ;
    status = s.status;
    if (s.tape == NULL) { /* a rule reset or freed it */
        for (int j = 0; j < inputs; j++)
            grads[j] = t->live ? tp_var_at(t, 0) : (tp_var){0};
        return status;
    }
    tp_sweep_finish_step(&s);
    if (status == TP_OK)
        status = collect(&s, inputs, input, grads, opts.allow_unused);
    tp_sweep_close(&s);
    if (status != TP_OK) {
        for (int j = 0; j < inputs; j++)
            grads[j] = tp_tape_poison(t, status);
        tp_tape_truncate(t, s.base);
    }
    return status;
}
