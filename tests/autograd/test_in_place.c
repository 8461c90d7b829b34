/* test_in_place.c: tp_backward lets a fused rule write the gradient of a parameter where it belongs. That is
 * the same gradient as by the composed rule, which never does, in all the cases where one buffer would not do:
 * two contributions, two leaves of one parameter, a sweep that fails, a buffer that is written meanwhile. The
 * same for rules that write over the gradient they are given. */
#include "autograd/compose.h"
#include "autograd/node.h"
#include "autograd/sweep.h"
#include "tensor/matmul.h"
#include "tensor/mem.h"
#include "tests/support/check.h"

enum { N = 48 };
static tp_tape *t;
static tp_parameter w, b; /* f64[N,N] and f64[N] */
static tp_tensor x;       /* f64[3,N] */
static size_t bytes_before;

static void fill(tp_tensor *y, int factor)
{
    double *v = tp_data_mut(y);
    for (int64_t i = 0; i < tp_numel(y); i++)
        v[i] = (double)(i * factor % 23 - 11) / 16;
}

static int set_up(void **state)
{
    (void)state;
    bytes_before = tp_mem().live_bytes;
    assert_ok(tp_tape_new(&t));
    assert_ok(tp_parameter_init(&w, "w", TP_F64, TP_SHAPE(N, N)));
    assert_ok(tp_parameter_init(&b, "b", TP_F64, TP_SHAPE(N)));
    assert_ok(tp_tensor_new(&x, TP_F64, TP_SHAPE(3, N)));
    fill(&w.value, 7);
    fill(&b.value, 5);
    fill(&x, 3);
    return 0;
}

/* One parameter goes before the tape, one after; no byte may stay. */
static int tear_down(void **state)
{
    (void)state;
    tp_parameter_free(&w);
    tp_tape_free(t);
    tp_parameter_free(&b);
    tp_tensor_free(&x);
    tp_matmul_release();
    assert_int_equal(tp_mem().live_bytes, bytes_before);
    return 0;
}

static tp_var total(tp_var v)
{
    return tp_sum(v, TP_ALL_AXES, false);
}

static tp_var layer(tp_var v)
{
    return tp_linear(v, tp_param(t, &w), tp_param(t, &b));
}

static tp_var once(void)
{
    return total(tp_square(layer(tp_constant(t, &x))));
}

static tp_var two_layers_of_one_weight(void)
{
    return total(tp_square(layer(tp_tanh(layer(tp_constant(t, &x))))));
}

/* Input and weight are the same node, twice in one call of the rule. */
static tp_var weight_as_input(void)
{
    return total(tp_square(layer(tp_param(t, &w))));
}

/* The weight is also used by an op whose contribution comes later, or earlier, than the layer's. */
static tp_var used_before_and_after(void)
{
    tp_var before = total(tp_square(tp_param(t, &w))), y = once();
    return tp_add(tp_add(before, y), total(tp_exp(tp_param(t, &w))));
}

/* Gradients that are one var for two nodes: relu may not write over them before both are done. */
static tp_var shared_cotangent(void)
{
    tp_var u = layer(tp_constant(t, &x)), v = layer(u);
    return total(tp_square(tp_add(tp_add(tp_relu(u), tp_relu(v)), u)));
}

/* Nor if another node holds the var of which it is a view. */
static tp_var viewed_cotangent(void)
{
    tp_var u = layer(tp_constant(t, &x)), other = tp_tanh(u), v = layer(u);
    tp_var r = tp_relu(tp_reshape(v, TP_SHAPE(N, 3)));
    return total(tp_square(tp_add(other, tp_reshape(r, TP_SHAPE(3, N)))));
}

/* Nor if it is one number repeated. */
static tp_var repeated_cotangent(void)
{
    return total(tp_relu(layer(tp_constant(t, &x))));
}

/* A parameter that was written enters the tape anew. */
static tp_var two_leaves(void)
{
    tp_var old = total(tp_param(t, &w));
    tp_data_mut(&w.value);
    return tp_add(old, once());
}

/* Both leaves of the bias get their gradient from a fused rule, which does not read its value. */
static tp_var two_leaves_of_the_bias(void)
{
    tp_var old = total(tp_square(layer(tp_constant(t, &x))));
    tp_data_mut(&b.value);
    return tp_add(old, once());
}

