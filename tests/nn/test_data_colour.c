/* test_data_colour.c: pictures in colour: planes out of PNG, folders that mix grey and colour, arrays in colour, and the
 * shape of one example. What is no matter of colour is test_data_sources.c.
 *
 * Read next: nn/data/pictures.c.
 */
#define _XOPEN_SOURCE 700 /* mkdir, symlink */

#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/model.h"
#include "nn/data.h"
#include "tensor/io/npy.h"
#include "tensor/io/png.h"
#include "tensor/mem.h"

static char root[512];

static const char *fresh(const char *name)
{
    snprintf(root, sizeof root, "%s", test_tmp(name));
    assert_int_equal(mkdir(root, 0700), 0);
    return root;
}

/* The path of a name in it, good until the next call. */
static const char *in(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

enum { HEIGHT = 4, WIDTH = 5, PIXELS = HEIGHT * WIDTH, MANY = 6 };

/* What stands in pixel i of plane c of picture number k. */
static int value(int k, int c, int i)
{
    return (40 * k + 70 * c + 3 * i) % 256;
}

/* Grey ones are their plane 0. */
static void picture(const char *name, int k, bool colour)
{
    tp_tensor image;
    int channels = colour ? 3 : 1;
    assert_ok(tp_tensor_new(&image, TP_U8, TP_SHAPE(HEIGHT, WIDTH, channels)));
    for (int i = 0; i < PIXELS; i++)
        for (int c = 0; c < channels; c++)
            assert_ok(tp_set_flat(&image, channels * i + c, value(k, c, i)));
    assert_ok(tp_png_write(in(name), &image));
    tp_tensor_free(&image);
}

static void read_as(tp_dataset *d, tp_channels channels)
{
    assert_ok(tp_dataset_read_as(d, root, "train", (tp_dataset_opts){channels}));
}

/* Number k of a folder, of which the letters of kinds say what is colour: 'c', or grey: 'g'. */
static void check_planes(const tp_dataset *d, const char *kinds)
{
    int64_t n = (int64_t)strlen(kinds);
    assert_true(d->x.dtype == TP_U8);
    assert_true(tp_shape_equal(d->x.shape, TP_SHAPE(n, 3, HEIGHT, WIDTH)));
    assert_true(tp_shape_equal(tp_dataset_shape(d), TP_SHAPE(3, HEIGHT, WIDTH)));
    assert_int_equal(tp_dataset_width(d), 3 * PIXELS);
    for (int k = 0; k < n; k++)
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < PIXELS; i++)
                assert_close(tp_flat(&d->x, (3 * k + c) * PIXELS + i),
                             value(k, kinds[k] == 'c' ? c : 0, i), 0, 0);
}

static void check_grey(const tp_dataset *d, const char *kinds)
{
    int64_t n = (int64_t)strlen(kinds);
    assert_true(tp_shape_equal(d->x.shape, TP_SHAPE(n, HEIGHT, WIDTH)));
    assert_true(tp_shape_equal(tp_dataset_shape(d), TP_SHAPE(HEIGHT, WIDTH)));
    for (int k = 0; k < n; k++)
        for (int i = 0; i < PIXELS; i++) {
            double luma = 0.299 * value(k, 0, i) + 0.587 * value(k, 1, i) + 0.114 * value(k, 2, i);
            bool colour = kinds[k] == 'c';
            assert_close(tp_flat(&d->x, k * PIXELS + i), colour ? luma : value(k, 0, i),
                         colour ? 0.51 : 0, 0);
        }
}

/* Wherever the first picture in colour stands: behind none, one, some or all of the grey ones. */
static void test_mixtures(void **state)
{
    (void)state;
    static const char *const mixtures[] = {"gggg", "cccc", "cggg", "gcgg", "ggcgcc", "gggc", "c"};
    for (size_t m = 0; m < sizeof mixtures / sizeof *mixtures; m++) {
        char name[MANY + 8];
        tp_dataset d;
        const char *kinds = mixtures[m];
        fresh(kinds);
        for (int k = 0; kinds[k] != '\0'; k++) {
            snprintf(name, sizeof name, "%d.png", k);
            picture(name, k, kinds[k] == 'c');
        }
        size_t live = tp_mem().live_bytes;
        read_as(&d, TP_CHANNELS_COLOUR);
        check_planes(&d, kinds);
        tp_dataset_free(&d);
        read_as(&d, TP_CHANNELS_GREY);
        check_grey(&d, kinds);
        tp_dataset_free(&d);
        assert_ok(tp_dataset_read(&d, root, "train"));
        check_grey(&d, kinds);
        tp_dataset_free(&d);
        read_as(&d, TP_CHANNELS_AUTO);
        if (strchr(kinds, 'c') != NULL)
            check_planes(&d, kinds);
        else
            check_grey(&d, kinds);
        tp_dataset_free(&d);
        assert_int_equal(tp_mem().live_bytes, live);
    }
}

