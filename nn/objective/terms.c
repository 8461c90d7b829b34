/* terms.c: an objective is the weighted sum of its terms. Read next: elbo.c. */
#include "nn/objective/demand.h"

/* weight · value, added to the total so far, which is the zero var at first. The loss of one term is that very node. */
static tp_var plus(tp_var total, const tp_term *t)
{
    tp_scope_begin(t->value.tape, "loss");
    tp_var weighted =
        t->weight == 1 && total.tape == NULL ? t->value : tp_scale(t->value, t->weight);
    tp_var sum = total.tape == NULL ? weighted : tp_add(total, weighted);
    tp_scope_end(t->value.tape);
    return sum;
}

tp_objective tp_objective_of(int n, const tp_term *term)
{
    tp_objective o = {.terms = n};
    if (n < 1 || n > TP_MAX_TERMS) {
        tp_status s = tp_fail(TP_EARG, "objective: %d terms: 1 to %d needed", n, TP_MAX_TERMS);
        o.terms = 0;
        if (n > 0 && term[0].value.tape != NULL)
            o.total = tp_tape_poison(term[0].value.tape, s);
        return o;
    }
    for (int i = 0; i < n; i++) {
        o.term[i] = term[i];
        o.term[i].value = tp_demand_axes(term[i].value, 0, term[i].name, "a term is one number");
        tp_name(o.term[i].value, term[i].name, NULL, 0);
        /* 0·∞ would be no 0; one that has failed counts all the same */
        if (term[i].weight != 0 || tp_var_status(o.term[i].value) != TP_OK)
            o.total = plus(o.total, &o.term[i]);
    }
    if (o.total.tape == NULL)
        o.total = plus(o.total, &o.term[0]);
    if (o.total.id != o.term[0].value.id)
        tp_name(o.total, "loss", NULL, 0);
    return o;
}
