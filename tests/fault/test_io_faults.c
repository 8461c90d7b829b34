/* test_io_faults.c: every file call of every reader and writer goes wrong in turn, in every way.
 *
 * An interruption or a short count must change nothing. Any other failure must come back as TP_EIO with a
 * message that names the file and the reason, with the old file as it was, nothing beside it, no descriptor
 * and no byte lost. Three writers that break one of these rules each must be caught, too.
 * Read next: tests/support/faults/faults.h, scenes.h; check_disk.c for real disks.
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/tapir.h"
#include "tensor/io/file.h"
#include "tests/support/faults/faults.h"
#include "tests/support/faults/scenes.h"

enum { OLD = 3, NEW = 4 };

static const int errors[] = {ENOSPC, EIO, EROFS, EMFILE, EDQUOT, EACCES};
enum { ERRORS = sizeof errors / sizeof *errors };

static long faults_made;

/* --- the sweep ------------------------------------------------------------------------------------- */

/* One writer at work in a folder of its own. */
typedef struct work {
    const scene *scene;
    const char *folder, *path;
    bool replaces; /* there is an old version */
    char old_text[512], new_text[512];
    long calls, rename_at;
} work;

/* What was found wrong, or NULL; the rest of the sweep is left out then. */
static const char *complaint;
static char complaint_text[1024];

static bool want(bool holds, const work *w, fault_plan p, const char *what)
{
    if (!holds && complaint == NULL) {
        snprintf(complaint_text, sizeof complaint_text,
                 "%s, call %ld (%s), fault %d '%s': %s; last error: %s", w->scene->name, p.at,
                 faults_call_name(faults_call(p.at)), (int)p.kind,
                 p.kind == FAULT_ERRNO ? strerror(p.error) : "", what, tp_last_error());
        complaint = complaint_text;
    }
    return holds;
}

static const fault_plan no_fault = {.at = -1};

static void lay_out(const work *w)
{
    folder_remove(w->folder);
    faults_arm(no_fault); /* which spares the time of fsync */
    if (mkdir(w->folder, 0700) != 0 || (w->replaces && w->scene->put(w->path, OLD) != TP_OK))
        fail_msg("%s: cannot be laid out: %s", w->folder, tp_last_error());
    faults_disarm();
}

/* Where the message must point; failures of this library's own making have no reason of the system. */
static bool good_message(const work *w, fault_plan p)
{
    return strstr(tp_last_error(), w->path) != NULL &&
           (p.kind != FAULT_ERRNO || strstr(tp_last_error(), strerror(p.error)) != NULL);
}

static void run_put(const work *w, fault_plan p)
{
    lay_out(w);
    size_t live = tp_mem().live_bytes;
    int descriptors = open_descriptors();
    faults_arm(p);
    tp_status s = w->scene->put(w->path, NEW);
    faults_disarm();
    faults_made += faults_struck();
    const char *text = folder_text(w->folder);
    bool is_new = strcmp(text, w->new_text) == 0, is_old = strcmp(text, w->old_text) == 0;
    bool harmless = p.kind == FAULT_ONE || p.kind == FAULT_HALF ||
                    (p.kind == FAULT_ERRNO && p.error == EINTR) ||
                    p.at == w->calls - 1; /* closing the directory, when all is done */
    want(s == (harmless ? TP_OK : TP_EIO), w, p, "a wrong status");
    want(s == TP_OK || good_message(w, p), w, p, "the message does not say what or why");
    if (harmless || p.at > w->rename_at)
        want(is_new, w, p, "not the new file alone");
    else
        want(is_old, w, p, "not the old file alone");
    want(open_descriptors() == descriptors, w, p, "descriptors differ");
    want(tp_mem().live_bytes == live, w, p, "bytes stay behind");
    int version = -1;
    if (is_new || w->replaces)
        want(w->scene->get(w->path, &version) == TP_OK && version == (is_new ? NEW : OLD), w, p,
             "what is there does not load");
}

