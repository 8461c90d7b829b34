/* test_ops_reads.c: .reads says which values a rule needs. After the forward pass every value it does not name
 * is overwritten with NaN behind the tape's back: the gradients must not change by a bit. A value that it
 * does name must matter for some sample, or the tape keeps it for nothing. */
#include "autograd/node.h"
#include "autograd/ops.h"
#include "autograd/sweep.h"
#include "tests/support/check.h"
#include "tests/support/ops.h"

#include <stdio.h>
#include <string.h>

/* All bits set: NaN, or the index -1. The version is not told. */
static void poison(const tp_tensor *x)
{
    memset(x->storage->data, 0xff, x->storage->bytes);
}

typedef struct run {
    const tp_op *op;
    const tp_sample *sample;
    tp_tensor x[TP_SAMPLE_INPUTS], kept[TP_SAMPLE_INPUTS], v, gx[TP_SAMPLE_INPUTS];
    int wanted;
} run;

static void make(run *r, const tp_op *op, const tp_sample *s)
{
    *r = (run){.op = op, .sample = s};
    for (int i = 0; i < s->n; i++) {
        assert_ok(tp_sample_fill(&s->x[i], TP_F64, 5 + (uint64_t)i, &r->kept[i]));
        assert_ok(tp_clone(&r->x[i], &r->kept[i]));
        r->wanted += !tp_sample_fixed(&s->x[i]);
    }
}

static void drop(run *r)
{
    tp_tensor_free(&r->v);
    for (int i = 0; i < TP_SAMPLE_INPUTS; i++) {
        tp_tensor_free(&r->x[i]);
        tp_tensor_free(&r->kept[i]);
        tp_tensor_free(&r->gx[i]);
    }
}

/* Forward, then poison what mask names (TP_READS bits), then gradients into g. */
static tp_status gradients(run *r, unsigned mask, bool create_graph, tp_tensor *g)
{
    tp_tape *t;
    tp_var x[TP_SAMPLE_INPUTS], by[TP_SAMPLE_INPUTS], out[TP_SAMPLE_INPUTS];
    int n = 0;
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < r->sample->n; i++) {
        memcpy(r->x[i].storage->data, r->kept[i].storage->data, r->x[i].storage->bytes);
        if (tp_sample_fixed(&r->sample->x[i]))
            x[i] = tp_constant(t, &r->x[i]);
        else
            x[i] = by[n++] = tp_leaf(t, &r->x[i]);
    }
    tp_var y = op_call(t, r->op, r->sample->n, x, r->sample->attr);
    assert_ok(tp_tape_status(t));
    if (r->v.storage == NULL)
        draw_cotangent(&r->v, TP_F64, tp_shape_of(y), 3);
    tp_var v = tp_constant(t, &r->v);
    for (int i = 0; i < r->sample->n; i++)
        if (mask & TP_READS(i))
            poison(&r->x[i]);
    if (mask & TP_READS_Y)
        poison(tp_value(y));
    tp_status s = tp_grad(
        1, &y, n, by, out,
        (tp_grad_opts){.grad_outputs = &v, .create_graph = create_graph, .allow_unused = true});
    for (int i = 0; i < n && s == TP_OK; i++)
        assert_ok(tp_clone(&g[i], tp_value(out[i])));
    tp_tape_free(t);
    return s;
}

/* Whether the gradients with mask poisoned are those of before, bit for bit. */
static bool unmoved(run *r, unsigned mask, bool create_graph)
{
    tp_tensor g[TP_SAMPLE_INPUTS] = {{0}};
    bool same = gradients(r, mask, create_graph, g) == TP_OK;
    for (int i = 0; i < r->wanted; i++) {
        same = same && equal_bits(&g[i], &r->gx[i]);
        tp_tensor_free(&g[i]);
    }
    return same;
}

/* The output is an input's view: they can only be poisoned together. */
static bool aliases(run *r)
{
    tp_tape *t;
    tp_var x[TP_SAMPLE_INPUTS];
    bool found = false;
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < r->sample->n; i++)
        x[i] = tp_constant(t, &r->x[i]);
    tp_var y = op_call(t, r->op, r->sample->n, x, r->sample->attr);
    for (int i = 0; i < r->sample->n; i++)
        found |= tp_value(y)->storage == r->x[i].storage;
    tp_tape_free(t);
    return found;
}

static void check_sample(const tp_op *op, const tp_sample *s, unsigned *needed, int *failures)
{
    run r;
    unsigned all = TP_READS_Y;
    make(&r, op, s);
    for (int i = 0; i < s->n; i++)
        all |= TP_READS(i);
    unsigned unread = all & ~op->reads;
    if (unread != all && aliases(&r))
        unread = 0;
    for (int graph = 0; graph < 2 && r.wanted > 0; graph++) {
        assert_ok(gradients(&r, 0, graph, r.gx));
        if (!unmoved(&r, unread, graph)) {
            print_error("%s, sample '%s', %s rule: reads a value that .reads does not name\n",
                        op->name, s->note, graph ? "composed" : "fastest");
            ++*failures;
        }
        for (int i = 0; i <= s->n; i++) {
            unsigned bit = i < s->n ? TP_READS(i) : TP_READS_Y;
            if ((op->reads & bit) && !unmoved(&r, bit, graph))
                *needed |= bit;
        }
        for (int i = 0; i < r.wanted; i++)
            tp_tensor_free(&r.gx[i]);
    }
    drop(&r);
}

static void test_reads(void **state)
{
    (void)state;
    int failures = 0, checked = 0;
    for (int i = 0; i < tp_op_count; i++) {
        unsigned needed = 0, named = tp_ops[i]->reads;
        if (tp_ops[i]->vjp == NULL)
            continue;
        for (int k = 0; k < tp_ops[i]->sample_count; k++, checked++)
            check_sample(tp_ops[i], &tp_ops[i]->samples[k], &needed, &failures);
        if (tp_ops[i]->arity == TP_ANY_ARITY)
            continue;
        if (needed != named) {
            print_error("%s: .reads is %#x, but only %#x ever mattered\n", tp_ops[i]->name, named,
                        needed);
            failures++;
        }
    }
    printf("%d samples\n", checked);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reads)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
