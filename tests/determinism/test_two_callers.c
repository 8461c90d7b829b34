/* test_two_callers.c: two threads of a program train two models at the same time, and each gets the bytes it would
 * have got alone, whatever number of threads their operations use, and while a third thread changes it.
 *
 * tapir allows that as long as tapes, models and data are not shared. Read next: tensor/parallel.h.
 */
#define _POSIX_C_SOURCE 200809L /* pthread barriers */
#include "tests/support/check.h"

#include <pthread.h>
#include <stdatomic.h>

#include "tensor/mem.h"
#include "tensor/parallel.h"
#include "tests/support/training.h"

enum { CALLERS = 2 };

static const setup setups[CALLERS] = {
    {"vae", &tp_model_vae, TP_BERNOULLI, TP_F32, ADAM, 600, 41, 5, 100, 64, 12},
    {"ae", &tp_model_ae, TP_BERNOULLI, TP_F64, MOMENTUM, 301, 23, 3, 119, 59, 20},
};

typedef struct caller {
    const setup *s;
    manner how;
    pthread_barrier_t *together;
    record got;
    tp_status status;
    int threads; /* that its operations used at the end */
} caller;

static void *call(void *arg)
{
    caller *c = arg;
    pthread_barrier_wait(c->together);
    c->status = training_run(c->s, &c->how, test_tmp("."), &c->got);
    c->threads = tp_threads();
    return NULL;
}

static atomic_bool over;

static void *meddle(void *arg)
{
    (void)arg;
    for (unsigned i = 0; !atomic_load(&over); i++)
        if (tp_set_threads(1 + (int)(i * 7 % 5)) != TP_OK)
            break;
    return NULL;
}

/* Trains both at once; with a meddler, who changes the number of threads all the while. */
static void train_together(caller c[CALLERS], const record want[CALLERS], bool meddler)
{
    pthread_t id[CALLERS], third;
    pthread_barrier_t together;
    char text[RECORD_TEXT];
    assert_int_equal(pthread_barrier_init(&together, NULL, CALLERS), 0);
    atomic_store(&over, false);
    if (meddler)
        assert_int_equal(pthread_create(&third, NULL, meddle, NULL), 0);
    for (int i = 0; i < CALLERS; i++) {
        c[i].together = &together;
        assert_int_equal(pthread_create(&id[i], NULL, call, &c[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_join(id[i], NULL), 0);
    atomic_store(&over, true);
    if (meddler)
        assert_int_equal(pthread_join(third, NULL), 0);
    pthread_barrier_destroy(&together);
    for (int i = 0; i < CALLERS; i++) {
        assert_int_equal(c[i].status, TP_OK);
        const char *what = record_differ(&want[i], &c[i].got, text);
        if (what != NULL)
            fail_msg("%s trained beside another: differs in %s", c[i].s->name, what);
        record_free(&c[i].got);
    }
}

static void as_one_after_the_other(void **state)
{
    (void)state;
    record want[CALLERS];
    size_t live = tp_mem().live_bytes;
    test_tmp("."); /* made before anybody asks for it at the same time */
    for (int i = 0; i < CALLERS; i++)
        assert_ok(training_run(&setups[i], &(manner){.threads = 1}, test_tmp("."), &want[i]));
    for (int threads = 1; threads <= 4; threads++)
        for (int meddler = 0; meddler < 2; meddler++) {
            caller c[CALLERS];
            for (int i = 0; i < CALLERS; i++)
                c[i] = (caller){.s = &setups[i], .how = {.threads = threads}};
            train_together(c, want, meddler);
            for (int i = 0; i < CALLERS && !meddler; i++)
                assert_int_equal(c[i].threads, tp_have_openmp() ? threads : 1);
        }
    for (int i = 0; i < CALLERS; i++)
        record_free(&want[i]);
    assert_int_equal(tp_mem().live_bytes, live); /* and nobody left anything behind */
    assert_ok(tp_set_threads(1));
}

/* The negative control: models that are not the same give other bytes, beside each other as alone. */
static void others_differ(void **state)
{
    (void)state;
    record a, b;
    char text[RECORD_TEXT];
    setup longer = setups[0];
    longer.steps++;
    assert_ok(training_run(&setups[0], &(manner){.threads = 1}, test_tmp("."), &a));
    assert_ok(training_run(&longer, &(manner){.threads = 1}, test_tmp("."), &b));
    assert_non_null(record_differ(&a, &b, text));
    record_free(&a);
    record_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_one_after_the_other),
        cmocka_unit_test(others_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
