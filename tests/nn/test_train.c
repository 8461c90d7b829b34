/* test_train.c: the training loop: it reaches the known optimum, and stops with the last good parameters when numbers
 * go wrong.
 *
 * Losses and steps against PyTorch are tests/oracle. Read next: test_train_vae.c.
 */
#include "tests/support/check.h"

#include <math.h>

#include "autograd/compose.h"
#include "models/model.h"

/* --- linear regression -------------------------------------------------------------------------- */

/* Rows [x₁ x₂ y]; the loss is the mean squared error of a linear layer. */
enum { ROWS = 24, FEATURES = 2, WIDTH = 3 };

typedef enum bad_kind { BAD_LOSS, BAD_GRADIENT, BAD_SHAPE } bad_kind;

typedef struct regression {
    tp_params ps;
    tp_nn_linear layer;
    tp_dataset data;
    tp_batches batches;
    tp_optimizer optimizer;
    tp_trainer trainer;
    uint64_t bad_step; /* the loss of this step (from 1) is made bad, if set, */
    bad_kind how;
    uint64_t calls;       /* of the loss function */
    tp_ctx seen[32];      /* what its last calls were given, */
    bool needed_grad[32]; /* and whether they recorded for a backward */
} regression;

static tp_var spoil(const regression *r, tp_var total)
{
    if (r->how == BAD_LOSS)
        return tp_scale(total, INFINITY);
    if (r->how == BAD_SHAPE)
        return tp_add(tp_full(total.tape, TP_F64, TP_SHAPE(2), 0),
                      tp_full(total.tape, TP_F64, TP_SHAPE(3), 0));
    return tp_add(total, tp_sqrt(tp_scale(total, 0))); /* finite, but its slope is not */
}

static tp_objective squared_error(void *model, tp_ctx *c, tp_var x)
{
    regression *r = model;
    tp_var features = tp_slice(x, 1, 0, FEATURES, 1), y = tp_slice(x, 1, FEATURES, WIDTH, 1);
    tp_var error = tp_square(tp_sub(tp_nn_linear_apply(&r->layer, c, features), y));
    tp_var total = tp_mean(error, TP_ALL_AXES, false);
    r->seen[r->calls % 32] = *c;
    r->needed_grad[r->calls % 32] = tp_needs_grad(total);
    if (++r->calls == r->bad_step)
        total = spoil(r, total);
    return (tp_objective){.total = total, .terms = 1, .term = {{"squared", total, 1}}};
}

static void start(regression *r, int64_t batch_size)
{
    *r = (regression){.ps = tp_params_make(TP_F64, 1)};
    assert_ok(tp_nn_linear_init(&r->layer, &r->ps, "fc", FEATURES, 1));
    assert_ok(tp_tensor_new(&r->data.x, TP_F64, TP_SHAPE(ROWS, WIDTH)));
    assert_ok(tp_random_normal(&r->data.x, (tp_rng_key){3, 0, 0}));
    assert_ok(tp_batches_init(&r->batches, &r->data, batch_size, TP_F64));
    assert_ok(tp_sgd_init(&r->optimizer, &r->ps, (tp_sgd_opts){.lr = 0.1, .momentum = 0.5}));
    r->trainer =
        (tp_trainer){.loss = squared_error, .model = r, .optimizer = &r->optimizer, .seed = 9};
    assert_ok(tp_tape_new(&r->trainer.tape));
}

static void finish(regression *r)
{
    tp_tape_free(r->trainer.tape);
    tp_optimizer_free(&r->optimizer);
    tp_batches_free(&r->batches);
    tp_dataset_free(&r->data);
    tp_params_free(&r->ps);
}

/* Least squares by the normal equations: two slopes and the intercept. */
static void closed_form(const tp_tensor *data, double beta[3])
{
    double a[3][4] = {{0}};
    for (int64_t i = 0; i < ROWS; i++) {
        double row[4] = {tp_flat(data, 3 * i), tp_flat(data, 3 * i + 1), 1,
                         tp_flat(data, 3 * i + 2)};
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 4; k++)
                a[j][k] += row[j] * row[k];
    }
    for (int p = 0; p < 3; p++)
        for (int j = 0; j < 3; j++) {
            double factor = j == p ? 0 : a[j][p] / a[p][p];
            for (int k = p; k < 4; k++)
                a[j][k] -= factor * a[p][k];
        }
    for (int p = 0; p < 3; p++)
        beta[p] = a[p][3] / a[p][p];
}

