/* mmd.c: the maximum mean discrepancy of two samples, and the objectives that hold codes to a prior with it.
 * Read next: total_correlation.c. */
#include "nn/objective/demand.h"

#include <math.h>

/* x [n, d], y [m, d] -> [n, m] */
static tp_var kernel(tp_var x, tp_var y, tp_mmd_kernel kind, double h)
{
    tp_var r2 = tp_scale(tp_squared_distance(x, y), 1 / h); /* [n, m], in units of h */
    if (kind == TP_MMD_IMQ)
        return tp_reciprocal(tp_shift(r2, 1));
    return tp_exp(tp_neg(r2));
}

/* Mean of k over pairs of x; without those of a point with itself, each of which is k = 1, unless biased. */
static tp_var within(tp_var x, tp_mmd_opts o)
{
    double n = (double)tp_shape_of(x).dim[0];
    tp_var sum = tp_sum(kernel(x, x, o.kernel, o.h), TP_ALL_AXES, false);
    if (o.biased)
        return tp_scale(sum, 1 / (n * n));
    return tp_scale(tp_shift(sum, -n), 1 / (n * (n - 1)));
}

static tp_var demand(tp_var x, const char *what, bool biased)
{
    const char *needed = biased ? "[n, d] with n > 0 is needed"
                                : "[n, d] with n > 1 is needed by the unbiased estimate";
    return tp_demand_size(x, 2, 0, biased ? 1 : 2, what, needed);
}

tp_var tp_mmd(tp_var x, tp_var y, tp_mmd_opts opts)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    x = demand(x, "first sample", opts.biased);
    y = demand(y, "second sample", opts.biased);
    x = tp_demand_option(x, opts.h >= 0 && isfinite(opts.h), "h", opts.h,
                         "0 for the default, or a finite squared length needed");
    if (!tp_demand_valid(x) || !tp_demand_valid(y))
        return tp_add(x, y); /* which is refused */
    tp_shape s = tp_shape_of(x), t = tp_shape_of(y);
    if (s.dim[1] != t.dim[1] || s.dim[1] == 0)
        return tp_tape_poison(
            x.tape,
            tp_fail(TP_ESHAPE,
                    "objective: the samples have shapes %s and %s: one width, not 0, needed",
                    tp_shape_text(s, a), tp_shape_text(t, b)));
    if (opts.h == 0)
        opts.h = 2 * (double)s.dim[1];
    tp_scope_begin(x.tape, "MMD");
    tp_var across = tp_mean(kernel(x, y, opts.kernel, opts.h), TP_ALL_AXES, false);
    tp_var mmd = tp_sub(tp_add(within(x, opts), within(y, opts)), tp_scale(across, 2));
    tp_scope_end(x.tape);
    return mmd;
}

tp_var tp_mmd_of_batch(tp_var x, tp_var y, tp_mmd_kernel kernel, double h)
{
    tp_shape s = tp_shape_of(x);
    if (tp_demand_valid(x) && s.ndim == 2 && s.dim[0] == 1)
        return tp_scalar(x.tape, tp_dtype_of(x), 0);
    return tp_mmd(x, y, (tp_mmd_opts){.kernel = kernel, .h = h});
}

tp_objective tp_wae(tp_var logprob, tp_var divergence, double lambda)
{
    tp_term recon = tp_reconstruction(logprob).term[0];
    return tp_objective_of(2, (tp_term[]){recon, {"mmd", divergence, lambda}});
}

tp_objective tp_info_elbo(tp_var logprob, tp_var kl, tp_var divergence, double alpha, double lambda)
{
    tp_objective elbo = tp_negative_elbo(logprob, kl, tp_elbo_defaults());
    return tp_objective_of(3, (tp_term[]){elbo.term[0],
                                          {"kl", elbo.term[1].value, 1 - alpha},
                                          {"mmd", divergence, alpha + lambda - 1}});
}
