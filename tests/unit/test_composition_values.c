/* test_composition_values.c: values, gradients and second gradients of the elementwise compositions and the
 * losses where formulas break: zeros, kinks, both tails, infinities and NaN, in f64 and in f32.
 *
 * The references come from 50-digit arithmetic. A result may be off by a few ulp, and by what x being off
 * by as many would change: far out in a tail, e^(−x²/2) has no digits that x does not have.
 * Read next: test_composition_arrays.c. */
#include "tests/unit/fixture.h"

enum { ULPS = 6 };

/* --- functions of one number, with two derivatives ---------------------------------------------- */

static tp_var leaky(tp_var x)
{
    return tp_leaky_relu(x, 0.25);
}

static tp_var step(tp_var x) /* relu by another name: slope 0 */
{
    return tp_leaky_relu(x, 0);
}

static tp_var elu(tp_var x)
{
    return tp_elu(x, 1);
}

static tp_var cube(tp_var x)
{
    return tp_pow_scalar(x, 3);
}

static tp_var power_0(tp_var x)
{
    return tp_pow_scalar(x, 0);
}

static tp_var power_1(tp_var x)
{
    return tp_pow_scalar(x, 1);
}

static tp_var power_2(tp_var x)
{
    return tp_pow_scalar(x, 2);
}

static tp_var power_minus_half(tp_var x)
{
    return tp_pow_scalar(x, -0.5);
}

static tp_var squared_error(tp_var x)
{
    return tp_squared_error(x, tp_zeros_like(x));
}

static tp_var l1(tp_var x)
{
    return tp_l1(tp_zeros_like(x), x);
}

static tp_var huber(tp_var x)
{
    return tp_huber(x, tp_zeros_like(x), 1.5);
}

static tp_var log_cosh(tp_var x)
{
    return tp_log_cosh(x, tp_zeros_like(x));
}

struct curve {
    const char *name;
    tp_var (*f)(tp_var);
    double x, y, first, second;
};

