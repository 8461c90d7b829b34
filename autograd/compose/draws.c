/* draws.c: distributions made of uniform draws. Read next: ../ops/noise_uniform.c. */
#include "autograd/compose.h"

/* 1 − u is as uniform as u. log1p(−u) keeps the digits where they matter: a large Gumbel draw is a small u,
 * which f32 holds to 24 bits, while 1 − u would round to one of few numbers below 1. */
tp_var tp_noise_gumbel(tp_tape *t, tp_dtype dtype, tp_shape shape, tp_rng_key key)
{
    tp_var exponential = tp_neg(tp_log1p(tp_neg(tp_noise_uniform(t, dtype, shape, key))));
    return tp_neg(tp_log(exponential));
}
