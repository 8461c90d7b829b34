/* elements.h: arrays of either float type as tests of kernels fill and read them, and numbers to fill with.
 *
 * Not tensors: those have tp_flat. Read next: tests/unit/test_map_kernels.c.
 */
#ifndef TP_TESTS_ELEMENTS_H
#define TP_TESTS_ELEMENTS_H

#include <stdint.h>

#include "tensor/tensor.h"

/* The next number of a fixed sequence, in [low, high). */
static inline double uniform(double low, double high)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return low + (high - low) * (double)(state >> 11) * 0x1p-53;
}

static inline double get(tp_dtype d, const void *p, int64_t i)
{
    return d == TP_F32 ? (double)((const float *)p)[i] : ((const double *)p)[i];
}

static inline void put(tp_dtype d, void *p, int64_t i, double v)
{
    if (d == TP_F32)
        ((float *)p)[i] = (float)v;
    else
        ((double *)p)[i] = v;
}

#endif
