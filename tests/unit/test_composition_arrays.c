/* test_composition_arrays.c: compositions over axes, classes and matrices, and rearrangements, against numbers
 * worked out by hand: extreme magnitudes, ties, infinities, integers, many inputs, indices outside.
 * Functions of one number: test_composition_values.c. */
#include "tests/unit/fixture.h"

#define NUMBERS(...) ((const double[]){__VA_ARGS__})

static void check_shape(tp_var v, tp_shape shape)
{
    char got[TP_SHAPE_TEXT], want[TP_SHAPE_TEXT];
    assert_string_equal(tp_shape_text(tp_shape_of(v), got), tp_shape_text(shape, want));
}

static tp_var indices(struct bench *b, tp_shape shape, const double *x)
{
    assert_true(b->tensors < TENSORS);
    tp_tensor *t = &b->tensor[b->tensors++];
    assert_ok(tp_tensor_new(t, TP_I64, shape));
    for (int64_t i = 0; i < tp_shape_numel(shape); i++)
        assert_ok(tp_set_flat(t, i, x[i]));
    return tp_constant(b->tape, t);
}

/* --- norm --------------------------------------------------------------------------------------- */

/* (3, 4)·scale: norm 5·scale, gradient (0.6, 0.8), second derivative (I − uuᵀ)/norm. */
static void check_norm(tp_dtype dtype, double scale)
{
    struct bench b = bench_new(dtype);
    tp_var x = leaf(&b, TP_SHAPE(2), NUMBERS(3 * scale, 4 * scale)), g, gg;
    tp_var y = tp_norm(x, TP_ALL_AXES, false), first;
    CHECK_VALUE(y, NUMBERS(5 * scale), 1);
    assert_ok(tp_grad(1, &y, 1, &x, &g, (tp_grad_opts){.create_graph = true}));
    CHECK_VALUE(g, NUMBERS(0.6, 0.8), 2);
    first = tp_slice(g, 0, 0, 1, 1);
    assert_ok(tp_grad(1, &first, 1, &x, &gg, (tp_grad_opts){0}));
    check_numbers(tp_value(gg), NUMBERS(0.64 / 5 / scale, -0.48 / 5 / scale), 2, 8, "second");
    bench_free(&b);
}

static void test_norm(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++)
        for (int k = -30; k <= 30; k += 10)
            check_norm(dtypes[d], pow(10, k));
    check_norm(TP_F64, 1e300);
    check_norm(TP_F64, 1e-300);
}

static void test_norm_at_the_edge(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(4, 2), NUMBERS(0, 0, -INF, 1, NAN, 0, 0, -7)), g, gg;
        tp_var y = tp_norm(x, TP_AXES(1), false);
        CHECK_VALUE(y, NUMBERS(0, INF, NAN, 7), 4);
        assert_ok(tp_grad(1, &y, 1, &x, &g, (tp_grad_opts){.create_graph = true}));
        tp_var zeros = tp_slice(g, 0, 0, 1, 1), seven = tp_slice(g, 0, 3, 4, 1);
        CHECK_VALUE(zeros, NUMBERS(0, 0), 2);
        CHECK_VALUE(seven, NUMBERS(0, -1), 2);
        tp_var all[] = {zeros, seven};
        assert_ok(tp_grad(2, all, 1, &x, &gg, (tp_grad_opts){0}));
        CHECK_VALUE(tp_slice(gg, 0, 0, 1, 1), NUMBERS(0, 0), 2);
        CHECK_VALUE(tp_slice(gg, 0, 3, 4, 1), NUMBERS(1.0 / 7, 0), 2);

        tp_var nothing = leaf(&b, TP_SHAPE(3, 0), NULL), none = tp_norm(nothing, TP_AXES(-1), true);
        check_shape(none, TP_SHAPE(3, 1));
        CHECK_VALUE(none, NUMBERS(0, 0, 0), 3);
        check_shape(tp_norm(x, TP_ALL_AXES, true), TP_SHAPE(1, 1));
        check_shape(tp_norm(x, TP_AXES(0), false), TP_SHAPE(2));
        bench_free(&b);
    }
}

/* --- variance, min, argmin ---------------------------------------------------------------------- */

