/* crash.c: see crash.h. Follows a record call by call; after each, goes through what may be lost. */
#define _POSIX_C_SOURCE 200809L
#include "tests/support/faults/crash.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/faults/faults.h"
#include "tests/support/faults/scenes.h"

enum { NAMES = 64, FILES = 512, FDS = 1024, PENDING = 14, PATH = 256, LOSSES = 5 };

typedef struct content {
    unsigned char *data;
    size_t n;
} content;

/* A file whatever its name. Its unsafe calls: truncation (offset -1), or data at an offset. */
typedef struct change {
    int64_t offset;
    content data;
} change;
typedef struct inode {
    content safe;
    change *change;
    int n;
    int64_t end; /* where the next write goes */
    bool directory;
} inode;

typedef enum { MAKE, MOVE, DROP } verb;
typedef struct entry_change {
    verb verb;
    char name[PATH], to[PATH];
    int file;
} entry_change;

typedef struct names {
    struct {
        char name[PATH];
        int file; /* -1: none */
    } at[NAMES];
    int n;
} names;

typedef struct world {
    const crash_opts *o;
    crash_result result;
    inode file[FILES];
    int files;
    names now, safe; /* as the program sees it, and what no crash can take */
    entry_change pending[PENDING];
    int pendings;
    struct {
        char path[PATH]; /* below root; "/": elsewhere, or closed */
        int file;        /* -1: none */
    } fd[FDS];
    int32_t mark;
    uint64_t *seen;
    size_t seen_n, seen_room;
} world;

static void *grow(void *p, size_t bytes)
{
    p = realloc(p, bytes ? bytes : 1);
    if (p == NULL)
        abort();
    return p;
}

static void trouble(world *w, const char *why)
{
    w->result.trouble = w->result.trouble ? w->result.trouble : why;
}

/* --- names ----------------------------------------------------------------------------------------- */

static int lookup(const names *t, const char *name)
{
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->at[i].name, name) == 0)
            return t->at[i].file;
    return -1;
}

static void bind(world *w, names *t, const char *name, int file)
{
    int i = 0;
    while (i < t->n && strcmp(t->at[i].name, name) != 0)
        i++;
    if (i == NAMES) {
        trouble(w, "too many names");
        return;
    }
    if (i == t->n)
        snprintf(t->at[t->n++].name, PATH, "%s", name);
    t->at[i].file = file;
}

static void apply(world *w, names *t, const entry_change *c)
{
    bind(w, t, c->name, c->verb == MAKE ? c->file : -1);
    if (c->verb == MOVE)
        bind(w, t, c->to, c->file);
}

/* The part of a path below root, "" for root itself; NULL if it lies elsewhere. */
static const char *below(const world *w, const char *path)
{
    size_t n = strlen(w->o->root);
    if (strncmp(path, w->o->root, n) != 0 || (path[n] != '/' && path[n] != 0))
        return NULL;
    while (path[n] == '/')
        n++;
    return path + n;
}

static bool is_in(const char *name, const char *directory)
{
    size_t n = strlen(directory);
    const char *last = strrchr(name, '/');
    return strncmp(name, directory, n) == 0 && last == (n == 0 ? NULL : name + n);
}

static void change_entry(world *w, verb v, const char *name, const char *to, int file)
{
    if (w->pendings == PENDING) {
        trouble(w, "too many unsafe changes of names");
        return;
    }
    entry_change *c = &w->pending[w->pendings++];
    c->verb = v;
    c->file = file;
    snprintf(c->name, PATH, "%s", name);
    snprintf(c->to, PATH, "%s", to ? to : "");
    apply(w, &w->now, c);
}

/* --- bytes ----------------------------------------------------------------------------------------- */

static void store(content *b, int64_t offset, const void *data, size_t n)
{
    size_t end = (size_t)offset + n;
    if (end > b->n) {
        b->data = grow(b->data, end);
        memset(b->data + b->n, 0, end - b->n);
        b->n = end;
    }
    if (n > 0)
        memcpy(b->data + offset, data, n);
}

