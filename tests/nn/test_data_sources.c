/* test_data_sources.c: where a data set comes from: what a path is taken for, npy, folders of PNG and of classes, and
 * what each refuses. idx is tests/nn/test_data.c.
 *
 * Damaged files as such are tests/unit/test_npy.c and test_png.c. Read next: nn/data/source.h.
 */
#define _XOPEN_SOURCE 700 /* mkdir, symlink */

#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nn/data.h"
#include "tensor/io/npy.h"
#include "tensor/io/png.h"
#include "tensor/mem.h"

static char root[512];

/* A fresh folder, in which the paths below are. */
static const char *fresh(const char *name)
{
    snprintf(root, sizeof root, "%s", test_tmp(name));
    assert_int_equal(mkdir(root, 0700), 0);
    return root;
}

/* The path of a name in it; several may be in use at once. */
static const char *in(const char *name)
{
    static char path[4][1024];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", root, name);
    return path[next];
}

static void folder(const char *name)
{
    assert_int_equal(mkdir(in(name), 0700), 0);
}

static void put(const char *name, const void *bytes, size_t n)
{
    FILE *out = fopen(in(name), "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

/* A grey picture whose pixels count up from first. */
static void picture(const char *name, int64_t height, int64_t width, int first)
{
    tp_tensor image;
    assert_ok(tp_tensor_new(&image, TP_U8, TP_SHAPE(height, width)));
    for (int64_t i = 0; i < height * width; i++)
        assert_ok(tp_set_flat(&image, i, (double)((first + i) % 256)));
    assert_ok(tp_png_write(in(name), &image));
    tp_tensor_free(&image);
}

static void array(const char *name, tp_dtype dtype, tp_shape shape, double first)
{
    tp_tensor x;
    assert_ok(tp_tensor_new(&x, dtype, shape));
    for (int64_t i = 0; i < tp_numel(&x); i++)
        assert_ok(tp_set_flat(&x, i, first + (double)i));
    assert_ok(tp_npy_save(in(name), &x));
    tp_tensor_free(&x);
}

/* Reading at fails, says so, leaves *d alone and keeps no memory; where it is refused, it exists. */
static void refuse(const char *at, const char *split, tp_status status, const char *says)
{
    tp_dataset d, before;
    memset(&d, 0x5a, sizeof d);
    before = d;
    size_t bytes = tp_mem().live_bytes;
    assert_status(tp_dataset_read(&d, at, split), status);
    assert_message(says);
    assert_memory_equal(&d, &before, sizeof d);
    assert_int_equal(tp_mem().live_bytes, bytes);
}

/* --- npy ------------------------------------------------------------------------------------------ */

static void test_npy(void **state)
{
    (void)state;
    static const tp_dtype dtypes[] = {TP_U8, TP_F32, TP_F64};
    const char *at = fresh("npy");
    for (int i = 0; i < 3; i++) {
        tp_dataset d;
        array("train.npy", dtypes[i], TP_SHAPE(4, 2, 3), 7);
        assert_true(tp_dataset_exists(at, "train"));
        assert_false(tp_dataset_exists(at, "test"));
        assert_ok(tp_dataset_read(&d, at, "train"));
        assert_true(d.x.dtype == dtypes[i] && tp_shape_equal(d.x.shape, TP_SHAPE(4, 2, 3)));
        assert_null(d.labels.storage);
        assert_close(tp_flat(&d.x, 23), 30, 0, 0);
        tp_dataset_free(&d);
    }
    static const tp_dtype kinds[] = {TP_U8, TP_I64};
    for (int i = 0; i < 2; i++) { /* NumPy's whole numbers are i64: as labels they become bytes */
        tp_dataset d;
        array("train-labels.npy", kinds[i], TP_SHAPE(4), 252);
        assert_ok(tp_dataset_read(&d, at, "train"));
        assert_true(d.labels.dtype == TP_U8 && tp_shape_equal(d.labels.shape, TP_SHAPE(4)));
        assert_close(tp_flat(&d.labels, 3), 255, 0, 0);
        tp_dataset_free(&d);
    }
    tp_dataset d; /* the file by its own name is the training split, without labels */
    assert_true(tp_dataset_exists(in("train.npy"), "train"));
    assert_false(tp_dataset_exists(in("train.npy"), "test"));
    assert_ok(tp_dataset_read(&d, in("train.npy"), "train"));
    assert_int_equal(tp_dataset_size(&d), 4);
    assert_null(d.labels.storage);
    tp_dataset_free(&d);
    refuse(in("train.npy"), "test", TP_EIO,
           "is a file, which has the split 'train' only; expected 'test'");
}

static void test_npy_refusals(void **state)
{
    (void)state;
    const char *at = fresh("npy_bad");
    array("a.npy", TP_I64, TP_SHAPE(2, 3), 0);
    refuse(at, "a", TP_EDTYPE, "a.npy: elements are i64, expected u8 (0 to 255), f32 or f64");
    array("b.npy", TP_F32, TP_SHAPE(5), 0);
    refuse(at, "b", TP_EFORMAT, "f32[5] is not a list of images: [count, …] needed");
    array("c.npy", TP_F32, TP_SHAPE(0, 3), 0);
    refuse(at, "c", TP_EFORMAT, "f32[0,3] is not a list of images");
    array("d.npy", TP_F32, TP_SHAPE(3, 0), 0);
    refuse(at, "d", TP_EFORMAT, "f32[3,0] is not a list of images");
    array("e.npy", TP_F32, TP_SHAPE(3, 2), 0);
    array("e-labels.npy", TP_I64, TP_SHAPE(2), 0);
    refuse(at, "e", TP_EFORMAT, "e-labels.npy: labels i64[2] do not match 3 images");
    array("e-labels.npy", TP_I64, TP_SHAPE(3, 1), 0);
    refuse(at, "e", TP_EFORMAT, "labels i64[3,1] do not match 3 images");
    array("e-labels.npy", TP_F32, TP_SHAPE(3), 0);
    refuse(at, "e", TP_EDTYPE, "labels are f32, expected u8 or i64");
    array("e-labels.npy", TP_I64, TP_SHAPE(3), 254);
    refuse(at, "e", TP_EVALUE, "label 2 is 256, expected 0 to 255");
    array("e-labels.npy", TP_I64, TP_SHAPE(3), -1);
    refuse(at, "e", TP_EVALUE, "label 0 is -1, expected 0 to 255");
    put("f.npy", "\x93NUMPY", 6);
    refuse(at, "f", TP_EFORMAT, "f.npy: ");
    put("g.npy", "text", 4);
    refuse(at, "g", TP_EFORMAT, "g.npy: ");
}

/* --- what a path is ----------------------------------------------------------------------------------- */

static const unsigned char idx[] = {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6};

static void test_which(void **state)
{
    (void)state;
    const char *at = fresh("which");
    tp_dataset d;
    refuse(at, "train", TP_EIO,
           "no data: neither train-images-idx3-ubyte (or .gz) nor train.npy is there, nor a folder "
           "train of *.png, nor *.png themselves");
    refuse(at, "test", TP_EIO,
           "no data: neither test-images-idx3-ubyte (or .gz) nor test.npy is there, nor a folder "
           "test of *.png");
    refuse(in("nowhere"), "train", TP_EIO, "nowhere: there is no such folder or file");
    assert_false(tp_dataset_exists(in("nowhere"), "train"));

    /* Pictures come last, then npy goes before them, then idx before all. */
    picture("1.png", 1, 4, 0);
    assert_true(tp_dataset_exists(at, "train"));
    assert_false(tp_dataset_exists(at, "test"));
    assert_ok(tp_dataset_read(&d, at, "train"));
    assert_int_equal(tp_dataset_width(&d), 4);
    tp_dataset_free(&d);
    folder("train");
    picture("train/1.png", 1, 5, 0);
    assert_ok(tp_dataset_read(&d, at, "train"));
    assert_int_equal(tp_dataset_width(&d), 5);
    tp_dataset_free(&d);
    array("train.npy", TP_U8, TP_SHAPE(1, 6), 0);
    assert_ok(tp_dataset_read(&d, at, "train"));
    assert_int_equal(tp_dataset_width(&d), 6);
    tp_dataset_free(&d);
    put("train-images-idx3-ubyte", idx, sizeof idx);
    assert_ok(tp_dataset_read(&d, at, "train"));
    assert_int_equal(tp_dataset_width(&d), 3);
    tp_dataset_free(&d);

    /* An idx file by its own name, and what is no data. */
    assert_ok(tp_dataset_read(&d, in("train-images-idx3-ubyte"), "train"));
    assert_int_equal(tp_dataset_size(&d), 2);
    tp_dataset_free(&d);
    assert_ok(
        tp_dataset_read(&d, TAPIR_SOURCE_DIR "/examples/data/t10k-images-idx3-ubyte.gz", "train"));
    assert_int_equal(tp_dataset_size(&d), 1000);
    tp_dataset_free(&d);
    refuse(in("1.png"), "train", TP_EFORMAT,
           "1.png: looks like a PNG image, expected a folder, an idx or an npy file");
    assert_true(tp_dataset_exists(in("1.png"), "train"));
    put("empty", "", 0);
    refuse(in("empty"), "train", TP_EFORMAT, "empty: looks like an empty file");
    refuse("/dev/null", "train", TP_EIO, "is a pipe or device");
}

/* A picture beside arrays of other splits, or a folder named as a split, is no training data. */
static void test_stray_pictures(void **state)
{
    (void)state;
    static const char *const arrays[] = {"t10k-images-idx3-ubyte", "x-ubyte.gz", "test.npy"};
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "stray%d", i);
        const char *at = fresh(name);
        picture("samples.png", 2, 2, 0);
        assert_true(tp_dataset_exists(at, "train"));
        put(arrays[i], idx, sizeof idx);
        assert_false(tp_dataset_exists(at, "train"));
    }
    const char *at = fresh("stray_split");
    folder("test");
    picture("test/1.png", 2, 2, 0);
    assert_true(tp_dataset_exists(at, "test"));
    assert_false(tp_dataset_exists(at, "train"));
    fresh("stray_folders"); /* folders without pictures are no classes */
    folder("a"), folder("a/b");
    picture("a/b/1.png", 2, 2, 0);
    refuse(root, "train", TP_EIO, "no data: neither");
}

