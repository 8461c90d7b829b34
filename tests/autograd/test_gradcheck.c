/* test_gradcheck.c: the public gradient check: it passes what is right, names what is wrong, says where it
 * could not look, and leaves the parameters as they were. On operations: test_check_op.c and tests/ops/. */
#include "autograd/check.h"
#include "autograd/compose.h"
#include "autograd/node.h"
#include "tests/support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static tp_parameter w, b; /* f64[3,2] and f64[2] */
static tp_parameter *const both[] = {&w, &b};

static void fill(tp_parameter *p, uint32_t draw)
{
    assert_ok(tp_random_normal(&p->value, (tp_rng_key){7, 0, draw}));
}

static int set_up(void **state)
{
    (void)state;
    assert_ok(tp_parameter_init(&w, "layer.weight", TP_F64, TP_SHAPE(3, 2)));
    assert_ok(tp_parameter_init(&b, "layer.bias", TP_F64, TP_SHAPE(2)));
    fill(&w, 0);
    fill(&b, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tp_parameter_free(&w);
    tp_parameter_free(&b);
    return 0;
}

/* tanh(x·w + b) with fixed noise x */
static tp_var layer(tp_tape *t, void *user)
{
    (void)user;
    tp_var x = tp_noise_normal(t, TP_F64, TP_SHAPE(4, 3), (tp_rng_key){1, 2, 3});
    return tp_tanh(tp_add(tp_matmul(x, tp_param(t, &w)), tp_param(t, &b)));
}

/* --- right -------------------------------------------------------------------------------------- */

static void test_passes(void **state)
{
    (void)state;
    for (int order = 1; order <= 2; order++) {
        tp_check_report r;
        assert_ok(tp_gradcheck(layer, NULL, 2, both, (tp_check_opts){.order = order}, &r));
        assert_int_equal(r.checked, 8);
        assert_int_equal(r.skipped_kinks, 0);
        assert_true(r.worst > 0 && r.worst < 1);
        assert_close(r.analytic, r.numeric, r.bound, 0);
        assert_true(r.bound < 1e-6);
    }
    assert_ok(tp_gradcheck(layer, NULL, 1, both + 1, (tp_check_opts){0}, NULL));
}

static tp_var wide(tp_tape *t, void *user)
{
    tp_var x = tp_param(t, user);
    return tp_logsumexp(tp_mul(x, tp_sigmoid(x)), TP_AXES(-1), false);
}

/* Beyond 64 elements: directions and a few elements. */
static void test_many_elements(void **state)
{
    (void)state;
    tp_parameter p, *wrt[] = {&p};
    tp_check_report r;
    assert_ok(tp_parameter_init(&p, "p", TP_F64, TP_SHAPE(20, 30)));
    fill(&p, 2);
    assert_ok(tp_gradcheck(wide, &p, 1, wrt, (tp_check_opts){0}, &r));
    assert_int_equal(r.checked, 32);
    tp_check_opts o = {.order = 2, .directions = 5, .elements = -1, .seed = 9};
    assert_ok(tp_gradcheck(wide, &p, 1, wrt, o, &r));
    assert_int_equal(r.checked, 5);
    tp_parameter_free(&p);
}

/* Steps shrink near the edge of the domain: log at 0.01, at 1e-4 and at 1e6. */
static tp_var logarithm(tp_tape *t, void *user)
{
    (void)user;
    return tp_log(tp_param(t, &b));
}

static void test_edge_of_domain(void **state)
{
    (void)state;
    static const double values[] = {0.01, 1e-4, 1, 1e6};
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
        tp_check_report r;
        assert_ok(tp_fill(&b.value, values[k]));
        for (int order = 1; order <= 2; order++) {
            assert_ok(
                tp_gradcheck(logarithm, NULL, 1, both + 1, (tp_check_opts){.order = order}, &r));
            assert_int_equal(r.checked, 2);
        }
    }
    assert_ok(tp_fill(&b.value, 1e-9)); /* no step fits between here and 0 */
    assert_status(tp_gradcheck(logarithm, NULL, 1, both + 1, (tp_check_opts){0}, NULL), TP_EVALUE);
    assert_message("nothing was checked: all 2 elements or directions lie at kinks");
}

/* What f does not depend on has gradient 0. */
static void test_unused_parameter(void **state)
{
    (void)state;
    tp_check_report r;
    assert_ok(tp_gradcheck(logarithm, NULL, 0 + 1, both + 1, (tp_check_opts){.atol = 1}, &r));
    assert_ok(tp_fill(&b.value, 2));
    assert_ok(tp_gradcheck(logarithm, NULL, 2, both, (tp_check_opts){0}, &r));
    assert_int_equal(r.checked, 8);
}

