/* print.h: a tensor for a person to read.
 *
 * Not a file format: io/npy.h writes every element, exactly. Read next: autograd/print.h, the same for vars.
 */
#ifndef TP_TENSOR_PRINT_H
#define TP_TENSOR_PRINT_H

#include <stdio.h>
#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Writes type, shape and range of the finite elements in a line, then the elements in aligned columns, in
 * brackets as NumPy's and at most 100 columns wide:
 *
 *     f32[2,3]   from -1 to 2.5
 *     [[ 1.0  2.5 -1.0]
 *      [ 0.0  0.5  2.0]]
 *
 * Floats show at least four significant digits, all with the same number of decimals, or in scientific
 * notation where that would take more than eight digits; integers, also such floats up to 8 digits, plainly.
 * More than 256 elements: the first and last three along each long axis, or fewer where there are many axes.
 * TP_EARG for an empty handle; TP_EIO. */
tp_status tp_print(FILE *out, const tp_tensor *x);

#ifdef __cplusplus
}
#endif
#endif