static void test_long_path(void **state)
{
    (void)state;
    char path[2000];
    memset(path, 'x', sizeof path);
    path[1500] = '\0';
    refuse(path, "train", TP_EIO, "is longer than 1023 bytes");
    path[5] = '\0';
    char split[2000];
    memset(split, 'y', sizeof split);
    split[1999] = '\0';
    fresh("long");
    refuse(root, split, TP_EIO, "is longer than 1023 bytes");
}

/* --- pictures ------------------------------------------------------------------------------------- */

/* Bytewise order of names, not that of numbers or of a locale; what is not *.png is left out. */
static void test_pictures(void **state)
{
    (void)state;
    static const char *const sorted[] = {"10.png", "9.png", "B.PNG",
                                         "a.png",  "b.png", "\xc3\xa4.png"};
    enum { COUNT = sizeof sorted / sizeof *sorted };
    const char *at = fresh("pictures");
    tp_dataset d;
    for (int i = COUNT; i-- > 0;)
        picture(sorted[i], 3, 2, 10 * i);
    picture(".hidden.png", 9, 9, 0);
    put("notes.txt", "text", 4);
    put("photo.jpg", "\xff\xd8\xff", 3);
    put("png", "text", 4); /* an ending alone is a name */
    assert_int_equal(symlink("nothing", in("dangling")), 0);
    assert_ok(tp_dataset_read(&d, at, "train"));
    assert_true(d.x.dtype == TP_U8 && tp_shape_equal(d.x.shape, TP_SHAPE(COUNT, 3, 2)));
    assert_null(d.labels.storage);
    for (int64_t i = 0; i < 6 * COUNT; i++)
        assert_close(tp_flat(&d.x, i), 10 * (double)(i / 6) + (double)(i % 6), 0, 0);
    tp_dataset_free(&d);
}