/* --- wrong -------------------------------------------------------------------------------------- */

typedef struct sabotage {
    const tp_op *op;
    double factor;
    int64_t element; /* only this element of the contribution is scaled; -1: all */
} sabotage;

static void break_rule(void *user, const tp_op *op, const tp_vjp_call *c, tp_var *gx)
{
    const sabotage *s = user;
    if (op != s->op || !c->want[c->n - 1])
        return;
    tp_var *g = &gx[c->n - 1];
    tp_shape shape = tp_shape_of(*g);
    int64_t n = tp_shape_numel(shape);
    if (s->element < 0) {
        *g = tp_scale(*g, s->factor);
        return;
    }
    tp_var flat = tp_reshape(*g, TP_SHAPE(n));
    tp_var one = tp_slice(flat, 0, s->element, s->element + 1, 1);
    one = tp_pad(tp_scale(one, s->factor - 1), 0, s->element, 1, n);
    *g = tp_reshape(tp_add(flat, one), shape);
}

static tp_var broken_layer(tp_tape *t, void *user)
{
    t->rule_hook = break_rule;
    t->rule_hook_user = user;
    return layer(t, NULL);
}

static void test_names_the_element(void **state)
{
    (void)state;
    sabotage s = {&tp_op_matmul, 1.001, 3};
    tp_check_report r;
    assert_status(tp_gradcheck(broken_layer, &s, 2, both, (tp_check_opts){0}, &r), TP_EVALUE);
    assert_message("tp_gradcheck: the gradient is wrong at layer.weight[1,1]: analytic ");
    assert_string_equal(r.parameter, "layer.weight");
    assert_int_equal(r.index, 3);
    assert_int_equal(r.checked, 8);
    assert_true(r.worst > 1);
    assert_close(r.analytic, 1.001 * r.numeric, 0, 1e-7);
    s = (sabotage){&tp_op_add, -1, 1};
    assert_status(tp_gradcheck(broken_layer, &s, 2, both, (tp_check_opts){0}, &r), TP_EVALUE);
    assert_string_equal(r.parameter, "layer.bias");
}

static void test_small_errors(void **state)
{
    (void)state;
    sabotage s = {&tp_op_tanh, 1 + 1e-6, -1};
    assert_status(tp_gradcheck(broken_layer, &s, 2, both, (tp_check_opts){0}, NULL), TP_EVALUE);
    s.factor = 1 + 1e-9; /* below the tolerance */
    assert_ok(tp_gradcheck(broken_layer, &s, 2, both, (tp_check_opts){0}, NULL));
    s.factor = 1 + 1e-6;
    assert_ok(tp_gradcheck(broken_layer, &s, 2, both, (tp_check_opts){.rtol = 1e-5}, NULL));
    assert_ok(tp_gradcheck(broken_layer, &s, 2, both, (tp_check_opts){.atol = 1e-2}, NULL));
    s.factor = (double)NAN;
    assert_status(tp_gradcheck(broken_layer, &s, 2, both, (tp_check_opts){0}, NULL), TP_EVALUE);
}

static tp_var broken_wide(tp_tape *t, void *user)
{
    static sabotage s = {&tp_op_logsumexp, 1.001, 123};
    t->rule_hook = break_rule;
    t->rule_hook_user = &s;
    return wide(t, user);
}

/* A direction fails: the element is looked for and found. */
static void test_names_the_element_of_many(void **state)
{
    (void)state;
    tp_parameter p, *wrt[] = {&p};
    tp_check_report r;
    assert_ok(tp_parameter_init(&p, "p", TP_F64, TP_SHAPE(20, 30)));
    fill(&p, 2);
    tp_check_opts o = {.elements = -1};
    assert_status(tp_gradcheck(broken_wide, &p, 1, wrt, o, &r), TP_EVALUE);
    assert_int_equal(r.index, 123);
    assert_string_equal(r.parameter, "p");
    tp_parameter_free(&p);
}

/* The gradient is cut although f depends on the parameter. */
static tp_var severed(tp_tape *t, void *user)
{
    (void)user;
    return tp_square(tp_detach(tp_param(t, &b)));
}

/* All elements are wrong, so a direction is more so than any of them: an element is named all the same. */
static tp_var severed_wide(tp_tape *t, void *user)
{
    return tp_sum(tp_square(tp_detach(tp_param(t, user))), TP_ALL_AXES, false);
}

static void test_names_one_element_of_all(void **state)
{
    (void)state;
    tp_parameter p, *wrt[] = {&p};
    tp_check_report r;
    assert_ok(tp_parameter_init(&p, "p", TP_F64, TP_SHAPE(20, 30)));
    fill(&p, 2);
    tp_check_opts o = {.elements = -1};
    assert_status(tp_gradcheck(severed_wide, &p, 1, wrt, o, &r), TP_EVALUE);
    assert_message("the gradient is wrong at p[");
    assert_true(r.index >= 0 && r.analytic == 0 && r.numeric != 0);
    tp_parameter_free(&p);
}

