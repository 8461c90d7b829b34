/* file.c: POSIX files with every short read, interruption and failing close accounted for.
 *
 * The one way a file is replaced: temporary in the same directory, full write, fsync, checked close,
 * rename, fsync of the directory. An fsync that failed is never retried: the kernel may have dropped the
 * pages and would report success. Read next: file.h for the contract.
 */
#define _POSIX_C_SOURCE 200809L

#include "tensor/io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "tensor/mem.h"

/* --- reading ------------------------------------------------------------------------------------ */

static tp_status system_failure(const char *path, const char *what)
{
    return tp_fail(TP_EIO, "%s: cannot %s: %s", path, what, strerror(errno));
}

static int open_to_read(const char *path, int flags)
{
    int fd;
    do
        fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    while (fd < 0 && errno == EINTR);
    return fd;
}

bool tp_file_missing(const char *path)
{
    struct stat info;
    return stat(path, &info) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

tp_status tp_file_open(tp_file *f, const char *path)
{
    struct stat info;
    int fd = open_to_read(path, O_NONBLOCK); /* a pipe that nobody writes to must not hang */
    if (fd < 0)
        return system_failure(path, "open");
    tp_status s = TP_OK;
    if (fstat(fd, &info) != 0)
        s = system_failure(path, "stat");
    else if (!S_ISREG(info.st_mode))
        s = tp_fail(TP_EIO, "%s: is %s, expected a regular file", path,
                    S_ISDIR(info.st_mode) ? "a directory" : "a pipe or device");
    char *name = s == TP_OK ? tp_strdup(path) : NULL;
    if (name == NULL) {
        close(fd);
        if (s != TP_OK)
            return s;
        tp_fail_prefix("%s: ", path);
        return TP_ENOMEM;
    }
    *f = (tp_file){fd, (int64_t)info.st_size, name};
    return TP_OK;
}

tp_status tp_file_read_at(const tp_file *f, int64_t offset, void *data, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pread(f->fd, (char *)data + done, bytes - done, (off_t)offset + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return system_failure(f->path, "read");
        if (n == 0)
            return tp_fail(TP_EFORMAT, "%s: ends at byte %lld, expected %lld more", f->path,
                           (long long)(offset + (int64_t)done), (long long)(bytes - done));
        done += (size_t)n;
    }
    return TP_OK;
}

void tp_file_close(tp_file *f)
{
    if (f->path != NULL) {
        close(f->fd);
        tp_free_string(f->path);
    }
    *f = (tp_file){-1, 0, NULL};
}

tp_status tp_file_read_all(const char *path, size_t limit, char **data, size_t *bytes)
{
    tp_file f;
    TP_TRY(tp_file_open(&f, path));
    size_t size = (size_t)f.size;
    tp_status s = TP_OK;
    char *p = NULL;
    if ((uint64_t)f.size > limit)
        s = tp_fail(TP_EFORMAT, "%s: has %lld bytes, expected at most %zu", path, (long long)f.size,
                    limit);
    else if ((p = tp_alloc(size + 1)) == NULL) {
        tp_fail_prefix("%s: ", path);
        s = TP_ENOMEM;
    } else
        s = tp_file_read_at(&f, 0, p, size);
    tp_file_close(&f);
    if (s != TP_OK) {
        tp_free(p, size + 1);
        return s;
    }
    p[size] = 0;
    *data = p;
    *bytes = size;
    return TP_OK;
}

const char *tp_file_looks_like(const void *head, size_t n)
{
    static const struct {
        const char *magic;
        size_t length;
        const char *what;
    } known[] = {{"\x89PNG", 4, "a PNG image"},
                 {"\xff\xd8\xff", 3, "a JPEG image"},
                 {"GIF8", 4, "a GIF image"},
                 {"\x1f\x8b", 2, "a gzip archive"},
                 {"PK\3\4", 4, "a zip archive"},
                 {"BZh", 3, "a bzip2 archive"},
                 {"\xfd"
                  "7zXZ",
                  5, "an xz archive"},
                 {"\x28\xb5\x2f\xfd", 4, "a zstd archive"},
                 {"\x93NUMPY", 6, "a NumPy array"},
                 {"\x89HDF", 4, "an HDF5 file"},
                 {"%PDF", 4, "a PDF document"},
                 {"\x7f"
                  "ELF",
                  4, "a program"},
                 {"<!DOCTYPE", 9, "a web page"},
                 {"<!doctype", 9, "a web page"},
                 {"<html", 5, "a web page"},
                 {"\x80\2", 2, "a Python pickle"},
                 {"\x80\3", 2, "a Python pickle"},
                 {"\x80\4", 2, "a Python pickle"},
                 {"\x80\5", 2, "a Python pickle"}};
    const unsigned char *p = head;
    if (n == 0)
        return "an empty file";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (n >= known[i].length && memcmp(p, known[i].magic, known[i].length) == 0)
            return known[i].what;
    if (n > 8 && p[8] == '{' && p[7] == 0)
        return "a safetensors file";
    if (n >= 4 && p[0] == 0 && p[1] == 0 && p[2] >= 8 && p[2] <= 14 && p[2] != 10)
        return "an idx file";
    for (size_t i = 0; i < n && i < 16; i++)
        if ((p[i] < 32 || p[i] == 127 || p[i] >= 0xfe) && p[i] != '\t' && p[i] != '\n' &&
            p[i] != '\r')
            return "binary data";
    return "a text file";
}

tp_status tp_file_unexpected(const char *path, const void *head, size_t n, size_t least,
                             const char *expected, const char *where)
{
    if (n > 0 && n < least)
        return tp_fail(TP_EFORMAT, "%s: has only %zu byte%s%s, expected %s", path, n,
                       n == 1 ? "" : "s", where, expected);
    return tp_fail(TP_EFORMAT, "%s: looks like %s%s, expected %s", path,
                   tp_file_looks_like(head, n), where, expected);
}

/* --- writing ------------------------------------------------------------------------------------ */

/* Ends the writer: closes what is open, removes the temporary, frees the names. */
static void discard(tp_file_writer *w, bool remove_temp)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
    if (remove_temp && w->temp != NULL)
        unlink(w->temp);
    tp_free_string(w->temp);
    tp_free_string(w->path);
    w->path = w->temp = NULL;
}

