/* select.c: which ISA level runs.
 *
 * Chosen once, at the first use. Two threads that come first together choose the same, so an atomic
 * pointer is all the locking there is. Read next: kernels.h.
 */
#include "tensor/kernels/kernels.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Atomic(const tp_kernels *) current;

/* The level of this name if this processor runs it; any name: NULL gives the best level. */
static const tp_kernels *find_level(const char *name)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
    if (avx512 && (name == NULL || strcmp(name, "avx512") == 0))
        return &tp_kernels_avx512;
    if (avx2 && (name == NULL || strcmp(name, "avx2") == 0))
        return &tp_kernels_avx2;
#endif
    return name == NULL || strcmp(name, "ref") == 0 ? &tp_kernels_ref : NULL;
}

const tp_kernels *tp_kernels_get(void)
{
    const tp_kernels *k = atomic_load_explicit(&current, memory_order_acquire);
    if (k != NULL)
        return k;
    const char *wanted = getenv("TAPIR_ISA");
    k = wanted != NULL ? find_level(wanted) : NULL;
    if (k == NULL)
        k = find_level(NULL);
    atomic_store_explicit(&current, k, memory_order_release);
    return k;
}

const char *tp_isa(void)
{
    return tp_kernels_get()->name;
}

tp_status tp_set_isa(const char *name)
{
    const tp_kernels *k = name != NULL ? find_level(name) : NULL;
    if (k == NULL)
        return tp_fail(TP_EARG, "ISA level '%s' is unknown or not supported by this processor",
                       name != NULL ? name : "(null)");
    atomic_store_explicit(&current, k, memory_order_release);
    return TP_OK;
}
