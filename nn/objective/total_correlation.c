/* total_correlation.c: the KL of a VAE in three parts, from the densities of all pairs of a minibatch.
 * Read next: density_ratio.c. */
#include "nn/objective/demand.h"

#include <math.h>

static const char SCOPE[] = "total correlation";

/* Logarithms of the weights of q(z_i|x_j) in the estimate of q(z_i): [B, B]. */
static tp_var log_weights(tp_var pair, tp_tc_opts o)
{
    int64_t b = tp_shape_of(pair).dim[0];
    double n = (double)o.data_size, others = (double)(b - 1);
    tp_dtype dtype = tp_dtype_of(pair);
    if (o.estimator == TP_TC_MWS)
        return tp_full(pair.tape, dtype, TP_SHAPE(b, b), -log(n * (double)b));
    double self = -log(n), other = log((n - 1) / (n * others));
    tp_var diagonal = tp_diag(tp_full(pair.tape, dtype, TP_SHAPE(b), self - other));
    return tp_shift(diagonal, other);
}

/* pair, if there is a pair of every example with every one, and the data set they are from is large enough. */
static tp_var demand_pairs(tp_var pair, tp_tc_opts o)
{
    pair = tp_demand_axes(pair, 3, "density of pairs", "[B, B, D] is needed");
    if (!tp_demand_valid(pair))
        return pair;
    char text[TP_SHAPE_TEXT];
    tp_shape s = tp_shape_of(pair);
    int64_t least = o.estimator == TP_TC_MSS ? 2 : 1;
    if (s.dim[0] != s.dim[1] || s.dim[0] < least)
        return tp_tape_poison(
            pair.tape,
            tp_fail(TP_ESHAPE,
                    "objective: the density of pairs has shape %s, but [B, B, D] with B >= %d is "
                    "needed: log q(z_i|x_j) of every i with every j",
                    tp_shape_text(s, text), (int)least));
    return tp_demand_option(pair, o.data_size >= s.dim[0], "data_size", (double)o.data_size,
                            "the number of examples in the data set, at least the batch, needed");
}

tp_tc_parts tp_tc_decompose(tp_var pair, tp_var log_prior, tp_tc_opts opts)
{
    pair = demand_pairs(pair, opts);
    log_prior = tp_demand_axes(log_prior, 1, "log-prior", "[batch] is needed: log p(z_i)");
    if (!tp_demand_valid(pair)) {
        tp_var none = tp_add(pair, log_prior); /* which is refused */
        return (tp_tc_parts){none, none, none};
    }
    tp_scope_begin(pair.tape, SCOPE);
    tp_var joint = tp_sum(pair, TP_AXES(2), false); /* log q(z_i|x_j), [B, B] */
    tp_var own = tp_diagonal(joint, 0);             /* log q(z_i|x_i), [B] */
    tp_var weight = log_weights(pair, opts);        /* [B, B] */
    tp_var log_qz = tp_logsumexp(tp_add(joint, weight), TP_AXES(1), false); /* [B] */
    tp_var each = tp_add(pair, tp_unsqueeze(weight, 2));                    /* [B, B, D] */
    tp_var log_qd = tp_logsumexp(each, TP_AXES(1), false);                  /* [B, D] */
    tp_var product = tp_sum(log_qd, TP_AXES(1), false);                     /* [B] */
    log_prior = tp_demand_same(own, log_prior, "density of z_i under its own x_i", "log-prior",
                               "one batch needed");
    tp_tc_parts parts = {.mi = tp_sub(own, log_qz),
                         .tc = tp_sub(log_qz, product),
                         .kl_dim = tp_sub(product, log_prior)};
    tp_scope_end(pair.tape);
    return parts;
}

static tp_term part(tp_var logprob, tp_var x, const char *name, double weight)
{
    x = tp_demand_same(logprob, x, "log-density", name, "one batch needed");
    return (tp_term){name, tp_scoped_mean(x, SCOPE), weight};
}

tp_objective tp_tc_elbo(tp_var logprob, tp_tc_parts parts, tp_tc_weights weights)
{
    return tp_objective_of(4, (tp_term[]){tp_reconstruction(logprob).term[0],
                                          part(logprob, parts.mi, "mi", weights.alpha),
                                          part(logprob, parts.tc, "tc", weights.beta),
                                          part(logprob, parts.kl_dim, "kl_dim", weights.gamma)});
}
