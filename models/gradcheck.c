/* gradcheck.c: is the gradient of a model's loss right? Which parameters are asked about which terms; the question itself
 * is autograd/check.h. */
#include "models/uses.h"
#include "autograd/compose.h"
#include "tensor/mem.h"

#include <string.h>

/* Who minimises what: with an adversary its parameters its term, all others the other terms. */
typedef struct side {
    const tp_model *model;
    const tp_batch *batch;
    bool adversary;
} side;

static bool is_term_of(const side *s, const tp_term *term)
{
    const char *name = s->model->type->adversary;
    return s->adversary == (name != NULL && strcmp(name, term->name) == 0);
}

static bool is_parameter_of(const side *s, const char *name)
{
    const char *adversary = s->model->type->adversary, *estimated = s->model->type->estimated;
    size_t n = adversary != NULL ? strlen(adversary) : 0;
    bool its = adversary != NULL && strncmp(name, adversary, n) == 0 && name[n] == '.';
    bool estimate = estimated != NULL && strncmp(name, estimated, strlen(estimated)) == 0;
    return its == s->adversary && !estimate;
}

/* The noise has a fixed key, so every call sees the same draws. */
static tp_var loss(tp_tape *t, void *user)
{
    const side *s = user;
    tp_ctx c = tp_ctx_train(t, 7, 0);
    c.index = &s->batch->index;
    c.labels = &s->batch->labels;
    tp_objective o = tp_model_loss((void *)s->model, &c, tp_constant(t, &s->batch->x));
    tp_term own[TP_MAX_TERMS];
    int n = 0;
    if (s->model->type->adversary == NULL || tp_var_status(o.total) != TP_OK)
        return o.total;
    for (int i = 0; i < o.terms; i++)
        if (is_term_of(s, &o.term[i]))
            own[n++] = o.term[i];
    return tp_objective_of(n, own).total;
}

static tp_status check_side(side s, tp_check_opts opts, tp_check_report *report)
{
    const tp_params *ps = &s.model->params;
    size_t bytes = (size_t)ps->n * sizeof(tp_parameter *);
    tp_parameter **own = tp_alloc(bytes);
    int n = 0;
    for (int i = 0; own != NULL && i < ps->n; i++)
        if (is_parameter_of(&s, ps->item[i]->name))
            own[n++] = ps->item[i];
    tp_status status = own == NULL ? TP_ENOMEM : tp_gradcheck(loss, &s, n, own, opts, report);
    tp_free(own, bytes);
    if (status != TP_OK)
        tp_fail_prefix("model '%s': ", s.model->type->name);
    return status;
}

tp_status tp_model_gradcheck(const tp_model *m, const tp_batch *batch, tp_check_opts opts,
                             tp_check_report *report)
{
    tp_check_report all = {0}, second = {0};
    tp_status status = check_side((side){m, batch, false}, opts, &all);
    if (status == TP_OK && m->type->adversary != NULL) {
        status = check_side((side){m, batch, true}, opts, &second);
        const tp_check_report first = all;
        if (second.worst > first.worst)
            all = second;
        all.checked = first.checked + second.checked;
        all.skipped_kinks = first.skipped_kinks + second.skipped_kinks;
    }
    if (report != NULL) /* of a gradient that is wrong, too: which, and by how much */
        *report = all;
    return status;
}
