/* test_ops_slots.c: the same var in several slots of one op. For every op and composition with two or more float
 * inputs, every sample and every set of slots whose shapes allow it: the value is that of equal but separate
 * inputs, the gradient is the sum of the slots' gradients (of a row bit for bit), and it is the derivative by
 * differences, in both orders. Other graphs: tests/autograd/test_graphs.c. */
#include "autograd/node.h"
#include "autograd/ops.h"
#include "autograd/sweep.h"
#include "tests/support/check.h"
#include "tests/support/compositions.h"
#include "tests/support/ops.h"

#include <stdio.h>

/* A sample whose inputs in slots are one. */
typedef struct trial {
    const tp_op *op;
    tp_sample sample;
    unsigned slots;                   /* TP_READS bits */
    int first;                        /* the lowest of them: its tensor is the shared one */
    tp_parameter p[TP_SAMPLE_INPUTS]; /* differentiated by */
    tp_tensor data[TP_SAMPLE_INPUTS]; /* or not */
    tp_parameter *wrt[TP_SAMPLE_INPUTS];
    int wrt_count;
} trial;

static int failures, sums, checked;

static bool in_slots(const trial *r, int i)
{
    return r->slots & TP_READS(i);
}

static void complain(const trial *r, const char *what)
{
    print_error("%s, sample '%s', slots %#x: %s\n", r->op->name, r->sample.note, r->slots, what);
    failures++;
}

/* --- making one --------------------------------------------------------------------------------- */

/* Where the values of an input lie; false for masks and matrices, which are more than a range. */
static bool range(const tp_sample_input *in, double *lo, double *hi)
{
    bool given = in->lo != 0 || in->hi != 0, positive = in->fill == TP_FILL_POSITIVE;
    *lo = given ? in->lo : positive ? 0.3 : in->fill == TP_FILL_UNIT ? 0 : -2;
    *hi = given ? in->hi : positive ? 3 : in->fill == TP_FILL_UNIT ? 1 : 2;
    return in->fill == TP_FILL_REAL || positive || in->fill == TP_FILL_UNIT;
}

/* The shared input has values that suit every slot: in all ranges, or matrices or a mask if one is that. */
static void share(trial *r, tp_shape shape)
{
    tp_sample_input common = r->sample.x[r->first];
    for (int i = r->first + 1; i < r->sample.n; i++) {
        double lo, hi, low, high;
        const tp_sample_input *in = &r->sample.x[i];
        if (!in_slots(r, i))
            continue;
        bool ranges = range(&common, &lo, &hi);
        if (!range(in, &low, &high))
            common = *in;
        else if (ranges && low <= hi &&
                 lo <= high) /* else any will do: no op has two such domains */
            common.lo = lo > low ? lo : low, common.hi = hi < high ? hi : high;
    }
    common.shape = shape;
    for (int i = 0; i < r->sample.n; i++)
        if (in_slots(r, i)) {
            common.fixed = r->sample.x[i].fixed;
            r->sample.x[i] = common;
        }
}

static void fill(trial *r, tp_dtype dtype, uint64_t seed)
{
    for (int i = 0; i < r->sample.n; i++) {
        int from = in_slots(r, i) ? r->first : i;
        assert_ok(tp_sample_fill(&r->sample.x[i], dtype, seed + (uint64_t)from, &r->data[i]));
        if (!tp_dtype_is_float(r->data[i].dtype))
            continue;
        assert_ok(tp_parameter_init(&r->p[i], "input", dtype, r->data[i].shape));
        assert_ok(tp_copy(&r->p[i].value, &r->data[i]));
        if (from == i && !tp_sample_fixed(&r->sample.x[i]))
            r->wrt[r->wrt_count++] = &r->p[i];
    }
}

static void drop(trial *r)
{
    for (int i = 0; i < TP_SAMPLE_INPUTS; i++) {
        tp_parameter_free(&r->p[i]);
        tp_tensor_free(&r->data[i]);
        r->wrt[i] = NULL;
    }
    r->wrt_count = 0;
}

/* apart: every slot has its own leaf, of equal value. */
static tp_var run(tp_tape *t, trial *r, bool apart, tp_var *x)
{
    for (int i = 0; i < r->sample.n; i++)
        if (in_slots(r, i) && !apart)
            x[i] = tp_param(t, &r->p[r->first]);
        else if (r->p[i].name == NULL || (!in_slots(r, i) && tp_sample_fixed(&r->sample.x[i])))
            x[i] = tp_constant(t, &r->data[i]);
        else
            x[i] = tp_param(t, &r->p[i]);
    return op_call(t, r->op, r->sample.n, x, r->sample.attr);
}

