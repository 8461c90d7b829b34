/* check_op.c: what an operation's file promises, put to the test: every sample by gradient check, every
 * refusal by being refused. Used by tests/ops/ for the table and by users for ops of their own.
 * The comparison itself is check.c. */
#include "autograd/check.h"
#include "autograd/ops.h"
#include "autograd/sweep.h"
#include "tensor/gather.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- drawing inputs ----------------------------------------------------------------------------- */

bool tp_sample_fixed(const tp_sample_input *in)
{
    return in->fixed || in->fill == TP_FILL_MASK || in->fill == TP_FILL_INDEX;
}

/* One element out of a uniform draw u in (0,1). */
static double shape_draw(const tp_sample_input *in, double u)
{
    double lo = in->lo, hi = in->hi;
    if (lo == 0 && hi == 0) {
        lo = in->fill == TP_FILL_POSITIVE ? 0.3 : in->fill == TP_FILL_UNIT ? 0 : -2;
        hi = in->fill == TP_FILL_POSITIVE ? 3 : in->fill == TP_FILL_UNIT ? 1 : 2;
    }
    if (in->fill == TP_FILL_MASK)
        return u < 0.5;
    if (in->fill == TP_FILL_INDEX)
        return floor(u * in->hi);
    return lo + (hi - lo) * u;
}

/* C·Cᵀ/n + I for every matrix [n,n], C its lower triangle, in place. */
static void make_spd(double *b, int64_t n)
{
    for (int64_t i = n; i-- > 0;)
        for (int64_t j = i + 1; j-- > 0;) { /* what is written above the diagonal is not read */
            double sum = i == j;
            for (int64_t k = 0; k <= j; k++)
                sum += b[i * n + k] * b[j * n + k] / (double)n;
            b[j * n + i] = sum;
        }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++)
            b[i * n + j] = b[j * n + i];
}

tp_status tp_sample_fill(const tp_sample_input *in, tp_dtype dtype, uint64_t seed, tp_tensor *out)
{
    tp_tensor draws, t;
    int d = in->shape.ndim;
    bool spd = in->fill == TP_FILL_SPD;
    if (spd && (d < 2 || in->shape.dim[d - 1] != in->shape.dim[d - 2]))
        return tp_fail(TP_ESHAPE, "a sample of positive definite matrices must be square");
    TP_TRY(tp_tensor_new(&draws, TP_F64, in->shape));
    tp_status s = tp_random_uniform(&draws, (tp_rng_key){seed, 0, 0});
    double *x = tp_data_mut(&draws);
    int64_t numel = tp_numel(&draws), n = spd ? in->shape.dim[d - 1] : 0;
    for (int64_t i = 0; i < numel; i++)
        x[i] = shape_draw(in, x[i]);
    for (int64_t i = 0; spd && i < numel; i += n * n)
        make_spd(x + i, n);
    if (s == TP_OK)
        s = tp_tensor_new(&t, in->fill == TP_FILL_INDEX ? TP_I64 : dtype, in->shape);
    if (s == TP_OK && (s = tp_copy(&t, &draws)) != TP_OK)
        tp_tensor_free(&t);
    if (s == TP_OK)
        *out = t;
    tp_tensor_free(&draws);
    return s;
}

/* --- running a sample --------------------------------------------------------------------------- */

typedef struct trial {
    const tp_op *op;
    const tp_sample *sample;
    tp_parameter p[TP_SAMPLE_INPUTS]; /* inputs that are differentiated by; no name: a fixed one */
    tp_tensor data[TP_SAMPLE_INPUTS];
    int count;
    tp_parameter weight; /* if it has a name, the result is multiplied by it */
    tp_parameter *wrt[TP_SAMPLE_INPUTS + 1];
} trial;

static tp_var apply(tp_tape *t, const tp_op *op, int n, const tp_var *x, const void *attr)
{
    return op->call != NULL ? op->call(t, n, x, attr) : tp_apply_on(t, op, n, x, attr);
}

tp_var tp_check_apply(tp_tape *t, const tp_op *op, int n, const tp_var *x, const void *attr)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    tp_var y = apply(t, op, n, x, attr);
    if (op->surrogate == NULL)
        return y;
    tp_var s = tp_detach(op->surrogate(t, n, x, attr));
    if (tp_tape_status(t) == TP_OK && !tp_shape_equal(tp_shape_of(s), tp_shape_of(y))) {
        tp_fail(TP_ESHAPE, "the surrogate of %s has shape %s, its result %s", op->name,
                tp_shape_text(tp_shape_of(s), a), tp_shape_text(tp_shape_of(y), b));
        return tp_tape_poison(t, TP_ESHAPE);
    }
    return tp_add(s, tp_sub(y, tp_detach(y))); /* a finite y less itself is 0 */
}

