/* Private to png.c and png_chunks.c: the frame of a PNG file, checked before libpng sees it.
 *
 * What the format says of chunks, their order, sizes and checksums, and of the header; the pixels are left to
 * libpng. Format: https://www.w3.org/TR/png-3/. Read next: png_chunks.c.
 */
#ifndef TP_TENSOR_IO_PNG_CHUNKS_H
#define TP_TENSOR_IO_PNG_CHUNKS_H

#include "tensor/io/file.h"

/* Is it one PNG image from the first byte to the last, within the limits of png.h, and large enough to hold
 * the pixels it declares? TP_EIO, TP_EFORMAT. Takes no memory. */
tp_status tp_png_check(const tp_file *file);

#endif
