/* objective.c: the ELBO and its relatives. */
#include "nn/objective.h"
#include "autograd/compose.h"

tp_elbo_opts tp_elbo_defaults(void)
{
    return (tp_elbo_opts){.beta = 1};
}

/* x, if it is [batch]; else a poisoned var: a log-density not yet summed over its event would be averaged
 * over it in silence. */
static tp_var per_example(tp_var x, const char *what)
{
    char text[TP_SHAPE_TEXT];
    tp_shape s = tp_shape_of(x);
    if (x.tape == NULL || tp_var_status(x) != TP_OK || s.ndim == 1)
        return x;
    tp_fail(TP_ESHAPE,
            "objective: %s has shape %s, but [batch] is needed: sum over the event first", what,
            tp_shape_text(s, text));
    return tp_tape_poison(x.tape, TP_ESHAPE);
}

static tp_var batch_mean(tp_var x)
{
    return tp_mean(x, TP_ALL_AXES, false);
}

tp_objective tp_negative_elbo(tp_var logprob, tp_var kl, tp_elbo_opts opts)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    logprob = per_example(logprob, "the log-density");
    kl = per_example(kl, "the KL");
    if (logprob.tape != NULL && tp_var_status(logprob) == TP_OK && tp_var_status(kl) == TP_OK &&
        !tp_shape_equal(tp_shape_of(logprob), tp_shape_of(kl))) {
        tp_fail(TP_ESHAPE, "objective: the log-density has shape %s, the KL %s: one batch needed",
                tp_shape_text(tp_shape_of(logprob), a), tp_shape_text(tp_shape_of(kl), b));
        kl = tp_tape_poison(logprob.tape, TP_ESHAPE);
    }
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
    tp_var recon = batch_mean(tp_neg(per_example(logprob, "the log-density")));
    return (tp_objective){.total = TP_NAME(recon), .terms = 1, .term = {{"recon", recon, 1}}};
}
