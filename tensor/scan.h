/* scan.h: a question about all elements of a tensor of floats. Private to the library.
 *
 * Not a reduction: nothing is stored and nothing is allocated, so an operation can ask before it computes.
 * Reads the tensor once, on all threads. Read next: kernels/scan.inc.
 */
#ifndef TP_TENSOR_SCAN_H
#define TP_TENSOR_SCAN_H

#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether every element of x (f32 or f64, any strides) is in [low, high]; NaN is not. No elements: true. */
bool tp_all_within(const tp_tensor *x, double low, double high);

/* Whether no element of x is infinite or NaN. */
bool tp_all_finite(const tp_tensor *x);

/* The row-major index of the first element outside [low, high], or -1. Fast where there is none. */
int64_t tp_first_outside(const tp_tensor *x, double low, double high);

#ifdef __cplusplus
}
#endif
#endif
