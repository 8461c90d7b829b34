/* infer.c: see infer.h.
 *
 * In natural parameters, with 1/σ² = P, a step along the natural gradient of a loss L is P ← P + 2ρ·∂L/∂σ², then
 * μ ← μ − ρ/P·∂L/∂μ: Newton's method damped by ρ, in which large curvature makes small steps. ∂L/∂σ² = P·∂L/∂v. */
#include "models/infer.h"
#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "nn/dist_type.h"

#include <math.h>

/* −ELBO, summed over the batch. E_q is taken over two opposite corners μ ± σ⊙s, s of ±1: mean and variance are those of q,
 * so that for a quadratic log p(x|z) the gradient for μ is exact, and for v if its dimensions do not interact. */
static tp_var loss(const tp_model_type *type, void *self, tp_ctx *c, tp_var x, tp_dist q,
                   uint64_t step)
{
    const tp_rng_key key = {.seed = 1,
                            .step = step}; /* not the context's: q must not depend on the batch */
    tp_shape s = tp_shape_of(q.param[0]);
    tp_var half = tp_full(c->tape, tp_dtype_of(x), TP_SHAPE(s.dim[1]), 0.5);
    tp_var sign = tp_shift(tp_scale(tp_noise_bernoulli(half, key), 2), -1); /* [latent_dim] */
    tp_var both = tp_expand(tp_stack((tp_var[]){sign, tp_neg(sign)}, 2, 0), TP_SHAPE(2, s.dim[1]));
    both = tp_expand(tp_unsqueeze(both, 1), TP_SHAPE(2, s.dim[0], s.dim[1]));
    tp_dist two = tp_dist_repeat(q, TP_SHAPE(2));
    tp_var z = tp_reparameterize(two.param[0], two.param[1], both); /* [2, batch, latent_dim] */
    tp_var logprob = tp_sample_mean(tp_data_logprob(type->decode(self, c, z), x));
    tp_var kl = tp_kl(q, type->prior(self, c));
    tp_var mean = tp_negative_elbo(logprob, kl, tp_elbo_defaults()).total;
    return tp_scale(mean, (double)s.dim[0]);
}

/* q after one step; what led there can be forgotten. */
static tp_dist climb(const tp_model_type *type, void *self, tp_ctx *c, tp_var x, tp_dist q,
                     uint64_t step, double rate)
{
    tp_var at[2], g[2];
    tp_recompute_begin(c->tape);
    for (int i = 0; i < 2; i++)
        at[i] = tp_leaf(c->tape, tp_value(q.param[i]));
    tp_var total = loss(type, self, c, x, tp_normal_logvar(at[0], at[1]), step);
    tp_grad(1, &total, 2, at, g, (tp_grad_opts){.allow_unused = true});
    /* Where log p(x|z) is not concave P would fall below 0: at most to its half, then. */
    tp_var grown = tp_clamp(tp_shift(tp_scale(g[1], 2 * rate), 1), 0.5, INFINITY);
    tp_var logvar = tp_sub(at[1], tp_log(grown));
    tp_var mu = tp_sub(at[0], tp_scale(tp_mul(tp_exp(logvar), g[0]), rate));
    tp_recompute_end(c->tape, 2, (tp_var[]){mu, logvar});
    return tp_normal_logvar(mu, logvar);
}

tp_dist tp_infer_normal(const tp_model_type *type, void *self, tp_ctx *c, tp_var x,
                        tp_infer_opts opts)
{
    char text[TP_SHAPE_TEXT];
    tp_shape s = tp_shape_of(x);
    tp_dist q = type->prior(self, c);
    if (tp_var_status(x) == TP_OK && (s.ndim != 2 || q.type != &tp_dist_normal))
        return tp_normal_standard(tp_tape_poison(
            c->tape,
            tp_fail(TP_ESHAPE,
                    "tp_infer_normal: x has shape %s and the prior is %s: [batch, data_dim] and "
                    "normal needed",
                    tp_shape_text(s, text), q.type->name)));
    q = tp_dist_repeat(q, TP_SHAPE(s.ndim > 0 ? s.dim[0] : 1));
    int depth = tp_no_grad_pause(c->tape);
    tp_ctx_freeze(c);
    for (int64_t i = 0; i < opts.steps; i++)
        q = climb(type, self, c, x, q, (uint64_t)i, opts.rate);
    tp_ctx_thaw(c);
    tp_no_grad_resume(c->tape, depth);
    return tp_dist_detach(tp_normal_logvar(q.param[0], q.param[1]));
}
