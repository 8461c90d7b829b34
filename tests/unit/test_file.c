/* test_file.c: a file is replaced completely or not at all, and failures leave nothing behind.
 *
 * Crashes in the middle of a write are the business of the fault tests. Read next: tensor/io/file.h.
 */
#define _POSIX_C_SOURCE 200809L

#include "tests/support/check.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tensor/io/file.h"
#include "tensor/mem.h"

static int files_in(const char *folder)
{
    int n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void check_content(const char *path, const char *want)
{
    char *data;
    size_t n;
    assert_ok(tp_file_read_all(path, 1 << 20, &data, &n));
    assert_int_equal(n, strlen(want));
    assert_string_equal(data, want);
    tp_free(data, n + 1);
}

static const char *folder(const char *name)
{
    const char *path = test_tmp(name);
    assert_int_equal(mkdir(path, 0700), 0);
    return path;
}

static tp_status write_text(const char *path, const char *text)
{
    tp_file_writer w;
    TP_TRY(tp_file_begin(&w, path));
    TP_TRY(tp_file_write(&w, text, strlen(text)));
    return tp_file_commit(&w);
}

static void test_replaces(void **state)
{
    (void)state;
    const char *dir = folder("replaces"), *path = test_tmp("replaces/a");
    assert_ok(write_text(path, "first"));
    tp_file_writer w;
    assert_ok(tp_file_begin(&w, path));
    assert_int_equal(files_in(dir), 2);
    assert_ok(tp_file_write(&w, "second", 6));
    check_content(path, "first"); /* until the commit */
    assert_ok(tp_file_commit(&w));
    check_content(path, "second");
    assert_ok(write_text(path, ""));
    check_content(path, "");
    assert_int_equal(files_in(dir), 1);
}

/* What only its owner could read is not laid open by writing it again. */
static void test_permissions(void **state)
{
    (void)state;
    const char *path = test_tmp("private");
    static const mode_t modes[] = {0600, 0400, 0640};
    struct stat info;
    mode_t mask = umask(022);
    assert_ok(write_text(path, "new"));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0644);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_ok(write_text(path, "again"));
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 0777, modes[i]);
    }
    umask(mask);
}

static void test_abort(void **state)
{
    (void)state;
    const char *dir = folder("abort"), *path = test_tmp("abort/a");
    size_t live = tp_mem().live_bytes;
    tp_file_writer w;
    assert_ok(tp_file_begin(&w, path));
    assert_ok(tp_file_write(&w, "text", 4));
    tp_file_abort(&w);
    tp_file_abort(&w);
    assert_int_equal(files_in(dir), 0);
    assert_int_not_equal(tp_file_write(&w, "text", 4), TP_OK);
    assert_int_not_equal(tp_file_commit(&w), TP_OK);
    assert_int_equal(tp_mem().live_bytes, live);
}

/* Pieces of all sizes around the buffer's. */
static void test_long_writes(void **state)
{
    (void)state;
    const char *path = test_tmp("long");
    static char piece[20000];
    static const size_t sizes[] = {1, 8191, 1, 8192, 8193, 0, 20000, 5, 16384};
    size_t total = 0, n;
    char *data;
    tp_file_writer w;
    for (size_t i = 0; i < sizeof piece; i++)
        piece[i] = (char)(i * 31);
    assert_ok(tp_file_begin(&w, path));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_ok(tp_file_write(&w, piece, sizes[i]));
    assert_ok(tp_file_commit(&w));
    assert_ok(tp_file_read_all(path, 1 << 20, &data, &n));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; total += sizes[i++])
        assert_memory_equal(data + total, piece, sizes[i]);
    assert_int_equal(n, total);
    tp_free(data, n + 1);
}

static void test_refuses_targets(void **state)
{
    (void)state;
    const char *dir = folder("refuses"), *fifo = test_tmp("refuses/fifo");
    tp_file_writer w;
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_status(tp_file_begin(&w, dir), TP_EIO);
    assert_message("a directory");
    assert_status(tp_file_begin(&w, fifo), TP_EIO);
    assert_message("a pipe or device");
    assert_status(tp_file_begin(&w, "/dev/null"), TP_EIO);
    assert_status(tp_file_begin(&w, test_tmp("no/such/place")), TP_EIO);
    assert_message("No such file");
    assert_status(tp_file_begin(&w, ""), TP_EIO);
    tp_file_abort(&w); /* harmless */
    assert_int_equal(files_in(dir), 1);
}

