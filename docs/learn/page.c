/* page.c: see page.h. */
#include "docs/learn/page.h"

#include <math.h>
#include <stdio.h>

tp_status learn_open(learn_page *p)
{
    *p = (learn_page){.dtype = TP_F64};
    return tp_tape_new(&p->tape);
}

void learn_close(learn_page *p)
{
    tp_tape_free(p->tape);
    for (int i = 0; i < p->values; i++)
        tp_tensor_free(&p->value[i]);
    *p = (learn_page){.dtype = TP_F64};
}

/* The numbers as a tensor that lives as long as the page; NULL, and the tape fails. */
static const tp_tensor *keep(learn_page *p, tp_shape shape, const double *numbers)
{
    tp_status s = p->values < LEARN_PAGE_VALUES ? TP_OK : tp_fail(TP_EARG, "the page is full");
    tp_tensor *t = &p->value[s == TP_OK ? p->values : 0];
    if (s == TP_OK)
        s = tp_tensor_new(t, p->dtype, shape);
    if (s == TP_OK)
        p->values++;
    for (int64_t i = 0; s == TP_OK && i < tp_shape_numel(shape); i++)
        s = tp_set_flat(t, i, numbers[i]);
    if (s != TP_OK)
        tp_tape_poison(p->tape, s);
    return s == TP_OK ? t : NULL;
}

tp_var learn_leaf(learn_page *p, tp_shape shape, const double *numbers)
{
    const tp_tensor *t = keep(p, shape, numbers);
    return t != NULL ? tp_leaf(p->tape, t) : tp_tape_poison(p->tape, TP_EARG);
}

tp_var learn_constant(learn_page *p, tp_shape shape, const double *numbers)
{
    const tp_tensor *t = keep(p, shape, numbers);
    return t != NULL ? tp_constant(p->tape, t) : tp_tape_poison(p->tape, TP_EARG);
}

tp_status learn_show(const char *name, tp_var v)
{
    TP_TRY(tp_var_status(v));
    printf("%s = ", name);
    return tp_print(stdout, tp_value(v));
}

tp_status learn_show_grad(const char *name, tp_var leaf)
{
    TP_TRY(tp_var_status(leaf));
    if (tp_leaf_grad(leaf) == NULL)
        return tp_fail(TP_EGRAD, "%s has no gradient yet", name);
    printf("%s = ", name);
    return tp_print(stdout, tp_leaf_grad(leaf));
}

double learn_at(tp_var v, int64_t i)
{
    const tp_tensor *t = tp_value(v);
    return t != NULL ? tp_flat(t, i) : (double)NAN;
}

double learn_grad_at(tp_var leaf, int64_t i)
{
    const tp_tensor *t = tp_leaf_grad(leaf);
    return t != NULL ? tp_flat(t, i) : (double)NAN;
}

double learn_distance(const tp_tensor *a, const tp_tensor *b)
{
    double worst = 0;
    if (a == NULL || b == NULL || !tp_shape_equal(a->shape, b->shape))
        return INFINITY;
    for (int64_t i = 0; i < tp_numel(a); i++) {
        double d = fabs(tp_flat(a, i) - tp_flat(b, i));
        worst = d > worst || d != d ? d : worst;
    }
    return worst;
}
