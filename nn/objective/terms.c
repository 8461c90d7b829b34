/* terms.c: an objective is the weighted sum of its terms. Read next: elbo.c. */
#include "nn/objective/demand.h"

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
        if (i == 0 && term[0].weight == 1)
            o.total = o.term[0].value; /* the loss of one term is that very node */
        else if (i == 0)
            o.total = tp_scale(o.term[0].value, term[0].weight);
        else
            o.total = tp_add(o.total, tp_scale(o.term[i].value, term[i].weight));
    }
    if (o.total.id != o.term[0].value.id)
        tp_name(o.total, "total", NULL, 0);
    return o;
}
