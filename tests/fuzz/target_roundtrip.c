/* target_roundtrip.c: what is saved comes back bit for bit, or is refused before anything was written.
 *
 * The bytes choose tensors of any type, shape and layout, their names, and metadata, all of which may be wrong. They
 * go through safetensors, npy and PNG, over a file that is there already. Read next: tensor/io/safetensors.h. */
#define _POSIX_C_SOURCE 200809L
#include "tests/fuzz/target.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "tensor/io/npy.h"
#include "tensor/io/png.h"
#include "tensor/io/safetensors.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/check.h"

enum { TENSORS = 4, PAIRS = 3, TEXT = 40, LARGEST = 1 << 16 };

/* --- what to save -------------------------------------------------------------------------------- */

typedef struct named {
    char name[TEXT];
    tp_tensor memory, view;
} named;

/* Any bytes but NUL, mostly few; now and then a name that has a meaning. */
static void draw_text(fuzz_rng *r, char text[TEXT])
{
    int64_t n = fuzz_below(r, fuzz_chance(r, 20) ? TEXT : 4);
    for (int64_t i = 0; i < n; i++) {
        int64_t c = fuzz_below(r, 256);
        text[i] = (char)(c != 0 ? c : 'a');
    }
    text[n] = '\0';
    if (fuzz_chance(r, 3))
        strcpy(text, "__metadata__");
}

/* A view of fresh memory: axes permuted, stepped, turned round, cut and repeated. */
static void draw_tensor(fuzz_rng *r, named *t)
{
    tp_dtype dtype = (tp_dtype)fuzz_below(r, TP_DTYPE_COUNT);
    tp_shape shape = {(int)fuzz_below(r, fuzz_chance(r, 20) ? TP_MAX_DIMS + 1 : 4), {0}}, whole;
    for (int i = 0; i < shape.ndim; i++)
        shape.dim[i] = shape.ndim > 4 ? fuzz_below(r, 3) : fuzz_below(r, 7);
    TARGET_REQUIRE(tp_tensor_new(&t->memory, dtype, shape) == TP_OK);
    unsigned char *bytes = tp_data_mut(&t->memory);
    for (int64_t i = 0; i < tp_numel(&t->memory) * tp_dtype_size(dtype); i++)
        bytes[i] = (unsigned char)fuzz_below(r, 256);
    t->view = t->memory;
    t->view.owns = false;
    for (int64_t left = fuzz_below(r, 4); left > 0 && shape.ndim > 0; left--) {
        int axis = (int)fuzz_below(r, shape.ndim), other = (int)fuzz_below(r, shape.ndim);
        int64_t step = fuzz_below(r, 7) - 3;
        tp_tensor next;
        tp_status s = TP_OK;
        if (fuzz_chance(r, 40))
            s = tp_view_transpose(&t->view, axis, other, &next);
        else if (step != 0)
            s = tp_view_slice(&t->view, axis, step > 0 ? fuzz_below(r, 3) : -1, TP_SLICE_END, step,
                              &next);
        else if ((whole = t->view.shape).dim[axis] == 1 && (whole.dim[axis] = 3) > 0)
            s = tp_view_expand(&t->view, whole, &next);
        else
            continue;
        TARGET_REQUIRE(s == TP_OK);
        t->view = next;
    }
}

/* Whether got holds the elements of x, whatever the layout of x. */
static bool came_back(const tp_tensor *x, const tp_tensor *got)
{
    tp_tensor want;
    TARGET_REQUIRE(tp_clone(&want, x) == TP_OK);
    bool same = target_same(&want, got);
    tp_tensor_free(&want);
    return same;
}

/* --- the folder ------------------------------------------------------------------------------------ */

static const char before[] = "what was here before";

/* The path of a file that holds something else. */
static const char *occupied(void)
{
    static const char *path;
    if (path == NULL)
        path = test_tmp("file");
    FILE *f = fopen(path, "wb");
    TARGET_REQUIRE(f != NULL);
    TARGET_REQUIRE(fwrite(before, sizeof before, 1, f) == 1 && fclose(f) == 0);
    return path;
}