static tp_var run_shared(tp_tape *t, void *r)
{
    tp_var x[TP_SAMPLE_INPUTS];
    return run(t, r, false, x);
}

/* --- sums of slots, bit for bit ----------------------------------------------------------------- */

/* Value and gradients on a tape: g[i] empty where there is none. */
static void gradients(tp_tape *t, trial *r, bool apart, bool composed, tp_tensor *y, tp_tensor *g)
{
    tp_var x[TP_SAMPLE_INPUTS], by[TP_SAMPLE_INPUTS], out[TP_SAMPLE_INPUTS];
    tp_tensor v;
    int n = 0, slot[TP_SAMPLE_INPUTS];
    tp_tape_reset(t);
    tp_var result = run(t, r, apart, x);
    assert_ok(tp_tape_status(t));
    assert_ok(tp_clone(y, tp_value(result)));
    for (int i = 0; i < r->sample.n; i++) {
        bool mine = apart || !in_slots(r, i) || i == r->first;
        if (tp_needs_grad(x[i]) && mine) {
            slot[n] = i;
            by[n++] = x[i];
        }
    }
    if (n == 0 || !tp_needs_grad(result))
        return;
    draw_cotangent(&v, y->dtype, y->shape, 11);
    tp_var gy = tp_constant(t, &v);
    assert_ok(tp_grad(
        1, &result, n, by, out,
        (tp_grad_opts){.grad_outputs = &gy, .create_graph = composed, .allow_unused = true}));
    for (int k = 0; k < n; k++)
        assert_ok(tp_clone(&g[slot[k]], tp_value(out[k])));
    tp_tensor_free(&v);
}

/* All bits but the sign of zero: a slot that gets no gradient adds +0 here, and nothing in the sweep. A
 * composition may add its slots in another order: there the last digits may differ. */
static bool same(const trial *r, const tp_tensor *a, const tp_tensor *b)
{
    bool equal = tp_shape_equal(a->shape, b->shape);
    double rel = r->op->vjp != NULL ? 0 : a->dtype == TP_F32 ? 1e-6 : 2e-15;
    for (int64_t i = 0; i < tp_numel(a) && equal; i++)
        equal = close_enough(tp_flat(a, i), tp_flat(b, i), rel, rel);
    return equal;
}

/* sum += g in the arithmetic of their type */
static void add_to(tp_tensor *sum, const tp_tensor *g)
{
    for (int64_t i = 0; i < tp_numel(sum); i++) {
        double a = tp_flat(sum, i), b = tp_flat(g, i);
        assert_ok(tp_set_flat(sum, i, sum->dtype == TP_F32 ? (float)a + (float)b : a + b));
    }
}

static void check_sums(tp_tape *t, trial *r, bool composed)
{
    tp_tensor y[2] = {{0}}, shared[TP_SAMPLE_INPUTS] = {{0}}, apart[TP_SAMPLE_INPUTS] = {{0}};
    gradients(t, r, false, composed, &y[0], shared);
    gradients(t, r, true, composed, &y[1], apart);
    if (!same(r, &y[0], &y[1]))
        complain(r, "the value differs from that of separate inputs");
    tp_tensor *sum = NULL;
    for (int i = 0; i < r->sample.n; i++)
        if (in_slots(r, i) && apart[i].storage != NULL) {
            if (sum == NULL)
                sum = &apart[i];
            else
                add_to(sum, &apart[i]);
        }
    if (sum != NULL && !same(r, sum, &shared[r->first]))
        complain(r, composed ? "the gradient is not the sum of the slots', composed rule"
                             : "the gradient is not the sum of the slots'");
    sums += sum != NULL;
    for (int i = 0; i < TP_SAMPLE_INPUTS; i++) {
        if (!in_slots(r, i) && shared[i].storage != NULL && !same(r, &shared[i], &apart[i]))
            complain(r, "the gradient of another input changed");
        tp_tensor_free(&shared[i]), tp_tensor_free(&apart[i]);
    }
    tp_tensor_free(&y[0]), tp_tensor_free(&y[1]);
}

/* --- the derivative ----------------------------------------------------------------------------- */

