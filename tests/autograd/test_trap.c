/* test_trap.c: the trap for NaN and infinities in the forward pass: every way a value can stop being finite is
 * caught where it happens and described; what is meant to be infinite passes. Backward:
 * test_trap_backward.c. That it misses nothing, over all operations: tests/ops/test_ops_trap.c. */
#include "tensor/parallel.h"
#include "tests/autograd/trap_fixture.h"

/* --- forward ------------------------------------------------------------------------------------ */

static tp_var log_of_0(tp_dtype d)
{
    return tp_log(DATA(d, 3, 1, 0, 2));
}

static tp_var log_of_minus_1(tp_dtype d)
{
    return tp_log(DATA(d, 3, 1, 2, -1));
}

static tp_var zero_by_zero(tp_dtype d)
{
    return tp_div(DATA(d, 2, 0, 1), DATA(d, 2, 0, 1));
}

static tp_var exp_overflow(tp_dtype d)
{
    return tp_exp(DATA(d, 2, 5, d == TP_F32 ? 88.8 : 709.9));
}

static tp_var sqrt_of_minus_1(tp_dtype d)
{
    return tp_sqrt(DATA(d, 1, -1));
}

static tp_var sum_overflow(tp_dtype d)
{
    return total(DATA(d, 2, largest(d), largest(d)));
}

static tp_var matmul_overflow(tp_dtype d)
{
    double x = 2 * sqrt(largest(d));
    tp_var a = tp_reshape(DATA(d, 2, x, 1), TP_SHAPE(2, 1));
    return tp_matmul(a, tp_transpose(a));
}

static tp_var product_overflow(tp_dtype d)
{
    return tp_scale(DATA(d, 2, 1, -largest(d)), 2);
}

static tp_var reparameterize_overflow(tp_dtype d)
{
    tp_var one = DATA(d, 1, 1);
    return tp_reparameterize(one, DATA(d, 1, d == TP_F32 ? 180 : 1430), one);
}

static tp_var infinity_less_infinity(tp_dtype d)
{
    tp_var inf = DATA(d, 2, 1, INFINITY);
    return tp_sub(inf, inf);
}

static tp_var zero_times_infinity(tp_dtype d)
{
    tp_var zeros = DATA(d, 2, 0, 0);
    return tp_mul(tp_full(t, d, TP_SHAPE(2), INFINITY), zeros);
}

static tp_var softmax_of_nothing(tp_dtype d)
{
    return tp_log_softmax(tp_full(t, d, TP_SHAPE(2, 3), -INFINITY), 1);
}

static tp_var mean_of_nothing(tp_dtype d)
{
    return tp_mean(tp_full(t, d, TP_SHAPE(2, 0), 1), TP_AXES(1), false);
}