static tp_var run_trial(tp_tape *t, void *user)
{
    trial *r = user;
    tp_var x[TP_SAMPLE_INPUTS];
    for (int i = 0; i < r->sample->n; i++)
        x[i] = r->p[i].name != NULL ? tp_param(t, &r->p[i]) : tp_constant(t, &r->data[i]);
    tp_var y = tp_check_apply(t, r->op, r->sample->n, x, r->sample->attr);
    return r->weight.name != NULL ? tp_mul(y, tp_param(t, &r->weight)) : y;
}

/* The rule of a linear op depends on nothing but its cotangent: at second order that must vary too. */
static tp_status weigh(trial *r)
{
    tp_tape *t;
    TP_TRY(tp_tape_new(&t));
    tp_shape shape = tp_shape_of(run_trial(t, r));
    tp_status s = tp_tape_status(t);
    tp_tape_free(t);
    TP_TRY(s);
    TP_TRY(tp_parameter_init(&r->weight, "cotangent", TP_F64, shape));
    TP_TRY(tp_random_uniform(&r->weight.value, (tp_rng_key){1, 0, 0}));
    double *w = tp_data_mut(&r->weight.value);
    for (int64_t i = 0; i < tp_numel(&r->weight.value); i++)
        w[i] += 0.5;
    r->wrt[r->count++] = &r->weight;
    return TP_OK;
}

static void free_trial(trial *r)
{
    for (int i = 0; i < TP_SAMPLE_INPUTS; i++) {
        tp_tensor_free(&r->data[i]);
        tp_parameter_free(&r->p[i]);
    }
    tp_parameter_free(&r->weight);
    r->count = 0;
}

static tp_status fill_trial(trial *r, uint64_t seed)
{
    char name[24];
    for (int i = 0; i < r->sample->n; i++) {
        const tp_sample_input *in = &r->sample->x[i];
        TP_TRY(tp_sample_fill(in, TP_F64, seed + 1000 * (uint64_t)i, &r->data[i]));
        if (tp_sample_fixed(in))
            continue;
        snprintf(name, sizeof name, "input %d", i);
        TP_TRY(tp_parameter_init(&r->p[i], name, TP_F64, in->shape));
        TP_TRY(tp_copy(&r->p[i].value, &r->data[i]));
        r->wrt[r->count++] = &r->p[i];
    }
    return TP_OK;
}

/* The result must be finite; if the op passes no gradient, it must not pretend to. */
static tp_status check_value(trial *r)
{
    tp_tape *t;
    char at[TP_SHAPE_TEXT];
    TP_TRY(tp_tape_new(&t));
    tp_var y = run_trial(t, r);
    const tp_tensor *value = tp_value(y);
    tp_status s = value == NULL ? tp_var_status(y) : TP_OK;
    for (int64_t i = 0; s == TP_OK && i < tp_numel(value); i++)
        if (!isfinite(tp_flat(value, i)))
            s = tp_fail(TP_EVALUE, "element %s of the result is %g",
                        tp_index_text(value->shape, i, at), tp_flat(value, i));
    if (s == TP_OK && r->op->smooth == TP_NO_GRADIENT && tp_needs_grad(y))
        s = tp_fail(TP_EVALUE, "the result needs a gradient, but the operation passes none");
    tp_tape_free(t);
    return s;
}

static void add_report(tp_check_report *sum, const tp_check_report *one)
{
    tp_check_report old = *sum;
    if (one->worst >= old.worst)
        *sum = *one;
    sum->checked = old.checked + one->checked;
    sum->skipped_kinks = old.skipped_kinks + one->skipped_kinks;
    sum->samples = old.samples;
    sum->refusals = old.refusals;
}

/* First order, second order, and second order by the cotangent as well: not only so, because what the gradient
 * by the cotangent adds may be far larger than a second derivative. *kinks counts what had to be skipped. */
