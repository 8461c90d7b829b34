/* test_sweep.c: what the sweep computes: fan-out, order, accumulation, gradients of gradients; that stepping is
 * the same as tp_backward; and the exact text of an error. When values die: test_lifetimes.c. That the
 * rules are right: tests/ops/. */
#include "autograd/compose.h"
#include "autograd/node.h"
#include "autograd/sweep.h"
#include "tests/support/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static tp_tape *t;
static tp_tensor two; /* f64[] 2 */

static int set_up(void **state)
{
    (void)state;
    assert_ok(tp_tape_new(&t));
    assert_ok(tp_tensor_from(&two, TP_F64, TP_SHAPE(), (double[]){2}));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tp_tape_free(t);
    tp_tensor_free(&two);
    return 0;
}

/* dy/dx by tp_grad and, the same bits, by tp_backward */
static double derivative(tp_var y, tp_var x)
{
    tp_var g;
    assert_ok(tp_grad(1, &y, 1, &x, &g, (tp_grad_opts){0}));
    const tp_tensor *before = tp_leaf_grad(x);
    double old = before != NULL ? tp_item(before) : 0, d = tp_item_of(g);
    assert_ok(tp_backward(y));
    assert_close(tp_item(tp_leaf_grad(x)) - old, d, 0, 1e-14);
    return d;
}

/* --- fan-out ------------------------------------------------------------------------------------ */

static void test_diamonds(void **state)
{
    (void)state;
    tp_var a = tp_leaf(t, &two), b = tp_add(a, a), c = tp_add(b, b);
    assert_close(derivative(c, a), 4, 0, 0);
    tp_var x = tp_leaf(t, &two), y = tp_scale(x, 3);
    tp_var z = tp_add(tp_scale(y, 2), tp_scale(y, 5));
    assert_close(derivative(z, x), 21, 0, 0);
    tp_var long_way = tp_exp(tp_log(tp_square(x))), both = tp_mul(long_way, x); /* x³ */
    assert_close(derivative(both, x), 12, 0, 1e-15);
}

static void test_same_input_twice(void **state)
{
    (void)state;
    tp_var x = tp_leaf(t, &two), zero = tp_sub(x, x), one = tp_div(x, x);
    assert_close(derivative(tp_mul(x, x), x), 4, 0, 0);
    assert_close(derivative(zero, x), 0, 0, 0);
    assert_close(derivative(one, x), 0, 0, 0);
    tp_var thrice =
        tp_sum(tp_concat((tp_var[]){tp_reshape(x, TP_SHAPE(1)), tp_reshape(x, TP_SHAPE(1)),
                                    tp_reshape(x, TP_SHAPE(1))},
                         3, 0),
               TP_ALL_AXES, false);
    assert_close(derivative(thrice, x), 3, 0, 0);
}

static void test_fan_out(void **state)
{
    (void)state;
    for (int n = 1; n <= 64; n++) {
        tp_tape_reset(t);
        tp_var x = tp_leaf(t, &two), sum = tp_square(x);
        for (int i = 1; i < n; i++)
            sum = tp_add(sum, i % 2 ? tp_square(x) : tp_scale(x, 4));
        assert_close(derivative(sum, x), 4 * n, 0, 0);
    }
}

/* One op with many inputs: more than the sweep keeps on the stack. */
static void test_many_inputs(void **state)
{
    (void)state;
    enum { N = 40 };
    tp_var x = tp_reshape(tp_leaf(t, &two), TP_SHAPE(1)), parts[N], g[N];
    for (int i = 0; i < N; i++)
        parts[i] = tp_scale(x, i);
    tp_var y = tp_sum(tp_square(tp_concat(parts, N, 0)), TP_ALL_AXES, false);
    assert_ok(tp_grad(1, &y, N, parts, g, (tp_grad_opts){0}));
    for (int i = 0; i < N; i++)
        assert_close(tp_item_of(g[i]), 4 * i, 0, 0);
}

/* A graph of 3000 ops in a row: several segments of nodes, no recursion. */
static void test_long_chain(void **state)
{
    (void)state;
    tp_var x = tp_leaf(t, &two), y = x;
    for (int i = 0; i < 3000; i++)
        y = i % 2 ? tp_scale(y, 0.5) : tp_scale(y, 2);
    assert_close(derivative(y, x), 1, 0, 0);
}

/* --- backward and grad -------------------------------------------------------------------------- */

