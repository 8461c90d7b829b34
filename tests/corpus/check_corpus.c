/* check_corpus.c: hostile, damaged and odd files: each is refused with exactly the message, or read to exactly
 * the values, that stand in expected.txt.
 *
 * The files below this folder are written by generate.py; one whose name starts with ok_ must be read. Every
 * file also goes through the readers of other formats, which must say what it looks like; then good files are
 * cut at every byte and changed at every byte. With TAPIR_UPDATE_GOLDEN=1 expected.txt is written anew: look at
 * the difference. Read next: tests/support/loaders.h for what is watched in every single call.
 */
#define _XOPEN_SOURCE 700

#include "tests/support/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tensor/io/file.h"
#include "tensor/mem.h"
#include "tests/support/loaders.h"

enum { MOST_FILES = 1000, NAME_BYTES = 256, HEAD_BYTES = 16, MUTATED_BYTES_MAX = 700 };

static bool full;
static long faults;
static struct {
    long files, accepted, crossed, cut, changed, controls;
} figure;

/* --- the files ----------------------------------------------------------------------------------- */

static const struct {
    const char *folder;
    int loader; /* LOADERS: none of them */
} folders[] = {{"idx", LOADER_IDX}, {"gz", LOADER_IDX},
               {"npy", LOADER_NPY}, {"safetensors", LOADER_SAFETENSORS},
               {"png", LOADER_PNG}, {"other", LOADERS}};

/* "folder/name" below tests/corpus, sorted; main has gone there. */
static char names[MOST_FILES][NAME_BYTES];
static int loader_of[MOST_FILES], n_names;

static int not_hidden(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static void find_files(void)
{
    for (size_t f = 0; f < sizeof folders / sizeof *folders; f++) {
        struct dirent **found;
        int n = scandir(folders[f].folder, &found, not_hidden, alphasort);
        assert_true(n > 0);
        for (int i = 0; i < n; i++) {
            assert_true(n_names < MOST_FILES);
            snprintf(names[n_names], NAME_BYTES, "%s/%.200s", folders[f].folder, found[i]->d_name);
            loader_of[n_names++] = folders[f].loader;
            free(found[i]);
        }
        free(found);
    }
}

static bool must_be_read(const char *path)
{
    return strncmp(strrchr(path, '/') + 1, "ok_", 3) == 0;
}

/* NULL if it is as its name says and no rule was broken. */
static const char *judged(const outcome *o, const char *path)
{
    if (o->fault != NULL)
        return o->fault;
    if ((o->status == TP_OK) != must_be_read(path))
        return o->status == TP_OK ? "a file that must be refused was read"
                                  : "a file that must be read was refused";
    return NULL;
}

static void check_judged(const outcome *o, const char *path)
{
    const char *fault = judged(o, path);
    if (fault != NULL)
        print_error("%s: %s\n  %s\n", path, fault, o->line);
    faults += fault != NULL;
}

/* --- exact messages ------------------------------------------------------------------------------- */

/* The number of lines that differ; the first few are shown if asked for. */
static long differences(const char *got, const char *want, bool show)
{
    long n = 0;
    while (*got != 0 || *want != 0) {
        size_t g = strcspn(got, "\n"), w = strcspn(want, "\n");
        if (g != w || memcmp(got, want, g) != 0) {
            if (show && n < 20)
                print_error("got  %.*s\nwant %.*s\n", (int)g, got, (int)w, want);
            n++;
        }
        got += g + (got[g] != 0);
        want += w + (want[w] != 0);
    }
    return n;
}

static char *read_text(const char *path)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    assert_in_range(fread(text, 1, (1 << 20) - 1, f), 1, (1 << 20) - 2);
    fclose(f);
    return text;
}

/* What every reader makes of the whole corpus, a line each. The caller frees. */
static char *all_lines(void)
{
    size_t bytes;
    char *text;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    for (int i = 0; i < n_names; i++)
        for (int l = 0; l < LOADERS; l++) {
            if (loader_of[i] != LOADERS && loader_of[i] != l)
                continue;
            outcome o = load_watched(&loaders[l], names[i]);
            check_judged(&o, names[i]);
            fprintf(out, "%s\n", o.line);
            figure.accepted += o.status == TP_OK;
        }
    figure.files = n_names;
    for (int l = 0; l < LOADERS; l++) { /* what is no file at all */
        outcome o = load_watched(&loaders[l], "other/no such file");
        assert_int_equal(o.status, TP_EIO);
        fprintf(out, "%s\n", o.line);
        o = load_watched(&loaders[l], "other");
        assert_int_equal(o.status, TP_EIO);
        fprintf(out, "%s\n", o.line);
    }
    assert_int_equal(fclose(out), 0);
    return text;
}

