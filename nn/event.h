/* event.h: what all distributions do with event dimensions. */
#ifndef TP_NN_EVENT_H
#define TP_NN_EVENT_H

#include "autograd/compose.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sums over the last event_dims axes. */
tp_var tp_event_sum(tp_var x, int event_dims);
/* x, if it has exactly the shape of the parameter; else a poisoned var, and TP_ESHAPE naming both. */
tp_var tp_event_match(tp_var parameter, tp_var x, const char *what);

#ifdef __cplusplus
}
#endif
#endif