static void test_backward_accumulates_leaves_only(void **state)
{
    (void)state;
    tp_var x = tp_leaf(t, &two), y = tp_square(x), z = tp_square(y);
    assert_ok(tp_backward(z));
    assert_ok(tp_backward(z));
    assert_close(tp_item(tp_leaf_grad(x)), 64, 0, 0); /* twice 4x³ */
    assert_ok(tp_backward(y)); /* what y got in the sweeps of z is not in here */
    assert_close(tp_item(tp_leaf_grad(x)), 68, 0, 0);
}

static void test_root_is_leaf(void **state)
{
    (void)state;
    tp_var x = tp_leaf(t, &two), g;
    assert_ok(tp_backward(x));
    assert_close(tp_item(tp_leaf_grad(x)), 1, 0, 0);
    assert_ok(tp_grad(1, &x, 1, &x, &g, (tp_grad_opts){0}));
    assert_close(tp_item_of(g), 1, 0, 0);
}

static void test_grad_touches_no_parameter(void **state)
{
    (void)state;
    tp_parameter p;
    assert_ok(tp_parameter_init(&p, "p", TP_F64, TP_SHAPE(3)));
    assert_ok(tp_fill(&p.value, 2));
    tp_var x = tp_param(t, &p), y = tp_sum(tp_square(x), TP_ALL_AXES, false), g;
    assert_ok(tp_grad(1, &y, 1, &x, &g, (tp_grad_opts){0}));
    assert_null(tp_parameter_grad(&p));
    assert_ok(tp_backward(y));
    for (int64_t i = 0; i < 3; i++) {
        assert_close(tp_flat(tp_value(g), i), 4, 0, 0); /* a var, valid until reset */
        assert_close(tp_flat(tp_parameter_grad(&p), i), 4, 0, 0);
    }
    tp_parameter_free(&p);
}

static void test_grad_by_anything(void **state)
{
    (void)state;
    tp_var x = tp_leaf(t, &two), c = tp_constant(t, &two), y = tp_mul(x, c), z = tp_square(y);
    tp_var by[] = {y, c, x}, g[3];
    assert_ok(tp_grad(1, &z, 3, by, g, (tp_grad_opts){0}));
    assert_close(tp_item_of(g[0]), 8, 0, 0);  /* by the intermediate y: 2y */
    assert_close(tp_item_of(g[1]), 16, 0, 0); /* by the constant c: 2y·x */
    assert_close(tp_item_of(g[2]), 16, 0, 0);
    assert_null(tp_leaf_grad(x));
}

static void test_unused_input(void **state)
{
    (void)state;
    tp_var x = tp_leaf(t, &two), other = TP_NAME(tp_leaf(t, &two)), y = tp_square(x);
    tp_var by[] = {x, other}, g[2];
    assert_ok(tp_grad(1, &y, 2, by, g, (tp_grad_opts){.allow_unused = true}));
    assert_close(tp_item_of(g[0]), 4, 0, 0);
    assert_close(tp_item_of(g[1]), 0, 0, 0);
    assert_status(tp_grad(1, &y, 2, by, g, (tp_grad_opts){0}), TP_EGRAD);
    assert_message("tp_grad: no output depends on input 1, leaf 'tp_leaf(t, &two)'#2");
    assert_null(tp_value(g[0])); /* poisoned */
    assert_null(tp_value(g[1]));
}

static void test_grad_outputs(void **state)
{
    (void)state;
    tp_tensor x0, v0;
    assert_ok(tp_tensor_from(&x0, TP_F64, TP_SHAPE(3), (double[]){1, 2, 3}));
    assert_ok(tp_tensor_from(&v0, TP_F64, TP_SHAPE(3), (double[]){1, -1, 0.5}));
    tp_var x = tp_leaf(t, &x0), v = tp_constant(t, &v0), g;
    tp_var y[] = {tp_square(x), tp_scale(x, 3)}, weights[] = {v, v};
    assert_ok(tp_grad(2, y, 1, &x, &g, (tp_grad_opts){.grad_outputs = weights}));
    assert_tensor_close(tp_value(g), ((double[]){5, -7, 4.5}), 3, 0, 0); /* (2x + 3)·v */
    assert_ok(tp_grad(2, y, 1, &x, &g, (tp_grad_opts){0}));
    assert_tensor_close(tp_value(g), ((double[]){5, 7, 9}), 3, 0, 0); /* ones */
    weights[1] = tp_sum(v, TP_ALL_AXES, false);
    assert_status(tp_grad(2, y, 1, &x, &g, (tp_grad_opts){.grad_outputs = weights}), TP_ESHAPE);
    assert_message("tp_grad: cotangent 1 has shape [], its output [3]");
    tp_tensor_free(&x0);
    tp_tensor_free(&v0);
}