static void unsafe(inode *f, int64_t offset, const void *data, size_t n)
{
    f->change = grow(f->change, (size_t)(f->n + 1) * sizeof *f->change);
    f->change[f->n] = (change){offset, {0}};
    store(&f->change[f->n++].data, 0, data, n);
}

/* What may be found of a file: nothing unsafe (loss 0), all, half the bytes, zeros, zeros in the first half:
 * blocks reach the disk in any order. */
static content found(const inode *f, int loss)
{
    content b = {0};
    size_t total = 0, done = 0;
    store(&b, 0, f->safe.data, f->safe.n);
    for (int i = 0; i < f->n; i++)
        total += f->change[i].data.n;
    for (int i = 0; i < f->n && loss > 0; i++) {
        const change *c = &f->change[i];
        if (c->offset < 0) {
            b.n = 0;
            continue;
        }
        size_t half = done >= total / 2 ? 0 : total / 2 - done; /* of this change, the first half */
        half = half < c->data.n ? half : c->data.n;
        store(&b, c->offset, c->data.data, loss == 2 ? half : c->data.n);
        if (loss >= 3)
            memset(b.data + c->offset, 0, loss == 3 ? c->data.n : half);
        done += c->data.n;
    }
    return b;
}

static void make_safe(inode *f)
{
    content all = found(f, 1);
    for (int i = 0; i < f->n; i++)
        free(f->change[i].data.data);
    free(f->safe.data);
    f->safe = all;
    f->n = 0;
}

/* --- one state ------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, const void *data, size_t n) /* FNV-1a */
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ ((const unsigned char *)data)[i]) * 1099511628211u;
    return h;
}

static bool known_state(world *w, const names *t, const int *loss)
{
    uint64_t start = mix(1469598103934665603u, &w->mark, sizeof w->mark), sum = start;
    for (int i = 0, file; i < t->n; i++) {
        if ((file = t->at[i].file) < 0)
            continue;
        content b = found(&w->file[file], loss[file]);
        sum += mix(mix(start, t->at[i].name, strlen(t->at[i].name) + 1), b.data, b.n);
        free(b.data); /* a sum, because the order of names does not matter */
    }
    for (size_t i = 0; i < w->seen_n; i++)
        if (w->seen[i] == sum)
            return true;
    if (w->seen_n == w->seen_room)
        w->seen = grow(w->seen, (w->seen_room = 2 * w->seen_room + 64) * sizeof *w->seen);
    w->seen[w->seen_n++] = sum;
    return false;
}

/* A name whose directory is lost is lost with it: making it fails, and that is right. */
static void build(world *w, const names *t, const int *loss)
{
    char path[2 * PATH];
    mkdir(w->o->scratch, 0700);
    for (int directories = 1; directories >= 0; directories--) /* and they in the order of making */
        for (int i = 0; i < t->n; i++) {
            int file = t->at[i].file;
            if (file < 0 || w->file[file].directory != (directories == 1))
                continue;
            snprintf(path, sizeof path, "%s/%s", w->o->scratch, t->at[i].name);
            if (directories == 1) {
                mkdir(path, 0700);
                continue;
            }
            FILE *f = fopen(path, "wb");
            if (f == NULL)
                continue;
            content b = found(&w->file[file], loss[file]);
            if ((b.n > 0 && fwrite(b.data, 1, b.n, f) != b.n) || fclose(f) != 0)
                trouble(w, "a state could not be written");
            free(b.data);
        }
}

static void try_state(world *w, const names *t, const int *loss)
{
    if (known_state(w, t, loss))
        return;
    build(w, t, loss);
    w->result.states++;
    if (!w->o->check(w->o->user, w->o->scratch, w->mark))
        w->result.objected++;
    folder_remove(w->o->scratch);
}

