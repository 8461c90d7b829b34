/* test_lifetimes.c: how long values live and what using them too late or too changed says: one test per
 * case, each with its status and a part of its message; and that memory comes back. Vars that do not fit
 * together, parameters and sticky errors: test_tape.c. What gradients are: test_sweep.c. */
#include "tests/autograd/fixture.h"

#include <math.h>

static const tp_sweep_opts releasing = {.release = true};

/* --- released ----------------------------------------------------------------------------------- */

static void test_second_backward_after_release(void **state)
{
    (void)state;
    tp_var e = tp_exp(tp_param(t, &w)), loss = total(e);
    assert_ok(tp_backward_opts(loss, releasing));
    assert_status(tp_backward(loss), TP_EFREED);
    assert_message("sum#3: the value was released by the backward sweep");
    assert_tape(TP_EFREED, "released");
}

/* The root survives here, but a value that a rule reads does not. */
static void test_backward_through_released(void **state)
{
    (void)state;
    tp_var e = tp_exp(tp_param(t, &w)), first = total(e), second = total(tp_square(e));
    assert_ok(tp_backward_opts(first, releasing));
    assert_non_null(tp_value(second));
    assert_status(tp_backward(second), TP_EFREED);
    assert_message("backward of square#4 needs exp#2, which an earlier backward released: call it "
                   "without release");
}

static void test_value_of_released(void **state)
{
    (void)state;
    tp_var square, loss = loss_of(&square);
    assert_ok(tp_backward_opts(loss, releasing));
    assert_null(tp_value(square));
    assert_message("E_FREED mul#2: the value was released by the backward sweep");
    assert_status(tp_var_status(square), TP_EFREED);
    assert_true(isnan(tp_item_of(loss)));
    assert_int_equal(tp_shape_of(square).ndim, 1); /* shape and type stay known */
    assert_int_equal(tp_dtype_of(square), TP_F64);
    assert_pair(tp_value(tp_param(t, &w)), 2, 3); /* parameters are the caller's */
    assert_int_equal(tp_tape_status(t), TP_OK);   /* looking is no failure of the tape */
}

static void test_op_on_released(void **state)
{
    (void)state;
    tp_var square, loss = loss_of(&square);
    assert_ok(tp_backward_opts(loss, releasing));
    assert_null(tp_value(tp_exp(square)));
    assert_tape(TP_EFREED, "input 0, mul#2, was released by the backward sweep");
}

static void test_second_backward_accumulates(void **state)
{
    (void)state;
    tp_var square, loss = loss_of(&square);
    assert_ok(tp_backward(loss));
    assert_pair(tp_parameter_grad(&w), 4, 6);
    assert_ok(tp_backward(loss));
    assert_pair(tp_parameter_grad(&w), 8, 12);
    assert_ok(tp_backward_opts(loss, releasing));
    assert_pair(tp_parameter_grad(&w), 12, 18);
}

static void test_values_readable_after_backward(void **state)
{
    (void)state;
    tp_var square, loss = loss_of(&square);
    uint32_t length = tp_tape_length(t);
    size_t bytes = tp_tape_bytes(t);
    assert_ok(tp_backward(loss));
    assert_pair(tp_value(square), 4, 9);
    assert_close(tp_item_of(loss), 13, 0, 0);
    assert_int_equal(tp_tape_length(t), length); /* the sweep's own nodes are gone */
    assert_int_equal(tp_tape_bytes(t), bytes);
}

static void test_release_frees(void **state)
{
    (void)state;
    tp_var x = tp_expand(tp_param(t, &w), TP_SHAPE(50, 2));
    for (int i = 0; i < 20; i++)
        x = tp_mul(tp_exp(tp_neg(x)), x);
    tp_var loss = total(x);
    size_t bytes = tp_tape_bytes(t);
    assert_ok(tp_backward_opts(loss, releasing));
    assert_true(tp_tape_bytes(t) < bytes / 2); /* ids and attributes of the nodes stay */
}

static void test_create_graph_then_again(void **state)
{
    (void)state;
    tp_var x = tp_param(t, &w), loss = total(tp_mul(tp_square(x), x)), g, h;
    assert_ok(tp_grad(1, &loss, 1, &x, &g, (tp_grad_opts){.create_graph = true}));
    assert_pair(tp_value(g), 12, 27); /* 3x² */
    tp_var scalar = total(g);
    assert_ok(tp_grad(1, &scalar, 1, &x, &h, (tp_grad_opts){0}));
    assert_pair(tp_value(h), 12, 18); /* 6x */
    assert_ok(tp_backward(scalar));
    assert_pair(tp_parameter_grad(&w), 12, 18);
    assert_pair(tp_value(g), 12, 27); /* all still there */
}

