/* test_ops_versions.c: values written between forward and backward. For every op and sample, each input and the
 * output is overwritten through the public door, which counts writes: if .reads names it, every kind of
 * backward is refused with a message that names op and tensor, and no gradient is left; if not, the gradients
 * keep every bit. That rules read nothing else: test_ops_reads.c. */
#include "autograd/ops.h"
#include "autograd/sweep.h"
#include "tests/support/check.h"
#include "tests/support/ops.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { OUTPUT = TP_SAMPLE_INPUTS, NOTHING };
static const char *const names[] = {"first", "second", "third", "fourth", "result", "nothing"};

typedef enum way { FUSED, COMPOSED, BACKWARD, WAYS } way;
static const char *const way_names[WAYS] = {"tp_grad", "tp_grad with a graph", "tp_backward"};

/* A sample on its tape, evaluated. */
typedef struct scene {
    const tp_op *op;
    const tp_sample *sample;
    tp_tape *tape;
    tp_tensor data[TP_SAMPLE_INPUTS], v;
    tp_var x[TP_SAMPLE_INPUTS], y, gy;
    int wanted;
    tp_var by[TP_SAMPLE_INPUTS];
} scene;

static int failures, refused, unmoved;

static void complain(const tp_op *op, const tp_sample *s, int value, way by, const char *what)
{
    print_error("%s, sample '%s', %s written, %s: %s\n", op->name, s->note, names[value],
                way_names[by], what);
    failures++;
}

static scene play(const tp_op *op, const tp_sample *sample)
{
    scene s = {.op = op, .sample = sample};
    assert_ok(tp_tape_new(&s.tape));
    for (int i = 0; i < sample->n; i++) {
        bool fixed = tp_sample_fixed(&sample->x[i]);
        assert_ok(tp_sample_fill(&sample->x[i], TP_F64, 5 + (uint64_t)i, &s.data[i]));
        s.x[i] = fixed ? tp_constant(s.tape, &s.data[i]) : tp_leaf(s.tape, &s.data[i]);
        tp_name(s.x[i], names[i], "test.c", 1);
        if (!fixed)
            s.by[s.wanted++] = s.x[i];
    }
    s.y = tp_name(op_call(s.tape, op, sample->n, s.x, sample->attr), names[OUTPUT], "test.c", 2);
    assert_ok(tp_tape_status(s.tape));
    draw_cotangent(&s.v, TP_F64, tp_shape_of(s.y), 3);
    s.gy = tp_constant(s.tape, &s.v);
    return s;
}

static void drop(scene *s)
{
    tp_tape_free(s->tape);
    tp_tensor_free(&s->v);
    for (int i = 0; i < TP_SAMPLE_INPUTS; i++)
        tp_tensor_free(&s->data[i]);
}

static const tp_tensor *value_of(const scene *s, int value)
{
    return value == OUTPUT ? tp_value(s->y) : &s->data[value];
}

/* Another number in every element: NaN, or an index far outside. */
static void write(scene *s, int value)
{
    tp_tensor handle = *value_of(s, value);
    if (tp_may_overlap(&handle)) /* an expanded view: the element behind it */
        tp_data_mut(&handle);
    else
        assert_ok(tp_fill(&handle, tp_dtype_is_float(handle.dtype) ? (double)NAN : 1e6));
}

/* Whether a value that the rule reads lies in the memory of this one. */
static bool is_read(const scene *s, int value)
{
    const tp_storage *memory = value_of(s, value)->storage;
    for (int i = 0; i < s->sample->n; i++)
        if ((s->op->reads & TP_READS(i)) && s->data[i].storage == memory)
            return true;
    return (s->op->reads & TP_READS_Y) && tp_value(s->y)->storage == memory;
}

