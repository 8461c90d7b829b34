/* refuse.h: how a composition refuses its arguments. Private to autograd/compose and nn. */
#ifndef TP_AUTOGRAD_COMPOSE_REFUSE_H
#define TP_AUTOGRAD_COMPOSE_REFUSE_H

#include "autograd/compose.h"

/* `return tp_refuse("tp_diag", x, tp_fail(TP_ESHAPE, …))`: the reason becomes the failure of x's tape, as an
 * op's would: with the path, the name of who refuses, and x's own name and origin. The poisoned var is
 * returned. A var without a value has no shape that could be to blame: then that is the failure. */
tp_var tp_refuse(const char *who, tp_var x, tp_status status);
/* The same of two arguments, both with a value, that do not fit together. */
tp_var tp_refuse_both(const char *who, tp_var a, tp_var b, tp_status status);

/* A 0-d constant of x's type. An x of integers is refused here, because the op that makes the constant knows
 * nothing of x. */
tp_var tp_scalar_like(const char *who, tp_var x, double value);

/* Whether both have a value: only then can two shapes not fit. If not, the op that takes them says so. */
static inline bool tp_both_valid(tp_var a, tp_var b)
{
    return tp_var_status(a) == TP_OK && tp_var_status(b) == TP_OK;
}

#endif
