/* failure.h: what messages say of vars: where an operation ran, what it was given. Private to autograd/.
 * The messages themselves are put together in apply.c and trap.c. */
#ifndef TP_AUTOGRAD_FAILURE_H
#define TP_AUTOGRAD_FAILURE_H

#include "autograd/explain/format.h"

/* "in the rule of sqrt#4: ", "adding up the gradient of parameter 'w'#1: ", or nothing in a forward pass. */
void tp_failure_context(tp_text *to, tp_tape *t);
/* A line on an operand: "  input 0: f32[64,20]     'h' = encoder: linear#7 (vae.c:112)". */
void tp_failure_operand(tp_text *to, const char *role, tp_var v);

#endif