static void test_variance(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(2, 3), NUMBERS(1, 2, 6, 4, 4, 4));
        CHECK_VALUE(tp_variance(x, TP_AXES(1), 0, false), NUMBERS(14.0 / 3, 0), 2);
        CHECK_VALUE(tp_variance(x, TP_AXES(-1), 1, true), NUMBERS(7, 0), 2);
        CHECK_VALUE(tp_variance(x, TP_ALL_AXES, 1, false), NUMBERS(3.1), 1);
        sum_backward(tp_variance(x, TP_AXES(1), 1, false));
        CHECK_GRAD(x, NUMBERS(-2, -1, 3, 0, 0, 0), 6);
        /* the mean of squares less the square of the mean would be 0 in f32, and negative elsewhere */
        tp_var far = leaf(&b, TP_SHAPE(4), NUMBERS(1e6, 1e6 + 1, 1e6 + 2, 1e6 + 3));
        CHECK_VALUE(tp_variance(far, TP_ALL_AXES, 0, false), NUMBERS(1.25), 1);
        /* too few: no failure, but no number either */
        tp_var one = leaf(&b, TP_SHAPE(2, 1), NUMBERS(1, 2)), none = leaf(&b, TP_SHAPE(2, 0), NULL);
        CHECK_VALUE(tp_variance(one, TP_AXES(1), 0, false), NUMBERS(0, 0), 2);
        CHECK_VALUE(tp_variance(one, TP_AXES(1), 1, false), NUMBERS(NAN, NAN), 2);
        CHECK_VALUE(tp_variance(one, TP_AXES(1), 5, false), NUMBERS(NAN, NAN), 2);
        CHECK_VALUE(tp_variance(none, TP_AXES(1), 0, false), NUMBERS(NAN, NAN), 2);
        bench_free(&b);
    }
}

static void test_min(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(3, 3), NUMBERS(3, 1, 1, -INF, 0, INF, 2, NAN, -5));
        tp_var y = tp_min(x, TP_AXES(1), false);
        CHECK_VALUE(y, NUMBERS(1, -INF, NAN), 3);
        sum_backward(tp_slice(y, 0, 0, 2, 1));
        CHECK_GRAD(x, NUMBERS(0, 0.5, 0.5, 1, 0, 0, 0, 0, 0), 9);
        tp_var at = tp_argmin(x, 1, false);
        assert_int_equal(tp_dtype_of(at), TP_I64);
        CHECK_VALUE(at, NUMBERS(1, 0, 1), 3); /* the first of equals, NaN before all */
        check_shape(tp_argmin(x, 0, true), TP_SHAPE(1, 3));
        bench_free(&b);
    }
}

/* --- classes ------------------------------------------------------------------------------------ */

static void test_cross_entropy(void **state)
{
    (void)state;
    const double logits[] = {1000, -1000, 1000, -1000, 0, 0, -INF, 2, 1e30, 0};
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(5, 2), logits);
        tp_var y = tp_cross_entropy(x, indices(&b, TP_SHAPE(5), NUMBERS(0, 1, 1, 1, 1)));
        CHECK_VALUE(y, NUMBERS(0, 2000, 0.693147180559945309, 0, 1e30), 5);
        sum_backward(y);
        CHECK_GRAD(x, NUMBERS(0, 0, 1, -1, 0.5, -0.5, 0, 0, 1, -1), 10);
        tp_var never = tp_cross_entropy(x, indices(&b, TP_SHAPE(5), NUMBERS(1, 1, 1, 0, 1)));
        CHECK_VALUE(tp_slice(never, 0, 3, 4, 1), NUMBERS(INF), 1); /* probability 0 */
        bench_free(&b);
    }
}

static void test_one_hot(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var index = indices(&b, TP_SHAPE(1, 2), NUMBERS(2, 0));
        tp_var y = tp_one_hot(index, 3, dtypes[d]);
        check_shape(y, TP_SHAPE(1, 2, 3));
        assert_int_equal(tp_dtype_of(y), dtypes[d]);
        CHECK_VALUE(y, NUMBERS(0, 0, 1, 1, 0, 0), 6);
        CHECK_VALUE(tp_one_hot(indices(&b, TP_SHAPE(), NUMBERS(1)), 2, dtypes[d]), NUMBERS(0, 1),
                    2);
        bench_free(&b);
    }
}

