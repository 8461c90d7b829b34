/* test_png_grid.c: grids of images, pixel by pixel from their definition, in files and in memory.
 *
 * Read next: tensor/io/png.h, test_png.c.
 */
#include "tests/unit/file_tests.h"

#include <math.h>
#include <stdio.h>

#include "tensor/io/file.h"
#include "tensor/io/png.h"
#include "tensor/mem.h"

static double byte_of(double v)
{
    return v <= 0 ? 0 : v >= 1 ? 255 : floor(v * 255 + 0.5);
}

/* In memory the bytes of the file. */
static void check_bytes(const char *path, const tp_tensor *images, int columns, int pad, int scale)
{
    unsigned char *data;
    char *file;
    size_t size, bytes;
    assert_ok(tp_png_grid_bytes(images, columns, pad, scale, &data, &size));
    assert_ok(tp_file_read_all(path, 1 << 24, &file, &bytes));
    assert_int_equal(size, bytes);
    assert_memory_equal(data, file, bytes);
    tp_free(data, size);
    tp_free(file, bytes + 1);
}

/* Every pixel of the grid, worked out from the definition. images is [N,C,H,W]. */
static void check_grid(const tp_tensor *given, const tp_tensor *images, int columns, int pad,
                       int scale)
{
    const char *path = test_tmp("grid.png");
    const int64_t *d = images->shape.dim;
    int64_t across = columns, factor = scale ? scale : 1;
    while (columns == 0 && across * across < d[0])
        across++;
    int64_t down = (d[0] + across - 1) / across;
    int64_t cell_h = d[2] * factor + pad, cell_w = d[3] * factor + pad;
    tp_tensor got;
    assert_ok(tp_png_grid(path, given, columns, pad, scale));
    check_bytes(path, given, columns, pad, scale);
    assert_ok(tp_png_read(path, &got));
    assert_true(
        tp_shape_equal(got.shape, TP_SHAPE(down * cell_h + pad, across * cell_w + pad, d[1])));
    for (int64_t i = 0; i < tp_numel(&got); i++) {
        int64_t c = i % d[1], x = i / d[1] % got.shape.dim[1], y = i / d[1] / got.shape.dim[1];
        int64_t in_x = (x - pad) % cell_w, in_y = (y - pad) % cell_h;
        int64_t n = (y - pad) / cell_h * across + (x - pad) / cell_w;
        bool inside =
            x >= pad && y >= pad && in_x < d[3] * factor && in_y < d[2] * factor && n < d[0];
        const int64_t at[4] = {n, c, in_y / factor, in_x / factor};
        assert_true(tp_flat(&got, i) == (inside ? byte_of(tp_at(images, at)) : 128));
    }
    tp_tensor_free(&got);
}

static void test_grid(void **state)
{
    (void)state;
    static const int options[][3] = {{0, 0, 0}, {3, 2, 1}, {1, 1, 2}, {5, 0, 3}, {9, 3, 2}};
    for (int d = TP_F32; d <= TP_F64; d++)
        for (int channels = 1; channels <= 3; channels += 2) {
            tp_tensor t = fresh((tp_dtype)d, TP_SHAPE(7, channels, 4, 5)), other, plain;
            for (int64_t i = 0; i < tp_numel(&t); i++) /* beyond both ends: clipped */
                assert_ok(tp_set_flat(&t, i, (double)(i % 300) / 256 - 0.05));
            assert_ok(tp_set_flat(&t, 0, INFINITY));
            assert_ok(tp_set_flat(&t, 1, -INFINITY));
            for (size_t o = 0; o < sizeof options / sizeof *options; o++) {
                check_grid(&t, &t, options[o][0], options[o][1], options[o][2]);
                assert_ok(tp_view_transpose(&t, 2, 3, &other));
                check_grid(&other, &other, options[o][0], options[o][1], options[o][2]);
                if (channels == 1) {
                    assert_ok(tp_view_reshape(&t, TP_SHAPE(7, 4, 5), &plain));
                    check_grid(&plain, &t, options[o][0], options[o][1], options[o][2]);
                }
            }
            tp_tensor_free(&t);
        }
}

static void test_grid_refusals(void **state)
{
    (void)state;
    const char *path = test_tmp("refused-grid.png");
    tp_tensor t = fresh(TP_F32, TP_SHAPE(4, 3, 2, 2)), view;
    const tp_shape bad[] = {{0}, TP_SHAPE(4, 4), TP_SHAPE(1, 2, 4, 4), TP_SHAPE(0, 4, 4)};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tp_tensor b = fresh(TP_F32, bad[i]);
        assert_status(tp_png_grid(path, &b, 0, 0, 0), TP_ESHAPE);
        tp_tensor_free(&b);
    }
    assert_status(tp_png_grid(path, &t, -1, 0, 0), TP_EARG);
    unsigned char *data;
    size_t size;
    assert_status(tp_png_grid_bytes(&t, -1, 0, 0, &data, &size), TP_EARG);
    assert_status(tp_png_grid(path, &t, 0, -1, 0), TP_EARG);
    assert_status(tp_png_grid(path, &t, 0, 0, -1), TP_EARG);
    assert_status(tp_png_grid(path, &t, 0, 0, 16384), TP_ESHAPE);
    assert_status(tp_png_grid(path, &t, 1 << 30, 0, 0), TP_ESHAPE);
    assert_status(tp_png_grid(path, &t, 1, 0x7fffffff, 0x7fffffff), TP_ESHAPE);
    tp_tensor one = fresh(TP_F64, TP_SHAPE(1, 1, 1)), bytes = fresh(TP_U8, TP_SHAPE(1, 2, 2));
    assert_ok(tp_view_expand(&one, TP_SHAPE((int64_t)1 << 40, 1024, 256), &view));
    assert_status(tp_png_grid(path, &view, 0, 0, 0), TP_ESHAPE);
    assert_status(tp_png_grid(path, &bytes, 0, 0, 0), TP_EDTYPE);
    assert_ok(tp_set_flat(&t, 2 * 12 + 4 + 3, NAN));
    assert_status(tp_png_grid(path, &t, 0, 0, 0), TP_EVALUE);
    assert_message("image 2 is NaN at channel 1, row 1, column 1");
    assert_null(fopen(path, "rb"));
    tp_tensor_free(&t);
    tp_tensor_free(&one);
    tp_tensor_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grid),
        cmocka_unit_test(test_grid_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
