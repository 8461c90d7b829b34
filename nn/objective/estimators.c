/* estimators.c: the gradient of an expectation from the score of its density. The other way, through the sample, is
 * plain differentiation and needs no function. Read next: mmd.c. */
#include "nn/objective/demand.h"

tp_var tp_score_function(tp_var f, tp_var log_q, tp_var baseline)
{
    const char *needed = "both of the same samples needed";
    log_q = tp_demand_same(f, log_q, "function", "log-density of the samples", needed);
    tp_var gain = tp_detach(f);
    if (baseline.tape != NULL)
        gain = tp_sub(gain, tp_detach(tp_demand_same(f, baseline, "function", "baseline", needed)));
    return tp_straight_through(f, tp_add(f, tp_mul(gain, log_q)));
}

tp_var tp_leave_one_out(tp_var f)
{
    f = tp_detach(tp_demand_size(f, 2, 0, 2, "function",
                                 "[K, batch] with K > 1 is needed: the baseline is the mean of the "
                                 "other samples"));
    double others = tp_demand_valid(f) ? (double)tp_shape_of(f).dim[0] - 1 : 1;
    return tp_scale(tp_sub(tp_sum(f, TP_AXES(0), true), f), 1 / others); /* [K, batch] */
}