/* After a refusal: the file is as it was. Always: nothing else lies in the folder. */
static void check_folder(const char *path, tp_status s)
{
    char *data, folder[4096];
    size_t bytes;
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    DIR *d = opendir(folder);
    TARGET_REQUIRE(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        TARGET_REQUIRE(e->d_name[0] == '.' || strcmp(e->d_name, "file") == 0);
    closedir(d);
    if (s == TP_OK)
        return;
    TARGET_REQUIRE(tp_file_read_all(path, LARGEST, &data, &bytes) == TP_OK);
    TARGET_REQUIRE(bytes == sizeof before && memcmp(data, before, bytes) == 0);
    tp_free(data, bytes + 1);
}

/* --- there and back ------------------------------------------------------------------------------- */

static void through_npy(const tp_tensor *x)
{
    const char *path = occupied();
    tp_tensor got;
    tp_status s = tp_npy_save(path, x);
    TARGET_REQUIRE(s == TP_OK);
    check_folder(path, s);
    TARGET_REQUIRE(tp_npy_load(path, &got) == TP_OK);
    TARGET_REQUIRE(came_back(x, &got));
    tp_tensor_free(&got);
}

static void through_png(const tp_tensor *x)
{
    const char *path = occupied();
    tp_tensor got;
    tp_shape shape = x->shape;
    tp_status s = tp_png_write(path, x);
    target_check_status(s, 1u << TP_ESHAPE | 1u << TP_EDTYPE, path);
    bool image = x->dtype == TP_U8 && tp_numel(x) > 0 &&
                 (shape.ndim == 2 || (shape.ndim == 3 && (shape.dim[2] | 2) == 3));
    TARGET_REQUIRE((s == TP_OK) == image);
    check_folder(path, s);
    if (s != TP_OK)
        return;
    TARGET_REQUIRE(tp_png_read(path, &got) == TP_OK);
    if (shape.ndim == 2) {
        TARGET_REQUIRE(got.shape.dim[2] == 1);
        got.shape.ndim = 2, got.stride[1] = 1;
    }
    TARGET_REQUIRE(came_back(x, &got));
    tp_tensor_free(&got);
}

/* The file has what was saved, in that order, and nothing else. */
static void check_contents(const char *path, const named *t, int n, const char *const *metadata)
{
    tp_safetensors s;
    int64_t pairs = 0;
    TARGET_REQUIRE(tp_safetensors_open(&s, path) == TP_OK);
    TARGET_REQUIRE(s.n == n);
    for (int i = 0; i < n; i++) {
        tp_tensor got;
        TARGET_REQUIRE(strcmp(s.entry[i].name, t[i].name) == 0);
        TARGET_REQUIRE(tp_safetensors_load_new(&s, t[i].name, &got) == TP_OK);
        TARGET_REQUIRE(came_back(&t[i].view, &got));
        tp_tensor_free(&got);
    }
    for (; metadata[2 * pairs] != NULL; pairs++) {
        const char *value = tp_safetensors_metadata(&s, metadata[2 * pairs]);
        TARGET_REQUIRE(value != NULL && strcmp(value, metadata[2 * pairs + 1]) == 0);
    }
    TARGET_REQUIRE(s.metadata_n == pairs + 1); /* the checksum */
    TARGET_REQUIRE(tp_safetensors_verify(&s) == TP_OK);
    tp_safetensors_close(&s);
}

/* A file with one bit changed does not pass, unless that hides that there is a checksum. */
static void check_damage(fuzz_rng *r, const char *path)
{
    tp_safetensors s;
    char *data;
    size_t bytes;
    TARGET_REQUIRE(tp_file_read_all(path, LARGEST, &data, &bytes) == TP_OK);
    data[fuzz_below(r, (int64_t)bytes)] ^= (char)(1 << fuzz_below(r, 8));
    path = target_file(data, bytes);
    tp_free(data, bytes + 1);
    if (tp_safetensors_open(&s, path) != TP_OK)
        return;
    TARGET_REQUIRE(tp_safetensors_metadata(&s, TP_SAFETENSORS_CRC) == NULL ||
                   tp_safetensors_verify(&s) == TP_EFORMAT);
    tp_safetensors_close(&s);
}

static void through_safetensors(fuzz_rng *r, named *t, int n)
{
    char text[2 * PAIRS][TEXT];
    const char *metadata[2 * PAIRS + 1] = {NULL}, *path = occupied();
    tp_named_tensor item[TENSORS];
    int64_t pairs = fuzz_below(r, PAIRS + 1);
    for (int64_t i = 0; i < 2 * pairs; i++) {
        draw_text(r, text[i]);
        metadata[i] = text[i];
    }
    for (int i = 0; i < n; i++) {
        draw_text(r, t[i].name);
        item[i] = (tp_named_tensor){t[i].name, &t[i].view};
    }
    tp_status s = tp_safetensors_save(path, item, n, metadata);
    target_check_status(s, 1u << TP_EARG, path);
    check_folder(path, s);
    if (s == TP_OK) {
        check_contents(path, t, n, metadata);
        check_damage(r, path);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_rng r = {0, data, size};
    named t[TENSORS] = {{{0}}};
    size_t begun = target_begin(1 << 20);
    int n = (int)fuzz_below(&r, TENSORS + 1);
    for (int i = 0; i < n; i++) {
        draw_tensor(&r, &t[i]);
        through_npy(&t[i].view);
        through_png(&t[i].view);
    }
    through_safetensors(&r, t, n);
    for (int i = 0; i < n; i++)
        tp_tensor_free(&t[i].memory);
    target_end(begun);
    return 0;
}
