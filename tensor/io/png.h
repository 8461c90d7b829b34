/* png.h: images out of tensors, and back.
 *
 * Writes 8-bit grey and RGB images and grids of samples; the reader turns any PNG into one of these and
 * exists for tests and small data sets. No colour management, no alpha. Read next: file.h.
 */
#ifndef TP_TENSOR_IO_PNG_H
#define TP_TENSOR_IO_PNG_H

#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Images have at most 16384 pixels a side and 64 Mi pixels in all. */
enum { TP_PNG_MAX_SIDE = 16384, TP_PNG_MAX_PIXELS = 1 << 26 };

/* Writes a u8 tensor [H,W] or [H,W,1] (grey) or [H,W,3] (RGB), any strides, atomically.
 * TP_ESHAPE, TP_EDTYPE, TP_EIO, TP_ENOMEM. */
tp_status tp_png_write(const char *path, const tp_tensor *image);

/* Writes N images side by side: images is f32 or f64, [N,H,W] or [N,C,H,W] with C 1 or 3, values in [0,1]
 * (clipped; NaN is TP_EVALUE), row-major over the grid. columns 0 means ceil(sqrt(N)); pad is the number of
 * mid-grey pixels between the images and around the grid; every pixel becomes scale x scale (0 means 1).
 * TP_EARG, TP_ESHAPE (also if the grid is larger than the limits), TP_EDTYPE, TP_EIO, TP_ENOMEM. */
tp_status tp_png_grid(const char *path, const tp_tensor *images, int columns, int pad, int scale);
/* The same in memory: *data are the *size bytes of the file, freed with tp_free(*data, *size). */
tp_status tp_png_grid_bytes(const tp_tensor *images, int columns, int pad, int scale,
                            unsigned char **data, size_t *size);

/* Reads a PNG into a new u8 tensor [H,W,C] that the caller owns, C 1 (grey) or 3: palettes become RGB (an index beyond
 * the palette is black), 16 bits 8, alpha is dropped. Strict: checksums are right, the order of chunks is the format's,
 * nothing comes after the image, and the file is large enough for the pixels it declares before memory is taken for
 * them. *out is untouched on failure. TP_EIO, TP_EFORMAT, TP_ENOMEM. */
tp_status tp_png_read(const char *path, tp_tensor *out);

#ifdef __cplusplus
}
#endif
#endif