static void test_expected(void **state)
{
    (void)state;
    char *got = all_lines();
    if (getenv("TAPIR_UPDATE_GOLDEN") != NULL) {
        FILE *out = fopen("expected.txt", "w");
        assert_non_null(out);
        assert_true(fputs(got, out) >= 0);
        assert_int_equal(fclose(out), 0);
    }
    char *want = read_text("expected.txt");
    assert_int_equal(differences(got, want, true), 0);
    assert_int_equal(faults, 0);
    assert_true(figure.files >= 120);
    free(got);
    free(want);
}

/* Negative controls: one wrong letter, a line too few, a good file under the name of a bad one. */
static void test_expected_can_fail(void **state)
{
    (void)state;
    char *want = read_text("expected.txt"), *wrong = read_text("expected.txt");
    *strstr(wrong, "expected") = 'E';
    assert_int_equal(differences(wrong, want, false), 1);
    *strrchr(wrong, 'e') = 0;
    assert_true(differences(wrong, want, false) >= 2);
    free(want);
    free(wrong);
    outcome o = load_watched(&loaders[LOADER_IDX], "idx/ok_labels.idx");
    assert_null(judged(&o, "idx/ok_labels.idx"));
    assert_non_null(judged(&o, "idx/labels.idx"));
    o = load_watched(&loaders[LOADER_IDX], "idx/empty.idx");
    assert_non_null(judged(&o, "idx/ok_empty.idx"));
    figure.controls += 4;
}

/* --- the wrong reader ------------------------------------------------------------------------------ */

/* What a reader must say of a file of another format. */
static void unexpected(const loader *l, const char *path, char want[NAME_BYTES])
{
    unsigned char head[HEAD_BYTES];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(head, 1, sizeof head, f);
    fclose(f);
    if (n > 0 && n < l->least)
        snprintf(want, NAME_BYTES, "E_FORMAT %s: has only %zu byte%s, expected %s", path, n,
                 n == 1 ? "" : "s", l->expected);
    else
        snprintf(want, NAME_BYTES, "E_FORMAT %s: looks like %s, expected %s", path,
                 tp_file_looks_like(head, n), l->expected);
}

/* A file of another format is called what it looks like, and what was expected is named. */
static void test_wrong_reader(void **state)
{
    (void)state;
    char want[NAME_BYTES];
    for (int i = 0; i < n_names; i++)
        for (int l = 0; l < LOADERS; l++) {
            if (l == loader_of[i] || loader_of[i] == LOADERS)
                continue;
            outcome o = load_watched(&loaders[l], names[i]);
            unexpected(&loaders[l], names[i], want);
            assert_null(o.fault);
            assert_string_equal(o.line, want);
            figure.crossed++;
        }
}

/* --- names that are traps themselves --------------------------------------------------------------- */

static void test_name_of_file(void **state)
{
    (void)state;
    const char *path = test_tmp("a\33[31m\nE_IO b: \xc2\x9b \xe2\x80\xae \xff.idx");
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    for (int made = 1; made >= 0; made--) {
        for (int l = 0; l < LOADERS; l++) {
            loaded out;
            bool untouched;
            assert_int_not_equal(loaders[l].load(path, &out, &untouched), TP_OK);
            assert_null(message_fault(tp_last_error()));
            assert_message("a\\x1b[31m\\x0aE_IO b: \\xc2\\x9b \\xe2\\x80\\xae \\xff.idx: ");
        }
        remove(path); /* and once more without the file */
    }
    figure.controls += message_fault("E_IO a\33[31m: b") != NULL;
    figure.controls += message_fault("E_IO a\nE_IO b: c") != NULL;
    figure.controls += message_fault("E_IO a\xff: b") != NULL;
    assert_int_equal(figure.controls, 7);
}

/* --- too large to store ----------------------------------------------------------------------------- */

static void test_header_of_100_mb(void **state)
{
    (void)state;
    const char *path = test_tmp("large.safetensors");
    const unsigned char length[9] = {0x01, 0xe1, 0xf5, 0x05, 0, 0, 0, 0, '{'}; /* 100,000,001 */
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(length, 1, sizeof length, f), sizeof length);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(truncate(path, 100000001 + 8), 0); /* a hole, not 100 MB of disk */
    outcome o = load_watched(&loaders[LOADER_SAFETENSORS], path);
    assert_null(o.fault);
    assert_non_null(strstr(o.line, "a header of 100000001 bytes, expected at most 100000000"));
    assert_int_equal(o.status, TP_EFORMAT);
    remove(path);
}

