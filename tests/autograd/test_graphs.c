/* test_graphs.c: gradients through graphs of many shapes, exactly: fan-out in its fixed order, ladders and braids
 * of diamonds, chains of ten thousand nodes, thousands of branches, parameters in two places and on two tapes.
 * Small diamonds, steps and messages: test_sweep.c. One var in several slots of one op: tests/ops/test_ops_slots.c.
 */
#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "tensor/parallel.h"
#include "tests/support/check.h"
#include "tests/support/elements.h"

static const tp_dtype dtypes[] = {TP_F64, TP_F32};
static tp_tape *t;

static int set_up(void **state)
{
    (void)state;
    assert_ok(tp_tape_new(&t));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tp_tape_free(t);
    assert_ok(tp_set_threads(1));
    return 0;
}

static tp_var total(tp_var x)
{
    return tp_sum(x, TP_ALL_AXES, false);
}

/* x + c in the arithmetic of dtype */
static double plus(tp_dtype dtype, double x, double c)
{
    return dtype == TP_F32 ? (double)((float)x + (float)c) : x + c;
}

static double rounded(tp_dtype dtype, double x)
{
    return dtype == TP_F32 ? (double)(float)x : x;
}

/* --- fan-out ------------------------------------------------------------------------------------ */

enum {
    MOST = 64,
    SMALL = 5,
    LARGE = 20000
}; /* elements: one chunk, and work for several threads */

/* The k-th consumer of x: each adds something else to its gradient. */
static tp_var consume(tp_var x, int k, tp_var w)
{
    switch (k % 6) {
    case 0:
        return tp_mul(x, w);
    case 1:
        return tp_affine(x, 1.0 / (k + 1), 3);
    case 2:
        return tp_sub(w, x);
    case 3:
        return tp_div(x, w);
    case 4:
        return tp_add(x, x);
    default:
        return tp_mul(w, x);
    }
}

/* What it adds to an element whose gradient so far is *g, w being the element of its weight. */
static void contribute(double *g, bool first, tp_dtype dtype, int k, double w)
{
    const double parts[] = {w, 1.0 / (k + 1), -1, 1 / w, 1, w};
    double part = rounded(dtype, parts[k % 6]);
    *g = first ? part : plus(dtype, *g, part);
    if (k % 6 == 4)
        *g = plus(dtype, *g, part);
}

/* Σ of n consumers of x. Contributions are added up from the last consumer to the first, which fixes every
 * bit: the reference does the same with numbers. */
static void check_fan_out(tp_dtype dtype, int n, int64_t size)
{
    static double want[LARGE];
    tp_tensor x0, w0[MOST];
    tp_var g;
    tp_tape_reset(t);
    assert_ok(tp_tensor_new(&x0, dtype, TP_SHAPE(size)));
    for (int64_t i = 0; i < size; i++)
        put(dtype, tp_data_mut(&x0), i, uniform(-2, 2));
    tp_var x = tp_leaf(t, &x0), sum = {0};
    for (int k = 0; k < n; k++) {
        assert_ok(tp_tensor_new(&w0[k], dtype, TP_SHAPE(size)));
        for (int64_t i = 0; i < size; i++)
            put(dtype, tp_data_mut(&w0[k]), i, uniform(0.1, 3));
        tp_var y = consume(x, k, tp_constant(t, &w0[k]));
        sum = k == 0 ? y : tp_add(sum, y);
    }
    tp_var y = total(sum);
    for (int64_t i = 0; i < size; i++)
        for (int k = n - 1; k >= 0; k--)
            contribute(&want[i], k == n - 1, dtype, k, get(dtype, tp_data(&w0[k]), i));
    assert_ok(tp_grad(1, &y, 1, &x, &g, (tp_grad_opts){0}));
    assert_ok(tp_backward_opts(y, (tp_sweep_opts){.release = true}));
    assert_true(equal_bits(tp_value(g), tp_leaf_grad(x)));
    assert_tensor_close(tp_leaf_grad(x), want, size, 0, 0);
    tp_tensor_free(&x0);
    for (int k = 0; k < n; k++)
        tp_tensor_free(&w0[k]);
}

static void test_fan_out(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++)
        for (int threads = 1; threads <= 2; threads++) {
            assert_ok(tp_set_threads(threads));
            for (int n = 1; n <= MOST; n++)
                check_fan_out(dtypes[d], n, SMALL);
            for (int n = 1; n <= MOST; n = 2 * n + 1)
                check_fan_out(dtypes[d], n, LARGE);
            check_fan_out(dtypes[d], MOST, LARGE);
        }
}

