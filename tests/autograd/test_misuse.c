/* test_misuse.c: what a careful user does not do and a learner does: two sweeps at once, a reset in the middle
 * of one, vars kept from a finished sweep, results larger than memory. Each must be a clear status, and what
 * was there before must still be right. */
#include "tests/autograd/fixture.h"

#include <stdio.h>

static void test_one_sweep_at_a_time(void **state)
{
    (void)state;
    tp_var square, g, x = tp_param(t, &w), loss = loss_of(&square);
    tp_sweep s = tp_sweep_begin(loss, (tp_sweep_opts){0});
    assert_true(tp_sweep_next(&s));
    assert_status(tp_backward(loss), TP_EARG);
    assert_message("a sweep is open on this tape");
    assert_status(tp_grad(1, &loss, 1, &x, &g, (tp_grad_opts){0}), TP_EARG);
    while (tp_sweep_next(&s))
        ;
    assert_ok(tp_sweep_end(&s)); /* the open one is not disturbed */
    assert_tensor_close(&w.grad, ((double[]){4, 6}), 2, 0, 0);
    assert_ok(tp_backward(loss));
    assert_status(tp_backward_opts(loss, (tp_sweep_opts){.release = true, .create_graph = true}),
                  TP_EARG);
}

static void test_reset_in_a_sweep(void **state)
{
    (void)state;
    tp_var square, kept[20];
    tp_sweep s = tp_sweep_begin(loss_of(&square), (tp_sweep_opts){0});
    assert_true(tp_sweep_next(&s));
    tp_tape_reset(t);
    for (int i = 0; i < 20; i++)
        kept[i] = tp_scalar(t, TP_F64, i);
    assert_false(tp_sweep_next(&s));
    assert_status(tp_sweep_end(&s), TP_ESTALE);
    for (int i = 0; i < 20; i++)
        assert_close(tp_item_of(kept[i]), i, 0, 0);
    tp_no_grad_begin(t);
    assert_false(tp_needs_grad(tp_square(tp_param(t, &w))));
    tp_no_grad_end(t);
    assert_null(tp_parameter_grad(&w));
}

static void resetting_rule(const tp_vjp_call *c, tp_var *gx)
{
    tp_var first = tp_neg(c->gy);
    tp_tape_reset(c->gy.tape);
    gx[0] = tp_neg(first); /* which is stale */
}

/* A rule that resets its own tape: the sweep is over, by a message that says so, and the tape can be used. */
static void test_reset_in_a_rule(void **state)
{
    (void)state;
    tp_op op = tp_op_neg;
    op.name = "rash";
    op.vjp = resetting_rule;
    op.vjp_fused = NULL;
    for (int how = 0; how < 3; how++) {
        tp_var x = tp_param(t, &w), g, loss = total(tp_apply(&op, 1, &x, NULL));
        tp_status status = how == 0   ? tp_backward(loss)
                           : how == 1 ? tp_backward_opts(loss, (tp_sweep_opts){.release = true})
                                      : tp_grad(1, &loss, 1, &x, &g, (tp_grad_opts){0});
        assert_status(status, TP_ESTALE);
        assert_message("E_STALE in the rule of rash: the sweep's tape was reset since it began");
        assert_null(tp_parameter_grad(&w));
        if (how == 2)
            assert_null(tp_value(g));
        tp_tape_reset(t); /* the rule went on with a stale var */
        assert_ok(tp_backward(loss_of(&x)));
        assert_pair(tp_parameter_grad(&w), 4, 6);
        tp_zero_grad(&w);
        tp_tape_reset(t);
    }
}

