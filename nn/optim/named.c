/* named.c: rules and their options by name, as the command line has them. Read next: rule.h. */
#include "nn/optim/rule.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const tp_optim_rule *const rules[] = {
#define TP_OPTIM(name) &tp_optim_##name,
#include "nn/optim.def"
#undef TP_OPTIM
};

enum { RULES = sizeof rules / sizeof *rules, NAMES = 256 };

/* Adds a name to a list of them. */
static void list(char names[NAMES], const char *name)
{
    size_t used = strlen(names);
    snprintf(names + used, NAMES - used, used > 0 ? ", %s" : "%s", name);
}

const char *tp_optim_name(int i)
{
    return i >= 0 && i < RULES ? rules[i]->name : NULL;
}

const char *tp_optim_rule_name(const tp_optim *o)
{
    return o->rule->name;
}

tp_status tp_optim_named(tp_optim *o, const char *name)
{
    char names[NAMES] = "";
    for (int i = 0; i < RULES; i++) {
        if (strcmp(rules[i]->name, name) == 0) {
            *o = (tp_optim){.rule = rules[i]};
            rules[i]->defaults(&o->opts);
            return TP_OK;
        }
        list(names, rules[i]->name);
    }
    return tp_fail(TP_EARG, "there is no optimizer '%.60s', only: %s", name, names);
}

tp_status tp_optim_set(tp_optim *o, const char *option, double value)
{
    char names[NAMES] = "";
    const tp_option *p = o->rule->option;
    for (int i = 0; i < TP_MAX_OPTIONS && p[i].name != NULL; i++) {
        list(names, p[i].name);
        if (strcmp(p[i].name, option) != 0)
            continue;
        char *at = (char *)&o->opts + p[i].offset;
        TP_TRY(tp_optim_check_option(o->rule, &p[i], value));
        if (p[i].range == TP_SWITCH)
            *(bool *)at = value != 0;
        else
            *(double *)at = value;
        return TP_OK;
    }
    return tp_fail(TP_EARG, "%s has no option '%.60s', only: %s", o->rule->name, option, names);
}

const char *tp_optim_option(const tp_optim *o, int i, double *value)
{
    if (i < 0 || i >= TP_MAX_OPTIONS || o->rule->option[i].name == NULL)
        return NULL;
    const tp_option *p = &o->rule->option[i];
    const char *at = (const char *)&o->opts + p->offset;
    *value = p->range == TP_SWITCH ? *(const bool *)at : *(const double *)at;
    return p->name;
}

tp_status tp_optim_check(const tp_optim *o)
{
    double lr;
    tp_optim_option(o, 0, &lr);
    return tp_optimizer_check(&(tp_optimizer){.rule = o->rule, .opts = o->opts, .lr = lr});
}

tp_status tp_optimizer_init(tp_optimizer *o, const tp_params *ps, const tp_optim *opts)
{
    return opts->rule->init(o, ps, &opts->opts);
}