static void test_regression(void **state)
{
    (void)state;
    regression r;
    tp_stats stats, at_end;
    start(&r, ROWS);
    double beta[3], loss = 0;
    for (uint64_t epoch = 0; epoch < 500; epoch++) {
        assert_ok(tp_train_epoch(&r.trainer, &r.batches, epoch, &stats));
        loss = stats.loss;
    }
    closed_form(&r.data.x, beta);
    assert_tensor_close(&r.layer.weight.value, beta, 2, 1e-10, 0);
    assert_tensor_close(&r.layer.bias.value, beta + 2, 1, 1e-10, 0);
    assert_ok(tp_evaluate(&r.trainer, &r.batches, &at_end));
    assert_close(at_end.loss, loss, 0, 1e-10);
    assert_int_equal(r.trainer.step, 500);
    assert_int_equal(r.optimizer.step, 500);
    finish(&r);
}

/* Epoch means are weighted by samples, though the last batch is smaller: with lr 0 every cut agrees. */
static void test_stats(void **state)
{
    (void)state;
    double want = 0;
    const int64_t sizes[] = {ROWS, 1, 5, 7, 23};
    for (int i = 0; i < 5; i++) {
        regression r;
        tp_stats train, eval;
        start(&r, sizes[i]);
        r.optimizer.lr = 0;
        assert_ok(tp_train_epoch(&r.trainer, &r.batches, 0, &train));
        assert_ok(tp_evaluate(&r.trainer, &r.batches, &eval));
        want = i == 0 ? train.loss : want;
        assert_close(train.loss, want, 0, 1e-13);
        assert_close(eval.loss, want, 0, 1e-13);
        assert_int_equal(train.samples, ROWS);
        assert_int_equal(train.batches, (ROWS + sizes[i] - 1) / sizes[i]);
        assert_int_equal(train.terms, 1);
        assert_string_equal(train.name[0], "squared");
        assert_close(train.term[0], train.loss, 0, 1e-13);
        finish(&r);
    }
}

static bool same_key(tp_rng_key a, tp_rng_key b)
{
    return a.seed == b.seed && a.step == b.step && a.draw == b.draw;
}

/* Training draws fresh noise at every step, across epochs. Evaluation is in eval mode, records nothing for a
 * backward, and gives each batch its own noise, the same at every evaluation. */
static void test_contexts(void **state)
{
    (void)state;
    regression r;
    tp_stats stats;
    start(&r, 4); /* six batches */
    for (uint64_t epoch = 0; epoch < 2; epoch++) {
        assert_ok(tp_train_epoch(&r.trainer, &r.batches, epoch, &stats));
        assert_ok(tp_evaluate(&r.trainer, &r.batches, &stats));
    }
    assert_int_equal(r.calls, 24);
    for (uint64_t i = 0; i < 24; i++) {
        bool training = i / 6 % 2 == 0;
        uint64_t number = training ? i % 6 + i / 12 * 6 : i % 6; /* of the step, of the batch */
        tp_rng_key key = tp_stream_key(9, training ? TP_STREAM_TRAIN : TP_STREAM_EVAL, number);
        assert_true(r.seen[i].mode == (training ? TP_TRAIN : TP_EVAL));
        assert_true(r.needed_grad[i] == training);
        assert_true(same_key(r.seen[i].key, key));
    }
    finish(&r);
}

static bool stop_at_three(void *user, const tp_stats *so_far)
{
    int *calls = user;
    assert_true(so_far->batches > 0);
    return ++*calls < 3;
}

static void test_on_batch(void **state)
{
    (void)state;
    regression r;
    tp_stats stats;
    int calls = 0;
    start(&r, 4);
    r.trainer.on_batch = stop_at_three;
    r.trainer.user = &calls;
    assert_ok(tp_train_epoch(&r.trainer, &r.batches, 0, &stats));
    assert_int_equal(calls, 3);
    assert_int_equal(stats.samples, 12);
    assert_int_equal(r.trainer.step, 3);
    finish(&r);
}

static bool evaluate_the_same(void *user, const tp_stats *so_far)
{
    regression *r = user;
    tp_stats stats;
    if (so_far->batches == 2)
        assert_ok(tp_evaluate(&r->trainer, &r->batches, &stats));
    return true;
}

/* The rest of an epoch is not lost in silence. */
static void test_batches_moved(void **state)
{
    (void)state;
    regression r;
    tp_stats stats;
    start(&r, 4);
    r.trainer.on_batch = evaluate_the_same;
    r.trainer.user = &r;
    assert_status(tp_train_epoch(&r.trainer, &r.batches, 0, &stats), TP_EARG);
    assert_message("epoch 0 ends behind 8 of 24 examples: on_batch has moved the batches");
    assert_int_equal(r.trainer.epoch, 0);
    assert_int_equal(stats.samples, 8);
    finish(&r);
}

static bool same_params(const tp_params *a, const tp_params *b)
{
    bool same = a->n == b->n;
    for (int i = 0; i < a->n && same; i++)
        same = equal_bits(&a->item[i]->value, &b->item[i]->value);
    return same;
}

/* --- when numbers go wrong ---------------------------------------------------------------------- */

