/* optim.c: SGD and Adam, one fused pass per parameter.
 *
 * The arithmetic is written once per element type. Moments below the smallest normal number are flushed to
 * zero: denormals slow every later step down and change nothing else. */
#include "nn/optim.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

#include <float.h>
#include <math.h>

tp_sgd_opts tp_sgd_defaults(void)
{
    return (tp_sgd_opts){.lr = 1e-2};
}

tp_adam_opts tp_adam_defaults(void)
{
    return (tp_adam_opts){.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
}

/* --- state -------------------------------------------------------------------------------------- */

void tp_optimizer_free(tp_optimizer *o)
{
    for (int i = 0; i < o->n; i++) {
        tp_tensor_free(&o->moments[i].first);
        tp_tensor_free(&o->moments[i].second);
    }
    tp_free(o->moments, (size_t)o->n * sizeof *o->moments);
    *o = (tp_optimizer){0};
}

static tp_status finish_init(tp_optimizer *made, tp_optimizer *o, bool first, bool second)
{
    int n = made->params->n;
    tp_status s = TP_OK;
    made->moments = tp_alloc_zero((size_t)n * sizeof *made->moments);
    if (made->moments == NULL)
        return TP_ENOMEM;
    made->n = n;
    for (int i = 0; i < n && s == TP_OK; i++) {
        const tp_tensor *v = &made->params->item[i]->value;
        if (first)
            s = tp_tensor_new(&made->moments[i].first, v->dtype, v->shape);
        if (second && s == TP_OK)
            s = tp_tensor_new(&made->moments[i].second, v->dtype, v->shape);
    }
    if (s != TP_OK) {
        tp_optimizer_free(made);
        return s;
    }
    *o = *made;
    return TP_OK;
}

tp_status tp_sgd_init(tp_optimizer *o, const tp_params *ps, tp_sgd_opts opts)
{
    if (!(opts.lr >= 0 && opts.lr < INFINITY) || !(opts.momentum >= 0 && opts.momentum < 1))
        return tp_fail(TP_EARG, "sgd: lr %g and momentum %g: lr >= 0 and 0 <= momentum < 1 needed",
                       opts.lr, opts.momentum);
    tp_optimizer made = {.params = ps, .lr = opts.lr, .momentum = opts.momentum};
    return finish_init(&made, o, opts.momentum > 0, false);
}

tp_status tp_adam_init(tp_optimizer *o, const tp_params *ps, tp_adam_opts opts)
{
    if (!(opts.lr >= 0 && opts.lr < INFINITY) || !(opts.beta1 >= 0 && opts.beta1 < 1) ||
        !(opts.beta2 >= 0 && opts.beta2 < 1) || !(opts.eps > 0))
        return tp_fail(TP_EARG,
                       "adam: lr %g, betas %g and %g, eps %g: lr >= 0, eps > 0 and "
                       "0 <= beta < 1 needed: start from tp_adam_defaults()",
                       opts.lr, opts.beta1, opts.beta2, opts.eps);
    tp_optimizer made = {.params = ps,
                         .lr = opts.lr,
                         .beta1 = opts.beta1,
                         .beta2 = opts.beta2,
                         .eps = opts.eps,
                         .adam = true};
    return finish_init(&made, o, true, true);
}

/* --- updates ------------------------------------------------------------------------------------ */

enum { CHUNK = 16384 };

typedef struct update {
    tp_optimizer *o;
    void *p, *m, *v;
    const void *g;
    int64_t n;
    double step_size, root2; /* lr/(1−β1^t), √(1−β2^t) */
} update;

#define DEFINE_UPDATES(R, SQRT, TINY)                                                              \
    static void adam_##R(int64_t chunk, void *arg)                                                 \
    {                                                                                              \
        const update *u = arg;                                                                     \
        R *restrict p = u->p, *restrict m = u->m, *restrict v = u->v;                              \
        const R *restrict g = u->g;                                                                \
        const R b1 = (R)u->o->beta1, b2 = (R)u->o->beta2, c1 = (R)(1 - u->o->beta1);               \
        const R c2 = (R)(1 - u->o->beta2), eps = (R)u->o->eps, size = (R)u->step_size;             \
        const R root = (R)u->root2;                                                                \
        int64_t last = (chunk + 1) * CHUNK < u->n ? (chunk + 1) * CHUNK : u->n;                    \
        for (int64_t i = chunk * CHUNK; i < last; i++) {                                           \
            R mi = b1 * m[i] + c1 * g[i], vi = b2 * v[i] + c2 * g[i] * g[i];                       \
            mi = mi < TINY && mi > -TINY ? 0 : mi;                                                 \
            vi = vi < TINY ? 0 : vi;                                                               \
            m[i] = mi;                                                                             \
            v[i] = vi;                                                                             \
            p[i] -= size * mi / (SQRT(vi) / root + eps);                                           \
        }                                                                                          \
    }                                                                                              \
    static void sgd_##R(int64_t chunk, void *arg)                                                  \
    {                                                                                              \
        const update *u = arg;                                                                     \
        R *restrict p = u->p, *restrict m = u->m;                                                  \
        const R *restrict g = u->g;                                                                \
        const R momentum = (R)u->o->momentum, lr = (R)u->o->lr;                                    \
        int64_t last = (chunk + 1) * CHUNK < u->n ? (chunk + 1) * CHUNK : u->n;                    \
        for (int64_t i = chunk * CHUNK; i < last; i++) {                                           \
            R d = g[i];                                                                            \
            if (m != NULL) {                                                                       \
                d += momentum * m[i];                                                              \
                d = d < TINY && d > -TINY ? 0 : d;                                                 \
                m[i] = d;                                                                          \
            }                                                                                      \
            p[i] -= lr * d;                                                                        \
        }                                                                                          \
    }

DEFINE_UPDATES(float, sqrtf, FLT_MIN)
DEFINE_UPDATES(double, sqrt, DBL_MIN)

/* x − x is 0 for finite x and NaN otherwise. Collected as an integer, which compilers vectorise. */
static bool all_finite(const tp_tensor *g)
{
    int64_t n = tp_numel(g);
    int bad = 0;
    if (g->dtype == TP_F32) {
        const float *x = tp_data(g);
        for (int64_t i = 0; i < n; i++)
            bad |= x[i] - x[i] != 0;
    } else {
        const double *x = tp_data(g);
        for (int64_t i = 0; i < n; i++)
            bad |= x[i] - x[i] != 0;
    }
    return !bad;
}

static void *data_or_null(tp_tensor *t)
{
    return t->storage != NULL ? tp_data_mut(t) : NULL;
}

static void update_parameter(tp_optimizer *o, tp_parameter *p, tp_moments *moments)
{
    double t = (double)++moments->step;
    update u = {.o = o,
                .p = tp_data_mut(&p->value),
                .m = data_or_null(&moments->first),
                .v = data_or_null(&moments->second),
                .g = tp_data(&p->grad),
                .n = tp_numel(&p->value),
                .step_size = o->lr / (1 - pow(o->beta1, t)),
                .root2 = sqrt(1 - pow(o->beta2, t))};
    bool f32 = p->value.dtype == TP_F32;
    tp_parallel((u.n + CHUNK - 1) / CHUNK,
                o->adam ? (f32 ? adam_float : adam_double) : (f32 ? sgd_float : sgd_double), &u);
}

static bool updates(const tp_parameter *p)
{
    return p->has_grad && !p->frozen;
}

tp_status tp_optimizer_step(tp_optimizer *o)
{
    if (o->n != o->params->n)
        return tp_fail(TP_EARG, "the optimizer was made for %d parameters, now there are %d", o->n,
                       o->params->n);
    for (int i = 0; i < o->n; i++)
        if (updates(o->params->item[i]) && !all_finite(&o->params->item[i]->grad))
            return tp_fail(TP_EVALUE, "the gradient of parameter '%s' is not finite",
                           o->params->item[i]->name);
    for (int i = 0; i < o->n; i++)
        if (updates(o->params->item[i]))
            update_parameter(o, o->params->item[i], &o->moments[i]);
    o->step++;
    return TP_OK;
}