/* Right at first order; the rule hides what second order needs. */
static void hide(void *user, const tp_op *op, const tp_vjp_call *c, tp_var *gx)
{
    (void)user;
    if (op == &tp_op_exp)
        gx[0] = tp_mul(c->gy, tp_detach(c->y));
}

static tp_var first_order_only(tp_tape *t, void *user)
{
    (void)user;
    t->rule_hook = hide;
    return tp_exp(tp_param(t, &b));
}

static void test_severed(void **state)
{
    (void)state;
    assert_status(tp_gradcheck(severed, NULL, 1, both + 1, (tp_check_opts){0}, NULL), TP_EVALUE);
    assert_message("analytic 0, numeric");
    assert_ok(tp_gradcheck(first_order_only, NULL, 1, both + 1, (tp_check_opts){0}, NULL));
    assert_status(
        tp_gradcheck(first_order_only, NULL, 1, both + 1, (tp_check_opts){.order = 2}, NULL),
        TP_EVALUE);
    assert_message("the second gradient is wrong at layer.bias");
}

/* --- kinks -------------------------------------------------------------------------------------- */

static tp_var kinked(tp_tape *t, void *user)
{
    tp_var x = tp_param(t, &b);
    int which = *(int *)user;
    return which == 0   ? tp_abs(x)
           : which == 1 ? tp_relu(x)
           : which == 2 ? tp_maximum(x, tp_neg(tp_shift(x, -2e-8)))
                        : tp_greater(x, tp_full(t, TP_F64, TP_SHAPE(), 0));
}

/* At a kink or a jump there is nothing to compare: counted, not passed; even where a central difference
 * would agree by symmetry, as for |x| at 0. Elsewhere it is. */
static void test_kinks(void **state)
{
    (void)state;
    for (int which = 0; which < 4; which++) {
        tp_check_report r;
        memcpy(tp_data_mut(&b.value), (double[]){0, 0.7}, 2 * sizeof(double));
        assert_ok(tp_gradcheck(kinked, &which, 1, both + 1, (tp_check_opts){0}, &r));
        assert_int_equal(r.skipped_kinks, 1);
        assert_int_equal(r.checked, 1);
        memcpy(tp_data_mut(&b.value), (double[]){1e-8, -1e-8}, 2 * sizeof(double));
        assert_status(tp_gradcheck(kinked, &which, 1, both + 1, (tp_check_opts){0}, &r), TP_EVALUE);
        assert_int_equal(r.skipped_kinks, 2);
        assert_message("lie at kinks");
        /* near a kink the steps shrink until they stay on one side */
        memcpy(tp_data_mut(&b.value), (double[]){1e-3, -2e-5}, 2 * sizeof(double));
        assert_ok(tp_gradcheck(kinked, &which, 1, both + 1, (tp_check_opts){0}, &r));
        assert_int_equal(r.skipped_kinks, 0);
        assert_int_equal(r.checked, 2);
    }
}

/* --- restored, refused -------------------------------------------------------------------------- */

static tp_var fails_later(tp_tape *t, void *user)
{
    int *calls = user;
    tp_var x = tp_param(t, &b);
    return ++*calls > 7 ? tp_reshape(x, TP_SHAPE(99)) : tp_exp(x);
}

static tp_var grows(tp_tape *t, void *user)
{
    int *calls = user;
    return tp_expand(tp_param(t, &b), TP_SHAPE(++*calls > 7 ? 4 : 3, 2));
}

static tp_var dislikes_nan(tp_tape *t, void *user)
{
    (void)user;
    tp_var x = tp_param(t, &b);
    return isnan(tp_flat(&b.value, 0)) ? tp_reshape(x, TP_SHAPE(98)) : tp_exp(x);
}

static tp_var restless(tp_tape *t, void *user)
{
    uint64_t *step = user;
    return tp_mul(tp_param(t, &b),
                  tp_noise_normal(t, TP_F64, TP_SHAPE(2), (tp_rng_key){1, ++*step, 0}));
}

