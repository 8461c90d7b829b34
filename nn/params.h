/* params.h: the named parameters and buffers of a model, in the order they were made.
 *
 * Layers hold their tp_parameter and tp_buffer by value and register it here; the list frees them all. A layer must
 * not move in memory after its init. Names are PyTorch's: "encoder.0.weight". Read next: init.h, layers.h.
 */
#ifndef TP_NN_PARAMS_H
#define TP_NN_PARAMS_H

#include "autograd/parameter.h"
#include "nn/buffer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How layers draw the weights and biases that they are made with. */
typedef enum tp_init_scheme {
    TP_INIT_PYTORCH, /* both U(−1/√fan_in, 1/√fan_in) */
    TP_INIT_GLOROT   /* weights tp_init_glorot_uniform with gain 1, biases 0 */
} tp_init_scheme;

typedef struct tp_params {
    tp_parameter **item;
    int n, capacity;
    tp_buffer **buffer; /* what is kept but not learned: buffer.h */
    int buffers, buffer_capacity;
    tp_dtype dtype;      /* of every parameter made from here on */
    uint64_t seed;       /* of the initial values */
    tp_init_scheme init; /* of the layers made from here on; zero is PyTorch's */
} tp_params;

/* An empty list whose parameters will be of dtype (f32 or f64), initialised from seed. */
tp_params tp_params_make(tp_dtype dtype, uint64_t seed);
/* Frees every registered parameter and buffer, and the list. */
void tp_params_free(tp_params *ps);

/* Makes p a zero parameter, b a zero buffer of any type, and registers it. TP_EARG if the name is taken. */
tp_status tp_params_add(tp_params *ps, tp_parameter *p, const char *name, tp_shape shape);
tp_status tp_params_add_buffer(tp_params *ps, tp_buffer *b, const char *name, tp_dtype dtype,
                               tp_shape shape);
/* The parameter, the buffer of that name, or NULL. */
tp_parameter *tp_params_find(const tp_params *ps, const char *name);
tp_buffer *tp_params_find_buffer(const tp_params *ps, const char *name);
/* A parameter on the tape, as every layer takes it: tp_param, detached while c is frozen (tp_ctx_freeze). */
tp_var tp_params_var(tp_ctx *c, const tp_parameter *p);
/* tp_zero_grad of every parameter. */
void tp_params_zero_grad(const tp_params *ps);
/* Behind tp_optimizer_step that succeeded, which is the end of a step: buffers get the values that the forward pass
 * recorded on t has given them. The trainer calls it; a loop of one's own that trains layers with buffers must. */
void tp_params_commit(const tp_params *ps, const tp_tape *t);
/* Number of scalars that are learned. */
int64_t tp_params_count(const tp_params *ps);

/* Writes all parameters and buffers to a safetensors file (atomically), and reads them back. metadata: key, value, …,
 * NULL, or NULL. Loading wants exactly the names, shapes and dtypes of ps: TP_EFORMAT names the first that is
 * missing, unexpected or different, and nothing is changed. */
tp_status tp_params_save(const tp_params *ps, const char *path, const char *const *metadata);
tp_status tp_params_load(const tp_params *ps, const char *path);

#ifdef __cplusplus
}
#endif
#endif