/* An output that lies on the way to another gets both gradients. */
static void test_output_within(void **state)
{
    (void)state;
    tp_var x = tp_leaf(t, &two), y[2], g;
    y[0] = tp_square(x);
    y[1] = tp_square(y[0]);
    assert_ok(tp_grad(2, y, 1, &x, &g, (tp_grad_opts){0}));
    assert_close(tp_item_of(g), 4 + 32, 0, 0);
}

static void test_grad_without_vars(void **state)
{
    (void)state;
    tp_var x = tp_leaf(t, &two), g;
    assert_status(tp_grad(0, NULL, 1, &x, &g, (tp_grad_opts){0}), TP_ETAPE);
    assert_message("at least one output and one input");
    assert_status(tp_grad(1, &x, 0, NULL, &g, (tp_grad_opts){0}), TP_ETAPE);
}

/* --- higher derivatives ------------------------------------------------------------------------- */

static void test_third_derivatives(void **state)
{
    (void)state;
    tp_var x = tp_leaf(t, &two), e = tp_exp(x), power = x, g;
    for (int n = 2; n <= 5; n++) /* x⁵ */
        power = tp_mul(power, x);
    double want[] = {80, 160, 240};
    for (int n = 0; n < 3; n++) {
        assert_ok(tp_grad(1, &e, 1, &x, &g, (tp_grad_opts){.create_graph = true}));
        assert_close(tp_item_of(e = g), exp(2), 0, 1e-15);
        assert_ok(tp_grad(1, &power, 1, &x, &g, (tp_grad_opts){.create_graph = true}));
        assert_close(tp_item_of(power = g), want[n], 0, 0);
    }
    assert_close(derivative(power, x), 240, 0, 0); /* the fourth, of 60x² */
}

static void test_backward_with_graph(void **state)
{
    (void)state;
    tp_var x = tp_leaf(t, &two), y = tp_exp(tp_square(x));
    uint32_t length = tp_tape_length(t);
    assert_ok(tp_backward_opts(y, (tp_sweep_opts){.create_graph = true}));
    assert_close(tp_item(tp_leaf_grad(x)), 4 * exp(4), 0, 1e-15);
    assert_true(tp_tape_length(t) > length);
}

/* --- the cursor --------------------------------------------------------------------------------- */

/* A computation with fan-out, broadcasting, views and a leaf that is used late; without ops that have a fused
 * rule, which would round differently. */
static tp_var tangle(tp_var x, tp_var w)
{
    tp_var h = tp_tanh(tp_matmul(x, w));
    tp_var n = tp_sub(h, tp_logsumexp(h, TP_AXES(1), true)), a = tp_mul(h, n);
    tp_var b = tp_concat((tp_var[]){a, tp_transpose(tp_transpose(h)), a}, 3, 0);
    return tp_add(tp_mean(tp_square(b), TP_ALL_AXES, false),
                  tp_sum(tp_slice(w, 0, -1, TP_SLICE_END, -1), TP_ALL_AXES, false));
}

static void make_inputs(tp_tensor *x, tp_tensor *w)
{
    assert_ok(tp_tensor_new(x, TP_F64, TP_SHAPE(4, 3)));
    assert_ok(tp_tensor_new(w, TP_F64, TP_SHAPE(3, 5)));
    assert_ok(tp_random_normal(x, (tp_rng_key){1, 0, 0}));
    assert_ok(tp_random_normal(w, (tp_rng_key){1, 0, 1}));
}

