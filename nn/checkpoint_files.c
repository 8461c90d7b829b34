/* checkpoint_files.c: the names of checkpoints in a directory, and which of them stay. Read next: checkpoint.c.
 */
#define _POSIX_C_SOURCE 200809L

#include "nn/checkpoint_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tensor/mem.h"

static const char prefix[] = "checkpoint-", suffix[] = ".safetensors";

enum { NAME_BYTES = 64, KEPT = 2 };

char *tp_checkpoint_path(const char *directory, uint64_t step, const char *ending)
{
    size_t bytes = strlen(directory) + NAME_BYTES;
    char *path = tp_alloc(bytes), *copy = NULL;
    if (path != NULL) {
        snprintf(path, bytes, "%s/%s%llu%s%s", directory, prefix, (unsigned long long)step, suffix,
                 ending);
        copy = tp_strdup(path); /* of exactly its length, as tp_free_string wants it */
    }
    tp_free(path, bytes);
    return copy;
}

bool tp_checkpoint_count(const char *text, const char *end, uint64_t *value)
{
    size_t n = strspn(text, "0123456789");
    uint64_t v = 0;
    if (n == 0 || (n > 1 && *text == '0') || strcmp(text + n, end) != 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *value = v;
    return true;
}

tp_status tp_checkpoint_newest(const char *directory, uint64_t below, uint64_t *step, bool *found)
{
    DIR *d = opendir(directory);
    if (d == NULL)
        return tp_fail(TP_EIO, "%s: cannot open: %s", directory, strerror(errno));
    *found = false;
    uint64_t v;
    struct dirent *e;
    while ((errno = 0, e = readdir(d)) != NULL)
        if (strncmp(e->d_name, prefix, sizeof prefix - 1) == 0 &&
            tp_checkpoint_count(e->d_name + sizeof prefix - 1, suffix, &v) && v < below &&
            (!*found || v > *step)) {
            *step = v;
            *found = true;
        }
    tp_status s = TP_OK;
    if (errno != 0) /* not the end: there may be more */
        s = tp_fail(TP_EIO, "%s: cannot list: %s", directory, strerror(errno));
    closedir(d);
    return s;
}

void tp_checkpoint_remove_old(const char *directory)
{
    uint64_t step = UINT64_MAX;
    bool found = true;
    for (int i = 0; found; i++) {
        if (tp_checkpoint_newest(directory, step, &step, &found) != TP_OK || !found)
            return;
        char *path = i >= KEPT ? tp_checkpoint_path(directory, step, "") : NULL;
        if (path != NULL)
            unlink(path);
        tp_free_string(path);
    }
}

tp_status tp_checkpoint_set_aside(const char *newest_whole, uint64_t step)
{
    char *directory = tp_strdup(newest_whole);
    if (directory == NULL)
        return TP_ENOMEM;
    directory[strrchr(newest_whole, '/') - newest_whole] = '\0';
    uint64_t at = UINT64_MAX;
    bool found = true;
    tp_status s = TP_OK;
    while (s == TP_OK && (s = tp_checkpoint_newest(directory, at, &at, &found)) == TP_OK && found &&
           at > step) {
        char *from = tp_checkpoint_path(directory, at, ""),
             *to = tp_checkpoint_path(directory, at, ".damaged");
        if (from == NULL || to == NULL)
            s = TP_ENOMEM;
        else
            (void)!rename(from, to); /* where that cannot be, the next save will say so */
        tp_free_string(from);
        tp_free_string(to);
    }
    tp_free(directory, strlen(newest_whole) + 1);
    return s;
}
