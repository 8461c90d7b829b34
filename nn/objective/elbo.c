/* elbo.c: the evidence lower bound, and what has been done to its KL. Read next: importance.c. */
#include "nn/objective/demand.h"

tp_elbo_opts tp_elbo_defaults(void)
{
    return (tp_elbo_opts){.beta = 1};
}

tp_var tp_sample_mean(tp_var x)
{
    x = tp_demand_size(x, 2, 0, 1, "var over samples", "[L, batch] with L > 0 is needed");
    return tp_mean(x, TP_AXES(0), false);
}

tp_var tp_sampled_kl(tp_var log_q, tp_var log_p)
{
    log_p = tp_demand_same(log_q, log_p, "log-density of the posterior", "log-density of the prior",
                           "both of the same samples needed");
    tp_scope_begin(log_q.tape, "KL");
    tp_var kl = tp_sub(log_q, log_p);
    tp_scope_end(log_q.tape);
    return kl;
}

/* mean(−log p(x|z)) */
static tp_var reconstruction(tp_var logprob)
{
    logprob = tp_demand_batch(logprob, "log-density");
    tp_scope_begin(logprob.tape, "reconstruction");
    tp_var mean = tp_mean(tp_neg(logprob), TP_ALL_AXES, false);
    tp_scope_end(logprob.tape);
    return mean;
}

/* kl, if it is [batch] as the log-density is */
static tp_var same_batch(tp_var logprob, tp_var kl)
{
    kl = tp_demand_batch(kl, "KL");
    return tp_demand_same(logprob, kl, "log-density", "KL", "one batch needed");
}

static tp_var mean_kl(tp_var kl)
{
    return tp_scoped_mean(kl, "KL");
}

tp_objective tp_negative_elbo(tp_var logprob, tp_var kl, tp_elbo_opts opts)
{
    tp_var recon = reconstruction(logprob);
    return tp_objective_of(
        2, (tp_term[]){{"recon", recon, 1}, {"kl", mean_kl(same_batch(logprob, kl)), opts.beta}});
}

tp_objective tp_reconstruction(tp_var logprob)
{
    return tp_objective_of(1, (tp_term[]){{"recon", reconstruction(logprob), 1}});
}

tp_objective tp_negative_loglikelihood(tp_var logprob)
{
    return tp_objective_of(1, (tp_term[]){{"nll", reconstruction(logprob), 1}});
}

tp_objective tp_capacity_elbo(tp_var logprob, tp_var kl, double gamma, double capacity)
{
    tp_var recon = reconstruction(logprob);
    kl = same_batch(logprob, kl);
    kl = tp_demand_option(kl, capacity >= 0, "the capacity", capacity, "0 nats or more needed");
    tp_scope_begin(kl.tape, "KL");
    tp_var off = tp_mean(tp_abs(tp_shift(kl, -capacity)), TP_ALL_AXES, false);
    tp_scope_end(kl.tape);
    return tp_objective_of(3, (tp_term[]){{"recon", recon, 1},
                                          {"capacity", off, gamma},
                                          {"kl", mean_kl(tp_detach(kl)), 0}});
}

tp_var tp_free_bits(tp_var kl, double lambda)
{
    kl = tp_demand_axes(kl, 2, "KL", "[batch, groups] is needed: free bits are per group");
    kl = tp_demand_option(kl, lambda >= 0, "lambda", lambda, "0 nats or more needed");
    tp_scope_begin(kl.tape, "KL");
    tp_var group = tp_mean(kl, TP_AXES(0), false); /* [groups] */
    tp_var floor = tp_full(kl.tape, tp_dtype_of(group), tp_shape_of(group), lambda);
    tp_var bits = tp_sum(tp_maximum(group, floor), TP_ALL_AXES, false);
    tp_scope_end(kl.tape);
    return bits;
}

tp_objective tp_free_bits_elbo(tp_var logprob, tp_var kl, double lambda)
{
    tp_var recon = reconstruction(logprob), bits = tp_free_bits(kl, lambda);
    tp_var all = tp_sum(tp_detach(kl), TP_AXES(-1), false); /* [batch] */
    return tp_objective_of(3, (tp_term[]){{"recon", recon, 1},
                                          {"free_bits", bits, 1},
                                          {"kl", mean_kl(same_batch(logprob, all)), 0}});
}

double tp_ramp(uint64_t step, uint64_t steps, double from, double to)
{
    if (step >= steps)
        return to;
    return from + (to - from) * ((double)step / (double)steps);
}
