/* test_train.c: the training loop: it reaches the known optimum, allocates nothing per step, gives the same
 * bits on any number of threads, and stops with the last good parameters when numbers go wrong.
 *
 * Losses and steps against PyTorch are tests/oracle. All memory goes through a counting allocator that is
 * installed before anything else. Read next: tests/models/test_vae.c.
 */
#include "tests/support/check.h"

#include <math.h>
#include <stdlib.h>

#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "models/model.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

/* --- the counting allocator --------------------------------------------------------------------- */

static size_t hook_calls;

static void *counting_alloc(void *user, size_t bytes)
{
    (void)user;
    hook_calls++;
    return aligned_alloc(TP_ALIGN, (bytes + TP_ALIGN) / TP_ALIGN * TP_ALIGN);
}

static void counting_free(void *user, void *p, size_t bytes)
{
    (void)user, (void)bytes;
    hook_calls++;
    free(p);
}

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

/* --- a VAE in training -------------------------------------------------------------------------- */

typedef struct session {
    tp_model model;
    tp_dataset data;
    tp_batches batches;
    tp_optimizer optimizer;
    tp_trainer trainer;
} session;

static void open_session(session *s, tp_model_config config, int64_t examples, int64_t batch_size)
{
    *s = (session){0};
    assert_ok(tp_model_init(&s->model, &tp_model_vae, config, TP_F32, 1));
    assert_ok(tp_tensor_new(&s->data.x, TP_U8, TP_SHAPE(examples, config.data_dim)));
    tp_tensor noise;
    assert_ok(tp_tensor_new(&noise, TP_F32, s->data.x.shape));
    assert_ok(tp_random_uniform(&noise, (tp_rng_key){1, 0, 0}));
    unsigned char *to = tp_data_mut(&s->data.x);
    const float *from = tp_data(&noise);
    for (int64_t i = 0; i < tp_numel(&noise); i++)
        to[i] = (unsigned char)(255 * from[i]);
    tp_tensor_free(&noise);
    assert_ok(tp_batches_init(&s->batches, &s->data, batch_size, TP_F32));
    assert_ok(tp_adam_init(&s->optimizer, &s->model.params, tp_adam_defaults()));
    s->trainer = (tp_trainer){
        .loss = tp_model_loss, .model = &s->model, .optimizer = &s->optimizer, .seed = 4};
    assert_ok(tp_tape_new(&s->trainer.tape));
}

static void close_session(session *s)
{
    tp_tape_free(s->trainer.tape);
    tp_optimizer_free(&s->optimizer);
    tp_batches_free(&s->batches);
    tp_dataset_free(&s->data);
    tp_model_free(&s->model);
}

static tp_model_config small(void)
{
    tp_model_config c = tp_model_defaults(&tp_model_vae);
    c.data_dim = 30;
    c.hidden[0] = 20;
    c.latent_dim = 4;
    return c;
}

static void train(session *s, uint64_t first, uint64_t epochs, tp_stats *stats)
{
    for (uint64_t e = first; e < first + epochs; e++)
        assert_ok(tp_train_epoch(&s->trainer, &s->batches, e, stats));
}

/* All parameters and moments, bit for bit. */
static bool same_state(const session *a, const session *b)
{
    bool same = a->optimizer.step == b->optimizer.step && a->trainer.step == b->trainer.step &&
                same_params(&a->model.params, &b->model.params);
    for (int i = 0; i < a->model.params.n; i++) {
        const tp_moments *x = &a->optimizer.moments[i], *y = &b->optimizer.moments[i];
        same = same && equal_bits(&x->first, &y->first) && equal_bits(&x->second, &y->second);
    }
    return same;
}

/* 10 steps per epoch, with the trap off and on; step 10 and step 1000 look alike, and between them nobody asked for memory. Batches
 * of two sizes, so that both have been seen. */
static void test_steady_state(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        session s;
        tp_stats stats;
        assert_ok(tp_set_threads(1 + i % 2));
        open_session(&s, small(), 75, 8);
        s.trainer.trap = i >= 2;
        train(&s, 0, 1, &stats);
        assert_int_equal(s.trainer.step, 10);
        tp_mem_stats at_10 = tp_mem();
        size_t hook_at_10 = hook_calls;
        train(&s, 1, 99, &stats);
        assert_int_equal(s.trainer.step, 1000);
        tp_mem_stats at_1000 = tp_mem();
        assert_int_equal(at_1000.calls, at_10.calls);
        assert_int_equal(hook_calls, hook_at_10);
        assert_int_equal(at_1000.live_bytes, at_10.live_bytes);
        assert_true(hook_at_10 > 0); /* the hook is the one in use */
        close_session(&s);
    }
    assert_ok(tp_set_threads(1));
}