/* The gradients of w and b by one kind of rule. */
static void gradients(tp_var (*f)(void), bool composed, tp_tensor *gw, tp_tensor *gb)
{
    tp_tape_reset(t);
    tp_zero_grad(&w), tp_zero_grad(&b);
    assert_ok(tp_backward_opts(f(), (tp_sweep_opts){.composed = composed}));
    assert_ok(tp_clone(gw, tp_parameter_grad(&w)));
    assert_ok(tp_clone(gb, tp_parameter_grad(&b)));
}

static void test_same_gradient(void **state)
{
    (void)state;
    static tp_var (*const f[])(void) = {once,
                                        two_layers_of_one_weight,
                                        weight_as_input,
                                        used_before_and_after,
                                        two_leaves,
                                        two_leaves_of_the_bias,
                                        shared_cotangent,
                                        viewed_cotangent,
                                        repeated_cotangent};
    for (size_t i = 0; i < sizeof f / sizeof *f; i++) {
        tp_tensor gw[2], gb[2];
        for (int composed = 0; composed < 2; composed++)
            gradients(f[i], composed, &gw[composed], &gb[composed]);
        assert_true(equal_bits(&gw[0], &gw[1]));
        assert_true(equal_bits(&gb[0], &gb[1]));
        for (int k = 0; k < 2; k++)
            tp_tensor_free(&gw[k]), tp_tensor_free(&gb[k]);
    }
}

/* The arena never holds the gradient of the weight, in a second backward neither. */
static void test_no_copy(void **state)
{
    (void)state;
    size_t peak[2];
    for (int composed = 0; composed < 2; composed++) {
        tp_tape_reset(t);
        t->arena.peak_bytes = 0;
        tp_var loss = once();
        for (int i = 0; i < 2; i++) {
            tp_zero_grad(&w), tp_zero_grad(&b);
            assert_ok(tp_backward_opts(loss, (tp_sweep_opts){.composed = composed}));
        }
        peak[composed] = t->arena.peak_bytes;
    }
    assert_true(peak[0] + N * N * sizeof(double) <= peak[1]);
}

/* relu's gradient takes the place of its cotangent, unless somebody steps and may look at both. */
static void test_written_over(void **state)
{
    (void)state;
    size_t peak[2];
    tp_tensor big;
    assert_ok(tp_tensor_new(&big, TP_F64, TP_SHAPE(N, N)));
    assert_ok(tp_fill(&big, -1));
    tp_var z = total(tp_exp(tp_relu(tp_leaf(t, &big))));
    assert_ok(tp_backward(z)); /* the first makes the leaf's gradient */
    t->arena.peak_bytes = 0;
    assert_ok(tp_backward(z));
    peak[0] = t->arena.peak_bytes;
    t->arena.peak_bytes = 0;
    tp_sweep s = tp_sweep_begin(z, (tp_sweep_opts){0});
    while (tp_sweep_next(&s))
        if (s.fused)
            assert_close(tp_flat(tp_value(s.gy), 0), 1, 0, 0); /* e^0, where the gradient is 0 */
    assert_ok(tp_sweep_end(&s));
    peak[1] = t->arena.peak_bytes;
    assert_true(peak[0] + N * N * sizeof(double) <= peak[1]);
    tp_tensor_free(&big);
}

/* Two losses, so that a second gradient in the place of the first shows. */
static void test_second_backward_adds(void **state)
{
    (void)state;
    tp_tensor gw[2], gb[2];
    gradients(once, true, &gw[0], &gb[0]);
    gradients(shared_cotangent, true, &gw[1], &gb[1]);
    tp_zero_grad(&w), tp_zero_grad(&b);
    tp_tape_reset(t);
    assert_ok(tp_backward(once()));
    assert_ok(tp_backward(shared_cotangent()));
    for (int64_t i = 0; i < N * N; i++)
        assert_close(tp_flat(tp_parameter_grad(&w), i), tp_flat(&gw[0], i) + tp_flat(&gw[1], i), 0,
                     0);
    for (int k = 0; k < 2; k++)
        tp_tensor_free(&gw[k]), tp_tensor_free(&gb[k]);
}

