/* test_checkpoint_faults.c: every file call of saving, opening and loading a checkpoint goes wrong in turn.
 *
 * Whatever happens to a save, the version before it or the new one can be loaded, and the next save works.
 * Whatever happens to a load, it gives a whole version or an error, and an older version only with a note.
 * Read next: test_io_faults.c for single files, test_lost_writes.c for losses of power, check_kill.c.
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/support/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "models/tapir.h"
#include "tensor/io/file.h"
#include "tests/support/faults/faults.h"
#include "tests/support/faults/scenes.h"

enum { OLD = 3, NEW = 4 };

static const int errors[] = {ENOSPC, EIO, EROFS, EMFILE, EDQUOT, EACCES};
enum { ERRORS = sizeof errors / sizeof *errors };

static const fault_plan no_fault = {.at = -1};
static const scene *const s = &checkpoint_scene;
static const char *folder;
static long faults_made;

static void put_well(int version)
{
    faults_arm(no_fault); /* which spares the time of fsync */
    tp_status status = s->put(folder, version);
    faults_disarm();
    assert_ok(status);
}

static void lay_out(void)
{
    folder = test_tmp("run");
    folder_remove(folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    put_well(OLD - 1);
    put_well(OLD);
}

static int lines(const char *text)
{
    int n = 0;
    for (; *text != 0; text++)
        n += *text == '\n';
    return n;
}

static void describe(fault_plan p)
{
    print_message("call %ld (%s), fault %d %s: ", p.at, faults_call_name(faults_call(p.at)),
                  (int)p.kind, p.kind == FAULT_ERRNO ? strerror(p.error) : "");
    print_message("last error: %s; there is\n%s", tp_last_error(), folder_text(folder));
}

#define want(p, holds)                                                                             \
    do {                                                                                           \
        if (!(holds))                                                                              \
            describe(p);                                                                           \
        assert_true(holds);                                                                        \
    } while (0)

/* --- saving ---------------------------------------------------------------------------------------- */

static void save_with(fault_plan p, bool changes_nothing)
{
    int version = -1, descriptors = open_descriptors();
    lay_out();
    size_t live = tp_mem().live_bytes;
    faults_arm(p);
    tp_status status = s->put(folder, NEW);
    faults_disarm();
    faults_made += faults_struck();
    want(p, status == TP_OK || status == TP_EIO);
    want(p, status == TP_OK || strstr(tp_last_error(), folder) != NULL);
    want(p, status == TP_OK || p.kind != FAULT_ERRNO || strstr(tp_last_error(), strerror(p.error)));
    want(p, !changes_nothing || status == TP_OK);
    want(p, strstr(folder_text(folder), ".tmp-") == NULL);
    want(p, tp_mem().live_bytes == live);
    want(p, open_descriptors() == descriptors);
    want(p, s->get(folder, &version) == TP_OK && (version == NEW || version == OLD));
    want(p, version == NEW || status != TP_OK);
    want(p, lines(folder_text(folder)) >= 2); /* there always is one more to fall back on */
    put_well(NEW + 1);
    want(p, s->get(folder, &version) == TP_OK && version == NEW + 1);
    want(p, lines(folder_text(folder)) == 2); /* what could not be removed is, by the next */
}

static void test_saving(void **state)
{
    (void)state;
    fault_call sort[512];
    lay_out();
    faults_arm(no_fault);
    assert_ok(s->put(folder, NEW));
    long calls = faults_disarm();
    assert_in_range(calls, 10, 512);
    for (long n = 0; n < calls; n++)
        sort[n] = faults_call(n);
    save_with((fault_plan){.kind = FAULT_ONE, .forever = true}, true);
    save_with((fault_plan){.kind = FAULT_HALF, .forever = true}, true);
    for (long n = 0; n < calls; n++) {
        for (int i = 0; i < ERRORS; i++)
            save_with((fault_plan){.kind = FAULT_ERRNO, .error = errors[i], .at = n}, false);
        if ((FAULT_INTERRUPTIBLE & 1u << sort[n]) != 0)
            save_with((fault_plan){.kind = FAULT_ERRNO, .error = EINTR, .at = n}, true);
        if (sort[n] == FAULT_pwrite) {
            save_with((fault_plan){.kind = FAULT_ONE, .at = n}, true);
            save_with((fault_plan){.kind = FAULT_HALF, .at = n}, true);
            save_with((fault_plan){.kind = FAULT_NOTHING, .at = n}, false);
        }
    }
}

/* --- loading --------------------------------------------------------------------------------------- */

static void load_with(fault_plan p, bool changes_nothing)
{
    int version = -1, descriptors = open_descriptors();
    lay_out();
    put_well(NEW);
    size_t live = tp_mem().live_bytes;
    faults_arm(p);
    tp_status status = s->get(folder, &version);
    faults_disarm();
    faults_made += faults_struck();
    want(p, status == TP_OK ? version == NEW || version == OLD : status == TP_EIO);
    want(p, !changes_nothing || (status == TP_OK && version == NEW));
    want(p, status == TP_OK || strstr(tp_last_error(), folder) != NULL);
    want(p, tp_mem().live_bytes == live);
    want(p, open_descriptors() == descriptors);
    want(p, lines(folder_text(folder)) == 2); /* set aside at most, never removed */
    want(p, s->get(folder, &version) == TP_OK && (version == NEW || version == OLD));
}

static void test_loading(void **state)
{
    (void)state;
    fault_call sort[512];
    int version;
    lay_out();
    faults_arm(no_fault);
    assert_ok(s->get(folder, &version));
    long calls = faults_disarm();
    assert_in_range(calls, 8, 512);
    for (long n = 0; n < calls; n++)
        sort[n] = faults_call(n);
    load_with((fault_plan){.kind = FAULT_ONE, .forever = true}, true);
    load_with((fault_plan){.kind = FAULT_HALF, .forever = true}, true);
    for (long n = 0; n < calls; n++) {
        for (int i = 0; i < ERRORS; i++)
            load_with((fault_plan){.kind = FAULT_ERRNO, .error = errors[i], .at = n}, false);
        if ((FAULT_INTERRUPTIBLE & 1u << sort[n]) != 0)
            load_with((fault_plan){.kind = FAULT_ERRNO, .error = EINTR, .at = n}, true);
        if (sort[n] == FAULT_pread) {
            load_with((fault_plan){.kind = FAULT_ONE, .at = n}, true);
            load_with((fault_plan){.kind = FAULT_HALF, .at = n}, true);
        }
    }
}

/* A list of files that breaks off is not a folder without checkpoints. */
static void test_listing_that_fails(void **state)
{
    (void)state;
    tp_checkpoint c;
    lay_out();
    for (long n = 0; n < 3; n++) {
        faults_arm((fault_plan){.kind = FAULT_ERRNO, .error = EIO, .at = n});
        tp_status status = tp_checkpoint_open(&c, folder);
        faults_disarm();
        assert_int_equal(faults_call(n), n == 0 ? FAULT_opendir : FAULT_readdir);
        assert_status(status, TP_EIO);
        assert_message(n == 0 ? "cannot open" : "cannot list");
        assert_message(folder);
    }
}

/* One that is passed over is named in the note, with the reason and what is taken in its place. */
static void test_note(void **state)
{
    (void)state;
    tp_checkpoint c;
    lay_out();
    long n = 0;
    faults_arm(no_fault);
    assert_ok(tp_checkpoint_open(&c, folder));
    tp_checkpoint_close(&c);
    faults_disarm();
    while (faults_call(n) != FAULT_pread)
        n++;
    faults_arm((fault_plan){.kind = FAULT_ERRNO, .error = EIO, .at = n});
    tp_status status = tp_checkpoint_open(&c, folder);
    faults_disarm();
    assert_ok(status);
    assert_int_equal(c.step, OLD - 1);
    assert_non_null(c.note);
    assert_non_null(strstr(c.note, "checkpoint-3.safetensors"));
    assert_non_null(strstr(c.note, strerror(EIO)));
    tp_checkpoint_close(&c);
}

static void test_clean(void **state)
{
    (void)state;
    char path[1024];
    lay_out();
    const char *before = folder_text(folder);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/checkpoint-3.safetensors.tmp-77-%d", folder, i);
        scene_file(path, "half", 4);
    }
    for (long n = 0; n < 4; n++) {
        faults_arm((fault_plan){.kind = FAULT_ERRNO, .error = EIO, .at = n});
        tp_status status = tp_file_clean(folder);
        faults_disarm();
        if (faults_call(n) != FAULT_unlinkat)
            assert_status(status, TP_EIO);
    }
    assert_ok(tp_file_clean(folder));
    assert_string_equal(folder_text(folder), before);
}

static int tidy(void **state)
{
    (void)state;
    folder_remove(test_tmp("run"));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_saving),
        cmocka_unit_test(test_loading),
        cmocka_unit_test(test_listing_that_fails),
        cmocka_unit_test(test_note),
        cmocka_unit_test(test_clean),
    };
    int failed = cmocka_run_group_tests(tests, NULL, tidy);
    printf(
        "checkpoint-faults: %ld faults in saving and loading: the old or the new version each time\n",
        faults_made);
    return failed != 0;
}