static void count_put(work *w)
{
    lay_out(w);
    snprintf(w->old_text, sizeof w->old_text, "%s", folder_text(w->folder));
    faults_arm(no_fault);
    tp_status s = w->scene->put(w->path, NEW);
    w->calls = faults_disarm();
    snprintf(w->new_text, sizeof w->new_text, "%s", folder_text(w->folder));
    want(s == TP_OK, w, (fault_plan){.at = 0}, "fails without a fault");
    w->rename_at = w->calls;
    for (long n = 0; n < w->calls; n++)
        if (faults_call(n) == FAULT_rename)
            w->rename_at = n;
}

static bool moves_bytes(fault_call c)
{
    return c == FAULT_read || c == FAULT_pread || c == FAULT_write || c == FAULT_pwrite;
}

static void sweep_put(const scene *s, bool replaces)
{
    work w = {
        .scene = s, .folder = test_tmp("put"), .path = test_tmp("put/file"), .replaces = replaces};
    count_put(&w);
    for (int kind = FAULT_ONE; kind <= FAULT_HALF && complaint == NULL; kind++)
        run_put(&w, (fault_plan){.kind = (fault_kind)kind, .forever = true});
    for (long n = 0; n < w.calls && complaint == NULL; n++) {
        faults_arm(no_fault); /* the sorts of calls, once more */
        s->put(w.path, NEW);
        faults_disarm();
        fault_call c = faults_call(n);
        for (int i = 0; i < ERRORS && complaint == NULL; i++)
            run_put(&w, (fault_plan){.kind = FAULT_ERRNO, .error = errors[i], .at = n});
        if ((FAULT_INTERRUPTIBLE & 1u << c) != 0)
            run_put(&w, (fault_plan){.kind = FAULT_ERRNO, .error = EINTR, .at = n});
        if (moves_bytes(c)) {
            run_put(&w, (fault_plan){.kind = FAULT_ONE, .at = n});
            run_put(&w, (fault_plan){.kind = FAULT_HALF, .at = n});
            run_put(&w, (fault_plan){.kind = FAULT_NOTHING, .at = n});
        }
    }
    folder_remove(w.folder);
}

static void assert_no_complaint(void)
{
    if (complaint != NULL)
        print_error("%s\n", complaint);
    assert_null(complaint);
}

static void test_writers(void **state)
{
    (void)state;
    for (int i = 0; i < scene_count; i++)
        for (int replaces = 0; replaces < 2 && scenes[i].written; replaces++) {
            sweep_put(&scenes[i], replaces);
            assert_no_complaint();
        }
}

/* --- reading --------------------------------------------------------------------------------------- */

static void run_get(const work *w, fault_plan p)
{
    int version = -2, descriptors = open_descriptors();
    size_t live = tp_mem().live_bytes;
    faults_arm(p);
    tp_status s = w->scene->get(w->path, &version);
    faults_disarm();
    faults_made += faults_struck();
    bool harmless = p.kind == FAULT_ONE || p.kind == FAULT_HALF ||
                    (p.kind == FAULT_ERRNO && p.error == EINTR) ||
                    faults_call(p.at) == FAULT_close; /* nothing that was read is wrong */
    want(s == TP_OK || good_message(w, p), w, p, "the message does not say what or why");
    /* Looking for a file may fail and reading it may work. */
    bool looking = faults_call(p.at) == FAULT_stat;
    if (!looking || s != TP_OK)
        want(s == (harmless ? TP_OK : TP_EIO), w, p, "a wrong status");
    if (s == TP_OK)
        want(version == NEW, w, p, "wrong values");
    want(open_descriptors() == descriptors, w, p, "descriptors differ");
    want(tp_mem().live_bytes == live, w, p, "bytes stay behind");
}

