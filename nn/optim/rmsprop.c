/* rmsprop.c: RMSprop. first: square_avg; then grad_avg, if centered; then momentum_buffer, if there is momentum.
 *
 * Read next: adagrad.c. */
#include "nn/optim/rule.h"

tp_rmsprop_opts tp_rmsprop_defaults(void)
{
    return (tp_rmsprop_opts){.lr = 1e-2, .alpha = 0.99, .eps = 1e-8};
}

static tp_update_kernel update(const tp_optimizer *o)
{
    bool momentum = o->opts.rmsprop.momentum > 0;
    if (o->opts.rmsprop.centered)
        return momentum ? TP_U_centered_momentum : TP_U_centered;
    return momentum ? TP_U_rmsprop_momentum : TP_U_rmsprop;
}

static void constants(const tp_optimizer *o, double step, double c[TP_UPDATE_CONSTANTS])
{
    const tp_rmsprop_opts *r = &o->opts.rmsprop;
    (void)step;
    c[0] = o->lr;
    c[1] = r->alpha;
    c[2] = 1 - r->alpha;
    c[3] = r->momentum;
    c[5] = r->eps;
    c[6] = r->weight_decay;
}

static void standard(tp_optim_opts *opts)
{
    opts->rmsprop = tp_rmsprop_defaults();
}

static tp_status make(tp_optimizer *o, const tp_params *ps, const tp_optim_opts *opts)
{
    return tp_rmsprop_init(o, ps, opts->rmsprop);
}

const tp_optim_rule tp_optim_rmsprop = {
    .name = "rmsprop",
    .formula = "g ← g + weight_decay·p; s ← alpha·s + (1−alpha)·g²; d ← √s, with centered "
               "a ← alpha·a + (1−alpha)·g and d ← √(s − a²); v ← momentum·v + g/(d + eps); "
               "p ← p − lr·v",
    .option = {{"lr", offsetof(tp_rmsprop_opts, lr), TP_NOT_NEGATIVE},
               {"alpha", offsetof(tp_rmsprop_opts, alpha), TP_BELOW_ONE},
               {"eps", offsetof(tp_rmsprop_opts, eps), TP_POSITIVE},
               {"weight_decay", offsetof(tp_rmsprop_opts, weight_decay), TP_NOT_NEGATIVE},
               {"momentum", offsetof(tp_rmsprop_opts, momentum), TP_BELOW_ONE},
               {"centered", offsetof(tp_rmsprop_opts, centered), TP_SWITCH}},
    .defaults = standard,
    .init = make,
    .update = update,
    .constants = constants,
};

tp_status tp_rmsprop_init(tp_optimizer *o, const tp_params *ps, tp_rmsprop_opts opts)
{
    tp_optimizer made = {
        .params = ps, .rule = &tp_optim_rmsprop, .lr = opts.lr, .opts.rmsprop = opts};
    TP_TRY(tp_optimizer_make(&made));
    *o = made;
    return TP_OK;
}
