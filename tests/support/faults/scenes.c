/* scenes.c: see scenes.h. */
#define _XOPEN_SOURCE 700 /* nftw */
#include "tests/support/faults/scenes.h"

#include <dirent.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "models/tapir.h"

/* --- values ---------------------------------------------------------------------------------------- */

static double value(int64_t i, int version)
{
    return (double)((i * 7 + version * 11) % 251);
}

static tp_status make(tp_tensor *t, tp_dtype dtype, tp_shape shape, int version)
{
    TP_TRY(tp_tensor_new(t, dtype, shape));
    void *data = tp_data_mut(t);
    for (int64_t i = 0; i < tp_numel(t); i++) {
        double v = value(i, version);
        if (dtype == TP_U8)
            ((unsigned char *)data)[i] = (unsigned char)v;
        else if (dtype == TP_F32)
            ((float *)data)[i] = (float)v;
        else
            ((double *)data)[i] = v;
    }
    return TP_OK;
}

static int version_of(const tp_tensor *t)
{
    for (int version = 0; version < 20; version++) {
        int64_t i = 0;
        while (i < tp_numel(t) && tp_flat(t, i) == value(i, version))
            i++;
        if (i == tp_numel(t))
            return version;
    }
    return -1;
}

/* Takes the version out of t and frees it. */
static tp_status judge(tp_tensor *t, int *version)
{
    *version = version_of(t);
    tp_tensor_free(t);
    return TP_OK;
}

/* --- the plain writer, safetensors, parameters ------------------------------------------------------ */

enum { PLAIN_BYTES = 30000 };

/* Pieces smaller and larger than the writer's buffer. */
static tp_status put_plain(const char *path, int version)
{
    tp_file_writer w;
    tp_tensor t;
    TP_TRY(make(&t, TP_U8, TP_SHAPE(PLAIN_BYTES), version));
    const char *data = tp_data(&t);
    tp_status s = tp_file_begin(&w, path);
    for (int at = 0, n = 100; at < PLAIN_BYTES && s == TP_OK; at += n, n = 2 * n + 1) {
        n = n < PLAIN_BYTES - at ? n : PLAIN_BYTES - at;
        s = tp_file_write(&w, data + at, (size_t)n);
    }
    if (s == TP_OK)
        s = tp_file_commit(&w);
    tp_tensor_free(&t);
    return s;
}

static tp_status get_plain(const char *path, int *version)
{
    char *data;
    size_t n;
    TP_TRY(tp_file_read_all(path, 1 << 20, &data, &n));
    *version = -1;
    for (int v = 0; v < 20 && n == PLAIN_BYTES; v++) {
        size_t i = 0;
        while (i < n && (unsigned char)data[i] == value((int64_t)i, v))
            i++;
        if (i == n)
            *version = v;
    }
    tp_free(data, n + 1);
    return TP_OK;
}

static tp_status put_safetensors(const char *path, int version)
{
    tp_tensor a = {0}, b = {0}, turned;
    tp_status s = make(&a, TP_F32, TP_SHAPE(60, 50), version);
    if (s == TP_OK)
        s = make(&b, TP_F64, TP_SHAPE(7, 9), version);
    if (s == TP_OK)
        s = tp_view_permute(&b, (tp_axes){0}, &turned);
    const char *const metadata[] = {"about", "a test of faults", NULL};
    if (s == TP_OK)
        s = tp_safetensors_save(
            path, (tp_named_tensor[]){{"a", &a}, {"turned", &turned}, {"b", &b}}, 3, metadata);
    tp_tensor_free(&a);
    tp_tensor_free(&b);
    return s;
}

static tp_status get_safetensors(const char *path, int *version)
{
    tp_safetensors file;
    tp_tensor a, b = {0};
    int other = -1;
    TP_TRY(tp_safetensors_open(&file, path));
    tp_status s = tp_safetensors_load_new(&file, "a", &a);
    if (s == TP_OK) {
        judge(&a, version);
        s = make(&b, TP_F64, TP_SHAPE(7, 9), 0);
    }
    if (s == TP_OK)
        s = tp_safetensors_load(&file, "b", &b);
    if (s == TP_OK && (judge(&b, &other), other != *version))
        *version = -1;
    tp_tensor_free(&b);
    tp_safetensors_close(&file);
    return s;
}

typedef struct weights {
    tp_params list;
    tp_parameter first, second;
} weights;