/* w is done when the sweep fails at v²: it still has no gradient, and the next backward gives it. */
static void test_failing_sweep(void **state)
{
    (void)state;
    tp_tensor v, want;
    assert_ok(tp_tensor_new(&v, TP_F64, TP_SHAPE(3, N)));
    tp_var u = tp_square(tp_leaf(t, &v)), loss = total(layer(tp_add(u, tp_constant(t, &x))));
    assert_ok(tp_fill(&v, 1));
    assert_status(tp_backward(loss), TP_EVERSION);
    assert_null(tp_parameter_grad(&w));
    assert_null(tp_parameter_grad(&b));
    tp_tape_reset(t);
    assert_ok(tp_backward(once()));
    assert_ok(tp_clone(&want, tp_parameter_grad(&w)));
    tp_tensor gw, gb;
    gradients(once, true, &gw, &gb);
    assert_true(equal_bits(&gw, &want));
    tp_tensor_free(&gw), tp_tensor_free(&gb), tp_tensor_free(&want), tp_tensor_free(&v);
}

static void overwrite(void *user, const tp_op *op, const tp_vjp_call *c, tp_var *gx)
{
    (void)user, (void)c, (void)gx;
    if (op == &tp_op_tanh)
        assert_ok(tp_fill(&w.grad, 1));
}

/* Somebody takes the buffer while the sweep relies on it: refused, not a wrong gradient. */
static void test_written_meanwhile(void **state)
{
    (void)state;
    t->rule_hook = overwrite;
    tp_tensor v;
    assert_ok(tp_tensor_new(&v, TP_F64, TP_SHAPE(3, N)));
    assert_status(tp_backward(total(layer(tp_tanh(tp_leaf(t, &v))))), TP_EVERSION);
    assert_message("the gradient of parameter 'w' was written during backward");
    assert_null(tp_parameter_grad(&w));
    tp_tensor_free(&v);
}

/* The same if a second contribution has moved the gradient away before the end. */
static void test_written_between_contributions(void **state)
{
    (void)state;
    t->rule_hook = overwrite;
    assert_status(tp_backward(two_layers_of_one_weight()), TP_EVERSION);
    assert_message("the gradient of parameter 'w' was written during backward");
    assert_null(tp_parameter_grad(&w));
}

/* The gradient of before is data, in the memory that the new one would go to. */
static void test_old_gradient_as_input(void **state)
{
    (void)state;
    tp_tensor old, gw[2];
    gradients(once, false, &old, &gw[0]);
    tp_tensor_free(&gw[0]);
    for (int composed = 0; composed < 2; composed++) {
        tp_tape_reset(t);
        assert_ok(tp_copy(&w.grad, &old));
        tp_var loss = total(tp_square(layer(tp_constant(t, &w.grad))));
        tp_zero_grad(&w), tp_zero_grad(&b);
        assert_ok(tp_backward_opts(loss, (tp_sweep_opts){.composed = composed}));
        assert_ok(tp_clone(&gw[composed], tp_parameter_grad(&w)));
    }
    assert_true(equal_bits(&gw[0], &gw[1]));
    tp_tensor_free(&gw[0]), tp_tensor_free(&gw[1]), tp_tensor_free(&old);
}

static tp_status scalar(const tp_op_call *c)
{
    c->y->shape = TP_SHAPE();
    return TP_OK;
}

static tp_status zero(const tp_op_call *c)
{
    return tp_fill(c->y, 0);
}

static void second_input(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = c->x[1];
}

/* A rule hands out a value of the forward pass as a gradient: relu may not write over it. */
static void test_forward_value_as_gradient(void **state)
{
    static const tp_op op = {.name = "toward",
                             .arity = 2,
                             .smooth = TP_ESTIMATOR,
                             .reads = TP_READS(1),
                             .shape = scalar,
                             .forward = zero,
                             .vjp = second_input};
    (void)state;
    tp_var way = tp_exp(tp_constant(t, &x)), u = tp_relu(layer(tp_constant(t, &x)));
    double first = tp_flat(tp_value(way), 0);
    assert_ok(tp_backward(tp_apply(&op, 2, (tp_var[]){u, way}, NULL)));
    for (int64_t i = 0; i < tp_numel(&x); i++)
        assert_true(tp_flat(tp_value(way), i) > 0);
    assert_close(tp_flat(tp_value(way), 0), first, 0, 0);
}

static void reset(void *user, const tp_op *op, const tp_vjp_call *c, tp_var *gx)
{
    (void)user, (void)op, (void)c, (void)gx;
    tp_tape_reset(t);
}