/* More names than a list has room for at first; pictures of three values under names in no order. */
static void test_many_pictures(void **state)
{
    (void)state;
    enum { MANY = 700 };
    static const char *const first[] = {"0.png", "1.png", "2.png"};
    const char *at = fresh("many");
    tp_dataset d;
    for (int i = 0; i < 3; i++)
        picture(first[i], 1, 2, 50 * i);
    for (int i = 3; i < MANY; i++) {
        char name[32];
        int place = (i - 3) * 37 % (MANY - 3) + 3;
        snprintf(name, sizeof name, "picture-%d.png", place + 1000);
        assert_int_equal(link(in(first[place % 3]), in(name)), 0);
    }
    size_t live = tp_mem().live_bytes;
    assert_ok(tp_dataset_read(&d, at, "train"));
    assert_int_equal(tp_dataset_size(&d), MANY);
    for (int64_t i = 0; i < MANY; i++)
        assert_close(tp_flat(&d.x, 2 * i), 50 * (double)(i % 3), 0, 0);
    tp_dataset_free(&d);
    assert_int_equal(tp_mem().live_bytes, live);
}

/* Folders are classes in bytewise order of their names, which are the labels 0, 1, …. */
static void test_classes(void **state)
{
    (void)state;
    static const int labels[] = {0, 1, 1, 1, 2};
    const char *at = fresh("classes");
    tp_dataset d;
    folder("train"), folder("train/cat"), folder("train/Dog"), folder("train/10"),
        folder("train/.x");
    picture("train/cat/2.png", 2, 2, 40);
    picture("train/Dog/b.png", 2, 2, 20), picture("train/Dog/a.png", 2, 2, 10);
    picture("train/Dog/c.png", 2, 2, 30);
    picture("train/10/x.png", 2, 2, 0);
    put("train/cat/readme.txt", "text", 4);
    const char *const from[] = {at, in("train")}; /* as a split, and as all there is */
    for (int k = 0; k < 2; k++) {
        assert_ok(tp_dataset_read(&d, from[k], "train"));
        assert_true(tp_shape_equal(d.x.shape, TP_SHAPE(5, 2, 2)));
        assert_true(d.labels.dtype == TP_U8 && tp_shape_equal(d.labels.shape, TP_SHAPE(5)));
        for (int64_t i = 0; i < 5; i++) {
            assert_close(tp_flat(&d.x, 4 * i), 10 * (double)i, 0, 0);
            assert_close(tp_flat(&d.labels, i), labels[i], 0, 0);
        }
        tp_dataset_free(&d);
    }
}

