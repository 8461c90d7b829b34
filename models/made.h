/* made.h: what only MADE can: the factors of p(x) one by one, and draws of x that are exact. Read next: made.c. */
#ifndef TP_MODELS_MADE_H
#define TP_MODELS_MADE_H

#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* p(x_i | x_0 … x_{i−1}) for every i, with the conditions taken from x [.., data_dim]: a distribution of such x whose
 * elements are independent given x. TP_EARG unless m is a "made". */
tp_dist tp_made_conditionals(const tp_model *m, tp_ctx *c, tp_var x);

/* n independent draws from p(x): [n, data_dim], without gradient; data_dim passes. TP_EARG likewise. */
tp_var tp_made_draw(const tp_model *m, tp_ctx *c, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