static tp_status make_weights(weights *w, int version)
{
    *w = (weights){.list = tp_params_make(TP_F32, 1)};
    TP_TRY(tp_params_add(&w->list, &w->first, "encoder.0.weight", TP_SHAPE(40, 70)));
    TP_TRY(tp_params_add(&w->list, &w->second, "encoder.0.bias", TP_SHAPE(40)));
    for (int i = 0; i < w->list.n; i++) {
        float *data = tp_data_mut(&w->list.item[i]->value);
        for (int64_t k = 0; k < tp_numel(&w->list.item[i]->value); k++)
            data[k] = (float)value(k, version);
    }
    return TP_OK;
}

static tp_status put_params(const char *path, int version)
{
    weights w;
    tp_status s = make_weights(&w, version);
    if (s == TP_OK)
        s = tp_params_save(&w.list, path, NULL);
    tp_params_free(&w.list);
    return s;
}

/* A load that fails must leave the parameters alone. */
static tp_status get_params(const char *path, int *version)
{
    weights w;
    tp_status s = make_weights(&w, 19);
    if (s == TP_OK)
        s = tp_params_load(&w.list, path);
    *version = version_of(&w.first.value);
    if (*version != version_of(&w.second.value))
        *version = -1;
    if (s != TP_OK && *version != 19)
        s = tp_fail(TP_EVALUE, "%s: half loaded", path);
    tp_params_free(&w.list);
    return s;
}

/* --- npy, png ---------------------------------------------------------------------------------------- */

static tp_status put_npy(const char *path, int version)
{
    tp_tensor t;
    TP_TRY(make(&t, TP_F64, TP_SHAPE(40, 30), version));
    tp_status s = tp_npy_save(path, &t);
    tp_tensor_free(&t);
    return s;
}

static tp_status get_npy(const char *path, int *version)
{
    tp_tensor t;
    TP_TRY(tp_npy_load(path, &t));
    return judge(&t, version);
}

static tp_status put_png(const char *path, int version)
{
    tp_tensor t;
    TP_TRY(make(&t, TP_U8, TP_SHAPE(130, 110, 3), version));
    tp_status s = tp_png_write(path, &t);
    tp_tensor_free(&t);
    return s;
}

static tp_status get_png(const char *path, int *version)
{
    tp_tensor t;
    TP_TRY(tp_png_read(path, &t));
    return judge(&t, version);
}

/* One picture: a grid of one without padding is the picture. */
static tp_status put_grid(const char *path, int version)
{
    tp_tensor t;
    TP_TRY(make(&t, TP_F64, TP_SHAPE(1, 20, 30), version));
    double *data = tp_data_mut(&t);
    for (int64_t i = 0; i < tp_numel(&t); i++)
        data[i] /= 255;
    tp_status s = tp_png_grid(path, &t, 1, 0, 1);
    tp_tensor_free(&t);
    return s;
}

/* --- idx ----------------------------------------------------------------------------------------------- */

void scene_file(const char *path, const void *data, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(data, 1, bytes, f) != bytes || fclose(f) != 0)
        abort();
}

enum { IMAGES = 20, SIDE = 30, IDX_BYTES = 16 + IMAGES * SIDE * SIDE };

static void idx_bytes(unsigned char *to, int version)
{
    static const unsigned char head[16] = {0, 0, 8, 3,    0, 0, 0, IMAGES,
                                           0, 0, 0, SIDE, 0, 0, 0, SIDE};
    memcpy(to, head, sizeof head);
    for (int i = 0; i < IDX_BYTES - 16; i++)
        to[16 + i] = (unsigned char)value(i, version);
}

static tp_status put_idx(const char *path, int version)
{
    unsigned char data[IDX_BYTES];
    idx_bytes(data, version);
    scene_file(path, data, sizeof data);
    return TP_OK;
}