/* Values of Pillow 13.0.0: Image.new("RGB", (1, 1), c).convert("L").getpixel((0, 0)). */
static void test_colour(void **state)
{
    (void)state;
    static const struct {
        int rgb[3], grey;
    } rows[] = {{{255, 0, 0}, 76},      {{0, 255, 0}, 150},     {{0, 0, 255}, 29},
                {{255, 255, 0}, 226},   {{12, 200, 77}, 130},   {{1, 1, 1}, 1},
                {{254, 254, 254}, 254}, {{255, 255, 255}, 255}, {{0, 0, 0}, 0}};
    enum { COUNT = sizeof rows / sizeof *rows };
    const char *at = fresh("colour");
    tp_tensor image;
    tp_dataset d;
    assert_ok(tp_tensor_new(&image, TP_U8, TP_SHAPE(1, COUNT, 3)));
    for (int i = 0; i < COUNT; i++)
        for (int k = 0; k < 3; k++)
            assert_ok(tp_set_flat(&image, 3 * i + k, rows[i].rgb[k]));
    assert_ok(tp_png_write(in("a.png"), &image));
    picture("b.png", 1, COUNT, 3); /* grey beside colour */
    assert_ok(tp_dataset_read(&d, at, "train"));
    assert_true(tp_shape_equal(d.x.shape, TP_SHAPE(2, 1, COUNT)));
    for (int i = 0; i < COUNT; i++) {
        assert_close(tp_flat(&d.x, i), rows[i].grey, 0, 0);
        assert_close(tp_flat(&d.x, COUNT + i), 3 + i, 0, 0);
    }
    tp_dataset_free(&d);
    tp_tensor_free(&image);
}

