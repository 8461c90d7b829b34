/* test_trap_backward.c: the trap for NaN and infinities in backward: in rules, fused and composed, in adding up
 * gradients, of any order; a failure leaves the gradients as they were. Forward: test_trap.c. */
#include "tensor/map.h"
#include "tests/autograd/trap_fixture.h"

/* --- backward ----------------------------------------------------------------------------------- */

/* Composed rules: the operation that the rule recorded is named, and whose rule it was. */
static void test_composed_rule(void **state)
{
    (void)state;
    tp_var x = LEAF(TP_F64, 2, 4, 0);
    tp_scope_begin(t, "std");
    tp_var y = TP_NAME(tp_sqrt(x));
    tp_scope_end(t);
    assert_status(tp_backward(total(y)), TP_ENONFINITE);
    assert_trapped("E_NONFINITE in the rule of 'tp_sqrt(x)' = std: sqrt#2: div#");
    assert_trapped(": gave 1 inf of 2 elements, the first at [1]\n  input 0: f64[2]");
    assert_trapped("\n  domain of div: b ≠ 0\n  rule of sqrt: d √x/dx = 1/(2√x), which is "
                   "infinite at 0");
    assert_null(tp_leaf_grad(x));
}

/* A fused rule: which input's gradient, and all that the rule read. */
static void test_fused_rule(void **state)
{
    (void)state;
    tp_var logvar = TP_NAME(LEAF(TP_F32, 2, 1, 80));
    tp_var kl = tp_gaussian_kl(DATA(TP_F32, 2, 0, 0), logvar), g;
    tp_var gy = DATA(TP_F32, 2, 1e5, 1e5); /* times ½e^80 = 2.8e34 */
    assert_status(tp_grad(1, &kl, 1, &logvar, &g, (tp_grad_opts){.grad_outputs = &gy}),
                  TP_ENONFINITE);
    assert_trapped("in the rule of gaussian_kl#");
    assert_trapped(": gave for input 1, leaf 'LEAF(TP_F32, 2, 1, 80)'#1, 1 inf of 2 elements, the "
                   "first at [1]\n  gradient: f32[2]         constant #");
    assert_trapped(": from 100000 to 100000\n  input 0: f32[2]         constant #");
    assert_trapped(": from 1 to 80\n  domain of gaussian_kl: e^logvar and mu² do not overflow\n"
                   "  rule of gaussian_kl: the means pull");
    assert_status(tp_var_status(g), TP_ENONFINITE);
}

static tp_status grow(const tp_fused_call *c)
{
    return tp_map(TP_K_affine, &c->gx[0], (const tp_tensor *[]){c->gy}, (const double[]){1e30, 0});
}

/* A fused rule that may write over the gradient it is given is not let, so that what it was given can be told. */
static void test_rule_over_its_gradient(void **state)
{
    (void)state;
    tp_op op = tp_op_neg;
    op.name = "steep";
    op.reads = 0;
    op.vjp_fused = grow;
    op.fused_over_gy = true;
    tp_var x = LEAF(TP_F32, 2, 0, 1), h = tp_apply(&op, 1, &x, NULL);
    tp_var v = DATA(TP_F32, 2, 5, 3e10);
    assert_status(tp_backward(total(tp_mul(h, v))), TP_ENONFINITE);
    assert_trapped("in the rule of steep#2: gave for input 0, leaf #1, 1 inf of 2 elements, the "
                   "first at [1]\n  gradient: f32[2]         ");
    assert_trapped(": from 5 to 3e+10\n  rule of steep: ");
}

/* Values that were dropped are there again when the message needs them. */
static void test_recomputed(void **state)
{
    (void)state;
    tp_var x = LEAF(TP_F32, 2, -2, 2);
    tp_recompute_begin(t);
    tp_var z = total(tp_sqrt(tp_relu(x)));
    tp_recompute_end(t, 1, &z);
    assert_status(tp_backward(z), TP_ENONFINITE);
    assert_trapped("in the rule of sqrt#3: div#");
    assert_trapped(": from 0 to 2.82843\n");
}

/* Two gradients that are finite add up to one that is not. */
static void test_fan_out(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_F64; d++) {
        double big = 0.75 * largest((tp_dtype)d);
        tp_tape_reset(t);
        tp_var x = TP_NAME(LEAF((tp_dtype)d, 1, 0));
        tp_var y = tp_add(tp_scale(x, big), tp_scale(x, big));
        assert_status(tp_backward(total(y)), TP_ENONFINITE);
        assert_trapped(
            "E_NONFINITE adding up the gradient of leaf 'LEAF((tp_dtype)d, 1, 0)'#1: add#");
        assert_trapped(": gave inf\n  input 0: ");
    }
}

