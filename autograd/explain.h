/* explain.h: showing a derivation as text.
 *
 * Everything shown is what ran: the forward list and each step are read off the tape, and a step's formula
 * is put together from the operations that its rule recorded. Nothing is recorded on the tape, and no
 * gradient is written. This file formats; what a rule is lives in ops/<name>.c. Read next: explain.c.
 *
 *   tp_sweep s = tp_sweep_begin(loss, (tp_sweep_opts){.composed = true});
 *   while (tp_sweep_next(&s))
 *       tp_explain_step(stdout, &s, (tp_explain_opts){.numbers = true, .check = true});
 *   tp_sweep_end(&s);
 */
#ifndef TP_AUTOGRAD_EXPLAIN_H
#define TP_AUTOGRAD_EXPLAIN_H

#include <stdio.h>
#include "autograd/sweep.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_explain_opts {
    bool
        numbers; /* values beside the formulas: up to 12 elements whole, else a corner, range and norm */
    bool
        check; /* each rule run again in f64 against finite differences of the forward computation */
    int width; /* columns; 0 means 100. Longer lines put their numbers on a line of their own */
} tp_explain_opts;

/* All return TP_EIO if out cannot be written; the reason of any failure is in tp_last_error. */

/* What root was computed from: formula, shape, origin, what is random, what backward keeps and for whom. */
tp_status tp_explain_forward(FILE *out, tp_var root, tp_explain_opts o);
/* The step the sweep has just taken. TP_EARG if there is none. */
tp_status tp_explain_step(FILE *out, const tp_sweep *s, tp_explain_opts o);
/* The forward list, a whole sweep step by step, the gradients of parameters and leaves. No sweep may be
 * open on root's tape. A failure is returned as tp_backward would, and does not stick to the tape. */
tp_status tp_explain(FILE *out, tp_var root, tp_explain_opts o);

#ifdef __cplusplus
}
#endif
#endif