/* Labels are of folders, whatever becomes of the pictures; the first one in colour is in the second class. */
static void test_classes(void **state)
{
    (void)state;
    tp_dataset d;
    fresh("classes");
    assert_int_equal(mkdir(in("a"), 0700), 0);
    assert_int_equal(mkdir(in("b"), 0700), 0);
    picture("a/1.png", 0, false), picture("a/2.png", 1, false);
    picture("b/1.png", 2, true);
    read_as(&d, TP_CHANNELS_AUTO);
    check_planes(&d, "ggc");
    assert_true(tp_shape_equal(d.labels.shape, TP_SHAPE(3)));
    for (int k = 0; k < 3; k++)
        assert_close(tp_flat(&d.labels, k), k == 2, 0, 0);
    tp_dataset_free(&d);
}

/* Files of every kind that PNG knows: which count as colour, and what their planes are. */
static void test_kinds_of_png(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool colour;
    } files[] = {{"ok_grey", false},       {"ok_grey_1", false},   {"ok_grey_16", false},
                 {"ok_grey_alpha", false}, {"ok_palette_1", true}, {"ok_palette_8", true},
                 {"ok_rgb", true},         {"ok_rgb_16", true},    {"ok_rgb_alpha", true}};
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        char from[1024];
        tp_tensor image;
        tp_dataset d;
        fresh(files[f].name);
        snprintf(from, sizeof from, TAPIR_SOURCE_DIR "/tests/corpus/png/%s.png", files[f].name);
        assert_int_equal(symlink(from, in("1.png")), 0);
        assert_ok(tp_png_read(from, &image));
        int64_t h = image.shape.dim[0], w = image.shape.dim[1], channels = image.shape.dim[2];
        read_as(&d, TP_CHANNELS_AUTO);
        assert_true(
            tp_shape_equal(d.x.shape, files[f].colour ? TP_SHAPE(1, 3, h, w) : TP_SHAPE(1, h, w)));
        tp_dataset_free(&d);
        read_as(&d, TP_CHANNELS_COLOUR);
        for (int64_t i = 0; i < 3 * h * w; i++)
            assert_close(
                tp_flat(&d.x, i),
                tp_flat(&image, channels * (i % (h * w)) + (channels - 1) * (i / (h * w)) / 2), 0,
                0);
        tp_dataset_free(&d);
        tp_tensor_free(&image);
    }
}

static tp_status open_pictures(const char *folder, tp_dataset *data, tp_model_config *config)
{
    TP_TRY(tp_dataset_read_as(data, folder, "train", (tp_dataset_opts){TP_CHANNELS_AUTO}));
    config->data_shape = tp_dataset_shape(data); /* [height,width] or [3,height,width] */
    config->data_dim = tp_dataset_width(data);
    return TP_OK;
}

/* The guide's way from a folder to a model. */
static void test_guide(void **state)
{
    (void)state;
    tp_dataset d;
    tp_model m;
    int64_t size[3];
    tp_model_config config = tp_model_defaults(&tp_model_conv_vae);
    fresh("guide");
    picture("1.png", 0, true), picture("2.png", 1, false);
    assert_ok(open_pictures(root, &d, &config));
    check_planes(&d, "cg");
    assert_true(tp_shape_equal(config.data_shape, TP_SHAPE(3, HEIGHT, WIDTH)));
    assert_ok(tp_model_init(&m, &tp_model_conv_vae, config, TP_F32, 1));
    assert_ok(tp_model_picture(&m.config, size));
    assert_true(size[0] == 3 && size[1] == HEIGHT && size[2] == WIDTH);
    tp_model_free(&m);
    tp_dataset_free(&d);
}

