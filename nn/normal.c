/* normal.c: the diagonal normal distribution. */
#include "nn/normal.h"
#include "nn/event.h"

static const double LOG_2PI = 1.8378770664093454836;

tp_normal tp_normal_logvar(tp_var mu, tp_var logvar)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    tp_shape m = tp_shape_of(mu), v = tp_shape_of(logvar);
    if (mu.tape != NULL && !tp_shape_equal(m, v)) { /* the density would broadcast without a word */
        tp_fail(TP_ESHAPE, "normal: mu has shape %s, logvar %s: equal shapes needed",
                tp_shape_text(m, a), tp_shape_text(v, b));
        logvar = tp_tape_poison(mu.tape, TP_ESHAPE);
    }
    return (tp_normal){mu, logvar, 1};
}

tp_normal tp_normal_fixed(tp_var mu, double logvar)
{
    return (tp_normal){mu, tp_full(mu.tape, tp_dtype_of(mu), tp_shape_of(mu), logvar), 1};
}

tp_var tp_normal_rsample(tp_normal q, tp_ctx *c)
{
    tp_var eps = tp_noise_normal(c->tape, tp_dtype_of(q.mu), tp_shape_of(q.mu), tp_ctx_draw(c));
    return tp_reparameterize(q.mu, q.logvar, TP_NAME(eps));
}

tp_var tp_normal_logprob(tp_normal p, tp_var x)
{
    x = tp_event_match(p.mu, x, "normal log-density");
    tp_var d = tp_mul(tp_sub(x, p.mu), tp_exp(tp_scale(p.logvar, -0.5))); /* (x − μ)/σ */
    tp_var twice = tp_shift(tp_add(tp_square(d), p.logvar), LOG_2PI);
    return tp_event_sum(tp_scale(twice, -0.5), p.event_dims);
}

tp_var tp_normal_kl_std_elements(tp_normal q)
{
    return tp_gaussian_kl(q.mu, q.logvar);
}

tp_var tp_normal_kl_std(tp_normal q)
{
    return tp_event_sum(tp_normal_kl_std_elements(q), q.event_dims);
}