static const struct curve curves[] = {
    {"reciprocal", tp_reciprocal, 4, 0.25, -0.0625, 0.03125},
    {"reciprocal", tp_reciprocal, -1e30, -1e-30, -1e-60, -2e-90},
    {"reciprocal", tp_reciprocal, 0, INFINITY, -INFINITY, INFINITY},
    {"reciprocal", tp_reciprocal, -0.0, -INFINITY, -INFINITY, -INFINITY},
    {"reciprocal", tp_reciprocal, INFINITY, 0, 0, 0},
    {"rsqrt", tp_rsqrt, 1, 1, -0.5, 0.75},
    {"rsqrt", tp_rsqrt, 0.25, 2, -4, 24},
    {"rsqrt", tp_rsqrt, 1e-30, 999999999999999.958, -4.99999999999999937e+44,
     7.49999999999999844e+74},
    {"rsqrt", tp_rsqrt, 1e30, 9.9999999999999999e-16, -4.99999999999999985e-46,
     7.49999999999999963e-76},
    {"rsqrt", tp_rsqrt, 0, INFINITY, -INFINITY, INFINITY},
    {"rsqrt", tp_rsqrt, -1, NAN, NAN, NAN},
    {"x^3", cube, -2, -8, 12, -12},
    {"x^3", cube, 0, 0, 0, 0},
    {"x^2", power_2, 0, 0, 0, 2},
    {"x^2", power_2, -3, 9, -6, 2},
    {"x^1", power_1, 0, 0, 1, 0},
    {"x^0", power_0, 0, 1, 0, 0},
    {"x^0", power_0, -3, 1, 0, 0},
    {"x^-1/2", power_minus_half, 0.25, 2, -4, 24},
    {"x^-1/2", power_minus_half, -1, NAN, NAN, NAN},
    {"logsigmoid", tp_logsigmoid, 0, -0.693147180559945309, 0.5, -0.25},
    {"logsigmoid", tp_logsigmoid, 1, -0.313261687518222834, 0.268941421369995121,
     -0.196611933241481853},
    {"logsigmoid", tp_logsigmoid, -20, -20.0000000020611536, 0.999999997938846382,
     -2.06115361394184934e-9},
    {"logsigmoid", tp_logsigmoid, 40, -4.24835425529158899e-18, 4.24835425529158898e-18,
     -4.24835425529158896e-18},
    {"logsigmoid", tp_logsigmoid, -1000, -1000, 1, 0},
    {"logsigmoid", tp_logsigmoid, 1000, 0, 0, 0},
    {"logsigmoid", tp_logsigmoid, -INFINITY, -INFINITY, 1, 0},
    {"logsigmoid", tp_logsigmoid, NAN, NAN, NAN, NAN},
    {"leaky_relu", leaky, 3, 3, 1, 0},
    {"leaky_relu", leaky, -3, -0.75, 0.25, 0},
    {"leaky_relu", leaky, 0, 0, 0.25, 0},
    {"leaky_relu", leaky, -INFINITY, -INFINITY, 0.25, 0},
    {"leaky_relu, slope 0", step, INFINITY, INFINITY, 1, 0}, /* 0·∞ is on the other side */
    {"leaky_relu, slope 0", step, -5, 0, 0, 0},
    {"elu", elu, 3, 3, 1, 0},
    {"elu", elu, 0, 0, 1, 1},
    {"elu", elu, -1, -0.632120558828557678, 0.367879441171442322, 0.367879441171442322},
    {"elu", elu, -1e-9, -9.99999999500000000e-10, 0.9999999990000000005, 0.9999999990000000005},
    {"elu", elu, 1000, 1000, 1, 0}, /* e^1000 overflows on the other side */
    {"elu", elu, -1000, -1, 0, 0},
    {"elu", elu, INFINITY, INFINITY, 1, 0},
    {"elu", elu, -INFINITY, -1, 0, 0},
    {"elu", elu, NAN, NAN, 0, 0},
    {"gelu", tp_gelu, 0, 0, 0.5, 0.797884560802865356},
    {"gelu", tp_gelu, 1, 0.841344746068542949, 1.0833154705876863, 0.24197072451914335},
    {"gelu", tp_gelu, -1, -0.158655253931457051, -0.0833154705876862984, 0.24197072451914335},
    {"gelu", tp_gelu, -5, -1.43325785939596956e-6, -7.14694600179229463e-6,
     -0.0000341945488388888473},
    {"gelu", tp_gelu, -10, -7.61985302416052607e-23, -7.61840009646481409e-22,
     -7.54070665417229096e-21},
    {"gelu", tp_gelu, 10, 10, 1, -7.54070665417229096e-21},
    {"gelu", tp_gelu, -30, -1.47201417814445612e-196, -4.41603169070849437e-195,
     -1.32333422912093567e-193},
    {"gelu", tp_gelu, 1e30, 1e30, 1, 0},
    {"gelu", tp_gelu, -1e30, 0, 0, 0},
    {"gelu", tp_gelu, -INFINITY, NAN, NAN, NAN},
    {"silu", tp_silu, 0, 0, 0.5, 0.5},
    {"silu", tp_silu, 1, 0.731058578630004879, 0.927670511871486732, 0.302366118810015296},
    {"silu", tp_silu, -1, -0.268941421369995121, 0.0723294881285132682, 0.302366118810015296},
    {"silu", tp_silu, -20, -4.12230723638040716e-8, -3.91619186606467833e-8,
     -3.7100764881019119e-8},
    {"silu", tp_silu, -80, -1.44388111027633214e-33, -1.42583259639787799e-33,
     -1.40778408251942383e-33},
    {"silu", tp_silu, 1000, 1000, 1, 0},
    {"silu", tp_silu, -1000, 0, 0, 0},
    {"silu", tp_silu, -INFINITY, NAN, NAN, NAN},
    {"squared_error", squared_error, -3, 9, -6, 2},
    {"squared_error", squared_error, 0, 0, 0, 2},
    {"l1", l1, -3, 3, -1, 0},
    {"l1", l1, 0, 0, 0, 0},
    {"huber", huber, 1, 0.5, 1, 1},
    {"huber", huber, 1e-12, 5e-25, 1e-12, 1},
    {"huber", huber, 1.5, 1.125, 1.5, 1}, /* the kinks belong to the inside */
    {"huber", huber, -1.5, 1.125, -1.5, 1},
    {"huber", huber, 2, 1.875, 1.5, 0},
    {"huber", huber, -1e30, 1.5e30, -1.5, 0}, /* where d² would overflow in f32 */
    {"huber", huber, INFINITY, INFINITY, 1.5, 0},
    {"huber", huber, NAN, NAN, NAN, 0},
    {"log_cosh", log_cosh, 0, 0, 0, 1},
    {"log_cosh", log_cosh, 1e-8, 5.00000000000000013e-17, 9.99999999999999988e-9,
     0.9999999999999999},
    {"log_cosh", log_cosh, -1e-8, 5.00000000000000013e-17, -9.99999999999999988e-9,
     0.9999999999999999},
    {"log_cosh", log_cosh, 1, 0.433780830483027187, 0.761594155955764888, 0.419974341614026069},
    {"log_cosh", log_cosh, -1, 0.433780830483027187, -0.761594155955764888, 0.419974341614026069},
    {"log_cosh", log_cosh, 0.5, 0.120114506958277525, 0.462117157260009759, 0.78644773296592741},
    {"log_cosh", log_cosh, 3, 2.30932850457778514, 0.995054753686730451, 0.00986603716544019127},
    {"log_cosh", log_cosh, -20, 19.3068528194400547, -0.999999999999999992,
     1.69934170211663558e-17},
    {"log_cosh", log_cosh, 1000, 999.306852819440055, 1, 0},
    {"log_cosh", log_cosh, -1e30, 1e30, -1, 0},
    {"log_cosh", log_cosh, INFINITY, INFINITY, 1, 0},
    {"log_cosh", log_cosh, NAN, NAN, 0, 0}, /* as abs */
};

