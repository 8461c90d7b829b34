/* source.c: what a path is: a folder of arrays, a folder of pictures, or one array. Read next: read.c, pictures.c. */
#define _POSIX_C_SOURCE 200809L

#include "nn/data/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tensor/io/file.h"

/* A file that a single split can be. Others are not in files of their own. */
static const char only_split[] = "train";

tp_status tp_source_path(char path[TP_SOURCE_PATH], const char *folder, const char *name)
{
    int n = snprintf(path, TP_SOURCE_PATH, "%s/%s", folder, name);
    return n < TP_SOURCE_PATH ? TP_OK
                              : tp_fail(TP_EIO, "%s/%s: is longer than %d bytes", folder, name,
                                        TP_SOURCE_PATH - 1);
}

tp_status tp_source_look(const char *path, tp_source_seen *what)
{
    struct stat info;
    *what = TP_SEEN_NOTHING;
    if (stat(path, &info) == 0)
        *what = S_ISDIR(info.st_mode) ? TP_SEEN_FOLDER : TP_SEEN_FILE;
    else if (errno != ENOENT && errno != ENOTDIR)
        return tp_fail(TP_EIO, "%s: cannot be looked at: %s", path, strerror(errno));
    return TP_OK;
}

/* "<folder>/<split><ending>", if it is there, whatever it is; else path is empty. One that cannot be looked at is a
 * failure: labels must not get lost because of it, nor other images be taken. */
static tp_status find_file(char path[TP_SOURCE_PATH], const char *folder, const char *split,
                           const char *ending)
{
    char name[TP_SOURCE_PATH];
    tp_source_seen what;
    snprintf(name, sizeof name, "%s%s", split, ending);
    TP_TRY(tp_source_path(path, folder, name));
    TP_TRY(tp_source_look(path, &what));
    if (what == TP_SEEN_NOTHING)
        *path = '\0';
    return TP_OK;
}

static tp_status find_idx(char path[TP_SOURCE_PATH], const char *folder, const char *split,
                          const char *plain, const char *gz)
{
    TP_TRY(find_file(path, folder, split, plain));
    return *path != '\0' ? TP_OK : find_file(path, folder, split, gz);
}

static tp_status find_in_folder(tp_source *s, const char *folder, const char *split)
{
    tp_source_seen what;
    bool yes;
    TP_TRY(find_idx(s->x, folder, split, "-images-idx3-ubyte", "-images-idx3-ubyte.gz"));
    if (*s->x != '\0') {
        s->kind = TP_SOURCE_IDX;
        return find_idx(s->labels, folder, split, "-labels-idx1-ubyte", "-labels-idx1-ubyte.gz");
    }
    TP_TRY(find_file(s->x, folder, split, ".npy"));
    if (*s->x != '\0') {
        s->kind = TP_SOURCE_NPY;
        return find_file(s->labels, folder, split, "-labels.npy");
    }
    TP_TRY(tp_source_path(s->x, folder, split));
    TP_TRY(tp_source_look(s->x, &what));
    yes = what == TP_SEEN_FOLDER;
    if (!yes && strcmp(split, only_split) == 0) {
        snprintf(s->x, sizeof s->x, "%s", folder);
        TP_TRY(tp_holds_pictures(folder, &yes));
    }
    if (yes)
        s->kind = TP_SOURCE_PICTURES;
    return TP_OK;
}

/* By its first bytes, which are those of one format only. */
static tp_status find_in_file(tp_source *s, const char *path)
{
    static const char npy[] = "\x93NUMPY";
    enum { MAGIC = sizeof npy - 1 };
    unsigned char head[16];
    tp_file f;
    TP_TRY(tp_file_open(&f, path));
    size_t n = f.size < (int64_t)sizeof head ? (size_t)f.size : sizeof head;
    tp_status status = tp_file_read_at(&f, 0, head, n);
    tp_file_close(&f);
    TP_TRY(status);
    if (n >= MAGIC && memcmp(head, npy, MAGIC) == 0)
        s->kind = TP_SOURCE_NPY;
    else if (n >= 2 && ((head[0] == 0 && head[1] == 0) || (head[0] == 0x1f && head[1] == 0x8b)))
        s->kind = TP_SOURCE_IDX;
    else
        return tp_file_unexpected(path, head, n, 2, "a folder, an idx or an npy file", "");
    snprintf(s->x, sizeof s->x, "%s", path);
    return TP_OK;
}

tp_status tp_source_find(tp_source *s, const char *path, const char *split)
{
    tp_source_seen what;
    *s = (tp_source){0};
    if (strlen(path) >= TP_SOURCE_PATH)
        return tp_fail(TP_EIO, "%s: is longer than %d bytes", path, TP_SOURCE_PATH - 1);
    TP_TRY(tp_source_look(path, &what));
    if (what == TP_SEEN_FOLDER)
        return find_in_folder(s, path, split);
    if (what == TP_SEEN_FILE && strcmp(split, only_split) == 0)
        return find_in_file(s, path);
    return TP_OK;
}

bool tp_dataset_exists(const char *path, const char *split)
{
    tp_source s;
    return tp_source_find(&s, path, split) != TP_OK || s.kind != TP_SOURCE_NONE;
}

static tp_status not_found(const char *path, const char *split)
{
    bool train = strcmp(split, only_split) == 0;
    tp_source_seen what;
    TP_TRY(tp_source_look(path, &what));
    if (what == TP_SEEN_FOLDER)
        return tp_fail(
            TP_EIO,
            "%s: no data: neither %s-images-idx3-ubyte (or .gz) nor %s.npy is there, nor "
            "a folder %s of *.png%s",
            path, split, split, split, train ? ", nor *.png themselves" : "");
    if (what == TP_SEEN_NOTHING)
        return tp_fail(TP_EIO, "%s: there is no such folder or file", path);
    return tp_fail(TP_EIO, "%s: is a file, which has the split '%s' only; expected '%s'", path,
                   only_split, split);
}

tp_status tp_dataset_read(tp_dataset *d, const char *path, const char *split)
{
    return tp_dataset_read_as(d, path, split, (tp_dataset_opts){TP_CHANNELS_GREY});
}

tp_status tp_dataset_read_as(tp_dataset *d, const char *path, const char *split,
                             tp_dataset_opts opts)
{
    tp_source s;
    if ((unsigned)opts.channels > TP_CHANNELS_AUTO)
        return tp_fail(TP_EARG, "channels %d: expected TP_CHANNELS_GREY, _COLOUR or _AUTO",
                       (int)opts.channels);
    TP_TRY(tp_source_find(&s, path, split));
    switch (s.kind) {
    case TP_SOURCE_NONE:
        return not_found(path, split);
    case TP_SOURCE_PICTURES:
        return tp_read_pictures(d, s.x, opts.channels);
    default:
        return tp_read_arrays(d, &s);
    }
}
