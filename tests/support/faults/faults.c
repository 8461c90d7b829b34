/* faults.c: see faults.h. One thread does a program's file work, so nothing here is locked. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "tests/support/faults/faults.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REMEMBERED = 4096 };

static bool armed;
static fault_plan plan;
static long calls, struck;
static unsigned char met[REMEMBERED];
static int record_fd = -1;

/* --- the functions behind ------------------------------------------------------------------------- */

/* Finds what comes after this program's own function of that name. C has no cast from an object pointer
 * to a function pointer, POSIX says that copying works. */
static void find(void *to, const char *name)
{
    void *p = dlsym(RTLD_NEXT, name);
    if (p == NULL)
        abort();
    memcpy(to, &p, sizeof p);
}

#define REAL(result, name, ...)                                                                    \
    static result (*real)(__VA_ARGS__);                                                            \
    if (real == NULL)                                                                              \
    find(&real, #name)

static ssize_t real_write(int fd, const void *data, size_t bytes)
{
    REAL(ssize_t, write, int, const void *, size_t);
    return real(fd, data, bytes);
}

static int real_close(int fd)
{
    REAL(int, close, int);
    return real(fd);
}

static int real_open(const char *path, int flags, mode_t mode)
{
    REAL(int, open, const char *, int, ...);
    return real(path, flags, mode);
}

/* --- the plan ------------------------------------------------------------------------------------ */

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Counts a call and says what is to happen to it. A kill before it happens here. */
static fault_kind meet(fault_call call)
{
    if (!armed)
        return FAULT_NONE;
    long n = calls++;
    if (n < REMEMBERED)
        met[n] = (unsigned char)call;
    bool hit = n == plan.at || (plan.forever && n > plan.at);
    if (!hit || (plan.forever && plan.only != 0 && (plan.only & 1u << call) == 0))
        return FAULT_NONE;
    struck++;
    if (plan.kind == FAULT_KILL_BEFORE ||
        (plan.kind == FAULT_KILL_HALF && call != FAULT_write && call != FAULT_pwrite))
        die();
    if (plan.kind == FAULT_STOP)
        raise(SIGSTOP);
    while (plan.kind == FAULT_STALL)
        pause();
    if (plan.kind == FAULT_ERRNO)
        errno = plan.error;
    return plan.kind;
}

/* How much of bytes a read or write may move. */
static size_t allowed(fault_kind kind, size_t bytes)
{
    if (kind == FAULT_ONE)
        return bytes < 1 ? bytes : 1;
    if (kind == FAULT_HALF || kind == FAULT_KILL_HALF)
        return bytes - bytes / 2;
    return bytes;
}

static void after(fault_kind kind)
{
    if (kind == FAULT_KILL_AFTER || kind == FAULT_KILL_HALF)
        die();
}

/* --- the record ----------------------------------------------------------------------------------- */

static void put(const void *data, size_t bytes)
{
    if (bytes > 0 && real_write(record_fd, data, bytes) != (ssize_t)bytes)
        abort(); /* a record with holes would prove nothing */
}

static void note(fault_call call, int fd, int flags, const char *path, const char *to,
                 const void *data, size_t bytes, off_t offset)
{
    if (record_fd < 0)
        return;
    int error = errno;
    size_t n = path ? strlen(path) : 0, m = to ? strlen(to) : 0;
    fault_event e = {(int32_t)call,  fd, flags, (int32_t)n, (int32_t)m, (int32_t)bytes,
                     (int64_t)offset};
    put(&e, sizeof e);
    put(path, n);
    put(to, m);
    put(data, bytes);
    errno = error;
}

/* --- in the place of the C library ----------------------------------------------------------------- */

enum { FAULT_FDS = 1024 };
static bool opened[FAULT_FDS];

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if ((flags & O_CREAT) != 0) {
        va_list list;
        va_start(list, flags);
        mode = (mode_t)va_arg(list, int);
        va_end(list);
    }
    fault_kind k = meet(FAULT_open);
    if (k == FAULT_ERRNO)
        return -1;
    int fd = real_open(path, flags, mode);
    if (fd >= 0)
        note(FAULT_open, fd, flags, path, NULL, NULL, 0, 0);
    if (fd >= 0 && fd < FAULT_FDS)
        opened[fd] = true;
    after(k);
    return fd;
}

ssize_t read(int fd, void *data, size_t bytes)
{
    REAL(ssize_t, read, int, void *, size_t);
    fault_kind k = meet(FAULT_read);
    if (k == FAULT_ERRNO)
        return -1;
    ssize_t n = real(fd, data, allowed(k, bytes));
    after(k);
    return n;
}

