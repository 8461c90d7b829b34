/* losses.c: how far a prediction x is from its target t, per element. Broadcasting here is a mistake more
 * often than a wish ([n] against [n,1] gives n² pairs), so it is refused. Read next: ../../nn/objective/elbo.c. */
#include "autograd/compose/refuse.h"

#include <math.h>

/* d = x − t of one shape. */
static tp_var difference(const char *who, tp_var x, tp_var t)
{
    tp_shape a = tp_shape_of(x), b = tp_shape_of(t);
    char ta[TP_SHAPE_TEXT], tb[TP_SHAPE_TEXT];
    if (tp_both_valid(x, t) && !tp_shape_equal(a, b))
        return tp_refuse_both(who, x, t,
                              tp_fail(TP_ESHAPE,
                                      "shapes %s and %s differ: a loss does not broadcast",
                                      tp_shape_text(a, ta), tp_shape_text(b, tb)));
    return tp_sub(x, t);
}

tp_var tp_squared_error(tp_var x, tp_var t)
{
    return tp_square(difference("tp_squared_error", x, t));
}

tp_var tp_l1(tp_var x, tp_var t)
{
    return tp_abs(difference("tp_l1", x, t));
}

tp_var tp_mse(tp_var x, tp_var t)
{
    return tp_mean(tp_square(difference("tp_mse", x, t)), TP_ALL_AXES, false);
}

/* With c = d clamped to ±δ, c·(d − c/2) is ½d² inside and δ·(|d| − ½δ) outside. */
tp_var tp_huber(tp_var x, tp_var t, double delta)
{
    if (!(delta > 0))
        return tp_refuse("tp_huber", x, tp_fail(TP_EARG, "delta %g: more than 0 needed", delta));
    tp_var d = difference("tp_huber", x, t), c = tp_clamp(d, -delta, delta);
    return tp_mul(c, tp_sub(d, tp_scale(c, 0.5)));
}

/* Near 0, cosh d − 1 = ½(e^d − 1)²·e^−d without cancellation; far out, |d| + log(1 + e^−2|d|) − log 2. */
tp_var tp_log_cosh(tp_var x, tp_var t)
{
    tp_var d = difference("tp_log_cosh", x, t), a = tp_abs(d), c = tp_clamp(d, -1, 1);
    tp_var cosh_m1 = tp_mul(tp_scale(tp_square(tp_expm1(c)), 0.5), tp_exp(tp_neg(c)));
    tp_var far = tp_add(tp_shift(a, -log(2)), tp_softplus(tp_scale(a, -2)));
    return tp_where(tp_inside(d, -1, 1), tp_log1p(cosh_m1), far);
}