static tp_status give_up(tp_file_writer *w, const char *what)
{
    w->status = system_failure(w->path, what);
    discard(w, true);
    return w->status;
}

/* Opens a temporary that did not exist; sets temp only then, so that nobody else's file is removed. */
static tp_status open_temp(tp_file_writer *w, mode_t mode)
{
    static atomic_uint counter;
    size_t bytes = strlen(w->path) + 64;
    char *name = tp_alloc(bytes);
    if (name == NULL)
        return TP_ENOMEM;
    tp_status s = TP_OK;
    do {
        snprintf(name, bytes, "%s.tmp-%ld-%u", w->path, (long)getpid(),
                 atomic_fetch_add(&counter, 1));
        w->fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    } while (w->fd < 0 && (errno == EEXIST || errno == EINTR));
    if (w->fd < 0) {
        s = system_failure(w->path, "create");
    } else if ((w->temp = tp_strdup(name)) == NULL) {
        unlink(name);
        s = TP_ENOMEM;
    }
    tp_free(name, bytes);
    return s;
}

tp_status tp_file_begin(tp_file_writer *w, const char *path)
{
    struct stat info;
    w->fd = -1;
    w->status = TP_OK;
    w->temp = NULL;
    w->written = 0;
    w->crc = 0;
    w->fill = 0;
    w->path = tp_strdup(path);
    if (w->path == NULL)
        w->status = TP_ENOMEM;
    else if (*path == 0)
        w->status = tp_fail(TP_EIO, "cannot write a file without a name");
    else if (stat(path, &info) != 0)
        w->status = errno == ENOENT ? open_temp(w, 0666) : system_failure(path, "stat");
    else if (!S_ISREG(info.st_mode))
        w->status = tp_fail(TP_EIO, "%s: is %s, only a regular file can be replaced", path,
                            S_ISDIR(info.st_mode) ? "a directory" : "a pipe or device");
    else
        w->status = open_temp(w, info.st_mode & 0777); /* what was private stays so */
    if (w->status == TP_ENOMEM)
        tp_fail_prefix("%s: ", path);
    if (w->status != TP_OK)
        discard(w, true);
    return w->status;
}

static tp_status store(tp_file_writer *w, int64_t offset, const unsigned char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = pwrite(w->fd, data, bytes, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO; /* no error and no progress: trying again might never end */
        if (n <= 0)
            return give_up(w, "write");
        data += n;
        offset += n;
        bytes -= (size_t)n;
    }
    return TP_OK;
}

static tp_status append(tp_file_writer *w, const unsigned char *data, size_t bytes)
{
    TP_TRY(store(w, w->written, data, bytes));
    w->written += (int64_t)bytes;
    return TP_OK;
}

static tp_status flush(tp_file_writer *w)
{
    size_t fill = w->fill;
    w->fill = 0;
    return append(w, w->buffer, fill);
}

tp_status tp_file_write(tp_file_writer *w, const void *data, size_t bytes)
{
    if (w->status != TP_OK || bytes == 0)
        return w->status;
    w->crc = tp_crc32(w->crc, data, bytes);
    if (bytes > sizeof w->buffer - w->fill)
        TP_TRY(flush(w));
    if (bytes > sizeof w->buffer)
        return append(w, data, bytes);
    memcpy(w->buffer + w->fill, data, bytes);
    w->fill += bytes;
    return TP_OK;
}

tp_status tp_file_patch(tp_file_writer *w, int64_t offset, const void *data, size_t bytes)
{
    if (w->status != TP_OK)
        return w->status;
    TP_TRY(flush(w));
    return store(w, offset, data, bytes);
}

