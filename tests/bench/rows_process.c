/* rows_process.c: figures of a whole process: how long until the first training step is done, and how much
 * memory an epoch takes. Each sample is a fresh process: this program, with a hidden option.
 *
 * Not fork: a child of a process that has used OpenMP hangs at its first parallel region. */
#define _POSIX_C_SOURCE 200809L
#include "tests/bench/bench.h"
#include "tests/bench/training.h"

#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* --- the child ---------------------------------------------------------------------------------- */

/* Prints the clock, which all processes share, after the first step on the digits of examples/data. */
static void child_start(void)
{
    tp_dataset digits;
    bench_must(tp_dataset_read(&digits, TAPIR_SOURCE_DIR "/examples/data", "train"));
    training *t = training_new(&tp_model_vae, &digits, 400, 128, 1);
    training_run(t);
    printf("%" PRId64 "\n", (int64_t)(bench_now() * 1e9));
    training_free(t);
    tp_dataset_free(&digits);
}

/* Prints the peak resident set in bytes after an epoch, without the data set; 0 if the system does not say.
 * Not getrusage: it counts the parent's memory before exec, too. */
static void child_rss(void)
{
    training *t = training_new(&tp_model_vae, training_digits(), 400, 128, INT64_MAX);
    training_run(t);
    training_free(t);
    long long kib = 0;
    char line[128];
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && kib == 0 && fgets(line, sizeof line, f) != NULL)
        sscanf(line, "VmHWM: %lld", &kib);
    if (f != NULL)
        fclose(f);
    printf("%lld\n", kib > 0 ? kib * 1024 - (long long)DIGITS * PIXELS : 0);
}

bool bench_child(const char *what)
{
    if (strcmp(what, "start") == 0)
        return child_start(), true;
    if (strcmp(what, "rss") == 0)
        return child_rss(), true;
    return false;
}

/* --- the parent --------------------------------------------------------------------------------- */

static _Noreturn void no_child(const char *what)
{
    fprintf(stderr, "tapir-bench: the child process '%s' failed\n", what);
    exit(1);
}

/* The number that a child prints. */
static int64_t ask_child(const char *what)
{
    char threads[16], text[64] = "", child[] = "--child", with[] = "--threads", name[16];
    snprintf(threads, sizeof threads, "%d", bench_threads());
    snprintf(name, sizeof name, "%s", what);
    char self[] = "/proc/self/exe", *argv[] = {self, child, name, with, threads, NULL};
    int pipe_ends[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    if (pipe(pipe_ends) != 0 || posix_spawn_file_actions_init(&actions) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO) != 0 ||
        posix_spawn_file_actions_addclose(&actions, pipe_ends[0]) != 0 ||
        posix_spawn(&pid, self, &actions, NULL, argv, environ) != 0)
        no_child(what);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_ends[1]);
    FILE *answer = fdopen(pipe_ends[0], "r");
    bool got = answer != NULL && fgets(text, sizeof text, answer) != NULL;
    if (answer != NULL)
        fclose(answer);
    int status;
    if (waitpid(pid, &status, 0) != pid || status != 0 || !got)
        no_child(what);
    return strtoll(text, NULL, 10);
}

/* The mean of a few starts, in ms. */
static double start_ms(void *state)
{
    enum { STARTS = 4 };
    double sum = 0;
    (void)state;
    for (int i = 0; i < STARTS; i++) {
        int64_t begun = (int64_t)(bench_now() * 1e9);
        sum += (double)(ask_child("start") - begun) * 1e-6;
    }
    return sum / STARTS;
}

static double rss_mb(void *state)
{
    (void)state;
    return (double)ask_child("rss") * 1e-6;
}

/* Both rows need /proc. */
static bool begin(bench_row *r)
{
    bool there = access("/proc/self/exe", X_OK) == 0;
    if (!there)
        fprintf(stderr, "tapir-bench: no /proc here: %s is left out\n", r->name);
    return there;
}

void bench_rows_process(void)
{
    bench_row *r = bench_add(BENCH_MS, "start");
    r->begin = begin, r->measure = start_ms;
    r = bench_add(BENCH_MB, "rss");
    r->begin = begin, r->measure = rss_mb;
    r->max_rounds = 1; /* an epoch each, and always the same */
}
