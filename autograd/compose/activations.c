/* activations.c: the nonlinear functions of networks that are not worth a row. A branch that is not taken
 * must stay finite, or its gradient, 0 times infinity, would be NaN: hence the clamp in elu.
 * Read next: reductions.c. */
#include "autograd/compose.h"

#include <math.h>

static tp_var is_positive(tp_var x)
{
    return tp_greater(x, tp_scalar(x.tape, tp_dtype_of(x), 0));
}

tp_var tp_logsigmoid(tp_var x)
{
    return tp_neg(tp_softplus(tp_neg(x)));
}

tp_var tp_leaky_relu(tp_var x, double slope)
{
    tp_var low = tp_scale(x, slope);
    return tp_where(is_positive(x), x, low);
}

tp_var tp_elu(tp_var x, double alpha)
{
    tp_var low = tp_scale(tp_expm1(tp_clamp(x, -INFINITY, 0)), alpha);
    return tp_where(is_positive(x), x, low);
}

tp_var tp_gelu(tp_var x)
{
    return tp_mul(tp_scale(x, 0.5), tp_erfc(tp_scale(x, -0.70710678118654752440)));
}

tp_var tp_silu(tp_var x)
{
    return tp_mul(x, tp_sigmoid(x));
}

tp_var tp_round_straight_through(tp_var x)
{
    return tp_straight_through(tp_round(x), x);
}