/* Stored, not compressed, so that reading it takes more than one buffer. */
static tp_status put_gz(const char *path, int version)
{
    unsigned char data[2 * IDX_BYTES], packed[4 * IDX_BYTES];
    z_stream z = {0};
    idx_bytes(data, version);
    if (deflateInit2(&z, 0, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    z.next_in = data;
    z.avail_in = IDX_BYTES;
    z.next_out = packed;
    z.avail_out = sizeof packed;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END)
        abort();
    scene_file(path, packed, z.total_out);
    deflateEnd(&z);
    return TP_OK;
}

static tp_status get_idx(const char *path, int *version)
{
    tp_tensor t;
    TP_TRY(tp_idx_read(path, &t));
    return judge(&t, version);
}

static void in_folder(char out[1024], const char *folder, const char *name)
{
    snprintf(out, 1024, "%s/%s", folder, name);
}

/* A folder with images, labels, and other images under the name that comes second. */
static tp_status put_dataset(const char *path, int version)
{
    char name[1024];
    unsigned char labels[8 + IMAGES] = {0, 0, 8, 1, 0, 0, 0, IMAGES};
    mkdir(path, 0700);
    in_folder(name, path, "train-images-idx3-ubyte");
    put_idx(name, version);
    in_folder(name, path, "train-images-idx3-ubyte.gz");
    put_gz(name, 18);
    in_folder(name, path, "train-labels-idx1-ubyte");
    scene_file(name, labels, sizeof labels);
    return TP_OK;
}

static tp_status get_dataset(const char *path, int *version)
{
    tp_dataset d;
    TP_TRY(tp_dataset_read(&d, path, "train"));
    *version = d.labels.storage != NULL ? version_of(&d.x) : -1;
    tp_dataset_free(&d);
    return TP_OK;
}

/* A folder of two classes. */
static tp_status put_pictures(const char *path, int version)
{
    static const char *const folders[] = {"train", "train/b", "train/a"};
    static const char *const names[] = {"train/a/1.png", "train/a/2.png", "train/b/1.png"};
    char name[1024];
    tp_tensor all, one;
    mkdir(path, 0700);
    for (int i = 0; i < 3; i++) {
        in_folder(name, path, folders[i]);
        mkdir(name, 0700);
    }
    TP_TRY(make(&all, TP_U8, TP_SHAPE(3, 4, 5), version));
    tp_status s = TP_OK;
    for (int i = 2; i >= 0 && s == TP_OK; i--) {
        in_folder(name, path, names[i]);
        s = tp_view_select(&all, 0, i, &one);
        if (s == TP_OK)
            s = tp_png_write(name, &one);
    }
    tp_tensor_free(&all);
    return s;
}

const scene scenes[] = {
    {"plain", true, put_plain, get_plain},
    {"safetensors", true, put_safetensors, get_safetensors},
    {"params", true, put_params, get_params},
    {"npy", true, put_npy, get_npy},
    {"png", true, put_png, get_png},
    {"grid", true, put_grid, get_png},
    {"idx", false, put_idx, get_idx},
    {"idx.gz", false, put_gz, get_idx},
    {"dataset", false, put_dataset, get_dataset},
    {"pictures", false, put_pictures, get_dataset},
};
const int scene_count = sizeof scenes / sizeof *scenes;

/* --- folders -------------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static uint64_t hash_file(const char *path, long *bytes)
{
    uint64_t h = 1469598103934665603u;
    unsigned char buffer[4096];
    FILE *f = fopen(path, "rb");
    *bytes = 0;
    for (size_t n; f != NULL && (n = fread(buffer, 1, sizeof buffer, f)) > 0; *bytes += (long)n)
        for (size_t i = 0; i < n; i++)
            h = (h ^ buffer[i]) * 1099511628211u;
    if (f != NULL)
        fclose(f);
    return h;
}

const char *folder_text(const char *folder)
{
    enum { LINE = 128, LINES = 64 };
    static char text[4][LINE * LINES];
    static int turn;
    char line[LINES][LINE], path[1024], *out = text[turn = (turn + 1) % 4];
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d != NULL && n < LINES && (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        long bytes;
        in_folder(path, folder, e->d_name);
        uint64_t h = hash_file(path, &bytes);
        snprintf(line[n++], LINE, "%.80s %ld %016llx\n", e->d_name, bytes, (unsigned long long)h);
    }
    if (d != NULL)
        closedir(d);
    qsort(line, (size_t)n, LINE, by_text);
    *out = 0;
    for (int i = 0; i < n; i++)
        strcat(out, line[i]);
    return out;
}

static int remove_one(const char *name, const struct stat *st, int kind, struct FTW *walk)
{
    (void)st, (void)kind, (void)walk;
    return remove(name);
}

void folder_remove(const char *folder)
{
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int open_descriptors(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    if (d != NULL)
        closedir(d);
    return n;
}
