/* optim.h: optimizers. One struct serves all; rules and defaults are PyTorch's.
 *
 * A step reads the gradients that backward left in the parameters and updates the values in one pass. The
 * state is f32 or f64 as the parameters. Read next: train.h.
 */
#ifndef TP_NN_OPTIM_H
#define TP_NN_OPTIM_H

#include "nn/params.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_sgd_opts {
    double lr;       /* default 1e-2 */
    double momentum; /* default 0: none */
} tp_sgd_opts;

typedef struct tp_adam_opts {
    double lr;           /* 1e-3 */
    double beta1, beta2; /* 0.9, 0.999 */
    double eps;          /* 1e-8, added after the square root of the corrected second moment */
} tp_adam_opts;

/* The defaults above: start from them and change fields. */
tp_sgd_opts tp_sgd_defaults(void);
tp_adam_opts tp_adam_defaults(void);

/* State of one parameter. */
typedef struct tp_moments {
    tp_tensor first, second; /* momentum or Adam's m, and Adam's v; empty if the rule has none */
    uint64_t step;           /* updates of this parameter, which bias correction counts */
} tp_moments;

typedef struct tp_optimizer {
    const tp_params *params;
    double lr; /* may be changed between steps */
    double momentum, beta1, beta2, eps;
    bool adam;
    uint64_t step;          /* steps done */
    int n;                  /* parameters at init */
    tp_moments *moments;    /* one per parameter */
    struct tp_update *plan; /* what the running step does; n entries of working memory */
} tp_optimizer;

/* v ← momentum·v + g (v starts as g), p ← p − lr·v. TP_EARG for lr or momentum outside [0, ∞) or [0, 1). */
tp_status tp_sgd_init(tp_optimizer *o, const tp_params *ps, tp_sgd_opts opts);
/* Kingma and Ba 2015 with bias correction: p ← p − lr/(1−β1^t) · m / (√v/√(1−β2^t) + eps). TP_EARG for an option
 * outside its range. */
tp_status tp_adam_init(tp_optimizer *o, const tp_params *ps, tp_adam_opts opts);
/* TP_EARG if a setting is outside the range that the function above takes: who changes lr or reads settings from
 * a file may ask. */
tp_status tp_optimizer_check(const tp_optimizer *o);
/* Frees the state, not the parameters. */
void tp_optimizer_free(tp_optimizer *o);

/* Updates every parameter that has a gradient and is not frozen; gradients are kept. TP_ENONFINITE if a gradient
 * is not finite: nothing is changed, and the message names the parameter. TP_EARG if parameters were added
 * since init. */
tp_status tp_optimizer_step(tp_optimizer *o);

#ifdef __cplusplus
}
#endif
#endif
