/* npy.h: one tensor in a file, as numpy.save writes it and numpy.load reads it.
 *
 * Format: "\x93NUMPY", a version, a length, a Python dictionary that says type, order and shape, the elements
 * (NumPy's numpy.lib.format). Strict in both directions. No npz, no records, and never pickled objects, which
 * are programs. For many tensors under names: safetensors.h. Read next: npy.c.
 */
#ifndef TP_TENSOR_IO_NPY_H
#define TP_TENSOR_IO_NPY_H

#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Writes the elements of x (any strides) in row-major order, atomically: byte for byte what numpy.save writes
 * for the same array. TP_EARG for an empty handle, TP_EIO, TP_ENOMEM. */
tp_status tp_npy_save(const char *path, const tp_tensor *x);

/* Reads a file of version 1.0, 2.0 or 3.0 into a new contiguous tensor that the caller owns; *out is untouched
 * on failure. Elements are '<f4', '<f8', '<i8' or '|u1', at most 8 dimensions; an array in Fortran order comes
 * out in row-major order. What the header says is checked against the size of the file before memory is taken.
 * TP_EIO, TP_EFORMAT, TP_ENOMEM; TP_EDTYPE for other elements, big-endian ones among them. */
tp_status tp_npy_load(const char *path, tp_tensor *out);

#ifdef __cplusplus
}
#endif
#endif
