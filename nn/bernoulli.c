/* bernoulli.c: independent Bernoulli variables. */
#include "nn/bernoulli.h"
#include "nn/event.h"

tp_bernoulli tp_bernoulli_logits(tp_var logits)
{
    return (tp_bernoulli){logits, 1};
}

tp_var tp_bernoulli_mean(tp_bernoulli p)
{
    return tp_sigmoid(p.logits);
}

tp_var tp_bernoulli_sample(tp_bernoulli p, tp_ctx *c)
{
    return tp_noise_bernoulli(tp_sigmoid(p.logits), tp_ctx_draw(c));
}

tp_var tp_bernoulli_logprob(tp_bernoulli p, tp_var x)
{
    return tp_neg(tp_event_sum(tp_bce_with_logits(p.logits, x), p.event_dims));
}
