/* density_ratio.c: the ratio of two densities that can only be sampled, from a network that tells the samples apart; and
 * the total correlation of codes by it. total_correlation.c does that from densities, without a network. Read next: dip.c. */
#include "nn/objective/demand.h"

/* mean −log σ(±logit) over the samples of one side */
static tp_var side(tp_var logit, const char *what, double target)
{
    logit = tp_demand_size(logit, 1, 0, 1, what, "[n] with n > 0 is needed: a number per sample");
    if (!tp_demand_valid(logit))
        return logit;
    tp_var label = tp_full(logit.tape, tp_dtype_of(logit), tp_shape_of(logit), target);
    return tp_mean(tp_bce_with_logits(logit, label), TP_ALL_AXES, false);
}

tp_var tp_discriminator_loss(tp_var on_p, tp_var on_q)
{
    tp_scope_begin(on_p.tape, "discriminator");
    tp_var p = side(on_p, "logit of samples of p", 1), q = side(on_q, "logit of samples of q", 0);
    tp_var mean = tp_scale(tp_add(p, q), 0.5);
    tp_scope_end(on_p.tape);
    return mean;
}

tp_var tp_shuffle_dimensions(tp_var z, tp_rng_key key)
{
    z = tp_demand_size(z, 2, 0, 1, "sample", "[n, D] with n > 0 is needed");
    if (!tp_demand_valid(z))
        return z;
    tp_scope_begin(z.tape, "sample");
    tp_var shuffled = tp_gather(z, tp_noise_permutation(z.tape, tp_shape_of(z), 0, key), 0);
    tp_scope_end(z.tape);
    return shuffled;
}

tp_objective tp_factor_elbo(tp_var logprob, tp_var kl, tp_var log_ratio, tp_var discriminator,
                            double gamma)
{
    tp_objective elbo = tp_negative_elbo(logprob, kl, tp_elbo_defaults());
    log_ratio = tp_demand_same(logprob, log_ratio, "log-density", "log-ratio", "one batch needed");
    return tp_objective_of(
        4, (tp_term[]){elbo.term[0],
                       elbo.term[1],
                       {"tc", tp_scoped_mean(log_ratio, "total correlation"), gamma},
                       {"discriminator", discriminator, 1}});
}
