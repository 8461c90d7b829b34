/* check_disk.c: training on a disk that is full, read-only or loses power: it ends with a message, what is saved
 * stays, and once the disk is good again the run goes on to the same bytes.
 *
 * Full disks are real ones in memory where the system allows mounting, limits on the size of files elsewhere,
 * and ENOSPC from a chosen call on. Lost power is worked out from a record of a whole run's calls: every state it
 * may leave is built and gone on with. "short" takes a few of each, "full" all. Read next: check_kill.c.
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/support/check.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/tapir.h"
#include "tests/support/faults/crash.h"
#include "tests/support/faults/disk.h"
#include "tests/support/faults/faults.h"
#include "tests/support/faults/scenes.h"
#include "tests/support/faults/train.h"

static bool full;
static long full_disks, real_disks, states, resumed;

/* --- a full disk -------------------------------------------------------------------------------------- */

/* The disk is full from call n on, for good. */
static void fill_up_at(const char *error, int number, long n)
{
    char fault[64];
    const char *folder = test_tmp("injected");
    folder_remove(folder);
    snprintf(fault, sizeof fault, "%s:%ld+", error, n);
    int ended = train_run((train_opts){.folder = folder, .fault = fault});
    if (ended == 0) /* nothing more was to be written */
        return;
    int newest = train_newest(folder);
    if (ended != 1 || strstr(train_error(), strerror(number)) == NULL)
        fail_msg("%s (%s): ends with %d: %s", fault, train_call(n), ended, train_error());
    if (newest == -2 || strstr(folder_text(folder), ".tmp-") != NULL)
        fail_msg("%s (%s): newest %d, there is\n%s", fault, train_call(n), newest,
                 folder_text(folder));
    if (newest > 0 && strstr(train_error(), "--resume") == NULL)
        fail_msg("%s: the message does not say how to go on: %s", fault, train_error());
    if (newest == -1 && access(folder, F_OK) == 0)
        fail_msg("%s: a run without a checkpoint leaves its folder", fault);
    assert_true(train_ends_well(folder));
    full_disks++;
}

static void test_injected(void **state)
{
    (void)state;
    double calls = (double)train_calls(), step = full ? 1 : calls / 7.7;
    for (double n = full ? 0 : step / 2; n < calls; n += step)
        fill_up_at("ENOSPC", ENOSPC, (long)n);
    fill_up_at("EDQUOT", EDQUOT, (long)calls / 2);
}

/* The largest size at which a run still fails is found by halving; then many in between. */
static int run_on_disk(const char *disk, const char *folder, long bytes)
{
    if (!disk_mount(disk, bytes))
        return -1;
    return train_run((train_opts){.folder = folder, .plain = true});
}

static void test_real(void **state)
{
    (void)state;
    const char *disk = test_tmp("disk"), *folder = test_tmp("disk/run"), *copy = test_tmp("copy");
    char command[4096];
    assert_int_equal(mkdir(disk, 0700), 0);
    if (!disk_mount(disk, 1 << 20)) {
        print_message(
            "no disk can be mounted here (needs the rights of root): limits on the size of "
            "files (test_limit) and injected errors only\n");
        return;
    }
    disk_unmount(disk);
    long whole = 4096;
    for (long bytes = 4096 * 8; bytes < 4096 * 128; bytes += full ? 4096 : 4096 * 14) {
        int ended = run_on_disk(disk, folder, bytes);
        assert_true(ended == 0 || ended == 1);
        if (ended == 1) {
            assert_non_null(strstr(train_error(), strerror(ENOSPC)));
            assert_null(strstr(folder_text(folder), ".tmp-"));
            assert_int_not_equal(train_newest(folder), -2);
            real_disks++;
            whole = bytes;
        }
        folder_remove(copy); /* a larger disk is where the run goes on */
        snprintf(command, sizeof command, "if [ -d %s ]; then cp -r %s %s; fi", folder, folder,
                 copy);
        assert_int_equal(system(command), 0);
        disk_unmount(disk);
        assert_true(train_ends_well(copy));
    }
    print_message("a run fits on disks of more than %ld KiB\n", whole / 1024);
    assert_true(real_disks >= 2);
    folder_remove(copy);
}

/* A quota on the size of files, which every system has: nothing but the large files is refused. */
static void test_limit(void **state)
{
    (void)state;
    const char *folder = test_tmp("limit");
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 20000; /* config.json and the weights fit, a checkpoint does not */
    folder_remove(folder);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int ended = train_run((train_opts){.folder = folder, .plain = true});
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(ended, 1);
    assert_non_null(strstr(train_error(), strerror(EFBIG)));
    assert_int_not_equal(access(folder, F_OK), 0); /* nothing was worth keeping */
    full_disks++;
}

