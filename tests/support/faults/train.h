/* train.h: small runs of the program vae that take a few hundredths of a second, to be killed and gone on with.
 *
 * 40 made-up pictures, 20 steps in 4 epochs, a checkpoint every 2 steps and at the end of each epoch; the rate is so
 * high that the second epoch is the best one, whose weights are kept. What a run that nobody disturbed leaves is the
 * reference for all others. Read next: tests/fault/check_kill.c.
 */
#ifndef TP_TESTS_TRAIN_H
#define TP_TESTS_TRAIN_H

#include <stdbool.h>
#include <sys/types.h>

enum { TRAIN_STEPS = 20 };

/* Makes the data and the reference. false, after saying why, if the program has not been built. */
bool train_set_up(void);
/* The reference: what train_text says of an undisturbed run, its seconds, its file calls. */
const char *train_reference(void);
double train_seconds(void);
long train_calls(void);
/* The sort of each of these calls, as faults_call_name has it. */
const char *train_call(long n);

typedef struct train_opts {
    const char *folder;
    bool resume;
    const char *fault;  /* TAPIR_FAULT, or NULL: none, and fsync takes no time */
    const char *record; /* TAPIR_FAULT_RECORD */
    bool plain;         /* the program itself, without faults.c; its fsync is real */
} train_opts;

/* Starts training; errors go to train_error(). */
pid_t train_spawn(train_opts o);
/* Starts it and waits: exit code or -signal. */
int train_run(train_opts o);
const char *train_error(void);

/* Lets a run that was disturbed end: goes on with it or, if it had not got as far as config.json, removes the
 * folder and begins again. false, after printing why, unless it ends well and as the reference does. */
bool train_ends_well(const char *folder);

/* folder_text without timing.jsonl, in which a clock has its say, and without all checkpoints but the newest: a signal
 * saves one wherever it comes, in place of the step before that the reference has; and a crash may bring back one that
 * had just been removed. */
const char *train_text(const char *folder);
/* The step of the newest checkpoint that is whole; -1: there is no checkpoint; -2: there are some, none whole. */
int train_newest(const char *folder);

#endif