static void test_forward(void **state)
{
    (void)state;
    const struct {
        tp_var (*f)(tp_dtype);
        const char *what, *inputs, *why;
    } rows[] = {
        {log_of_0, "log#2: gave 1 -inf of 3 elements, the first at [1]", ": from 0 to 2",
         "domain of log: x > 0"},
        {log_of_minus_1, "log#2: gave 1 NaN of 3 elements, the first at [2]", ": from -1 to 2",
         "domain of log: x > 0"},
        {zero_by_zero, "div#3: gave 1 NaN of 2 elements, the first at [0]", ": from 0 to 1",
         "domain of div: b ≠ 0"},
        {exp_overflow, "exp#2: gave 1 inf of 2 elements, the first at [1]", ": from 5 to ",
         "domain of exp: finite up to x = 88.72 in f32, 709.78 in f64"},
        {sqrt_of_minus_1, "sqrt#2: gave NaN\n", "constant #1: -1\n", "domain of sqrt: x ≥ 0"},
        {sum_overflow, "sum#2: gave inf\n  with axes all, keepdim false\n",
         "constant #1: ", "\n  the largest f"},
        {matmul_overflow, "matmul#4: gave 1 inf of 4 elements, the first at [0,0]",
         "reshape#2: from 1 to ", "\n  the largest f"},
        {product_overflow, "affine#2: gave 1 -inf of 2 elements, the first at [1]", " to 1\n",
         "\n  the largest f"},
        {reparameterize_overflow, "reparameterize#3: gave inf", "constant #2: 1",
         "is finite up to logvar = 177.4 in f32"},
        {infinity_less_infinity, "sub#2: gave 1 NaN of 2 elements, the first at [1]",
         ": from 1 to 1, 1 inf", ""},
        {zero_times_infinity, "mul#3: gave 2 NaN of 2 elements, the first at [0]",
         "full#2: 2 inf\n", ""},
        {softmax_of_nothing, "log_softmax#2: gave 6 NaN of 6 elements, the first at [0,0]",
         ": 6 -inf", ""},
        {mean_of_nothing, "mean#2: gave 2 NaN of 2 elements, the first at [0]", ": no elements",
         "the mean of nothing is NaN"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int d = TP_F32; d <= TP_F64; d++) {
            free_data(); /* the trap stays */
            assert_null(tp_value(rows[i].f((tp_dtype)d)));
            assert_trapped(rows[i].what);
            assert_trapped(rows[i].inputs);
            assert_trapped(rows[i].why);
            assert_null(strstr(tp_tape_message(t), "not made here"));
            tp_tape_trap(t, false); /* and without it nothing fails */
            free_data();
            assert_non_null(tp_value(rows[i].f((tp_dtype)d)));
            assert_quiet();
            assert_false(tp_tape_trap(t, true));
        }
}

/* An op that says itself what is wrong keeps its say. */
static void test_gaussian_kl(void **state)
{
    (void)state;
    tp_gaussian_kl(DATA(TP_F32, 2, 0, 0), DATA(TP_F32, 2, 0, 90));
    assert_int_equal(tp_tape_status(t), TP_EVALUE);
    assert_non_null(strstr(tp_tape_message(t), "logvar reaches 90: e^logvar overflows f32"));
}

/* Scope, names, files and lines: the whole message. */
static void test_message(void **state)
{
    (void)state;
    tp_scope_begin(t, "encoder");
    tp_var h = tp_name(tp_neg(DATA(TP_F32, 2, -3, -89)), "h", "vae.c", 112);
    tp_scope_begin(t, "head");
    tp_var y = tp_exp(h);
    assert_string_equal(
        tp_tape_message(t),
        "E_NONFINITE encoder/head: exp#3: gave 1 inf of 2 elements, the first at [1]\n"
        "  input 0: f32[2]         'h' = encoder: neg#2 (vae.c:112): from 3 to 89\n"
        "  domain of exp: finite up to x = 88.72 in f32, 709.78 in f64");
    assert_status(tp_var_status(y), TP_ENONFINITE);
    assert_string_equal(tp_last_error(), tp_tape_message(t));
    assert_int_equal(tp_tape_length(t), 2); /* nothing was published */
    tp_tape_reset(t);
    assert_ok(tp_tape_status(t));
    tp_no_grad_begin(t);
    tp_log(tp_full(t, TP_F64, TP_SHAPE(), 0));
    assert_trapped("log#2: gave -inf\n  input 0: f64[]          full#1: 0\n");
}

static tp_status bad_forward(const tp_op_call *c)
{
    return tp_fill(c->y, NAN);
}

/* An operation of one's own, without words for its domain; inputs of another type. */
static void test_own_op(void **state)
{
    (void)state;
    static const tp_op bad = {.name = "bad",
                              .arity = 2,
                              .smooth = TP_NO_GRADIENT,
                              .mixed_dtypes = true,
                              .shape = tp_shape_same,
                              .forward = bad_forward};
    tp_tensor index;
    assert_ok(tp_tensor_from(&index, TP_I64, TP_SHAPE(3), (const int64_t[]){4, 0, 9}));
    tp_var x = DATA(TP_F32, 1, 2);
    tp_apply(&bad, 2, (tp_var[]){x, tp_constant(t, &index)}, NULL);
    assert_string_equal(tp_tape_message(t), "E_NONFINITE bad#3: gave NaN\n"
                                            "  input 0: f32[1]         constant #1: 2\n"
                                            "  input 1: i64[3]         constant #2: from 0 to 9");
    tp_tensor_free(&index);
}

/* The same words on one thread and on two. */
static void test_threads(void **state)
{
    (void)state;
    enum { N = 300000 };
    char message[2][TP_MESSAGE_BYTES];
    tp_tensor x;
    assert_ok(tp_tensor_new(&x, TP_F32, TP_SHAPE(N)));
    assert_ok(tp_random_uniform(&x, (tp_rng_key){1, 0, 0}));
    assert_ok(tp_set_flat(&x, N - 1, -1));
    for (int threads = 1; threads <= 2; threads++) {
        assert_ok(tp_set_threads(threads));
        tp_tape_reset(t);
        tp_sqrt(tp_constant(t, &x));
        assert_trapped("gave 1 NaN of 300000 elements, the first at [299999]");
        strcpy(message[threads - 1], tp_tape_message(t));
    }
    assert_string_equal(message[0], message[1]);
    assert_ok(tp_set_threads(1));
    tp_tensor_free(&x);
}

/* --- what was not finite before ----------------------------------------------------------------- */

/* NaN in data is found at the first operation that hands it on, and named as data, through views too. */
static void test_nan_in_data(void **state)
{
    (void)state;
    tp_var x = tp_name(DATA(TP_F32, 4, 1, NAN, 2, NAN), "x", "load.c", 7);
    tp_var m = tp_reshape(tp_slice(x, 0, 0, 4, 1), TP_SHAPE(2, 2));
    assert_quiet(); /* entering and viewing is not computing */
    tp_var weight = tp_param(t, &w), bias = tp_param(t, &b);
    tp_linear(m, weight, bias);
    assert_trapped("linear#6: gave 4 NaN of 4 elements, the first at [0,0]\n"
                   "  input 0: f32[2,2]       reshape#3: from 1 to 2, 2 NaN\n"
                   "  input 1: f32[2,2]       parameter 'w'#4: from 0 to 0\n"
                   "  input 2: f32[2]         parameter 'b'#5: from 0 to 0\n"
                   "  not made here: it goes back to: f32[4]         constant 'x'#1 (load.c:7): "
                   "from 1 to 2, 2 NaN");
    tp_tape_reset(t);
    tp_exp(tp_full(t, TP_F32, TP_SHAPE(), NAN));
    assert_trapped("goes back to: f32[]          full#1: NaN");
}

/* No step can mend a parameter that is infinite; one that is not learned may be a mask. */
static void test_parameters(void **state)
{
    (void)state;
    assert_ok(tp_fill(&b.value, -INFINITY));
    tp_var scores = DATA(TP_F32, 2, 1, 2);
    tp_add(scores, tp_param(t, &b));
    assert_trapped("add#3: gave 2 -inf of 2 elements");
    assert_trapped("not made here: it goes back to: f32[2]         parameter 'b'#2: 2 -inf");
    tp_tape_reset(t);
    b.frozen = true;
    assert_non_null(tp_value(tp_add(DATA(TP_F32, 2, 1, 2), tp_param(t, &b))));
    assert_quiet();
}

/* Masks of −∞ put in as data or by tp_full, and what is done with them, in forward and backward. */
static void test_masks(void **state)
{
    (void)state;
    const tp_tensor *mask =
        tensor(TP_F32, TP_SHAPE(2, 3), (double[]){0, 0, -INFINITY, 0, -INFINITY, 0});
    const tp_tensor *keep = tensor(TP_F32, TP_SHAPE(2, 3), (double[]){1, 1, 0, 1, 0, 1});
    const tp_tensor *scores = tensor(TP_F32, TP_SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6});
    for (int how = 0; how < 4; how++) {
        tp_tape_reset(t);
        tp_var x = tp_leaf(t, scores), k = tp_constant(t, keep);
        tp_var never = tp_full(t, TP_F32, TP_SHAPE(), -INFINITY);
        tp_var masked = how % 2 == 0 ? tp_add(x, tp_constant(t, mask)) : tp_where(k, x, never);
        tp_var p = tp_softmax(masked, 1), z = tp_logsumexp(masked, TP_AXES(1), false);
        tp_var best = total(tp_maximum(tp_neg(masked), tp_neg(never)));
        (void)best; /* +∞ out of −∞ */
        tp_var loss = tp_add(total(tp_mul(p, k)), total(z));
        assert_ok(tp_backward_opts(loss, (tp_sweep_opts){.composed = how >= 2}));
        for (int64_t i = 0; i < 6; i++) {
            double g = tp_flat(tp_leaf_grad(x), i);
            assert_true(isfinite(g));
            assert_true((g == 0) == (tp_flat(mask, i) != 0));
        }
    }
}

