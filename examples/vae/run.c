/* run.c: finding and opening what a command works on. Read next: train.c. */
#define _DEFAULT_SOURCE /* POSIX 2008 with realpath, and flock */
#include "run.h"
#include "say.h"

#include "tensor/io/file.h"
#include "tensor/parallel.h"
#include "tensor/scan.h"
#include "tensor/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

const char *path_in(char path[PATH_SIZE], const char *dir, const char *name)
{
    snprintf(path, PATH_SIZE, "%.*s/%.60s", PATH_MAX_GIVEN, dir, name);
    return path;
}

static bool is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* --- opening ------------------------------------------------------------------------------------ */

tp_status run_open(run *r, const options *o)
{
    *r = (run){.o = *o};
    TP_TRY(tp_set_threads((int)o->threads));
    if (o->threads != 1 && !tp_have_openmp())
        note("built without OpenMP: runs on one thread");
    else if (o->threads > tp_threads())
        note("runs on %d of %d threads: more cannot be had here", tp_threads(), (int)o->threads);
    else if (o->threads == 0 && tp_cores() == 1)
        note("this machine offers one core: runs on one thread");
    return tp_tape_new(&r->tape);
}

void run_close(run *r)
{
    tp_tape_free(r->tape);
    tp_model_free(&r->model);
    tp_dataset_free(&r->train);
    tp_dataset_free(&r->test);
}

/* --- data --------------------------------------------------------------------------------------- */

/* The folder of the digits: where the source was when the tool was built, or where it is beside the
 * build tree that the program lies in. */
static tp_status find_digits(char path[PATH_SIZE], const char *program)
{
    char self[PATH_SIZE];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0)
        n = snprintf(self, sizeof self, "%s", program);
    if (n < 0 || n >= (ssize_t)sizeof self)
        n = 0;
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    int length = slash != NULL ? (int)(slash - self) : 1;
    snprintf(path, PATH_SIZE, "%.*s/../../../examples/data", length, slash != NULL ? self : ".");
    if (tp_dataset_exists(path, "train"))
        return TP_OK;
#ifdef TAPIR_EXAMPLE_DATA
    snprintf(path, PATH_SIZE, "%s", TAPIR_EXAMPLE_DATA);
    if (tp_dataset_exists(path, "train"))
        return TP_OK;
#endif
    return tp_fail(TP_EIO, "the digits that come with the source are not there any more; name a "
                           "folder with --data");
}

/* The path of --data; o->data becomes absolute, so that config.json means the same everywhere. */
static tp_status find_data(options *o, char path[PATH_SIZE])
{
    if (strcmp(o->data, DIGITS) == 0)
        return find_digits(path, o->program);
    if (tp_file_missing(o->data))
        return tp_fail(TP_EIO, "%s: there is no such folder or file", o->data);
    char *absolute = realpath(o->data, NULL);
    if (absolute == NULL || strlen(absolute) > PATH_MAX_GIVEN) {
        free(absolute);
        return tp_fail(TP_EIO, "%s: its absolute path cannot be found or is too long", o->data);
    }
    if (*o->run == '\0' && !tp_utf8_valid(absolute)) {
        free(absolute);
        return tp_fail(TP_EIO, "%s: its absolute path is not UTF-8, so config.json cannot name it",
                       o->data);
    }
    snprintf(path, PATH_SIZE, "%s", o->data);
    snprintf(o->data, sizeof o->data, "%s", absolute);
    free(absolute);
    return TP_OK;
}

/* Floats may be anything, and most models want them from 0 to 1. Binarized, they are looked at elsewhere. */
static tp_status check_values(const options *o, const tp_dataset *d, const char *path,
                              const char *split)
{
    const tp_model_type *type = tp_model_types[o->model];
    bool normal = o->likelihood == TP_GAUSSIAN || o->likelihood == TP_GAUSSIAN_LEARNED;
    if (d->x.dtype == TP_U8 || o->binarize != TP_BINARIZE_GREY || (normal && type->any_real))
        return TP_OK;
    int64_t bad = tp_first_outside(&d->x, 0, 1);
    if (bad < 0)
        return TP_OK;
    char index[TP_SHAPE_TEXT];
    return tp_fail(TP_EVALUE,
                   "%s: the %s images: x%s = %g, expected 0 to 1: %s with the %s "
                   "likelihood takes no others",
                   path, split, tp_index_text(d->x.shape, bad, index), tp_flat(&d->x, bad),
                   type->name, tp_likelihood_name((int)o->likelihood));
}