ssize_t pread(int fd, void *data, size_t bytes, off_t offset)
{
    REAL(ssize_t, pread, int, void *, size_t, off_t);
    fault_kind k = meet(FAULT_pread);
    if (k == FAULT_ERRNO)
        return -1;
    ssize_t n = real(fd, data, allowed(k, bytes), offset);
    after(k);
    return n;
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    fault_kind k = meet(FAULT_write);
    if (k == FAULT_ERRNO || k == FAULT_NOTHING)
        return k == FAULT_ERRNO ? -1 : 0;
    ssize_t n = real_write(fd, data, allowed(k, bytes));
    if (n > 0)
        note(FAULT_write, fd, 0, NULL, NULL, data, (size_t)n, 0);
    after(k);
    return n;
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    fault_kind k = meet(FAULT_pwrite);
    if (k == FAULT_ERRNO || k == FAULT_NOTHING)
        return k == FAULT_ERRNO ? -1 : 0;
    ssize_t n = real(fd, data, allowed(k, bytes), offset);
    if (n > 0)
        note(FAULT_pwrite, fd, 0, NULL, NULL, data, (size_t)n, offset);
    after(k);
    return n;
}

int fsync(int fd)
{
    REAL(int, fsync, int);
    fault_kind k = meet(FAULT_fsync);
    if (k == FAULT_ERRNO)
        return -1;
    int failed = armed ? fcntl(fd, F_GETFD) < 0 : real(fd);
    if (failed == 0)
        note(FAULT_fsync, fd, 0, NULL, NULL, NULL, 0, 0);
    after(k);
    return failed ? -1 : 0;
}

/* Only of what open opened: what an OpenMP runtime does with files of its own, at some starts and not at others, is not
 * counted. */
int close(int fd)
{
    bool own = fd >= 0 && fd < FAULT_FDS && opened[fd];
    if (!own)
        return real_close(fd);
    opened[fd] = false;
    fault_kind k = meet(FAULT_close);
    int failed = real_close(fd);
    if (failed == 0)
        note(FAULT_close, fd, 0, NULL, NULL, NULL, 0, 0);
    if (k == FAULT_ERRNO)
        errno = plan.error;
    after(k);
    return failed != 0 || k == FAULT_ERRNO ? -1 : 0;
}

int rename(const char *from, const char *to)
{
    REAL(int, rename, const char *, const char *);
    fault_kind k = meet(FAULT_rename);
    if (k == FAULT_ERRNO)
        return -1;
    int failed = real(from, to);
    if (failed == 0)
        note(FAULT_rename, -1, 0, from, to, NULL, 0, 0);
    after(k);
    return failed;
}