/* A full disk, played by a limit on file sizes: the old file stays and the temporary goes. */
static void test_full_disk(void **state)
{
    (void)state;
    const char *dir = folder("full"), *path = test_tmp("full/a");
    struct rlimit old, small;
    static char zeros[100000];
    tp_file_writer w;
    size_t live = tp_mem().live_bytes;
    assert_ok(write_text(path, "old"));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 50000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    tp_status begun = tp_file_begin(&w, path), written = tp_file_write(&w, zeros, sizeof zeros);
    tp_status committed = tp_file_commit(&w);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(begun, TP_OK);
    assert_int_equal(written, TP_EIO);
    assert_int_equal(committed, TP_EIO);
    assert_message("cannot write");
    check_content(path, "old");
    assert_int_equal(files_in(dir), 1);
    assert_int_equal(tp_mem().live_bytes, live);
}

/* What was the matter first stays the answer, whatever is written next. */
static void test_first_failure_stays(void **state)
{
    (void)state;
    tp_file_writer w;
    tp_tensor large, turned;
    assert_ok(tp_tensor_new(&large, TP_F32, TP_SHAPE(50, 60)));
    assert_ok(tp_view_transpose(&large, 0, 1, &turned));
    assert_ok(tp_file_begin(&w, test_tmp("given_up")));
    tp_file_abort(&w);
    tp_mem_set_budget(tp_mem().live_bytes + 64); /* no room for a copy in row-major order */
    tp_status s = tp_file_write_elements(&w, &turned);
    tp_mem_set_budget(0);
    assert_int_equal(s, TP_EIO);
    tp_tensor_free(&large);
}

/* The directory of a name is synced, not what has the name: here nothing has. */
static void test_sync_name(void **state)
{
    (void)state;
    char path[1024];
    const char *dir = folder("synced");
    static const char *const ends[] = {"/x", "/x/", "/x///"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", dir, ends[i]);
        assert_ok(tp_file_sync_name(path));
    }
    assert_ok(tp_file_sync_name("/"));
    assert_ok(tp_file_sync_name("x"));
    assert_status(tp_file_sync_name(test_tmp("no/such/")), TP_EIO);
    assert_message("no/such/: cannot sync the directory");
}

static void test_reading(void **state)
{
    (void)state;
    const char *path = test_tmp("reading");
    char *data, piece[8] = {0};
    size_t n;
    tp_file f;
    assert_ok(write_text(path, "0123456789"));
    assert_status(tp_file_read_all(path, 9, &data, &n), TP_EFORMAT);
    assert_message("at most 9");
    assert_ok(tp_file_open(&f, path));
    assert_int_equal(f.size, 10);
    assert_ok(tp_file_read_at(&f, 3, piece, 7));
    assert_string_equal(piece, "3456789");
    assert_status(tp_file_read_at(&f, 5, piece, 7), TP_EFORMAT);
    assert_message("ends at byte 10, expected 2 more");
    assert_ok(tp_file_read_at(&f, 10, piece, 0));
    tp_file_close(&f);
    tp_file_close(&f);
    assert_status(tp_file_open(&f, test_tmp("missing")), TP_EIO);
}

static void test_blocks(void **state)
{
    (void)state;
    size_t live = tp_mem().live_bytes;
    char *p = tp_block_alloc(1000), *q = tp_block_alloc(0);
    assert_true((uintptr_t)p % TP_ALIGN == 0 && q != NULL);
    memset(p, 1, 1000);
    tp_block_free(p);
    tp_block_free(q);
    tp_block_free(NULL);
    assert_int_equal(tp_mem().live_bytes, live);
    assert_null(tp_block_alloc(SIZE_MAX - 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replaces),        cmocka_unit_test(test_permissions),
        cmocka_unit_test(test_abort),           cmocka_unit_test(test_long_writes),
        cmocka_unit_test(test_refuses_targets), cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_reading),         cmocka_unit_test(test_first_failure_stays),
        cmocka_unit_test(test_sync_name),       cmocka_unit_test(test_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