enum { LONGEST_SIDE = 8188 }; /* two of them above each other, framed, fit into a PNG */

/* The pictures of an array, [n,height,width], [n,1,height,width] or [n,3,height,width], into p. */
static tp_status take_pictures(options *p, const tp_dataset *d, const char *path, const char *split)
{
    const tp_shape s = d->x.shape;
    char text[TP_SHAPE_TEXT];
    bool planes = s.ndim == 4 && (s.dim[1] == 1 || s.dim[1] == 3);
    if (s.ndim != 3 && !planes)
        return tp_fail(TP_EFORMAT,
                       "%s: the %s images have shape %s, expected count, height, width, or count, "
                       "3, height, width in colour%s",
                       path, split, tp_shape_text(s, text),
                       s.ndim == 4 && (s.dim[3] == 1 || s.dim[3] == 3)
                           ? "; in NumPy, x.transpose(0, 3, 1, 2) puts channels first"
                           : "");
    p->channels = planes && s.dim[1] == 3 ? TP_CHANNELS_COLOUR : TP_CHANNELS_GREY;
    p->height = s.dim[s.ndim - 2];
    p->width = s.dim[s.ndim - 1];
    if (p->height > LONGEST_SIDE || p->width > LONGEST_SIDE)
        return tp_fail(TP_ESHAPE, "%s: the %s images are %lldx%lld, expected at most %d a side",
                       path, split, (long long)p->height, (long long)p->width, LONGEST_SIDE);
    return TP_OK;
}

enum { SIZE_TEXT = 64 };

/* "28x20", and where it matters whether that is grey or colour. */
static const char *size_text(char text[SIZE_TEXT], const options *o, bool kind)
{
    const char *colour = o->channels == TP_CHANNELS_COLOUR ? " in colour" : " in grey";
    snprintf(text, SIZE_TEXT, "%lldx%lld%s", (long long)o->height, (long long)o->width,
             kind ? colour : "");
    return text;
}

/* Reads a split and checks or, for the first, takes the size of its pictures and whether they are in colour. */
static tp_status read_split(run *r, tp_dataset *d, const char *path, const char *split)
{
    options *o = &r->o, is = *o;
    char text[2][SIZE_TEXT];
    TP_TRY(tp_dataset_read_as(d, path, split, (tp_dataset_opts){(tp_channels)o->channels}));
    TP_TRY(take_pictures(&is, d, path, split));
    if (o->channels == TP_CHANNELS_AUTO)
        o->channels = is.channels;
    if (o->height == 0) {
        o->height = is.height;
        o->width = is.width;
    }
    bool other = is.channels != o->channels; /* an array: PNG are read as they are wanted */
    if (other || is.height != o->height || is.width != o->width)
        return tp_fail(TP_ESHAPE, "%s: the %s images are %s, expected %s%s", path, split,
                       size_text(text[0], &is, other), size_text(text[1], o, other),
                       other ? ": only PNG are turned from one into the other" : "");
    return check_values(o, d, path, split);
}

/* What a model may want to know of the training data. */
static void count_examples(options *o, const tp_dataset *d)
{
    o->examples = tp_dataset_size(d);
    o->classes = 0;
    for (int64_t i = 0; d->labels.storage != NULL && i < o->examples; i++) {
        int64_t label = (int64_t)tp_flat(&d->labels, i);
        o->classes = label < o->classes ? o->classes : label + 1;
    }
}

static const char valid_split[] = "valid";

static bool is_new(const run *r)
{
    return *r->o.run == '\0';
}

static bool measures(const run *r, const char *split)
{
    return r->test_split != NULL && strcmp(r->test_split, split) == 0;
}

bool run_has_valid(const run *r)
{
    return measures(r, valid_split);
}

/* The split of the images to measure on: the one asked for, that of a new run, or the first usual one that is there, or none
 * (NULL). */
static const char *find_test(const run *r, const char *path)
{
    const char *const usual[] = {"t10k", "test"};
    const char *asked = *r->o.split != '\0' ? r->o.split : NULL;
    if (is_new(r) && (r->o.valid > 0 || (r->o.valid == 0 && tp_dataset_exists(path, valid_split))))
        return valid_split;
    bool named = asked != NULL && strcmp(asked, "test") != 0;
    for (int i = 0; i < 2 && !named; i++)
        if (tp_dataset_exists(path, usual[i]))
            return usual[i];
    return asked; /* reading it says what was looked for */
}

