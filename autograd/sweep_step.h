/* sweep_step.h: the parts of a sweep, shared by sweep.c, rule.c and grad.c. Private to autograd/. */
#ifndef TP_AUTOGRAD_SWEEP_STEP_H
#define TP_AUTOGRAD_SWEEP_STEP_H

#include "autograd/node.h"
#include "autograd/sweep.h"

/* TP_EARG while another sweep is open on t. */
tp_status tp_sweep_may_open(const tp_tape *t);
/* Whether the sweep's tape still is what it was; if not, the sweep is over with TP_ESTALE. */
bool tp_sweep_alive(tp_sweep *s);
/* A sweep over the nodes up to top that has no gradients yet; close undoes what open did to the tape. */
void tp_sweep_close(tp_sweep *s);
tp_sweep tp_sweep_open(tp_tape *t, uint32_t top, tp_sweep_opts opts);
/* Works out which nodes lie between the top and the targets, which are the nodes whose .target is set. */
void tp_sweep_mark(tp_sweep *s);
/* The gradient of node += g. */
void tp_sweep_add(tp_sweep *s, tp_node *node, tp_var g);
/* Frees what only the last step needed. */
void tp_sweep_finish_step(tp_sweep *s);

/* contribution[i] = gy · dy/dx[i] of the wanted inputs of node s->at. TP_EFREED, TP_EVERSION, or the rule's
 * own failure. */
tp_status tp_rule_run(tp_sweep *s, const tp_node *node, const bool *want, tp_var *contribution);

#endif
