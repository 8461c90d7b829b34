/* test_best.c: which epoch is the best, its weights, and how they come through a checkpoint; a schedule by epochs.
 *
 * Runs of the tool that choose by validation images: tests/tool/test_validation.sh. Read next: nn/best.h.
 */
#include "tests/support/check.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "autograd/compose.h"
#include "nn/best.h"
#include "nn/checkpoint.h"
#include "nn/layers.h"
#include "tensor/mem.h"

/* A line of one number fitted to three, with a buffer that is only kept. */
typedef struct fixture {
    tp_params ps;
    tp_nn_linear line;
    tp_buffer counter;
    tp_best best;
    tp_dataset data;
    tp_batches batches;
    tp_optimizer optimizer;
    tp_trainer trainer;
} fixture;

enum { EXAMPLES = 6, BATCH = 2 };

static tp_objective loss(void *model, tp_ctx *c, tp_var x)
{
    fixture *f = model;
    tp_buffer_count(c, &f->counter);
    tp_var y = tp_nn_linear_apply(&f->line, c, x); /* [n, 1] */
    return tp_reconstruction(tp_neg(tp_squeeze(tp_square(y), -1)));
}

static void make(fixture *f, bool weights)
{
    *f = (fixture){.ps = tp_params_make(TP_F64, 1)};
    assert_ok(tp_nn_linear_init(&f->line, &f->ps, "line", 3, 1));
    assert_ok(tp_params_add_buffer(&f->ps, &f->counter, "counter", TP_I64, TP_SHAPE()));
    assert_ok(tp_best_init(&f->best, &f->ps, weights));
    assert_ok(tp_tensor_new(&f->data.x, TP_F64, TP_SHAPE(EXAMPLES, 3)));
    assert_ok(tp_random_normal(&f->data.x, (tp_rng_key){.seed = 2}));
    assert_ok(tp_batches_init(&f->batches, &f->data, BATCH, TP_F64));
    assert_ok(tp_sgd_init(&f->optimizer, &f->ps, (tp_sgd_opts){.lr = 0.05}));
    f->trainer = (tp_trainer){
        .loss = loss, .model = f, .optimizer = &f->optimizer, .best = &f->best, .epoch = 1};
    assert_ok(tp_tape_new(&f->trainer.tape));
}

static void drop(fixture *f)
{
    tp_tape_free(f->trainer.tape);
    tp_optimizer_free(&f->optimizer);
    tp_batches_free(&f->batches);
    tp_dataset_free(&f->data);
    tp_best_free(&f->best);
    tp_params_free(&f->ps);
}

static void set(fixture *f, double weight, int64_t count)
{
    assert_ok(tp_fill(&f->line.weight.value, weight));
    *(int64_t *)tp_data_mut(&f->counter.value) = count;
}

static bool holds(const fixture *f, double weight, int64_t count)
{
    return tp_flat(&f->line.weight.value, 2) == weight &&
           *(const int64_t *)tp_data(&f->counter.value) == count;
}

/* The lowest, and of equal ones the first; what is no number is none. */
static void test_which(void **state)
{
    (void)state;
    fixture f;
    make(&f, false);
    static const struct {
        double loss;
        bool better;
    } epochs[] = {{NAN, false}, {INFINITY, false}, {-1, true}, {-1, false}, {-0.5, false},
                  {NAN, false}, {-2, true},        {0, false}, {-3, true}};
    for (int i = 0; i < 9; i++)
        assert_int_equal(tp_best_look(&f.best, (uint64_t)i + 1, epochs[i].loss), epochs[i].better);
    assert_int_equal(f.best.epoch, 9);
    assert_close(f.best.loss, -3, 0, 0);
    set(&f, 4, 4);
    tp_best_swap(&f.best); /* there is nothing to exchange */
    assert_true(holds(&f, 4, 4));
    drop(&f);
}

static void test_weights(void **state)
{
    (void)state;
    size_t live = tp_mem().live_bytes;
    fixture f;
    make(&f, true);
    double begun = tp_flat(&f.line.weight.value, 2);
    tp_best_swap(&f.best);
    assert_true(holds(&f, begun, 0)); /* those of the beginning, as long as there are no others */
    tp_best_swap(&f.best);
    set(&f, 1, 10);
    assert_true(tp_best_look(&f.best, 1, 5));
    set(&f, 2, 20);
    assert_false(tp_best_look(&f.best, 2, 6)); /* worse: not copied */
    tp_best_swap(&f.best);
    assert_true(holds(&f, 1, 10));
    tp_best_swap(&f.best);
    assert_true(holds(&f, 2, 20));
    assert_true(tp_best_look(&f.best, 3, 4));
    set(&f, 3, 30); /* the copy is one */
    tp_best_swap(&f.best);
    assert_true(holds(&f, 2, 20));
    drop(&f);
    assert_int_equal(tp_mem().live_bytes, live);
}

/* Trained, measured and saved while the best is kept, and trained on after a swap there and back: the same bits as without
 * anything of it. */
