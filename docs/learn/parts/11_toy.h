/* 11_toy.h: a function of two parameters on a tape, for looking at optimizers. */
#ifndef DOCS_LEARN_PARTS_11_TOY_H
#define DOCS_LEARN_PARTS_11_TOY_H

#include "docs/learn/learn.h"

/* ½a² + 3b²: six times as steep along b as along a. */
tp_var bowl(tp_var a, tp_var b);
/* ½a² + 50b², a hundred times as steep along b; and the same turned by 45°. */
tp_var valley(tp_var a, tp_var b);
tp_var turned_valley(tp_var a, tp_var b);

typedef struct toy {
    tp_var (*loss)(tp_var a, tp_var b);
    tp_params params;
    tp_parameter a, b;
    tp_tape *tape;
} toy;

tp_status toy_init(toy *f, tp_var (*loss)(tp_var, tp_var), double a, double b);
/* Also the optimizer, which may be empty. */
void toy_free(toy *f, tp_optimizer *o);
/* Forward and backward, which adds to the gradients; *loss and g get what they are, unless NULL. */
tp_status toy_gradient(toy *f, double *loss, double g[2]);
/* Gradients set to zero, forward, backward, update. */
tp_status toy_step(toy *f, tp_optimizer *o, double *loss, double g[2]);
/* n steps: loss and place before each, and behind the last. */
tp_status toy_run(toy *f, tp_optimizer *o, int n, double losses[], double at[][2]);
/* TP_EVALUE unless (a, b) is p to 1e-12. */
tp_status toy_is(const toy *f, const double p[2]);

#endif
