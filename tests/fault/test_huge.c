/* test_huge.c: sizes near the ends of their ranges. There is one rule for shapes, tp_shape_check: a shape is too large
 * if its sizes, zeros taken for ones, times the size of an element do not fit in 62 bits. Whoever makes a shape keeps
 * to it, also where there is nothing in it, and says TP_ESHAPE; what is legal and not there is TP_ENOMEM. Nothing
 * overflows on the way, which the builds with sanitizers watch.
 */
#include "tests/support/check.h"

#include "models/tapir.h"
#include "tensor/io/file.h"

#include <stdio.h>

#define BIG ((int64_t)1 << 60) /* of f32 just legal */
#define HALF ((int64_t)1 << 31)

/* --- tensors and views -------------------------------------------------------------------------- */

static void test_tensors(void **state)
{
    (void)state;
    static const int64_t sizes[] = {INT64_MAX, INT64_MAX / 2, INT64_MAX / 4, BIG + 1, BIG * 2};
    tp_tensor t, empty, y;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_status(tp_tensor_new(&t, TP_F32, TP_SHAPE(sizes[i])), TP_ESHAPE);
        assert_status(tp_tensor_new(&t, TP_F32, TP_SHAPE(0, sizes[i])), TP_ESHAPE);
        assert_status(tp_tensor_new(&t, TP_F32, TP_SHAPE(sizes[i], 0, sizes[i])), TP_ESHAPE);
    }
    assert_status(tp_tensor_new(&t, TP_F32, TP_SHAPE(BIG)), TP_ENOMEM); /* legal, and not there */
    assert_status(tp_tensor_new(&t, TP_F64, TP_SHAPE(BIG)), TP_ESHAPE);
    assert_ok(tp_tensor_new(&empty, TP_F32, TP_SHAPE(0, BIG)));
    assert_ok(tp_view_reshape(&empty, TP_SHAPE(BIG, 0, 1), &y));
    assert_status(tp_view_reshape(&empty, TP_SHAPE(0, 2 * BIG), &y), TP_ESHAPE);
    assert_status(tp_view_reshape(&empty, TP_SHAPE(0, BIG, 2), &y), TP_ESHAPE);
    assert_status(tp_view_expand(&empty, TP_SHAPE(2, 0, BIG), &y), TP_ESHAPE);
    assert_ok(tp_view_slice(&empty, 1, INT64_MIN + 1, INT64_MAX, INT64_MAX, &y));
    assert_int_equal(y.shape.dim[1], 1);
    assert_ok(tp_view_slice(&empty, 1, INT64_MAX, INT64_MIN + 1, -INT64_MAX, &y));
    assert_int_equal(y.shape.dim[1], 1);
    tp_tensor_free(&empty);
}

static void test_memory(void **state)
{
    (void)state;
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 63, SIZE_MAX / 2 + 1, SIZE_MAX / 2,
                                   SIZE_MAX / 4};
    tp_mem_stats before = tp_mem();
    tp_arena arena = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_null(tp_alloc(sizes[i]));
        assert_message("E_NOMEM");
        assert_null(tp_alloc_zero(sizes[i]));
        assert_null(tp_block_alloc(sizes[i]));
        assert_null(tp_arena_alloc(&arena, sizes[i]));
        assert_message("E_NOMEM");
    }
    tp_arena_free(&arena);
    assert_int_equal(tp_mem().live_bytes, before.live_bytes);
    assert_int_equal(tp_mem().peak_bytes, before.peak_bytes);
}

/* --- everything that makes a shape -------------------------------------------------------------- */

/* x is f32 [0, BIG] or [1, 1], as asked for; i is an index of its shape. */
typedef tp_var (*maker)(tp_tape *t, tp_var x, tp_var i);