/* The name of a stale var is told while nothing else has taken its place. */
static void test_stale_names(void **state)
{
    (void)state;
    char line[96];
    tp_var x = tp_constant(t, &data);
    tp_var h = TP_NAME(tp_exp(x));
    int at = __LINE__ - 1;
    snprintf(line, sizeof line,
             "var 'tp_exp(x)' #2 (%s:%d) outlived its values: its tape was reset", __FILE__, at);
    tp_tape_reset(t);
    assert_status(tp_var_status(h), TP_ESTALE);
    assert_message(line);
    assert_status(tp_var_status(x), TP_ESTALE); /* it had none */
    assert_message("E_STALE var #1 outlived its values: its tape was reset");
    tp_scalar(t, TP_F64, 1), tp_scalar(t, TP_F64, 2);
    assert_status(tp_var_status(h), TP_ESTALE);
    assert_message("E_STALE var #2 outlived");
    tp_tape_reset(t);
    tp_var square;
    tp_sweep s = tp_sweep_begin(loss_of(&square), (tp_sweep_opts){0});
    assert_true(tp_sweep_next(&s));
    tp_var inside = s.gx[0];
    while (tp_sweep_next(&s))
        ;
    assert_ok(tp_sweep_end(&s));
    assert_status(tp_var_status(inside), TP_ESTALE);
    assert_message("outlived its values: the backward sweep that made them has ended");
}

/* Memory that runs out says for which parameter. */
static void test_parameter_without_memory(void **state)
{
    (void)state;
    tp_parameter p;
    size_t now = tp_mem().live_bytes;
    for (size_t room = 0; room <= 128; room += 64) { /* for nothing, the name, the value */
        tp_mem_set_budget(now + (room == 0 ? 1 : room));
        assert_status(tp_parameter_init(&p, "encoder.0.weight", TP_F64, TP_SHAPE(2)), TP_ENOMEM);
        assert_message("E_NOMEM parameter 'encoder.0.weight': ");
        assert_message("cannot allocate ");
    }
    tp_mem_set_budget(0);
    assert_int_equal(tp_mem().live_bytes, now);
}

/* Ids are used again after a sweep; a var that was kept from it must not name a newer value. */
static void test_var_of_a_finished_sweep(void **state)
{
    (void)state;
    tp_var square, loss = loss_of(&square);
    tp_sweep s = tp_sweep_begin(loss, (tp_sweep_opts){0});
    assert_true(tp_sweep_next(&s));
    tp_var inside = s.gx[0];
    assert_ok(tp_var_status(inside));
    while (tp_sweep_next(&s))
        ;
    assert_ok(tp_sweep_end(&s));
    for (int i = 0; i < 30; i++)
        tp_scale(loss, i);
    assert_status(tp_var_status(inside), TP_ESTALE);
    assert_int_equal(tp_param(t, &w).id, 1); /* older vars and leaves are what they were */
    assert_close(tp_item_of(loss), 13, 0, 0);
}

/* A gradient that a fused rule computed is a value like any other. */
static void test_gradient_of_a_fused_rule(void **state)
{
    (void)state;
    tp_var g, x = tp_leaf(t, &data), y = total(tp_relu(x));
    assert_ok(tp_grad(1, &y, 1, &x, &g, (tp_grad_opts){0}));
    assert_ok(tp_backward(total(tp_mul(tp_param(t, &w), g))));
    assert_tensor_close(&w.grad, ((double[]){1, 0}), 2, 0, 0);
}

static void test_sum_to_what_does_not_broadcast(void **state)
{
    (void)state;
    tp_sum_to(tp_full(t, TP_F64, TP_SHAPE(2, 6), 1), TP_SHAPE(4, 3));
    assert_int_equal(tp_tape_status(t), TP_ESHAPE);
    assert_non_null(strstr(tp_tape_message(t), "[4,3] does not broadcast to [2,6]"));
}

/* Release takes what the root was computed from, and nothing else: a metric can be read later. */
static void test_release_spares_the_rest(void **state)
{
    (void)state;
    tp_var square, loss = loss_of(&square), metric = total(tp_param(t, &u));
    tp_var other = total(tp_exp(tp_param(t, &w)));
    assert_ok(tp_backward_opts(loss, (tp_sweep_opts){.release = true}));
    assert_close(tp_item_of(metric), 12, 0, 0);
    assert_ok(tp_backward(other));
    assert_status(tp_var_status(square), TP_EFREED);
}

