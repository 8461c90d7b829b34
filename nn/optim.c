/* optim.c: SGD and Adam: what a step does to which parameter, and in which pieces.
 *
 * A step cuts every parameter into the same number of slices: one parallel region looks at the gradients,
 * one updates. Not here: the arithmetic of a rule, which is a row of tensor/kernels/updates.def.
 * Read next: kernels/update.inc. */
#include "nn/optim.h"
#include "tensor/kernels/kernels.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"
#include "tensor/scan.h"

#include <float.h>
#include <math.h>
#include <stdatomic.h>

tp_sgd_opts tp_sgd_defaults(void)
{
    return (tp_sgd_opts){.lr = 1e-2};
}

tp_adam_opts tp_adam_defaults(void)
{
    return (tp_adam_opts){.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
}

/* One parameter of a step. */
typedef struct tp_update {
    int index;       /* of the parameter */
    int64_t n, size; /* elements, and bytes of one */
    tp_dtype dtype;
    const char *g;
    char *p, *m, *v;               /* m, v: NULL if the rule has no such moment */
    double c[TP_UPDATE_CONSTANTS]; /* of the rule */
} tp_update;

/* --- state -------------------------------------------------------------------------------------- */

void tp_optimizer_free(tp_optimizer *o)
{
    for (int i = 0; i < o->n && o->moments != NULL; i++) {
        tp_tensor_free(&o->moments[i].first);
        tp_tensor_free(&o->moments[i].second);
    }
    tp_free(o->moments, (size_t)o->n * sizeof *o->moments);
    tp_free(o->plan, (size_t)o->n * sizeof *o->plan);
    *o = (tp_optimizer){0};
}

static tp_status finish_init(tp_optimizer *made, tp_optimizer *o, bool first, bool second)
{
    int n = made->n = made->params->n;
    made->moments = tp_alloc_zero((size_t)n * sizeof *made->moments);
    made->plan = tp_alloc_zero((size_t)n * sizeof *made->plan);
    tp_status s = made->moments == NULL || made->plan == NULL ? TP_ENOMEM : TP_OK;
    for (int i = 0; i < n && s == TP_OK; i++) {
        const tp_tensor *v = &made->params->item[i]->value;
        if (first)
            s = tp_tensor_new(&made->moments[i].first, v->dtype, v->shape);
        if (second && s == TP_OK)
            s = tp_tensor_new(&made->moments[i].second, v->dtype, v->shape);
    }
    if (s != TP_OK) {
        tp_fail_prefix("the optimizer's state: ");
        tp_optimizer_free(made);
        return s;
    }
    *o = *made;
    return TP_OK;
}

static bool is_rate(double lr)
{
    return lr >= 0 && lr < INFINITY;
}

static bool is_decay(double beta)
{
    return beta >= 0 && beta < 1;
}

tp_status tp_optimizer_check(const tp_optimizer *o)
{
    if (o->adam) {
        if (is_rate(o->lr) && is_decay(o->beta1) && is_decay(o->beta2) && o->eps > 0)
            return TP_OK;
        return tp_fail(TP_EARG,
                       "adam: lr %g, betas %g and %g, eps %g: lr >= 0, eps > 0 and "
                       "0 <= beta < 1 needed: start from tp_adam_defaults()",
                       o->lr, o->beta1, o->beta2, o->eps);
    }
    if (is_rate(o->lr) && is_decay(o->momentum))
        return TP_OK;
    return tp_fail(TP_EARG, "sgd: lr %g and momentum %g: lr >= 0 and 0 <= momentum < 1 needed",
                   o->lr, o->momentum);
}

tp_status tp_sgd_init(tp_optimizer *o, const tp_params *ps, tp_sgd_opts opts)
{
    tp_optimizer made = {.params = ps, .lr = opts.lr, .momentum = opts.momentum};
    TP_TRY(tp_optimizer_check(&made));
    return finish_init(&made, o, opts.momentum > 0, false);
}

tp_status tp_adam_init(tp_optimizer *o, const tp_params *ps, tp_adam_opts opts)
{
    tp_optimizer made = {.params = ps,
                         .lr = opts.lr,
                         .beta1 = opts.beta1,
                         .beta2 = opts.beta2,
                         .eps = opts.eps,
                         .adam = true};
    TP_TRY(tp_optimizer_check(&made));
    return finish_init(&made, o, true, true);
}

/* --- the slices of a step ----------------------------------------------------------------------- */

/* Slice i is the i-th part of every parameter, so that a thread updates the same part of each that it
 * computes in backward: the gradient is in its own cache, and its weights are not in the other's. */
enum { SLICES = 64 };

typedef struct step_job {
    const tp_kernels *kernels;
    tp_update_kernel rule;
    const tp_update *plan;
    int n; /* entries of the plan */
    atomic_bool not_finite;
} step_job;

/* The first element of slice i of n elements, on a border of cache lines. */
static int64_t slice_start(int64_t n, int64_t i)
{
    enum { LINE = TP_ALIGN / sizeof(float) };
    return i == SLICES ? n : n * i / SLICES / LINE * LINE;
}

static void check_slice(int64_t slice, void *arg)
{
    step_job *j = arg;
    for (const tp_update *u = j->plan; u < j->plan + j->n; u++) {
        int64_t first = slice_start(u->n, slice), last = slice_start(u->n, slice + 1);
        const char *g = u->g + first * u->size;
        if (!j->kernels->within[u->dtype](last - first, g, -DBL_MAX, DBL_MAX))
            atomic_store_explicit(&j->not_finite, true, memory_order_relaxed);
    }
}

static void update_slice(int64_t slice, void *arg)
{
    const step_job *j = arg;
    for (const tp_update *u = j->plan; u < j->plan + j->n; u++) {
        int64_t first = slice_start(u->n, slice), last = slice_start(u->n, slice + 1);
        int64_t at = first * u->size;
        j->kernels->update[j->rule][u->dtype](last - first, u->p + at, u->g + at,
                                              u->m ? u->m + at : NULL, u->v ? u->v + at : NULL,
                                              u->c);
    }
}

/* --- a step ------------------------------------------------------------------------------------- */

static tp_update_kernel rule_of(const tp_optimizer *o)
{
    return o->adam ? TP_U_adam : o->momentum > 0 ? TP_U_momentum : TP_U_sgd;
}

/* Lists the parameters that have a gradient, are not frozen and not empty; changes nothing else. */
static step_job make_plan(const tp_optimizer *o)
{
    step_job j = {.kernels = tp_kernels_get(), .rule = rule_of(o), .plan = o->plan};
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
    tp_parallel(SLICES, check_slice, j);
    if (!atomic_load_explicit(&j->not_finite, memory_order_relaxed))
        return TP_OK;
    int i = 0; /* the first of them */
    while (tp_all_finite(&o->params->item[o->plan[i].index]->grad))
        i++;
    return tp_fail(TP_ENONFINITE, "the gradient of parameter '%s' is not finite",
                   o->params->item[o->plan[i].index]->name);
}

static void *data_or_null(tp_tensor *t)
{
    return t->storage != NULL ? tp_data_mut(t) : NULL;
}

/* The constants of updates.def. Adam's bias corrections meet in two of them: with r = √(1−β2^t),
 * lr/(1−β1^t) · m / (√v/r + eps) = lr·r/(1−β1^t) · m / (√v + eps·r), as at the end of the paper's section 2. */
static void set_constants(const tp_optimizer *o, uint64_t step, double c[TP_UPDATE_CONSTANTS])
{
    c[0] = o->lr;
    c[1] = o->momentum;
    if (!o->adam)
        return;
    double root = sqrt(1 - pow(o->beta2, (double)step));
    c[0] = o->lr * root / (1 - pow(o->beta1, (double)step));
    c[1] = o->beta1;
    c[2] = 1 - o->beta1;
    c[3] = o->beta2;
    c[4] = 1 - o->beta2;
    c[5] = o->eps * root;
}

tp_status tp_optimizer_step(tp_optimizer *o)
{
    if (o->n != o->params->n)
        return tp_fail(TP_EARG, "the optimizer was made for %d parameters, now there are %d", o->n,
                       o->params->n);
    step_job j = make_plan(o);
    TP_TRY(check_gradients(o, &j));
    for (int i = 0; i < j.n; i++) {
        tp_update *u = &o->plan[i];
        tp_moments *moments = &o->moments[u->index];
        set_constants(o, ++moments->step, u->c);
        u->p = tp_data_mut(&o->params->item[u->index]->value);
        u->m = data_or_null(&moments->first);
        u->v = data_or_null(&moments->second);
    }
    tp_parallel(SLICES, update_slice, &j);
    o->step++;
    return TP_OK;
}