/* One sentence that says which index, where, and what would be right. */
static void test_indices_outside(void **state)
{
    (void)state;
    struct bench b = bench_new(TP_F64);
    tp_var i = indices(&b, TP_SHAPE(2, 2), NUMBERS(0, 1, 3, 0));
    assert_status(tp_var_status(tp_one_hot(i, 3, TP_F64)), TP_EVALUE);
    assert_message("index[1,0,0] = 3 is outside axis 2 of ");
    tp_tape_reset(b.tape);
    tp_var x = leaf(&b, TP_SHAPE(2, 2, 3), NUMBERS(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
    i = tp_constant(b.tape, &b.tensor[0]);
    assert_status(tp_var_status(tp_cross_entropy(x, i)), TP_EVALUE);
    assert_message("index[1,0,0] = 3 is outside axis 2 of ");
    tp_tape_reset(b.tape);
    tp_var w = leaf(&b, TP_SHAPE(3, 2), NUMBERS(0, 1, 2, 3, 4, 5));
    i = tp_constant(b.tape, &b.tensor[0]);
    assert_status(tp_var_status(tp_embedding(w, i)), TP_EVALUE);
    assert_message("index[1,0] = 3 is outside axis 0 of ");
    tp_tape_reset(b.tape);
    bench_free(&b);
}

/* --- matrices ----------------------------------------------------------------------------------- */

static void test_diagonals(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(2, 3), NUMBERS(1, 2, 3, 4, 5, 6));
        CHECK_VALUE(tp_diagonal(x, 0), NUMBERS(1, 5), 2);
        CHECK_VALUE(tp_diagonal(x, 1), NUMBERS(2, 6), 2);
        CHECK_VALUE(tp_diagonal(x, 2), NUMBERS(3), 1);
        CHECK_VALUE(tp_diagonal(x, -1), NUMBERS(4), 1);
        CHECK_VALUE(tp_diagonal(tp_transpose(x), -1), NUMBERS(2, 6), 2);
        check_shape(tp_diagonal(x, 3), TP_SHAPE(0));
        check_shape(tp_diagonal(x, -2147483647 - 1), TP_SHAPE(0));
        CHECK_VALUE(tp_triu(x, 0), NUMBERS(1, 2, 3, 0, 5, 6), 6);
        CHECK_VALUE(tp_triu(x, 1), NUMBERS(0, 2, 3, 0, 0, 6), 6);
        CHECK_VALUE(tp_triu(x, 2147483647), NUMBERS(0, 0, 0, 0, 0, 0), 6);
        tp_var square = tp_diag(x);
        check_shape(square, TP_SHAPE(2, 3, 3));
        CHECK_VALUE(square, NUMBERS(1, 0, 0, 0, 2, 0, 0, 0, 3, 4, 0, 0, 0, 5, 0, 0, 0, 6), 18);
        CHECK_VALUE(tp_diagonal(square, 0), NUMBERS(1, 2, 3, 4, 5, 6), 6);
        sum_backward(tp_diagonal(x, 1));
        CHECK_GRAD(x, NUMBERS(0, 1, 0, 0, 0, 1), 6);
        bench_free(&b);
    }
}

static void test_logdet(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        /* det 11; det 1e-60, which is 0 in f32; nothing, whose determinant is 1 */
        tp_var x = leaf(&b, TP_SHAPE(2, 2, 2), NUMBERS(4, 1, 1, 3, 1e-30, 0, 0, 1e-30));
        tp_var y = tp_logdet(x);
        CHECK_VALUE(y, NUMBERS(2.39789527279837054, -138.155105579642741), 2);
        assert_ok(tp_backward(tp_sum(tp_slice(y, 0, 0, 1, 1), TP_ALL_AXES, false)));
        CHECK_GRAD(x, NUMBERS(3.0 / 11, -1.0 / 11, -1.0 / 11, 4.0 / 11, 0, 0, 0, 0), 8);
        CHECK_VALUE(tp_logdet(leaf(&b, TP_SHAPE(0, 0), NULL)), NUMBERS(0), 1);
        bench_free(&b);
    }
}

