/* test_tape.c: what a tape takes in and what it refuses: vars of other tapes and empty ones, roots without
 * gradients, parameters frozen, entered twice or written, failures that stick. How long values live:
 * test_lifetimes.c. */
#include "tests/autograd/fixture.h"

#include <math.h>
#include <stdio.h>

/* --- vars that do not fit ----------------------------------------------------------------------- */

static void test_two_tapes(void **state)
{
    (void)state;
    tp_tape *other;
    assert_ok(tp_tape_new(&other));
    tp_var a = tp_param(t, &w), b = tp_param(other, &w);
    assert_null(tp_value(tp_add(a, b)));
    assert_tape(TP_ETAPE, "add#2: input 1 belongs to another tape");
    assert_int_equal(tp_tape_status(other), TP_OK);
    tp_var g, loss = total(b), three[] = {loss};
    assert_status(tp_grad(1, three, 1, &a, &g, (tp_grad_opts){0}), TP_ETAPE);
    tp_tape_free(other);
}

static void test_zero_var(void **state)
{
    (void)state;
    tp_var none = {0}, x = tp_param(t, &w);
    assert_null(tp_value(none));
    assert_message("E_TAPE an empty var was used");
    tp_exp(none);
    assert_message("E_TAPE exp: no input belongs to a tape");
    assert_status(tp_backward(none), TP_ETAPE);
    assert_int_equal(tp_tape_status(t), TP_OK);
    tp_mul(x, none);
    assert_tape(TP_ETAPE, "mul#2: input 1 is an empty var");
}

static void test_empty_tensor(void **state)
{
    (void)state;
    tp_tensor none = {0};
    assert_null(tp_value(tp_constant(t, &none)));
    assert_tape(TP_EARG, "tp_constant: the tensor is empty");
}

static void test_leaf_of_integers(void **state)
{
    (void)state;
    tp_tensor labels;
    assert_ok(tp_tensor_new(&labels, TP_I64, TP_SHAPE(3)));
    tp_leaf(t, &labels);
    assert_tape(TP_EDTYPE, "tp_leaf: i64 has no gradient");
    tp_tensor_free(&labels);
}

static void test_no_parameters(void **state)
{
    (void)state;
    tp_var loss = total(tp_constant(t, &data));
    assert_status(tp_backward(loss), TP_EGRAD);
    assert_message("sum#2 depends on no parameter or leaf that needs a gradient");
}

static void test_cut_path(void **state)
{
    (void)state;
    tp_var x = tp_constant(t, &data), loss = total(tp_mul(tp_detach(tp_param(t, &w)), x));
    assert_status(tp_backward(loss), TP_EGRAD);
    assert_message("no gradient reaches a parameter from sum#5: the path ends at detach#3 (the "
                   "caller asked for a constant)");
}

static void test_root_of_many_elements(void **state)
{
    (void)state;
    assert_status(tp_backward(tp_exp(tp_param(t, &w))), TP_ESHAPE);
    assert_message("backward needs a root with one element, but exp#2 has shape [2]");
    tp_tape_reset(t);
    assert_ok(tp_backward(tp_sum(tp_param(t, &w), TP_AXES(0), true))); /* [1] has one element */
    assert_pair(tp_parameter_grad(&w), 1, 1);
}

/* --- parameters --------------------------------------------------------------------------------- */

static void test_frozen(void **state)
{
    (void)state;
    w.frozen = true;
    tp_var loss = total(tp_mul(tp_param(t, &w), tp_param(t, &u)));
    assert_false(tp_needs_grad(tp_param(t, &w)));
    assert_ok(tp_backward(loss));
    assert_null(tp_parameter_grad(&w));
    assert_pair(tp_parameter_grad(&u), 2, 3);
    tp_var alone = total(tp_param(t, &w));
    assert_status(tp_backward(alone), TP_EGRAD);
    assert_message("depends on no parameter");
}

static void test_no_grad(void **state)
{
    (void)state;
    tp_var x = tp_param(t, &w);
    tp_no_grad_begin(t);
    tp_no_grad_begin(t);
    tp_var a = tp_exp(x);
    tp_no_grad_end(t);
    tp_var b = tp_exp(x); /* still inside the outer pair */
    tp_no_grad_end(t);
    tp_no_grad_end(t); /* one too many is ignored */
    tp_var c = tp_exp(x);
    assert_false(tp_needs_grad(a));
    assert_false(tp_needs_grad(b));
    assert_true(tp_needs_grad(c));
    assert_ok(tp_backward(total(tp_mul(x, b))));
    assert_tensor_close(tp_parameter_grad(&w), ((double[]){exp(2), exp(3)}), 2, 0, 1e-15);
    assert_status(tp_backward(total(a)), TP_EGRAD);
    assert_message("the path ends at exp#2 (recorded without gradients)");
}

/* An island of gradients: what is recorded there can be differentiated, what comes behind can not. */
static void test_no_grad_pause(void **state)
{
    (void)state;
    tp_var x = tp_param(t, &w), g, a, b;
    assert_int_equal(tp_no_grad_pause(t), 0); /* outside it is nothing */
    tp_no_grad_resume(t, 0);
    tp_no_grad_begin(t);
    tp_no_grad_begin(t);
    int depth = tp_no_grad_pause(t);
    a = total(tp_exp(x));
    assert_true(tp_needs_grad(a));
    assert_ok(tp_grad(1, &a, 1, &x, &g, (tp_grad_opts){0}));
    assert_tensor_close(tp_value(g), ((double[]){exp(2), exp(3)}), 2, 0, 1e-15);
    tp_no_grad_resume(t, depth);
    tp_no_grad_end(t);
    b = tp_exp(x); /* one pair is still open */
    assert_false(tp_needs_grad(b));
    assert_status(tp_backward(total(b)), TP_EGRAD);
    tp_tape_reset(t);
}