/* A sweep after one that a reset has ended is stepped by hand: it does not write before its end. */
static void test_step_after_reset(void **state)
{
    (void)state;
    t->rule_hook = reset;
    assert_status(tp_backward(once()), TP_ESTALE);
    t->rule_hook = NULL;
    tp_tape_reset(t);
    assert_ok(tp_fill(&w.grad, 7));
    tp_sweep s = tp_sweep_begin(once(), (tp_sweep_opts){0});
    while (tp_sweep_next(&s))
        ;
    assert_close(tp_flat(&w.grad, 0), 7, 0, 0);
    assert_ok(tp_sweep_end(&s));
}

/* Where the gradient's node was comes one that must compute its value, not take over the old memory. */
static void test_node_used_again(void **state)
{
    (void)state;
    tp_var flipped = tp_transpose(tp_constant(t, &x));
    assert_ok(tp_backward(once()));
    double g = tp_flat(tp_parameter_grad(&w), 0);
    for (int i = 0; i < 8; i++) {
        tp_var flat = tp_reshape(flipped, TP_SHAPE(3 * N)); /* no view can do this */
        assert_close(tp_flat(tp_value(flat), 1), tp_flat(&x, N), 0, 0);
    }
    assert_close(tp_flat(tp_parameter_grad(&w), 0), g, 0, 0);
}

/* Fused rules give their temporaries back: the second backward leaves no more behind than the first. */
static void test_temporaries(void **state)
{
    (void)state;
    tp_var in = tp_reshape(tp_constant(t, &x), TP_SHAPE(3, 1, N));
    tp_var u = tp_add(in, tp_reshape(in, TP_SHAPE(1, 3, N)));
    u = tp_linear_relu(u, tp_param(t, &w), tp_param(t, &b));
    u = tp_transpose(layer(tp_log_softmax(u, 2)));
    tp_var loss = total(tp_square(u));
    assert_ok(tp_backward(loss));
    size_t bytes = tp_tape_bytes(t);
    assert_ok(tp_backward(loss));
    assert_int_equal(tp_tape_bytes(t), bytes);
}

/* Two sweeps side by side over one parameter, each stepped by hand: neither writes before its end. */
static void test_sweeps_side_by_side(void **state)
{
    (void)state;
    tp_tape *mine = t, *other;
    tp_tensor gw, gb;
    gradients(once, false, &gw, &gb);
    tp_zero_grad(&w), tp_zero_grad(&b);
    tp_tape_reset(t);
    assert_ok(tp_tape_new(&other));
    tp_sweep one = tp_sweep_begin(once(), (tp_sweep_opts){0});
    t = other;
    tp_sweep two = tp_sweep_begin(once(), (tp_sweep_opts){0});
    t = mine;
    for (bool more = true; more;) {
        more = tp_sweep_next(&one);
        more = tp_sweep_next(&two) || more;
    }
    assert_null(tp_parameter_grad(&w));
    assert_ok(tp_sweep_end(&one));
    assert_true(equal_bits(tp_parameter_grad(&w), &gw));
    assert_ok(tp_sweep_end(&two));
    for (int64_t i = 0; i < N * N; i++)
        assert_close(tp_flat(tp_parameter_grad(&w), i), 2 * tp_flat(&gw, i), 0, 0);
    tp_tape_free(other);
    tp_tensor_free(&gw), tp_tensor_free(&gb);
}

/* The gradient outlives the tape it was computed on. */
static void test_tape_freed_first(void **state)
{
    (void)state;
    assert_ok(tp_backward(once()));
    double g = tp_flat(tp_parameter_grad(&w), 1);
    tp_tape_free(t);
    assert_close(tp_flat(tp_parameter_grad(&w), 1), g, 0, 0);
    assert_ok(tp_tape_new(&t));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_same_gradient),
        CASE(test_no_copy),
        CASE(test_written_over),
        CASE(test_second_backward_adds),
        CASE(test_failing_sweep),
        CASE(test_written_meanwhile),
        CASE(test_sweeps_side_by_side),
        CASE(test_tape_freed_first),
        CASE(test_written_between_contributions),
        CASE(test_old_gradient_as_input),
        CASE(test_forward_value_as_gradient),
        CASE(test_step_after_reset),
        CASE(test_node_used_again),
        CASE(test_temporaries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
