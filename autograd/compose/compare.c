/* compare.c: comparisons and logic. What they are made of is recorded without gradient, and a var that only
 * decides a branch is detached first, so that nothing pretends to need one. Read next: ../ops/where.c. */
#include "autograd/compose/refuse.h"

/* yes where x is not 0, else no. */
static tp_var choose(tp_var x, tp_var yes, tp_var no)
{
    return tp_where(tp_detach(x), yes, no);
}

static tp_var truth(const char *who, tp_var x)
{
    return choose(x, tp_scalar_like(who, x, 1), tp_scalar_like(who, x, 0));
}

/* What greater would refuse, but by the name and in the order that the caller knows. */
static tp_status check_pair(tp_var a, tp_var b)
{
    tp_dtype left = tp_dtype_of(a), right = tp_dtype_of(b);
    tp_shape both;
    if (!tp_dtype_is_float(left) || !tp_dtype_is_float(right))
        return tp_fail(TP_EDTYPE, "input %d is %s: f32 or f64 needed", tp_dtype_is_float(left),
                       tp_dtype_name(tp_dtype_is_float(left) ? right : left));
    if (left != right)
        return tp_fail(TP_EDTYPE, "inputs are %s and %s: types are not mixed", tp_dtype_name(left),
                       tp_dtype_name(right));
    return tp_shape_broadcast(tp_shape_of(a), tp_shape_of(b), &both);
}

static tp_var swapped(const char *who, tp_var (*greater)(tp_var, tp_var), tp_var a, tp_var b)
{
    tp_status status = a.tape == b.tape && tp_both_valid(a, b) ? check_pair(a, b) : TP_OK;
    return status != TP_OK ? tp_refuse_both(who, a, b, status) : greater(b, a);
}

tp_var tp_less(tp_var a, tp_var b)
{
    return swapped("tp_less", tp_greater, a, b);
}

tp_var tp_less_equal(tp_var a, tp_var b)
{
    return swapped("tp_less_equal", tp_greater_equal, a, b);
}

tp_var tp_equal(tp_var a, tp_var b)
{
    tp_var not_less =
        tp_greater_equal(a, b); /* before the other, with every compiler: messages show it */
    return tp_mul(not_less, tp_greater_equal(b, a));
}

tp_var tp_not_equal(tp_var a, tp_var b)
{
    return tp_affine(tp_equal(a, b), -1, 1);
}

tp_var tp_logical_not(tp_var x)
{
    return choose(x, tp_scalar_like("tp_logical_not", x, 0),
                  tp_scalar_like("tp_logical_not", x, 1));
}

tp_var tp_logical_and(tp_var a, tp_var b)
{
    return choose(a, truth("tp_logical_and", b), tp_scalar_like("tp_logical_and", a, 0));
}

tp_var tp_logical_or(tp_var a, tp_var b)
{
    return choose(a, tp_scalar_like("tp_logical_or", a, 1), truth("tp_logical_or", b));
}

tp_var tp_logical_xor(tp_var a, tp_var b)
{
    tp_var zero = tp_scalar_like("tp_logical_xor", b, 0),
           one = tp_scalar_like("tp_logical_xor", b, 1);
    return choose(a, choose(b, zero, one), choose(b, one, zero));
}

tp_var tp_sign(tp_var x)
{
    tp_var zero = tp_scalar_like("tp_sign", x, 0),
           rest = tp_detach(x); /* 0 or NaN, which it stays */
    rest = tp_where(tp_greater(zero, x), tp_scalar_like("tp_sign", x, -1), rest);
    return tp_where(tp_greater(x, zero), tp_scalar_like("tp_sign", x, 1), rest);
}
