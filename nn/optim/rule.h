/* Private to the library. rule.h: what a rule is to nn/optim.c and to checkpoints: a row of nn/optim.def.
 *
 * Options are listed once: checking, messages and checkpoints go through the list. Read next: sgd.c.
 */
#ifndef TP_NN_OPTIM_RULE_H
#define TP_NN_OPTIM_RULE_H

#include "nn/optim.h"
#include "tensor/kernels/kernels.h"

#include <stddef.h>

/* What an option may be. */
typedef enum tp_option_range {
    TP_NOT_NEGATIVE,
    TP_POSITIVE,
    TP_BELOW_ONE, /* from 0 on */
    TP_SWITCH     /* a bool; the others are doubles */
} tp_option_range;

typedef struct tp_option {
    const char *name;
    size_t offset; /* in the options of the rule */
    tp_option_range range;
} tp_option;

enum { TP_MAX_OPTIONS = 8, TP_MAX_STATES = 3 };

typedef struct tp_optim_rule {
    const char *name, *formula;
    tp_option option[TP_MAX_OPTIONS]; /* the first is lr; behind the last a name is NULL */
    /* tp_…_defaults() and tp_…_init(). */
    void (*defaults)(tp_optim_opts *opts);
    tp_status (*init)(tp_optimizer *o, const tp_params *ps, const tp_optim_opts *opts);
    /* What its options must be together, which their ranges do not say; NULL: nothing. */
    tp_status (*check)(const tp_optim_opts *opts);
    /* The row of updates.def that does what the options say. */
    tp_update_kernel (*update)(const tp_optimizer *o);
    /* Its constants in the step-th update of a parameter; those that are not set are 0. */
    void (*constants)(const tp_optimizer *o, double step, double c[TP_UPDATE_CONSTANTS]);
} tp_optim_rule;

#define TP_OPTIM(name) extern const tp_optim_rule tp_optim_##name;
#include "nn/optim.def"
#undef TP_OPTIM

/* TP_EARG, which names rule and option, for a value outside its range. */
tp_status tp_optim_check_option(const tp_optim_rule *rule, const tp_option *option, double value);

/* opts are the options of the rule, in o->opts; o->lr is made from their first. Fills the rest of o. */
tp_status tp_optimizer_make(tp_optimizer *o);

/* State k of a parameter, and how many there are. */
static inline tp_tensor *tp_moment(tp_moments *m, int k)
{
    return k == 0 ? &m->first : k == 1 ? &m->second : &m->third;
}
int tp_optimizer_states(const tp_optimizer *o);

enum { TP_OPTIMIZER_KIND = 48 };

/* Which rule it is, and in which of its forms: optimizers of one kind have the same state. */
void tp_optimizer_kind(const tp_optimizer *o, char text[TP_OPTIMIZER_KIND]);
/* All options as numbers, in the order of the rule, and how many there are. tp_optimizer_set changes nothing unless
 * an optimizer of this kind may have them: TP_EARG. */
int tp_optimizer_get(const tp_optimizer *o, double values[TP_MAX_OPTIONS]);
tp_status tp_optimizer_set(tp_optimizer *o, const double values[TP_MAX_OPTIONS]);

#endif
