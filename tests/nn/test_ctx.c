/* test_ctx.c: what layers and models ask of a context: freezing, the numbers and the labels of a batch, the step.
 *
 * Streams of noise are tests/dist/test_shapes.c. Read next: nn/ctx.h.
 */
#include "tests/nn/fixture.h"

#include <string.h>

#include "autograd/sweep.h"
#include "nn/data.h"
#include "nn/layers.h"
#include "nn/train.h"

/* --- freezing ------------------------------------------------------------------------------------------- */

/* Which of the parameters of a two-layer network, and its input, get a gradient: bit 0 … 3, and 4. */
static int reached(int freeze, int thaw)
{
    fixture *f = fixture_new();
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_mlp mlp;
    int got = 0;
    assert_ok(tp_nn_mlp_init(&mlp, &ps, "net", (int64_t[]){3, 4, 2}, 2, TP_TANH, TP_IDENTITY));
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var x = tp_leaf(f->tape, fixture_draw(f, TP_F64, TP_SHAPE(5, 3), 1, 1, 0));
    for (int i = 0; i < freeze; i++)
        tp_ctx_freeze(&c);
    for (int i = 0; i < thaw; i++)
        tp_ctx_thaw(&c);
    tp_var y = tp_sum(tp_nn_mlp_apply(&mlp, &c, x), TP_ALL_AXES, false);
    assert_ok(tp_backward(y));
    assert_int_equal(ps.n, 4);
    for (int i = 0; i < 4; i++)
        got |= (tp_parameter_grad(ps.item[i]) != NULL) << i;
    got |= (tp_leaf_grad(x) != NULL) << 4;
    tp_params_free(&ps);
    fixture_free(f);
    return got;
}

static void test_freeze(void **state)
{
    (void)state;
    enum { INPUT = 16, ALL = 31 };
    assert_int_equal(reached(0, 0), ALL);
    assert_int_equal(reached(1, 0), INPUT);
    assert_int_equal(reached(1, 1), ALL);
    assert_int_equal(reached(2, 1), INPUT); /* they nest */
    assert_int_equal(reached(2, 2), ALL);
    assert_int_equal(reached(0, 3), ALL);
    assert_int_equal(reached(1, 3), ALL);
}

/* Thawing what is not frozen is no credit for later. */
static void test_thaw_too_often(void **state)
{
    (void)state;
    tp_ctx c = {0};
    tp_ctx_thaw(&c);
    tp_ctx_freeze(&c);
    assert_int_equal(c.frozen, 1);
}

/* Values are the same, frozen or not; and one network may be used both ways on one tape. */
static void test_frozen_values(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_linear l;
    assert_ok(tp_nn_linear_init(&l, &ps, "l", 3, 2));
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var x = tp_leaf(f->tape, fixture_draw(f, TP_F64, TP_SHAPE(5, 3), 1, 1, 0));
    tp_var learns = tp_nn_linear_apply(&l, &c, x);
    tp_ctx_freeze(&c);
    tp_var frozen = tp_nn_linear_apply(&l, &c, x);
    tp_ctx_thaw(&c);
    assert_true(same_values(tp_value(learns), tp_value(frozen)));
    tp_var both =
        tp_sub(tp_scale(learns, 2), tp_scale(frozen, 5)); /* −3 times x's way, 2 times l's */
    assert_ok(tp_backward(tp_sum(both, TP_ALL_AXES, false)));
    for (int o = 0; o < 2; o++)
        assert_true(tp_flat(tp_parameter_grad(&l.bias), o) == 10);
    for (int i = 0; i < 3; i++) {
        double w = tp_flat(&l.weight.value, i) + tp_flat(&l.weight.value, 3 + i);
        assert_close(tp_flat(tp_leaf_grad(x), i), -3 * w, 1e-15, 1e-14);
    }
    tp_params_free(&ps);
    fixture_free(f);
}

/* --- numbers and labels ---------------------------------------------------------------------------------- */

static void test_missing(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_tensor empty = {0};
    for (int i = 0; i < 4; i++) {
        tp_tape_reset(f->tape);
        tp_ctx c = tp_ctx_train(f->tape, 1, 0);
        if (i % 2 == 1) /* the data have none */
            c.index = c.labels = &empty;
        tp_var v = i < 2 ? tp_ctx_index(&c) : tp_ctx_labels(&c);
        assert_status(tp_var_status(v), TP_EARG);
        assert_non_null(strstr(tp_tape_message(f->tape),
                               i < 2 ? "the numbers of the batch are needed, and are not there"
                                     : "the labels of the batch are needed, and are not there"));
    }
    fixture_free(f);
}

static void test_step(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    assert_true(tp_ctx_train(f->tape, 1, 17).step == 17);
    assert_true(tp_ctx_eval(f->tape, 1, 17).step == UINT64_MAX);
    assert_close(tp_ramp(tp_ctx_eval(f->tape, 1, 0).step, UINT64_MAX, 1, 3), 3, 0, 0);
    fixture_free(f);
}

/* --- in batches, and from the trainer -------------------------------------------------------------------- */

