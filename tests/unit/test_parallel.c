/* test_parallel.c: chunks run once each, whatever the number of threads.
 *
 * That results do not depend on that number is tested with the operations (test_map_reduce.c,
 * test_matmul.c).
 */
#define _POSIX_C_SOURCE 200809L /* setenv, nanosleep */
#include "tests/support/check.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tensor/parallel.h"

enum { MOST = 1000 };

struct visits {
    int count[MOST];
};

static void visit(int64_t chunk, void *arg)
{
    struct visits *v = arg;
    v->count[chunk]++; /* chunks are disjoint: no lock */
}

static void every_chunk_runs_once(void **state)
{
    (void)state;
    const int threads[] = {1, 2, 3, 4, 8}, chunks[] = {0, 1, 2, 3, 7, 8, 9, MOST};
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        assert_ok(tp_set_threads(threads[t]));
        assert_int_equal(tp_threads(), tp_have_openmp() ? threads[t] : 1);
        for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
            struct visits v;
            memset(&v, 0, sizeof v);
            tp_parallel(chunks[c], visit, &v);
            for (int i = 0; i < MOST; i++)
                assert_int_equal(v.count[i], i < chunks[c]);
        }
    }
}

struct nest {
    struct visits inner[8];
    int64_t order[8][4];
    int seen[8];
};

struct nest_place {
    struct nest *nest;
    int64_t outer;
};

static void inner_body(int64_t chunk, void *arg)
{
    struct nest_place *p = arg;
    p->nest->inner[p->outer].count[chunk]++;
    p->nest->order[p->outer][p->nest->seen[p->outer]++] = chunk;
}

static void outer_body(int64_t chunk, void *arg)
{
    struct nest_place p = {arg, chunk};
    tp_parallel(4, inner_body, &p);
}

/* A nested call runs its chunks in order on the thread that makes it. */
static void nested_calls_are_serial(void **state)
{
    (void)state;
    static struct nest n;
    for (int threads = 1; threads <= 8; threads *= 2) {
        assert_ok(tp_set_threads(threads));
        for (int outer = 1; outer <= 8; outer += 7) {
            memset(&n, 0, sizeof n);
            tp_parallel(outer, outer_body, &n);
            for (int i = 0; i < outer; i++)
                for (int j = 0; j < 4; j++) {
                    assert_int_equal(n.inner[i].count[j], 1);
                    assert_int_equal(n.order[i][j], j);
                }
        }
    }
}

enum { CHUNKS = 20, THREADS = 4 };

struct slow {
    atomic_int done;
    bool others_came; /* while the first chunk ran, all others did */
};

/* The first chunk of the first thread is not through before everything else is, or ten seconds are over. */
static void wait_for_others(int64_t chunk, void *arg)
{
    struct slow *s = arg;
    for (int i = 0; chunk == 0 && i < 10000 && atomic_load(&s->done) < CHUNKS - 1; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    if (chunk == 0)
        s->others_came = atomic_load(&s->done) == CHUNKS - 1;
    atomic_fetch_add(&s->done, 1);
}

static void others_take_what_a_slow_thread_leaves(void **state)
{
    (void)state;
    if (!tp_have_openmp())
        skip(); /* there is one thread */
    for (int threads = 2; threads <= THREADS; threads++) {
        struct slow s = {0};
        assert_ok(tp_set_threads(threads));
        tp_parallel(CHUNKS, wait_for_others, &s);
        assert_true(s.others_came);
    }
}

struct crew {
    int threads;
    atomic_int at_work[THREADS], strangers, doubles, nested;
};

static void count_nested(int64_t chunk, void *arg)
{
    (void)chunk;
    atomic_fetch_add(&((struct crew *)arg)->nested, tp_worker());
}

static void sign_in(int64_t chunk, void *arg)
{
    struct crew *c = arg;
    int w = tp_worker();
    (void)chunk;
    if (w < 0 || w >= c->threads) {
        atomic_fetch_add(&c->strangers, 1);
        return;
    }
    atomic_fetch_add(&c->doubles, atomic_fetch_add(&c->at_work[w], 1));
    tp_parallel(3, count_nested, c);
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    atomic_fetch_add(&c->doubles, w != tp_worker());
    atomic_fetch_sub(&c->at_work[w], 1);
}

/* No two bodies run as the same worker at a time; a nested call is one of its own, and leaves the number. */
static void workers_have_numbers_of_their_own(void **state)
{
    (void)state;
    for (int threads = 1; threads <= THREADS; threads++) {
        struct crew c = {.threads = threads};
        assert_ok(tp_set_threads(threads));
        assert_int_equal(tp_worker(), 0);
        tp_parallel(CHUNKS, sign_in, &c);
        assert_int_equal(atomic_load(&c.strangers), 0);
        assert_int_equal(atomic_load(&c.doubles), 0);
        assert_int_equal(atomic_load(&c.nested), 0);
        assert_int_equal(tp_worker(), 0);
    }
}

/* What was asked for before another caller chose another number. */
static void so_many_threads_as_were_asked_for(void **state)
{
    (void)state;
    for (int threads = 1; threads <= THREADS; threads++) {
        struct visits v;
        memset(&v, 0, sizeof v);
        assert_ok(tp_set_threads(threads % 2 ? 2 : 3));
        tp_parallel_on(threads, MOST, visit, &v);
        for (int i = 0; i < MOST; i++)
            assert_int_equal(v.count[i], 1);
    }
}

static void numbers_of_threads_are_checked(void **state)
{
    (void)state;
    assert_ok(tp_set_threads(2));
    assert_status(tp_set_threads(-1), TP_EARG);
    assert_status(tp_set_threads(257), TP_EARG);
    assert_message("257");
    assert_int_equal(tp_threads(), tp_have_openmp() ? 2 : 1);
}

static void the_default_comes_from_the_environment(void **state)
{
    (void)state;
    const struct {
        const char *text;
        int want; /* 0: the number of cores */
    } cases[] = {{"3", 3}, {"2,4", 2}, {"", 0},   {"many", 0},
                 {"0", 0}, {"-2", 0},  {"4x", 0}, {"99999999999999999999", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("OMP_NUM_THREADS", cases[i].text, 1);
        assert_ok(tp_set_threads(0));
        int want = cases[i].want > 0 ? cases[i].want : tp_cores();
        assert_int_equal(tp_threads(), tp_have_openmp() ? want : 1);
    }
    unsetenv("OMP_NUM_THREADS");
    assert_ok(tp_set_threads(0));
    assert_int_equal(tp_threads(), tp_have_openmp() ? tp_cores() : 1);
    assert_true(tp_cores() >= 1);
}

static void one_thread_before_any_choice(void **state)
{
    (void)state;
    assert_int_equal(tp_threads(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_before_any_choice),
        cmocka_unit_test(every_chunk_runs_once),
        cmocka_unit_test(nested_calls_are_serial),
        cmocka_unit_test(others_take_what_a_slow_thread_leaves),
        cmocka_unit_test(workers_have_numbers_of_their_own),
        cmocka_unit_test(so_many_threads_as_were_asked_for),
        cmocka_unit_test(numbers_of_threads_are_checked),
        cmocka_unit_test(the_default_comes_from_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