/* Points far out and near each other: |x|² + |y|² − 2x·y has no digit left there. */
static void test_squared_distance(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        double out = d == 0 ? 1e12 : 1e6;
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(2, 2), NUMBERS(out, 0, out + 3, 4));
        tp_var y = leaf(&b, TP_SHAPE(3, 2), NUMBERS(out, 0, out + 1, 0, out, -2));
        tp_var far = tp_squared_distance(x, y);
        check_shape(far, TP_SHAPE(2, 3));
        CHECK_VALUE(far, NUMBERS(0, 1, 4, 25, 20, 45), 6);
        tp_var same = tp_squared_distance(x, x);
        CHECK_VALUE(same, NUMBERS(0, 25, 25, 0), 4);
        sum_backward(same);
        CHECK_GRAD(x, NUMBERS(-12, -16, 12, 16), 4);
        bench_free(&b);
    }
}

/* --- rearranging -------------------------------------------------------------------------------- */

/* Values and type of what came out, for floats and integers alike. */
static void expect(tp_var y, tp_dtype dtype, tp_shape shape, const double *want)
{
    check_shape(y, shape);
    assert_int_equal(tp_dtype_of(y), dtype);
    assert_tensor_close(tp_value(y), want, tp_shape_numel(shape), 0, 0);
}

static void check_rearranging(tp_dtype dtype)
{
    struct bench b = bench_new(dtype);
    tp_var x = constant(&b, TP_SHAPE(2, 3), NUMBERS(1, 2, 3, 4, 5, 6)), out[3];
    expect(tp_unsqueeze(x, 1), dtype, TP_SHAPE(2, 1, 3), NUMBERS(1, 2, 3, 4, 5, 6));
    expect(tp_unsqueeze(x, -1), dtype, TP_SHAPE(2, 3, 1), NUMBERS(1, 2, 3, 4, 5, 6));
    expect(tp_squeeze(tp_unsqueeze(x, 0), 0), dtype, TP_SHAPE(2, 3), NUMBERS(1, 2, 3, 4, 5, 6));
    expect(tp_flip(x, 1), dtype, TP_SHAPE(2, 3), NUMBERS(3, 2, 1, 6, 5, 4));
    expect(tp_flip(x, -2), dtype, TP_SHAPE(2, 3), NUMBERS(4, 5, 6, 1, 2, 3));
    expect(tp_transpose(x), dtype, TP_SHAPE(3, 2), NUMBERS(1, 4, 2, 5, 3, 6));
    expect(tp_diagonal(x, 1), dtype, TP_SHAPE(2), NUMBERS(2, 6));
    expect(tp_tile(x, 1, 2), dtype, TP_SHAPE(2, 6), NUMBERS(1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6));
    expect(tp_repeat(x, 1, 2), dtype, TP_SHAPE(2, 6), NUMBERS(1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6));
    expect(tp_tile(x, 0, 2), dtype, TP_SHAPE(4, 3), NUMBERS(1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6));
    expect(tp_repeat(x, 0, 2), dtype, TP_SHAPE(4, 3), NUMBERS(1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6));
    expect(tp_repeat(tp_transpose(x), -1, 1), dtype, TP_SHAPE(3, 2), NUMBERS(1, 4, 2, 5, 3, 6));
    expect(tp_tile(x, 0, 0), dtype, TP_SHAPE(0, 3), NULL);
    tp_split(x, -1, (const int64_t[]){2, 0, 1}, 3, out);
    expect(out[0], dtype, TP_SHAPE(2, 2), NUMBERS(1, 2, 4, 5));
    expect(out[1], dtype, TP_SHAPE(2, 0), NULL);
    expect(out[2], dtype, TP_SHAPE(2, 1), NUMBERS(3, 6));
    expect(tp_stack((tp_var[]){x, tp_flip(x, 0)}, 2, 1), dtype, TP_SHAPE(2, 2, 3),
           NUMBERS(1, 2, 3, 4, 5, 6, 4, 5, 6, 1, 2, 3));
    expect(tp_stack((tp_var[]){out[2], out[2]}, 2, -1), dtype, TP_SHAPE(2, 1, 2),
           NUMBERS(3, 3, 6, 6));
    assert_false(tp_needs_grad(tp_tile(x, 0, 2)));
    bench_free(&b);
}

