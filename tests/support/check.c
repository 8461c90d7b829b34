/* check.c: see check.h. */
#define _XOPEN_SOURCE 700 /* mkdtemp, nftw */

#include "tests/support/check.h"

#include <ftw.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool close_enough(double got, double want, double abs, double rel)
{
    if (isnan(got) || isnan(want))
        return isnan(got) && isnan(want);
    if (isinf(got) || isinf(want))
        return got == want;
    return fabs(got - want) <= abs + rel * fabs(want);
}

/* A contiguous copy. */
static tp_tensor in_rows(const tp_tensor *t)
{
    tp_tensor rows;
    assert_ok(tp_clone(&rows, t));
    return rows;
}

bool equal_bits(const tp_tensor *a, const tp_tensor *b)
{
    if (a->storage == NULL || b->storage == NULL)
        return a->storage == b->storage;
    if (a->dtype != b->dtype || !tp_shape_equal(a->shape, b->shape))
        return false;
    size_t bytes = (size_t)(tp_numel(a) * tp_dtype_size(a->dtype));
    if (tp_is_contiguous(a) && tp_is_contiguous(b))
        return memcmp(tp_data(a), tp_data(b), bytes) == 0;
    tp_tensor x = in_rows(a), y = in_rows(b);
    bool equal = memcmp(tp_data(&x), tp_data(&y), bytes) == 0;
    tp_tensor_free(&x);
    tp_tensor_free(&y);
    return equal;
}

void check_close(double got, double want, double abs, double rel, const char *text,
                 const char *file, int line)
{
    if (close_enough(got, want, abs, rel))
        return;
    print_error("%s\n  got  %.17g\n  want %.17g\n  off by %.3g, abs %.3g rel %.3g\n", text, got,
                want, fabs(got - want), abs, rel);
    _fail(file, line);
}

void check_status(tp_status got, tp_status want, const char *text, const char *file, int line)
{
    if (got == want)
        return;
    print_error("%s\n  got  %s\n  want %s\n  last error: %s\n", text, tp_status_name(got),
                tp_status_name(want), tp_last_error());
    _fail(file, line);
}

void check_message(const char *part, const char *file, int line)
{
    if (strstr(tp_last_error(), part))
        return;
    print_error("last error: %s\n  does not contain: %s\n", tp_last_error(), part);
    _fail(file, line);
}

void check_tensor(const tp_tensor *t, const double *want, int64_t n, double abs, double rel,
                  const char *text, const char *file, int line)
{
    char type[TP_TENSOR_TEXT];
    if (tp_numel(t) != n) {
        print_error("%s: %s has %" PRId64 " elements, want %" PRId64 "\n", text,
                    tp_tensor_text(t, type), tp_numel(t), n);
        _fail(file, line);
    }
    for (int64_t i = 0; i < n; i++) {
        double got = tp_flat(t, i);
        if (close_enough(got, want[i], abs, rel))
            continue;
        print_error("%s: %s, element %" PRId64 "\n", text, tp_tensor_text(t, type), i);
        check_close(got, want[i], abs, rel, text, file, line);
    }
}

/* --- files ------------------------------------------------------------------------------------ */

typedef struct path {
    struct path *next;
    char text[];
} path;

static path *paths; /* everything handed out, so that it lives until exit */
static char *tmp_dir;
static pid_t tmp_owner;

static const char *keep(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    path *p = malloc(sizeof *p + size);
    if (!p)
        abort();
    snprintf(p->text, size, "%s/%s", folder, name);
    p->next = paths;
    paths = p;
    return p->text;
}

static int remove_one(const char *name, const struct stat *st, int kind, struct FTW *walk)
{
    (void)st, (void)kind, (void)walk;
    return remove(name);
}

static void clean_up(void)
{
    if (getpid() == tmp_owner) /* not in a forked child */
        nftw(tmp_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(tmp_dir);
    while (paths) {
        path *next = paths->next;
        free(paths);
        paths = next;
    }
}

const char *test_tmp(const char *name)
{
    if (!tmp_dir) {
        const char *base = getenv("TMPDIR");
        if (!base || !*base)
            base = "/tmp";
        size_t size = strlen(base) + sizeof "/tapir-XXXXXX";
        tmp_dir = malloc(size);
        if (!tmp_dir)
            abort();
        snprintf(tmp_dir, size, "%s/tapir-XXXXXX", base);
        if (!mkdtemp(tmp_dir)) {
            perror(tmp_dir);
            abort();
        }
        tmp_owner = getpid();
        atexit(clean_up);
    }
    return keep(tmp_dir, name);
}

const char *test_shared(const char *rel)
{
    const char *base = getenv("TAPIR_SHARED");
    if (!base || !*base)
        base = TAPIR_SOURCE_DIR "/../shared";
    const char *file = keep(base, rel);
    if (access(file, R_OK) == 0)
        return file;
    printf("skipped: optional data %s is not there\n", rel);
    return NULL;
}
