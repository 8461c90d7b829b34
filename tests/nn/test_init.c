/* test_init.c: initial values: the distributions, their scale out of the fans, and what keys them.
 *
 * Read next: nn/init.h.
 */
#include "tests/support/check.h"

#include <math.h>

#include "nn/init.h"
#include "nn/layers.h"

typedef tp_status (*init_fn)(const tp_params *ps, tp_parameter *p, double number);

/* [out, in] and [out, in, 3]: what a scale that mixes up the fans, or forgets the field, would not have. */
enum { OUT = 200, IN = 50, FIELD = 3 };

static const struct {
    const char *name;
    init_fn init;
    double number;
    bool uniform;
    double std[2]; /* of both shapes */
} rows[] = {
    {"uniform", tp_init_uniform, 0.3, true, {0.17320508075688773, 0.17320508075688773}},
    {"normal", tp_init_normal, 0.02, false, {0.02, 0.02}},
    /* torch.nn.init: gain·√(2/(fan_in + fan_out)), gain/√fan_in */
    {"glorot uniform", tp_init_glorot_uniform, 1, true, {0.08944271909999159, 0.05163977794943222}},
    {"glorot normal", tp_init_glorot_normal, 1, false, {0.08944271909999159, 0.05163977794943222}},
    {"he uniform", tp_init_he_uniform, 1.4142135623730951, true, {0.2, 0.11547005383792516}},
    {"he normal", tp_init_he_normal, 1.4142135623730951, false, {0.2, 0.11547005383792516}},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* The first four moments, each within five standard errors; a uniform variable also by its extremes. */
static void check_moments(const tp_tensor *t, double std, bool uniform)
{
    double n = (double)tp_numel(t), sum = 0, square = 0, fourth = 0, most = 0;
    for (int64_t i = 0; i < tp_numel(t); i++) {
        double v = tp_flat(t, i) / std;
        sum += v / n;
        square += v * v / n;
        fourth += v * v * v * v / n;
        most = fmax(most, fabs(v));
    }
    double kurtosis = uniform ? 1.8 : 3, eighth = uniform ? 9 : 105;
    assert_close(sum, 0, 5 / sqrt(n), 0);
    assert_close(square, 1, 5 * sqrt((kurtosis - 1) / n), 0);
    assert_close(fourth, kurtosis, 5 * sqrt((eighth - kurtosis * kurtosis) / n), 0);
    if (uniform)
        assert_true(most <= sqrt(3) * (1 + 1e-7) && most > sqrt(3) * (1 - 20 / n));
    else
        assert_true(most > 3 && most < 6.8);
}

static void test_distributions(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * ROWS; i++)
        for (int d = TP_F32; d <= TP_F64; d++) {
            tp_params ps = tp_params_make((tp_dtype)d, 3);
            tp_parameter p;
            tp_shape shape = i % 2 ? TP_SHAPE(OUT, IN, FIELD) : TP_SHAPE(OUT, IN);
            assert_ok(tp_params_add(&ps, &p, rows[i / 2].name, shape));
            assert_ok(rows[i / 2].init(&ps, &p, rows[i / 2].number));
            check_moments(&p.value, rows[i / 2].std[i % 2], rows[i / 2].uniform);
            tp_params_free(&ps);
        }
}

static void test_constant(void **state)
{
    (void)state;
    tp_params ps = tp_params_make(TP_F64, 3);
    tp_parameter p;
    assert_ok(tp_params_add(&ps, &p, "p", TP_SHAPE(2)));
    const double want[] = {-0.25, -0.25}, zero[] = {0, 0};
    assert_ok(tp_init_constant(&p, -0.25));
    assert_tensor_close(&p.value, want, 2, 0, 0);
    assert_ok(tp_init_constant(&p, 0));
    assert_tensor_close(&p.value, zero, 2, 0, 0);
    assert_ok(tp_init_normal(&ps, &p, 0)); /* allowed: nothing but the mean */
    assert_tensor_close(&p.value, zero, 2, 0, 0);
    tp_params_free(&ps);
}

/* A draw depends on seed and place, not on what was drawn before, and on the dtype by rounding only. */
static void test_keys(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        tp_params a = tp_params_make(TP_F64, 3), b = tp_params_make(TP_F64, 3),
                  seed = tp_params_make(TP_F64, 4), rough = tp_params_make(TP_F32, 3);
        tp_params *list[] = {&a, &b, &seed, &rough};
        tp_parameter p[4][2];
        for (int k = 0; k < 4; k++) {
            assert_ok(tp_params_add(list[k], &p[k][0], "first", TP_SHAPE(4, 3)));
            assert_ok(tp_params_add(list[k], &p[k][1], "second", TP_SHAPE(4, 3)));
            if (k == 1) { /* once more, and in another order */
                assert_ok(tp_init_uniform(list[k], &p[k][1], 7));
                assert_ok(rows[i].init(list[k], &p[k][1], rows[i].number));
            }
            assert_ok(rows[i].init(list[k], &p[k][0], rows[i].number));
            assert_ok(rows[i].init(list[k], &p[k][1], rows[i].number));
        }
        assert_true(equal_bits(&p[0][0].value, &p[1][0].value));
        assert_true(equal_bits(&p[0][1].value, &p[1][1].value));
        assert_false(equal_bits(&p[0][0].value, &p[0][1].value));
        assert_false(equal_bits(&p[0][0].value, &p[2][0].value));
        /* what a draw in [0,1), its product and their sum are rounded by */
        for (int64_t e = 0; e < 12; e++)
            assert_close(tp_flat(&p[3][0].value, e), tp_flat(&p[0][0].value, e), 4e-7, 0);
        for (int k = 0; k < 4; k++)
            tp_params_free(list[k]);
    }
}

