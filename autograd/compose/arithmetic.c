/* arithmetic.c: constants, and arithmetic that is one or two ops. Read next: activations.c. */
#include "autograd/compose/refuse.h"

tp_var tp_scalar(tp_tape *t, tp_dtype dtype, double value)
{
    return tp_full(t, dtype, TP_SHAPE(), value);
}

/* A shape outlives its value; a var that is not valid has none. */
static tp_var full_like(const char *who, tp_var x, double value)
{
    tp_status s = tp_var_status(x);
    if (s != TP_OK && s != TP_EFREED)
        return tp_refuse(who, x, s);
    if (!tp_dtype_is_float(tp_dtype_of(x)))
        return tp_scalar_like(who, x, value); /* which refuses */
    return tp_full(x.tape, tp_dtype_of(x), tp_shape_of(x), value);
}

tp_var tp_zeros_like(tp_var x)
{
    return full_like("tp_zeros_like", x, 0);
}

tp_var tp_ones_like(tp_var x)
{
    return full_like("tp_ones_like", x, 1);
}

tp_var tp_scale(tp_var x, double c)
{
    return tp_affine(x, c, 0);
}

tp_var tp_shift(tp_var x, double c)
{
    return tp_affine(x, 1, c);
}

tp_var tp_minimum(tp_var a, tp_var b)
{
    return tp_neg(tp_maximum(tp_neg(a), tp_neg(b)));
}

tp_var tp_reciprocal(tp_var x)
{
    return tp_div(tp_scalar_like("tp_reciprocal", x, 1), x);
}

tp_var tp_rsqrt(tp_var x)
{
    return tp_reciprocal(tp_sqrt(x));
}

tp_var tp_pow_scalar(tp_var x, double p)
{
    return tp_pow(x, tp_scalar_like("tp_pow_scalar", x, p));
}
