/* importance.c: bounds and estimates from importance weights, always as logarithms. Read next: estimators.c. */
#include "autograd/sweep.h"
#include "nn/objective/demand.h"

#include <math.h>

static const char *const SAMPLES = "[K, batch] with K > 0 is needed";

tp_var tp_log_weight(tp_var logprob, tp_var log_prior, tp_var log_q)
{
    const char *needed = "both of the same samples needed";
    log_prior = tp_demand_same(logprob, log_prior, "log-density", "log-prior", needed);
    log_q = tp_demand_same(logprob, log_q, "log-density", "log-density of the posterior", needed);
    tp_scope_begin(logprob.tape, "log-weights");
    tp_var log_w = tp_sub(tp_add(logprob, log_prior), log_q);
    tp_scope_end(logprob.tape);
    return TP_NAME(log_w);
}

/* log 1/K Σ_k e^{x_k} over an axis of size K */
static tp_var log_mean_exp(tp_var x, int axis)
{
    double k = tp_demand_valid(x) ? (double)tp_shape_of(x).dim[axis] : 1;
    tp_scope_begin(x.tape, "bound");
    tp_var mean = tp_shift(tp_logsumexp(x, TP_AXES(axis), false), -log(k));
    tp_scope_end(x.tape);
    return mean;
}

tp_var tp_importance_logprob(tp_var log_w)
{
    return log_mean_exp(tp_demand_size(log_w, 2, 0, 1, "log-weight", SAMPLES), 0);
}

static tp_var minus_mean(tp_var bound)
{
    tp_scope_begin(bound.tape, "bound");
    tp_var mean = tp_mean(tp_neg(bound), TP_ALL_AXES, false);
    tp_scope_end(bound.tape);
    return mean;
}

tp_objective tp_iwae(tp_var log_w)
{
    return tp_objective_of(1, (tp_term[]){{"iwae", minus_mean(tp_importance_logprob(log_w)), 1}});
}

tp_objective tp_miwae(tp_var log_w)
{
    const char *needed = "[M, K, batch] with M > 0 and K > 0 is needed";
    log_w = tp_demand_size(log_w, 3, 0, 1, "log-weight", needed);
    log_w = tp_demand_size(log_w, 3, 1, 1, "log-weight", needed);
    return tp_objective_of(1, (tp_term[]){{"miwae", minus_mean(log_mean_exp(log_w, 1)), 1}});
}

/* Whether z is [K, batch, …] as log_w is [K, batch]; true also where one of them has no value. */
static bool samples_match(tp_var log_w, tp_var z)
{
    tp_shape w = tp_shape_of(log_w), s = tp_shape_of(z);
    if (!tp_demand_valid(log_w) || !tp_demand_valid(z))
        return true;
    return s.ndim >= 2 && s.dim[0] == w.dim[0] && s.dim[1] == w.dim[1];
}

/* The sweep brings w̃_k ∂log w_k/∂z_k to z. What is missing to w̃_k² of it is linear in z, so its gradient can be had
 * from a product with z, whose value nobody sees. */
static tp_var squared_weights(tp_var value, tp_var log_w, tp_var z)
{
    tp_scope_begin(value.tape, "bound");
    tp_var w = tp_softmax(tp_detach(log_w), 0); /* w̃, [K, batch] */
    double batch = (double)tp_shape_of(log_w).dim[1];
    tp_var missing = tp_scale(tp_sub(w, tp_square(w)), 1 / batch), gz;
    tp_status s = tp_grad(1, &log_w, 1, &z, &gz, (tp_grad_opts){.grad_outputs = &missing});
    if (s == TP_OK) { /* or it is poisoned */
        tp_var soft = tp_sum(tp_mul(tp_detach(gz), z), TP_ALL_AXES, false);
        gz = tp_straight_through(value, tp_add(value, soft));
    }
    tp_scope_end(value.tape);
    return gz;
}

tp_objective tp_dreg(tp_var log_w, tp_var z)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    log_w = tp_demand_size(log_w, 2, 0, 1, "log-weight", SAMPLES);
    tp_var value = minus_mean(tp_importance_logprob(log_w));
    if (!samples_match(log_w, z))
        value = tp_tape_poison(
            value.tape,
            tp_fail(TP_ESHAPE,
                    "objective: the log-weight has shape %s, z %s: [K, batch] and [K, batch, …] of "
                    "the same samples needed",
                    tp_shape_text(tp_shape_of(log_w), a), tp_shape_text(tp_shape_of(z), b)));
    else if (tp_demand_valid(log_w) && !tp_demand_valid(z))
        value = tp_add(value, z); /* which is refused */
    else if (tp_needs_grad(log_w) && tp_needs_grad(z))
        value = squared_weights(value, log_w, z);
    return tp_objective_of(1, (tp_term[]){{"iwae", value, 1}});
}
