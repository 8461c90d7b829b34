/* spawn.h: other programs, started, waited for and killed. posix_spawn, because fork after a parallel region
 * hangs with libgomp. Read next: tests/fault/check_kill.c.
 */
#ifndef TP_TESTS_SPAWN_H
#define TP_TESTS_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

/* Starts argv[0] with the environment and these additions, "NAME=value" up to NULL (or NULL); its standard
 * output goes nowhere, its standard error to the file err. Aborts if that cannot be. */
pid_t spawn(const char *const *argv, const char *const *additions, const char *err);
/* How it ended: the exit code, or -signal. */
int wait_for(pid_t pid);
/* The same within seconds; if it still runs then, it is killed and *late becomes true. */
int wait_within(pid_t pid, double seconds, bool *late);
void sleep_seconds(double seconds);
double now_seconds(void);

#endif
