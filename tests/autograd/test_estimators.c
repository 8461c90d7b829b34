/* test_estimators.c: ops whose rule is not their derivative but that of a stated surrogate: the check holds them
 * to it and catches rules that are wrong, derivations say what they were compared with, and
 * straight_through does what it says on a tape. */
#include "autograd/check.h"
#include "autograd/compose.h"
#include "autograd/explain.h"
#include "autograd/sweep.h"
#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

/* --- an estimator of one's own ------------------------------------------------------------------ */

/* 1 where x > 0, with the gradient of a sigmoid; a second input is for the rule to leave alone. */
static tp_status step_forward(const tp_op_call *c)
{
    for (int64_t i = 0; i < tp_numel(c->y); i++)
        TP_TRY(tp_set_flat(c->y, i, tp_flat(c->x[0], i) > 0));
    return TP_OK;
}

static tp_var step_surrogate(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n, (void)attr;
    return tp_sigmoid(x[0]);
}

static tp_var scalar_surrogate(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    return tp_sum(step_surrogate(t, n, x, attr), TP_ALL_AXES, false);
}

static void step_vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_var s = tp_sigmoid(c->x[0]);
    gx[0] = tp_mul(c->gy, tp_mul(s, tp_affine(s, -1, 1)));
}

static void biased_vjp(const tp_vjp_call *c, tp_var *gx)
{
    step_vjp(c, gx);
    gx[0] = tp_scale(gx[0], 1 + 1e-6);
}

static void leaky_vjp(const tp_vjp_call *c, tp_var *gx)
{
    step_vjp(c, gx);
    gx[1] = tp_scale(c->gy, 1e-6);
}

static void severed_vjp(const tp_vjp_call *c, tp_var *gx)
{
    (void)c, (void)gx;
}

static void late_step_vjp(const tp_vjp_call *c, tp_var *gx)
{
    step_vjp(c, gx);
    gx[0] = tp_mul(c->gy, tp_detach(tp_div(gx[0], c->gy)));
}

static const tp_sample step_samples[] = {{"matrix", 2, {{TP_DIMS(2, 3)}, {TP_DIMS(2, 3)}}, NULL}};
static const tp_op step = {.name = "step",
                           .arity = 2,
                           .smooth = TP_ESTIMATOR,
                           .reads = TP_READS(0),
                           .shape = tp_shape_equal_all,
                           .forward = step_forward,
                           .vjp = step_vjp,
                           .surrogate = step_surrogate,
                           .samples = step_samples,
                           .sample_count = 1};

/* The rule of an estimator is held to its surrogate as others are to their function, at both orders. */
static void test_check_estimator(void **state)
{
    (void)state;
    static const struct {
        void (*vjp)(const tp_vjp_call *c, tp_var *gx);
        const char *says;
    } wrong[] = {
        {biased_vjp, "op step, sample 'matrix': tp_gradcheck: the gradient is wrong at input 0"},
        {leaky_vjp, "op step, sample 'matrix': tp_gradcheck: the gradient is wrong at input 1"},
        {severed_vjp, "op step, sample 'matrix': tp_gradcheck: the gradient is wrong at input 0"},
        {late_step_vjp, "tp_gradcheck: the second gradient is wrong at input 0"},
    };
    tp_check_report r;
    assert_ok(tp_check_op(&step, &r));
    assert_int_equal(r.checked, 42); /* 12 elements three times, and 6 of the cotangent */
    assert_true(r.worst < 1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        tp_op op = step;
        op.vjp = wrong[i].vjp;
        assert_status(tp_check_op(&op, NULL), TP_EVALUE);
        assert_message(wrong[i].says);
    }
    tp_op op = step;
    op.surrogate = scalar_surrogate;
    assert_status(tp_check_op(&op, NULL), TP_ESHAPE);
    assert_message("the surrogate of step has shape [], its result [2,3]");
    op.surrogate = NULL;
    assert_status(tp_check_op(&op, NULL), TP_EARG);
    op = tp_op_relu;
    op.surrogate = step_surrogate;
    assert_status(tp_check_op(&op, NULL), TP_EARG);
    assert_message("op relu: an estimator, and nothing else, has a .surrogate");
}