/* True if compared. Data among the slots moves with the others: then there is nothing to compare with. */
static bool check_derivative(trial *r)
{
    for (int i = 0; i < r->sample.n; i++)
        if (in_slots(r, i) && tp_sample_fixed(&r->sample.x[i]))
            return false;
    if (r->op->smooth != TP_SMOOTH && r->op->smooth != TP_PIECEWISE)
        return false;
    int tries = r->op->smooth == TP_PIECEWISE ? 5 : 1; /* others, where the first hit a kink */
    tp_status status = TP_EVALUE;
    for (int k = 0; k < tries && status != TP_OK; k++) {
        fill(r, TP_F64, 40 + 10 * (uint64_t)k);
        status = TP_OK;
        for (int order = 1; order <= 2 && status == TP_OK; order++)
            status = tp_gradcheck(run_shared, r, r->wrt_count, r->wrt,
                                  (tp_check_opts){.order = order}, NULL);
        drop(r);
    }
    if (status != TP_OK)
        complain(r, tp_last_error());
    checked++;
    return true;
}

/* --- all of them -------------------------------------------------------------------------------- */

/* Whether the op takes the trial's shapes. */
static bool accepted(tp_tape *t, trial *r)
{
    tp_var x[TP_SAMPLE_INPUTS];
    tp_sample_input in = r->sample.x[r->first];
    tp_shape s = in.shape;
    if (in.fill == TP_FILL_SPD && (s.ndim < 2 || s.dim[s.ndim - 1] != s.dim[s.ndim - 2]))
        return false;
    tp_tape_reset(t);
    fill(r, TP_F64, 40);
    run(t, r, false, x);
    drop(r);
    if (tp_tape_status(t) != TP_OK && tp_tape_status(t) != TP_ESHAPE)
        complain(r, tp_tape_message(t));
    return tp_tape_status(t) == TP_OK;
}

typedef struct outcome {
    bool summed, compared;
} outcome;

static void try_slots(tp_tape *t, const tp_op *op, const tp_sample *s, unsigned slots,
                      tp_shape shape, outcome *o)
{
    static const tp_dtype dtypes[] = {TP_F64, TP_F32};
    trial r = {.op = op, .sample = *s, .slots = slots};
    while (!in_slots(&r, r.first))
        r.first++;
    share(&r, shape);
    if (!accepted(t, &r))
        return;
    for (int d = 0; d < 2; d++) {
        fill(&r, dtypes[d], 40);
        for (int composed = 0; composed < 2; composed++)
            check_sums(t, &r, composed);
        drop(&r);
    }
    o->summed = true;
    o->compared |= check_derivative(&r);
}

static void try_sample(tp_tape *t, const tp_op *op, const tp_sample *s, outcome *o)
{
    for (unsigned slots = 3; slots < 1u << s->n; slots++) {
        int members = 0;
        bool integers = false;
        for (int i = 0; i < s->n; i++)
            if (slots & TP_READS(i)) {
                members++;
                integers |= s->x[i].fill == TP_FILL_INDEX;
            }
        if (members < 2 || integers)
            continue;
        tp_shape seen = TP_SHAPE(3, 3);
        try_slots(t, op, s, slots, seen, o); /* what matrices have in common */
        for (int i = 0; i < s->n; i++)
            if ((slots & TP_READS(i)) && !tp_shape_equal(s->x[i].shape, seen)) {
                seen = s->x[i].shape;
                try_slots(t, op, s, slots, seen, o);
            }
    }
}

static void try_op(const tp_op *op)
{
    outcome o = {0};
    tp_tape *t;
    int floats = 0, differentiable = 0;
    assert_ok(tp_tape_new(&t));
    for (int k = 0; k < op->sample_count; k++) {
        const tp_sample *s = &op->samples[k];
        int f = 0, d = 0;
        for (int i = 0; i < s->n; i++) {
            f += s->x[i].fill != TP_FILL_INDEX;
            d += !tp_sample_fixed(&s->x[i]);
        }
        floats = f > floats ? f : floats;
        differentiable = d > differentiable ? d : differentiable;
        try_sample(t, op, s, &o);
    }
    tp_tape_free(t);
    bool derived = op->smooth == TP_SMOOTH || op->smooth == TP_PIECEWISE;
    if ((floats > 1 && !o.summed) || (differentiable > 1 && derived && !o.compared)) {
        print_error("%s: no sample lets two slots hold the same var\n", op->name);
        failures++;
    }
}

static void test_rows(void **state)
{
    (void)state;
    for (int i = 0; i < tp_op_count; i++)
        try_op(tp_ops[i]);
    for (int i = 0; i < composition_count; i++)
        try_op(compositions[i]);
    printf("%d sums of slots bit for bit, %d derivatives\n", sums, checked);
    assert_int_equal(failures, 0);
    assert_true(sums > 200 && checked > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
