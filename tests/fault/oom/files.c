/* files.c: scenarios of every format, read and written. What is written replaces a file that is there, which must
 * be there, byte for byte, after every failure. Read next: tape.c. */
#define _XOPEN_SOURCE 700 /* mkdir */
#include "tests/fault/oom/oom.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tensor/io/file.h"
#include "tensor/mem.h"

#define DIGITS TAPIR_SOURCE_DIR "/examples/data"
#define NPY TAPIR_SOURCE_DIR "/tests/oracle/npy/"

/* A file with these bytes; by the C library, as its memory is not looked at here. */
static tp_status put(const char *path, const void *data, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    bool good = f != NULL && fwrite(data, 1, bytes, f) == bytes;
    good = f != NULL && fclose(f) == 0 && good;
    return good ? TP_OK : tp_fail(TP_EIO, "%s cannot be prepared", path);
}

/* --- idx ------------------------------------------------------------------------------------------ */

static const unsigned char plain_idx[] = {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6};

static tp_status put_idx(scene *s)
{
    (void)s;
    return put(oom_path("plain.idx"), plain_idx, sizeof plain_idx);
}

static tp_status read_idx(scene *s)
{
    TP_TRY(tp_idx_read(oom_path("plain.idx"), &s->made[0]));
    return oom_note(s, &s->made[0]);
}

static tp_status read_gz(scene *s)
{
    TP_TRY(tp_idx_read(DIGITS "/t10k-labels-idx1-ubyte.gz", &s->made[0]));
    return oom_note(s, &s->made[0]);
}

static tp_status put_dataset(scene *s)
{
    const unsigned char labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 7, 9};
    (void)s;
    TP_TRY(put(oom_path("few-images-idx3-ubyte"), plain_idx, sizeof plain_idx));
    return put(oom_path("few-labels-idx1-ubyte"), labels, sizeof labels);
}

static tp_status read_dataset(scene *s)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s", oom_path(""));
    TP_TRY(tp_dataset_read(&s->made_data, folder, "few"));
    TP_TRY(oom_note(s, &s->made_data.x));
    return oom_note(s, &s->made_data.labels);
}

/* --- data sets of other kinds ------------------------------------------------------------------------- */

static tp_status read_split(scene *s, const char *split)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s", oom_path("."));
    TP_TRY(tp_dataset_read(&s->made_data, folder, split));
    TP_TRY(oom_note(s, &s->made_data.x));
    return oom_note(s, &s->made_data.labels);
}

static tp_status put_arrays(scene *s)
{
    (void)s;
    tp_tensor labels;
    const int64_t values[] = {3, 1, 2};
    TP_TRY(tp_tensor_from(&labels, TP_I64, TP_SHAPE(3), values));
    tp_status status = tp_npy_save(oom_path("few-labels.npy"), &labels);
    tp_tensor_free(&labels);
    tp_tensor x;
    TP_TRY(status);
    TP_TRY(oom_draw(&x, TP_F32, TP_SHAPE(3, 2, 2), 1));
    status = tp_npy_save(oom_path("few.npy"), &x);
    tp_tensor_free(&x);
    return status;
}

static tp_status read_arrays(scene *s)
{
    return read_split(s, "few");
}

/* As they are: those before the first one in colour are widened. */
static tp_status read_colour(scene *s)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s", oom_path("."));
    TP_TRY(tp_dataset_read_as(&s->made_data, folder, "few", (tp_dataset_opts){TP_CHANNELS_AUTO}));
    TP_TRY(oom_note(s, &s->made_data.x));
    return oom_note(s, &s->made_data.labels);
}

