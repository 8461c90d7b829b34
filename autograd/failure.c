/* failure.c: see failure.h. */
#include "autograd/failure.h"

void tp_failure_context(tp_text *to, tp_tape *t)
{
    char what[TP_VAR_TEXT];
    if (t->rule_of != 0)
        tp_text_add(to, "in the rule of %s: ", tp_var_text(tp_var_at(t, t->rule_of), what));
    else if (t->sum_of != 0)
        tp_text_add(to,
                    "adding up the gradient of %s: ", tp_var_text(tp_var_at(t, t->sum_of), what));
}

void tp_failure_operand(tp_text *to, const char *role, tp_var v)
{
    const tp_node *node = tp_node_at(v.tape, v.id);
    char what[TP_VAR_TEXT], type[TP_TENSOR_TEXT];
    tp_text_add(to, "\n  %s: %-14s %s", role, tp_tensor_text(&node->value, type),
                tp_var_text(v, what));
    if (node->file != NULL)
        tp_text_add(to, " (%.80s:%d)", node->file, node->line);
}
