/* test_starting_threads.c: threads that cannot be started cost speed and nothing else.
 *
 * libgomp ends the process when it cannot start a thread. pthread_create below takes the C library's place in this
 * program and refuses beyond a number of living threads, as RLIMIT_NPROC or a container does. Needs no sanitizer of
 * threads, which does the same. Read next: tensor/parallel.c.
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "tests/support/check.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tensor/parallel.h"
#include "tests/support/training.h"

#if defined(__has_feature)
#    if __has_feature(thread_sanitizer)
#        define THREAD_SANITIZER 1
#    endif
#endif
#if !defined(THREAD_SANITIZER) && !defined(__SANITIZE_THREAD__)
#    define INTERPOSED 1

/* --- the refusing pthread_create ----------------------------------------------------------------- */

static atomic_int created, alive;
static atomic_int most = 1000; /* how many may be alive, */
static atomic_int spared;      /* and how many more starts succeed all the same */

typedef struct errand {
    void *(*body)(void *);
    void *arg;
} errand;

static void *count(void *arg)
{
    errand e = *(errand *)arg;
    free(arg);
    void *result = e.body(e.arg);
    atomic_fetch_sub(&alive, 1);
    return result;
}

int pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*body)(void *), void *arg)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create"); /* as POSIX says to */
    if (atomic_load(&alive) >= atomic_load(&most) && atomic_fetch_sub(&spared, 1) <= 0)
        return EAGAIN;
    errand *e = malloc(sizeof *e);
    if (e == NULL)
        return EAGAIN;
    *e = (errand){body, arg};
    atomic_fetch_add(&created, 1);
    atomic_fetch_add(&alive, 1);
    int error = real(t, attr, count, e);
    if (error != 0) {
        free(e);
        atomic_fetch_sub(&alive, 1);
    }
    return error;
}

static const setup small = {.name = "small",
                            .model = &tp_model_vae,
                            .dtype = TP_F32,
                            .width = 600,
                            .hidden = 41,
                            .latent = 5,
                            .examples = 100,
                            .batch = 64,
                            .steps = 10};

static record train(int threads)
{
    record r;
    assert_ok(training_run(&small, &(manner){.threads = threads}, test_tmp("."), &r));
    return r;
}

static void assert_same(const record *a, const record *b)
{
    char text[RECORD_TEXT];
    const char *what = record_differ(a, b, text);
    if (what != NULL)
        fail_msg("other bytes: %s", what);
}

/* --- tests ---------------------------------------------------------------------------------------- */

/* Eight are wanted, fewer start: tp_threads says how many, and training gives the bytes of one thread. */
static void fewer_threads_are_used(void **state)
{
    (void)state;
    record want = train(1);
    for (int allowed = 0; allowed <= 7; allowed++) {
        assert_ok(tp_set_threads(1));
        atomic_store(&most, atomic_load(&alive) + allowed);
        record got = train(8);
        int threads = tp_threads();
        if (threads != 1 + allowed && tp_have_openmp())
            fail_msg("%d more threads could start, %d are in use", allowed, threads);
        assert_same(&want, &got);
        record_free(&got);
        atomic_store(&most, 1000);
        assert_ok(tp_set_threads(8)); /* what could not be had before is tried again */
        assert_int_equal(tp_threads(), tp_have_openmp() ? 8 : 1);
        assert_ok(tp_set_threads(2)); /* libgomp lets the others go … */
        assert_int_equal(tp_threads(), tp_have_openmp() ? 2 : 1);
    }
    record_free(&want);
}

/* After tp_set_threads no operation starts a thread, large or small: one that could not be had would end the
 * process in the middle of training. */
static void operations_start_none(void **state)
{
    (void)state;
    for (int threads = 2; threads <= 8; threads += 3) {
        record r = train(threads);
        record_free(&r);
        int before = atomic_load(&created);
        r = train(threads); /* sets the same number once more */
        record_free(&r);
        assert_int_equal(atomic_load(&created), before);
    }
}

/* --- what happens without the trial, in a process of its own ---------------------------------------- */

static int run_child(const char *variable, const char *what, const char *program)
{
    extern char **environ;
    char *arguments[] = {"env", (char *)variable, (char *)program, (char *)what, NULL};
    int result = -1;
    pid_t child;
    assert_int_equal(posix_spawnp(&child, "env", NULL, NULL, arguments, environ), 0);
    while (waitpid(child, &result, 0) < 0 && errno == EINTR)
        ;
    return result;
}

static char *program;

/* The negative control: threads that were there when they were tried out and are gone when OpenMP wants them do
 * end the process. So it is the trial that saves the tests above. */
static void openmp_alone_exits(void **state)
{
    (void)state;
    if (!tp_have_openmp())
        skip();
    assert_int_not_equal(run_child("TAPIR_TEST=1", "untried", program), 0);
    assert_int_equal(run_child("TAPIR_TEST=1", "tried", program), 0);
}

/* No interposition: stacks that no machine has. */
static void impossible_stacks(void **state)
{
    (void)state;
    static const char *const sizes[] = {"OMP_STACKSIZE=4000000G", "OMP_STACKSIZE= 4000000000 M ",
                                        "GOMP_STACKSIZE=4000000000000"};
    for (int i = 0; i < 3; i++)
        assert_int_equal(run_child(sizes[i], "stacks", program), 0);
    assert_int_equal(run_child("OMP_STACKSIZE=512k", "tried", program), 0);
}

/* The child of these tests: 0 if it got as far as it should. */
static int child(const char *what)
{
    bool untried = strcmp(what, "untried") == 0;
    if (untried) {
        atomic_store(&most, 0);
        atomic_store(&spared, 3); /* the trial gets its three */
    }
    if (tp_set_threads(4) != TP_OK)
        return 2;
    return strcmp(what, "stacks") == 0 && tp_threads() != 1 ? 3 : 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fewer_threads_are_used),
        cmocka_unit_test(operations_start_none),
        cmocka_unit_test(openmp_alone_exits),
        cmocka_unit_test(impossible_stacks),
    };
    program = argv[0];
    if (argc == 2)
        return child(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}

#else

int main(void)
{
    print_message("skipped: the thread sanitizer has pthread_create\n");
    return 0;
}

#endif
