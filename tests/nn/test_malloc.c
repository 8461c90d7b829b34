/* test_malloc.c: a training step in steady state never reaches malloc, ours or anybody's in the process.
 *
 * The functions below take the C library's place in this program and count. That needs glibc and no
 * sanitizer (which does the same); elsewhere the test says so and test_train.c counts by tapir's own hook.
 */
#define _POSIX_C_SOURCE 200809L /* posix_memalign */
#include "tests/support/check.h"

#include "models/model.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define SANITIZED 1
#    endif
#endif
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(SANITIZED)
#    define COUNTING 1

static atomic_long calls;

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

void *malloc(size_t bytes)
{
    atomic_fetch_add(&calls, 1);
    return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes)
{
    atomic_fetch_add(&calls, 1);
    return __libc_calloc(n, bytes);
}

void *realloc(void *p, size_t bytes)
{
    atomic_fetch_add(&calls, 1);
    return __libc_realloc(p, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    atomic_fetch_add(&calls, 1);
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **p, size_t alignment, size_t bytes)
{
    atomic_fetch_add(&calls, 1);
    *p = __libc_memalign(alignment, bytes);
    return *p == NULL ? ENOMEM : 0;
}
#endif

#ifdef COUNTING

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
    tp_model_config config = tp_model_defaults();
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
    long before = atomic_load(&calls);
    for (uint64_t epoch = 4; epoch <= 20; epoch++)
        assert_ok(tp_train_epoch(&trainer, &batches, epoch, &stats));
    long during = atomic_load(&calls) - before;
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
    long before = atomic_load(&calls);
    void *volatile p = malloc(10);
    free(p);
    assert_int_equal(atomic_load(&calls) - before, 1);
    p = tp_alloc(10);
    assert_int_equal(atomic_load(&calls) - before, 2);
    tp_free(p, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counter),
        cmocka_unit_test(test_training_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}

#else

int main(void)
{
    puts("skipped: malloc cannot be counted in this build");
    return 0;
}

#endif
