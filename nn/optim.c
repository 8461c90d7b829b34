/* optim.c: what all optimizers share: options, state, and what a step does to which parameter, in which pieces.
 *
 * A step cuts every parameter into the same number of slices: one parallel region looks at the gradients,
 * one updates. Not here: what makes a rule (optim/<rule>.c), and its arithmetic, which is a row of
 * tensor/kernels/updates.def. Read next: optim/sgd.c, kernels/update.inc. */
#include "nn/optim/rule.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"
#include "tensor/scan.h"

#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* One parameter of a step. */
typedef struct tp_update {
    int index;       /* of the parameter */
    int64_t n, size; /* elements, and bytes of one */
    tp_dtype dtype;
    const char *g;
    char *p;
    char *state[TP_MAX_STATES]; /* NULL if the rule keeps none */
    double c[TP_UPDATE_CONSTANTS];
} tp_update;

/* A row of updates.def. */
static const struct {
    const char *name;
    int states;
} rows[] = {
#define TP_UPDATE(name, states, ...) {#name, states},
#include "tensor/kernels/updates.def"
#undef TP_UPDATE
};

/* --- options ------------------------------------------------------------------------------------ */

const char *tp_optimizer_name(const tp_optimizer *o)
{
    return o->rule->name;
}

const char *tp_optimizer_formula(const tp_optimizer *o)
{
    return o->rule->formula;
}

void tp_optimizer_kind(const tp_optimizer *o, char text[TP_OPTIMIZER_KIND])
{
    const char *form = rows[o->update].name;
    bool plain = strcmp(form, o->rule->name) == 0;
    snprintf(text, TP_OPTIMIZER_KIND, plain ? "%s" : "%s/%s", o->rule->name, form);
}

int tp_optimizer_get(const tp_optimizer *o, double values[TP_MAX_OPTIONS])
{
    int n = 0;
    for (const tp_option *p = o->rule->option; n < TP_MAX_OPTIONS && p->name != NULL; p++, n++) {
        const char *at = (const char *)&o->opts + p->offset;
        values[n] = p->range == TP_SWITCH ? *(const bool *)at : *(const double *)at;
    }
    values[0] = o->lr;
    return n;
}

tp_status tp_optim_check_option(const tp_optim_rule *rule, const tp_option *p, double v)
{
    static const char *const expected[] = {[TP_NOT_NEGATIVE] = "a finite number >= 0",
                                           [TP_POSITIVE] = "a finite number > 0",
                                           [TP_BELOW_ONE] = "0 <= x < 1",
                                           [TP_SWITCH] = "0 or 1"};
    bool good = p->range == TP_SWITCH ? v == 0 || v == 1
                                      : v >= 0 && v < (p->range == TP_BELOW_ONE ? 1 : INFINITY) &&
                                            (v > 0 || p->range != TP_POSITIVE);
    if (good)
        return TP_OK;
    return tp_fail(TP_EARG, "%s: %s is %g, expected %s", rule->name, p->name, v,
                   expected[p->range]);
}

tp_status tp_optimizer_check(const tp_optimizer *o)
{
    double value[TP_MAX_OPTIONS];
    int n = tp_optimizer_get(o, value);
    for (int i = 0; i < n; i++) {
        tp_status s = tp_optim_check_option(o->rule, &o->rule->option[i], value[i]);
        if (s != TP_OK && value[i] == 0) /* as in a struct that only some fields of were set */
            return tp_fail(s, "%s: start from tp_%s_defaults()",
                           tp_last_error() + strlen(tp_status_name(s)) + 1, o->rule->name);
        TP_TRY(s);
    }
    return o->rule->check != NULL ? o->rule->check(&o->opts) : TP_OK;
}

tp_status tp_optimizer_set(tp_optimizer *o, const double values[TP_MAX_OPTIONS])
{
    tp_optimizer with = *o;
    const tp_option *p = o->rule->option;
    for (int i = 1; i < TP_MAX_OPTIONS && p[i].name != NULL; i++) {
        char *at = (char *)&with.opts + p[i].offset;
        if (p[i].range == TP_SWITCH)
            *(bool *)at = values[i] != 0;
        else
            *(double *)at = values[i];
    }
    with.lr = values[0];
    TP_TRY(tp_optimizer_check(&with));
    if ((int)with.rule->update(&with) != o->update)
        return tp_fail(TP_EARG, "%s: the options are those of another kind", o->rule->name);
    *o = with;
    return TP_OK;
}

/* --- state -------------------------------------------------------------------------------------- */

int tp_optimizer_states(const tp_optimizer *o)
{
    return rows[o->update].states;
}

void tp_optimizer_free(tp_optimizer *o)
{
    tp_tensor_free(&o->memory);
    tp_free(o->moments, (size_t)o->n * sizeof *o->moments);
    tp_free(o->plan, (size_t)o->n * sizeof *o->plan);
    *o = (tp_optimizer){0};
}

/* Places of the states, each on a cache line of its own; how many numbers (f64) that takes. */
static int64_t place_moments(const tp_optimizer *o)
{
    int64_t line = TP_ALIGN / (int64_t)sizeof(double), end = 0;
    for (int i = 0; i < o->n; i++) {
        const tp_tensor *v = &o->params->item[i]->value;
        int64_t size = tp_dtype_size(v->dtype),
                lines = (tp_numel(v) * size + TP_ALIGN - 1) / TP_ALIGN;
        for (int k = 0; k < tp_optimizer_states(o); k++, end += lines * line) {
            tp_tensor *m = tp_moment(&o->moments[i], k);
            *m = (tp_tensor){.storage = o->memory.storage,
                             .shape = v->shape,
                             .dtype = v->dtype,
                             .offset = end * (int64_t)sizeof(double) / size};
            tp_strides(m->shape, m->stride);
        }
    }
    return end;
}