/* An interruption says nothing about the data, so the question is put again; any other failure is the answer. */
static int sync_descriptor(int fd)
{
    int failed;
    do
        failed = fsync(fd);
    while (failed != 0 && errno == EINTR);
    return failed;
}

/* Makes the name of path durable: fsync of its directory, for which path is cut. File systems that cannot sync a
 * directory say EINVAL: not our failure. */
static tp_status sync_directory(char *path, const char *named)
{
    char *slash = strrchr(path, '/');
    if (slash != NULL)
        slash[slash == path ? 1 : 0] = 0;
    int fd = open_to_read(slash ? path : ".", 0);
    tp_status s = TP_OK;
    if (fd < 0 || (sync_descriptor(fd) != 0 && errno != EINVAL))
        s = system_failure(named, "sync the directory");
    if (fd >= 0)
        close(fd);
    return s;
}

tp_status tp_file_sync_name(const char *path)
{
    size_t bytes = strlen(path) + 1;
    char *copy = tp_strdup(path);
    if (copy == NULL) {
        tp_fail_prefix("%s: ", path);
        return TP_ENOMEM;
    }
    for (size_t n = bytes - 1; n > 1 && copy[n - 1] == '/'; n--)
        copy[n - 1] = 0; /* "runs/" lies where "runs" does */
    tp_status s = sync_directory(copy, path);
    tp_free(copy, bytes); /* shorter now than tp_free_string would need */
    return s;
}

tp_status tp_file_write_elements(tp_file_writer *w, const tp_tensor *t)
{
    tp_tensor copy = {0};
    if (tp_numel(t) == 0 || w->status != TP_OK)
        return w->status;
    if (!tp_is_contiguous(t)) {
        TP_TRY(tp_clone(&copy, t));
        t = &copy;
    }
    tp_status s = tp_file_write(w, tp_data(t), (size_t)(tp_numel(t) * tp_dtype_size(t->dtype)));
    tp_tensor_free(&copy);
    return s;
}

tp_status tp_file_commit(tp_file_writer *w)
{
    if (w->status != TP_OK)
        return w->status;
    TP_TRY(flush(w));
    if (sync_descriptor(w->fd) != 0)
        return give_up(w, "sync");
    int fd = w->fd;
    w->fd = -1;
    if (close(fd) != 0 && errno != EINTR) /* interrupted: closed all the same, the data safe */
        return give_up(w, "close");
    if (rename(w->temp, w->path) != 0)
        return give_up(w, "replace");
    size_t whole = strlen(w->temp) + 1;
    w->status = sync_directory(w->temp, w->path);
    tp_free(w->temp, whole);
    w->temp = NULL;
    discard(w, false);
    return w->status;
}

void tp_file_abort(tp_file_writer *w)
{
    if (w->status == TP_OK)
        w->status = TP_EIO;
    discard(w, true);
}

/* "<name>.tmp-<process>-<number>", as open_temp makes them. */
static bool is_temporary(const char *name)
{
    const char *at = strstr(name, ".tmp-");
    while (at != NULL && strstr(at + 1, ".tmp-") != NULL)
        at = strstr(at + 1, ".tmp-");
    if (at == NULL || at == name)
        return false;
    at += strlen(".tmp-");
    size_t process = strspn(at, "0123456789");
    size_t number = at[process] == '-' ? strspn(at + process + 1, "0123456789") : 0;
    return process > 0 && number > 0 && at[process + 1 + number] == '\0';
}

tp_status tp_file_clean(const char *directory)
{
    DIR *d = opendir(directory);
    if (d == NULL)
        return system_failure(directory, "open");
    struct dirent *e;
    tp_status s = TP_OK;
    while ((errno = 0, e = readdir(d)) != NULL) /* errno tells a failure from the end */
        if (is_temporary(e->d_name))
            unlinkat(dirfd(d), e->d_name, 0);
    if (errno != 0)
        s = system_failure(directory, "list");
    closedir(d);
    return s;
}

uint32_t tp_crc32(uint32_t crc, const void *data, size_t bytes)
{
    return (uint32_t)crc32_z(crc, data, bytes);
}

/* --- memory for foreign libraries --------------------------------------------------------------- */

void *tp_block_alloc(size_t bytes)
{
    if (bytes > SIZE_MAX / 4) {
        tp_fail(TP_ENOMEM, "cannot allocate %zu bytes: more than the address space", bytes);
        return NULL;
    }
    size_t whole = bytes + TP_ALIGN;
    char *p = tp_alloc(whole);
    if (p == NULL)
        return NULL;
    memcpy(p, &whole, sizeof whole);
    return p + TP_ALIGN;
}

void tp_block_free(void *p)
{
    if (p == NULL)
        return;
    size_t whole;
    char *start = (char *)p - TP_ALIGN;
    memcpy(&whole, start, sizeof whole);
    tp_free(start, whole);
}
