/* optim.h: optimizers. One struct serves all; rules, names and defaults are PyTorch's.
 *
 * A step reads the gradients that backward left in the parameters and updates the values in one pass. The
 * state is f32 or f64 as the parameters. A rule is a file in nn/optim/. Read next: schedule.h, clip.h, train.h.
 */
#ifndef TP_NN_OPTIM_H
#define TP_NN_OPTIM_H

#include "nn/params.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_sgd_opts {
    double lr;           /* default 1e-2 */
    double momentum;     /* 0: none */
    double dampening;    /* 0; of every gradient but the first that enters the momentum */
    double weight_decay; /* 0; adds weight_decay·p to the gradient */
    bool nesterov;       /* false; wants momentum, and no dampening */
} tp_sgd_opts;

typedef struct tp_adam_opts {
    double lr;           /* 1e-3 */
    double beta1, beta2; /* 0.9, 0.999 */
    double eps;          /* 1e-8, added after the square root of the corrected second moment */
    double
        weight_decay; /* Adam: 0, adds weight_decay·p to the gradient; AdamW: 1e-2, shrinks p by lr·weight_decay */
    bool amsgrad; /* false; divides by the largest second moment so far */
} tp_adam_opts;

typedef struct tp_rmsprop_opts {
    double lr;           /* 1e-2 */
    double alpha;        /* 0.99 */
    double eps;          /* 1e-8, added after the square root */
    double weight_decay; /* 0; as for SGD */
    double momentum;     /* 0: none */
    bool centered;       /* false; divides by the deviation, not by the root of the mean square */
} tp_rmsprop_opts;

typedef struct tp_adagrad_opts {
    double lr;           /* 1e-2 */
    double lr_decay;     /* 0; update t of a parameter has the rate lr/(1 + (t−1)·lr_decay) */
    double weight_decay; /* 0; as for SGD */
    double initial_accumulator_value; /* 0; what the sum of squares starts from */
    double eps;                       /* 1e-10, added after the square root */
} tp_adagrad_opts;

/* The defaults above: start from them and change fields. */
tp_sgd_opts tp_sgd_defaults(void);
tp_adam_opts tp_adam_defaults(void);
tp_adam_opts tp_adamw_defaults(void);
tp_rmsprop_opts tp_rmsprop_defaults(void);
tp_adagrad_opts tp_adagrad_defaults(void);

/* State of one parameter, views of the optimizer's memory; tensors that the rule does not keep are empty. */
typedef struct tp_moments {
    tp_tensor first, second, third; /* what they are: nn/optim/<rule>.c */
    uint64_t step;                  /* updates of this parameter, which bias correction counts */
} tp_moments;

typedef union tp_optim_opts {
    tp_sgd_opts sgd;
    tp_adam_opts adam; /* and AdamW */
    tp_rmsprop_opts rmsprop;
    tp_adagrad_opts adagrad;
} tp_optim_opts;

typedef struct tp_optimizer {
    const tp_params *params;
    const struct tp_optim_rule *rule;
    double lr; /* may be changed between steps; the one in opts is what it was at init */
    tp_optim_opts opts;
    int update;             /* row of tensor/kernels/updates.def that the options ask for */
    uint64_t step;          /* steps done */
    int n;                  /* parameters at init */
    tp_moments *moments;    /* one per parameter */
    tp_tensor memory;       /* of all of them, in one block: large ones lie in large pages */
    struct tp_update *plan; /* what the running step does; n entries of working memory */
} tp_optimizer;

/* Each: TP_EARG for an option outside its range, which the message names; TP_ENOMEM. On failure *o is as it was.
 * Formulas: tp_optimizer_formula. Stochastic gradient descent with momentum as torch.optim.SGD has it: lr multiplies
 * the velocity and does not enter it, as it does in Sutskever et al. 2013. The same steps while lr is constant. */
tp_status tp_sgd_init(tp_optimizer *o, const tp_params *ps, tp_sgd_opts opts);
/* Kingma and Ba 2015 with bias correction; AMSGrad: Reddi et al. 2018. */
tp_status tp_adam_init(tp_optimizer *o, const tp_params *ps, tp_adam_opts opts);
/* Loshchilov and Hutter 2019: Adam whose weight decay does not pass through the moments. */
tp_status tp_adamw_init(tp_optimizer *o, const tp_params *ps, tp_adam_opts opts);
/* Tieleman and Hinton 2012; centered: Graves 2013. Where rounding makes the variance negative it is 0 here, and NaN
 * in PyTorch. */
tp_status tp_rmsprop_init(tp_optimizer *o, const tp_params *ps, tp_rmsprop_opts opts);
/* Duchi et al. 2011. */
tp_status tp_adagrad_init(tp_optimizer *o, const tp_params *ps, tp_adagrad_opts opts);

/* --- by name (optim/named.c) --------------------------------------------------------------------- */

/* A rule and its options, for a program that has them as text: the option of a field above has its name. */
typedef struct tp_optim {
    const struct tp_optim_rule *rule;
    tp_optim_opts opts;
} tp_optim;

/* "sgd", "adam" and so on, the rows of optim.def; NULL behind the last. */
const char *tp_optim_name(int i);
const char *tp_optim_rule_name(const tp_optim *o);
/* The rule of that name with its defaults. TP_EARG says which there are; *o is untouched then. */
tp_status tp_optim_named(tp_optim *o, const char *name);
/* Sets an option; of one that is a bool, 0 or 1. TP_EARG says which there are, or its range; *o is untouched then. */
tp_status tp_optim_set(tp_optim *o, const char *option, double value);
/* Option i and its value, of which the first is "lr"; NULL behind the last. */
const char *tp_optim_option(const tp_optim *o, int i, double *value);
/* TP_EARG if the options do not fit together. */
tp_status tp_optim_check(const tp_optim *o);
/* tp_adam_init and so on, whichever it is. */
tp_status tp_optimizer_init(tp_optimizer *o, const tp_params *ps, const tp_optim *opts);

/* --- all of them --------------------------------------------------------------------------------- */

/* "adam" and the like, and how it updates a parameter p with gradient g in its t-th update, as text. */
const char *tp_optimizer_name(const tp_optimizer *o);
const char *tp_optimizer_formula(const tp_optimizer *o);

/* TP_EARG if an option is outside its range: who changes lr or reads options from a file may ask. */
tp_status tp_optimizer_check(const tp_optimizer *o);
/* Frees the state, not the parameters. */
void tp_optimizer_free(tp_optimizer *o);

/* Updates every parameter that has a gradient and is not frozen; gradients are kept. A parameter without one is not
 * touched, its state and weight decay included. TP_ENONFINITE if a gradient is not finite: nothing is changed, and
 * the message names the parameter. TP_EARG if parameters were added since init, or as tp_optimizer_check. */
tp_status tp_optimizer_step(tp_optimizer *o);

#ifdef __cplusplus
}
#endif
#endif