/* --- cut and changed -------------------------------------------------------------------------------- */

/* A file under test: its bytes, and what the reader makes of it as it is. */
typedef struct subject {
    const loader *loader;
    const char *name, *path;
    unsigned char data[MUTATED_BYTES_MAX];
    int n;
    bool checksummed; /* a changed byte is found or does not matter */
    int64_t bytes;
    char text[LOADED_TEXT];
} subject;

static const char *text_of(const outcome *o, const char *path)
{
    return o->line + strlen("OK ") + strlen(path) + strlen(": ");
}

/* Writes n bytes of the subject, the one at `at` replaced, and reads them. */
static outcome load_variant(const subject *s, int n, int at, int byte)
{
    int fd = open(s->path, O_WRONLY | O_CREAT, 0600); /* O_TRUNC: slow */
    unsigned char data[MUTATED_BYTES_MAX];
    assert_true(fd >= 0);
    memcpy(data, s->data, (size_t)s->n);
    if (at < s->n)
        data[at] = (unsigned char)byte;
    assert_int_equal(write(fd, data, (size_t)n), n);
    assert_int_equal(ftruncate(fd, n), 0);
    close(fd);
    clock_t start = clock();
    outcome o = load_watched(s->loader, s->path);
    if (o.fault == NULL && clock() - start > CLOCKS_PER_SEC)
        o.fault = "it took more than a second";
    return o;
}

static void check_variant(const subject *s, const outcome *o, const char *fault, const char *what,
                          int at)
{
    if (fault == NULL)
        return;
    print_error("%s, %s at byte %d: %s\n  %s\n", s->name, what, at, fault, o->line);
    fail();
}

/* Any part of a file is refused; only what follows the data of the last gzip member may be absent. */
static void cut_everywhere(const subject *s)
{
    for (int n = 0; n < s->n; n++) {
        outcome o = load_variant(s, n, s->n, 0);
        const char *fault = o.fault;
        bool same = o.status == TP_OK && strcmp(text_of(&o, s->path), s->text) == 0;
        bool whole_members = strstr(s->name, "members") != NULL && same;
        if (o.status == TP_OK && !whole_members)
            fault = "a part was read as if it were the whole";
        check_variant(s, &o, fault, "cut", n);
        figure.cut++;
    }
}

static const char *changed_fault(const subject *s, const outcome *o)
{
    if (o->fault != NULL || o->status != TP_OK)
        return o->fault;
    if (s->checksummed && strcmp(text_of(o, s->path), s->text) != 0)
        return "other values were read in spite of the checksum";
    return o->bytes != s->bytes ? "the size of the data changed, and that of the file did not"
                                : NULL;
}

/* Every byte with each bit flipped, and as 0, 0xff, and a quote; sampled in the short form. */
static void change_everywhere(const subject *s)
{
    for (int at = 0; at < s->n; at++)
        for (int k = 0; k < 11; k++) {
            if (!full && k < 8 && k != at % 8)
                continue;
            int byte = k < 8 ? s->data[at] ^ 1 << k : k == 8 ? 0 : k == 9 ? 0xff : '"';
            outcome o = load_variant(s, s->n, at, byte);
            check_variant(s, &o, changed_fault(s, &o), "changed", at);
            figure.changed++;
        }
}

/* False for a file that is too large for this. */
static bool subject_of(int i, subject *s)
{
    *s = (subject){.loader = &loaders[loader_of[i]], .name = names[i]};
    s->path = test_tmp("variant");
    s->checksummed = strncmp(names[i], "gz/", 3) == 0 || strncmp(names[i], "png/", 4) == 0;
    FILE *f = fopen(names[i], "rb");
    assert_non_null(f);
    s->n = (int)fread(s->data, 1, sizeof s->data, f);
    bool whole = fgetc(f) == EOF;
    fclose(f);
    if (!whole)
        return false;
    outcome o = load_variant(s, s->n, s->n, 0);
    assert_int_equal(o.status, TP_OK);
    snprintf(s->text, sizeof s->text, "%s", text_of(&o, s->path));
    s->bytes = o.bytes;
    return true;
}

/* Of each kind the short form takes a few. */
static const char *const sampled[] = {"idx/ok_images.idx",
                                      "idx/ok_no_images.idx",
                                      "gz/ok_two_members.gz",
                                      "gz/ok_name_comment_extra.gz",
                                      "npy/ok_f4.npy",
                                      "npy/ok_fortran.npy",
                                      "npy/ok_version_2.npy",
                                      "npy/ok_0d.npy",
                                      "png/ok_grey.png",
                                      "png/ok_palette_8.png",
                                      "png/ok_interlaced.png",
                                      "safetensors/ok_all_types.safetensors",
                                      "safetensors/ok_metadata.safetensors"};

