/* test_rare_failures.c: failures that only odd programs meet: vars made by hand, ops with more inputs than any of
 * the table, sizes at the end of the numbers, values released by another sweep. Each has its status and message,
 * and leaves a tape that can be used. Usual mistakes: test_misuse.c. */
#include "autograd/node.h"
#include "autograd/op.h"
#include "tests/autograd/fixture.h"

static void test_a_var_made_by_hand(void **state)
{
    (void)state;
    tp_var v = tp_full(t, TP_F64, TP_SHAPE(2), 1);
    v.id = 0;
    assert_null(tp_value(v));
    assert_message("an empty var was used");
    assert_null(tp_value((tp_var){0}));
    assert_message("an empty var was used");
    assert_ok(tp_tape_status(t));
}

static void test_nothing_to_join(void **state)
{
    (void)state;
    int axis = 0; /* the attribute of concat is one number */
    tp_var y = tp_apply_on(t, &tp_op_concat, 0, NULL, &axis);
    assert_status(tp_var_status(y), TP_EARG);
    assert_message("nothing to join");
}

/* Without elements the sizes of the other axes are bounded by their own product only. */
static void test_an_axis_longer_than_numbers(void **state)
{
    (void)state;
    tp_var part[9];
    for (int i = 0; i < 9; i++)
        part[i] = tp_full(t, TP_F32, TP_SHAPE((int64_t)1 << 60, 0), 1);
    assert_ok(tp_tape_status(t));
    assert_status(tp_var_status(tp_concat(part, 9, 0)), TP_ESHAPE);
    assert_message("the joined axis 0 is longer than memory can address");
}

/* --- an op of five inputs ----------------------------------------------------------------------- */

static tp_status first_forward(const tp_op_call *c)
{
    return tp_copy(c->y, c->x[0]);
}

static void first_vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = c->gy;
}

static tp_status first_fused(const tp_fused_call *c)
{
    return tp_copy(&c->gx[0], c->gy);
}

static const tp_op first = {.name = "first",
                            .arity = 5,
                            .smooth = TP_SMOOTH,
                            .text = "#0",
                            .shape = tp_shape_equal_all,
                            .forward = first_forward,
                            .vjp = first_vjp,
                            .vjp_fused = first_fused};

static tp_var first_of_five(void)
{
    tp_var x[5] = {tp_param(t, &w)};
    for (int i = 1; i < 5; i++)
        x[i] = tp_full(t, TP_F64, TP_SHAPE(2), i);
    return total(tp_apply(&first, 5, x, NULL));
}

static void test_a_fused_rule_of_too_many_inputs(void **state)
{
    (void)state;
    assert_status(tp_backward(first_of_five()), TP_EARG);
    assert_message("first: a fused rule takes at most 4 inputs");
    assert_false(w.has_grad);
    tp_tape_reset(t);
    assert_ok(tp_backward_opts(first_of_five(), (tp_sweep_opts){.composed = true}));
    assert_pair(&w.grad, 1, 1);
}

/* --- released by another sweep ------------------------------------------------------------------ */

static void test_dropped_values_whose_source_was_released(void **state)
{
    (void)state;
    tp_var a, other = loss_of(&a);
    tp_recompute_begin(t);
    tp_var b = tp_exp(tp_square(a)), y = total(b);
    tp_recompute_end(t, 1, &y);
    assert_ok(tp_backward_opts(other, (tp_sweep_opts){.release = true}));
    tp_zero_grad(&w);
    assert_status(tp_backward_opts(y, (tp_sweep_opts){0}), TP_EFREED);
    assert_message("again needs ");
    assert_message(", which was released");
    assert_false(w.has_grad);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_var_made_by_hand),
        CASE(test_nothing_to_join),
        CASE(test_an_axis_longer_than_numbers),
        CASE(test_a_fused_rule_of_too_many_inputs),
        CASE(test_dropped_values_whose_source_was_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
