/* crash.h: every state of the files that a loss of power could leave, worked out from a record of calls.
 *
 * The model is what POSIX promises and no more. Bytes written are safe when an fsync of the file has
 * succeeded since; a name made, moved or removed is safe when an fsync of its directory has. Whatever is not
 * safe may be there, be absent, or for bytes be there in part or as zeros; changes of different names may
 * survive in any order, changes of one name only in theirs. Read next: faults.h, tests/fault/test_lost_writes.c.
 */
#ifndef TP_TESTS_CRASH_H
#define TP_TESTS_CRASH_H

#include <stdbool.h>
#include <stdint.h>

/* One state of the files, made in dir. mark is the last number that faults_mark put into the record before
 * the crash, -1 if there was none. Returns false to object. */
typedef bool (*crash_check)(void *user, const char *dir, int32_t mark);

typedef struct crash_opts {
    const char *record; /* by faults_record */
    const char *root;   /* the directory that the calls were about, as its name stands in them */
    const char
        *before; /* its regular files as they were when the record began; NULL: it was empty */
    const char *scratch; /* a directory, made and removed for each state */
    const char *
        mark_name; /* if given: a file moved to a name with this in it sets the mark to the number behind
                              it, once its directory is safe */
    bool no_file_fsync, no_dir_fsync; /* negative controls: pretend that it does not work */
    bool once;                        /* stop at the first objection */
    crash_check check;
    void *user;
} crash_opts;

typedef struct crash_result {
    long points;         /* moments of the crash: before the first call, after each */
    long states;         /* different ones, each checked once for each mark */
    long objected;       /* by the check */
    const char *trouble; /* why the record could not be followed; NULL if it could */
} crash_result;

crash_result crash_explore(const crash_opts *o);

#endif
