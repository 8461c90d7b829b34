/* dip.c: holding the covariance of the codes to the identity. Read next: ../train.h. */
#include "nn/objective/demand.h"

/* Covariance over the batch (never over the dimensions: x is centred along axis 0) of [batch, D]: [D, D]. */
static tp_var covariance(tp_var x)
{
    double n = tp_demand_valid(x) ? (double)tp_shape_of(x).dim[0] : 1;
    tp_var centred = tp_sub(x, tp_mean(x, TP_AXES(0), true));
    return tp_scale(tp_matmul(tp_transpose(centred), centred), 1 / n);
}

tp_objective tp_dip_elbo(tp_var logprob, tp_var kl, tp_var mu, tp_var logvar, tp_dip_opts opts)
{
    tp_objective elbo = tp_negative_elbo(logprob, kl, tp_elbo_defaults());
    tp_scope_begin(mu.tape, "covariance");
    mu = tp_demand_size(mu, 2, 0, 1, "mean of the codes", "[batch, D] with batch > 0 is needed");
    tp_var c = covariance(mu); /* [D, D] */
    if (logvar.tape != NULL) {
        logvar =
            tp_demand_same(mu, logvar, "mean of the codes", "log-variance", "equal shapes needed");
        c = tp_add(c, tp_diag(tp_mean(tp_exp(logvar), TP_AXES(0), false)));
    }
    tp_var diagonal = tp_diagonal(c, 0); /* [D] */
    tp_var off = tp_sum(tp_square(tp_sub(c, tp_diag(diagonal))), TP_ALL_AXES, false);
    tp_var var = tp_sum(tp_square(tp_shift(diagonal, -1)), TP_ALL_AXES, false);
    tp_scope_end(mu.tape);
    return tp_objective_of(4, (tp_term[]){elbo.term[0],
                                          elbo.term[1],
                                          {"cov", off, opts.off_diagonal},
                                          {"var", var, opts.diagonal}});
}