/* Evaluation in between neither: it runs on the same tape. */
static void test_steady_with_evaluation(void **state)
{
    (void)state;
    session s;
    tp_stats stats;
    open_session(&s, small(), 75, 8);
    train(&s, 0, 1, &stats);
    assert_ok(tp_evaluate(&s.trainer, &s.batches, &stats));
    size_t calls = tp_mem().calls;
    for (uint64_t e = 1; e < 5; e++) {
        train(&s, e, 1, &stats);
        assert_ok(tp_evaluate(&s.trainer, &s.batches, &stats));
    }
    assert_int_equal(tp_mem().calls, calls);
    close_session(&s);
}

/* Same seed, same bits, on 1, 2 and 4 threads; the real size, so that every kernel is cut into chunks. */
static void test_threads(void **state)
{
    (void)state;
    const int threads[] = {1, 2, 4};
    session s[3];
    tp_stats stats[3];
    for (int i = 0; i < 3; i++) {
        assert_ok(tp_set_threads(threads[i]));
        open_session(&s[i], tp_model_defaults(&tp_model_vae), 300, 128);
        s[i].trainer.trap = i == 1; /* which only looks */
        train(&s[i], 0, 1, &stats[i]);
    }
    for (int i = 1; i < 3; i++) {
        assert_true(same_state(&s[0], &s[i]));
        assert_true(stats[0].loss == stats[i].loss);
    }
    assert_close(stats[0].loss, 545, 10, 0); /* noise costs about 784·ln 2 nats */
    for (int i = 0; i < 3; i++)
        close_session(&s[i]);
    assert_ok(tp_set_threads(1));
}

static void test_seeds(void **state)
{
    (void)state;
    session a, b, c;
    tp_stats stats;
    open_session(&a, small(), 50, 8);
    open_session(&b, small(), 50, 8);
    open_session(&c, small(), 50, 8);
    c.trainer.seed++;
    train(&a, 0, 3, &stats);
    train(&b, 0, 3, &stats);
    train(&c, 0, 3, &stats);
    assert_true(same_state(&a, &b));
    assert_false(same_state(&a, &c)); /* order and noise differ, the initial values do not */
    close_session(&a);
    close_session(&b);
    close_session(&c);
}

/* Twice the same number to the bit; neither parameters, moments nor the course of training notice. */
static void test_evaluation(void **state)
{
    (void)state;
    session plain, watched;
    tp_stats first, second, stats;
    open_session(&plain, small(), 50, 8);
    open_session(&watched, small(), 50, 8);
    train(&plain, 0, 1, &stats);
    train(&watched, 0, 1, &stats);
    assert_ok(tp_evaluate(&watched.trainer, &watched.batches, &first));
    assert_true(same_state(&plain, &watched));
    assert_ok(tp_evaluate(&watched.trainer, &watched.batches, &second));
    assert_true(first.loss == second.loss && first.term[1] == second.term[1]);
    assert_int_equal(first.samples, 50);
    train(&plain, 1, 2, &stats);
    train(&watched, 1, 2, &stats);
    assert_true(same_state(&plain, &watched));
    close_session(&plain);
    close_session(&watched);
}

/* The tape comes back as it was: what is recorded on it after an evaluation has gradients again. */
static void test_tape_after_evaluation(void **state)
{
    (void)state;
    session s;
    tp_stats stats;
    open_session(&s, small(), 20, 8);
    assert_ok(tp_evaluate(&s.trainer, &s.batches, &stats));
    tp_var w = tp_param(s.trainer.tape, s.model.params.item[0]);
    assert_ok(tp_backward(tp_sum(tp_square(w), TP_ALL_AXES, false)));
    close_session(&s);
}

static int use_counting_allocator(void **state)
{
    (void)state;
    tp_set_allocator(&(tp_allocator){counting_alloc, counting_free, NULL});
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_regression),
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_on_batch),
        cmocka_unit_test(test_contexts),
        cmocka_unit_test(test_bad_step),
        cmocka_unit_test(test_poisoned_data),
        cmocka_unit_test(test_record),
        cmocka_unit_test(test_steady_state),
        cmocka_unit_test(test_steady_with_evaluation),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_evaluation),
        cmocka_unit_test(test_tape_after_evaluation),
        cmocka_unit_test(test_batches_moved),
    };
    return cmocka_run_group_tests(tests, use_counting_allocator, NULL) != 0;
}
