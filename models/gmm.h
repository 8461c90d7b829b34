/* gmm.h: what only a mixture has: expectation maximisation, a step that needs no learning rate. Read next: gmm.c. */
#ifndef TP_MODELS_GMM_H
#define TP_MODELS_GMM_H

#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The self of a "gmm". */
typedef struct tp_gmm {
    /* Divided by speed: logits [components], mu and spread [components, data_dim]; tp_logvar_above of spread is the
     * log-variance. */
    tp_parameter logits, mu, spread;
    double floor, speed;
} tp_gmm;

/* One step of expectation maximisation on all of x [n, data_dim], of the model's type: the parameters become those that
 * fit best if component c is responsible for x_i to the degree p(c|x_i), so that log p(x) cannot fall. *logprob = the mean
 * of log p(x_i) in nats before the step. A component that is responsible for nothing keeps its mean and variance. Takes
 * n·components·data_dim numbers of memory a few times. TP_EARG unless m is a "gmm" and n > 0, TP_ESHAPE, TP_EDTYPE,
 * TP_ENOMEM, TP_ENONFINITE; then m and *logprob are as they were. Dempster, Laird and Rubin 1977. */
tp_status tp_gmm_em_step(tp_model *m, const tp_tensor *x, double *logprob);

#ifdef __cplusplus
}
#endif
#endif
