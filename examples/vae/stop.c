/* stop.c: the handler of signals. It notes the number and nothing else; training looks after every step. */
#define _POSIX_C_SOURCE 200809L
#include "stop.h"

#include "options.h"

#include <signal.h>
#include <stddef.h>

static const struct {
    int number;
    const char *name;
} watched[] = {{SIGINT, "SIGINT"}, {SIGTERM, "SIGTERM"}, {SIGHUP, "SIGHUP"}};

enum { WATCHED = sizeof watched / sizeof *watched };

static volatile sig_atomic_t came;

static void on_signal(int number)
{
    came = number;
    for (int i = 0; i < WATCHED; i++)
        signal(watched[i].number, SIG_DFL);
}

void stop_watch(void)
{
    for (int i = 0; i < WATCHED; i++) {
        struct sigaction now;
        if (sigaction(watched[i].number, NULL, &now) != 0 || now.sa_handler == SIG_IGN)
            continue; /* as under nohup */
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        for (int k = 0; k < WATCHED; k++)
            sigaddset(&action.sa_mask, watched[k].number);
        sigaction(watched[i].number, &action, NULL);
    }
}

int stop_signal(void)
{
    return came;
}

int stop_exit_code(void)
{
    return stop_signal() != 0 ? 128 + stop_signal() : EXIT_BAD;
}

const char *stop_name(int number)
{
    for (int i = 0; i < WATCHED; i++)
        if (watched[i].number == number)
            return watched[i].name;
    return "a signal";
}
