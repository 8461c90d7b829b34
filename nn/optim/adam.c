/* adam.c: Adam and AdamW. first: exp_avg, second: exp_avg_sq, third: max_exp_avg_sq, if amsgrad.
 *
 * They differ in where weight decay goes. Read next: rmsprop.c. */
#include "nn/optim/rule.h"

#include <math.h>

tp_adam_opts tp_adam_defaults(void)
{
    return (tp_adam_opts){.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
}

tp_adam_opts tp_adamw_defaults(void)
{
    tp_adam_opts opts = tp_adam_defaults();
    opts.weight_decay = 1e-2;
    return opts;
}

static tp_update_kernel update(const tp_optimizer *o)
{
    if (o->opts.adam.amsgrad)
        return TP_U_amsgrad;
    return o->opts.adam.weight_decay > 0 ? TP_U_adam_decay : TP_U_adam;
}

/* The bias corrections meet in two constants: with r = √(1−β2^t),
 * lr/(1−β1^t) · m / (√v/r + eps) = lr·r/(1−β1^t) · m / (√v + eps·r), as at the end of the paper's section 2. */
static void constants(const tp_optimizer *o, double step, double c[TP_UPDATE_CONSTANTS])
{
    const tp_adam_opts *a = &o->opts.adam;
    double root = sqrt(1 - pow(a->beta2, step));
    bool decoupled = o->rule == &tp_optim_adamw;
    c[0] = o->lr * root / (1 - pow(a->beta1, step));
    c[1] = a->beta1;
    c[2] = 1 - a->beta1;
    c[3] = a->beta2;
    c[4] = 1 - a->beta2;
    c[5] = a->eps * root;
    c[6] = decoupled ? 0 : a->weight_decay;
    c[7] = decoupled ? o->lr * a->weight_decay : 0;
}

#define OPTIONS                                                                                    \
    {                                                                                              \
        {"lr", offsetof(tp_adam_opts, lr), TP_NOT_NEGATIVE},                                       \
            {"beta1", offsetof(tp_adam_opts, beta1), TP_BELOW_ONE},                                \
            {"beta2", offsetof(tp_adam_opts, beta2), TP_BELOW_ONE},                                \
            {"eps", offsetof(tp_adam_opts, eps), TP_POSITIVE},                                     \
            {"weight_decay", offsetof(tp_adam_opts, weight_decay), TP_NOT_NEGATIVE},               \
        {                                                                                          \
            "amsgrad", offsetof(tp_adam_opts, amsgrad), TP_SWITCH                                  \
        }                                                                                          \
    }
#define MOMENTS                                                                                    \
    "m ← beta1·m + (1−beta1)·g; v ← beta2·v + (1−beta2)·g²; u ← v, with amsgrad u ← max(u, v); "

static void adam_standard(tp_optim_opts *opts)
{
    opts->adam = tp_adam_defaults();
}

static tp_status adam_make(tp_optimizer *o, const tp_params *ps, const tp_optim_opts *opts)
{
    return tp_adam_init(o, ps, opts->adam);
}

const tp_optim_rule tp_optim_adam = {
    .name = "adam",
    .formula =
        "g ← g + weight_decay·p; " MOMENTS "p ← p − lr·m/(1−beta1^t) / (√(u/(1−beta2^t)) + eps)",
    .option = OPTIONS,
    .defaults = adam_standard,
    .init = adam_make,
    .update = update,
    .constants = constants,
};

static void adamw_standard(tp_optim_opts *opts)
{
    opts->adam = tp_adamw_defaults();
}

static tp_status adamw_make(tp_optimizer *o, const tp_params *ps, const tp_optim_opts *opts)
{
    return tp_adamw_init(o, ps, opts->adam);
}

const tp_optim_rule tp_optim_adamw = {
    .name = "adamw",
    .formula = MOMENTS "p ← (1 − lr·weight_decay)·p − lr·m/(1−beta1^t) / (√(u/(1−beta2^t)) + eps)",
    .option = OPTIONS,
    .defaults = adamw_standard,
    .init = adamw_make,
    .update = update,
    .constants = constants,
};

static tp_status init(tp_optimizer *o, const tp_params *ps, const tp_optim_rule *rule,
                      tp_adam_opts opts)
{
    tp_optimizer made = {.params = ps, .rule = rule, .lr = opts.lr, .opts.adam = opts};
    TP_TRY(tp_optimizer_make(&made));
    *o = made;
    return TP_OK;
}

tp_status tp_adam_init(tp_optimizer *o, const tp_params *ps, tp_adam_opts opts)
{
    return init(o, ps, &tp_optim_adam, opts);
}

tp_status tp_adamw_init(tp_optimizer *o, const tp_params *ps, tp_adam_opts opts)
{
    return init(o, ps, &tp_optim_adamw, opts);
}
