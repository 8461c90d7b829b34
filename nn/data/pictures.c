/* pictures.c: folders of PNG, or of folders of them, as torchvision's ImageFolder has them.
 *
 * Lists names first, so that order and number are known before a pixel is read; one picture at a time is in memory
 * beside the data set. Pictures as they are begin as grey ones, and are widened when the first one in colour comes. Read next: tensor/io/png.h. */
#define _POSIX_C_SOURCE 200809L

#include "nn/data/source.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "tensor/io/png.h"
#include "tensor/io/safetensors_header.h"
#include "tensor/mem.h"

/* --- what is in a folder ------------------------------------------------------------------------- */

/* The ending counts in either case, as it does for ImageFolder. */
static bool ends_with(const char *name, const char *ending)
{
    size_t n = strlen(name), k = strlen(ending);
    return n > k && strcasecmp(name + n - k, ending) == 0;
}

/* Calls see(user, name, is_folder) for each picture and each folder; a failure ends it, and so does *stop. */
typedef tp_status (*see_fn)(void *user, const char *name, bool is_folder, bool *stop);

static tp_status walk(const char *folder, see_fn see, void *user)
{
    char path[TP_SOURCE_PATH];
    struct dirent *e;
    DIR *d = opendir(folder);
    if (d == NULL)
        return tp_fail(TP_EIO, "%s: cannot open: %s", folder, strerror(errno));
    tp_status s = TP_OK;
    for (bool stop = false; !stop && s == TP_OK;) {
        tp_source_seen what = TP_SEEN_FILE;
        errno = 0;
        if ((e = readdir(d)) == NULL) {
            if (errno != 0)
                s = tp_fail(TP_EIO, "%s: its list of files cannot be read: %s", folder,
                            strerror(errno));
            break;
        }
        if (*e->d_name == '.')
            continue;
        if (!ends_with(e->d_name, ".png")) {
            s = tp_source_path(path, folder, e->d_name);
            if (s == TP_OK)
                s = tp_source_look(path, &what);
        }
        if (s == TP_OK)
            s = see(user, e->d_name, what == TP_SEEN_FOLDER, &stop);
    }
    closedir(d);
    return s;
}

/* What makes a folder one of pictures, or not. */
typedef struct look {
    const char *folder; /* NULL: folders inside do not matter */
    bool pictures, classes, other;
} look;

static tp_status look_at(void *user, const char *name, bool is_folder, bool *stop)
{
    static const char *const splits[] = {"train", "test", "t10k", "valid", "val", "validation"};
    look *l = user;
    if (ends_with(name, ".png"))
        l->pictures = true;
    else if (ends_with(name, ".npy") || ends_with(name, "-ubyte") || ends_with(name, "-ubyte.gz"))
        l->other = true;
    else if (is_folder && l->folder != NULL && !l->classes) {
        char path[TP_SOURCE_PATH];
        look inside = {0};
        for (size_t i = 0; i < sizeof splits / sizeof *splits; i++)
            l->other |= strcmp(name, splits[i]) == 0;
        TP_TRY(tp_source_path(path, l->folder, name));
        TP_TRY(walk(path, look_at, &inside));
        l->classes = inside.pictures;
    }
    *stop = l->other || (l->folder == NULL && l->pictures);
    return TP_OK;
}

tp_status tp_holds_pictures(const char *folder, bool *yes)
{
    look l = {.folder = folder};
    TP_TRY(walk(folder, look_at, &l));
    *yes = (l.pictures || l.classes) && !l.other;
    return TP_OK;
}

/* --- lists of names ------------------------------------------------------------------------------ */

/* Names behind one another, each with its NUL, and where each begins. */
typedef struct names {
    char *text;
    size_t used, room;
    size_t *at, at_room;
    int64_t n;
} names;

static void names_free(names *l)
{
    tp_free(l->text, l->room);
    tp_free(l->at, l->at_room * sizeof *l->at);
    *l = (names){0};
}

static const char *name_of(const names *l, int64_t i)
{
    return l->text + l->at[i];
}

/* The block at least twice as large; *p stays on failure. */
static tp_status grow(void **p, size_t *room, size_t needed, size_t size)
{
    size_t more = *room > 0 ? 2 * *room : 256;
    if (more < needed)
        more = needed;
    void *larger = tp_realloc(*p, *room * size, more * size);
    if (larger == NULL)
        return TP_ENOMEM;
    *p = larger;
    *room = more;
    return TP_OK;
}