static void sweep_get(const scene *s)
{
    work w = {.scene = s, .folder = test_tmp("get"), .path = test_tmp("get/file")};
    lay_out(&w);
    int version = -1;
    want(s->put(w.path, NEW) == TP_OK, &w, (fault_plan){0}, "cannot be written");
    faults_arm(no_fault);
    tp_status status = s->get(w.path, &version);
    w.calls = faults_disarm();
    want(status == TP_OK && version == NEW, &w, (fault_plan){0}, "cannot be read");
    fault_call sort[512] = {0};
    for (long n = 0; n < w.calls && n < 512; n++)
        sort[n] = faults_call(n);
    for (int kind = FAULT_ONE; kind <= FAULT_HALF && complaint == NULL; kind++)
        run_get(&w, (fault_plan){.kind = (fault_kind)kind, .forever = true});
    for (long n = 0; n < w.calls && complaint == NULL; n++) {
        for (int i = 0; i < ERRORS && complaint == NULL; i++)
            run_get(&w, (fault_plan){.kind = FAULT_ERRNO, .error = errors[i], .at = n});
        if ((FAULT_INTERRUPTIBLE & 1u << sort[n]) != 0)
            run_get(&w, (fault_plan){.kind = FAULT_ERRNO, .error = EINTR, .at = n});
        if (moves_bytes(sort[n])) {
            run_get(&w, (fault_plan){.kind = FAULT_ONE, .at = n});
            run_get(&w, (fault_plan){.kind = FAULT_HALF, .at = n});
        }
    }
    folder_remove(w.folder);
}

static void test_readers(void **state)
{
    (void)state;
    for (int i = 0; i < scene_count; i++) {
        if (strcmp(scenes[i].name, "grid") != 0) /* read as png is */
            sweep_get(&scenes[i]);
        assert_no_complaint();
    }
}

/* --- special cases --------------------------------------------------------------------------------- */

/* A disk that breaks for good: even the temporary cannot be removed then, but the old file is whole and
 * the first failure is the one that is told. */
static void test_broken_for_good(void **state)
{
    (void)state;
    work w = {.scene = &scenes[1],
              .folder = test_tmp("put"),
              .path = test_tmp("put/file"),
              .replaces = true};
    count_put(&w);
    for (long n = 0; n < w.calls; n++) {
        int version = -1, descriptors = open_descriptors();
        size_t live = tp_mem().live_bytes;
        lay_out(&w);
        faults_arm((fault_plan){.kind = FAULT_ERRNO, .error = EIO, .at = n, .forever = true});
        tp_status s = w.scene->put(w.path, NEW);
        faults_disarm();
        faults_made += faults_struck();
        assert_status(s, n < w.calls - 1 ? TP_EIO : TP_OK);
        assert_true(s == TP_OK || strstr(tp_last_error(), strerror(EIO)) != NULL);
        assert_ok(w.scene->get(w.path, &version));
        assert_int_equal(version, n > w.rename_at ? NEW : OLD);
        assert_int_equal(open_descriptors(), descriptors);
        assert_int_equal(tp_mem().live_bytes, live);
    }
    folder_remove(w.folder);
}

/* Some file systems cannot sync a directory and say EINVAL, which is no failure of the write. */
static void test_directory_that_cannot_sync(void **state)
{
    (void)state;
    work w = {.scene = &scenes[0], .folder = test_tmp("put"), .path = test_tmp("put/file")};
    int version = -1;
    count_put(&w);
    lay_out(&w);
    faults_arm((fault_plan){.kind = FAULT_ERRNO, .error = EINVAL, .at = w.calls - 2});
    tp_status s = w.scene->put(w.path, NEW);
    faults_disarm();
    assert_int_equal(faults_call(w.calls - 2), FAULT_fsync);
    assert_ok(s);
    assert_ok(w.scene->get(w.path, &version));
    assert_int_equal(version, NEW);
    folder_remove(w.folder);
}

/* A file that is there but cannot be looked at is not a file that is not there: nothing is replaced blindly. */
static void test_unknown_target(void **state)
{
    (void)state;
    work w = {.scene = &scenes[0],
              .folder = test_tmp("put"),
              .path = test_tmp("put/file"),
              .replaces = true};
    lay_out(&w);
    faults_arm((fault_plan){.kind = FAULT_ERRNO, .error = EIO, .at = 0});
    tp_status s = w.scene->put(w.path, NEW);
    faults_disarm();
    assert_int_equal(faults_call(0), FAULT_stat);
    assert_status(s, TP_EIO);
    assert_message("cannot stat");
    folder_remove(w.folder);
}

