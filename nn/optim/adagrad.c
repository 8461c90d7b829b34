/* adagrad.c: Adagrad. first: sum, of the squares of all gradients so far. Read next: ../optim.c. */
#include "nn/optim/rule.h"

tp_adagrad_opts tp_adagrad_defaults(void)
{
    return (tp_adagrad_opts){.lr = 1e-2, .eps = 1e-10};
}

static tp_update_kernel update(const tp_optimizer *o)
{
    (void)o;
    return TP_U_adagrad;
}

static void constants(const tp_optimizer *o, double step, double c[TP_UPDATE_CONSTANTS])
{
    const tp_adagrad_opts *a = &o->opts.adagrad;
    c[0] = o->lr / (1 + (step - 1) * a->lr_decay);
    c[5] = a->eps;
    c[6] = a->weight_decay;
}

static void standard(tp_optim_opts *opts)
{
    opts->adagrad = tp_adagrad_defaults();
}

static tp_status make(tp_optimizer *o, const tp_params *ps, const tp_optim_opts *opts)
{
    return tp_adagrad_init(o, ps, opts->adagrad);
}

const tp_optim_rule tp_optim_adagrad = {
    .name = "adagrad",
    .formula = "g ← g + weight_decay·p; s ← s + g², at first s = initial_accumulator_value; "
               "p ← p − lr/(1 + (t−1)·lr_decay) · g/(√s + eps)",
    .option = {{"lr", offsetof(tp_adagrad_opts, lr), TP_NOT_NEGATIVE},
               {"lr_decay", offsetof(tp_adagrad_opts, lr_decay), TP_NOT_NEGATIVE},
               {"weight_decay", offsetof(tp_adagrad_opts, weight_decay), TP_NOT_NEGATIVE},
               {"initial_accumulator_value", offsetof(tp_adagrad_opts, initial_accumulator_value),
                TP_NOT_NEGATIVE},
               {"eps", offsetof(tp_adagrad_opts, eps), TP_POSITIVE}},
    .defaults = standard,
    .init = make,
    .update = update,
    .constants = constants,
};

tp_status tp_adagrad_init(tp_optimizer *o, const tp_params *ps, tp_adagrad_opts opts)
{
    tp_optimizer made = {
        .params = ps, .rule = &tp_optim_adagrad, .lr = opts.lr, .opts.adagrad = opts};
    TP_TRY(tp_optimizer_make(&made));
    tp_status s = TP_OK;
    for (int i = 0; i < made.n && s == TP_OK; i++)
        s = tp_fill(&made.moments[i].first, opts.initial_accumulator_value);
    if (s == TP_OK)
        *o = made;
    else
        tp_optimizer_free(&made);
    return s;
}
