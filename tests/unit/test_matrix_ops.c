/* test_matrix_ops.c: the numbers that the matrix ops and the views must hit; see test_fused_ops.c. */
#include "tests/unit/ops_fixture.h"

#include <math.h>
#include <string.h>

/* --- matrices ------------------------------------------------------------------------------------- */

static void test_matmul(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        forget();
        tp_var a = leaf(types[d], TP_SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6});
        tp_var b = leaf(types[d], TP_SHAPE(3, 1), (double[]){1, -1, 2});
        tp_var y = tp_matmul(a, b);
        assert_values(y, (double[]){5, 11}, 2);
        assert_ok(
            tp_backward(total(tp_mul(y, constant(types[d], TP_SHAPE(2, 1), (double[]){1, 10})))));
        assert_gradient(a, (double[]){1, -1, 2, 10, -10, 20}, 6);
        assert_gradient(b, (double[]){41, 52, 63}, 3);

        forget(); /* one right factor for a batch collects from all of it */
        a = leaf(types[d], TP_SHAPE(2, 1, 2), (double[]){1, 2, 3, 4});
        b = leaf(types[d], TP_SHAPE(2, 1), (double[]){5, 6});
        y = tp_matmul(a, b);
        assert_values(y, (double[]){17, 39}, 2);
        assert_ok(tp_backward(total(y)));
        assert_gradient(a, (double[]){5, 6, 5, 6}, 4);
        assert_gradient(b, (double[]){4, 6}, 2);
    }
}

static void test_cholesky(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        forget();
        tp_var x =
            leaf(types[d], TP_SHAPE(3, 3), (double[]){4, 12, -16, 12, 37, -43, -16, -43, 98});
        assert_values(tp_cholesky(x), (double[]){2, 0, 0, 6, 1, 0, -8, 5, 3}, 9);

        /* only the symmetric part counts; d L11 / dx by hand */
        forget();
        x = leaf(types[d], TP_SHAPE(2, 2), (double[]){4, 1, 3, 5});
        tp_var l = tp_cholesky(x), w = constant(types[d], TP_SHAPE(2, 2), (double[]){0, 0, 0, 1});
        assert_values(l, (double[]){2, 0, 1, 2}, 4);
        assert_ok(tp_backward(total(tp_mul(l, w))));
        assert_gradient(x, (double[]){0.0625, -0.125, -0.125, 0.25}, 4);

        /* d log det x / dx = x⁻¹, and the constant zeros above the diagonal do not matter */
        forget();
        x = leaf(types[d], TP_SHAPE(2, 2), (double[]){4, 2, 2, 5});
        tp_var flat = tp_reshape(tp_cholesky(x), TP_SHAPE(-1));
        tp_var logdet = tp_scale(total(tp_log(tp_slice(flat, 0, 0, TP_SLICE_END, 3))), 2);
        assert_close(tp_item_of(logdet), 2.77258872223978124, 0, rel_of(types[d])); /* log 16 */
        assert_ok(tp_backward(logdet));
        assert_gradient(x, (double[]){0.3125, -0.125, -0.125, 0.25}, 4);

        forget();
        tp_var y =
            tp_cholesky(leaf(types[d], TP_SHAPE(2, 2, 2), (double[]){1, 0, 0, 1, 1, 2, 2, 3}));
        assert_null(tp_value(y));
        assert_status(tp_tape_status(tape), TP_EVALUE);
        assert_non_null(
            strstr(tp_tape_message(tape), "not positive definite: pivot 1 of matrix 1 is -1"));
        assert_int_equal(tp_tape_length(tape), 1); /* nothing was published */
    }
}

static void test_triangular_solve(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        forget();
        tp_var l = leaf(types[d], TP_SHAPE(2, 2), (double[]){2, NAN, 1, 4}); /* upper part unread */
        tp_var b = leaf(types[d], TP_SHAPE(2, 1), (double[]){2, 9});
        tp_var y = tp_triangular_solve(l, b, false);
        assert_values(y, (double[]){1, 2}, 2);
        assert_ok(tp_backward(total(y)));
        assert_gradient(b, (double[]){0.375, 0.25}, 2);
        assert_gradient(l, (double[]){-0.375, 0, -0.25, -0.5}, 4);

        forget();
        l = leaf(types[d], TP_SHAPE(2, 2), (double[]){2, NAN, 1, 4});
        b = leaf(types[d], TP_SHAPE(2, 1), (double[]){2, 9});
        y = tp_triangular_solve(l, b, true);
        assert_values(y, (double[]){-0.125, 2.25}, 2);
        assert_ok(tp_backward(total(y)));
        assert_gradient(b, (double[]){0.5, 0.125}, 2);
        assert_gradient(l, (double[]){0.0625, 0, -1.125, -0.28125}, 4);

        forget(); /* one matrix for two right sides: its gradient is the sum */
        l = leaf(types[d], TP_SHAPE(1, 1), (double[]){2});
        b = leaf(types[d], TP_SHAPE(2, 1, 1), (double[]){2, 6});
        y = tp_triangular_solve(l, b, false);
        assert_values(y, (double[]){1, 3}, 2);
        assert_ok(tp_backward(total(y)));
        assert_gradient(l, (double[]){-2}, 1);

        forget();
        y = tp_triangular_solve(leaf(types[d], TP_SHAPE(2, 2), (double[]){1, 0, 1, 0}),
                                leaf(types[d], TP_SHAPE(2, 1), (double[]){1, 1}), false);
        assert_null(tp_value(y));
        assert_status(tp_tape_status(tape), TP_EVALUE);
        assert_non_null(
            strstr(tp_tape_message(tape), "singular: element [1,1] of triangular matrix 0 is 0"));
    }
}

