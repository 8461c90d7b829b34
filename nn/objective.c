/* objective.c: the ELBO and its relatives. */
#include "nn/objective.h"
#include "autograd/compose.h"

tp_elbo_opts tp_elbo_defaults(void)
{
    return (tp_elbo_opts){.beta = 1};
}

static tp_var batch_mean(tp_var x)
{
    return tp_mean(x, TP_ALL_AXES, false);
}

tp_objective tp_negative_elbo(tp_var logprob, tp_var kl, tp_elbo_opts opts)
{
    tp_var recon = batch_mean(tp_neg(logprob)), divergence = batch_mean(kl);
    TP_NAME(recon);
    tp_name(divergence, "kl", NULL, 0);
    tp_var total = tp_add(recon, tp_scale(divergence, opts.beta));
    return (tp_objective){.total = TP_NAME(total),
                          .terms = 2,
                          .term = {{"recon", recon, 1}, {"kl", divergence, opts.beta}}};
}

tp_objective tp_reconstruction(tp_var logprob)
{
    tp_var recon = batch_mean(tp_neg(logprob));
    return (tp_objective){.total = TP_NAME(recon), .terms = 1, .term = {{"recon", recon, 1}}};
}