/* Two classes; the second picture of the first one is in colour. */
static tp_status put_pictures(scene *s)
{
    static const char *const names[] = {"few/a/2.png", "few/a/1.png", "few/b/3.png"};
    (void)s;
    mkdir(oom_path("few"), 0700), mkdir(oom_path("few/a"), 0700), mkdir(oom_path("few/b"), 0700);
    for (int i = 0; i < 3; i++) {
        tp_tensor image;
        TP_TRY(tp_tensor_new(&image, TP_U8, TP_SHAPE(4, 5, i == 0 ? 3 : 1)));
        tp_status status = tp_fill(&image, 10 * i);
        if (status == TP_OK)
            status = tp_png_write(oom_path(names[i]), &image);
        tp_tensor_free(&image);
        TP_TRY(status);
    }
    return TP_OK;
}

/* --- cutting and drawing ------------------------------------------------------------------------------- */

static tp_status whole_data(scene *s)
{
    TP_TRY(tp_tensor_new(&s->data.x, TP_U8, TP_SHAPE(9, 2, 3)));
    TP_TRY(tp_tensor_new(&s->data.labels, TP_U8, TP_SHAPE(9)));
    for (int64_t i = 0; i < 54; i++)
        TP_TRY(tp_set_flat(&s->data.x, i, (double)(4 * i)));
    TP_TRY(oom_watch(s, &s->data.x));
    return oom_watch(s, &s->data.labels);
}

/* Of a copy of the handle: what is cut is freed, and the engine wants to try again. */
static tp_status cut_off(scene *s)
{
    tp_dataset whole = {0};
    TP_TRY(tp_clone(&whole.x, &s->data.x));
    tp_status status = tp_clone(&whole.labels, &s->data.labels);
    if (status == TP_OK)
        status = tp_dataset_split(&whole, 4, (tp_split_opts){true, 1}, &s->made_data);
    if (status == TP_OK)
        status = oom_note(s, &whole.x);
    tp_dataset_free(&whole);
    TP_TRY(status);
    TP_TRY(oom_note(s, &s->made_data.x));
    return oom_note(s, &s->made_data.labels);
}

static tp_status draw_pixels(scene *s)
{
    static const int64_t some[] = {8, 2};
    TP_TRY(tp_batches_init(&s->made_batches, &s->data, 4, TP_F32));
    TP_TRY(tp_batches_binarize(&s->made_batches, (tp_binarize_opts){TP_BINARIZE_STATIC, 1}));
    TP_TRY(tp_tensor_new(&s->made[0], TP_F32, TP_SHAPE(2, 6)));
    TP_TRY(tp_batches_gather(&s->made_batches, some, 2, &s->made[0]));
    return oom_note(s, &s->made[0]);
}

/* --- npy ------------------------------------------------------------------------------------------ */

static tp_status read_npy(scene *s)
{
    TP_TRY(tp_npy_load(NPY "f4_2x3.npy", &s->made[0]));
    return oom_note(s, &s->made[0]);
}

static tp_status read_npy_fortran(scene *s)
{
    TP_TRY(tp_npy_load(NPY "i8_2x3x4_fortran.npy", &s->made[0]));
    return oom_note(s, &s->made[0]);
}

static tp_status old_file(scene *s, const char *name)
{
    TP_TRY(oom_draw(&s->t[0], TP_F32, TP_SHAPE(20, 30), 1));
    TP_TRY(oom_watch(s, &s->t[0]));
    return put(oom_path(name), "what was there before", 21);
}

static tp_status old_npy(scene *s)
{
    return old_file(s, "x.npy");
}

static tp_status write_npy(scene *s)
{
    return tp_npy_save(oom_path("x.npy"), &s->t[0]);
}

static tp_status write_npy_strided(scene *s)
{
    tp_tensor turned;
    TP_TRY(tp_view_transpose(&s->t[0], 0, 1, &turned));
    return tp_npy_save(oom_path("x.npy"), &turned);
}

/* --- png ------------------------------------------------------------------------------------------ */

static tp_status old_png(scene *s)
{
    TP_TRY(old_file(s, "x.png"));
    TP_TRY(tp_tensor_new(&s->t[1], TP_U8, TP_SHAPE(9, 7, 3)));
    TP_TRY(tp_set_flat(&s->t[1], 5, 200));
    TP_TRY(oom_draw(&s->t[2], TP_F32, TP_SHAPE(4, 5, 5), 3));
    return oom_watch(s, &s->t[1]);
}

