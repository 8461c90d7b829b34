/* hmc.c: see hmc.h. With q for momenta and U = −log π: half a kick by −∇U, then drifts and kicks by turns, half a kick at
 * the end. Loops over z are plain: a gradient costs hundreds of times as much. */
#include "nn/hmc.h"
#include "autograd/sweep.h"
#include "tensor/gather.h"

#include <math.h>

/* Step sizes stay between these. */
static const double SMALLEST = 1e-6, LARGEST = 1e3;
static const double GAIN = 0.5;

tp_hmc_opts tp_hmc_defaults(void)
{
    return (tp_hmc_opts){.leapfrog = 10, .step = 0.1};
}

/* --- the density ---------------------------------------------------------------------------------------- */

static tp_status check_part(const tp_hmc *h, tp_var part, int i)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    TP_TRY(tp_var_status(part));
    if (tp_shape_equal(tp_shape_of(part), h->at.part[i].shape))
        return TP_OK;
    return tp_fail(TP_ESHAPE, "part %d of the log-density of z %s has shape %s: %s needed", i,
                   tp_shape_text(h->leaf.shape, a), tp_shape_text(tp_shape_of(part), b),
                   "[chains, batch]");
}

/* Every part and its gradient at p->z. */
static tp_status evaluate(tp_hmc *h, tp_hmc_point *p)
{
    tp_var part[TP_HMC_PARTS] = {{0}}, g;
    TP_TRY(tp_copy(&h->leaf, &p->z));
    tp_tape_reset(h->tape);
    tp_ctx c = tp_ctx_eval(h->tape, h->opts.key.seed, 0);
    tp_ctx_freeze(&c);
    tp_var z = tp_leaf(h->tape, &h->leaf); /* [chains, batch, nz] */
    h->density.record(h->density.user, &c, TP_NAME(z), part);
    TP_TRY(tp_tape_status(h->tape));
    for (int i = 0; i < h->density.parts; i++) {
        TP_TRY(check_part(h, part[i], i));
        TP_TRY(tp_copy(&p->part[i], tp_value(part[i])));
        TP_TRY(tp_grad(1, &part[i], 1, &z, &g, (tp_grad_opts){.allow_unused = true}));
        TP_TRY(tp_copy(&p->grad[i], tp_value(g)));
    }
    return TP_OK;
}

/* Σ weight · v over the parts' element i; a part without weight may be infinite. */
static double weighted(const tp_hmc *h, const tp_tensor *v, int64_t i)
{
    double sum = 0;
    for (int k = 0; k < h->density.parts; k++)
        sum += h->weight[k] != 0 ? h->weight[k] * ((const double *)tp_data(&v[k]))[i] : 0;
    return sum;
}

/* --- leapfrog ------------------------------------------------------------------------------------------- */

/* q += fraction·ε·∇log π */
static void kick(tp_hmc *h, const tp_hmc_point *p, double fraction)
{
    const tp_shape s = p->z.shape;
    const double *step = tp_data(&h->step);
    const double *g0 = tp_data(&p->grad[0]), *g1 = tp_data(&p->grad[h->density.parts - 1]);
    double w0 = h->weight[0], w1 = h->density.parts > 1 ? h->weight[1] : 0;
    double *q = tp_data_mut(&h->momentum);
    for (int64_t i = 0; i < s.dim[0] * s.dim[1]; i++) {
        double by = fraction * step[i % s.dim[1]];
        for (int64_t k = i * s.dim[2]; k < (i + 1) * s.dim[2]; k++)
            q[k] += by * ((w0 != 0 ? w0 * g0[k] : 0) + (w1 != 0 ? w1 * g1[k] : 0));
    }
}

/* z += ε·q */
static void drift(tp_hmc *h)
{
    const tp_shape s = h->next.z.shape;
    const double *step = tp_data(&h->step), *q = tp_data(&h->momentum);
    double *z = tp_data_mut(&h->next.z);
    for (int64_t i = 0; i < s.dim[0] * s.dim[1]; i++)
        for (int64_t k = i * s.dim[2]; k < (i + 1) * s.dim[2]; k++)
            z[k] += step[i % s.dim[1]] * q[k];
}

