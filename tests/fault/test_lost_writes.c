/* test_lost_writes.c: whatever a loss of power may leave of a save, the loader finds the old or the new version.
 *
 * From a record of the file calls of two saves, crash.h builds every state that POSIX allows after a crash
 * behind each call. While a save runs, the version before it or the new one must load, whole; from the moment it
 * has returned, only the new one. Savers that leave out one step of the protocol must be caught.
 * Read next: tests/support/faults/crash.h for the model, scenes.h for the files.
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/support/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/tapir.h"
#include "tensor/io/file.h"
#include "tests/support/faults/crash.h"
#include "tests/support/faults/faults.h"
#include "tests/support/faults/scenes.h"

enum { OLD = 3, SAVES = 3 };

typedef struct question {
    const scene *scene;
    bool is_folder;  /* the scene's path is the folder itself */
    bool fresh;      /* there is no version to begin with */
    char first[512]; /* what was found where it should not have been */
} question;

static long states_seen, points_seen;

static bool old_or_new(void *user, const char *dir, int32_t mark)
{
    question *q = user;
    char path[1024];
    int version = -1;
    int told = mark < 0 ? OLD : mark; /* the version that the caller was told of last */
    snprintf(path, sizeof path, "%s%s", dir, q->is_folder ? "" : "/file");
    tp_status s = q->scene->get(path, &version);
    bool none_yet = q->fresh && mark < 0 && s != TP_OK;
    bool right = none_yet || (s == TP_OK && (version == told || version == told + 1));
    if (!right && *q->first == 0)
        snprintf(q->first, sizeof q->first, "after version %d was saved, found %d: %.200s\n%.200s",
                 told, s == TP_OK ? version : -1, s == TP_OK ? "" : tp_last_error(),
                 folder_text(dir));
    return right;
}

static crash_result explore(question *q, bool no_file_fsync, bool no_dir_fsync)
{
    const char *folder = test_tmp("live"), *before = test_tmp("before");
    const char *record = test_tmp("record");
    char path[1024], copy[1024];
    snprintf(path, sizeof path, "%s%s", folder, q->is_folder ? "" : "/file");
    snprintf(copy, sizeof copy, "%s%s", before, q->is_folder ? "" : "/file");
    folder_remove(folder);
    folder_remove(before);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(mkdir(before, 0700), 0);
    faults_arm((fault_plan){.at = -1});
    for (int version = OLD - 1; version <= OLD && !q->fresh; version++) {
        assert_ok(q->scene->put(path, version));
        assert_ok(q->scene->put(copy, version));
    }
    assert_true(faults_record(record));
    for (int version = OLD + 1; version <= OLD + SAVES; version++) {
        assert_ok(q->scene->put(path, version));
        faults_mark(version);
    }
    faults_record(NULL);
    faults_disarm();
    crash_result r = crash_explore(&(crash_opts){.record = record,
                                                 .root = folder,
                                                 .before = before,
                                                 .scratch = test_tmp("state"),
                                                 .no_file_fsync = no_file_fsync,
                                                 .no_dir_fsync = no_dir_fsync,
                                                 .check = old_or_new,
                                                 .user = q});
    if (r.trouble != NULL)
        fail_msg("%s: %s", q->scene->name, r.trouble);
    folder_remove(folder);
    folder_remove(before);
    return r;
}

static void check_scene(const scene *s, bool is_folder)
{
    for (int fresh = 0; fresh < 2; fresh++) {
        question q = {.scene = s, .is_folder = is_folder, .fresh = fresh == 1};
        crash_result r = explore(&q, false, false);
        if (r.objected > 0)
            print_error("%s: %ld of %ld states\n%s", s->name, r.objected, r.states, q.first);
        assert_int_equal(r.objected, 0);
        assert_true(r.states > r.points / 2); /* or nothing was tried */
        states_seen += r.states;
        points_seen += r.points;
    }
}