/* One number against its reference: relative to itself and to how it moves with x. */
static void check_value(const struct curve *p, const char *what, tp_var v, double want,
                        double moves)
{
    bool f32 = tp_dtype_of(v) == TP_F32;
    double epsilon = ULPS * (f32 ? FLT_EPSILON : DBL_EPSILON), tiny = f32 ? FLT_MIN : DBL_MIN;
    char text[80];
    snprintf(text, sizeof text, "%s%s(%g) in %s", p->name, what, p->x, f32 ? "f32" : "f64");
    want = f32 ? (double)(float)want : want;
    check_close(tp_item_of(v), want, isfinite(moves) ? epsilon * (fabs(moves) + tiny) : 0, epsilon,
                text, __FILE__, __LINE__);
}

static void check_curve(const struct curve *p, tp_dtype dtype)
{
    struct bench b = bench_new(dtype);
    tp_var x = leaf(&b, TP_SHAPE(), &p->x), y = p->f(x), g, gg;
    assert_ok(tp_grad(1, &y, 1, &x, &g, (tp_grad_opts){.create_graph = true}));
    check_value(p, "", y, p->y, p->x * p->first);
    check_value(p, "'", g, p->first, p->x * p->second);
    if (tp_needs_grad(g)) {
        assert_ok(tp_grad(1, &g, 1, &x, &gg, (tp_grad_opts){.allow_unused = true}));
        check_value(p, "''", gg, p->second, p->x * p->x * p->second);
    } else {
        check_value(p, "''", tp_zeros_like(x), p->second, 0); /* a constant gradient */
    }
    bench_free(&b);
}

static void test_curves(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        for (int d = 0; d < 2; d++)
            check_curve(&curves[i], dtypes[d]);
}

/* --- comparisons and logic ---------------------------------------------------------------------- */