static void test_entered_twice(void **state)
{
    (void)state;
    tp_var a = tp_param(t, &w), b = tp_param(t, &w);
    assert_int_equal(a.id, b.id);
    assert_int_equal(tp_tape_length(t), 1);
    uint32_t epoch = a.epoch;
    tp_tape_reset(t);
    assert_int_equal(tp_param(t, &w).id, 1);
    assert_int_not_equal(tp_param(t, &w).epoch, epoch);
}

/* After a write it is another value, hence another leaf; both add to the gradient. */
static void test_entered_after_write(void **state)
{
    (void)state;
    tp_var a = tp_param(t, &w), first = total(tp_scale(a, 10));
    assert_ok(tp_set_flat(&w.value, 0, 4));
    tp_var b = tp_param(t, &w);
    assert_int_not_equal(a.id, b.id);
    assert_ok(tp_backward(tp_add(first, total(tp_square(b)))));
    assert_pair(tp_parameter_grad(&w), 18, 16);
}

static void test_zero_grad(void **state)
{
    (void)state;
    tp_var square, loss = loss_of(&square);
    assert_null(tp_parameter_grad(&w));
    assert_ok(tp_backward(loss));
    tp_zero_grad(&w);
    assert_null(tp_parameter_grad(&w));
    assert_ok(tp_fill(&w.grad, (double)NAN)); /* the next contribution is written, not added */
    assert_ok(tp_backward(loss));
    assert_pair(tp_parameter_grad(&w), 4, 6);
}

static void test_leaf_grad(void **state)
{
    (void)state;
    tp_var leaf = tp_leaf(t, &data), loss = total(tp_square(leaf));
    assert_null(tp_leaf_grad(leaf));
    assert_ok(tp_backward(loss));
    assert_ok(tp_backward(loss));
    assert_pair(tp_leaf_grad(leaf), 4, -4);
    assert_null(tp_leaf_grad(loss));
}

/* --- many --------------------------------------------------------------------------------------- */

static void test_tape_limit(void **state)
{
    (void)state;
    tp_tape *many[TP_MAX_TAPES], *one_more = NULL;
    int made = 0; /* t is live already */
    while (made < TP_MAX_TAPES && tp_tape_new(&many[made]) == TP_OK)
        made++;
    assert_int_equal(made, TP_MAX_TAPES - 1);
    assert_status(tp_tape_new(&one_more), TP_ENOMEM);
    assert_message("tp_tape_new: 256 tapes are live, which is the limit");
    assert_null(one_more);
    tp_tape_free(many[100]);
    assert_ok(tp_tape_new(&many[100]));
    for (int i = 0; i < made; i++)
        tp_tape_free(many[i]);
}

static void test_first_error_sticks(void **state)
{
    (void)state;
    tp_var x = tp_param(t, &w), clash = tp_add(x, tp_full(t, TP_F64, TP_SHAPE(3), 1));
    assert_tape(TP_ESHAPE, "shapes [2] and [3] do not broadcast");
    char first[TP_MESSAGE_BYTES];
    snprintf(first, sizeof first, "%s", tp_tape_message(t));
    tp_sum(x, TP_AXES(7), false);
    tp_mul(x, (tp_var){0});
    assert_status(tp_backward(x), TP_ESHAPE);
    tp_tensor none = {0};
    tp_constant(t, &none);
    tp_param(t, &u);
    assert_int_equal(tp_tape_status(t), TP_ESHAPE);
    assert_string_equal(tp_tape_message(t), first);
    assert_null(tp_value(clash));
    assert_string_equal(tp_last_error(), first); /* the value of poison says why */
}

static void test_poison_through_many_ops(void **state)
{
    (void)state;
    tp_var x = tp_reshape(tp_param(t, &w), TP_SHAPE(5));
    uint32_t length = tp_tape_length(t);
    for (int i = 0; i < 100; i++)
        x = i % 4 == 0   ? tp_exp(x)
            : i % 4 == 1 ? tp_mul(x, x)
            : i % 4 == 2 ? tp_transpose(x)
                         : tp_concat((tp_var[]){x, x}, 2, 0);
    assert_int_equal(x.id, 0);
    assert_int_equal(tp_tape_length(t), length);
    assert_status(tp_var_status(x), TP_ESHAPE);
    assert_status(tp_backward(x), TP_ESHAPE);
    tp_tape_reset(t);
    assert_non_null(tp_value(tp_param(t, &w)));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_two_tapes),
        CASE(test_zero_var),
        CASE(test_empty_tensor),
        CASE(test_leaf_of_integers),
        CASE(test_no_parameters),
        CASE(test_cut_path),
        CASE(test_root_of_many_elements),
        CASE(test_frozen),
        CASE(test_no_grad),
        CASE(test_no_grad_pause),
        CASE(test_entered_twice),
        CASE(test_entered_after_write),
        CASE(test_zero_grad),
        CASE(test_leaf_grad),
        CASE(test_tape_limit),
        CASE(test_first_error_sticks),
        CASE(test_poison_through_many_ops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
