/* refuse.c: see refuse.h. */
#include "autograd/compose/refuse.h"
#include "autograd/failure.h"

#include <stdio.h>
#include <string.h>

static tp_var refuse(const char *who, int n, const tp_var *x, tp_status status)
{
    tp_status without_value = tp_var_status(x[0]);
    tp_tape *t = x[0].tape;
    if (t == NULL || !t->live)
        return (tp_var){0};
    status = without_value != TP_OK ? without_value : status;
    if (t->status == TP_OK) {
        char path[TP_VAR_TEXT], role[24];
        tp_text text = {0};
        tp_failure_context(&text, t);
        tp_scope_path(t, t->scope, path);
        tp_text_add(&text, "%s%s%s: %s", path, path[0] ? ": " : "", who,
                    tp_last_error() + strlen(tp_status_name(status)) + 1);
        for (int i = 0; i < n && without_value == TP_OK; i++) {
            snprintf(role, sizeof role, "input %d", i);
            tp_failure_operand(&text, role, x[i]);
        }
        tp_fail(status, "%s", text.data);
    }
    return tp_tape_poison(t, status);
}

tp_var tp_refuse(const char *who, tp_var x, tp_status status)
{
    return refuse(who, 1, &x, status);
}

tp_var tp_refuse_both(const char *who, tp_var a, tp_var b, tp_status status)
{
    return refuse(who, 2, (tp_var[]){a, b}, status);
}

tp_var tp_scalar_like(const char *who, tp_var x, double value)
{
    tp_dtype dtype = tp_dtype_of(x);
    if (!tp_dtype_is_float(dtype))
        return tp_refuse(
            who, x, tp_fail(TP_EDTYPE, "the input is %s: f32 or f64 needed", tp_dtype_name(dtype)));
    return tp_scalar(x.tape, dtype, value);
}
