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

/* --- tests ---------------------------------------------------------------------------------------- */

static char *program;

/* Runs this program as child(what, allowed), with a variable in its environment. */
static int run_child(const char *variable, const char *what, int allowed)
{
    extern char **environ;
    char number[12];
    char *arguments[] = {"env", (char *)variable, program, (char *)what, number, NULL};
    int result = -1;
    pid_t child;
    snprintf(number, sizeof number, "%d", allowed);
    assert_int_equal(posix_spawnp(&child, "env", NULL, NULL, arguments, environ), 0);
    while (waitpid(child, &result, 0) < 0 && errno == EINTR)
        ;
    return result;
}

static const char *const no_variable = "TAPIR_NOTHING=1";

/* Eight are wanted, fewer start: training gives the bytes of one thread. Each number in a process of its own,
 * where no thread of the one before is still on its way out. */
static void fewer_threads_are_used(void **state)
{
    (void)state;
    for (int allowed = 0; allowed <= 7; allowed++)
        assert_int_equal(run_child(no_variable, "fewer", allowed), 0);
}

static int child_with_fewer(int allowed)
{
    record want = train(1);
    atomic_store(&most, allowed);
    record got = train(8);
    int threads = tp_threads();
    char text[RECORD_TEXT];
    const char *what = record_differ(&want, &got, text);
    if (what != NULL)
        fprintf(stderr, "%d threads: differs in %s\n", threads, what);
    if (threads != (tp_have_openmp() ? 1 + allowed : 1))
        return fprintf(stderr, "%d more could start, %d are in use\n", allowed, threads), 4;
    atomic_store(&most, 1000);
    if (tp_set_threads(8) != TP_OK || tp_threads() != (tp_have_openmp() ? 8 : 1))
        return 5; /* what could not be had before is tried again */
    record_free(&want);
    record_free(&got);
    return what == NULL ? 0 : 6;
}

/* The number is changed, to more than may run among others: those that run are kept, and as many as may be join them.
 * Bound to places OpenMP may have to replace some, so that fewer are used; but the process lives. */
static void the_number_is_changed(void **state)
{
    (void)state;
    for (int allowed = 3; allowed <= 7; allowed += 2) {
        assert_int_equal(run_child(no_variable, "changed", allowed), 0);
        setenv("OMP_PROC_BIND", "spread", 1);
        assert_int_equal(
            run_child("OMP_PLACES={0},{0},{0},{0},{0},{0},{0},{0},{1}", "bound", allowed), 0);
        unsetenv("OMP_PROC_BIND");
    }
}

static int child_with_changes(bool bound, int allowed)
{
    static const int wanted[] = {4, 6, 8, 1, 8, 3, 8};
    atomic_store(&most, allowed);
    for (int i = 0; i < 7; i++) {
        if (tp_set_threads(wanted[i]) != TP_OK)
            return 2;
        int want = wanted[i] < 1 + allowed ? wanted[i] : 1 + allowed, got = tp_threads();
        int least = bound ? 1 : i < 6 ? want : 3; /* what was let go of just now may count still */
        if (tp_have_openmp() && (got > want || got < least))
            return fprintf(stderr, "%d wanted, %d in use\n", wanted[i], got), 4;
    }
    return 0;
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

/* The negative control: threads that were there when they were tried out and are gone when OpenMP wants them do
 * end the process. So it is the trial that saves the tests above. */
static void openmp_alone_exits(void **state)
{
    (void)state;
    if (!tp_have_openmp()) {
        print_message("built without OpenMP\n");
        skip();
    }
    assert_int_not_equal(run_child(no_variable, "untried", 0), 0);
    assert_int_equal(run_child(no_variable, "tried", 0), 0);
}

/* No interposition: stacks that no machine has. */
static void impossible_stacks(void **state)
{
    (void)state;
    static const char *const sizes[] = {"OMP_STACKSIZE=4000000G", "OMP_STACKSIZE= 4000000000 M ",
                                        "GOMP_STACKSIZE=4000000000000"};
    for (int i = 0; i < 3; i++)
        assert_int_equal(run_child(sizes[i], "stacks", 0), 0);
    assert_int_equal(run_child("OMP_STACKSIZE=512k", "tried", 0), 0);
}

/* The child of these tests: 0 if it got as far as it should. */
static int child(const char *what, int allowed)
{
    if (strcmp(what, "fewer") == 0)
        return child_with_fewer(allowed);
    if (strcmp(what, "changed") == 0 || strcmp(what, "bound") == 0)
        return child_with_changes(strcmp(what, "bound") == 0, allowed);
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
        cmocka_unit_test(fewer_threads_are_used), cmocka_unit_test(the_number_is_changed),
        cmocka_unit_test(operations_start_none),  cmocka_unit_test(openmp_alone_exits),
        cmocka_unit_test(impossible_stacks),
    };
    program = argv[0];
    if (argc == 3)
        return child(argv[1], atoi(argv[2]));
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}

#else

int main(void)
{
    print_message("skipped: the thread sanitizer has pthread_create\n");
    return 0;
}

#endif