/* --- straight_through --------------------------------------------------------------------------- */

/* What the derivation of root says. */
static char *derivation(tp_var root)
{
    char *text = NULL;
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_ok(tp_explain(f, root, (tp_explain_opts){.numbers = true, .check = true}));
    long n = ftell(f);
    assert_true(n > 0 && (text = calloc((size_t)n + 1, 1)) != NULL);
    rewind(f);
    assert_int_equal(fread(text, 1, (size_t)n, f), n);
    fclose(f);
    return text;
}

static void test_straight_through(void **state)
{
    (void)state;
    tp_tape *t;
    tp_tensor at;
    assert_ok(tp_tape_new(&t));
    assert_ok(tp_tensor_from(&at, TP_F32, TP_SHAPE(4), (float[]){0.25f, 1.5f, -2.75f, 2.5f}));
    tp_var x = tp_leaf(t, &at), soft = tp_square(x), hard = tp_round(x);
    tp_var y = tp_straight_through(hard, soft), loss = tp_sum(tp_square(y), TP_ALL_AXES, false), g,
           h;
    assert_tensor_close(tp_value(y), ((double[]){0, 2, -3, 2}), 4, 0, 0);
    /* Σy²: the gradient of y is 2·hard, and soft passes it on by 2x; its derivative sees hard as constant */
    assert_ok(tp_grad(1, &loss, 1, &x, &g, (tp_grad_opts){.create_graph = true}));
    assert_tensor_close(tp_value(g), ((double[]){0, 12, 33, 20}), 4, 0, 1e-6);
    /* 2·y·2x again: y as soft gives 8x², x gives 4·hard */
    assert_ok(tp_grad(1, &g, 1, &x, &h, (tp_grad_opts){0}));
    assert_tensor_close(tp_value(h), ((double[]){0.5, 26, 48.5, 58}), 4, 0, 1e-6);
    char *text = derivation(loss);
    assert_non_null(strstr(text, "(of the surrogate)"));
    assert_null(strstr(text, "FAIL"));
    free(text);
    tp_tape_free(t);
    tp_tensor_free(&at);
}

/* hard may need a gradient for other uses: through the estimator it gets none. */
static void test_hard_gets_nothing(void **state)
{
    (void)state;
    tp_tape *t;
    tp_tensor a, b;
    assert_ok(tp_tape_new(&t));
    assert_ok(tp_tensor_from(&a, TP_F64, TP_SHAPE(2), (double[]){1, 2}));
    assert_ok(tp_tensor_from(&b, TP_F64, TP_SHAPE(2), (double[]){5, 7}));
    tp_var hard = tp_leaf(t, &a), soft = tp_leaf(t, &b);
    assert_ok(tp_backward(tp_sum(tp_straight_through(hard, soft), TP_ALL_AXES, false)));
    assert_null(tp_leaf_grad(hard));
    assert_tensor_close(tp_leaf_grad(soft), ((double[]){1, 1}), 2, 0, 0);
    assert_ok(tp_backward(tp_sum(tp_straight_through(hard, hard), TP_ALL_AXES, false)));
    assert_tensor_close(tp_leaf_grad(hard), ((double[]){1, 1}), 2, 0, 0);
    /* only hard depends on a leaf: nothing to differentiate */
    tp_tape_reset(t);
    tp_var y = tp_straight_through(tp_leaf(t, &a), tp_constant(t, &b));
    assert_ok(tp_backward(tp_sum(y, TP_ALL_AXES, false)));
    tp_tape_free(t);
    tp_tensor_free(&a), tp_tensor_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_estimator),
        cmocka_unit_test(test_straight_through),
        cmocka_unit_test(test_hard_gets_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