/* So does the sum over an axis along which an input was broadcast. */
static void test_sum_to(void **state)
{
    (void)state;
    tp_var x = LEAF(TP_F32, 1, 0), big = tp_full(t, TP_F32, TP_SHAPE(4), 3e38);
    assert_status(tp_backward(total(tp_mul(x, big))), TP_ENONFINITE);
    assert_trapped("adding up the gradient of leaf #1: sum#");
    assert_trapped(": gave inf\n  with axes [0], keepdim true\n");
}

/* --- parameters --------------------------------------------------------------------------------- */

static tp_var steep(const tp_parameter *p, double slope)
{
    return total(tp_scale(tp_param(t, (tp_parameter *)p), slope));
}

/* A second backward overflows: the first one's gradients stay, of all parameters and leaves. */
static void test_second_backward(void **state)
{
    (void)state;
    tp_var x = LEAF(TP_F32, 2, 1, 1);
    const double once[] = {3e38, 3e38, 3e38, 3e38}, two[] = {2, 2};
    assert_ok(tp_backward(tp_add(steep(&w, 3e38), tp_add(steep(&b, 2), total(x)))));
    assert_status(tp_backward(tp_add(steep(&w, 3e38), tp_add(steep(&b, 2), total(x)))),
                  TP_ENONFINITE);
    assert_trapped("adding up the gradient of parameter 'w'#");
    assert_trapped(": gave 4 inf of 4 elements, the first at [0,0]\n"
                   "  input 0: f32[2,2]       constant 'so far'#");
    assert_tensor_close(&w.grad, once, 4, 0, 1e-6);
    assert_tensor_close(&b.grad, two, 2, 0, 0);
    assert_tensor_close(tp_leaf_grad(x), ((double[]){1, 1}), 2, 0, 0);
    tp_tape_reset(t);
    assert_ok(tp_backward(tp_add(steep(&w, -1e38), steep(&b, 2))));
    assert_close(tp_flat(&w.grad, 0), 2e38, 0, 1e-6);
    tp_tape_reset(t);
    x = LEAF(TP_F32, 2, 0, 0);
    assert_ok(tp_backward(total(tp_scale(x, 3e38))));
    assert_status(tp_backward(total(tp_scale(x, 3e38))), TP_ENONFINITE);
    assert_trapped("adding up the gradient of leaf #1: add#");
    assert_close(tp_flat(tp_leaf_grad(x), 0), 3e38, 0, 1e-6);
}

/* A parameter that was written between two uses has two leaves, whose gradients meet in it only. */
static void test_two_leaves(void **state)
{
    (void)state;
    tp_var first = steep(&b, 3e38);
    tp_data_mut(&b.value);
    assert_status(tp_backward(tp_add(first, steep(&b, 3e38))), TP_ENONFINITE);
    assert_trapped("adding up the gradient of parameter 'b'#1: add#");
    assert_null(tp_parameter_grad(&b));
}

/* A gradient that was computed in its place when another rule fails is no gradient. */
static void test_in_place(void **state)
{
    (void)state;
    tp_var h = tp_sqrt(tp_param(t, &b)); /* b = 0 */
    tp_var x = tp_constant(t, tensor(TP_F32, TP_SHAPE(1, 2), (double[]){1, 2}));
    tp_var y = tp_linear(x, tp_param(t, &w), tp_full(t, TP_F32, TP_SHAPE(2), 0));
    assert_status(tp_backward(tp_add(total(h), total(y))), TP_ENONFINITE);
    assert_trapped("in the rule of sqrt#2: div#");
    assert_null(tp_parameter_grad(&w));
    assert_null(tp_parameter_grad(&b));
}

