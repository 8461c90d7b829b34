/* target.c: see target.h. */
#define _GNU_SOURCE /* memfd_create */
#include "tests/fuzz/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void target_require(bool ok, const char *text, const char *file, int line)
{
    if (ok)
        return;
    fprintf(stderr, "%s:%d: does not hold: %s\nlast error: %s\n", file, line, text,
            tp_last_error());
    abort();
}

const char *target_file(const void *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("input", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    bool written = fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size;
    if (!written) {
        perror("a file in memory"); /* of the machine, not of what is tested */
        exit(1);
    }
    return path;
}

size_t target_begin(size_t bytes)
{
    size_t live = tp_mem().live_bytes;
    tp_mem_set_budget(live + bytes);
    return live;
}

void target_end(size_t begun)
{
    tp_mem_set_budget(0);
    TARGET_REQUIRE(tp_mem().live_bytes == begun);
}

/* Bytes of the character at p, which a NUL ends; 0 if it is no UTF-8. */
static int character(const unsigned char *p)
{
    int n = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;
    for (int i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

void target_check_text(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    for (int n; *p != 0; p += n) {
        n = character(p);
        bool control = *p == 127 || *p < 32 || (*p == 0xc2 && p[1] < 0xa0);
        TARGET_REQUIRE(n > 0);
        TARGET_REQUIRE(!control);
    }
}

void target_check_status(tp_status s, unsigned allowed, const char *what)
{
    const char *message = tp_last_error(), *name = tp_status_name(s);
    if (s == TP_OK)
        return;
    TARGET_REQUIRE((allowed >> s & 1) != 0);
    TARGET_REQUIRE(strncmp(message, name, strlen(name)) == 0);
    TARGET_REQUIRE(what == NULL || strstr(message, what) != NULL);
    target_check_text(message);
}

bool target_same(const tp_tensor *a, const tp_tensor *b)
{
    size_t bytes = (size_t)(tp_numel(a) * tp_dtype_size(a->dtype));
    return a->dtype == b->dtype && tp_shape_equal(a->shape, b->shape) && tp_is_contiguous(a) &&
           tp_is_contiguous(b) && (bytes == 0 || memcmp(tp_data(a), tp_data(b), bytes) == 0);
}

tp_tensor target_sentinel(void)
{
    tp_tensor t;
    memset(&t, 0, sizeof t); /* gaps too: compared as bytes */
    t.offset = 4711;
    return t;
}

bool target_is_sentinel(const tp_tensor *t)
{
    tp_tensor want = target_sentinel();
    return memcmp(t, &want, sizeof want) == 0;
}
