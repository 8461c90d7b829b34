/* Private to nn/objective: what objectives demand of their inputs. A var that does not fit is refused in words, for
 * averaged or broadcast it would give a number that looks like a loss. Read next: terms.c. */
#ifndef TP_NN_OBJECTIVE_DEMAND_H
#define TP_NN_OBJECTIVE_DEMAND_H

#include "autograd/compose.h"
#include "nn/objective.h"

/* Whether x has a value: only then can its shape be wrong. If not, the operation that takes it says so. */
bool tp_demand_valid(tp_var x);

/* x, if it has ndim axes; else a poisoned var: "objective: the <what> has shape [64,20], but <needed>". */
tp_var tp_demand_axes(tp_var x, int ndim, const char *what, const char *needed);
/* x, if it has ndim axes and at least least along axis. */
tp_var tp_demand_size(tp_var x, int ndim, int axis, int64_t least, const char *what,
                      const char *needed);
/* x, if it has the shape of like: "objective: the <like_what> has shape [4], the <what> [3]: <needed>". */
tp_var tp_demand_same(tp_var like, tp_var x, const char *like_what, const char *what,
                      const char *needed);
/* x, if the option is as it should be: "objective: <name> is -1: <needed>". */
tp_var tp_demand_option(tp_var x, bool right, const char *name, double value, const char *needed);

/* x, if it is [batch]: a log-density not yet summed over its event would be averaged over it in silence. */
tp_var tp_demand_batch(tp_var x, const char *what);

/* The mean over all axes, in the scope where a reader of the tape looks for it. */
tp_var tp_scoped_mean(tp_var x, const char *scope);

#endif
