/* test_compose_refusals.c: a composition that refuses its arguments says so as an op does: path, its own name,
 * what is wrong, and which vars it was given; no op that the caller never called is blamed. The refusals
 * themselves stand with the samples, in tests/support/compositions_*.c. */
#include "autograd/compose.h"
#include "tests/support/check.h"

#include <string.h>

static tp_tape *t;
static tp_tensor data, integers; /* f64[2] and i64[2] */

#define assert_refused(call, status, part)                                                         \
    do {                                                                                           \
        tp_tape_reset(t);                                                                          \
        assert_int_equal((call).id, 0);                                                            \
        assert_int_equal(tp_tape_status(t), status);                                               \
        if (strstr(tp_tape_message(t), part) == NULL)                                              \
            fail_msg("'%s' is not in:\n%s", part, tp_tape_message(t));                             \
    } while (0)

static tp_var named(void)
{
    tp_var h = tp_leaf(t, &data);
    return tp_name(h, "h", "model.c", 12);
}

static void test_path_name_and_origin(void **state)
{
    (void)state;
    tp_tape_reset(t);
    tp_scope_begin(t, "encoder");
    tp_var h = named();
    tp_mse(h, tp_unsqueeze(h, 1));
    tp_scope_end(t);
    assert_string_equal(tp_tape_message(t),
                        "E_SHAPE encoder: tp_mse: shapes [2] and [2,1] differ: a loss does not "
                        "broadcast\n"
                        "  input 0: f64[2]         leaf 'h'#1 (model.c:12)\n"
                        "  input 1: f64[2,1]       encoder: reshape#2");
    assert_string_equal(tp_last_error(), tp_tape_message(t));
}

static void test_both_inputs_are_shown(void **state)
{
    (void)state;
    static const char one[] = "\n  input 0: f64[2]         leaf 'h'#1 (model.c:12)";
    assert_refused(tp_gumbel_softmax(named(), 0, true, (tp_rng_key){0}), TP_EARG, one);
    assert_refused(tp_squeeze(named(), 0), TP_ESHAPE, one);
    assert_refused(tp_squared_distance(named(), named()), TP_ESHAPE, "\n  input 1: f64[2] ");
    assert_refused(tp_cross_entropy(named(), tp_constant(t, &integers)), TP_ESHAPE,
                   "\n  input 1: i64[2] ");
    assert_refused(tp_embedding(named(), tp_constant(t, &integers)), TP_ESHAPE,
                   "\n  input 1: i64[2] ");
}

/* The constant that these need cannot be made of integers, but the integers are what is wrong. */
static void test_integers_are_blamed(void **state)
{
    (void)state;
    tp_rng_key key = {.seed = 1};
#define I tp_constant(t, &integers)
#define NEEDED ": the input is i64: f32 or f64 needed\n  input 0: i64[2]         constant #1"
    assert_refused(tp_reciprocal(I), TP_EDTYPE, "E_DTYPE tp_reciprocal" NEEDED);
    assert_refused(tp_pow_scalar(I, 2), TP_EDTYPE, "E_DTYPE tp_pow_scalar" NEEDED);
    assert_refused(tp_ones_like(I), TP_EDTYPE, "E_DTYPE tp_ones_like" NEEDED);
    assert_refused(tp_sign(I), TP_EDTYPE, "E_DTYPE tp_sign" NEEDED);
    assert_refused(tp_logical_not(I), TP_EDTYPE, "E_DTYPE tp_logical_not" NEEDED);
    assert_refused(tp_norm(I, TP_ALL_AXES, false), TP_EDTYPE, "E_DTYPE tp_norm" NEEDED);
    assert_refused(tp_pad_constant(I, 0, 1, 1, 0), TP_EDTYPE, "E_DTYPE tp_pad_constant" NEEDED);
    assert_refused(tp_gumbel_softmax(I, 1, true, key), TP_EDTYPE,
                   "E_DTYPE tp_gumbel_softmax" NEEDED);
    assert_refused(tp_noise_categorical(I, key), TP_EDTYPE, "E_DTYPE tp_noise_categorical" NEEDED);
}

/* A stack of scalars of which one is no var: the failure still reaches the tape of the others. */
static void test_stack_of_an_empty_var(void **state)
{
    (void)state;
    assert_refused(tp_stack((tp_var[]){{0}, named()}, 2, 1), TP_ETAPE, "input 0 is an empty var");
    assert_refused(tp_stack((tp_var[]){named(), named()}, 2, 3), TP_ESHAPE,
                   "E_SHAPE tp_stack: axis 3 is out of range for a result of 2 dimensions");
}

static int set_up(void **state)
{
    (void)state;
    bool ok = tp_tape_new(&t) == TP_OK;
    ok = ok && tp_tensor_new(&data, TP_F64, TP_SHAPE(2)) == TP_OK;
    return ok && tp_tensor_new(&integers, TP_I64, TP_SHAPE(2)) == TP_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tp_tape_free(t);
    tp_tensor_free(&data);
    tp_tensor_free(&integers);
    return 0;
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_path_name_and_origin),
        T(test_both_inputs_are_shown),
        T(test_integers_are_blamed),
        T(test_stack_of_an_empty_var),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
