/* refuse.h: how a composition refuses its arguments. Private to autograd/compose. */
#ifndef TP_AUTOGRAD_COMPOSE_REFUSE_H
#define TP_AUTOGRAD_COMPOSE_REFUSE_H

#include "autograd/compose.h"

/* `return tp_refuse("tp_diag", x, tp_fail(TP_ESHAPE, …))`: the reason, under the composition's name, becomes
 * the failure of x's tape, and the poisoned var is returned. A var without a value has no shape that could
 * be to blame: then that is the failure. */
tp_var tp_refuse(const char *who, tp_var x, tp_status status);

/* Whether both have a value: only then can two shapes not fit. If not, the op that takes them says so. */
static inline bool tp_both_valid(tp_var a, tp_var b)
{
    return tp_var_status(a) == TP_OK && tp_var_status(b) == TP_OK;
}

#endif
