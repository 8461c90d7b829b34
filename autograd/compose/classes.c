/* classes.c: probabilities over classes, from logits along the last axis, and class indices. Read next:
 * losses.c. */
#include "autograd/compose/refuse.h"

tp_var tp_softmax(tp_var x, int axis)
{
    return tp_exp(tp_log_softmax(x, axis));
}

/* Whether logits have one axis, the last, more than target. */
static bool classes_fit(tp_shape logits, tp_shape target)
{
    bool fit = logits.ndim == target.ndim + 1;
    for (int i = 0; i < target.ndim && fit; i++)
        fit = logits.dim[i] == target.dim[i];
    return fit;
}

tp_var tp_cross_entropy(tp_var logits, tp_var target)
{
    tp_shape x = tp_shape_of(logits), t = tp_shape_of(target);
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    if (tp_both_valid(logits, target) && !classes_fit(x, t))
        return tp_refuse_both(
            "tp_cross_entropy", logits, target,
            tp_fail(TP_ESHAPE,
                    "logits of shape %s and target of shape %s: [..,classes] and [..] needed",
                    tp_shape_text(x, a), tp_shape_text(t, b)));
    tp_var at_target = tp_gather(tp_log_softmax(logits, -1), tp_unsqueeze(target, -1), -1);
    return tp_neg(tp_squeeze(at_target, -1));
}

tp_var tp_one_hot(tp_var index, int64_t classes, tp_dtype dtype)
{
    tp_var at = tp_unsqueeze(index, -1); /* [..,1] */
    return tp_scatter_add(tp_full(index.tape, dtype, tp_shape_of(at), 1), at, -1, classes);
}

tp_var tp_gumbel_softmax(tp_var logits, double tau, bool hard, tp_rng_key key)
{
    tp_shape s = tp_shape_of(logits);
    tp_dtype dtype = tp_dtype_of(logits);
    if (!(tau > 0))
        return tp_refuse("tp_gumbel_softmax", logits,
                         tp_fail(TP_EARG, "temperature %g: more than 0 needed", tau));
    if (!tp_dtype_is_float(dtype))
        return tp_scalar_like("tp_gumbel_softmax", logits, 0); /* which refuses */
    tp_var noisy = tp_add(logits, tp_noise_gumbel(logits.tape, dtype, s, key));
    tp_var soft = tp_softmax(tp_scale(noisy, 1 / tau), -1);
    if (!hard || tp_var_status(soft) != TP_OK)
        return soft;
    tp_var drawn = tp_argmax(noisy, -1, false); /* not of soft, where rounding makes ties */
    return tp_straight_through(tp_one_hot(drawn, s.dim[s.ndim - 1], dtype), soft);
}