static tp_status leapfrog(tp_hmc *h)
{
    TP_TRY(tp_copy(&h->next.z, &h->at.z));
    kick(h, &h->at, 0.5);
    for (int64_t i = 1; i <= h->opts.leapfrog; i++) {
        drift(h);
        TP_TRY(evaluate(h, &h->next));
        kick(h, &h->next, i < h->opts.leapfrog ? 1 : 0.5);
    }
    return TP_OK;
}

/* --- a transition --------------------------------------------------------------------------------------- */

/* Example j has a stream of its own: two draws for each transition, momenta and what decides. */
static tp_status draw(tp_hmc *h)
{
    tp_tensor v;
    for (int64_t j = 0; j < h->step.shape.dim[0]; j++) {
        tp_rng_key key = h->opts.key;
        key.step += (uint64_t)(h->opts.number != NULL ? h->opts.number[j] : j);
        key.draw += (uint32_t)(2 * h->steps);
        TP_TRY(tp_view_select(&h->momentum, 1, j, &v)); /* [chains, nz] */
        TP_TRY(tp_random_normal(&v, key));
        key.draw++;
        TP_TRY(tp_view_select(&h->uniform, 1, j, &v)); /* [chains] */
        TP_TRY(tp_random_uniform(&v, key));
    }
    return TP_OK;
}

/* log π(z) − |q|²/2 of chain i */
static double minus_energy(const tp_hmc *h, const tp_hmc_point *p, int64_t i)
{
    int64_t nz = p->z.shape.dim[2];
    const double *q = (const double *)tp_data(&h->momentum) + i * nz;
    double square = 0;
    for (int64_t k = 0; k < nz; k++)
        square += q[k] * q[k];
    return weighted(h, p->part, i) - 0.5 * square;
}

static void move_row(tp_tensor *to, const tp_tensor *from, int64_t i, int64_t width)
{
    double *y = (double *)tp_data_mut(to) + i * width;
    const double *x = (const double *)tp_data(from) + i * width;
    for (int64_t k = 0; k < width; k++)
        y[k] = x[k];
}

static void accept(tp_hmc *h, int64_t i)
{
    int64_t nz = h->at.z.shape.dim[2];
    move_row(&h->at.z, &h->next.z, i, nz);
    for (int k = 0; k < h->density.parts; k++) {
        move_row(&h->at.part[k], &h->next.part[k], i, 1);
        move_row(&h->at.grad[k], &h->next.grad[k], i, nz);
    }
}

/* Accepts or not, chain by chain; a NaN is not. */
static void decide(tp_hmc *h)
{
    int64_t n = h->step.shape.dim[0], chains = h->at.z.shape.dim[0];
    const double *u = tp_data(&h->uniform), *start = tp_data(&h->start);
    double *accepted = tp_data_mut(&h->accepted);
    for (int64_t j = 0; j < n; j++)
        accepted[j] = 0;
    for (int64_t i = 0; i < chains * n; i++) {
        double up = minus_energy(h, &h->next, i) - start[i]; /* −ΔH */
        accepted[i % n] += isnan(up) ? 0 : fmin(1, exp(up)) / (double)chains;
        if (log(u[i]) < up)
            accept(h, i);
    }
}

tp_status tp_hmc_step(tp_hmc *h)
{
    TP_TRY(draw(h));
    double *start = tp_data_mut(&h->start);
    for (int64_t i = 0; i < tp_numel(&h->start); i++)
        start[i] = minus_energy(h, &h->at, i);
    TP_TRY(leapfrog(h));
    decide(h);
    h->steps++;
    return TP_OK;
}

void tp_hmc_adapt(tp_hmc *h, double target)
{
    double *step = tp_data_mut(&h->step);
    const double *accepted = tp_data(&h->accepted);
    for (int64_t j = 0; j < h->step.shape.dim[0]; j++)
        step[j] = fmin(fmax(step[j] * exp(GAIN * (accepted[j] - target)), SMALLEST), LARGEST);
}

/* --- life ----------------------------------------------------------------------------------------------- */