/* All combinations of what is found of the files that have names and unsafe bytes. */
static void vary_bytes(world *w, const names *t)
{
    int loss[FILES] = {0}, open[FILES], n = 0;
    for (int i = 0; i < t->n; i++)
        if (t->at[i].file >= 0 && w->file[t->at[i].file].n > 0)
            open[n++] = t->at[i].file;
    if (n > 3)
        trouble(w, "too many files with unsafe bytes");
    while (w->result.trouble == NULL) {
        try_state(w, t, loss);
        int i = 0;
        while (i < n && ++loss[open[i]] == LOSSES)
            loss[open[i++]] = 0;
        if (i == n)
            return;
    }
}

static bool share_a_name(const entry_change *a, const entry_change *b)
{
    return strcmp(a->name, b->name) == 0 || strcmp(a->name, b->to) == 0 ||
           (a->verb == MOVE && (strcmp(a->to, b->name) == 0 || strcmp(a->to, b->to) == 0));
}

/* All sets of unsafe changes of names that keep the order of those that share a name. */
static void crash_here(world *w)
{
    unsigned needs[PENDING] = {0};
    w->result.points++;
    for (int j = 0; j < w->pendings; j++)
        for (int i = 0; i < j; i++)
            if (share_a_name(&w->pending[i], &w->pending[j]))
                needs[j] |= 1u << i;
    for (unsigned kept = 0; kept < 1u << w->pendings; kept++) {
        names t = w->safe;
        bool possible = true;
        for (int j = 0; j < w->pendings; j++)
            if ((kept & 1u << j) != 0) {
                possible &= (needs[j] & ~kept) == 0;
                apply(w, &t, &w->pending[j]);
            }
        if (possible)
            vary_bytes(w, &t);
    }
}

/* --- following the record ---------------------------------------------------------------------------- */

static int new_file(world *w, bool directory)
{
    if (w->files == FILES) {
        trouble(w, "too many files");
        return 0;
    }
    w->file[w->files] = (inode){.directory = directory};
    return w->files++;
}

static void on_open(world *w, int fd, int flags, const char *path)
{
    const char *name = below(w, path);
    w->fd[fd].file = -1;
    snprintf(w->fd[fd].path, PATH, "%s", name ? name : "/");
    if (name == NULL)
        return;
    int file = lookup(&w->now, name);
    if (file < 0 && (flags & O_CREAT) != 0) {
        file = new_file(w, false);
        change_entry(w, MAKE, name, NULL, file);
    }
    w->fd[fd].file = file;
    if (file < 0 || (flags & O_ACCMODE) == O_RDONLY)
        return;
    if ((flags & O_TRUNC) != 0)
        unsafe(&w->file[file], -1, NULL, 0);
    content all = found(&w->file[file], 1);
    w->file[file].end = (flags & O_APPEND) != 0 ? (int64_t)all.n : 0;
    free(all.data);
}

static void on_fsync(world *w, int fd)
{
    int file = w->fd[fd].file, kept = 0;
    const char *directory = w->fd[fd].path;
    if (file >= 0 && !w->file[file].directory) {
        if (!w->o->no_file_fsync)
            make_safe(&w->file[file]);
        return;
    }
    for (int i = 0; i < w->pendings; i++) {
        entry_change *c = &w->pending[i];
        bool here = is_in(c->verb == MOVE ? c->to : c->name, directory);
        const char *key = w->o->mark_name ? strstr(c->to, w->o->mark_name) : NULL;
        if (here && key != NULL)
            w->mark = (int32_t)atoi(key + strlen(w->o->mark_name));
        if (here && !w->o->no_dir_fsync)
            apply(w, &w->safe, c);
        else
            w->pending[kept++] = *c;
    }
    w->pendings = kept;
}