/* Layers draw as the list says: weights by both fans, biases 0; what is in the list already stays. */
static void test_schemes(void **state)
{
    (void)state;
    tp_params ps = tp_params_make(TP_F64, 3);
    tp_nn_linear usual, other;
    tp_nn_conv2d conv;
    tp_nn_masked_linear masked;
    tp_tensor ones;
    assert_ok(tp_tensor_new(&ones, TP_F64, TP_SHAPE(OUT, IN)));
    assert_ok(tp_fill(&ones, 1));
    assert_ok(tp_nn_linear_init(&usual, &ps, "usual", IN, OUT));
    ps.init = TP_INIT_GLOROT;
    assert_ok(tp_nn_linear_init(&other, &ps, "other", IN, OUT));
    assert_ok(tp_nn_conv2d_init(&conv, &ps, "conv", IN, OUT, 1, FIELD, (tp_conv_opts){0}));
    assert_ok(tp_nn_masked_linear_init(&masked, &ps, "masked", &ones));
    check_moments(&usual.weight.value, 1 / sqrt(3 * IN), true);
    check_moments(&usual.bias.value, 1 / sqrt(3 * IN), true);
    check_moments(&other.weight.value, rows[2].std[0], true);
    check_moments(&conv.weight.value, rows[2].std[1], true);
    check_moments(&masked.weight.value, rows[2].std[0], true);
    const tp_parameter *zero[] = {&other.bias, &conv.bias, &masked.bias};
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; i < OUT; i++)
            assert_true(tp_flat(&zero[k]->value, i) == 0);
    tp_params_free(&ps);
    assert_int_equal(ps.init, TP_INIT_GLOROT); /* as dtype and seed */
    tp_tensor_free(&ones);
    assert_string_equal(tp_init_name(TP_INIT_PYTORCH), "pytorch");
    assert_string_equal(tp_init_name(TP_INIT_GLOROT), "glorot");
    assert_null(tp_init_name(2));
    assert_null(tp_init_name(-1));
}

static void test_refusals(void **state)
{
    (void)state;
    tp_params ps = tp_params_make(TP_F64, 3), other = tp_params_make(TP_F64, 3);
    tp_parameter weight, bias, stranger;
    tp_tensor before;
    assert_ok(tp_params_add(&ps, &weight, "fc.weight", TP_SHAPE(4, 3)));
    assert_ok(tp_params_add(&ps, &bias, "fc.bias", TP_SHAPE(4)));
    assert_ok(tp_params_add(&other, &stranger, "stranger", TP_SHAPE(4, 3)));
    assert_ok(tp_init_uniform(&ps, &weight, 1));
    assert_ok(tp_clone(&before, &weight.value));
    const double bad[] = {-1, NAN, INFINITY};
    for (int i = 0; i < ROWS; i++) {
        for (int k = 0; k < 3; k++)
            assert_status(rows[i].init(&ps, &weight, bad[k]), TP_EARG);
        assert_status(rows[i].init(&ps, &stranger, 1), TP_EARG);
        assert_message(
            "E_ARG the parameter 'stranger' is not in the list: its place keys the draw");
        if (i >= 2) {
            assert_status(rows[i].init(&ps, &bias, 1), TP_ESHAPE);
            assert_message("E_SHAPE parameter 'fc.bias' of shape [4]: fan_in and fan_out need at "
                           "least two axes");
        }
    }
    assert_status(tp_init_uniform(&ps, &weight, -1), TP_EARG);
    assert_message("E_ARG parameter 'fc.weight' drawn with bound -1: a finite one >= 0 needed");
    assert_status(tp_init_normal(&ps, &weight, -1), TP_EARG);
    assert_message("drawn with standard deviation -1");
    assert_status(tp_init_he_normal(&ps, &weight, -2), TP_EARG);
    assert_message("drawn with gain -2");
    assert_true(equal_bits(&before, &weight.value));
    tp_tensor_free(&before);
    tp_params_free(&ps);
    tp_params_free(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distributions), cmocka_unit_test(test_constant),
        cmocka_unit_test(test_keys),          cmocka_unit_test(test_schemes),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