static tp_status check_gradients(trial *r, tp_check_report *report, int64_t *kinks)
{
    static const int orders[] = {1, 2, 2};
    for (int k = 0; k < 3; k++) {
        tp_check_report one;
        if (k == 2)
            TP_TRY(weigh(r));
        tp_status s =
            tp_gradcheck(run_trial, r, r->count, r->wrt, (tp_check_opts){.order = orders[k]}, &one);
        *kinks += one.skipped_kinks;
        add_report(report, &one);
        if (s != TP_OK)
            return s;
    }
    return TP_OK;
}

static tp_status check_sample(const tp_op *op, const tp_sample *sample, tp_check_report *report)
{
    enum { DRAWS = 8 };
    trial r = {.op = op, .sample = sample};
    tp_status s = TP_OK;
    int64_t kinks = 1;
    for (uint64_t seed = 1; seed <= DRAWS && s == TP_OK && kinks > 0; seed++) {
        kinks = 0;
        s = fill_trial(&r, seed);
        if (s == TP_OK)
            s = check_value(&r);
        if (s == TP_OK && r.count > 0 && op->smooth != TP_NO_GRADIENT)
            s = check_gradients(&r, report, &kinks);
        free_trial(&r);
        if (op->smooth == TP_SMOOTH && kinks > 0 && s == TP_OK)
            s = tp_fail(TP_EVALUE, "called smooth, but %lld of its elements have a kink",
                        (long long)kinks);
    }
    if (s == TP_OK && kinks > 0)
        s = tp_fail(TP_EVALUE, "%d draws of inputs all hit a kink", DRAWS);
    return s;
}

/* --- running a refusal -------------------------------------------------------------------------- */

static tp_status refuse(tp_tape *t, const tp_op *op, const tp_refusal *f, tp_tensor *data)
{
    tp_var x[TP_SAMPLE_INPUTS];
    for (int i = 0; i < f->n; i++) {
        TP_TRY(tp_tensor_new(&data[i], f->x[i].dtype, f->x[i].shape));
        TP_TRY(tp_fill(&data[i], f->x[i].value));
        x[i] = tp_constant(t, &data[i]);
    }
    tp_var y = apply(t, op, f->n, x, f->attr);
    if (tp_tape_status(t) == TP_OK)
        return tp_fail(TP_EVALUE, "accepted; %s needed", tp_status_name(f->status));
    if (tp_tape_status(t) == TP_ENOMEM && f->status != TP_ENOMEM)
        return TP_ENOMEM;
    if (tp_tape_status(t) != f->status || strstr(tp_tape_message(t), f->says) == NULL)
        return tp_fail(TP_EVALUE, "%s with '%s' needed, but it failed with %s",
                       tp_status_name(f->status), f->says, tp_tape_message(t));
    if (tp_var_status(y) != f->status || tp_value(y) != NULL)
        return tp_fail(TP_EVALUE, "refused, but its result is not poisoned");
    return TP_OK;
}

static tp_status check_refusal(const tp_op *op, const tp_refusal *f)
{
    tp_tensor data[TP_SAMPLE_INPUTS] = {{0}};
    tp_tape *t;
    TP_TRY(tp_tape_new(&t));
    tp_status s = refuse(t, op, f, data);
    tp_tape_free(t);
    for (int i = 0; i < TP_SAMPLE_INPUTS; i++)
        tp_tensor_free(&data[i]);
    return s;
}

tp_status tp_check_op(const tp_op *op, tp_check_report *report)
{
    tp_check_report sum = {0};
    tp_status s = TP_OK;
    if (op->smooth < TP_SMOOTH || op->smooth > TP_NO_GRADIENT)
        s = tp_fail(TP_EARG, "op %s does not say whether it is smooth: set .smooth", op->name);
    else if ((op->smooth == TP_ESTIMATOR) != (op->surrogate != NULL))
        s = tp_fail(TP_EARG, "op %s: an estimator, and nothing else, has a .surrogate", op->name);
    for (int i = 0; i < op->sample_count && s == TP_OK; i++, sum.samples++)
        if ((s = check_sample(op, &op->samples[i], &sum)) != TP_OK)
            tp_fail_prefix("op %s, sample '%s': ", op->name, op->samples[i].note);
    for (int i = 0; i < op->refusal_count && s == TP_OK; i++, sum.refusals++)
        if ((s = check_refusal(op, &op->refusals[i])) != TP_OK)
            tp_fail_prefix("op %s, refusal '%s': ", op->name, op->refusals[i].note);
    if (report != NULL)
        *report = sum;
    return s;
}
