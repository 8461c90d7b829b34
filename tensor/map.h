/* map.h: elementwise computation, y = f(x0, x1, …).
 *
 * The functions are rows of kernels.def; inputs broadcast to the shape of y; all floats have one dtype.
 * Work is cut into chunks of constant size. Read next: kernels.def, then reduce.h.
 */
#ifndef TP_TENSOR_MAP_H
#define TP_TENSOR_MAP_H

#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* TP_K_exp and so on: one value per elementwise row of kernels.def. */
typedef enum tp_map_kernel {
#define TP_MAP(name, arity, ...) TP_K_##name,
#include "tensor/kernels.def"
#undef TP_MAP
    TP_MAP_KERNEL_COUNT
} tp_map_kernel;

/* y = kernel(x[0], …, x[arity-1]; p). y must not overlap itself; it may be one of the inputs.
 * p holds the kernel's parameters or is NULL. TP_ESHAPE if an input does not broadcast to y, TP_EDTYPE if the
 * dtypes are not one float type. */
tp_status tp_map(tp_map_kernel kernel, tp_tensor *y, const tp_tensor *const *x, const double *p);

static inline tp_status tp_map1(tp_tensor *y, const tp_tensor *a, tp_map_kernel k)
{
    const tp_tensor *x[1] = {a};
    return tp_map(k, y, x, NULL);
}
static inline tp_status tp_map2(tp_tensor *y, const tp_tensor *a, const tp_tensor *b,
                                tp_map_kernel k)
{
    const tp_tensor *x[2] = {a, b};
    return tp_map(k, y, x, NULL);
}
static inline tp_status tp_map3(tp_tensor *y, const tp_tensor *a, const tp_tensor *b,
                                const tp_tensor *c, tp_map_kernel k)
{
    const tp_tensor *x[3] = {a, b, c};
    return tp_map(k, y, x, NULL);
}

#ifdef __cplusplus
}
#endif
#endif
