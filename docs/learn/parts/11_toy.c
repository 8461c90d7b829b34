/* 11_toy.c: a function of two parameters on a tape. */
#include "docs/learn/parts/11_toy.h"

#include <math.h>

tp_var bowl(tp_var a, tp_var b)
{
    return tp_add(tp_scale(tp_square(a), 0.5), tp_scale(tp_square(b), 3));
}

tp_var valley(tp_var a, tp_var b)
{
    return tp_add(tp_scale(tp_square(a), 0.5), tp_scale(tp_square(b), 50));
}

tp_var turned_valley(tp_var a, tp_var b)
{
    double c = sqrt(0.5);
    return valley(tp_scale(tp_add(a, b), c), tp_scale(tp_sub(b, a), c));
}

tp_status toy_init(toy *f, tp_var (*loss)(tp_var, tp_var), double a, double b)
{
    *f = (toy){.loss = loss, .params = tp_params_make(TP_F64, 0)};
    TP_TRY(tp_params_add(&f->params, &f->a, "a", TP_SHAPE()));
    TP_TRY(tp_params_add(&f->params, &f->b, "b", TP_SHAPE()));
    TP_TRY(tp_fill(&f->a.value, a));
    TP_TRY(tp_fill(&f->b.value, b));
    return tp_tape_new(&f->tape);
}

tp_status toy_gradient(toy *f, double *loss, double g[2])
{
    tp_tape_reset(f->tape);
    tp_var l = f->loss(tp_param(f->tape, &f->a), tp_param(f->tape, &f->b));
    TP_TRY(tp_backward(l));
    if (loss != NULL)
        *loss = tp_item_of(l);
    if (g != NULL)
        g[0] = tp_item(&f->a.grad), g[1] = tp_item(&f->b.grad);
    return TP_OK;
}

tp_status toy_step(toy *f, tp_optimizer *o, double *loss, double g[2])
{
    tp_params_zero_grad(&f->params);
    TP_TRY(toy_gradient(f, loss, g));
    return tp_optimizer_step(o);
}

void toy_free(toy *f, tp_optimizer *o)
{
    tp_optimizer_free(o);
    tp_tape_free(f->tape);
    tp_params_free(&f->params);
}

tp_status toy_is(const toy *f, const double p[2])
{
    TP_TRY(learn_expect("a", tp_item(&f->a.value), p[0], 1e-12));
    return learn_expect("b", tp_item(&f->b.value), p[1], 1e-12);
}

tp_status toy_run(toy *f, tp_optimizer *o, int n, double losses[], double at[][2])
{
    for (int t = 0; t <= n; t++) {
        at[t][0] = tp_item(&f->a.value), at[t][1] = tp_item(&f->b.value);
        TP_TRY(toy_step(f, o, &losses[t], NULL));
    }
    return TP_OK;
}