/* --- diamonds, chains, branches ----------------------------------------------------------------- */

static tp_var entered(tp_tensor *x, tp_dtype dtype, double a, double b)
{
    assert_ok(tp_tensor_new(x, dtype, TP_SHAPE(2)));
    assert_ok(tp_set_flat(x, 0, a));
    assert_ok(tp_set_flat(x, 1, b));
    return tp_leaf(t, x);
}

static void assert_gradient(tp_var y, tp_var x, double a, double b)
{
    tp_var g;
    assert_ok(tp_grad(1, &y, 1, &x, &g, (tp_grad_opts){0}));
    assert_tensor_close(tp_value(g), ((double[]){a, b}), 2, 0, 0);
}

/* b = a + a, c = b + b, … : 2^60 paths, 60 steps. */
static void test_ladder(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        tp_tensor x0;
        tp_tape_reset(t);
        tp_var x = entered(&x0, dtypes[d], 1, -3), y = x;
        for (int i = 0; i < 60; i++)
            y = tp_add(y, y);
        assert_gradient(total(y), x, 0x1p60, 0x1p60);
        assert_close(tp_flat(tp_value(y), 1), -3 * 0x1p60, 0, 0);
        tp_tensor_free(&x0);
    }
}

/* (a, b) → (a + b, a − b): every step uses both twice, two steps double them. */
static void test_braid(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        tp_tensor a0, b0;
        tp_tape_reset(t);
        tp_var a = entered(&a0, dtypes[d], 1, 2), b = entered(&b0, dtypes[d], 5, -7);
        tp_var p = a, q = b;
        for (int i = 0; i < 41; i++) {
            tp_var sum = tp_add(p, q);
            q = tp_sub(p, q);
            p = sum;
        }
        tp_var y = total(tp_add(tp_scale(p, 2), tp_scale(q, 5))); /* 2^20 (2(a + b) + 5(a − b)) */
        assert_gradient(y, a, 7 * 0x1p20, 7 * 0x1p20);
        assert_gradient(y, b, -3 * 0x1p20, -3 * 0x1p20);
        tp_tensor_free(&a0), tp_tensor_free(&b0);
    }
}

/* Ten thousand ops in a row that leave x + c: no recursion, first and second order, kept and released. */
static void test_deep_chain(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        tp_tensor x0;
        tp_tape_reset(t);
        tp_var x = entered(&x0, dtypes[d], 3, -4), y = x, g, z, zero = tp_zeros_like(x);
        for (int i = 0; i < 2000; i++) {
            y = tp_sub(tp_scale(y, 4), zero);
            y = tp_permute(tp_scale(tp_neg(y), -0.25), TP_AXES(0));
        }
        assert_true(tp_tape_length(t) >= 10000);
        z = total(tp_square(y));
        assert_ok(tp_grad(1, &z, 1, &x, &g, (tp_grad_opts){.create_graph = true}));
        assert_tensor_close(tp_value(g), ((double[]){6, -8}), 2, 0, 0);
        assert_gradient(total(g), x, 2, 2);
        assert_ok(tp_backward(z));
        assert_ok(tp_backward_opts(z, (tp_sweep_opts){.release = true}));
        assert_tensor_close(tp_leaf_grad(x), ((double[]){12, -16}), 2, 0, 0);
        tp_tensor_free(&x0);
    }
}

/* Σ k·x over 4096 branches, joined pair by pair: the partial sums are exact in f32 too. */
static void test_branches(void **state)
{
    (void)state;
    enum { BRANCHES = 4096 };
    static tp_var branch[BRANCHES];
    for (int d = 0; d < 2; d++) {
        tp_tensor x0;
        tp_tape_reset(t);
        tp_var x = entered(&x0, dtypes[d], 1, 2);
        for (int k = 0; k < BRANCHES; k++)
            branch[k] = tp_scale(x, k);
        for (int width = BRANCHES / 2; width > 0; width /= 2)
            for (int k = 0; k < width; k++)
                branch[k] = tp_add(branch[2 * k], branch[2 * k + 1]);
        double sum = BRANCHES * (BRANCHES - 1) / 2.0;
        assert_gradient(total(branch[0]), x, sum, sum);
        assert_tensor_close(tp_value(branch[0]), ((double[]){sum, 2 * sum}), 2, 0, 0);
        tp_tensor_free(&x0);
    }
}

