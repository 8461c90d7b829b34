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
        return tp_refuse(
            "tp_cross_entropy", logits,
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