/* The training images without those held back, which go into *off; NULL: away. */
static tp_status cut_valid(const run *r, const char *path, tp_dataset *d, tp_dataset *off)
{
    tp_dataset valid;
    long long count = r->o.valid, size = tp_dataset_size(d);
    if (count >= size)
        return tp_fail(TP_EARG,
                       "%s: --valid %lld: there are %lld training images, and one must be left",
                       path, count, size);
    TP_TRY(tp_dataset_split(d, count, (tp_split_opts){0}, &valid));
    if (off != NULL)
        *off = valid;
    else
        tp_dataset_free(&valid);
    return TP_OK;
}

/* Holds back what o.valid says. Of a run that is measured on something else, its own images may not be there. */
static tp_status hold_back(run *r, const char *path)
{
    bool own = r->o.valid > 0 && tp_dataset_exists(path, valid_split), valid = run_has_valid(r);
    if (own && is_new(r))
        return tp_fail(TP_EARG, "%s: --valid %lld: the data have validation images, the split %s",
                       path, (long long)r->o.valid, valid_split);
    if (own || r->o.valid <= 0 || r->train.x.storage == NULL)
        return TP_OK;
    if (!is_new(r) && !valid && !measures(r, "train") && r->o.valid >= tp_dataset_size(&r->train))
        return TP_OK;
    return cut_valid(r, path, &r->train, valid ? &r->test : NULL);
}

static tp_status read_measured(run *r, const char *path)
{
    if (r->test.x.storage != NULL) /* held back */
        return TP_OK;
    TP_TRY(read_split(r, &r->test, path, r->test_split));
    bool cut = measures(r, "train") && r->o.valid > 0 && !tp_dataset_exists(path, valid_split);
    return cut ? cut_valid(r, path, &r->test, NULL) : TP_OK;
}

tp_status run_data(run *r)
{
    char path[PATH_SIZE];
    TP_TRY(find_data(&r->o, path));
    r->test_split = find_test(r, path);
    if (is_new(r) || tp_dataset_exists(path, "train"))
        TP_TRY(read_split(r, &r->train, path, "train"));
    TP_TRY(hold_back(r, path));
    if (is_new(r) && r->o.examples == 0)
        count_examples(&r->o, &r->train);
    if (r->test_split != NULL)
        return read_measured(r, path);
    if (r->train.x.storage == NULL)
        return tp_fail(TP_EIO,
                       "%s: no images: none of the splits train, t10k and test is there, as idx, "
                       "npy or PNG",
                       path);
    return TP_OK;
}

void run_note_untested(const run *r)
{
    if (r->test.x.storage == NULL)
        note("%s: no test images (a split t10k or test): going without", r->o.data);
}

tp_status run_training_data(run *r)
{
    char path[PATH_SIZE];
    TP_TRY(find_data(&r->o, path));
    TP_TRY(read_split(r, &r->train, path, "train"));
    r->test_split = "train";
    TP_TRY(hold_back(r, path));
    if (is_new(r))
        count_examples(&r->o, &r->train);
    return TP_OK;
}

tp_status run_batches(const run *r, tp_batches *b, const tp_dataset *d, int64_t batch_size,
                      tp_dtype dtype)
{
    bool train = d == &r->train || measures(r, "train");
    uint64_t own = r->o.binarize_seed;
    uint64_t seed = train ? own : run_has_valid(r) ? own ^ (uint64_t)1 << 63 : ~own;
    TP_TRY(tp_batches_init(b, d, batch_size, dtype));
    tp_status s = tp_batches_binarize(b, (tp_binarize_opts){(tp_binarization)r->o.binarize, seed});
    if (s != TP_OK) {
        tp_fail_prefix("%s: ", r->o.data);
        tp_batches_free(b);
    }
    return s;
}

/* --- models ------------------------------------------------------------------------------------- */

tp_status run_new_model(run *r)
{
    tp_model_config c;
    TP_TRY(options_model(&r->o, &c));
    return tp_model_init(&r->model, tp_model_types[r->o.model], c, TP_F32, r->o.seed);
}

double run_option(const run *r, const char *name)
{
    const tp_model_option *option = r->model.type->options;
    for (int i = 0; option != NULL && i < TP_MODEL_OPTIONS && option[i].name != NULL; i++)
        if (strcmp(option[i].name, name) == 0)
            return r->model.config.option[i];
    return 0;
}

