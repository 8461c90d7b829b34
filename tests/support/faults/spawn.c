/* spawn.c: see spawn.h. */
#define _POSIX_C_SOURCE 200809L
#include "tests/support/faults/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { VARIABLES = 512 };

pid_t spawn(const char *const *argv, const char *const *additions, const char *err)
{
    const char *all[VARIABLES];
    int n = 0;
    for (int i = 0; additions != NULL && additions[i] != NULL; i++)
        all[n++] = additions[i]; /* first, because the first of a name counts */
    for (int i = 0; environ[i] != NULL && n < VARIABLES - 1; i++)
        all[n++] = environ[i];
    all[n] = NULL;
    posix_spawn_file_actions_t files;
    pid_t pid;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, err, O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    /* posix_spawn takes pointers to char and changes nothing behind them. */
    int failed = posix_spawn(&pid, argv[0], &files, NULL, (char *const *)argv, (char *const *)all);
    posix_spawn_file_actions_destroy(&files);
    if (failed != 0) {
        fprintf(stderr, "%s: cannot be started\n", argv[0]);
        abort();
    }
    return pid;
}

static int outcome(int status)
{
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int wait_for(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            abort();
    return outcome(status);
}

int wait_within(pid_t pid, double seconds, bool *late)
{
    int status;
    double end = now_seconds() + seconds;
    *late = false;
    while (now_seconds() < end) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return outcome(status);
        sleep_seconds(1e-3);
    }
    *late = true;
    kill(pid, SIGKILL);
    return wait_for(pid);
}

void sleep_seconds(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (seconds > 0 && nanosleep(&t, &t) != 0 && errno == EINTR)
        continue;
}

double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