static void test_old_or_new(void **state)
{
    (void)state;
    for (int i = 0; i < scene_count; i++)
        if (scenes[i].written &&
            strcmp(scenes[i].name, "grid") != 0) /* which cannot say a version */
            check_scene(&scenes[i], false);
    check_scene(&checkpoint_scene, true);
}

/* --- negative controls ------------------------------------------------------------------------------ */

/* How often the check objects, and that it does. */
static void must_object(question q, bool no_file_fsync, bool no_dir_fsync)
{
    crash_result r = explore(&q, no_file_fsync, no_dir_fsync);
    print_message("caught: %-12s %4ld of %ld states: %s\n", q.scene->name, r.objected, r.states,
                  strtok(q.first, "\n"));
    assert_true(r.objected > 0);
}

/* The library's own protocol on a system whose fsync does nothing. */
static void test_no_fsync_is_caught(void **state)
{
    (void)state;
    for (int i = 0; i < scene_count; i++)
        if (scenes[i].written && strcmp(scenes[i].name, "grid") != 0) {
            must_object((question){.scene = &scenes[i]}, true, false);
            must_object((question){.scene = &scenes[i]}, false, true);
        }
    must_object((question){.scene = &checkpoint_scene, .is_folder = true}, false, true);
}

/* Writers that leave out, or change the order of, a step. */
typedef enum { RIGHT, IN_PLACE, RENAMES_FIRST, NO_DIRECTORY, REMOVES_FIRST, APPENDS, WAYS } way;
static way chosen;

static void store_version(int fd, int version, bool sync)
{
    char data[1000];
    memset(data, 'a' + version, sizeof data);
    for (int i = 0; i < 4; i++)
        if (write(fd, data, sizeof data / 4) != sizeof data / 4)
            abort();
    if (sync && fsync(fd) != 0)
        abort();
}

static tp_status put_badly(const char *path, int version)
{
    char temp[1024], folder[1024];
    bool in_place = chosen == IN_PLACE || chosen == APPENDS;
    snprintf(temp, sizeof temp, "%s%s", path, in_place ? "" : ".tmp");
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    if (chosen == REMOVES_FIRST)
        unlink(path);
    int fd = open(temp, O_WRONLY | O_CREAT | (chosen == APPENDS ? O_APPEND : O_TRUNC), 0600);
    if (fd < 0)
        return tp_fail(TP_EIO, "%s: cannot be made", temp);
    store_version(fd, version, chosen != RENAMES_FIRST);
    if (!in_place && rename(temp, path) != 0)
        abort();
    if (chosen == RENAMES_FIRST && fsync(fd) != 0)
        abort();
    close(fd);
    if (chosen == NO_DIRECTORY)
        return TP_OK;
    fd = open(folder, O_RDONLY);
    if (fd < 0 || fsync(fd) != 0)
        abort();
    close(fd);
    return TP_OK;
}

/* The last 1000 bytes, all alike. */
static tp_status get_badly(const char *path, int *version)
{
    char *data;
    size_t n, same = 0;
    TP_TRY(tp_file_read_all(path, 100000, &data, &n));
    while (n >= 1000 && same < 1000 && data[n - 1 - same] == data[n - 1])
        same++;
    *version = same == 1000 ? data[n - 1] - 'a' : -1;
    tp_free(data, n + 1);
    return TP_OK;
}

static void test_bad_writers_are_caught(void **state)
{
    (void)state;
    static const char *const names[WAYS] = {"right",        "in place",      "renames first",
                                            "no directory", "removes first", "appends"};
    for (int i = 0; i < WAYS; i++) {
        chosen = (way)i;
        const scene bad = {names[i], true, put_badly, get_badly};
        question q = {.scene = &bad};
        if (i == RIGHT)
            assert_int_equal(explore(&q, false, false).objected, 0);
        else
            must_object(q, false, false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_writers_are_caught),
        cmocka_unit_test(test_no_fsync_is_caught),
        cmocka_unit_test(test_old_or_new),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    printf("lost-writes: %ld states after %ld crashes: the old or the new version each time\n",
           states_seen, points_seen);
    return failed != 0;
}
