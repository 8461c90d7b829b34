/* reference_run.c: samples of operations, run on numbers that a reader can follow. See reference.h. */
#include "tests/docs/reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/check.h"

/* --- inputs ------------------------------------------------------------------------------------- */

/* Simple numbers for element k of input i, within the sample's bounds. */
static double simple(const tp_sample_input *in, int i, int64_t k)
{
    static const double real[] = {1, -2, 0.5, 2, -1, 1.5}, positive[] = {1, 2, 0.5, 1.5, 0.75, 2.5};
    static const double part[] = {0.5, 0.25, 0.75, 1, 0};
    int64_t n = in->shape.ndim > 0 ? in->shape.dim[in->shape.ndim - 1] : 1, j = k + 2 * i;
    double lo = in->lo, hi = in->hi, v;
    switch (in->fill) {
    case TP_FILL_MASK:
        return j % 3 != 1;
    case TP_FILL_INDEX:
        return (double)((j + 1) % (int64_t)hi);
    case TP_FILL_SPD: /* of which the Cholesky factor is all twos */
        return 4 * (double)((k % n < k / n % n ? k % n : k / n % n) + 1);
    case TP_FILL_UNIT:
        v = part[j % 5];
        break;
    case TP_FILL_POSITIVE:
        v = positive[j % 6];
        break;
    default:
        v = real[j % 6];
    }
    return (lo == 0 && hi == 0) || (v >= lo && v <= hi) ? v : lo + (hi - lo) * part[j % 5];
}

static void fill(tp_tensor *t, const tp_sample_input *in, int i, tp_dtype dtype)
{
    tp_dtype d = in->fill == TP_FILL_INDEX ? TP_I64 : dtype;
    if (tp_tensor_new(t, d, in->shape) != TP_OK)
        exit(1);
    for (int64_t k = 0; k < tp_numel(t); k++)
        if (tp_set_flat(t, k, tp_dtype_is_float(d) || d == TP_I64 ? simple(in, i, k) : 1) != TP_OK)
            exit(1);
}

/* "(tp_var mu, const tp_var *x, int n)": the names of the vars; those of an array are numbered. */
static void name_inputs(run *r, const char *prototype)
{
    int n = 0;
    const char *p = strchr(prototype, '(');
    for (; p != NULL && n < r->sample.n; p = strchr(p + 1, ',')) {
        const char *var = p + strspn(p, "(, ");
        bool array = strncmp(var, "const tp_var *", 14) == 0;
        if (!array && strncmp(var, "tp_var ", 7) != 0)
            continue;
        var += array ? 14 : 7;
        int length = (int)strcspn(var, ",)[ ");
        for (int i = 0; n < r->sample.n && (i == 0 || array); i++, n++)
            if (array)
                snprintf(r->name[n], sizeof r->name[n], "%.*s%d", length, var, i);
            else
                snprintf(r->name[n], sizeof r->name[n], "%.*s", length, var);
    }
    need(n == r->sample.n, r->op->name, "the prototype has not as many vars as the sample");
}

void begin_run(run *r, const tp_op *op, tp_sample sample, const char *prototype, tp_dtype dtype)
{
    *r = (run){.op = op, .sample = sample};
    need(tp_tape_new(&r->tape) == TP_OK, op->name, "no tape");
    name_inputs(r, prototype);
    for (int i = 0; i < sample.n; i++) {
        fill(&r->data[i], &sample.x[i], i, dtype);
        bool leaf = !tp_sample_fixed(&sample.x[i]) && tp_dtype_is_float(r->data[i].dtype);
        r->x[i] = leaf ? tp_leaf(r->tape, &r->data[i]) : tp_constant(r->tape, &r->data[i]);
        tp_name(r->x[i], r->name[i], NULL, 0);
    }
    r->y = op->call(r->tape, sample.n, r->x, sample.attr);
    r->result = "y";
    for (int i = 0; i < sample.n; i++)
        r->result = strcmp(r->name[i], "y") == 0 ? "z" : r->result;
}

void end_run(run *r)
{
    tp_tape_free(r->tape);
    for (int i = 0; i < r->sample.n; i++)
        tp_tensor_free(&r->data[i]);
}

/* Whether all tensors of a run can be shown whole. */
static bool small(const run *r)
{
    const tp_tensor *y = tp_value(r->y);
    int64_t most = y == NULL ? 0 : tp_numel(y), least = most;
    for (int i = 0; i < r->sample.n; i++) {
        int64_t n = tp_numel(&r->data[i]);
        most = n > most ? n : most;
        least = n < least ? n : least;
    }
    return least >= 1 && most >= 2 && most <= 12;
}

/* Every input a vector of three, if all tensors have one shape. */
static bool as_vectors(const run *r, tp_sample *s)
{
    *s = r->sample;
    for (int i = 0; i < s->n; i++) {
        if (!tp_shape_equal(s->x[i].shape, tp_shape_of(r->y)))
            return false;
        s->x[i].shape = TP_SHAPE(3);
    }
    return s->n > 0;
}

/* Every size above 2 one less: equal ones stay equal, others stay different. */
static bool as_smaller(const run *r, tp_sample *s)
{
    *s = r->sample;
    for (int i = 0; i < s->n; i++)
        for (int k = 0; k < s->x[i].shape.ndim; k++)
            s->x[i].shape.dim[k] -= s->x[i].shape.dim[k] > 2;
    return s->n > 0;
}

static bool as_it_is(const run *r, tp_sample *s)
{
    *s = r->sample;
    return true;
}

tp_sample choose_sample(const tp_op *op, const char *prototype)
{
    bool (*const how[])(const run *r, tp_sample *s) = {as_vectors, as_smaller, as_it_is};
    for (int i = 0; i < op->sample_count; i++)
        for (int k = 0; k < 3; k++) {
            run r, changed;
            tp_sample s;
            begin_run(&r, op, op->samples[i], prototype, TP_F64);
            bool good = how[k](&r, &s);
            end_run(&r);
            if (!good)
                continue;
            begin_run(&changed, op, s, prototype, TP_F64);
            good =
                small(&changed) && (k > 0 || tp_shape_equal(tp_shape_of(changed.y), TP_SHAPE(3)));
            end_run(&changed);
            if (good)
                return s;
        }
    return op->samples[0];
}

void simple_like(tp_var v, tp_tensor *t)
{
    fill(t, &(tp_sample_input){.shape = tp_shape_of(v)}, 2, TP_F64);
}