/* Values that are not taken leave no trace, and missing data may be NaN. */
static void test_where(void **state)
{
    (void)state;
    tp_var x = LEAF(TP_F32, 2, 3, NAN), zero = tp_full(t, TP_F32, TP_SHAPE(), 0);
    tp_var seen = tp_where(DATA(TP_F32, 2, 1, 0), x, zero);
    tp_var nan = tp_full(t, TP_F32, TP_SHAPE(2), NAN);
    assert_ok(tp_backward(total(tp_square(tp_where(DATA(TP_F32, 2, 0, 0), nan, seen)))));
    assert_tensor_close(tp_leaf_grad(x), ((double[]){6, 0}), 2, 0, 0);
    /* but a value that is computed first and masked later has NaN for a gradient, hence is named */
    tp_var late = tp_where(DATA(TP_F32, 2, 1, 0), tp_square(x), zero);
    (void)late;
    assert_trapped("square#");
}

/* With the trap off around it an infinity may be made on purpose; what is made of it later is traced to it. */
static void test_off_for_a_while(void **state)
{
    (void)state;
    assert_true(tp_tape_trap(t, false));
    tp_var mask = TP_NAME(tp_log(DATA(TP_F32, 2, 1, 0)));
    assert_false(tp_tape_trap(t, true));
    tp_var y = tp_add(DATA(TP_F32, 2, 1, 2), mask);
    assert_close(tp_flat(tp_value(y), 0), 1, 0, 0);
    tp_sub(y, y);
    assert_trapped("sub#5: gave 1 NaN of 2 elements");
    tp_tape_reset(t);
    tp_tape_trap(t, false);
    tp_var nan = tp_sqrt(DATA(TP_F32, 1, -1));
    tp_tape_trap(t, true);
    tp_exp(tp_neg(nan));
    assert_trapped("neg#3: gave NaN");
    assert_trapped("it goes back to: f32[1]         sqrt#2: NaN");
}

