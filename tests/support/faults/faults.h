/* faults.h: stands between a program and the files of the C library, and lets a chosen call go wrong.
 *
 * Linked into a program, faults.c takes the place of open, write, fsync, rename and the others below and
 * passes them on. It does nothing more until it is armed: by faults_arm here, or for a whole program by the
 * environment (TAPIR_FAULT=ENOSPC:17). It can also write down the calls that change something (TAPIR_FAULT_RECORD=
 * file), from which crash.h works out what a loss of power could have left, and the names of all (TAPIR_FAULT_CALLS). Read next: crash.h, tests/fault.
 */
#ifndef TP_TESTS_FAULTS_H
#define TP_TESTS_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/* What is counted. tests/fault/test_fault_calls.sh compares this with what the library and vae call. */
/* clang-format off */
#define FAULT_CALLS(X)                                                                             \
    X(open) X(read) X(pread) X(write) X(pwrite) X(fsync) X(close) X(rename) X(unlink) X(unlinkat)  \
    X(stat) X(fstat) X(access) X(mkdir) X(rmdir) X(opendir) X(readdir) X(flock)
/* clang-format on */

#define FAULT_ENUM(name) FAULT_##name,
typedef enum fault_call { FAULT_CALLS(FAULT_ENUM) FAULT_MARK, FAULT_CALL_COUNT } fault_call;
#undef FAULT_ENUM

/* Sets of calls: EINTR is a documented failure of the first; a full disk shows in the second. */
#define FAULT_BIT(call) (1u << FAULT_##call)
#define FAULT_INTERRUPTIBLE                                                                        \
    (FAULT_BIT(open) | FAULT_BIT(read) | FAULT_BIT(pread) | FAULT_BIT(write) | FAULT_BIT(pwrite) | \
     FAULT_BIT(fsync) | FAULT_BIT(close))
#define FAULT_GROWING (FAULT_BIT(write) | FAULT_BIT(pwrite) | FAULT_BIT(fsync) | FAULT_BIT(mkdir))

typedef enum fault_kind {
    FAULT_NONE,        /* calls are counted only */
    FAULT_ERRNO,       /* fails with error; close closes all the same, as Linux does */
    FAULT_ONE,         /* read or write: one byte */
    FAULT_HALF,        /* read or write: half */
    FAULT_NOTHING,     /* write: 0 bytes and no error, which POSIX does not rule out */
    FAULT_KILL_BEFORE, /* kill -9 of this process instead of the call */
    FAULT_KILL_HALF,   /* … after half of a write or pwrite; instead of other calls */
    FAULT_KILL_AFTER,  /* … when the call is done */
    FAULT_STOP, /* stops the process (SIGSTOP) before the call, until SIGCONT: time for another one */
    FAULT_STALL, /* never comes back, as from a network that is gone; signals are handled */
    FAULT_KINDS
} fault_kind;

typedef struct fault_plan {
    fault_kind kind;
    int error;
    long at;       /* the call that it hits, from 0 */
    bool forever;  /* that one and all after it … */
    unsigned only; /* … of these (FAULT_BIT), 0: of any sort */
} fault_plan;

/* Counting starts at 0. While armed, fsync is not passed on: a process that is killed loses nothing that it
 * has written, and what power loses is worked out by crash.h; only time would be lost. */
void faults_arm(fault_plan plan);
/* Returns how many calls there were. */
long faults_disarm(void);
/* How often the fault struck since faults_arm. */
long faults_struck(void);
/* The sort of call n since faults_arm (the first 4096 are remembered). */
fault_call faults_call(long n);
const char *faults_call_name(fault_call call);

/* From now on every call that changes what is stored is appended to file, until faults_record(NULL).
 * false if the file cannot be made. */
bool faults_record(const char *file);
/* Writes a number into the record: whoever did the work knows here that step mark is saved. */
void faults_mark(int32_t mark);

/* How an event lies in the record; path, to and data follow without NULs. */
typedef struct fault_event {
    int32_t call, fd, flags; /* open: flags as given; mark: fd is the mark */
    int32_t path_bytes, to_bytes, data_bytes;
    int64_t offset; /* pwrite */
} fault_event;

/* "ENOSPC" -> ENOSPC; 0 if unknown. */
int faults_errno(const char *name);

#endif