static tp_var reshape(tp_tape *t, tp_var x, tp_var i)
{
    (void)t, (void)i;
    return tp_reshape(x, TP_SHAPE(0, 2 * BIG));
}
static tp_var expand(tp_tape *t, tp_var x, tp_var i)
{
    (void)t, (void)i;
    return tp_expand(x, TP_SHAPE(INT64_MAX, INT64_MAX));
}
static tp_var expand_empty(tp_tape *t, tp_var x, tp_var i)
{
    (void)t, (void)i;
    return tp_expand(x, TP_SHAPE(4, 0, BIG));
}
static tp_var full(tp_tape *t, tp_var x, tp_var i)
{
    (void)x, (void)i;
    return tp_full(t, TP_F32, TP_SHAPE(0, INT64_MAX), 1);
}
static tp_var normal(tp_tape *t, tp_var x, tp_var i)
{
    (void)x, (void)i;
    return tp_noise_normal(t, TP_F32, TP_SHAPE(HALF, HALF, 4), (tp_rng_key){0});
}
static tp_var permutation(tp_tape *t, tp_var x, tp_var i)
{
    (void)x, (void)i;
    return tp_noise_permutation(t, TP_SHAPE(0, BIG), 1, (tp_rng_key){0});
}
static tp_var concat(tp_tape *t, tp_var x, tp_var i)
{
    (void)t, (void)i;
    return tp_concat((tp_var[]){x, x, x, x, x, x, x, x, x}, 9, 1);
}
static tp_var stack(tp_tape *t, tp_var x, tp_var i)
{
    (void)t, (void)i;
    return tp_stack((tp_var[]){x, x}, 2, 0);
}
static tp_var pad(tp_tape *t, tp_var x, tp_var i)
{
    (void)t, (void)i;
    return tp_pad(x, 0, 0, 1, INT64_MAX);
}
static tp_var pad_constant(tp_tape *t, tp_var x, tp_var i)
{
    (void)t, (void)i;
    return tp_pad_constant(x, 1, INT64_MAX, INT64_MAX, 0);
}
static tp_var pad_constant_some(tp_tape *t, tp_var x, tp_var i)
{
    (void)t, (void)i;
    return tp_pad_constant(x, 0, BIG, BIG, 0);
}
static tp_var tile(tp_tape *t, tp_var x, tp_var i)
{
    (void)t, (void)i;
    return tp_tile(x, 1, INT64_MAX);
}
static tp_var tile_empty(tp_tape *t, tp_var x, tp_var i)
{
    (void)t, (void)i;
    return tp_tile(x, 0, INT64_MAX);
}
static tp_var repeat(tp_tape *t, tp_var x, tp_var i)
{
    (void)t, (void)i;
    return tp_repeat(x, 1, 8);
}
static tp_var one_hot(tp_tape *t, tp_var x, tp_var i)
{
    (void)t, (void)x;
    return tp_one_hot(i, INT64_MAX, TP_F32);
}
static tp_var scatter_add(tp_tape *t, tp_var x, tp_var i)
{
    (void)t;
    return tp_scatter_add(x, i, 0, INT64_MAX);
}
static tp_var diag(tp_tape *t, tp_var x, tp_var i)
{
    (void)t, (void)i;
    return tp_diag(x); /* [0, 2^60, 2^60] */
}
static tp_var distance(tp_tape *t, tp_var x, tp_var i)
{
    (void)t, (void)i;
    tp_var y = tp_reshape(x, TP_SHAPE(BIG, 0));
    return tp_squared_distance(y, y); /* [2^60, 2^60] of sums of nothing */
}
static tp_var product(tp_tape *t, tp_var x, tp_var i)
{
    (void)t, (void)i;
    return tp_matmul(tp_transpose(x), x); /* [2^60, 2^60] */
}
static tp_var outer(tp_tape *t, tp_var x, tp_var i)
{
    (void)t, (void)i;
    return tp_add(x, tp_reshape(x, TP_SHAPE(BIG, 0, 1)));
}
static tp_var linear(tp_tape *t, tp_var x, tp_var i)
{
    (void)i;
    tp_var y = tp_reshape(x, TP_SHAPE(BIG, 0));
    return tp_linear(y, y, tp_expand(tp_full(t, TP_F32, TP_SHAPE(1), 0), TP_SHAPE(BIG)));
}
static tp_var gather(tp_tape *t, tp_var x, tp_var i)
{
    (void)t, (void)i;
    return tp_index_select(x, tp_reshape(i, TP_SHAPE(-1)), 0);
}
static tp_var embedding(tp_tape *t, tp_var x, tp_var i)
{
    (void)t;
    return tp_embedding(x, i);
}
static tp_var diagonal(tp_tape *t, tp_var x, tp_var i)
{
    (void)t, (void)i;
    return tp_diagonal(x, INT32_MIN);
}

/* May: the results that are nothing need not be refused. */
static const struct {
    const char *name;
    maker make;
    bool may;
} makers[] = {
    {"reshape", reshape, false},
    {"expand", expand, false},
    {"expand nothing", expand_empty, false},
    {"full", full, false},
    {"noise_normal", normal, false},
    {"noise_permutation", permutation, false},
    {"concat", concat, false},
    {"stack", stack, false},
    {"pad", pad, false},
    {"pad_constant", pad_constant, false},
    {"pad_constant with fewer", pad_constant_some, false},
    {"tile", tile, false},
    {"tile nothing", tile_empty, true},
    {"repeat", repeat, false},
    {"one_hot", one_hot, false},
    {"scatter_add", scatter_add, false},
    {"diag", diag, false},
    {"squared_distance", distance, false},
    {"matmul", product, false},
    {"broadcasting", outer, false},
    {"linear", linear, false},
    {"index_select", gather, true},
    {"embedding", embedding, true},
    {"diagonal", diagonal, true},
};

static void run_makers(tp_shape shape, bool all_refuse)
{
    tp_tape *t;
    tp_tensor x, i;
    int failed = 0;
    assert_ok(tp_tensor_new(&x, TP_F32, shape));
    shape.dim[1] = shape.dim[1] > BIG / 2 ? BIG / 2 : shape.dim[1];
    assert_ok(tp_tensor_new(&i, TP_I64, shape));
    assert_ok(tp_tape_new(&t));
    for (size_t k = 0; k < sizeof makers / sizeof *makers; k++) {
        tp_tape_reset(t);
        tp_var y = makers[k].make(t, tp_leaf(t, &x), tp_constant(t, &i));
        tp_status s = tp_var_status(y);
        bool good = s == TP_ESHAPE || s == TP_ENOMEM || s == TP_EVALUE || s == TP_EDTYPE;
        if (s == TP_OK) /* then what came out keeps to the rule, and can be worked with */
            good = (makers[k].may || !all_refuse) &&
                   tp_shape_check(tp_shape_of(y), tp_dtype_size(tp_dtype_of(y))) == TP_OK &&
                   tp_numel(tp_value(y)) <= 9 &&
                   tp_backward(tp_sum(tp_square(y), TP_ALL_AXES, false)) == TP_OK;
        if (!good)
            print_error("%s: %s\n", makers[k].name, s == TP_OK ? "accepted" : tp_last_error());
        failed += !good;
    }
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_tensor_free(&i);
    assert_int_equal(failed, 0);
}

static void test_nothing_of_great_size(void **state)
{
    (void)state;
    run_makers(TP_SHAPE(0, BIG), true);
}

static void test_one_element(void **state)
{
    (void)state;
    run_makers(TP_SHAPE(1, 1), false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_nothing_of_great_size),
        cmocka_unit_test(test_one_element),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
