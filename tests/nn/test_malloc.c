/* test_malloc.c: a training step in steady state never reaches malloc, ours or anybody's in the process.
 *
 * Where malloc cannot be seen (tests/support/interpose/malloc.h) the test says so, and test_train.c counts by
 * tapir's own hook.
 */
#include "tests/support/check.h"
#include "tests/support/interpose/malloc.h"

#include "models/model.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

#include <stdio.h>
#include <stdlib.h>

enum { EXAMPLES = 100, BATCH = 32 }; /* the last batch of an epoch is smaller */

static void make_data(tp_dataset *d)
{
    *d = (tp_dataset){0};
    assert_ok(tp_tensor_new(&d->x, TP_U8, TP_SHAPE(EXAMPLES, 8, 8)));
    unsigned char *x = tp_data_mut(&d->x);
    for (int i = 0; i < EXAMPLES * 64; i++)
        x[i] = (unsigned char)(i * 37 % 256);
}

static void check_threads(int threads, tp_likelihood likelihood)
{
    tp_dataset data;
    tp_batches batches;
    tp_model model;
    tp_optimizer adam;
    tp_tape *tape;
    tp_stats stats;
    tp_model_config config = tp_model_defaults(&tp_model_vae);
    config.data_dim = 64;
    config.hidden[0] = 300; /* large enough for parallel regions */
    config.likelihood = likelihood;
    make_data(&data);
    assert_ok(tp_set_threads(threads));
    assert_ok(tp_batches_init(&batches, &data, BATCH, TP_F32));
    assert_ok(tp_model_init(&model, &tp_model_vae, config, TP_F32, 1));
    assert_ok(tp_adam_init(&adam, &model.params, tp_adam_defaults()));
    assert_ok(tp_tape_new(&tape));
    tp_trainer trainer = {
        .tape = tape, .loss = tp_model_loss, .model = &model, .optimizer = &adam, .seed = 1};
    for (uint64_t epoch = 1; epoch <= 3; epoch++)
        assert_ok(tp_train_epoch(&trainer, &batches, epoch, &stats));
    long before = malloc_calls();
    for (uint64_t epoch = 4; epoch <= 20; epoch++)
        assert_ok(tp_train_epoch(&trainer, &batches, epoch, &stats));
    long during = malloc_calls() - before;
    print_message("%d thread%s: %ld allocations in %d steps\n", threads, threads > 1 ? "s" : "",
                  during, 17 * 4);
    assert_int_equal(during, 0);
    tp_tape_free(tape);
    tp_optimizer_free(&adam);
    tp_model_free(&model);
    tp_batches_free(&batches);
    tp_dataset_free(&data);
    assert_ok(tp_set_threads(1));
}

static void test_training_allocates_nothing(void **state)
{
    (void)state;
    check_threads(1, TP_BERNOULLI);
    check_threads(2, TP_GAUSSIAN);
}

/* The counter counts: otherwise the zero above would mean nothing. */
static void test_counter(void **state)
{
    (void)state;
    long before = malloc_calls();
    void *volatile p = malloc(10);
    free(p);
    assert_int_equal(malloc_calls() - before, 1);
    p = tp_alloc(10);
    assert_int_equal(malloc_calls() - before, 2);
    tp_free(p, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counter),
        cmocka_unit_test(test_training_allocates_nothing),
    };
    if (!malloc_seen()) {
        puts("skipped: malloc cannot be counted in this build");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