static void test_training_does_not_notice(void **state)
{
    (void)state;
    fixture kept, plain;
    tp_stats stats;
    make(&kept, true);
    make(&plain, false);
    for (uint64_t e = 1; e <= 3; e++) {
        assert_ok(tp_train_epoch(&kept.trainer, &kept.batches, e, &stats));
        tp_best_look(&kept.best, e, e == 2 ? 0 : 1);
        tp_best_swap(&kept.best);
        assert_ok(tp_evaluate(&kept.trainer, &kept.batches, &stats));
        tp_best_swap(&kept.best);
        assert_ok(tp_train_epoch(&plain.trainer, &plain.batches, e, &stats));
    }
    assert_true(equal_bits(&kept.line.weight.value, &plain.line.weight.value));
    assert_true(holds(&kept, tp_flat(&plain.line.weight.value, 2), 9));
    tp_best_swap(&kept.best);
    assert_true(*(const int64_t *)tp_data(&kept.counter.value) == 6);
    drop(&kept);
    drop(&plain);
}

/* --- checkpoints -------------------------------------------------------------------------------- */

static const char *directory(const char *name)
{
    const char *path = test_tmp(name);
    assert_int_equal(mkdir(path, 0777), 0);
    return path;
}

static tp_status load(fixture *f, const char *path)
{
    tp_checkpoint c;
    assert_ok(tp_checkpoint_open(&c, path));
    assert_non_null(c.path);
    tp_status s = tp_checkpoint_load(&c, &f->trainer, &f->batches);
    tp_checkpoint_close(&c);
    return s;
}

static void save(bool weights, bool none, const char *path)
{
    fixture f;
    make(&f, weights);
    set(&f, 7, 70);
    assert_true(tp_best_look(&f.best, 3, 0.125));
    set(&f, 8, 80);
    if (none)
        f.trainer.best = NULL;
    assert_ok(tp_checkpoint_save(path, &f.trainer, &f.batches, NULL));
    drop(&f);
}

static void test_checkpoint(void **state)
{
    (void)state;
    const char *path = directory("with");
    fixture f;
    save(true, false, path);
    make(&f, true);
    assert_ok(load(&f, path));
    assert_true(holds(&f, 8, 80));
    assert_int_equal(f.best.epoch, 3);
    assert_close(f.best.loss, 0.125, 0, 0);
    tp_best_swap(&f.best);
    assert_true(holds(&f, 7, 70));
    drop(&f);
}

static void test_checkpoint_without_weights(void **state)
{
    (void)state;
    const char *path = directory("numbers");
    fixture f;
    save(false, false, path);
    make(&f, false);
    assert_ok(load(&f, path));
    assert_int_equal(f.best.epoch, 3);
    assert_close(f.best.loss, 0.125, 0, 0);
    drop(&f);
    make(&f, true); /* it wants weights, and there are none: nothing is changed */
    set(&f, 1, 1);
    assert_status(load(&f, path), TP_EFORMAT);
    assert_message("tensor 'best.line.weight' is missing");
    assert_true(holds(&f, 1, 1) && f.best.epoch == 0);
    drop(&f);
}

/* Who keeps no best epoch, as vae explain, goes on from such a checkpoint all the same. */
static void test_checkpoint_passed_over(void **state)
{
    (void)state;
    size_t live = tp_mem().live_bytes;
    static const char *const names[] = {"over1", "over2"};
    for (int weights = 0; weights < 2; weights++) {
        const char *path = directory(names[weights]);
        fixture f;
        save(weights, false, path);
        make(&f, false);
        f.trainer.best = NULL;
        assert_ok(load(&f, path));
        assert_true(holds(&f, 8, 80) && f.trainer.best == NULL && f.best.epoch == 0);
        drop(&f);
        make(&f, false); /* and who keeps no weights, without those */
        assert_ok(load(&f, path));
        assert_true(holds(&f, 8, 80) && f.trainer.best == &f.best && f.best.n == 0);
        assert_true(f.best.epoch == 3 && f.best.loss == 0.125);
        drop(&f);
    }
    const char *path = directory("never");
    fixture f;
    save(false, true, path);
    make(&f, false);
    assert_status(load(&f, path), TP_EFORMAT);
    assert_message("tensor 'trainer.best_epoch' is missing");
    drop(&f);
    assert_int_equal(tp_mem().live_bytes, live);
}

/* --- a schedule by epochs ----------------------------------------------------------------------- */

/* Three steps to an epoch: at rate 0.1, 0.05, … as PyTorch's scheduler that steps behind each epoch. */
static void test_schedule_by_epochs(void **state)
{
    (void)state;
    for (int by_epoch = 0; by_epoch < 2; by_epoch++) {
        fixture f;
        tp_stats stats;
        make(&f, false);
        tp_schedule s = tp_schedule_defaults();
        s.kind = TP_LR_exponential, s.lr = 0.1, s.gamma = 0.5;
        f.trainer.schedule = &s;
        if (by_epoch)
            f.trainer.schedule_every = (uint64_t)tp_batches_count(&f.batches);
        for (uint64_t e = 1; e <= 3; e++) {
            assert_ok(tp_train_epoch(&f.trainer, &f.batches, e, &stats));
            double last = by_epoch ? (double)e - 1 : 3 * (double)e - 1;
            assert_close(f.optimizer.lr, 0.1 * pow(0.5, last), 0, 1e-15);
        }
        drop(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_training_does_not_notice),
        cmocka_unit_test(test_checkpoint),
        cmocka_unit_test(test_checkpoint_without_weights),
        cmocka_unit_test(test_checkpoint_passed_over),
        cmocka_unit_test(test_schedule_by_epochs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