static bool is_sampled(const char *name)
{
    for (size_t i = 0; i < sizeof sampled / sizeof *sampled; i++)
        if (strcmp(name, sampled[i]) == 0)
            return true;
    return false;
}

static void test_cut_and_changed(void **state)
{
    (void)state;
    static subject s;
    size_t taken = 0;
    for (int i = 0; i < n_names; i++) {
        if (loader_of[i] == LOADERS || !must_be_read(names[i]) ||
            (!full && !is_sampled(names[i])) || !subject_of(i, &s))
            continue;
        taken++;
        cut_everywhere(&s);
        change_everywhere(&s);
    }
    assert_true(taken >= sizeof sampled / sizeof *sampled);
}

/* --- readers that are broken on purpose -------------------------------------------------------------- */

static void *kept;
static int kept_descriptor;

static tp_status leaks_memory(const char *path, loaded *out, bool *untouched)
{
    (void)out, (void)untouched;
    kept = tp_alloc(1);
    return tp_fail(TP_EFORMAT, "%s: no", path);
}

static tp_status leaks_descriptor(const char *path, loaded *out, bool *untouched)
{
    (void)out, (void)untouched;
    kept_descriptor = open(path, O_RDONLY);
    return tp_fail(TP_EFORMAT, "%s: no", path);
}

static tp_status is_greedy(const char *path, loaded *out, bool *untouched)
{
    (void)path, (void)out, (void)untouched;
    return tp_alloc(1 << 24) == NULL ? TP_ENOMEM : TP_OK;
}

static tp_status touches_result(const char *path, loaded *out, bool *untouched)
{
    (void)out;
    *untouched = false;
    return tp_fail(TP_EFORMAT, "%s: no", path);
}

static tp_status names_no_file(const char *path, loaded *out, bool *untouched)
{
    (void)path, (void)out, (void)untouched;
    return tp_fail(TP_EFORMAT, "damaged");
}

static tp_status says_two_lines(const char *path, loaded *out, bool *untouched)
{
    (void)out, (void)untouched;
    return tp_fail(TP_EFORMAT, "%s: no\n  really", path);
}

static tp_status reads_anything(const char *path, loaded *out, bool *untouched)
{
    (void)path, (void)untouched;
    snprintf(out->text, sizeof out->text, "u8[1] 0");
    out->bytes = 1;
    return TP_OK;
}

static void test_broken_readers(void **state)
{
    (void)state;
    const loader broken[] = {
        {"memory", "", 1, 1, leaks_memory},   {"descriptor", "", 1, 1, leaks_descriptor},
        {"greed", "", 1, 1, is_greedy},       {"result", "", 1, 1, touches_result},
        {"no name", "", 1, 1, names_no_file}, {"two lines", "", 1, 1, says_two_lines}};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        outcome o = load_watched(&broken[i], "idx/empty.idx");
        assert_non_null(o.fault);
        figure.controls++;
    }
    tp_free(kept, 1);
    close(kept_descriptor);
    const loader any = {"anything", "", 1, 1, reads_anything};
    static subject s; /* a good file with a checksum, of which any variant is taken */
    s = (subject){.loader = &any, .name = "gz/x", .path = test_tmp("any"), .n = 1};
    s.checksummed = true;
    outcome o = load_variant(&s, 1, 0, 7);
    assert_non_null(changed_fault(&s, &o));
    s.checksummed = false;
    assert_non_null(changed_fault(&s, &o)); /* the subject has no bytes of data */
    figure.controls += 2;
}

int main(int argc, char **argv)
{
    full = argc > 1 && strcmp(argv[1], "full") == 0;
    if (chdir(TAPIR_SOURCE_DIR "/tests/corpus") != 0) /* messages name files from there */
        return 1;
    find_files();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expected),         cmocka_unit_test(test_expected_can_fail),
        cmocka_unit_test(test_wrong_reader),     cmocka_unit_test(test_name_of_file),
        cmocka_unit_test(test_header_of_100_mb), cmocka_unit_test(test_cut_and_changed),
        cmocka_unit_test(test_broken_readers),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed == 0)
        printf(
            "check-corpus: %ld files, %ld accepted, %ld refused by the wrong reader, %ld cut and "
            "%ld changed, %ld controls caught: every message as written\n",
            figure.files, figure.accepted, figure.crossed, figure.cut, figure.changed,
            figure.controls);
    return failed != 0;
}
