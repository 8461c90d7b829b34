/* sparsity.c: few numbers of a code on at a time. Read next: dip.c. */
#include "nn/objective/demand.h"
#include "nn/dist.h"

#include <math.h>

static const char *const NEEDED = "[batch, D] with batch > 0 is needed";

tp_var tp_sparsity_l1(tp_var code)
{
    code = tp_demand_size(code, 2, 0, 1, "code", NEEDED);
    tp_scope_begin(code.tape, "sparsity");
    tp_var l1 = tp_mean(tp_sum(tp_abs(code), TP_AXES(-1), false), TP_ALL_AXES, false);
    tp_scope_end(code.tape);
    return l1;
}

/* log of the batch's mean of σ(x), up to the constant log batch: where σ itself would be 0 or 1 it keeps its digits. */
static tp_var log_mean_sigmoid(tp_var x)
{
    return tp_logsumexp(tp_logsigmoid(x), TP_AXES(0), false);
}

tp_var tp_sparsity_kl(tp_var logits, double rho)
{
    logits = tp_demand_size(logits, 2, 0, 1, "logit of the code", NEEDED);
    logits = tp_demand_option(logits, rho > 0 && rho < 1, "rho", rho, "0 < rho < 1 needed");
    tp_scope_begin(logits.tape, "sparsity");
    /* log ρ̂/(1 − ρ̂): [D] */
    tp_var mean = tp_sub(log_mean_sigmoid(logits), log_mean_sigmoid(tp_neg(logits)));
    tp_var wanted = tp_shift(tp_zeros_like(mean), log(rho / (1 - rho)));
    tp_var kl = tp_kl(tp_bernoulli_logits(wanted), tp_bernoulli_logits(mean));
    tp_scope_end(logits.tape);
    return kl;
}

tp_objective tp_sparse_reconstruction(tp_var logprob, tp_var code, tp_var logits,
                                      tp_sparse_opts opts)
{
    tp_objective recon = tp_reconstruction(logprob);
    tp_term term[] = {
        recon.term[0], {"l1", tp_sparsity_l1(code), opts.l1}, {"sparsity", logits, opts.kl}};
    if (logits.tape == NULL)
        return tp_objective_of(2, term);
    term[2].value = tp_sparsity_kl(logits, opts.rho);
    return tp_objective_of(3, term);
}