static void test_picture_refusals(void **state)
{
    (void)state;
    fresh("pictures_bad");
    folder("none");
    refuse(root, "none", TP_EFORMAT, "none: no *.png in it, and no folders of them");

    folder("sizes");
    picture("sizes/a.png", 3, 2, 0), picture("sizes/b.png", 3, 2, 0);
    picture("sizes/c.png", 2, 3, 0), picture("sizes/d.png", 1, 1, 0);
    refuse(root, "sizes", TP_EFORMAT,
           "sizes/c.png: is 2x3 (height x width), expected 3x2 as a.png");

    folder("mixed"), folder("mixed/class");
    picture("mixed/a.png", 3, 2, 0), picture("mixed/class/b.png", 3, 2, 0);
    refuse(root, "mixed", TP_EFORMAT,
           "mixed: 'a.png' beside the folder 'class', expected pictures or");

    folder("hollow"), folder("hollow/a"), folder("hollow/b");
    picture("hollow/a/1.png", 3, 2, 0);
    refuse(root, "hollow", TP_EFORMAT, "hollow/b: no *.png in this folder of a class");

    folder("deep"), folder("deep/a"), folder("deep/a/b");
    picture("deep/a/1.png", 3, 2, 0);
    refuse(root, "deep", TP_EFORMAT, "deep/a: a folder 'b' in the folder of a class");

    folder("liar"), folder("liar/x.png");
    refuse(root, "liar", TP_EIO, "liar/x.png: is a directory, expected a regular file");
    folder("text");
    put("text/1.png", "no picture", 10);
    refuse(root, "text", TP_EFORMAT, "text/1.png: looks like a text file, expected a PNG image");
    folder("second");
    picture("second/1.png", 3, 2, 0);
    put("second/2.png", "\x89PNG\r\n\x1a\n", 8);
    refuse(root, "second", TP_EFORMAT, "second/2.png: ");
    folder("dangling");
    assert_int_equal(symlink("nothing", in("dangling/1.png")), 0);
    refuse(root, "dangling", TP_EIO, "dangling/1.png: cannot open");

    folder("many");
    for (int i = 0; i < 257; i++) {
        char name[64];
        snprintf(name, sizeof name, "many/%d", i);
        folder(name);
    }
    refuse(root, "many", TP_EFORMAT, "many: 257 folders, expected at most 256 classes");
    if (geteuid() != 0) { /* who may look anywhere cannot be kept out */
        folder("locked");
        picture("locked/1.png", 3, 2, 0);
        assert_int_equal(chmod(in("locked"), 0), 0);
        refuse(root, "locked", TP_EIO, "locked: cannot open");
        assert_int_equal(chmod(in("locked"), 0700), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_npy),           cmocka_unit_test(test_npy_refusals),
        cmocka_unit_test(test_which),         cmocka_unit_test(test_stray_pictures),
        cmocka_unit_test(test_long_path),     cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_many_pictures), cmocka_unit_test(test_classes),
        cmocka_unit_test(test_colour),        cmocka_unit_test(test_picture_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