/* --- stale -------------------------------------------------------------------------------------- */

static void test_var_after_reset(void **state)
{
    (void)state;
    tp_var x = tp_param(t, &w);
    tp_tape_reset(t);
    assert_null(tp_value(x));
    assert_message("E_STALE var #1 outlived its values: its tape was reset since");
    assert_status(tp_var_status(x), TP_ESTALE);
    assert_false(tp_needs_grad(x));
    assert_int_equal(tp_tape_status(t), TP_OK);
    assert_null(tp_value(tp_exp(x)));
    assert_tape(TP_ESTALE, "exp#1: input 0: var #1 outlived its values: its tape was reset since");
}

static void test_backward_of_stale(void **state)
{
    (void)state;
    tp_var square, loss = loss_of(&square);
    tp_tape_reset(t);
    assert_status(tp_backward(loss), TP_ESTALE);
    assert_message("var #3 outlived its values");
    assert_null(tp_parameter_grad(&w));
}

static void test_var_of_freed_tape(void **state)
{
    (void)state;
    tp_var x = tp_param(t, &w);
    tp_tape_free(t);
    assert_null(tp_value(x));
    assert_message("E_STALE var #1 outlived its values: its tape was freed since");
    tp_var y = tp_exp(x);
    assert_message("exp: its input belongs to a tape that was freed");
    assert_null(tp_value(y));
    assert_status(tp_backward(x), TP_ESTALE);
    assert_ok(tp_tape_new(&t));
}

/* The slot of a freed tape is used again: vars of before must not fit the new tape. */
static void test_slot_reused(void **state)
{
    (void)state;
    tp_var old = tp_param(t, &w);
    tp_tape *before = t;
    tp_tape_free(t);
    assert_ok(tp_tape_new(&t));
    assert_ptr_equal(t, before);
    tp_var fresh = tp_param(t, &w);
    assert_int_equal(fresh.id, old.id);
    assert_non_null(tp_value(fresh));
    assert_null(tp_value(old));
    assert_status(tp_var_status(old), TP_ESTALE);
    tp_add(fresh, old);
    assert_tape(TP_ESTALE, "add#2: input 1: var #1 outlived its values");
}

static void test_free_twice(void **state)
{
    (void)state;
    tp_tape_free(NULL);
    tp_tape_free(t);
    tp_tape_free(t); /* its head is static: nothing happens */
    assert_ok(tp_tape_new(&t));
}

/* --- written since ------------------------------------------------------------------------------ */

static void test_parameter_written(void **state)
{
    (void)state;
    tp_var square, loss = loss_of(&square);
    assert_ok(tp_set_flat(&w.value, 0, 9));
    assert_status(tp_backward(loss), TP_EVERSION);
    assert_message("backward of mul#2 needs parameter 'w'#1 as it was in the forward pass, but it "
                   "was written since");
    assert_tape(TP_EVERSION, "mul#2");
    assert_null(tp_parameter_grad(&w));
}

static void test_data_written(void **state)
{
    (void)state;
    tp_tensor view;
    tp_var x = TP_NAME(tp_constant(t, &data)), loss = total(tp_mul(x, tp_param(t, &w)));
    assert_ok(tp_view_slice(&data, 0, 1, 2, 1, &view)); /* a view shares the version */
    *(double *)tp_data_mut(&view) = 4;
    assert_status(tp_backward(loss), TP_EVERSION);
    assert_message("backward of mul#3 needs constant 'tp_constant(t, &data)'#1");
}

static void test_written_but_not_read(void **state)
{
    (void)state;
    tp_var loss = total(tp_add(tp_param(t, &w), tp_constant(t, &data)));
    assert_ok(tp_fill(&w.value, 9));
    assert_ok(tp_fill(&data, 9));
    assert_ok(tp_backward(loss));
    assert_pair(tp_parameter_grad(&w), 1, 1);
}

static void test_failing_rule_leaves_gradients(void **state)
{
    (void)state;
    tp_var a = tp_param(t, &u), b = tp_param(t, &w); /* the sweep is done with u before it fails */
    tp_var leaf = tp_leaf(t, &data), late = tp_mul(b, b),
           loss = total(tp_add(tp_mul(a, leaf), late));
    assert_ok(tp_backward(total(tp_mul(a, leaf))));
    assert_pair(tp_parameter_grad(&u), 1, -1);
    assert_ok(tp_fill(&w.value, 9));
    assert_status(tp_backward(loss), TP_EVERSION);
    assert_pair(tp_parameter_grad(&u), 1, -1);
    assert_null(tp_parameter_grad(&w));
    assert_pair(tp_leaf_grad(leaf), 5, 7);
}