static void test_order_of_steps(void **state)
{
    (void)state;
    tp_tensor x0, w0;
    make_inputs(&x0, &w0);
    tp_var x = tp_leaf(t, &x0), w = tp_leaf(t, &w0), root = tangle(x, w);
    bool done[100] = {false};
    int steps = 0;
    tp_sweep s = tp_sweep_begin(root, (tp_sweep_opts){0});
    for (uint32_t last = root.id + 1; tp_sweep_next(&s); last = s.at, steps++) {
        assert_true(s.at < last);
        for (uint32_t id = 1; id <= root.id; id++) /* every consumer was treated before */
            for (int i = 0; i < tp_node_at(t, id)->n; i++)
                assert_true(tp_node_at(t, id)->x[i] != s.at || done[id]);
        done[s.at] = true;
        assert_int_equal(s.n, tp_node_at(t, s.at)->n);
        assert_true(s.base <= s.first && s.first <= s.rule_end && s.rule_end <= s.last);
        assert_true(tp_shape_equal(tp_shape_of(s.gy), tp_node_at(t, s.at)->value.shape));
        for (int i = 0; i < s.n; i++)
            assert_true(tp_shape_equal(tp_shape_of(s.gx[i]),
                                       tp_node_at(t, tp_node_at(t, s.at)->x[i])->value.shape));
    }
    assert_int_equal(steps, root.id - 2); /* all but the leaves */
    assert_non_null(tp_value(tp_sweep_grad(&s, w)));
    assert_ok(tp_sweep_end(&s));
    assert_ok(tp_sweep_end(&s)); /* a second end does nothing */
    assert_false(tp_sweep_next(&s));
    tp_tensor_free(&x0);
    tp_tensor_free(&w0);
}

/* Stepping, stepping and looking, releasing, recording: the same bits. */
static void test_stepping_is_backward(void **state)
{
    (void)state;
    static const tp_sweep_opts opts[] = {
        {0}, {.release = true}, {.create_graph = true}, {.composed = true}};
    tp_tensor x0, w0, want_x, want_w;
    make_inputs(&x0, &w0);
    tp_var x = tp_leaf(t, &x0), w = tp_leaf(t, &w0);
    assert_ok(tp_backward(tangle(x, w)));
    assert_ok(tp_clone(&want_x, tp_leaf_grad(x)));
    assert_ok(tp_clone(&want_w, tp_leaf_grad(w)));
    for (size_t k = 0; k < sizeof opts / sizeof *opts; k++) {
        tp_tape_reset(t);
        x = tp_leaf(t, &x0), w = tp_leaf(t, &w0);
        tp_sweep s = tp_sweep_begin(tangle(x, w), opts[k]);
        while (tp_sweep_next(&s))
            for (int i = 0; i < s.n; i++) {
                assert_non_null(tp_value(s.gx[i]));
                assert_non_null(tp_value(s.contribution[i]));
            }
        assert_null(tp_leaf_grad(x)); /* nothing is written before the end */
        assert_ok(tp_sweep_end(&s));
        assert_true(equal_bits(tp_leaf_grad(x), &want_x));
        assert_true(equal_bits(tp_leaf_grad(w), &want_w));
    }
    tp_tensor_free(&x0), tp_tensor_free(&w0), tp_tensor_free(&want_x), tp_tensor_free(&want_w);
}

/* Both inputs of mul are x: each contribution can be seen, and the gradient of x after each. */
static void test_step_with_one_input_twice(void **state)
{
    (void)state;
    tp_var x = tp_leaf(t, &two), y = tp_mul(x, x);
    tp_sweep s = tp_sweep_begin(y, (tp_sweep_opts){0});
    assert_true(tp_sweep_next(&s));
    assert_int_equal(s.n, 2);
    assert_close(tp_item_of(s.contribution[0]), 2, 0, 0);
    assert_close(tp_item_of(s.contribution[1]), 2, 0, 0);
    assert_close(tp_item_of(s.gx[0]), 2, 0, 0);
    assert_close(tp_item_of(s.gx[1]), 4, 0, 0);
    assert_false(tp_sweep_next(&s));
    assert_ok(tp_sweep_end(&s));
}

/* A sweep that is not finished adds nothing and leaves the tape as it was. */
static void test_abandoned_sweep(void **state)
{
    (void)state;
    tp_var x = tp_leaf(t, &two), y = tp_exp(tp_square(x));
    uint32_t length = tp_tape_length(t);
    tp_sweep s = tp_sweep_begin(y, (tp_sweep_opts){0});
    assert_true(tp_sweep_next(&s));
    tp_sweep_end(&s);
    assert_null(tp_leaf_grad(x));
    assert_int_equal(tp_tape_length(t), length);
    assert_close(derivative(y, x), 4 * exp(4), 0, 1e-15);
}

/* --- what errors say ---------------------------------------------------------------------------- */

static void assert_tape_says(tp_status status, const char *message)
{
    assert_int_equal(tp_tape_status(t), status);
    assert_string_equal(tp_tape_message(t), message);
}