static void refuse(tp_channels channels, tp_status status, const char *says)
{
    tp_dataset d, before;
    memset(&d, 0x5a, sizeof d);
    before = d;
    size_t bytes = tp_mem().live_bytes;
    assert_status(tp_dataset_read_as(&d, root, "train", (tp_dataset_opts){channels}), status);
    assert_message(says);
    assert_memory_equal(&d, &before, sizeof d);
    assert_int_equal(tp_mem().live_bytes, bytes);
}

/* Whatever all are read as, the one that does not fit is named, before and behind the first in colour. */
static void test_refusals(void **state)
{
    (void)state;
    tp_tensor odd;
    assert_ok(tp_tensor_new(&odd, TP_U8, TP_SHAPE(WIDTH, HEIGHT, 3)));
    assert_ok(tp_fill(&odd, 0));
    fresh("sizes");
    picture("1.png", 0, false);
    assert_ok(tp_png_write(in("2.png"), &odd));
    for (int c = TP_CHANNELS_GREY; c <= TP_CHANNELS_AUTO; c++)
        refuse((tp_channels)c, TP_EFORMAT, "2.png: is 5x4 (height x width), expected 4x5 as 1.png");
    picture("2.png", 1, true);
    assert_ok(tp_png_write(in("3.png"), &odd));
    for (int c = TP_CHANNELS_GREY; c <= TP_CHANNELS_AUTO; c++)
        refuse((tp_channels)c, TP_EFORMAT, "3.png: is 5x4 (height x width), expected 4x5 as 1.png");
    tp_tensor_free(&odd);
    FILE *text = fopen(in("3.png"), "wb");
    assert_non_null(text);
    assert_true(fputs("no picture", text) >= 0 && fclose(text) == 0);
    refuse(TP_CHANNELS_AUTO, TP_EFORMAT, "3.png: looks like a text file, expected a PNG image");
    refuse((tp_channels)3, TP_EARG, "channels 3: expected TP_CHANNELS_GREY, _COLOUR or _AUTO");
    refuse((tp_channels)-1, TP_EARG, "channels -1: ");
}

/* Arrays have the shape that they have, whatever is asked of PNG. */
static void test_arrays(void **state)
{
    (void)state;
    static const unsigned char idx[] = {0, 0, 8, 4, 0, 0, 0, 1, 0, 0, 0, 3, 0,
                                        0, 0, 1, 0, 0, 0, 2, 9, 8, 7, 6, 5, 4};
    tp_dataset d;
    tp_tensor x;
    fresh("arrays");
    FILE *out = fopen(in("train-images-idx3-ubyte"), "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(idx, 1, sizeof idx, out), sizeof idx);
    assert_int_equal(fclose(out), 0);
    for (int c = TP_CHANNELS_GREY; c <= TP_CHANNELS_AUTO; c++) {
        read_as(&d, (tp_channels)c);
        assert_true(tp_shape_equal(d.x.shape, TP_SHAPE(1, 3, 1, 2)));
        assert_true(tp_shape_equal(tp_dataset_shape(&d), TP_SHAPE(3, 1, 2)));
        assert_close(tp_flat(&d.x, 5), 4, 0, 0);
        tp_dataset_free(&d);
    }
    fresh("npy");
    assert_ok(tp_tensor_new(&x, TP_F32, TP_SHAPE(2, 1, 4, 3)));
    assert_ok(tp_fill(&x, 0.5));
    assert_ok(tp_npy_save(in("train.npy"), &x));
    tp_tensor_free(&x);
    read_as(&d, TP_CHANNELS_COLOUR);
    assert_true(tp_shape_equal(tp_dataset_shape(&d), TP_SHAPE(1, 4, 3)));
    tp_dataset_free(&d);
    assert_int_equal(tp_dataset_shape(&d).ndim, 0); /* of none */
    /* A list of numbers is examples of one number each. */
    assert_ok(tp_tensor_new(&d.x, TP_F32, TP_SHAPE(7)));
    assert_int_equal(tp_dataset_shape(&d).ndim, 0);
    tp_dataset_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixtures),     cmocka_unit_test(test_classes),
        cmocka_unit_test(test_kinds_of_png), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_arrays),       cmocka_unit_test(test_guide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
