/* png.c: libpng's low-level interface, with its memory, files and errors led into tapir's.
 *
 * libpng reports errors by a function that must not return: it records the message and jumps back. The
 * two functions that set that jump up (encode, decode) own nothing; everything to release lives in their
 * callers' state, so no local needs to be volatile. Read next: png.h.
 */
#include "tensor/io/png.h"

#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <string.h>

#include "tensor/io/file.h"
#include "tensor/io/png_chunks.h"
#include "tensor/mem.h"

enum { CHUNK_BYTES_MAX = 1 << 20, MID_GREY = 128 };

/* A PNG in memory, on its way. */
typedef struct memory {
    unsigned char *data;
    size_t used, room;
} memory;

/* Reading or writing one file; libpng's callbacks get a pointer to it. */
typedef struct codec {
    const char *path;
    memory *memory;   /* to write to instead of a file */
    tp_status status; /* the first failure */
    tp_file_writer writer;
    tp_file file;
    int64_t offset; /* of the next byte to read */
    png_structp png;
    png_infop info;
} codec;

/* --- callbacks ---------------------------------------------------------------------------------- */

static void on_error(png_structp png, png_const_charp message)
{
    codec *c = png_get_error_ptr(png);
    if (c->status == TP_OK) /* otherwise a callback below has recorded the cause */
        c->status = tp_fail(TP_EFORMAT, "%s: damaged pixels: %s", c->path, message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png, (void)message; /* nothing is printed; what matters is an error */
}

static png_voidp on_alloc(png_structp png, png_alloc_size_t bytes)
{
    codec *c = png_get_mem_ptr(png);
    void *p = tp_block_alloc(bytes);
    if (p == NULL) {
        tp_fail_prefix("%s: ", c->path);
        c->status = c->status == TP_OK ? TP_ENOMEM : c->status;
    }
    return p;
}

static void on_free(png_structp png, png_voidp p)
{
    (void)png;
    tp_block_free(p);
}

static tp_status no_room(const codec *c)
{
    tp_fail_prefix("%s: ", c->path);
    return TP_ENOMEM;
}

static tp_status append(const codec *c, const void *data, size_t n)
{
    memory *to = c->memory;
    if (to->used + n > to->room) {
        size_t room = 2 * to->room + n + 4096;
        unsigned char *grown = tp_realloc(to->data, to->room, room);
        if (grown == NULL)
            return no_room(c);
        to->data = grown;
        to->room = room;
    }
    memcpy(to->data + to->used, data, n);
    to->used += n;
    return TP_OK;
}

static void on_write(png_structp png, png_bytep data, size_t n)
{
    codec *c = png_get_io_ptr(png);
    if (c->status == TP_OK)
        c->status = c->memory != NULL ? append(c, data, n) : tp_file_write(&c->writer, data, n);
    if (c->status != TP_OK)
        png_error(png, "write");
}

static void on_flush(png_structp png)
{
    (void)png; /* the writer flushes on commit */
}

static void on_read(png_structp png, png_bytep data, size_t bytes)
{
    codec *c = png_get_io_ptr(png);
    if (c->status ==
        TP_OK) /* libpng goes on without a chunk that it has no memory for: we do not */
        c->status = tp_file_read_at(&c->file, c->offset, data, bytes);
    c->offset += (int64_t)bytes;
    if (c->status != TP_OK)
        png_error(png, "read");
}

/* --- writing ------------------------------------------------------------------------------------ */

/* image is contiguous. Leaves the reason of a failure in c->status. */
static void encode(codec *c, const tp_tensor *image)
{
    c->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, c, on_error, on_warning, c, on_alloc,
                                       on_free);
    if (c->png == NULL)
        return;
    if (setjmp(png_jmpbuf(c->png)) != 0)
        return;
    c->info = png_create_info_struct(c->png);
    if (c->info == NULL)
        png_error(c->png, "cannot start the encoder");
    bool grey = image->shape.ndim == 2 || image->shape.dim[2] == 1;
    png_uint_32 height = (png_uint_32)image->shape.dim[0], width = (png_uint_32)image->shape.dim[1];
    png_set_write_fn(c->png, c, on_write, on_flush);
    png_set_IHDR(c->png, c->info, width, height, 8, grey ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(c->png, c->info);
    const unsigned char *row = tp_data(image);
    for (png_uint_32 y = 0; y < height; y++, row += (size_t)width * (grey ? 1 : 3))
        png_write_row(c->png, row);
    png_write_end(c->png, NULL);
}

static bool size_ok(int64_t height, int64_t width)
{
    return height > 0 && width > 0 && height <= TP_PNG_MAX_SIDE && width <= TP_PNG_MAX_SIDE &&
           height * width <= TP_PNG_MAX_PIXELS;
}

static void encode_all(codec *c, const tp_tensor *image)
{
    encode(c, image);
    if (c->png == NULL && c->status == TP_OK)
        c->status = tp_fail(TP_ENOMEM, "%s: cannot start libpng", c->path);
    png_destroy_write_struct(&c->png, &c->info);
}

static tp_status write_contiguous(const char *path, const tp_tensor *image)
{
    codec c = {.path = path};
    TP_TRY(tp_file_begin(&c.writer, path));
    encode_all(&c, image);
    if (c.status == TP_OK)
        return tp_file_commit(&c.writer);
    tp_file_abort(&c.writer);
    return c.status;
}

tp_status tp_png_write(const char *path, const tp_tensor *image)
{
    char text[TP_TENSOR_TEXT];
    tp_shape s = image->shape;
    if (image->dtype != TP_U8)
        return tp_fail(TP_EDTYPE, "%s: an image is u8, got %s", path, tp_tensor_text(image, text));
    if ((s.ndim != 2 && s.ndim != 3) || (s.ndim == 3 && s.dim[2] != 1 && s.dim[2] != 3))
        return tp_fail(TP_ESHAPE, "%s: an image is [H,W], [H,W,1] or [H,W,3], got %s", path,
                       tp_tensor_text(image, text));
    if (!size_ok(s.dim[0], s.dim[1]))
        return tp_fail(TP_ESHAPE, "%s: an image has 1 to %d pixels a side, 64 Mi in all, got %s",
                       path, TP_PNG_MAX_SIDE, tp_tensor_text(image, text));
    if (tp_is_contiguous(image))
        return write_contiguous(path, image);
    tp_tensor copy;
    tp_status status = tp_clone(&copy, image);
    if (status != TP_OK) {
        tp_fail_prefix("%s: ", path);
        return status;
    }
    status = write_contiguous(path, &copy);
    tp_tensor_free(&copy);
    return status;
}

/* --- grid --------------------------------------------------------------------------------------- */

typedef struct grid {
    int64_t n, channels, height, width;             /* of images, normalised to [N,C,H,W] */
    int64_t n_step, channel_step, row_step, x_step; /* strides in elements */
    int64_t columns, rows, pad, scale;
} grid;

static tp_status grid_of(const char *path, const tp_tensor *images, int columns, int pad, int scale,
                         grid *g)
{
    char text[TP_TENSOR_TEXT];
    tp_shape s = images->shape;
    bool channels = s.ndim == 4;
    if (!tp_dtype_is_float(images->dtype))
        return tp_fail(TP_EDTYPE, "%s: images are f32 or f64, got %s", path,
                       tp_tensor_text(images, text));
    if ((s.ndim != 3 && s.ndim != 4) || (channels && s.dim[1] != 1 && s.dim[1] != 3) ||
        tp_numel(images) == 0)
        return tp_fail(TP_ESHAPE, "%s: images are [N,H,W], [N,1,H,W] or [N,3,H,W], got %s", path,
                       tp_tensor_text(images, text));
    if (columns < 0 || pad < 0 || scale < 0)
        return tp_fail(TP_EARG, "%s: columns %d, pad %d and scale %d must not be negative", path,
                       columns, pad, scale);
    *g = (grid){s.dim[0],
                channels ? s.dim[1] : 1,
                s.dim[s.ndim - 2],
                s.dim[s.ndim - 1],
                images->stride[0],
                channels ? images->stride[1] : 0,
                images->stride[s.ndim - 2],
                images->stride[s.ndim - 1],
                columns,
                0,
                pad,
                scale ? scale : 1};
    /* Each factor on its own first: then the products below cannot overflow. */
    bool fits = g->n <= TP_PNG_MAX_PIXELS && g->height <= TP_PNG_MAX_SIDE &&
                g->width <= TP_PNG_MAX_SIDE && columns <= TP_PNG_MAX_SIDE &&
                pad <= TP_PNG_MAX_SIDE && scale <= TP_PNG_MAX_SIDE;
    while (fits && columns == 0 && g->columns * g->columns < g->n)
        g->columns++;
    g->rows = fits ? (g->n + g->columns - 1) / g->columns : 0;
    if (!fits || !size_ok(g->rows * (g->height * g->scale + pad) + pad,
                          g->columns * (g->width * g->scale + pad) + pad))
        return tp_fail(TP_ESHAPE, "%s: %s in %lld columns is more than %d pixels a side or 64 Mi",
                       path, tp_tensor_text(images, text), (long long)g->columns, TP_PNG_MAX_SIDE);
    return TP_OK;
}

/* Paints one image into its cell; at points at the cell's first byte in a row of row_bytes. */
static tp_status paint(const char *path, const tp_tensor *images, const grid *g, int64_t n,
                       unsigned char *at, int64_t row_bytes)
{
    const void *data = tp_data(images);
    for (int64_t y = 0; y < g->height; y++) {
        unsigned char *row = at + y * g->scale * row_bytes;
        for (int64_t x = 0; x < g->width; x++)
            for (int64_t c = 0; c < g->channels; c++) {
                int64_t i = n * g->n_step + c * g->channel_step + y * g->row_step + x * g->x_step;
                double v = images->dtype == TP_F32 ? (double)((const float *)data)[i]
                                                   : ((const double *)data)[i];
                if (isnan(v))
                    return tp_fail(TP_EVALUE,
                                   "%s: image %lld is NaN at channel %lld, row %lld, column %lld",
                                   path, (long long)n, (long long)c, (long long)y, (long long)x);
                double byte = v <= 0 ? 0 : v >= 1 ? 255 : v * 255 + 0.5;
                for (int64_t k = 0; k < g->scale; k++)
                    row[(x * g->scale + k) * g->channels + c] = (unsigned char)byte;
            }
        for (int64_t k = 1; k < g->scale; k++)
            memcpy(row + k * row_bytes, row, (size_t)(g->width * g->scale * g->channels));
    }
    return TP_OK;
}

/* All images in their cells: canvas [height, width, channels], which the caller frees. */
static tp_status paint_all(const char *path, const tp_tensor *images, const grid *g,
                           tp_tensor *canvas)
{
    int64_t cell_height = g->height * g->scale + g->pad, cell_width = g->width * g->scale + g->pad;
    tp_shape shape = {
        3, {g->rows * cell_height + g->pad, g->columns * cell_width + g->pad, g->channels}};
    tp_status status = tp_tensor_new(canvas, TP_U8, shape);
    if (status != TP_OK) {
        tp_fail_prefix("%s: ", path);
        return status;
    }
    unsigned char *data = tp_data_mut(canvas);
    memset(data, MID_GREY, (size_t)tp_numel(canvas));
    for (int64_t n = 0; n < g->n && status == TP_OK; n++) {
        int64_t top = n / g->columns * cell_height + g->pad,
                left = n % g->columns * cell_width + g->pad;
        status = paint(path, images, g, n, data + (top * shape.dim[1] + left) * g->channels,
                       shape.dim[1] * g->channels);
    }
    if (status != TP_OK)
        tp_tensor_free(canvas);
    return status;
}

tp_status tp_png_grid(const char *path, const tp_tensor *images, int columns, int pad, int scale)
{
    grid g = {0};
    tp_tensor canvas;
    TP_TRY(grid_of(path, images, columns, pad, scale, &g));
    TP_TRY(paint_all(path, images, &g, &canvas));
    tp_status status = write_contiguous(path, &canvas);
    tp_tensor_free(&canvas);
    return status;
}

tp_status tp_png_grid_bytes(const tp_tensor *images, int columns, int pad, int scale,
                            unsigned char **data, size_t *size)
{
    grid g = {0};
    tp_tensor canvas;
    memory m = {0};
    codec c = {.path = "PNG", .memory = &m};
    TP_TRY(grid_of(c.path, images, columns, pad, scale, &g));
    TP_TRY(paint_all(c.path, images, &g, &canvas));
    encode_all(&c, &canvas);
    tp_tensor_free(&canvas);
    unsigned char *fitting = NULL;
    if (c.status == TP_OK) { /* who frees it knows its size, and not its room */
        fitting = tp_realloc(m.data, m.room, m.used);
        if (fitting == NULL)
            c.status = no_room(&c);
    }
    if (c.status != TP_OK) {
        tp_free(m.data, m.room);
        return c.status;
    }
    *data = fitting;
    *size = m.used;
    return TP_OK;
}

/* --- reading ------------------------------------------------------------------------------------ */

/* Asks libpng for 8-bit grey or RGB whatever the file holds. Returns the number of interlace passes. */
static int set_transforms(codec *c)
{
    png_byte colour = png_get_color_type(c->png, c->info);
    if (colour == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(c->png);
    if (colour == PNG_COLOR_TYPE_GRAY)
        png_set_expand_gray_1_2_4_to_8(c->png);
    png_set_scale_16(c->png);
    png_set_strip_alpha(c->png);
    int passes = png_set_interlace_handling(c->png);
    png_read_update_info(c->png, c->info);
    return passes;
}

/* Makes *t and fills it. Leaves the reason of a failure in c->status; *t is the caller's to free. */
static void decode(codec *c, tp_tensor *t)
{
    c->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, c, on_error, on_warning, c, on_alloc,
                                      on_free);
    if (c->png == NULL)
        return;
    if (setjmp(png_jmpbuf(c->png)) != 0)
        return;
    c->info = png_create_info_struct(c->png);
    if (c->info == NULL)
        png_error(c->png, "cannot start the decoder");
    png_set_read_fn(c->png, c, on_read);
    png_set_user_limits(c->png, TP_PNG_MAX_SIDE, TP_PNG_MAX_SIDE);
    png_set_chunk_malloc_max(c->png, CHUNK_BYTES_MAX);
    png_set_benign_errors(c->png, 0); /* what libpng calls benign is damage all the same */
    png_set_keep_unknown_chunks(c->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1); /* only pixels matter */
    png_read_info(c->png, c->info);
    int64_t height = png_get_image_height(c->png, c->info);
    int64_t width = png_get_image_width(c->png, c->info);
    int passes = set_transforms(c);
    tp_shape shape = {3, {height, width, png_get_channels(c->png, c->info)}};
    if (png_get_rowbytes(c->png, c->info) != (size_t)(width * shape.dim[2]))
        png_error(c->png, "an unexpected pixel format");
    if (c->status != TP_OK)
        png_error(c->png, "memory");
    c->status = tp_tensor_new(t, TP_U8, shape);
    if (c->status != TP_OK) {
        tp_fail_prefix("%s: ", c->path);
        return;
    }
    unsigned char *data = tp_data_mut(t);
    for (int pass = 0; pass < passes; pass++)
        for (int64_t y = 0; y < height; y++)
            png_read_row(c->png, data + y * width * shape.dim[2], NULL);
    png_read_end(c->png, NULL);
}

tp_status tp_png_read(const char *path, tp_tensor *out)
{
    codec c = {.path = path};
    tp_tensor t = {0};
    TP_TRY(tp_file_open(&c.file, path));
    c.status = tp_png_check(&c.file);
    if (c.status == TP_OK) {
        decode(&c, &t);
        if (c.png == NULL && c.status == TP_OK)
            c.status = tp_fail(TP_ENOMEM, "%s: cannot start libpng", path);
        png_destroy_read_struct(&c.png, &c.info, NULL);
    }
    tp_file_close(&c.file);
    if (c.status == TP_OK)
        *out = t;
    else
        tp_tensor_free(&t);
    return c.status;
}
