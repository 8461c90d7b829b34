/* test_check_op.c: the check of a whole operation, on ops of one's own: it passes what is right, and names the
 * sample or the refusal that is wrong, and how. On the op table: tests/ops/. Read next: test_gradcheck.c. */
#include "autograd/check.h"
#include "autograd/compose.h"
#include "autograd/node.h"
#include "tests/support/check.h"

#include <math.h>

static tp_status cube_forward(const tp_op_call *c)
{
    for (int64_t i = 0; i < tp_numel(c->y); i++)
        TP_TRY(tp_set_flat(c->y, i, pow(tp_flat(c->x[0], i), 3)));
    return TP_OK;
}

static void cube_vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_mul(c->gy, tp_scale(tp_square(c->x[0]), 3));
}

static void wrong_vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_mul(c->gy, tp_scale(tp_square(c->x[0]), 2));
}

static void late_vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_mul(c->gy, tp_scale(tp_square(tp_detach(c->x[0])), 3));
}

static void deaf_vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_mul(tp_detach(c->gy), tp_scale(tp_square(c->x[0]), 3));
}

static const tp_sample cube_samples[] = {
    {"vector", 1, {{TP_DIMS(3)}}, NULL},
    {"scalar", 1, {{TP_DIMS()}}, NULL},
    {"nothing", 1, {{TP_DIMS(0)}}, NULL},
};
static const tp_refusal cube_refusals[] = {
    {"integers", 1, {{TP_DIMS(2), TP_I64, 0}}, NULL, TP_EDTYPE, "f32 or f64 needed"}};

static const tp_op cube = {.name = "cube",
                           .arity = 1,
                           .smooth = TP_SMOOTH,
                           .reads = TP_READS(0),
                           .text = "#0³",
                           .tex = "{#0}^3",
                           .why = "3x²",
                           .shape = tp_shape_same,
                           .forward = cube_forward,
                           .vjp = cube_vjp,
                           .samples = cube_samples,
                           .sample_count = 3,
                           .refusals = cube_refusals,
                           .refusal_count = 1};

static void test_check_op(void **state)
{
    (void)state;
    tp_check_report r;
    tp_op op = cube;
    assert_ok(tp_check_op(&op, &r));
    assert_int_equal(r.samples, 3);
    assert_int_equal(r.refusals, 1);
    assert_int_equal(r.checked, 16); /* 4 elements three times, and 4 of the cotangent */
    op.vjp = wrong_vjp;
    assert_status(tp_check_op(&op, &r), TP_EVALUE);
    assert_message("op cube, sample 'vector': tp_gradcheck: the gradient is wrong at input 0");
    op.vjp = late_vjp;
    assert_status(tp_check_op(&op, NULL), TP_EVALUE);
    assert_message("op cube, sample 'vector': tp_gradcheck: the second gradient is wrong");
    op.vjp = deaf_vjp;
    assert_status(tp_check_op(&op, NULL), TP_EVALUE);
    assert_message("the second gradient is wrong at cotangent");
    op = tp_op_relu;
    op.smooth = TP_SMOOTH; /* its kinks are rarely hit, but here they are */
    static const tp_sample at_kink[] = {
        {"zeros", 1, {{TP_DIMS(4), .lo = -1e-9, .hi = 1e-9}}, NULL}};
    op.samples = at_kink, op.sample_count = 1;
    assert_status(tp_check_op(&op, NULL), TP_EVALUE);
    assert_message("op relu, sample 'zeros': ");
    op.smooth = TP_NO_GRADIENT;
    assert_status(tp_check_op(&op, NULL), TP_EVALUE);
}