/* Bit for bit, −0 included, on success and on every failure; gradients are not touched. */
static void test_restores(void **state)
{
    (void)state;
    const double w0[] = {0.1, -0.0, 1e-300, 3, -1e5, 0.3}, b0[] = {-0.0, 1.0 / 3};
    memcpy(tp_data_mut(&w.value), w0, sizeof w0);
    memcpy(tp_data_mut(&b.value), b0, sizeof b0);
    assert_ok(tp_fill(&b.grad, 5));
    b.has_grad = true;
    int calls = 0, grown = 0;
    uint64_t steps = 0;
    sabotage s = {&tp_op_tanh, 2, -1};
    tp_mem_stats before = tp_mem();
    assert_ok(tp_gradcheck(layer, NULL, 2, both, (tp_check_opts){.order = 2}, NULL));
    assert_status(tp_gradcheck(broken_layer, &s, 2, both, (tp_check_opts){0}, NULL), TP_EVALUE);
    assert_status(tp_gradcheck(fails_later, &calls, 2, both, (tp_check_opts){0}, NULL), TP_ESHAPE);
    assert_message("cannot be reshaped to [99]");
    assert_status(tp_gradcheck(dislikes_nan, NULL, 2, both, (tp_check_opts){0}, NULL), TP_ESHAPE);
    assert_message("cannot be reshaped to [98]");
    assert_status(tp_gradcheck(grows, &grown, 2, both, (tp_check_opts){0}, NULL), TP_ESHAPE);
    assert_message("f changed the shape of its output");
    assert_status(tp_gradcheck(restless, &steps, 1, both + 1, (tp_check_opts){0}, NULL), TP_EVALUE);
    assert_message("does it draw noise without a fixed key?");
    assert_memory_equal(tp_data(&w.value), w0, sizeof w0);
    assert_memory_equal(tp_data(&b.value), b0, sizeof b0);
    assert_true(b.has_grad && !w.has_grad);
    assert_tensor_close(&b.grad, ((double[]){5, 5}), 2, 0, 0);
    assert_int_equal(tp_mem().live_bytes, before.live_bytes);
}

static tp_var of_f32(tp_tape *t, void *user)
{
    return tp_exp(tp_param(t, user));
}

static tp_var mixed_f32(tp_tape *t, void *user)
{
    (void)user;
    tp_param(t, &b);
    return tp_full(t, TP_F32, TP_SHAPE(), 1);
}

static tp_var nothing(tp_tape *t, void *user)
{
    (void)t, (void)user;
    return (tp_var){0};
}

static tp_var root(tp_tape *t, void *user)
{
    (void)user;
    return tp_sqrt(tp_param(t, &b));
}

static tp_var all_logarithms(tp_tape *t, void *user)
{
    return tp_sum(logarithm(t, user), TP_ALL_AXES, false);
}

static void test_refuses(void **state)
{
    (void)state;
    tp_parameter p, *wrt[] = {&p};
    assert_ok(tp_parameter_init(&p, "small", TP_F32, TP_SHAPE(2)));
    assert_status(tp_gradcheck(of_f32, &p, 1, wrt, (tp_check_opts){0}, NULL), TP_EDTYPE);
    assert_message("parameter 'small' is f32[2]: f64 needed");
    tp_parameter_free(&p);
    assert_status(tp_gradcheck(mixed_f32, NULL, 1, both, (tp_check_opts){0}, NULL), TP_EDTYPE);
    assert_message("f gives f32[]: f64 needed");
    assert_status(tp_gradcheck(nothing, NULL, 1, both, (tp_check_opts){0}, NULL), TP_ETAPE);
    assert_status(tp_gradcheck(layer, NULL, 0, both, (tp_check_opts){0}, NULL), TP_EARG);
    assert_status(tp_gradcheck(layer, NULL, 2, both, (tp_check_opts){.order = 3}, NULL), TP_EARG);
    b.frozen = true;
    assert_status(tp_gradcheck(layer, NULL, 2, both, (tp_check_opts){0}, NULL), TP_EARG);
    assert_message("parameter 'layer.bias' is frozen");
    b.frozen = false;
    assert_ok(tp_fill(&b.value, -1));
    assert_status(tp_gradcheck(logarithm, NULL, 1, both + 1, (tp_check_opts){0}, NULL), TP_EVALUE);
    assert_message("output[0] is nan at the parameters");
    assert_ok(tp_fill(&b.value, 0));
    assert_status(tp_gradcheck(root, NULL, 1, both + 1, (tp_check_opts){.order = 2}, NULL),
                  TP_EVALUE);
    assert_message("the gradient at layer.bias[0] is -inf");
    assert_status(tp_gradcheck(all_logarithms, NULL, 1, both + 1, (tp_check_opts){0}, NULL),
                  TP_EVALUE);
    assert_message("output is -inf at the parameters");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_passes),
        CASE(test_many_elements),
        CASE(test_edge_of_domain),
        CASE(test_unused_parameter),
        CASE(test_names_the_element),
        CASE(test_small_errors),
        CASE(test_names_the_element_of_many),
        CASE(test_names_one_element_of_all),
        CASE(test_severed),
        CASE(test_kinks),
        CASE(test_restores),
        CASE(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
