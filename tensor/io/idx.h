/* idx.h: the format of the MNIST files, read strictly.
 *
 * An idx file is 0, 0, an element type, the number of dimensions, the sizes as 32-bit big-endian numbers
 * and the elements; it may be inside gzip. Only unsigned bytes are read, and nothing is ever written.
 * Format: http://yann.lecun.com/exdb/mnist/. Read next: file.h.
 */
#ifndef TP_TENSOR_IO_IDX_H
#define TP_TENSOR_IO_IDX_H

#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads an idx file of unsigned bytes with 1 to 4 dimensions, plain or gzip (told by its first bytes), into
 * a new u8 tensor that the caller owns; *out is untouched on failure. Strict: a plain file must have exactly
 * the declared size; gzip must decompress to exactly it with right checksums, and may consist of several
 * well-formed members (as pigz and bgzip write) but of nothing else. Memory is only taken once the
 * declared size is plausible for the size of the file. TP_EIO, TP_EFORMAT, TP_ENOMEM; the message says
 * which file, what, expected and got. */
tp_status tp_idx_read(const char *path, tp_tensor *out);

#ifdef __cplusplus
}
#endif
#endif