static void test_check_op_refusals(void **state)
{
    (void)state;
    tp_refusal wrong[] = {{"fine", 1, {{TP_DIMS(2), TP_F32, 0}}, NULL, TP_EDTYPE, "f64"},
                          {"status", 1, {{TP_DIMS(2), TP_I64, 0}}, NULL, TP_ESHAPE, "f64"},
                          {"text", 1, {{TP_DIMS(2), TP_I64, 0}}, NULL, TP_EDTYPE, "bananas"}};
    static const char *const says[] = {
        "op cube, refusal 'fine': accepted; E_DTYPE needed",
        "op cube, refusal 'status': E_SHAPE with 'f64' needed, but it failed with E_DTYPE cube#2: ",
        "op cube, refusal 'text': E_DTYPE with 'bananas' needed, but"};
    for (int i = 0; i < 3; i++) {
        tp_op op = cube;
        op.refusals = &wrong[i];
        assert_status(tp_check_op(&op, NULL), TP_EVALUE);
        assert_message(says[i]);
    }
}

/* Every way in which an op's file may be wrong without a wrong gradient. */

static tp_status infinite_forward(const tp_op_call *c)
{
    return tp_fill(c->y, INFINITY);
}

static tp_var shrugs(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    tp_apply_on(t, &cube, n, x, attr);
    return (tp_var){0};
}

static void expect(const tp_op *op, tp_status status, const char *message)
{
    assert_status(tp_check_op(op, NULL), status);
    assert_message(message);
}

static void test_values_that_are_not_finite(void **state)
{
    (void)state;
    tp_op op = cube;
    op.forward = infinite_forward;
    expect(&op, TP_EVALUE, "op cube, sample 'vector': element [0] of the result is inf");
}

static void test_smoothness_must_be_said(void **state)
{
    (void)state;
    tp_op op = cube;
    op.smooth = 0;
    expect(&op, TP_EARG, "op cube does not say whether it is smooth: set .smooth");
    op.smooth = TP_NO_GRADIENT + 1;
    expect(&op, TP_EARG, "op cube does not say whether it is smooth: set .smooth");
}

static tp_var relu_and_more(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n, (void)attr;
    return tp_add(tp_relu(x[0]), x[1]);
}

/* Some elements lie at the kink in every draw, others never: they alone could be compared. */
static void test_kinks_in_every_draw(void **state)
{
    (void)state;
    static const tp_sample near[] = {
        {"near", 2, {{TP_DIMS(2), .lo = -1e-9, .hi = 1e-9}, {TP_DIMS(2)}}, NULL}};
    tp_op op = cube;
    op.call = relu_and_more;
    op.samples = near, op.sample_count = 1;
    expect(&op, TP_EVALUE, "op cube, sample 'near': called smooth, but ");
    op.smooth = TP_PIECEWISE;
    expect(&op, TP_EVALUE, "op cube, sample 'near': 8 draws of inputs all hit a kink");
}

static void test_samples_that_cannot_be_drawn(void **state)
{
    (void)state;
    static const tp_sample oblong[] = {{"oblong", 1, {{TP_DIMS(2, 3), .fill = TP_FILL_SPD}}, NULL}};
    static const tp_sample far[] = {{"far", 1, {{TP_DIMS(2), TP_FILL_INDEX, .hi = 1e30}}, NULL}};
    tp_op op = cube;
    op.samples = oblong, op.sample_count = 1;
    expect(&op, TP_ESHAPE,
           "op cube, sample 'oblong': a sample of positive definite matrices must be");
    op.samples = far;
    expect(&op, TP_EVALUE, "op cube, sample 'far': a value of f64[2] does not fit in i64");
}

static void test_refusals_must_poison(void **state)
{
    (void)state;
    tp_op op = cube;
    op.call = shrugs;
    op.sample_count = 0;
    expect(&op, TP_EVALUE, "op cube, refusal 'integers': refused, but its result is not poisoned");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_op),
        cmocka_unit_test(test_check_op_refusals),
        cmocka_unit_test(test_values_that_are_not_finite),
        cmocka_unit_test(test_smoothness_must_be_said),
        cmocka_unit_test(test_kinks_in_every_draw),
        cmocka_unit_test(test_samples_that_cannot_be_drawn),
        cmocka_unit_test(test_refusals_must_poison),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
