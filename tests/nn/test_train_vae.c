/* test_train_vae.c: a VAE in training: nothing is allocated per step, bits are the same on any number of threads, and
 * looking on changes nothing.
 *
 * All memory goes through a counting allocator that is installed before anything else. Read next: tests/models/test_vae.c.
 */
#include "tests/support/check.h"

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

static bool same_params(const tp_params *a, const tp_params *b)
{
    bool same = a->n == b->n;
    for (int i = 0; i < a->n && same; i++)
        same = equal_bits(&a->item[i]->value, &b->item[i]->value);
    return same;
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
        cmocka_unit_test(test_steady_state), cmocka_unit_test(test_steady_with_evaluation),
        cmocka_unit_test(test_threads),      cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_evaluation),   cmocka_unit_test(test_tape_after_evaluation),
    };
    return cmocka_run_group_tests(tests, use_counting_allocator, NULL) != 0;
}