/* Gradients of y, or of Σ 2y, whose own rules need no value; cloned into g where there are any. */
static tp_status gradients(scene *s, way by, tp_var loss, tp_tensor *g)
{
    tp_var out[TP_SAMPLE_INPUTS] = {{0}};
    tp_grad_opts o = {.grad_outputs = &s->gy, .create_graph = by == COMPOSED, .allow_unused = true};
    tp_status status =
        by == BACKWARD ? tp_backward(loss) : tp_grad(1, &s->y, s->wanted, s->by, out, o);
    for (int i = 0; i < s->wanted; i++) {
        const tp_tensor *got = by == BACKWARD    ? tp_leaf_grad(s->by[i])
                               : status == TP_OK ? tp_value(out[i])
                                                 : NULL;
        if (got != NULL)
            assert_ok(tp_clone(&g[i], got));
    }
    return status;
}

/* Forward, one write, backward. */
static tp_status attempt(const tp_op *op, const tp_sample *sample, int value, way by, tp_tensor *g,
                         bool *read)
{
    scene s = play(op, sample);
    tp_var loss = tp_sum(tp_add(s.y, s.y), TP_ALL_AXES, false);
    *read = value != NOTHING && is_read(&s, value);
    if (value != NOTHING)
        write(&s, value);
    tp_status status = gradients(&s, by, loss, g);
    drop(&s);
    return status;
}

/* backward of OP#… needs … 'TENSOR' … written since */
static bool names_both(const char *said, const char *op, const char *tensor)
{
    char rule[64], quoted[32];
    snprintf(rule, sizeof rule, "%s#", op);
    snprintf(quoted, sizeof quoted, "'%s'", tensor);
    const char *needs = strstr(said, " needs "), *at = strstr(said, rule);
    return strstr(said, "backward of ") != NULL && needs != NULL && at != NULL && at < needs &&
           strstr(needs, quoted) != NULL && strstr(needs, "written since") != NULL;
}

static void check_write(const tp_op *op, const tp_sample *sample, int value, way by,
                        const tp_tensor *want)
{
    tp_tensor g[TP_SAMPLE_INPUTS] = {{0}};
    bool read;
    tp_status status = attempt(op, sample, value, by, g, &read);
    if (status != (read ? TP_EVERSION : TP_OK))
        complain(op, sample, value, by, read ? "not refused" : tp_last_error());
    else if (read && !names_both(tp_last_error(), op->name, names[value]))
        complain(op, sample, value, by, tp_last_error());
    for (int i = 0; i < TP_SAMPLE_INPUTS; i++) {
        if (read && g[i].storage != NULL)
            complain(op, sample, value, by, "a gradient is left");
        if (!read && !equal_bits(&g[i], &want[i]))
            complain(op, sample, value, by, "a gradient changed");
        tp_tensor_free(&g[i]);
    }
    *(read ? &refused : &unmoved) += 1;
}

static void check_sample(const tp_op *op, const tp_sample *sample)
{
    bool read, differentiated = false;
    for (int i = 0; i < sample->n; i++)
        differentiated |= !tp_sample_fixed(&sample->x[i]);
    for (int by = 0; by < WAYS && differentiated; by++) {
        tp_tensor want[TP_SAMPLE_INPUTS] = {{0}};
        assert_ok(attempt(op, sample, NOTHING, (way)by, want, &read));
        for (int value = 0; value < sample->n; value++)
            check_write(op, sample, value, (way)by, want);
        check_write(op, sample, OUTPUT, (way)by, want);
        for (int i = 0; i < TP_SAMPLE_INPUTS; i++)
            tp_tensor_free(&want[i]);
    }
}

static void test_rows(void **state)
{
    (void)state;
    for (int i = 0; i < tp_op_count; i++)
        for (int k = 0; k < tp_ops[i]->sample_count && tp_ops[i]->vjp != NULL; k++)
            check_sample(tp_ops[i], &tp_ops[i]->samples[k]);
    printf("%d writes refused, %d without effect\n", refused, unmoved);
    assert_int_equal(failures, 0);
    assert_true(refused > 300 && unmoved > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