/* Functions of one path that succeed with 0. */
#define ON_PATH(name, parameters, arguments, ...)                                                  \
    int name parameters                                                                            \
    {                                                                                              \
        REAL(int, name, __VA_ARGS__);                                                              \
        fault_kind k = meet(FAULT_##name);                                                         \
        if (k == FAULT_ERRNO)                                                                      \
            return -1;                                                                             \
        int failed = real arguments;                                                               \
        if (failed == 0 &&                                                                         \
            ((FAULT_BIT(unlink) | FAULT_BIT(mkdir) | FAULT_BIT(rmdir)) & FAULT_BIT(name)) != 0)    \
            note(FAULT_##name, -1, 0, path, NULL, NULL, 0, 0);                                     \
        after(k);                                                                                  \
        return failed;                                                                             \
    }
ON_PATH(unlink, (const char *path), (path), const char *)
ON_PATH(rmdir, (const char *path), (path), const char *)
ON_PATH(mkdir, (const char *path, mode_t mode), (path, mode), const char *, mode_t)
ON_PATH(access, (const char *path, int how), (path, how), const char *, int)
ON_PATH(stat, (const char *restrict path, struct stat *restrict info), (path, info), const char *,
        struct stat *)

int unlinkat(int fd, const char *path, int flags)
{
    REAL(int, unlinkat, int, const char *, int);
    fault_kind k = meet(FAULT_unlinkat);
    if (k == FAULT_ERRNO)
        return -1;
    int failed = real(fd, path, flags);
    if (failed == 0)
        note(FAULT_unlinkat, fd, 0, path, NULL, NULL, 0, 0);
    after(k);
    return failed;
}

int flock(int fd, int how)
{
    REAL(int, flock, int, int);
    fault_kind k = meet(FAULT_flock);
    if (k == FAULT_ERRNO)
        return -1;
    int failed = real(fd, how);
    after(k);
    return failed;
}

int fstat(int fd, struct stat *info)
{
    REAL(int, fstat, int, struct stat *);
    fault_kind k = meet(FAULT_fstat);
    if (k == FAULT_ERRNO)
        return -1;
    int failed = real(fd, info);
    after(k);
    return failed;
}

DIR *opendir(const char *path)
{
    REAL(DIR *, opendir, const char *);
    fault_kind k = meet(FAULT_opendir);
    if (k == FAULT_ERRNO)
        return NULL;
    DIR *d = real(path);
    if (d != NULL)
        note(FAULT_open, dirfd(d), O_RDONLY, path, NULL, NULL, 0, 0); /* for unlinkat */
    after(k);
    return d;
}

struct dirent *readdir(DIR *d)
{
    REAL(struct dirent *, readdir, DIR *);
    fault_kind k = meet(FAULT_readdir);
    if (k == FAULT_ERRNO)
        return NULL;
    struct dirent *e = real(d);
    after(k);
    return e;
}

/* --- for tests ------------------------------------------------------------------------------------- */

void faults_arm(fault_plan p)
{
    plan = p;
    calls = struck = 0;
    armed = true;
}

long faults_disarm(void)
{
    armed = false;
    return calls;
}

long faults_struck(void)
{
    return struck;
}

fault_call faults_call(long n)
{
    return n >= 0 && n < calls && n < REMEMBERED ? (fault_call)met[n] : FAULT_CALL_COUNT;
}

const char *faults_call_name(fault_call call)
{
#define FAULT_NAME(name) #name,
    static const char *const names[] = {FAULT_CALLS(FAULT_NAME) "mark", "none"};
#undef FAULT_NAME
    return names[call <= FAULT_CALL_COUNT ? call : FAULT_CALL_COUNT];
}

bool faults_record(const char *file)
{
    if (record_fd >= 0)
        real_close(record_fd);
    record_fd = file == NULL
                    ? -1
                    : real_open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_APPEND, 0600);
    return file == NULL || record_fd >= 0;
}

void faults_mark(int32_t mark)
{
    note(FAULT_MARK, mark, 0, NULL, NULL, NULL, 0, 0);
}

/* --- for whole programs ------------------------------------------------------------------------------ */

int faults_errno(const char *name)
{
    static const struct {
        const char *name;
        int value;
    } known[] = {{"EINTR", EINTR},   {"ENOSPC", ENOSPC}, {"EIO", EIO},      {"EROFS", EROFS},
                 {"EMFILE", EMFILE}, {"EDQUOT", EDQUOT}, {"EACCES", EACCES}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0)
            return known[i].value;
    return 0;
}

/* TAPIR_FAULT=<what>:<n>[+]: what is an errno, one, half, kill-before, kill-half, kill-after, stop or stall; with +
 * it stays. ENOSPC+ and EDQUOT+ hit only what needs room. A word that is not understood stops the program:
 * a fault that never comes would look like a test that passes. */
static bool read_plan(const char *text)
{
    static const char *const kinds[FAULT_KINDS] = {
        [FAULT_NONE] = "none",           [FAULT_ONE] = "one",
        [FAULT_HALF] = "half",           [FAULT_KILL_BEFORE] = "kill-before",
        [FAULT_KILL_HALF] = "kill-half", [FAULT_KILL_AFTER] = "kill-after",
        [FAULT_STOP] = "stop",           [FAULT_STALL] = "stall"};
    char what[32] = "", plus[2] = "";
    fault_plan p = {0};
    if (sscanf(text, "%31[^:]:%ld%1s", what, &p.at, plus) < 2)
        return false;
    p.forever = plus[0] == '+';
    p.error = faults_errno(what);
    p.kind = p.error != 0 ? FAULT_ERRNO : FAULT_KINDS;
    for (int i = 0; i < FAULT_KINDS; i++)
        if (kinds[i] != NULL && strcmp(what, kinds[i]) == 0)
            p.kind = (fault_kind)i;
    if (p.error == ENOSPC || p.error == EDQUOT)
        p.only = FAULT_GROWING;
    if (p.kind == FAULT_KINDS)
        return false;
    faults_arm(p);
    return true;
}

/* A line for each call, when the program ends by itself. */
static void list_calls(void)
{
    armed = false;
    FILE *f = fopen(getenv("TAPIR_FAULT_CALLS"), "w");
    for (long n = 0; f != NULL && n < calls; n++)
        fprintf(f, "%s\n", faults_call_name(faults_call(n)));
    if (f == NULL || fclose(f) != 0)
        abort();
}

__attribute__((constructor)) static void start(void)
{
    if (getenv("TAPIR_FAULT_CALLS") != NULL)
        atexit(list_calls);
    const char *file = getenv("TAPIR_FAULT_RECORD"), *text = getenv("TAPIR_FAULT");
    if ((file != NULL && !faults_record(file)) || (text != NULL && !read_plan(text)))
        abort();
}