tp_status run_trainer(run *r, tp_batches *b, tp_optimizer *optimizer, tp_trainer *t)
{
    options *o = &r->o;
    TP_TRY(run_batches(r, b, &r->train, o->batch_size, TP_F32));
    TP_TRY(tp_optim_set(&o->optimizer, "lr", o->lr));
    TP_TRY(tp_optimizer_init(optimizer, &r->model.params, &o->optimizer));
    o->schedule.lr = o->lr;
    *t = (tp_trainer){.tape = r->tape,
                      .loss = tp_model_loss,
                      .model = &r->model,
                      .optimizer = optimizer,
                      .schedule = o->schedule.kind != TP_LR_constant ? &o->schedule : NULL,
                      .schedule_every = (uint64_t)tp_batches_count(b),
                      .seed = r->o.seed,
                      .trap = r->o.trap,
                      .epoch = 1};
    return TP_OK;
}

tp_status run_load_model(run *r)
{
    char path[PATH_SIZE];
    if (r->o.height == 0 || r->o.width == 0)
        return tp_fail(TP_EFORMAT, "%s: \"height\" or \"width\" is missing",
                       path_in(path, r->o.run, "config.json"));
    TP_TRY(run_new_model(r));
    return tp_params_load(&r->model.params, path_in(path, r->o.run, "model.safetensors"));
}

/* --- the folder of results ---------------------------------------------------------------------- */

tp_status folder_check(const char *path)
{
    DIR *d = opendir(path);
    if (d == NULL && errno == ENOENT)
        return TP_OK;
    if (d == NULL)
        return tp_fail(TP_EIO, "--out %s: %s", path, strerror(errno));
    bool empty = true, settings = false;
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        empty &= strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
        settings |= strcmp(e->d_name, "config.json") == 0;
    }
    closedir(d);
    return empty ? TP_OK
                 : tp_fail(TP_EIO,
                           "--out %s: the folder is not empty, and nothing is ever "
                           "overwritten: name a new one%s",
                           path, settings ? ", or go on in it with --resume" : "");
}

/* Without slashes at the end, and none of it made. */
static void folder_name(folder *f, const char *path)
{
    *f = (folder){0};
    snprintf(f->path, sizeof f->path, "%s", path);
    size_t n = strlen(f->path);
    while (n > 1 && f->path[n - 1] == '/')
        f->path[--n] = '\0';
    f->kept = n;
}

tp_status folder_open(folder *f, const char *path)
{
    folder_name(f, path);
    return is_directory(f->path) ? TP_OK : tp_fail(TP_EIO, "%s: is not a folder", path);
}

tp_status folder_lock(folder *f)
{
    int fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return tp_fail(TP_EIO, "%s: cannot be opened: %s", f->path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        close(fd);
        return tp_fail(TP_EIO, "%s: another process is training in it", f->path);
    }
    f->lock = fd; /* a file system that knows no locks is no obstacle */
    return TP_OK;
}

void folder_unlock(folder *f)
{
    if (f->lock > 0)
        close(f->lock);
    f->lock = 0;
}

tp_status folder_make(folder *f, const char *path)
{
    folder_name(f, path);
    size_t n = strlen(f->path);
    for (size_t i = 1; i <= n; i++) {
        if (i < n && f->path[i] != '/')
            continue;
        char end = f->path[i];
        f->path[i] = '\0';
        int failed = mkdir(f->path, 0777), why = errno;
        /* Or a loss of power might take the folder, and with it all that was saved so carefully. */
        tp_status named = failed == 0 ? tp_file_sync_name(f->path) : TP_OK;
        f->path[i] = end;
        if (failed == 0 && f->kept == n)
            f->kept = i - 1;
        if (named != TP_OK) {
            folder_undo(f);
            return named;
        }
        if (failed != 0 && why != EEXIST) {
            folder_undo(f);
            return tp_fail(TP_EIO, "--out %s: cannot be made: %s", path, strerror(why));
        }
    }
    return is_directory(f->path) ? TP_OK : tp_fail(TP_EIO, "--out %s: is not a folder", path);
}

void folder_undo(const folder *f)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s", f->path);
    for (size_t n = strlen(path); n > f->kept; n--) {
        if (n < strlen(f->path) && f->path[n] != '/')
            continue;
        path[n] = '\0';
        rmdir(path); /* what is not empty stays */
    }
}