enum { N = 11, BATCH = 4 };

/* Example i holds i and has label 3i + 2. */
static tp_dataset numbered(bool labelled)
{
    tp_dataset d = {0};
    assert_ok(tp_tensor_new(&d.x, TP_F64, TP_SHAPE(N, 1)));
    if (labelled)
        assert_ok(tp_tensor_new(&d.labels, TP_U8, TP_SHAPE(N)));
    for (int i = 0; i < N; i++) {
        assert_ok(tp_set_flat(&d.x, i, i));
        if (labelled)
            assert_ok(tp_set_flat(&d.labels, i, 3 * i + 2));
    }
    return d;
}

/* Labels follow the shuffle, and the last batch has as many as it has examples. */
static void test_batches(void **state)
{
    (void)state;
    tp_dataset d = numbered(true), bare = numbered(false);
    tp_batches b, without;
    tp_batch batch;
    assert_ok(tp_batches_init(&b, &d, BATCH, TP_F64));
    assert_ok(tp_batches_init(&without, &bare, BATCH, TP_F64));
    for (int epoch = 0; epoch < 3; epoch++) {
        bool got = true;
        int64_t seen = 0, moved = 0;
        if (epoch > 0)
            tp_batches_shuffle(&b, 5, (uint64_t)epoch);
        else
            tp_batches_rewind(&b);
        while (assert_ok(tp_batches_next(&b, &batch, &got)), got) {
            assert_int_equal(batch.labels.dtype, TP_I64);
            assert_true(tp_shape_equal(batch.labels.shape, TP_SHAPE(batch.n)));
            for (int64_t i = 0; i < batch.n; i++) {
                double x = tp_flat(&batch.x, i);
                assert_true(tp_flat(&batch.labels, i) == 3 * x + 2);
                assert_true(tp_flat(&batch.index, i) == x);
                moved += x != (double)(seen + i);
            }
            seen += batch.n;
        }
        assert_int_equal(seen, N);
        assert_true((moved > 0) == (epoch > 0));
        bool any;
        tp_batches_rewind(&without);
        assert_ok(tp_batches_next(&without, &batch, &any));
        assert_null(batch.labels.storage);
    }
    tp_batches_free(&b);
    tp_batches_free(&without);
    tp_dataset_free(&d);
    tp_dataset_free(&bare);
}

typedef struct watcher {
    tp_params ps;
    tp_parameter p;
    int64_t seen;
    bool eval;
} watcher;

static tp_objective watch(void *model, tp_ctx *c, tp_var x)
{
    watcher *w = model;
    const tp_tensor *index = tp_value(tp_ctx_index(c)), *labels = tp_value(tp_ctx_labels(c));
    int64_t n = tp_shape_of(x).dim[0];
    assert_non_null(index);
    assert_non_null(labels);
    assert_true(tp_shape_equal(index->shape, TP_SHAPE(n)));
    assert_true(tp_shape_equal(labels->shape, TP_SHAPE(n)));
    assert_true(index->dtype == TP_I64 && labels->dtype == TP_I64);
    for (int64_t i = 0; i < n; i++) {
        double value = tp_flat(tp_value(x), i);
        assert_true(tp_flat(index, i) == value && tp_flat(labels, i) == 3 * value + 2);
        assert_true(!w->eval || value == (double)(w->seen + i)); /* stored order */
    }
    w->seen += n;
    tp_var loss = tp_mean(tp_square(tp_sub(x, tp_params_var(c, &w->p))), TP_ALL_AXES, false);
    return tp_objective_of(1, (tp_term[]){{"square", loss, 1}});
}

static void test_trainer(void **state)
{
    (void)state;
    tp_dataset d = numbered(true);
    tp_batches b;
    tp_optimizer o;
    tp_stats stats;
    watcher w = {.ps = tp_params_make(TP_F64, 1)};
    assert_ok(tp_params_add(&w.ps, &w.p, "p", TP_SHAPE(1)));
    assert_ok(tp_adam_init(&o, &w.ps, tp_adam_defaults()));
    assert_ok(tp_batches_init(&b, &d, BATCH, TP_F64));
    tp_trainer t = {.loss = watch, .model = &w, .optimizer = &o, .seed = 1};
    assert_ok(tp_tape_new(&t.tape));
    for (uint64_t e = 0; e < 2; e++)
        assert_ok(tp_train_epoch(&t, &b, e, &stats));
    assert_int_equal(w.seen, 2 * N);
    w.eval = true;
    w.seen = 0;
    assert_ok(tp_evaluate(&t, &b, &stats));
    assert_int_equal(w.seen, N);
    tp_tape_free(t.tape);
    tp_batches_free(&b);
    tp_optimizer_free(&o);
    tp_params_free(&w.ps);
    tp_dataset_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_freeze),        cmocka_unit_test(test_thaw_too_often),
        cmocka_unit_test(test_frozen_values), cmocka_unit_test(test_missing),
        cmocka_unit_test(test_step),          cmocka_unit_test(test_batches),
        cmocka_unit_test(test_trainer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
