/* test_mem.c: the byte budget, for one thread and for two that allocate at the same time, and large blocks.
 *
 * What happens where an allocation fails is the business of the fault tests. Read next: tensor/mem.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/support/check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "tensor/mem.h"

enum { BUDGET = 1 << 20 };

/* To the last byte, and a budget below what is in use refuses everything. */
static void test_budget(void **state)
{
    (void)state;
    size_t live = tp_mem().live_bytes;
    tp_mem_set_budget(live + BUDGET);
    void *p = tp_alloc(BUDGET), *q = tp_alloc(1);
    tp_mem_set_budget(live + 1);
    void *r = tp_alloc(1);
    tp_mem_set_budget(0);
    assert_non_null(p);
    assert_null(q);
    assert_null(r);
    assert_message("are in use");
    assert_int_equal(tp_mem().live_bytes, live + BUDGET);
    tp_free(p, BUDGET);
    assert_int_equal(tp_mem().live_bytes, live);
}

/* What is larger than half of a large page begins on one. What was asked for is counted, not the page. */
static void test_large_pages(void **state)
{
    (void)state;
    enum { HALF = 1 << 20 };
    const size_t sizes[] = {HALF, HALF + 1, 2 * HALF, 5 * HALF + 3};
    size_t live = tp_mem().live_bytes;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *p = tp_alloc_zero(sizes[i]);
        assert_non_null(p);
        p[0] = p[sizes[i] - 1] = 1;
        assert_int_equal((uintptr_t)p % TP_ALIGN, 0);
        assert_true(tp_mem().live_bytes - live < sizes[i] + TP_ALIGN);
#ifdef __linux__
        if (sizes[i] > HALF)
            assert_int_equal((uintptr_t)p % (2 * HALF), 0);
#endif
        tp_free(p, sizes[i]);
    }
    assert_int_equal(tp_mem().live_bytes, live);
}

static atomic_bool over;
static atomic_int granted;

static void *ask_for_too_much(void *arg)
{
    (void)arg;
    for (int i = 0; i < 300000; i++) {
        void *p = tp_alloc(4 * BUDGET);
        if (p != NULL) {
            atomic_fetch_add(&granted, 1);
            tp_free(p, 4 * BUDGET);
        }
    }
    atomic_store(&over, true);
    return NULL;
}

/* Whoever asks for more than there is leaves the rest to the others, even while he is being refused. Without a second
 * core this shows nothing. */
static void test_refusals_take_nothing(void **state)
{
    (void)state;
    pthread_t greedy;
    int refused = 0;
    tp_mem_set_budget(tp_mem().live_bytes + BUDGET);
    assert_int_equal(pthread_create(&greedy, NULL, ask_for_too_much, NULL), 0);
    while (!atomic_load(&over)) {
        void *p = tp_alloc(64);
        refused += p == NULL;
        tp_free(p, 64);
    }
    assert_int_equal(pthread_join(greedy, NULL), 0);
    tp_mem_set_budget(0);
    assert_int_equal(refused, 0);
    assert_int_equal(granted, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_large_pages),
        cmocka_unit_test(test_refusals_take_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