tp_status tp_optimizer_make(tp_optimizer *o)
{
    TP_TRY(tp_optimizer_check(o));
    int n = o->n = o->params->n;
    o->update = (int)o->rule->update(o);
    o->moments = tp_alloc_zero((size_t)n * sizeof *o->moments);
    o->plan = tp_alloc_zero((size_t)n * sizeof *o->plan);
    tp_status s = o->moments == NULL || o->plan == NULL ? TP_ENOMEM : TP_OK;
    if (s == TP_OK)
        s = tp_tensor_new(&o->memory, TP_F64, TP_SHAPE(place_moments(o)));
    if (s == TP_OK) {
        place_moments(o);
    } else {
        tp_fail_prefix("the optimizer's state: ");
        tp_optimizer_free(o);
    }
    return s;
}

/* --- the slices of a step ----------------------------------------------------------------------- */

/* Slice i is the i-th part of every parameter, so that a thread updates the same part of each that it
 * computes in backward: the gradient is in its own cache, and its weights are not in the other's. Few
 * slices, because the processor has to find each of their streams anew. */
enum { SLICES_PER_THREAD = 4 };

typedef struct step_job {
    const tp_kernels *kernels;
    int row; /* of updates.def */
    const tp_update *plan;
    int n; /* entries of the plan */
    int64_t slices;
    atomic_bool not_finite;
} step_job;

/* The first element of slice i of n elements, on a border of cache lines. */
static int64_t slice_start(const step_job *j, int64_t n, int64_t i)
{
    enum { LINE = TP_ALIGN / sizeof(float) };
    return i == j->slices ? n : n * i / j->slices / LINE * LINE;
}

static void check_slice(int64_t slice, void *arg)
{
    step_job *j = arg;
    for (const tp_update *u = j->plan; u < j->plan + j->n; u++) {
        int64_t first = slice_start(j, u->n, slice), last = slice_start(j, u->n, slice + 1);
        const char *g = u->g + first * u->size;
        if (!j->kernels->within[u->dtype](last - first, g, -DBL_MAX, DBL_MAX))
            atomic_store_explicit(&j->not_finite, true, memory_order_relaxed);
    }
}

static void update_slice(int64_t slice, void *arg)
{
    const step_job *j = arg;
    for (const tp_update *u = j->plan; u < j->plan + j->n; u++) {
        int64_t first = slice_start(j, u->n, slice), last = slice_start(j, u->n, slice + 1);
        int64_t at = first * u->size;
        char *state[TP_MAX_STATES];
        for (int k = 0; k < TP_MAX_STATES; k++)
            state[k] = u->state[k] != NULL ? u->state[k] + at : NULL;
        j->kernels->update[j->row][u->dtype](last - first, u->p + at, u->g + at, state[0], state[1],
                                             state[2], u->c);
    }
}

/* --- a step ------------------------------------------------------------------------------------- */

/* Lists the parameters that have a gradient, are not frozen and not empty; changes nothing else. */
static step_job make_plan(const tp_optimizer *o)
{
    step_job j = {.kernels = tp_kernels_get(),
                  .row = o->update,
                  .plan = o->plan,
                  .slices = (int64_t)SLICES_PER_THREAD * tp_threads()};
    for (int i = 0; i < o->n; i++) {
        const tp_parameter *p = o->params->item[i];
        int64_t n = tp_numel(&p->value);
        if (!p->has_grad || p->frozen || n == 0)
            continue;
        o->plan[j.n++] = (tp_update){.index = i,
                                     .n = n,
                                     .size = tp_dtype_size(p->value.dtype),
                                     .dtype = p->value.dtype,
                                     .g = tp_data(&p->grad)};
    }
    return j;
}

static tp_status check_gradients(const tp_optimizer *o, step_job *j)
{
    tp_parallel(j->slices, check_slice, j);
    if (!atomic_load_explicit(&j->not_finite, memory_order_relaxed))
        return TP_OK;
    int i = 0; /* the first of them */
    while (tp_all_finite(&o->params->item[o->plan[i].index]->grad))
        i++;
    return tp_fail(TP_ENONFINITE, "the gradient of parameter '%s' is not finite",
                   o->params->item[o->plan[i].index]->name);
}

tp_status tp_optimizer_step(tp_optimizer *o)
{
    if (o->n != o->params->n)
        return tp_fail(TP_EARG, "the optimizer was made for %d parameters, now there are %d", o->n,
                       o->params->n);
    TP_TRY(tp_optimizer_check(o));
    step_job j = make_plan(o);
    TP_TRY(check_gradients(o, &j));
    for (int i = 0; i < j.n; i++) {
        tp_update *u = &o->plan[i];
        tp_moments *moments = &o->moments[u->index];
        o->rule->constants(o, (double)++moments->step, u->c);
        u->p = tp_data_mut(&o->params->item[u->index]->value);
        for (int k = 0; k < tp_optimizer_states(o); k++)
            u->state[k] = tp_data_mut(tp_moment(moments, k));
    }
    tp_parallel(j.slices, update_slice, &j);
    o->step++;
    return TP_OK;
}