/* Two steps are good, the third fails: the message says so and the parameters are those after the second. */
static void test_bad_step(void **state)
{
    (void)state;
    const struct {
        bad_kind how;
        tp_status status;
        const char *says;
    } rows[] = {
        {BAD_LOSS, TP_ENONFINITE, "training step 3: the loss is inf: affine#10: gave inf\n"},
        {BAD_GRADIENT, TP_ENONFINITE,
         "training step 3: the gradient of parameter 'fc.weight' is not finite; the trap (.trap, "
         "vae train --trap) names the operation"},
        {BAD_SHAPE, TP_ESHAPE, "training step 3: "},
        {BAD_LOSS, TP_ENONFINITE, "training step 3: affine#10: gave inf\n"},
        {BAD_GRADIENT, TP_ENONFINITE,
         "training step 3: in the rule of sqrt#11: div#15: gave inf\n  input 0: f64[]          full#"},
        {BAD_SHAPE, TP_ESHAPE, "training step 3: "},
    };
    for (int i = 0; i < 6; i++) {
        regression good, bad;
        tp_stats stats;
        int calls = 1; /* as if one batch were done: stops after two */
        start(&good, 4);
        start(&bad, 4);
        good.trainer.on_batch = stop_at_three;
        good.trainer.user = &calls;
        bad.bad_step = 3;
        bad.how = rows[i].how;
        bad.trainer.trap = i >= 3;
        assert_ok(tp_train_epoch(&good.trainer, &good.batches, 0, &stats));
        assert_status(tp_train_epoch(&bad.trainer, &bad.batches, 0, &stats), rows[i].status);
        assert_message(rows[i].says);
        assert_int_equal(bad.trainer.step, 2);
        assert_int_equal(bad.optimizer.step, 2);
        assert_true(same_params(&good.ps, &bad.ps));
        bad.bad_step = 0; /* the cause removed, it goes on */
        assert_ok(tp_train_epoch(&bad.trainer, &bad.batches, 1, &stats));
        finish(&good);
        finish(&bad);
    }
}

/* A data set with a NaN: without the trap and with it the message says that it came in with the data. */
/* What is recorded to be looked at is the step that comes next, and looking at it changes nothing. */
static void test_record(void **state)
{
    (void)state;
    regression r, other;
    tp_stats stats;
    tp_batch batch;
    bool got;
    start(&r, ROWS);
    start(&other, ROWS);
    tp_batches_shuffle(&r.batches, r.trainer.seed, 0);
    assert_ok(tp_batches_next(&r.batches, &batch, &got));
    tp_objective o = tp_train_record(&r.trainer, &batch);
    assert_ok(tp_var_status(o.total));
    assert_string_equal(tp_name_of((tp_var){o.total.tape, 1, o.total.epoch}), "x");
    double loss = tp_item_of(o.total);
    o = tp_train_record(&r.trainer, &batch);
    assert_close(tp_item_of(o.total), loss, 0, 0);
    assert_int_equal(r.trainer.step, 0);
    assert_ok(tp_train_epoch(&r.trainer, &r.batches, 0, &stats));
    assert_close(stats.loss, loss, 0, 0);
    assert_ok(tp_train_epoch(&other.trainer, &other.batches, 0, &stats));
    for (int i = 0; i < r.ps.n; i++)
        for (int64_t k = 0; k < tp_numel(&r.ps.item[i]->value); k++)
            assert_close(tp_flat(&r.ps.item[i]->value, k), tp_flat(&other.ps.item[i]->value, k), 0,
                         0);
    finish(&r);
    finish(&other);
}

static void test_poisoned_data(void **state)
{
    (void)state;
    for (int trap = 0; trap < 2; trap++) {
        regression r;
        tp_stats stats;
        start(&r, ROWS);
        r.trainer.trap = trap;
        assert_ok(tp_set_flat(&r.data.x, 4, NAN));
        assert_status(tp_train_epoch(&r.trainer, &r.batches, 0, &stats), TP_ENONFINITE);
        assert_message(trap ? "training step 1: linear#6: gave 1 NaN of 24 elements"
                            : "training step 1: the loss is nan: constant 'x'#1: holds 1 NaN of 72 "
                              "elements");
        if (trap)
            assert_message("it goes back to: f64[24,3]      constant 'x'#1: from ");
        assert_status(tp_evaluate(&r.trainer, &r.batches, &stats), TP_ENONFINITE);
        assert_message(trap ? "linear#6: gave 1 NaN"
                            : "the loss is nan: constant 'x'#1: holds 1 NaN");
        assert_true(tp_tape_trap(r.trainer.tape, false) == (trap == 1));
        finish(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_regression),    cmocka_unit_test(test_stats),
        cmocka_unit_test(test_on_batch),      cmocka_unit_test(test_contexts),
        cmocka_unit_test(test_bad_step),      cmocka_unit_test(test_poisoned_data),
        cmocka_unit_test(test_record),

        cmocka_unit_test(test_batches_moved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