static void test_tril(void **state)
{
    (void)state;
    static const struct {
        int k;
        double want[6];
    } rows[] = {{0, {1, 0, 0, 4, 5, 0}},  {1, {1, 2, 0, 4, 5, 6}},         {-1, {0, 0, 0, 4, 0, 0}},
                {-2, {0, 0, 0, 0, 0, 0}}, {INT32_MAX, {1, 2, 3, 4, 5, 6}}, {INT32_MIN, {0}}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        forget();
        tp_var x = leaf(TP_F32, TP_SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6});
        assert_values(tp_tril(x, rows[i].k), rows[i].want, 6);
    }
    forget(); /* what is cut off may be anything */
    tp_var x = leaf(TP_F64, TP_SHAPE(2, 2), (double[]){1, NAN, 3, INFINITY});
    assert_values(tp_tril(x, -1), (double[]){0, 0, 3, 0}, 4);
}

/* --- views ---------------------------------------------------------------------------------------- */

static void assert_shares(tp_var y, tp_var x)
{
    assert_ptr_equal(tp_value(y)->storage, tp_value(x)->storage);
}

static void test_views_share_storage(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_I64; d++) {
        forget();
        tp_var x = constant((tp_dtype)d, TP_SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6});
        assert_shares(tp_reshape(x, TP_SHAPE(3, -1)), x);
        assert_values(tp_reshape(x, TP_SHAPE(3, -1)), (double[]){1, 2, 3, 4, 5, 6}, 6);
        assert_shares(tp_detach(x), x);
        tp_var turned = tp_permute(x, TP_AXES(1, 0));
        assert_shares(turned, x);
        assert_values(turned, (double[]){1, 4, 2, 5, 3, 6}, 6);
        tp_var wide = tp_expand(x, TP_SHAPE(2, 2, 3));
        assert_shares(wide, x);
        assert_values(wide, (double[]){1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6}, 12);
        tp_var copy = tp_reshape(turned, TP_SHAPE(2, 3)); /* no strides express this one */
        assert_ptr_not_equal(tp_value(copy)->storage, tp_value(x)->storage);
        assert_values(copy, (double[]){1, 4, 2, 5, 3, 6}, 6);
    }
}

static void test_view_gradients(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        forget();
        tp_var x = leaf(types[d], TP_SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6});
        tp_var w = constant(types[d], TP_SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6});
        tp_var y = tp_reshape(tp_permute(x, TP_AXES(1, 0)), TP_SHAPE(2, 3));
        assert_ok(tp_backward(total(tp_mul(y, w))));
        assert_gradient(x, (double[]){1, 3, 5, 2, 4, 6}, 6);

        forget(); /* b = a + a, c = b + b: 4 */
        tp_var a = leaf(types[d], TP_SHAPE(2), (double[]){1, 2});
        y = tp_expand(tp_reshape(a, TP_SHAPE(2, 1)), TP_SHAPE(2, 2, 2));
        assert_ok(tp_backward(total(y)));
        assert_gradient(a, (double[]){4, 4}, 2);
    }
}

static void test_detach(void **state)
{
    (void)state;
    tp_var x = scalar_leaf(TP_F64, 3);
    assert_ok(tp_backward(tp_mul(x, tp_detach(x))));
    assert_close(tp_item(tp_leaf_grad(x)), 3, 0, 0); /* not 6 */
    forget();
    x = scalar_leaf(TP_F64, 3);
    assert_status(tp_backward(tp_square(tp_detach(x))), TP_EGRAD);
    assert_message("the caller asked for a constant");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_matmul, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cholesky, setup, teardown),
        cmocka_unit_test_setup_teardown(test_triangular_solve, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tril, setup, teardown),
        cmocka_unit_test_setup_teardown(test_views_share_storage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_view_gradients, setup, teardown),
        cmocka_unit_test_setup_teardown(test_detach, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
