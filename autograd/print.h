/* print.h: a var for a person to read: who it is, where it comes from, its value.
 *
 * The value is printed by tensor/print.h; a whole derivation by explain.h. */
#ifndef TP_AUTOGRAD_PRINT_H
#define TP_AUTOGRAD_PRINT_H

#include <stdio.h>
#include "autograd/tape.h"
#include "tensor/print.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Writes what tp_var_text says, file and line if the var was named, then its value as tp_print does. Of a var
 * without a value (empty, stale, poisoned, released) the reason is written and is also the status returned.
 * Nothing is recorded, and a failure does not stick to the tape. TP_EIO. */
tp_status tp_print_var(FILE *out, tp_var v);

#ifdef __cplusplus
}
#endif
#endif