/* "<folder>/<name>", or name alone for "". */
static tp_status names_add(names *l, const char *folder, const char *name)
{
    size_t n = strlen(folder) + strlen(name) + 2;
    void *text = l->text, *at = l->at;
    tp_status s = TP_OK;
    if (l->used + n > l->room)
        s = grow(&text, &l->room, l->used + n, 1);
    l->text = text;
    if (s == TP_OK && (size_t)l->n == l->at_room)
        s = grow(&at, &l->at_room, 0, sizeof *l->at);
    l->at = at;
    if (s != TP_OK) {
        tp_fail_prefix("the names of %lld files: ", (long long)l->n + 1);
        return s;
    }
    l->at[l->n++] = l->used;
    l->used += 1 + (size_t)snprintf(l->text + l->used, n, "%s%s%s", folder,
                                    *folder != '\0' ? "/" : "", name);
    return TP_OK;
}

static int by_name(const void *list, int64_t a, int64_t b)
{
    return strcmp(name_of(list, a), name_of(list, b));
}

static tp_status names_sort(names *l)
{
    if (l->n == 0)
        return TP_OK;
    int64_t *order = tp_st_sorted(l->n, by_name, l);
    size_t bytes = l->at_room * sizeof *l->at, *at = order != NULL ? tp_alloc(bytes) : NULL;
    if (at != NULL) {
        for (int64_t i = 0; i < l->n; i++)
            at[i] = l->at[order[i]];
        tp_free(l->at, bytes);
        l->at = at;
    } else
        tp_fail_prefix("sorting the names of %lld files: ", (long long)l->n);
    tp_free(order, (size_t)l->n * sizeof *order);
    return at != NULL ? TP_OK : TP_ENOMEM;
}

typedef struct listing {
    names pictures, folders;
} listing;

static tp_status list_one(void *user, const char *name, bool is_folder, bool *stop)
{
    listing *l = user;
    (void)stop;
    if (ends_with(name, ".png"))
        return names_add(&l->pictures, "", name);
    return is_folder ? names_add(&l->folders, "", name) : TP_OK;
}

static void listing_free(listing *l)
{
    names_free(&l->pictures);
    names_free(&l->folders);
}

/* Sorted. Freed by the caller, also on failure. */
static tp_status list(listing *l, const char *folder)
{
    TP_TRY(walk(folder, list_one, l));
    TP_TRY(names_sort(&l->pictures));
    return names_sort(&l->folders);
}

/* --- which pictures, of which classes ------------------------------------------------------------- */

enum { CLASSES = 256 };

typedef struct catalogue {
    names pictures; /* "1.png", or "cat/1.png" */
    int classes;    /* 0: no labels */
    int64_t end[CLASSES];
} catalogue;

static tp_status add_class(catalogue *c, const char *folder, const char *name)
{
    char path[TP_SOURCE_PATH];
    listing inside = {0};
    TP_TRY(tp_source_path(path, folder, name));
    tp_status s = list(&inside, path);
    if (s == TP_OK && inside.pictures.n == 0)
        s = tp_fail(TP_EFORMAT, "%s: no *.png in this folder of a class", path);
    if (s == TP_OK && inside.folders.n > 0)
        s = tp_fail(TP_EFORMAT, "%s: a folder '%s' in the folder of a class, expected *.png only",
                    path, name_of(&inside.folders, 0));
    for (int64_t i = 0; i < inside.pictures.n && s == TP_OK; i++)
        s = names_add(&c->pictures, name, name_of(&inside.pictures, i));
    listing_free(&inside);
    c->end[c->classes++] = c->pictures.n;
    return s;
}

static tp_status add_folder(catalogue *c, const char *folder, listing *l)
{
    TP_TRY(list(l, folder));
    if (l->pictures.n > 0 && l->folders.n > 0)
        return tp_fail(TP_EFORMAT,
                       "%s: '%s' beside the folder '%s', expected pictures or folders of them, one "
                       "for each class",
                       folder, name_of(&l->pictures, 0), name_of(&l->folders, 0));
    if (l->pictures.n == 0 && l->folders.n == 0)
        return tp_fail(TP_EFORMAT, "%s: no *.png in it, and no folders of them", folder);
    if (l->folders.n > CLASSES)
        return tp_fail(TP_EFORMAT, "%s: %lld folders, expected at most %d classes", folder,
                       (long long)l->folders.n, CLASSES);
    for (int64_t i = 0; i < l->folders.n; i++)
        TP_TRY(add_class(c, folder, name_of(&l->folders, i)));
    if (l->pictures.n > 0) { /* taken over */
        c->pictures = l->pictures;
        l->pictures = (names){0};
    }
    return TP_OK;
}

/* --- pixels --------------------------------------------------------------------------------------- */

/* u8 [H,W,C] into [H,W], the formula of nn/data.h. */
static void to_grey(unsigned char *to, const tp_tensor *image)
{
    int64_t channels = image->shape.dim[2], n = tp_numel(image) / channels;
    const unsigned char *from = tp_data(image);
    if (channels == 1)
        memcpy(to, from, (size_t)n);
    else
        for (int64_t i = 0; i < n; i++, from += 3)
            to[i] = (unsigned char)((19595u * from[0] + 38470u * from[1] + 7471u * from[2] +
                                     (1u << 15)) >>
                                    16);
}

