/* test_routing.c: gradients for some parameters only: two players, one tape, no leak from one's loss into the
 * other's gradients. */
#include "tests/autograd/fixture.h"

/* An encoder w, a critic u that looks at its code: critic loss Σ (u·w·x)², encoder loss Σ w² − that. */
static tp_var losses(tp_var *critic_loss)
{
    tp_var code = tp_mul(tp_param(t, &w), tp_constant(t, &data));
    *critic_loss = total(tp_square(tp_mul(tp_param(t, &u), code)));
    return tp_sub(total(tp_square(code)), *critic_loss);
}

static void assert_grad(const tp_parameter *p, double a, double b)
{
    assert_non_null(tp_parameter_grad(p));
    assert_close(tp_flat(tp_parameter_grad(p), 0), a, 0, 1e-15);
    assert_close(tp_flat(tp_parameter_grad(p), 1), b, 0, 1e-15);
}

static void test_each_its_own(void **state)
{
    (void)state;
    tp_parameter *encoder[] = {&w}, *critic[] = {&u};
    tp_var critic_loss, encoder_loss = losses(&critic_loss);
    assert_ok(tp_backward_opts(critic_loss, (tp_sweep_opts){.wrt = critic, .wrt_count = 1}));
    assert_null(tp_parameter_grad(&w));
    assert_grad(&u, 2 * 5 * 4, 2 * 7 * 9); /* 2·u·(w·x)² */
    assert_ok(tp_backward_opts(encoder_loss, (tp_sweep_opts){.wrt = encoder, .wrt_count = 1}));
    assert_grad(&u, 40, 126);                                /* as it was */
    assert_grad(&w, 2 * 2 - 2 * 2 * 25, 2 * 3 - 2 * 3 * 49); /* 2·w·x² − 2·w·(u·x)² */
}

/* The same numbers as a sweep for all, and as tp_grad by those vars. */
static void test_agrees_with_the_rest(void **state)
{
    (void)state;
    tp_parameter *both[] = {&u, &w};
    tp_var critic_loss, loss = losses(&critic_loss), by = tp_param(t, &w), g;
    assert_ok(tp_backward_opts(loss, (tp_sweep_opts){.wrt = both, .wrt_count = 2}));
    double uw[4] = {tp_flat(&w.grad, 0), tp_flat(&w.grad, 1), tp_flat(&u.grad, 0),
                    tp_flat(&u.grad, 1)};
    tp_zero_grad(&w);
    tp_zero_grad(&u);
    assert_ok(tp_backward(loss));
    assert_grad(&w, uw[0], uw[1]);
    assert_grad(&u, uw[2], uw[3]);
    assert_ok(tp_grad(1, &loss, 1, &by, &g, (tp_grad_opts){0}));
    assert_close(tp_flat(tp_value(g), 0), uw[0], 0, 0);
}

/* Work that only others need is not done: the rule of mul does not even run. */
static int rules;
static void count_rules(void *user, const tp_op *op, const tp_vjp_call *c, tp_var *gx)
{
    (void)user, (void)op, (void)c, (void)gx;
    rules++;
}

static void test_no_work_for_others(void **state)
{
    (void)state;
    tp_parameter *critic[] = {&u};
    tp_var code = tp_exp(tp_exp(tp_param(t, &w)));
    tp_var loss = total(tp_mul(tp_param(t, &u), code));
    t->rule_hook = count_rules;
    rules = 0;
    assert_ok(tp_backward_opts(loss, (tp_sweep_opts){.wrt = critic, .wrt_count = 1}));
    assert_int_equal(rules, 2); /* sum, mul */
}

static void test_leaves_and_frozen(void **state)
{
    (void)state;
    tp_parameter *set[] = {&w};
    tp_var leaf = tp_leaf(t, &data);
    tp_var loss = total(tp_mul(tp_param(t, &w), leaf));
    assert_ok(tp_backward_opts(loss, (tp_sweep_opts){.wrt = set, .wrt_count = 1}));
    assert_null(tp_leaf_grad(leaf)); /* a set of parameters: no leaf is in it */
    w.frozen = true;
    tp_tape_reset(t);
    loss = total(tp_mul(tp_param(t, &w), tp_param(t, &u)));
    assert_status(tp_backward_opts(loss, (tp_sweep_opts){.wrt = set, .wrt_count = 1}), TP_EGRAD);
    assert_tape(TP_EGRAD,
                "depends on none of the 1 parameters that were asked for, beginning with w");
}

static void test_nothing_to_do(void **state)
{
    (void)state;
    tp_parameter *critic[] = {&u};
    tp_var square, loss = loss_of(&square);
    assert_status(tp_backward_opts(loss, (tp_sweep_opts){.wrt = critic, .wrt_count = 1}), TP_EGRAD);
    assert_null(tp_parameter_grad(&w));
    tp_tape_reset(t);
    loss = loss_of(&square);
    assert_status(tp_backward_opts(loss, (tp_sweep_opts){.wrt = critic}), TP_EGRAD);
    assert_tape(TP_EGRAD, "none of the 0 parameters");
    tp_tape_reset(t); /* a forgotten list must not mean everybody */
    loss = loss_of(&square);
    assert_status(tp_backward_opts(loss, (tp_sweep_opts){.wrt_count = 1}), TP_EARG);
    assert_status(tp_backward_opts(loss, (tp_sweep_opts){.wrt = critic, .wrt_count = -1}), TP_EARG);
    assert_null(tp_parameter_grad(&w));
}

#define ROUTING_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROUTING_TEST(test_each_its_own),       ROUTING_TEST(test_agrees_with_the_rest),
        ROUTING_TEST(test_no_work_for_others), ROUTING_TEST(test_leaves_and_frozen),
        ROUTING_TEST(test_nothing_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