static tp_status check(const tp_hmc_density *d, const tp_hmc_opts *o, const tp_tensor *z)
{
    char text[TP_SHAPE_TEXT];
    if (z->shape.ndim != 3 || tp_numel(z) == 0)
        return tp_fail(TP_ESHAPE, "z has shape %s: [chains, batch, nz] needed, none of them 0",
                       tp_shape_text(z->shape, text));
    if (!tp_dtype_is_float(z->dtype))
        return tp_fail(TP_EDTYPE, "z is %s: f32 or f64 needed", tp_dtype_name(z->dtype));
    if (d->parts < 1 || d->parts > TP_HMC_PARTS)
        return tp_fail(TP_EARG, "a log-density of %d parts: 1 to %d needed", d->parts,
                       TP_HMC_PARTS);
    if (o->leapfrog < 1)
        return tp_fail(TP_EARG, "%lld leapfrog steps: 1 or more needed", (long long)o->leapfrog);
    if (!(o->step > 0 && isfinite(o->step)))
        return tp_fail(TP_EARG, "leapfrog steps of size %g: above 0 and finite needed", o->step);
    return TP_OK;
}

static tp_status make_point(tp_hmc_point *p, tp_shape z, int parts)
{
    TP_TRY(tp_tensor_new(&p->z, TP_F64, z));
    for (int k = 0; k < parts; k++) {
        TP_TRY(tp_tensor_new(&p->part[k], TP_F64, TP_SHAPE(z.dim[0], z.dim[1])));
        TP_TRY(tp_tensor_new(&p->grad[k], TP_F64, z));
    }
    return TP_OK;
}

static tp_status make(tp_hmc *h, const tp_tensor *z)
{
    const tp_shape s = z->shape, rows = TP_SHAPE(s.dim[0], s.dim[1]), each = TP_SHAPE(s.dim[1]);
    TP_TRY(make_point(&h->at, s, h->density.parts));
    TP_TRY(make_point(&h->next, s, h->density.parts));
    TP_TRY(tp_tensor_new(&h->momentum, TP_F64, s));
    TP_TRY(tp_tensor_new(&h->uniform, TP_F64, rows));
    TP_TRY(tp_tensor_new(&h->start, TP_F64, rows));
    TP_TRY(tp_tensor_new(&h->leaf, z->dtype, s));
    TP_TRY(tp_tensor_new(&h->accepted, TP_F64, each));
    TP_TRY(tp_tensor_new(&h->step, TP_F64, each));
    TP_TRY(tp_fill(&h->step, h->opts.step));
    return tp_copy(&h->at.z, z);
}

static tp_status check_start(const tp_hmc *h)
{
    char text[TP_SHAPE_TEXT];
    for (int k = 0; k < h->density.parts; k++)
        for (int64_t i = 0; i < tp_numel(&h->at.part[k]); i++)
            if (isnan(tp_flat(&h->at.part[k], i)))
                return tp_fail(TP_ENONFINITE,
                               "part %d of the log-density is NaN where chain %s starts", k,
                               tp_index_text(h->at.part[k].shape, i, text));
    return TP_OK;
}

tp_status tp_hmc_init(tp_hmc *h, tp_tape *t, tp_hmc_density density, tp_hmc_opts opts,
                      const tp_tensor *z)
{
    *h = (tp_hmc){.tape = t, .density = density, .opts = opts, .weight = {1, 1}};
    tp_status s = check(&density, &opts, z);
    if (s == TP_OK)
        s = make(h, z);
    if (s == TP_OK)
        s = evaluate(h, &h->at);
    if (s == TP_OK)
        s = check_start(h);
    if (s != TP_OK) {
        tp_fail_prefix("HMC: ");
        tp_hmc_free(h);
    }
    return s;
}

static void free_point(tp_hmc_point *p)
{
    tp_tensor_free(&p->z);
    for (int k = 0; k < TP_HMC_PARTS; k++) {
        tp_tensor_free(&p->part[k]);
        tp_tensor_free(&p->grad[k]);
    }
}

void tp_hmc_free(tp_hmc *h)
{
    tp_tensor *all[] = {&h->step, &h->accepted, &h->momentum, &h->uniform, &h->start, &h->leaf};
    free_point(&h->at);
    free_point(&h->next);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        tp_tensor_free(all[i]);
}
