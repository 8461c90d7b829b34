/* test_quantise.c: what vector quantisation adds to a loss: by hand, who gets a gradient of it, what it refuses.
 *
 * Read next: nn/objective/quantise.c, tests/models/test_vq_vae.c.
 */
#include "tests/nn/fixture.h"

#include <math.h>
#include <string.h>

#include "autograd/sweep.h"
#include "nn/objective.h"

enum { B = 2, VECTORS = 2, WIDE = 3 };

static const double z[B * VECTORS * WIDE] = {1, 2, 3, 0, -1, 0.5, 2, 2, 2, -3, 0, 1};
static const double e[B * VECTORS * WIDE] = {1, 1, 1, 0, 0, 0, 2, 3, 2, -1, 0, 0};
/* 0+1+4 + 0+1+0.25, 0+1+0 + 4+0+1 */
static const double far[B] = {6.25, 6};

/* Sums over all numbers of an example, the mean over the batch; not the mean of all numbers, as "mse" has it: then β would
 * depend on how many latents there are. */
static void test_by_hand(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    static const double logprob[B] = {-10, -7};
    tp_var x = given(f, TP_SHAPE(B, VECTORS, WIDE), z), y = given(f, TP_SHAPE(B, VECTORS, WIDE), e);
    tp_var commitment = tp_commitment(x, y);
    assert_tensor_close(tp_value(commitment), far, B, 0, 1e-15);
    tp_objective o = tp_vq(given(f, TP_SHAPE(B), logprob), commitment, 0.25);
    assert_int_equal(o.terms, 2);
    assert_string_equal(o.term[0].name, "recon");
    assert_string_equal(o.term[1].name, "commitment");
    assert_close(tp_item_of(o.term[0].value), 8.5, 0, 1e-15);
    assert_close(tp_item_of(o.term[1].value), 6.125, 0, 1e-15);
    assert_close(tp_item_of(o.total), 8.5 + 0.25 * 6.125, 0, 1e-15);
    assert_true(fabs(tp_item_of(tp_mse(x, y)) - 6.125) > 1);
    fixture_free(f);
}

/* 2(z − e)/batch to the encoder's output, nothing to the codes, which the squared distance itself would pull: the
 * control. */
static void test_gradient(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_shape s = TP_SHAPE(B, VECTORS, WIDE);
    tp_var x = tp_leaf(f->tape, fixture_tensor(f, TP_F64, s, z));
    tp_var y = tp_leaf(f->tape, fixture_tensor(f, TP_F64, s, e));
    tp_var zero = tp_full(f->tape, TP_F64, TP_SHAPE(B), 0);
    assert_ok(tp_backward(tp_vq(zero, tp_commitment(x, y), 0.5).total));
    assert_null(tp_leaf_grad(y));
    for (int64_t i = 0; i < B * VECTORS * WIDE; i++)
        assert_close(tp_flat(tp_leaf_grad(x), i), 0.5 * 2 * (z[i] - e[i]) / B, 0, 1e-15);
    tp_tape_reset(f->tape);
    y = tp_leaf(f->tape, &f->tensor[1]);
    assert_ok(tp_backward(
        tp_sum(tp_squared_error(tp_constant(f->tape, &f->tensor[0]), y), TP_ALL_AXES, false)));
    assert_non_null(tp_leaf_grad(y));
    fixture_free(f);
}

static void test_refused(void **state)
{
    (void)state;
    fixture *f = fixture_new();
#define V(...) tp_full(f->tape, TP_F64, TP_SHAPE(__VA_ARGS__), 1)
#define REFUSED(expr, message)                                                                     \
    do {                                                                                           \
        tp_tape_reset(f->tape);                                                                    \
        (void)(expr);                                                                              \
        assert_string_equal(tp_tape_message(f->tape), message);                                    \
    } while (0)
    REFUSED(tp_commitment(V(4, 2, 3), V(4, 1, 3)),
            "E_SHAPE objective: the encoder's output has shape [4,2,3], the nearest codes "
            "[4,1,3]: one each needed");
    REFUSED(tp_commitment(V(4, 6), V(4, 6)),
            "E_SHAPE objective: the encoder's output has shape [4,6], but [batch, vectors, width] "
            "is needed");
    REFUSED(tp_vq(V(4), V(4, 2), 1),
            "E_SHAPE objective: the commitment has shape [4,2], but [batch] is needed: sum over "
            "the event first");
    REFUSED(tp_vq(V(4), V(1), 1), "E_SHAPE objective: the log-density has shape [4], the "
                                  "commitment [1]: [batch] of both needed");
    REFUSED(tp_vq(V(4, 3), V(4), 1),
            "E_SHAPE objective: the log-density has shape [4,3], but [batch] is needed: sum over "
            "the event first");
    REFUSED(tp_vq(V(4), V(4), -1), "E_ARG objective: beta is -1: a finite one >= 0 needed");
    REFUSED(tp_vq(V(4), V(4), NAN), "E_ARG objective: beta is nan: a finite one >= 0 needed");
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