/* --- negative controls ------------------------------------------------------------------------------ */

/* Writers that each forget one thing. */
typedef enum {
    IN_PLACE,
    SHORT_IS_DONE,
    LEAVES_TEMPORARY,
    LEAKS_DESCRIPTOR,
    LEAKS_BYTES,
    SILENT
} sin;
static sin committed;
static void *leaked; /* freed by the test, for sanitizers look for leaks, too */

static tp_status sinner(const char *path, int version)
{
    char data[1000], name[1024];
    void *leak = committed == LEAKS_BYTES ? tp_alloc(10) : NULL;
    bool in_place = committed == IN_PLACE, failed = false;
    memset(data, 'a' + version, sizeof data);
    snprintf(name, sizeof name, "%s%s", path, in_place ? "" : ".tmp");
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0)
        return tp_free(leak, 10), tp_fail(TP_EIO, "%s: %s", path, strerror(errno));
    for (size_t done = 0; done < sizeof data && !failed;) {
        ssize_t n = write(fd, data + done, sizeof data - done);
        if (n < 0 && errno == EINTR)
            continue;
        failed = n <= 0;
        done += committed == SHORT_IS_DONE ? sizeof data - done : failed ? 0 : (size_t)n;
    }
    if (failed) {
        tp_status s =
            committed == SILENT ? TP_OK : tp_fail(TP_EIO, "%s: %s", path, strerror(errno));
        if (committed != LEAKS_DESCRIPTOR)
            close(fd);
        if (committed != LEAVES_TEMPORARY)
            unlink(name);
        leaked = leak;
        return s;
    }
    tp_free(leak, 10);
    close(fd);
    return in_place || rename(name, path) == 0 ? TP_OK : tp_fail(TP_EIO, "%s: rename", path);
}

static tp_status read_sinner(const char *path, int *version)
{
    char *data;
    size_t n;
    TP_TRY(tp_file_read_all(path, 10000, &data, &n));
    *version = n == 1000 ? data[0] - 'a' : -1;
    tp_free(data, n + 1);
    return TP_OK;
}

static void test_sinners_are_caught(void **state)
{
    (void)state;
    static const char *const caught[] = {
        [IN_PLACE] = "not the old file alone",         [SHORT_IS_DONE] = "not the new file alone",
        [LEAVES_TEMPORARY] = "not the old file alone", [LEAKS_DESCRIPTOR] = "descriptors differ",
        [LEAKS_BYTES] = "bytes stay behind",           [SILENT] = "a wrong status"};
    const scene bad = {"a bad writer", true, sinner, read_sinner};
    for (int i = IN_PLACE; i <= SILENT; i++) {
        committed = (sin)i;
        work w = {.scene = &bad,
                  .folder = test_tmp("bad"),
                  .path = test_tmp("bad/file"),
                  .replaces = true};
        count_put(&w);
        assert_no_complaint();
        long write_at = 0;
        while (faults_call(write_at) != FAULT_write)
            write_at++;
        if (i == SHORT_IS_DONE)
            run_put(&w, (fault_plan){.kind = FAULT_HALF, .at = write_at});
        else
            run_put(&w, (fault_plan){.kind = FAULT_ERRNO, .error = ENOSPC, .at = write_at});
        if (complaint == NULL || strstr(complaint, caught[i]) == NULL)
            fail_msg("bad writer %d: expected '%s', got '%s'", i, caught[i],
                     complaint ? complaint : "nothing");
        complaint = NULL;
        tp_free(leaked, 10);
        leaked = NULL;
        folder_remove(w.folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sinners_are_caught),
        cmocka_unit_test(test_writers),
        cmocka_unit_test(test_readers),
        cmocka_unit_test(test_broken_for_good),
        cmocka_unit_test(test_directory_that_cannot_sync),
        cmocka_unit_test(test_unknown_target),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    printf("io-faults: %ld faults in %d readers and writers: old or new file, nothing lost\n",
           faults_made, scene_count);
    return failed != 0;
}