static void on_event(world *w, const fault_event *e, const char *path, const char *to,
                     const unsigned char *data)
{
    const char *name = below(w, path), *target = below(w, to);
    int fd = e->fd >= 0 && e->fd < FDS ? e->fd : FDS - 1; /* the last one is nobody's */
    int file = w->fd[fd].file;
    char joined[2 * PATH];
    switch ((fault_call)e->call) {
    case FAULT_open:
        on_open(w, fd, e->flags, path);
        break;
    case FAULT_write:
    case FAULT_pwrite:
        if (file >= 0) {
            inode *f = &w->file[file];
            bool appends = e->call == FAULT_write;
            unsafe(f, appends ? f->end : e->offset, data, (size_t)e->data_bytes);
            f->end += appends ? e->data_bytes : 0;
        }
        break;
    case FAULT_fsync:
        if (strcmp(w->fd[fd].path, "/") != 0)
            on_fsync(w, fd);
        break;
    case FAULT_close:
        w->fd[fd].file = -1;
        strcpy(w->fd[fd].path, "/");
        break;
    case FAULT_rename:
        if (name != NULL && target != NULL)
            change_entry(w, MOVE, name, target, lookup(&w->now, name));
        else if (name != NULL || target != NULL)
            trouble(w, "a rename across the border of the directory");
        break;
    case FAULT_unlink:
    case FAULT_rmdir:
        if (name != NULL)
            change_entry(w, DROP, name, NULL, -1);
        break;
    case FAULT_unlinkat:
        snprintf(joined, sizeof joined, "%s%s%s", w->fd[fd].path, *w->fd[fd].path ? "/" : "", path);
        if (strcmp(w->fd[fd].path, "/") != 0)
            change_entry(w, DROP, joined, NULL, -1);
        break;
    case FAULT_mkdir:
        if (name != NULL)
            change_entry(w, MAKE, name, NULL, new_file(w, true));
        break;
    case FAULT_MARK:
        w->mark = e->fd;
        break;
    default:
        trouble(w, "a call that the model does not know");
    }
}

static char *take_text(FILE *f, int32_t n)
{
    char *text = grow(NULL, (size_t)n + 1);
    if (fread(text, 1, (size_t)n, f) != (size_t)n)
        abort();
    text[n] = 0;
    return text;
}

static void follow(world *w)
{
    FILE *f = fopen(w->o->record, "rb");
    fault_event e;
    if (f == NULL)
        trouble(w, "no record");
    crash_here(w);
    while (w->result.trouble == NULL && !(w->o->once && w->result.objected > 0) &&
           fread(&e, sizeof e, 1, f) == 1) {
        char *path = take_text(f, e.path_bytes), *to = take_text(f, e.to_bytes);
        char *data = take_text(f, e.data_bytes);
        on_event(w, &e, path, to, (const unsigned char *)data);
        free(path);
        free(to);
        free(data);
        crash_here(w);
    }
    if (f != NULL)
        fclose(f);
}

/* The files that were there are safe. */
static void start(world *w)
{
    char path[2 * PATH];
    DIR *d = w->o->before ? opendir(w->o->before) : NULL;
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", w->o->before, e->d_name);
        FILE *f = fopen(path, "rb");
        int file = new_file(w, false);
        unsigned char buffer[4096];
        for (size_t n; f != NULL && (n = fread(buffer, 1, sizeof buffer, f)) > 0;)
            store(&w->file[file].safe, (int64_t)w->file[file].safe.n, buffer, n);
        if (f != NULL)
            fclose(f);
        bind(w, &w->now, e->d_name, file);
        bind(w, &w->safe, e->d_name, file);
    }
    if (d != NULL)
        closedir(d);
}

crash_result crash_explore(const crash_opts *o)
{
    world *w = calloc(1, sizeof *w);
    if (w == NULL)
        abort();
    w->o = o;
    w->mark = -1;
    for (int i = 0; i < FDS; i++) {
        w->fd[i].file = -1;
        strcpy(w->fd[i].path, "/");
    }
    start(w);
    follow(w);
    for (int i = 0; i < w->files; i++) {
        make_safe(&w->file[i]);
        free(w->file[i].safe.data);
        free(w->file[i].change);
    }
    crash_result result = w->result;
    free(w->seen);
    free(w);
    return result;
}