static void test_message_of_a_clash(void **state)
{
    (void)state;
    tp_tensor x0, w0;
    make_inputs(&x0, &w0);
    tp_scope_begin(t, "encoder");
    tp_scope_begin(t, "fc1");
    tp_var x = tp_leaf(t, &x0);
    tp_var h = tp_name(tp_exp(x), "h", "vae.c", 112);
    tp_scope_end(t);
    tp_var s = tp_sum(h, TP_AXES(1), false);
    assert_null(tp_value(tp_mul(h, s)));
    assert_tape_says(TP_ESHAPE, "E_SHAPE encoder: mul#4: shapes [4,3] and [4] do not broadcast\n"
                                "  axis -1: 3 against 4\n"
                                "  input 0: f64[4,3]       'h' = encoder/fc1: exp#2 (vae.c:112)\n"
                                "  input 1: f64[4]         encoder: sum#3\n"
                                "  hint: sum#3 with keepdim gives [4,1]");
    tp_tensor_free(&x0), tp_tensor_free(&w0);
}

/* A hint only where it is surely right: kept axes would not fit here. */
static void test_no_wrong_hint(void **state)
{
    (void)state;
    tp_var a = tp_full(t, TP_F64, TP_SHAPE(4, 3), 1), s = tp_sum(a, TP_AXES(0), false);
    tp_add(s, tp_full(t, TP_F64, TP_SHAPE(5, 7), 1));
    assert_int_equal(tp_tape_status(t), TP_ESHAPE);
    assert_non_null(strstr(tp_tape_message(t), "input 0: f64[3]         sum#2\n"));
    assert_null(strstr(tp_tape_message(t), "hint"));
    tp_tape_reset(t);
    tp_add(tp_full(t, TP_F64, TP_SHAPE(4), 1), tp_full(t, TP_F64, TP_SHAPE(5), 1));
    assert_null(strstr(tp_tape_message(t), "hint"));
}

static void test_names(void **state)
{
    (void)state;
    char text[TP_VAR_TEXT], line[64];
    tp_var z = TP_NAME(tp_exp(tp_leaf(t, &two)));
    snprintf(line, sizeof line, "test_sweep.c:%d)", __LINE__ - 1);
    assert_string_equal(tp_var_text(z, text), "'tp_exp(tp_leaf(t, &two))' = exp#2");
    tp_scope_begin(t, "decoder");
    assert_string_equal(tp_var_text(tp_log(z), text), "decoder: log#3");
    tp_scope_begin(t, "out");
    assert_string_equal(tp_var_text(tp_log(z), text), "decoder/out: log#4");
    tp_scope_end(t), tp_scope_end(t), tp_scope_end(t); /* one too many is ignored */
    assert_string_equal(tp_var_text(tp_log(z), text), "log#5");
    assert_string_equal(tp_var_text((tp_var){0}, text), "an invalid var");
    tp_reshape(z, TP_SHAPE(7));
    assert_non_null(strstr(tp_tape_message(t), line));
}

/* Long names are cut, not overrun. */
static void test_long_names(void **state)
{
    (void)state;
    char text[TP_VAR_TEXT], name[400];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (int i = 0; i < 12; i++) {
        name[90] = '\0';
        tp_scope_begin(t, name);
    }
    name[90] = 'n';
    tp_var x = tp_name(tp_exp(tp_leaf(t, &two)), name, name, 3);
    assert_true(strlen(tp_var_text(x, text)) < TP_VAR_TEXT);
    tp_concat((tp_var[]){x, x, x, x, x, x}, 6, 0);
    assert_int_equal(tp_tape_status(t), TP_ESHAPE);
    assert_true(strlen(tp_tape_message(t)) < TP_MESSAGE_BYTES);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_diamonds),
        CASE(test_same_input_twice),
        CASE(test_fan_out),
        CASE(test_many_inputs),
        CASE(test_long_chain),
        CASE(test_backward_accumulates_leaves_only),
        CASE(test_root_is_leaf),
        CASE(test_grad_touches_no_parameter),
        CASE(test_grad_by_anything),
        CASE(test_unused_input),
        CASE(test_grad_outputs),
        CASE(test_output_within),
        CASE(test_grad_without_vars),
        CASE(test_third_derivatives),
        CASE(test_backward_with_graph),
        CASE(test_order_of_steps),
        CASE(test_stepping_is_backward),
        CASE(test_step_with_one_input_twice),
        CASE(test_abandoned_sweep),
        CASE(test_message_of_a_clash),
        CASE(test_no_wrong_hint),
        CASE(test_names),
        CASE(test_long_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
