/* sgd.c: stochastic gradient descent. first: momentum_buffer, if there is momentum. Read next: adam.c. */
#include "nn/optim/rule.h"

tp_sgd_opts tp_sgd_defaults(void)
{
    return (tp_sgd_opts){.lr = 1e-2};
}

static tp_update_kernel update(const tp_optimizer *o)
{
    const tp_sgd_opts *s = &o->opts.sgd;
    if (s->momentum == 0)
        return s->weight_decay > 0 ? TP_U_decay : TP_U_sgd;
    return s->weight_decay > 0 || s->dampening > 0 || s->nesterov ? TP_U_nesterov : TP_U_momentum;
}

/* The first gradient enters the momentum undamped. */
static void constants(const tp_optimizer *o, double step, double c[TP_UPDATE_CONSTANTS])
{
    const tp_sgd_opts *s = &o->opts.sgd;
    c[0] = o->lr;
    c[1] = s->momentum;
    c[2] = step == 1 ? 1 : 1 - s->dampening;
    c[3] = s->nesterov ? o->lr : 0;
    c[4] = s->nesterov ? o->lr * s->momentum : o->lr;
    c[6] = s->weight_decay;
}

static tp_status check(const tp_optim_opts *opts)
{
    const tp_sgd_opts *s = &opts->sgd;
    if (!s->nesterov || (s->momentum > 0 && s->dampening == 0))
        return TP_OK;
    return tp_fail(TP_EARG,
                   "sgd: nesterov with momentum %g and dampening %g, expected momentum > 0 and "
                   "dampening 0",
                   s->momentum, s->dampening);
}

static void standard(tp_optim_opts *opts)
{
    opts->sgd = tp_sgd_defaults();
}

static tp_status make(tp_optimizer *o, const tp_params *ps, const tp_optim_opts *opts)
{
    return tp_sgd_init(o, ps, opts->sgd);
}

const tp_optim_rule tp_optim_sgd = {
    .name = "sgd",
    .formula = "g ← g + weight_decay·p; v ← momentum·v + (1−dampening)·g, at first v ← g; "
               "p ← p − lr·v, with nesterov p ← p − lr·(g + momentum·v)",
    .option = {{"lr", offsetof(tp_sgd_opts, lr), TP_NOT_NEGATIVE},
               {"momentum", offsetof(tp_sgd_opts, momentum), TP_BELOW_ONE},
               {"dampening", offsetof(tp_sgd_opts, dampening), TP_BELOW_ONE},
               {"weight_decay", offsetof(tp_sgd_opts, weight_decay), TP_NOT_NEGATIVE},
               {"nesterov", offsetof(tp_sgd_opts, nesterov), TP_SWITCH}},
    .defaults = standard,
    .init = make,
    .check = check,
    .update = update,
    .constants = constants,
};

tp_status tp_sgd_init(tp_optimizer *o, const tp_params *ps, tp_sgd_opts opts)
{
    tp_optimizer made = {.params = ps, .rule = &tp_optim_sgd, .lr = opts.lr, .opts.sgd = opts};
    TP_TRY(tp_optimizer_make(&made));
    *o = made;
    return TP_OK;
}
