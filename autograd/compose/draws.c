/* draws.c: distributions made of uniform draws. Read next: ../ops/noise_uniform.c. */
#include "autograd/compose/refuse.h"

/* 1 − u is as uniform as u. log1p(−u) keeps the digits where they matter: a large Gumbel draw is a small u,
 * which f32 holds to 24 bits, while 1 − u would round to one of few numbers below 1. */
tp_var tp_noise_gumbel(tp_tape *t, tp_dtype dtype, tp_shape shape, tp_rng_key key)
{
    tp_var exponential = tp_neg(tp_log1p(tp_neg(tp_noise_uniform(t, dtype, shape, key))));
    return tp_neg(tp_log(exponential));
}

/* Which of several independent Gumbel variables is largest is a draw by the softmax of their means (Gumbel 1954;
 * the "Gumbel-max trick"). */
tp_var tp_noise_categorical(tp_var logits, tp_rng_key key)
{
    tp_dtype dtype = tp_dtype_of(logits);
    if (!tp_dtype_is_float(dtype))
        return tp_scalar_like("tp_noise_categorical", logits, 0); /* which refuses */
    tp_var noise = tp_noise_gumbel(logits.tape, dtype, tp_shape_of(logits), key);
    return tp_argmax(tp_add(logits, noise), -1, false);
}