static void test_one_value(void **state)
{
    (void)state;
    tp_tape_trap(t, false);
    tp_var x = DATA(TP_F32, 3, 1, 0, 4), y = TP_NAME(tp_log(x)), z = tp_neg(tp_square(y));
    assert_ok(tp_var_finite(x));
    assert_status(tp_var_finite(total(z)), TP_ENONFINITE);
    assert_message("'tp_log(x)' = log#2 (");
    assert_message(": gave 1 -inf of 3 elements, the first at [1]\n"
                   "  input 0: f32[3]         constant #1: from 0 to 4\n  domain of log: x > 0");
    assert_ok(tp_tape_status(t));
    assert_status(tp_var_finite(tp_exp(DATA(TP_F64, 2, 0, NAN))), TP_ENONFINITE);
    assert_message("constant #6: holds 1 NaN of 2 elements, the first at [1]");
    tp_var late = tp_exp(z);
    tp_tape_reset(t);
    assert_status(tp_var_finite(late), TP_ESTALE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_forward), CASE(test_gaussian_kl),     CASE(test_message),    CASE(test_own_op),
        CASE(test_threads), CASE(test_nan_in_data),     CASE(test_parameters), CASE(test_masks),
        CASE(test_where),   CASE(test_off_for_a_while), CASE(test_one_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