/* One op with a thousand inputs, every third the same var. */
static void test_wide_concat(void **state)
{
    (void)state;
    enum { N = 999 };
    static tp_var part[N];
    for (int d = 0; d < 2; d++) {
        tp_tensor x0, w0;
        tp_tape_reset(t);
        tp_var x = entered(&x0, dtypes[d], 1, 2);
        assert_ok(tp_tensor_new(&w0, dtypes[d], TP_SHAPE(2 * N)));
        double want[2] = {0, 0};
        for (int k = 0; k < N; k++) {
            part[k] = k % 3 == 0 ? x : tp_scale(x, k % 7);
            for (int j = 0; j < 2; j++) {
                int w = (5 * k + 3 * j) % 11 - 5;
                assert_ok(tp_set_flat(&w0, 2 * k + j, w));
                want[j] += w * (k % 3 == 0 ? 1 : k % 7);
            }
        }
        tp_var y = total(tp_mul(tp_concat(part, N, 0), tp_constant(t, &w0)));
        assert_gradient(y, x, want[0], want[1]);
        tp_tensor_free(&x0), tp_tensor_free(&w0);
    }
}

/* --- several sweeps over one graph -------------------------------------------------------------- */

/* Interior of a graph with fan-out, and two roots over it. */
typedef struct shared_graph {
    tp_var inside, one, other;
} shared_graph;

static shared_graph grow(tp_tape *on, tp_parameter *w)
{
    tp_var x = tp_param(on, w), h = tp_tanh(tp_mul(x, x)), e = tp_exp(h);
    return (shared_graph){h, total(tp_mul(e, h)), total(tp_add(tp_div(h, e), tp_square(h)))};
}

static void init_parameter(tp_parameter *w, tp_dtype dtype)
{
    assert_ok(tp_parameter_init(w, "shared", dtype, TP_SHAPE(3)));
    for (int64_t i = 0; i < 3; i++)
        assert_ok(tp_set_flat(&w->value, i, 0.3 * (double)i - 0.4));
}

/* The gradient of one root on a tape of its own, backward called once. */
static tp_tensor gradient_alone(tp_parameter *w, bool other)
{
    tp_tensor g;
    tp_tape *own;
    assert_ok(tp_tape_new(&own));
    tp_zero_grad(w);
    shared_graph s = grow(own, w);
    assert_ok(tp_backward(other ? s.other : s.one));
    assert_ok(tp_clone(&g, tp_parameter_grad(w)));
    tp_zero_grad(w);
    tp_tape_free(own);
    return g;
}

/* Each backward adds exactly what it adds alone: interior nodes keep nothing from the sweep before, whatever
 * kind of sweep that was. */
static void test_interior_keeps_nothing(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        tp_parameter w;
        tp_var before, after;
        init_parameter(&w, dtypes[d]);
        tp_tensor one = gradient_alone(&w, false), other = gradient_alone(&w, true);
        tp_tape_reset(t);
        shared_graph s = grow(t, &w);
        assert_ok(tp_grad(1, &s.one, 1, &s.inside, &before, (tp_grad_opts){0}));
        double want[3] = {0};
        for (int sweep = 0; sweep < 6; sweep++) {
            bool second = sweep % 2 == 1;
            assert_ok(tp_backward_opts(second ? s.other : s.one,
                                       (tp_sweep_opts){.create_graph = sweep == 2}));
            for (int64_t i = 0; i < 3; i++) {
                want[i] = plus(dtypes[d], want[i], tp_flat(second ? &other : &one, i));
                assert_close(tp_flat(tp_parameter_grad(&w), i), want[i], 0, 0);
            }
        }
        assert_ok(tp_grad(1, &s.one, 1, &s.inside, &after, (tp_grad_opts){0}));
        assert_true(equal_bits(tp_value(before), tp_value(after)));
        tp_tensor_free(&one), tp_tensor_free(&other);
        tp_parameter_free(&w);
    }
}

/* --- parameters --------------------------------------------------------------------------------- */

/* [2,2] whose elements are 1, 2, 3, 4 and a first gradient from layer(W, x = (1, 10)): the fused rule of
 * linear writes straight into the parameter, what comes second must be added to that. */