/* Nor if it is the one that is not finite. */
static void test_in_place_itself(void **state)
{
    (void)state;
    assert_ok(tp_fill(&w.value, 1e-20));
    tp_var x = tp_constant(t, tensor(TP_F32, TP_SHAPE(1, 2), (double[]){1e20, 2}));
    tp_var weight = tp_param(t, &w), bias = tp_full(t, TP_F32, TP_SHAPE(2), 0);
    tp_var y = tp_linear(x, weight, bias); /* [1, 1] */
    for (int composed = 0; composed < 2; composed++) {
        assert_status(
            tp_backward_opts(total(tp_scale(y, 1e28)), (tp_sweep_opts){.composed = composed}),
            TP_ENONFINITE);
        assert_trapped("in the rule of linear#4: ");
        assert_trapped(
            composed
                ? ": gave 2 inf of 4 elements"
                : "gave for input 1, parameter 'w'#2, 2 inf of 4 elements, the first at [0,0]");
        assert_null(tp_parameter_grad(&w));
        tp_tape_reset(t);
        x = tp_constant(t, &pool[0]);
        weight = tp_param(t, &w), bias = tp_full(t, TP_F32, TP_SHAPE(2), 0);
        y = tp_linear(x, weight, bias);
    }
}

/* --- other sweeps ------------------------------------------------------------------------------- */

/* The first gradient is finite, the second is not. */
static void test_second_order(void **state)
{
    (void)state;
    tp_var x = LEAF(TP_F32, 1, 1e-30), y = tp_sqrt(x), g, h;
    assert_ok(tp_grad(1, &y, 1, &x, &g, (tp_grad_opts){.create_graph = true}));
    assert_close(tp_item_of(g), 5e14, 0, 1e-6);
    assert_status(tp_grad(1, &g, 1, &x, &h, (tp_grad_opts){0}), TP_ENONFINITE);
    assert_trapped("in the rule of ");
    assert_status(tp_var_status(h), TP_ENONFINITE);
    tp_tape_reset(t);
    x = LEAF(TP_F32, 1, 0), y = tp_sqrt(x);
    assert_status(tp_backward_opts(y, (tp_sweep_opts){.create_graph = true}), TP_ENONFINITE);
    assert_trapped("in the rule of sqrt#2: div#");
}

/* One step at a time; two cotangents of one output. */
static void test_steps_and_cotangents(void **state)
{
    (void)state;
    tp_var x = LEAF(TP_F32, 1, 0), y = total(tp_sqrt(x));
    tp_sweep s = tp_sweep_begin(y, (tp_sweep_opts){0});
    assert_true(tp_sweep_next(&s));
    assert_false(tp_sweep_next(&s));
    assert_int_equal(s.status, TP_ENONFINITE);
    assert_status(tp_sweep_end(&s), TP_ENONFINITE);
    tp_tape_reset(t);
    x = LEAF(TP_F32, 1, 0), y = tp_neg(x);
    tp_var big = DATA(TP_F32, 1, 3e38), g;
    assert_status(tp_grad(2, (tp_var[]){y, y}, 1, &x, &g,
                          (tp_grad_opts){.grad_outputs = (tp_var[]){big, big}}),
                  TP_ENONFINITE);
    assert_trapped("adding up the gradient of neg#2: add#");
}

/* The trap looks and changes nothing: the same gradients, bit for bit, and the same messages of others. */
static void test_same_gradients(void **state)
{
    (void)state;
    float grad[2][4];
    assert_ok(tp_random_normal(&w.value, (tp_rng_key){4, 0, 0}));
    for (int on = 0; on < 2; on++) {
        tp_tape_trap(t, on == 1);
        tp_tape_reset(t);
        tp_zero_grad(&w);
        tp_var h = tp_constant(t, tensor(TP_F32, TP_SHAPE(2, 2), (double[]){1, -2, 3, 4}));
        for (int i = 0; i < 3; i++) /* relu's rule writes over the gradient it is given */
            h = tp_relu(tp_linear(h, tp_param(t, &w), tp_param(t, &b)));
        assert_ok(tp_backward_opts(total(h), (tp_sweep_opts){.release = true}));
        memcpy(grad[on], tp_data(&w.grad), sizeof grad[on]);
        tp_add(h, tp_full(t, TP_F32, TP_SHAPE(3), 1));
        assert_int_equal(tp_tape_status(t), TP_EFREED);
    }
    assert_memory_equal(grad[0], grad[1], sizeof grad[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_composed_rule),   CASE(test_fused_rule),   CASE(test_rule_over_its_gradient),
        CASE(test_recomputed),      CASE(test_fan_out),      CASE(test_sum_to),
        CASE(test_second_backward), CASE(test_two_leaves),   CASE(test_in_place),
        CASE(test_in_place_itself), CASE(test_second_order), CASE(test_steps_and_cotangents),
        CASE(test_same_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