static void broken_rule(void *user, const tp_op *op, const tp_vjp_call *c, tp_var *gx)
{
    (void)c;
    if (op == &tp_op_exp)
        *gx = tp_reshape(*gx, *(tp_shape *)user);
}

static void test_rule_with_wrong_shape(void **state)
{
    (void)state;
    tp_shape bad = TP_SHAPE(2, 1);
    tp_var y = total(tp_add(tp_param(t, &u), tp_exp(tp_param(t, &w))));
    t->rule_hook = broken_rule;
    t->rule_hook_user = &bad;
    assert_status(tp_backward(y), TP_ESHAPE);
    assert_message("the rule of exp gave a gradient f64[2,1] for input 0, which is f64[2]");
    assert_null(tp_parameter_grad(&u));
    tp_tape_reset(t);
    bad = TP_SHAPE(3); /* fails inside the rule */
    y = total(tp_exp(tp_param(t, &w)));
    assert_status(tp_backward(y), TP_ESHAPE);
    assert_message("cannot be reshaped to [3]");
    assert_message("in the rule of exp#2: ");
}

/* --- memory ------------------------------------------------------------------------------------- */

/* One step of a small network: loss, backward with release, update. */
static void step(void)
{
    tp_tape_reset(t);
    tp_scope_begin(t, "step");
    tp_var x = tp_constant(t, &data), a = tp_param(t, &w), b = tp_param(t, &u);
    tp_var h = tp_tanh(tp_add(tp_mul(x, a), b));
    for (int i = 0; i < 100; i++) /* several segments of nodes */
        h = tp_relu(tp_sub(h, tp_scale(tp_mul(h, a), 0.01)));
    tp_scope_end(t);
    assert_ok(tp_backward_opts(tp_mean(tp_square(h), TP_ALL_AXES, false), releasing));
    double *value = tp_data_mut(&w.value);
    value[0] += 1e-9;
    tp_zero_grad(&w), tp_zero_grad(&u);
}

static void test_steady_state(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        step();
    tp_mem_stats before = tp_mem();
    size_t bytes = tp_tape_bytes(t);
    uint32_t length = tp_tape_length(t);
    for (int i = 0; i < 50; i++) {
        step();
        assert_int_equal(tp_tape_bytes(t), bytes);
        assert_int_equal(tp_tape_length(t), length);
    }
    assert_int_equal(tp_mem().calls, before.calls);
    assert_int_equal(tp_mem().live_bytes, before.live_bytes);
    assert_int_equal(tp_mem().peak_bytes, before.peak_bytes);
}

/* A second backward keeps values, and still gives back what it borrowed. */
static void test_backward_does_not_grow(void **state)
{
    (void)state;
    tp_var square, loss = loss_of(&square), leaf = tp_leaf(t, &data), both;
    both = tp_add(loss, total(tp_mul(leaf, tp_exp(square))));
    assert_ok(tp_backward(both));
    size_t bytes = tp_tape_bytes(t);
    for (int i = 0; i < 20; i++) {
        assert_ok(tp_backward(both));
        assert_int_equal(tp_tape_bytes(t), bytes);
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    tp_tensor big;
    assert_ok(tp_tensor_new(&big, TP_F64, TP_SHAPE(1000, 1000)));
    tp_var x = tp_leaf(t, &big);
    tp_mem_set_budget(tp_mem().live_bytes + (1 << 20));
    tp_var y = tp_exp(x);
    tp_mem_set_budget(0);
    assert_null(tp_value(y));
    assert_tape(TP_ENOMEM, "exp#2: cannot allocate ");
    tp_tape_reset(t);
    assert_non_null(tp_value(tp_exp(tp_leaf(t, &big))));
    tp_tensor_free(&big);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_second_backward_after_release),
        CASE(test_backward_through_released),
        CASE(test_value_of_released),
        CASE(test_op_on_released),
        CASE(test_second_backward_accumulates),
        CASE(test_values_readable_after_backward),
        CASE(test_release_frees),
        CASE(test_create_graph_then_again),
        CASE(test_var_after_reset),
        CASE(test_backward_of_stale),
        CASE(test_var_of_freed_tape),
        CASE(test_slot_reused),
        CASE(test_free_twice),
        CASE(test_parameter_written),
        CASE(test_data_written),
        CASE(test_written_but_not_read),
        CASE(test_failing_rule_leaves_gradients),
        CASE(test_rule_with_wrong_shape),
        CASE(test_steady_state),
        CASE(test_backward_does_not_grow),
        CASE(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