static tp_status write_png(scene *s)
{
    return tp_png_write(oom_path("x.png"), &s->t[1]);
}

static tp_status write_png_strided(scene *s)
{
    tp_tensor green;
    TP_TRY(tp_view_select(&s->t[1], 2, 1, &green));
    return tp_png_write(oom_path("x.png"), &green);
}

static tp_status write_grid(scene *s)
{
    return tp_png_grid(oom_path("x.png"), &s->t[2], 2, 1, 2);
}

static tp_status grid_bytes(scene *s)
{
    unsigned char *data;
    size_t size;
    TP_TRY(tp_png_grid_bytes(&s->t[2], 2, 1, 2, &data, &size));
    tp_status status = oom_note_memory(s, data, size);
    tp_free(data, size);
    return status;
}

/* Any kind of PNG, by libpng itself. */
static tp_status put_png(int colour, int depth, int interlace)
{
    enum { SIDE = 11 };
    const char *path = oom_path("in.png");
    unsigned char row[SIDE * 8];
    png_color palette[4] = {{1, 2, 3}, {50, 60, 70}, {200, 100, 0}, {255, 255, 255}};
    png_byte alpha[2] = {0, 128};
    FILE *f = fopen(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (f == NULL || info == NULL || setjmp(png_jmpbuf(png)) != 0)
        return tp_fail(TP_EIO, "%s cannot be prepared", path);
    png_init_io(png, f);
    png_set_IHDR(png, info, SIDE, SIDE, depth, colour, interlace, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (colour == PNG_COLOR_TYPE_PALETTE) {
        png_set_PLTE(png, info, palette, 4);
        png_set_tRNS(png, info, alpha, 2, NULL);
    }
    png_set_text(png, info, &(png_text){.key = "Title", .text = "a picture", .compression = -1}, 1);
    png_write_info(png, info);
    for (int pass = png_set_interlace_handling(png); pass > 0; pass--)
        for (int y = 0; y < SIDE; y++) {
            for (size_t i = 0; i < sizeof row; i++)
                row[i] =
                    (unsigned char)(colour == PNG_COLOR_TYPE_PALETTE ? (i + (size_t)y) & 0x11
                                                                     : 37 * i + 11 * (size_t)y);
            png_write_row(png, row);
        }
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return fclose(f) == 0 ? TP_OK : tp_fail(TP_EIO, "%s cannot be prepared", path);
}

#define PUT_PNG(name, colour, depth, interlace)                                                    \
    static tp_status put_##name(scene *s)                                                          \
    {                                                                                              \
        (void)s;                                                                                   \
        return put_png(PNG_COLOR_TYPE_##colour, depth, PNG_INTERLACE_##interlace);                 \
    }
PUT_PNG(grey1, GRAY, 1, NONE)
PUT_PNG(grey8, GRAY, 8, NONE)
PUT_PNG(grey16, GRAY, 16, ADAM7)
PUT_PNG(grey_alpha, GRAY_ALPHA, 8, NONE)
PUT_PNG(rgb, RGB, 8, NONE)
PUT_PNG(rgb_interlaced, RGB, 8, ADAM7)
PUT_PNG(rgb16, RGB, 16, NONE)
PUT_PNG(rgba, RGBA, 8, ADAM7)
PUT_PNG(palette, PALETTE, 4, NONE)

static tp_status read_png(scene *s)
{
    TP_TRY(tp_png_read(oom_path("in.png"), &s->made[0]));
    return oom_note(s, &s->made[0]);
}

/* --- safetensors ------------------------------------------------------------------------------------ */

static tp_status two_tensors(scene *s)
{
    TP_TRY(old_file(s, "x.safetensors"));
    return oom_draw(&s->t[1], TP_F64, TP_SHAPE(3), 2);
}

static tp_status write_safetensors(scene *s)
{
    static const char *const metadata[] = {"format", "pt", "note", "two", NULL};
    tp_tensor turned;
    TP_TRY(tp_view_transpose(&s->t[0], 0, 1, &turned)); /* which must be copied first */
    return tp_safetensors_save(oom_path("x.safetensors"),
                               (tp_named_tensor[]){{"turned", &turned}, {"b", &s->t[1]}}, 2,
                               metadata);
}

static tp_status put_safetensors(scene *s)
{
    TP_TRY(two_tensors(s));
    return write_safetensors(s);
}

static tp_status read_entries(scene *s, const tp_safetensors *file)
{
    const char *note = tp_safetensors_metadata(file, "note");
    if (note == NULL || tp_safetensors_find(file, "turned") == NULL)
        return tp_fail(TP_EVALUE, "something is missing");
    oom_note_memory(s, note, strlen(note));
    TP_TRY(tp_safetensors_load_new(file, "turned", &s->made[0]));
    TP_TRY(oom_note(s, &s->made[0]));
    tp_tensor back; /* a place with strides */
    TP_TRY(tp_tensor_new(&s->made[1], TP_F32, TP_SHAPE(20, 30)));
    TP_TRY(tp_view_transpose(&s->made[1], 0, 1, &back));
    TP_TRY(tp_safetensors_load(file, "turned", &back));
    return oom_note(s, &s->made[1]);
}

static tp_status read_safetensors(scene *s)
{
    tp_safetensors file;
    TP_TRY(tp_safetensors_open(&file, oom_path("x.safetensors")));
    tp_status status = read_entries(s, &file);
    tp_safetensors_close(&file);
    return status;
}

/* All of a file into tensors that are there: all or none. */
static tp_status put_and_make_room(scene *s)
{
    TP_TRY(put_safetensors(s));
    TP_TRY(tp_tensor_new(&s->t[2], TP_F32, TP_SHAPE(30, 20)));
    TP_TRY(tp_tensor_new(&s->t[3], TP_F64, TP_SHAPE(3)));
    TP_TRY(oom_watch(s, &s->t[2]));
    return oom_watch(s, &s->t[3]);
}

static tp_status read_all_safetensors(scene *s)
{
    tp_safetensors file;
    TP_TRY(tp_safetensors_open(&file, oom_path("x.safetensors")));
    tp_status status = tp_safetensors_verify(&file);
    if (status == TP_OK)
        status = tp_safetensors_load_all(
            &file, (tp_named_tensor[]){{"turned", &s->t[2]}, {"b", &s->t[3]}}, 2);
    tp_safetensors_close(&file);
    TP_TRY(status);
    TP_TRY(oom_note(s, &s->t[2]));
    return oom_note(s, &s->t[3]);
}

/* --- files as such ---------------------------------------------------------------------------------- */

static tp_status read_whole(scene *s)
{
    char *data;
    size_t bytes;
    TP_TRY(tp_file_read_all(oom_path("x.npy"), 1000, &data, &bytes));
    oom_note_memory(s, data, bytes);
    tp_free(data, bytes + 1);
    return TP_OK;
}

static tp_status read_part(scene *s)
{
    char part[8];
    tp_file f;
    TP_TRY(tp_file_open(&f, oom_path("x.npy")));
    tp_status status = tp_file_read_at(&f, 2, part, sizeof part);
    tp_file_close(&f);
    TP_TRY(status);
    return oom_note_memory(s, part, sizeof part);
}

static tp_status write_parts(scene *s)
{
    tp_file_writer w;
    tp_tensor turned;
    TP_TRY(tp_view_transpose(&s->t[0], 0, 1, &turned));
    TP_TRY(tp_file_begin(&w, oom_path("x.npy")));
    tp_status status = tp_file_write(&w, "head", 4);
    if (status == TP_OK)
        status = tp_file_write_elements(&w, &turned);
    if (status == TP_OK)
        status = tp_file_patch(&w, 1, "o", 1);
    if (status == TP_OK)
        return tp_file_commit(&w);
    tp_file_abort(&w);
    return status;
}

static tp_status put_remains(scene *s)
{
    (void)s;
    return put(oom_path("x.npy.tmp-1-1"), "half", 4);
}

static tp_status clean_up(scene *s)
{
    char folder[512];
    (void)s;
    snprintf(folder, sizeof folder, "%s", oom_path("."));
    TP_TRY(tp_file_sync_name(oom_path("x.npy")));
    return tp_file_clean(folder);
}

const scenario oom_files[] = {
    {.name = "read idx", .prepare = put_idx, .act = read_idx, .files = true},
    {.name = "read idx.gz", .act = read_gz},
    {.name = "read a data set", .prepare = put_dataset, .act = read_dataset, .files = true},
    {.name = "read a data set of npy", .prepare = put_arrays, .act = read_arrays, .files = true},
    {.name = "read a folder of pictures",
     .prepare = put_pictures,
     .act = read_arrays,
     .files = true,
     .foreign = "libc"},
    {.name = "read a folder of pictures in colour",
     .prepare = put_pictures,
     .act = read_colour,
     .files = true,
     .foreign = "libc"},
    {.name = "cut a data set", .prepare = whole_data, .act = cut_off},
    {.name = "draw pixels", .prepare = whole_data, .act = draw_pixels},
    {.name = "read npy", .act = read_npy},
    {.name = "read npy in Fortran order", .act = read_npy_fortran},
    {.name = "write npy", .prepare = old_npy, .act = write_npy, .files = true},
    {.name = "write npy, strided", .prepare = old_npy, .act = write_npy_strided, .files = true},
    {.name = "write png", .prepare = old_png, .act = write_png, .files = true},
    {.name = "write png, strided", .prepare = old_png, .act = write_png_strided, .files = true},
    {.name = "write a grid", .prepare = old_png, .act = write_grid, .files = true},
    {.name = "a grid in memory", .prepare = old_png, .act = grid_bytes, .files = true},
    {.name = "read png, grey 1", .prepare = put_grey1, .act = read_png, .files = true},
    {.name = "read png, grey 8", .prepare = put_grey8, .act = read_png, .files = true},
    {.name = "read png, grey 16", .prepare = put_grey16, .act = read_png, .files = true},
    {.name = "read png, grey alpha", .prepare = put_grey_alpha, .act = read_png, .files = true},
    {.name = "read png, RGB", .prepare = put_rgb, .act = read_png, .files = true},
    {.name = "read png, interlaced", .prepare = put_rgb_interlaced, .act = read_png, .files = true},
    {.name = "read png, RGB 16", .prepare = put_rgb16, .act = read_png, .files = true},
    {.name = "read png, RGBA", .prepare = put_rgba, .act = read_png, .files = true},
    {.name = "read png, palette", .prepare = put_palette, .act = read_png, .files = true},
    {.name = "write safetensors",
     .prepare = two_tensors,
     .act = write_safetensors,
     .files = true,
     .bare = true},
    {.name = "read safetensors",
     .prepare = put_safetensors,
     .act = read_safetensors,
     .files = true,
     .bare = true},
    {.name = "read all of a safetensors file",
     .prepare = put_and_make_room,
     .act = read_all_safetensors,
     .files = true,
     .bare = true},
    {.name = "remove what was left",
     .prepare = put_remains,
     .act = clean_up,
     .files = true,
     .foreign = "libc"},
    {.name = "read a whole file", .prepare = old_npy, .act = read_whole, .files = true},
    {.name = "read a part of a file", .prepare = old_npy, .act = read_part, .files = true},
    {.name = "write a file in parts", .prepare = old_npy, .act = write_parts, .files = true},
};
const int oom_files_count = (int)(sizeof oom_files / sizeof *oom_files);