static void test_read_only(void **state)
{
    (void)state;
    const char *disk = test_tmp("readonly"), *folder = test_tmp("readonly/run");
    mkdir(disk, 0700);
    if (!disk_mount(disk, 1 << 20)) {
        print_message("no disk can be mounted here: read-only ones are left to injected errors\n");
        assert_int_equal(train_run((train_opts){.folder = folder, .fault = "EROFS:30"}), 1);
        return;
    }
    assert_true(disk_read_only(disk, true));
    assert_int_equal(train_run((train_opts){.folder = folder, .plain = true}), 1);
    assert_non_null(strstr(train_error(), strerror(EROFS)));
    assert_true(disk_read_only(disk, false));
    assert_int_equal(train_run((train_opts){.folder = folder, .fault = "kill-before:300"}),
                     -SIGKILL);
    char before[8192];
    snprintf(before, sizeof before, "%s", folder_text(folder));
    assert_true(disk_read_only(disk, true));
    assert_int_equal(train_run((train_opts){.folder = folder, .resume = true, .plain = true}), 1);
    assert_non_null(strstr(train_error(), strerror(EROFS)));
    assert_string_equal(folder_text(folder), before);
    assert_true(disk_read_only(disk, false));
    assert_true(train_ends_well(folder));
    disk_unmount(disk);
    real_disks += 2;
}

/* --- lost power ---------------------------------------------------------------------------------------- */

typedef struct question {
    long asked, every; /* how often a run goes on from what was found: not every time in short */
    bool resume;
    char first[8192];
} question;

/* mark: the step of the newest checkpoint whose name was safe before the crash. */
static bool goes_on(void *user, const char *dir, int32_t mark)
{
    question *q = user;
    char folder[1024];
    snprintf(folder, sizeof folder, "%s/run", dir);
    int newest = train_newest(folder);
    bool right = newest >= (mark > 0 ? mark : -1);
    if (right && q->resume && q->asked++ % q->every == 0) {
        right = train_ends_well(folder);
        resumed++;
    }
    if (!right && *q->first == 0)
        snprintf(q->first, sizeof q->first, "checkpoint %d was saved, found %d (%s):\n%.4000s",
                 (int)mark, newest, newest == -2 ? tp_last_error() : "", folder_text(folder));
    return right;
}

static crash_result lose_power(question *q, bool no_file_fsync, bool no_dir_fsync)
{
    const char *root = test_tmp("power"), *record = test_tmp("power-record");
    folder_remove(root);
    assert_int_equal(mkdir(root, 0700), 0);
    int ended = train_run((train_opts){.folder = test_tmp("power/run"), .record = record});
    assert_int_equal(ended, 0);
    folder_remove(root);
    return crash_explore(&(crash_opts){.record = record,
                                       .root = root,
                                       .scratch = test_tmp("after"),
                                       .mark_name = "/checkpoint-",
                                       .once = no_file_fsync || no_dir_fsync,
                                       .no_file_fsync = no_file_fsync,
                                       .no_dir_fsync = no_dir_fsync,
                                       .check = goes_on,
                                       .user = q});
}

static void test_lost_power(void **state)
{
    (void)state;
    question q = {.every = full ? 1 : 97, .resume = true};
    crash_result r = lose_power(&q, false, false);
    if (r.trouble != NULL || r.objected > 0)
        fail_msg("%ld of %ld states, %s: %s", r.objected, r.states, r.trouble ? r.trouble : "",
                 q.first);
    states += r.states;
    assert_true(r.states > 200);
}

/* A system whose fsync does nothing must be caught. */
static void test_no_fsync_is_caught(void **state)
{
    (void)state;
    for (int files = 0; files < 2; files++) {
        question q = {0};
        crash_result r = lose_power(&q, files == 1, files == 0);
        assert_null(r.trouble);
        assert_true(r.objected > 0);
    }
}

int main(int argc, char **argv)
{
    full = argc > 1 && strcmp(argv[1], "full") == 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_fsync_is_caught),
        cmocka_unit_test(test_lost_power),
        cmocka_unit_test(test_injected),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_real),
        cmocka_unit_test(test_read_only),
    };
    bool ready = train_set_up();
    int failed = ready ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
    printf(
        "check-disk: %ld full disks injected, %ld real ones, %ld states after lost power (%ld gone on with): %s\n",
        full_disks, real_disks, states, resumed,
        failed  ? "FAILED"
        : ready ? "nothing saved was lost, every resumed run byte-identical"
                : "left out: no vae");
    return failed != 0;
}
