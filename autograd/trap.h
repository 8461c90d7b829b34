/* trap.h: looks for NaN and infinities where values are made. Private to autograd/: programs use tape.h.
 *
 * That is after an operation is recorded (apply.c) and after a fused rule has run (rule.c). What is a failure and
 * what may pass is said at tp_tape_trap. Read next: trap.c. */
#ifndef TP_AUTOGRAD_TRAP_H
#define TP_AUTOGRAD_TRAP_H

#include "autograd/node.h"

/* TP_ENONFINITE if the value of node id, the newest, is the first that should not be. */
tp_status tp_trap_node(tp_tape *t, uint32_t id);
/* The same of the gradients g that the fused rule of node at gave where want[i], out of the gradient gy. */
tp_status tp_trap_fused(tp_tape *t, uint32_t at, uint32_t gy, const bool *want, const tp_tensor *g);

#endif
