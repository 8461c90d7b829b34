/* params.h: the named parameters of a model, in the order they were made.
 *
 * Layers hold their tp_parameter by value and register it here; the list frees them all. A layer must not
 * move in memory after its init. Names are PyTorch's: "encoder.0.weight". Read next: layers.h.
 */
#ifndef TP_NN_PARAMS_H
#define TP_NN_PARAMS_H

#include "autograd/parameter.h"
#include "tensor/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_params {
    tp_parameter **item;
    int n, capacity;
    tp_dtype dtype; /* of every parameter made from here on */
    uint64_t seed;  /* of the initial values */
} tp_params;

/* An empty list whose parameters will be of dtype (f32 or f64), initialised from seed. */
tp_params tp_params_make(tp_dtype dtype, uint64_t seed);
/* Frees every registered parameter and the list. */
void tp_params_free(tp_params *ps);

/* Makes p a zero parameter and registers it. TP_EARG if the name is taken. */
tp_status tp_params_add(tp_params *ps, tp_parameter *p, const char *name, tp_shape shape);
/* The parameter of that name, or NULL. */
tp_parameter *tp_params_find(const tp_params *ps, const char *name);
/* tp_zero_grad of every parameter. */
void tp_params_zero_grad(const tp_params *ps);
/* Number of scalars. */
int64_t tp_params_count(const tp_params *ps);

/* Overwrites p with uniform draws in [−bound, bound], keyed by seed and the parameter's place in the list:
 * the initial values do not depend on the dtype beyond rounding. */
tp_status tp_init_uniform(const tp_params *ps, tp_parameter *p, double bound);

/* Writes all parameters to a safetensors file (atomically), and reads them back. metadata: key, value, …,
 * NULL, or NULL. Loading wants exactly the names, shapes and dtypes of ps: TP_EFORMAT names the first that is
 * missing, unexpected or different, and nothing is changed. */
tp_status tp_params_save(const tp_params *ps, const char *path, const char *const *metadata);
tp_status tp_params_load(const tp_params *ps, const char *path);

#ifdef __cplusplus
}
#endif
#endif
