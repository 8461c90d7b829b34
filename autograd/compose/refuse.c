/* refuse.c: see refuse.h. */
#include "autograd/compose/refuse.h"
#include "autograd/node.h"

tp_var tp_refuse(const char *who, tp_var x, tp_status status)
{
    tp_status without_value = tp_var_status(x);
    if (x.tape == NULL || !x.tape->live)
        return (tp_var){0};
    if (x.tape->status == TP_OK)
        tp_fail_prefix("%s: ", who);
    return tp_tape_poison(x.tape, without_value != TP_OK ? without_value : status);
}