/* The missing axis that turns a sum into an outer sum: 2^47 bytes and far beyond. */
static void test_larger_than_memory(void **state)
{
    (void)state;
    for (int64_t n = (int64_t)1 << 22; n <= (int64_t)1 << 28; n *= 2) {
        tp_tape_reset(t);
        tp_var one = tp_scalar(t, TP_F64, 1);
        tp_add(tp_expand(one, TP_SHAPE(n, 1)), tp_expand(one, TP_SHAPE(1, n)));
        assert_int_equal(tp_tape_status(t), TP_ENOMEM);
    }
    for (int bits = 30; bits <= 32;
         bits += 2) { /* bytes that no address counts; elements neither */
        int64_t n = (int64_t)1 << bits;
        tp_tape_reset(t);
        tp_var one = tp_scalar(t, TP_F64, 1);
        tp_add(tp_expand(one, TP_SHAPE(n, 1)), tp_expand(one, TP_SHAPE(1, n)));
        assert_int_equal(tp_tape_status(t), TP_ESHAPE);
    }
}

static void test_freed_things(void **state)
{
    (void)state;
    tp_parameter gone;
    assert_ok(tp_parameter_init(&gone, "gone", TP_F64, TP_SHAPE(2)));
    tp_param(t, &gone);
    tp_parameter_free(&gone);
    tp_param(t, &gone);
    assert_int_equal(tp_tape_status(t), TP_EARG);
    tp_tape *other, *heir;
    assert_ok(tp_tape_new(&other));
    tp_var old = tp_scalar(other, TP_F64, 1);
    tp_tape_free(other);
    assert_ok(tp_tape_new(&heir)); /* takes the same head */
    tp_tape_reset(t);
    tp_mul(old, tp_param(t, &w));
    assert_int_equal(tp_tape_status(t), TP_ETAPE); /* the failure goes where the valid input is */
    assert_ok(tp_tape_status(heir));
    assert_status(tp_backward(old), TP_ESTALE);
    assert_ok(tp_tape_status(heir));
    assert_int_equal(tp_var_status(tp_zeros_like(old)), TP_ESTALE);
    tp_tape_free(heir);
    assert_status(tp_var_status(tp_full(heir, TP_F64, TP_SHAPE(), 1)), TP_ETAPE);
}

/* The functions fill their defaults in, a row is given what it computes with. */
static void test_rows_of_convolution(void **state)
{
    (void)state;
    const tp_op *const rows[] = {&tp_op_conv2d, &tp_op_conv_transpose2d, &tp_op_conv2d_weight};
    for (int i = 0; i < 3; i++) {
        const tp_sample *s = &rows[i]->samples[0];
        tp_var x[2];
        for (int k = 0; k < 2; k++)
            x[k] = tp_full(t, TP_F64, s->x[k].shape, 1);
        assert_status(tp_var_status(rows[i]->call(t, 2, x, s->attr)), TP_OK);
        assert_status(tp_var_status(tp_apply(rows[i], 2, x, s->attr)), TP_EARG);
        assert_message("stride 0,0, dilation 0,0 and 1 groups: numbers needed");
        tp_tape_reset(t);
    }
}

static void test_pad_at_the_limits(void **state)
{
    (void)state;
    tp_var x = tp_leaf(t, &data);
    tp_pad(x, 0, 0, INT64_MAX, 5);
    assert_int_equal(tp_tape_status(t), TP_ESHAPE);
    tp_tape_reset(t);
    x = tp_slice(tp_leaf(t, &data), 0, 0, 1, 1);
    assert_ok(tp_backward(total(tp_pad(x, 0, 1, INT64_MAX, 5)))); /* one element takes no step */
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_one_sweep_at_a_time),
        CASE(test_reset_in_a_sweep),
        CASE(test_reset_in_a_rule),
        CASE(test_stale_names),
        CASE(test_parameter_without_memory),
        CASE(test_var_of_a_finished_sweep),
        CASE(test_gradient_of_a_fused_rule),
        CASE(test_sum_to_what_does_not_broadcast),
        CASE(test_release_spares_the_rest),
        CASE(test_larger_than_memory),
        CASE(test_freed_things),
        CASE(test_rows_of_convolution),
        CASE(test_pad_at_the_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