static void test_rearranging(void **state)
{
    (void)state;
    for (int d = 0; d < TP_DTYPE_COUNT; d++)
        check_rearranging((tp_dtype)d);
}

/* However many there are, they come in order; the gradient finds each. */
static void test_stack_of_many(void **state)
{
    (void)state;
    static const int counts[] = {1, 2, 7, 8, 9, 63, 64, 65, 200};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        int n = counts[k];
        struct bench b = bench_new(TP_F64);
        tp_var x[200], first = leaf(&b, TP_SHAPE(), NUMBERS(0));
        for (int i = 0; i < n; i++)
            x[i] = tp_affine(first, i, i);
        tp_var y = tp_stack(x, n, 0);
        check_shape(y, TP_SHAPE(n));
        for (int i = 0; i < n; i++)
            assert_true(tp_flat(tp_value(y), i) == i);
        sum_backward(y);
        CHECK_GRAD(first, NUMBERS(n * (n - 1) / 2.0), 1);
        bench_free(&b);
    }
    struct bench b = bench_new(TP_F64);
    assert_status(tp_var_status(tp_stack(NULL, 0, 0)), TP_ETAPE);
    bench_free(&b);
}

static void test_split_refuses_all(void **state)
{
    (void)state;
    struct bench b = bench_new(TP_F64);
    tp_var x = leaf(&b, TP_SHAPE(4), NUMBERS(1, 2, 3, 4)), out[2];
    tp_split(x, 0, (const int64_t[]){2, 1}, 2, out);
    assert_status(tp_var_status(out[0]), TP_ESHAPE);
    assert_status(tp_var_status(out[1]), TP_ESHAPE);
    assert_message("tp_split: the sizes leave 1 of 4 elements of axis 0 over");
    tp_tape_reset(b.tape);
    bench_free(&b);
}

static void test_pad_constant(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var x = leaf(&b, TP_SHAPE(2, 2), NUMBERS(0.1, 2, NAN, 4));
        tp_var y = tp_pad_constant(x, -1, 1, 2, -INF);
        CHECK_VALUE(y, NUMBERS(-INF, 0.1, 2, -INF, -INF, -INF, NAN, 4, -INF, -INF), 10);
        sum_backward(y);
        CHECK_GRAD(x, NUMBERS(1, 1, 1, 1), 4);
        bench_free(&b);
    }
}

static void test_picking(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct bench b = bench_new(dtypes[d]);
        tp_var w = leaf(&b, TP_SHAPE(3, 2), NUMBERS(1, 2, 3, 4, 5, 6));
        tp_var list = indices(&b, TP_SHAPE(3), NUMBERS(2, 0, 2));
        CHECK_VALUE(tp_index_select(w, list, 0), NUMBERS(5, 6, 1, 2, 5, 6), 6);
        tp_var swap = indices(&b, TP_SHAPE(2), NUMBERS(1, 0));
        CHECK_VALUE(tp_index_select(w, swap, -1), NUMBERS(2, 1, 4, 3, 6, 5), 6);
        tp_var words = indices(&b, TP_SHAPE(2, 2), NUMBERS(0, 2, 2, 2));
        tp_var y = tp_embedding(w, words);
        check_shape(y, TP_SHAPE(2, 2, 2));
        CHECK_VALUE(y, NUMBERS(1, 2, 5, 6, 5, 6, 5, 6), 8);
        sum_backward(y);
        CHECK_GRAD(w, NUMBERS(1, 1, 0, 0, 3, 3), 6);
        bench_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_norm_at_the_edge),
        cmocka_unit_test(test_variance),
        cmocka_unit_test(test_min),
        cmocka_unit_test(test_cross_entropy),
        cmocka_unit_test(test_one_hot),
        cmocka_unit_test(test_indices_outside),
        cmocka_unit_test(test_diagonals),
        cmocka_unit_test(test_logdet),
        cmocka_unit_test(test_squared_distance),
        cmocka_unit_test(test_rearranging),
        cmocka_unit_test(test_stack_of_many),
        cmocka_unit_test(test_split_refuses_all),
        cmocka_unit_test(test_pad_constant),
        cmocka_unit_test(test_picking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