static void init_square(tp_parameter *w, tp_dtype dtype)
{
    assert_ok(tp_parameter_init(w, "square", dtype, TP_SHAPE(2, 2)));
    for (int64_t i = 0; i < 4; i++)
        assert_ok(tp_set_flat(&w->value, i, (double)i + 1));
}

static tp_var layer(tp_tape *on, tp_var w, double a, double b)
{
    tp_dtype dtype = tp_dtype_of(w);
    tp_var x = tp_reshape(tp_concat((tp_var[]){tp_full(on, dtype, TP_SHAPE(1), a),
                                               tp_full(on, dtype, TP_SHAPE(1), b)},
                                    2, 0),
                          TP_SHAPE(1, 2));
    return total(tp_linear(x, w, tp_full(on, dtype, TP_SHAPE(2), 0)));
}

/* Entered twice and used as weight, as factor and as a view: one leaf, one sum. */
static void test_parameter_in_many_places(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        tp_parameter w;
        init_square(&w, dtypes[d]);
        tp_tape_reset(t);
        tp_var a = tp_param(t, &w), b = tp_param(t, &w);
        assert_int_equal(a.id, b.id);
        tp_var weight = layer(t, a, 1, 10); /* rows of (1, 10) */
        tp_var gram = total(tp_matmul(a, tp_transpose(b)));
        tp_var corner = total(tp_slice(tp_reshape(b, TP_SHAPE(4)), 0, 3, -5, -3)); /* w[3] + w[0] */
        assert_ok(tp_backward(tp_add(tp_add(weight, gram), corner)));
        /* Σ_ij (W Wᵀ)_ij has gradient 2·(column sums) in every row: (8, 12) */
        assert_tensor_close(tp_parameter_grad(&w), ((double[]){10, 22, 9, 23}), 4, 0, 0);
        tp_parameter_free(&w);
    }
}

/* Two graphs that live at once on two tapes add to one gradient, in any order of backward calls. */
static void test_parameter_on_two_tapes(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++)
        for (int order = 0; order < 2; order++) {
            tp_parameter w;
            tp_tape *tape[2];
            tp_var y[2];
            init_square(&w, dtypes[d]);
            for (int k = 0; k < 2; k++)
                assert_ok(tp_tape_new(&tape[k]));
            y[0] = layer(tape[0], tp_param(tape[0], &w), 1, 10);
            y[1] = layer(tape[1], tp_param(tape[1], &w), 100, 1000);
            assert_ok(tp_backward(y[order]));
            tp_tape_reset(tape[order]); /* takes nothing from the parameter or the other tape */
            assert_ok(tp_backward(y[1 - order]));
            assert_tensor_close(tp_parameter_grad(&w), ((double[]){101, 1010, 101, 1010}), 4, 0, 0);
            assert_ok(tp_backward(y[1 - order]));
            double more[] = {order ? 1 : 100, order ? 10 : 1000};
            assert_close(tp_flat(tp_parameter_grad(&w), 2), 101 + more[0], 0, 0);
            assert_close(tp_flat(tp_parameter_grad(&w), 3), 1010 + more[1], 0, 0);
            for (int k = 0; k < 2; k++)
                tp_tape_free(tape[k]);
            tp_parameter_free(&w);
        }
}

/* A step of the optimizer after the first backward: the other tape's graph is of before, and says so. */
static void test_written_between_tapes(void **state)
{
    (void)state;
    tp_parameter w;
    tp_tape *other;
    init_square(&w, TP_F64);
    assert_ok(tp_tape_new(&other));
    tp_var here = total(tp_square(tp_param(t, &w)));
    tp_var there = total(tp_square(tp_param(other, &w)));
    assert_ok(tp_backward(here));
    assert_ok(tp_set_flat(&w.value, 0, 9));
    assert_status(tp_backward(there), TP_EVERSION);
    assert_message("square#2 needs parameter 'square'#1");
    assert_tensor_close(tp_parameter_grad(&w), ((double[]){2, 4, 6, 8}), 4, 0, 0);
    tp_tape_free(other);
    tp_parameter_free(&w);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_fan_out),
        CASE(test_ladder),
        CASE(test_braid),
        CASE(test_deep_chain),
        CASE(test_branches),
        CASE(test_wide_concat),
        CASE(test_interior_keeps_nothing),
        CASE(test_parameter_in_many_places),
        CASE(test_parameter_on_two_tapes),
        CASE(test_written_between_tapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