static void test_comparisons(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(7), (double[]){1, 2, 2, 0.0, INF, NAN, NAN});
        tp_var y = leaf(&b, TP_SHAPE(7), (double[]){2, 1, 2, -0.0, INF, 0, NAN});
        CHECK_VALUE(tp_less(x, y), ((double[]){1, 0, 0, 0, 0, 0, 0}), 7);
        CHECK_VALUE(tp_less_equal(x, y), ((double[]){1, 0, 1, 1, 1, 0, 0}), 7);
        CHECK_VALUE(tp_equal(x, y), ((double[]){0, 0, 1, 1, 1, 0, 0}), 7);
        CHECK_VALUE(tp_not_equal(x, y), ((double[]){1, 1, 0, 0, 0, 1, 1}), 7);
        CHECK_VALUE(tp_sign(x), ((double[]){1, 1, 1, 0, 1, NAN, NAN}), 7);
        CHECK_VALUE(tp_sign(tp_neg(x)), ((double[]){-1, -1, -1, 0, -1, NAN, NAN}), 7);
        assert_false(tp_needs_grad(tp_equal(x, y)) || tp_needs_grad(tp_sign(x)));
        bench_free(&b);
    }
}

static void test_logic(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(6), (double[]){0, 0, 3, -0.5, NAN, -0.0});
        tp_var y = leaf(&b, TP_SHAPE(6), (double[]){0, 2, 0, INF, 1, NAN});
        CHECK_VALUE(tp_logical_and(x, y), ((double[]){0, 0, 0, 1, 1, 0}), 6);
        CHECK_VALUE(tp_logical_or(x, y), ((double[]){0, 1, 1, 1, 1, 1}), 6);
        CHECK_VALUE(tp_logical_xor(x, y), ((double[]){0, 1, 1, 0, 0, 1}), 6);
        CHECK_VALUE(tp_logical_not(x), ((double[]){1, 1, 0, 0, 0, 1}), 6);
        assert_false(tp_needs_grad(tp_logical_xor(x, y)));
        bench_free(&b);
    }
}

/* --- minimum, losses of arrays ------------------------------------------------------------------ */

static void test_minimum(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(5), (double[]){2, 1, 1, -INF, NAN});
        tp_var y = leaf(&b, TP_SHAPE(5), (double[]){1, 2, 1, INF, 0});
        tp_var low = tp_minimum(x, y);
        CHECK_VALUE(low, ((double[]){1, 1, 1, -INF, NAN}), 5);
        sum_backward(tp_slice(low, 0, 0, 4, 1));
        CHECK_GRAD(x, ((double[]){0, 1, 0.5, 1, 0}), 5);
        CHECK_GRAD(y, ((double[]){1, 0, 0.5, 0, 0}), 5);
        bench_free(&b);
    }
}

static void test_mse(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(2, 2), (double[]){1, 2, 3, 5});
        tp_var t = leaf(&b, TP_SHAPE(2, 2), (double[]){1, 0, 4, 2});
        tp_var y = tp_mse(x, t);
        CHECK_VALUE(y, ((double[]){3.5}), 1);
        assert_ok(tp_backward(y));
        CHECK_GRAD(x, ((double[]){0, 1, -0.5, 1.5}), 4);
        CHECK_GRAD(t, ((double[]){0, -1, 0.5, -1.5}), 4);
        bench_free(&b);
    }
}

static void test_huber_refuses(void **state)
{
    (void)state;
    const double bad[] = {0, -1, NAN};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct bench b = bench_new(TP_F64);
        tp_var x = leaf(&b, TP_SHAPE(), (double[]){0});
        assert_status(tp_var_status(tp_huber(x, x, bad[i])), TP_EARG);
        assert_message("more than 0 needed");
        tp_tape_reset(b.tape);
        bench_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_curves), cmocka_unit_test(test_comparisons),
        cmocka_unit_test(test_logic),  cmocka_unit_test(test_minimum),
        cmocka_unit_test(test_mse),    cmocka_unit_test(test_huber_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