/* u8 [H,W,C] into planes [3,H,W]. */
static void to_planes(unsigned char *to, const tp_tensor *image)
{
    int64_t channels = image->shape.dim[2], n = tp_numel(image) / channels;
    const unsigned char *from = tp_data(image);
    for (int64_t c = 0; c < 3; c++, to += n)
        for (int64_t i = 0; i < n; i++)
            to[i] = from[channels * i + (channels == 1 ? 0 : c)];
}

/* Pictures on their way into a data set. */
typedef struct filling {
    tp_dataset made;
    const char *folder;
    const names *pictures;
    tp_channels channels; /* AUTO until there is a picture in colour */
} filling;

static bool in_planes(const filling *f)
{
    return f->channels == TP_CHANNELS_COLOUR;
}

/* Room for all, of the size of one. */
static tp_status make_room(const filling *f, tp_tensor *x, int64_t height, int64_t width)
{
    int64_t n = f->pictures->n;
    tp_shape shape = in_planes(f) ? TP_SHAPE(n, 3, height, width) : TP_SHAPE(n, height, width);
    tp_status s = tp_tensor_new(x, TP_U8, shape);
    if (s != TP_OK)
        tp_fail_prefix("%s: %lld pictures: ", f->folder, (long long)n);
    return s;
}

/* The first picture in colour, behind so many in grey: they become planes, too. */
static tp_status widen(filling *f, int64_t pictures)
{
    tp_tensor wide, *grey = &f->made.x;
    int64_t height = grey->shape.dim[1], width = grey->shape.dim[2], n = height * width;
    f->channels = TP_CHANNELS_COLOUR;
    TP_TRY(make_room(f, &wide, height, width));
    const unsigned char *from = tp_data(grey);
    unsigned char *to = tp_data_mut(&wide);
    for (int64_t i = 0; i < 3 * pictures; i++)
        memcpy(to + i * n, from + i / 3 * n, (size_t)n);
    tp_tensor_free(grey);
    *grey = wide;
    return TP_OK;
}

/* Makes room with the first picture, which says how large all are, and again with the first one in colour. */
static tp_status fit(filling *f, const char *path, const tp_tensor *image, int64_t i)
{
    const int64_t *is = image->shape.dim;
    bool wider = f->channels == TP_CHANNELS_AUTO && is[2] == 3;
    if (i == 0) {
        f->channels = wider ? TP_CHANNELS_COLOUR : f->channels;
        return make_room(f, &f->made.x, is[0], is[1]);
    }
    const tp_shape *all = &f->made.x.shape;
    const int64_t *want = all->dim + all->ndim - 2;
    if (is[0] != want[0] || is[1] != want[1])
        return tp_fail(TP_EFORMAT, "%s: is %lldx%lld (height x width), expected %lldx%lld as %s",
                       path, (long long)is[0], (long long)is[1], (long long)want[0],
                       (long long)want[1], name_of(f->pictures, 0));
    return wider ? widen(f, i) : TP_OK;
}

static tp_status place(filling *f, int64_t i)
{
    char path[TP_SOURCE_PATH];
    tp_tensor image;
    TP_TRY(tp_source_path(path, f->folder, name_of(f->pictures, i)));
    TP_TRY(tp_png_read(path, &image));
    tp_status s = fit(f, path, &image, i);
    if (s == TP_OK) {
        unsigned char *to = tp_data_mut(&f->made.x);
        to += i * tp_dataset_width(&f->made);
        in_planes(f) ? to_planes(to, &image) : to_grey(to, &image);
    }
    tp_tensor_free(&image);
    return s;
}

static tp_status make_labels(tp_tensor *labels, const catalogue *c)
{
    if (c->classes == 0)
        return TP_OK;
    TP_TRY(tp_tensor_new(labels, TP_U8, TP_SHAPE(c->pictures.n)));
    unsigned char *to = tp_data_mut(labels);
    for (int k = 0; k < c->classes; k++)
        for (int64_t i = k > 0 ? c->end[k - 1] : 0; i < c->end[k]; i++)
            to[i] = (unsigned char)k;
    return TP_OK;
}

tp_status tp_read_pictures(tp_dataset *d, const char *folder, tp_channels channels)
{
    listing l = {0};
    catalogue c = {0};
    filling f = {.folder = folder, .pictures = &c.pictures, .channels = channels};
    tp_status s = add_folder(&c, folder, &l);
    for (int64_t i = 0; i < c.pictures.n && s == TP_OK; i++)
        s = place(&f, i);
    if (s == TP_OK)
        s = make_labels(&f.made.labels, &c);
    listing_free(&l);
    names_free(&c.pictures);
    if (s == TP_OK)
        *d = f.made;
    else
        tp_dataset_free(&f.made);
    return s;
}
