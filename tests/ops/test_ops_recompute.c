/* test_ops_recompute.c: every operation in a segment whose values are all dropped (tp_recompute_end) gives the
 * gradients it gives outside, to the last bit, by both forms of its rule and at second order. A rule that hands a
 * value to an operation without saying so in .reads fails here: only the shape of it is left. */
#include "autograd/sweep.h"
#include "tests/support/check.h"
#include "tests/support/compositions.h"
#include "tests/support/ops.h"

#include <string.h>

typedef enum way { PLAIN, COMPOSED, RELEASED, SECOND_ORDER, WAYS } way;

typedef struct trial {
    const tp_op *op;
    const tp_sample *sample;
    const void *attr;
    tp_dtype dtype;
    tp_parameter p[TP_SAMPLE_INPUTS];
    tp_tensor mask; /* of the result */
} trial;

/* An input as something that was computed, so that its value is dropped, too; but for indices. */
static tp_var input(tp_tape *t, trial *r, int i)
{
    const tp_sample_input *in = &r->sample->x[i];
    if (in->fill == TP_FILL_INDEX)
        return tp_constant(t, &r->p[i].value);
    return tp_scale(tp_sample_fixed(in) ? tp_constant(t, &r->p[i].value) : tp_param(t, &r->p[i]),
                    1);
}

static void make_mask(trial *r, tp_shape shape)
{
    assert_ok(tp_tensor_new(&r->mask, r->dtype, shape));
    for (int64_t i = 0; i < tp_numel(&r->mask); i++)
        assert_ok(tp_set_flat(&r->mask, i, i % 3 == 0));
}

/* Σ of the weighted result, in a segment or not; and the norm of its gradient if that is asked for. None if
 * there is no gradient. */
static tp_var loss_of(tp_tape *t, trial *r, bool segment, way how)
{
    tp_var x[TP_SAMPLE_INPUTS], by[TP_SAMPLE_INPUTS], g[TP_SAMPLE_INPUTS];
    int n = 0;
    if (segment)
        tp_recompute_begin(t);
    for (int i = 0; i < r->sample->n; i++)
        x[i] = input(t, r, i);
    tp_var y = op_call(t, r->op, r->sample->n, x, r->attr);
    if (!tp_needs_grad(y))
        return (tp_var){0};
    if (r->mask.storage == NULL)
        make_mask(r, tp_shape_of(y));
    y = tp_where(tp_constant(t, &r->mask), tp_scale(y, 0.75), tp_scale(y, -1.5)); /* reads no y */
    tp_var loss = tp_sum(y, TP_ALL_AXES, false);
    if (segment) {
        tp_recompute_end(t, 1, &loss);
        assert_status(tp_var_status(x[0]),
                      r->sample->x[0].fill == TP_FILL_INDEX ? TP_OK : TP_EFREED);
    }
    if (how != SECOND_ORDER)
        return loss;
    for (int i = 0; i < r->sample->n; i++)
        if (!tp_sample_fixed(&r->sample->x[i]))
            by[n++] = tp_param(t, &r->p[i]);
    assert_ok(
        tp_grad(1, &loss, n, by, g, (tp_grad_opts){.create_graph = true, .allow_unused = true}));
    for (int i = 0; i < n; i++)
        loss = tp_add(loss, tp_sum(tp_square(g[i]), TP_ALL_AXES, false));
    return loss;
}

/* False if there is no gradient. */
static bool run(trial *r, bool segment, way how)
{
    tp_tape *t;
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < r->sample->n; i++)
        tp_zero_grad(&r->p[i]);
    tp_var loss = loss_of(t, r, segment, how);
    assert_ok(tp_tape_status(t));
    if (loss.id != 0)
        assert_ok(tp_backward_opts(
            loss, (tp_sweep_opts){.composed = how == COMPOSED, .release = how == RELEASED}));
    tp_tape_free(t);
    return loss.id != 0;
}

static int compared;

static void compare(trial *r, way how)
{
    tp_tensor want[TP_SAMPLE_INPUTS] = {{0}};
    if (!run(r, false, how))
        return;
    for (int i = 0; i < r->sample->n; i++)
        if (r->p[i].has_grad)
            assert_ok(tp_clone(&want[i], &r->p[i].grad));
    run(r, true, how);
    for (int i = 0; i < r->sample->n; i++) {
        const tp_tensor *g = tp_parameter_grad(&r->p[i]);
        assert_true((g != NULL) == (want[i].storage != NULL));
        if (g != NULL && tp_numel(g) > 0 &&
            memcmp(tp_data(g), tp_data(&want[i]),
                   (size_t)(tp_numel(g) * tp_dtype_size(r->dtype))) != 0)
            fail_msg("%s, sample '%s', way %d: other bits in a segment", r->op->name,
                     r->sample->note, how);
        tp_tensor_free(&want[i]);
        compared += g != NULL;
    }
}

static void compare_sample(const tp_op *op, const tp_sample *sample, tp_dtype dtype)
{
    attr_room room;
    trial r = {.op = op, .sample = sample, .dtype = dtype};
    r.attr = attr_as(op, sample->attr, dtype, &room);
    for (int i = 0; i < sample->n; i++) {
        tp_dtype held = sample->x[i].fill == TP_FILL_INDEX ? TP_F64 : dtype;
        assert_ok(tp_parameter_init(&r.p[i], "input", held, sample->x[i].shape));
        tp_tensor_free(&r.p[i].value); /* an index is no parameter: only its place is used */
        assert_ok(tp_sample_fill(&sample->x[i], dtype, 3 + (uint64_t)i, &r.p[i].value));
    }
    for (way how = PLAIN; how < WAYS; how++)
        compare(&r, how);
    for (int i = 0; i < sample->n; i++)
        tp_parameter_free(&r.p[i]);
    tp_tensor_free(&r.mask);
}

static void test_same_bits(void **state)
{
    (void)state;
    for (int i = 0; i < tested_count(); i++)
        for (int k = 0; k < tested(i)->sample_count; k++)
            for (int dtype = TP_F32; dtype <= TP_F64; dtype++)
                compare_sample(tested(i), &tested(i)->samples[k], (tp_dtype)dtype);
    print_message("%d gradients compared\n", compared);
    assert_true(compared > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
