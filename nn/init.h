/* init.h: initial values of parameters. Layers draw their own, as tp_params.init says, when they are made; these replace
 * them: tp_init_he_normal(&ps, &layer.weight, sqrt(2)).
 *
 * A draw is keyed by seed and the parameter's place in the list: it does not depend on what was drawn before, nor on
 * the dtype beyond rounding. Fans are PyTorch's: of a weight [out, in, …] fan_in is in·Π(…) and fan_out out·Π(…).
 * The gain is that of the activation that follows: 1 for none and sigmoid, √2 for relu, 5/3 for tanh.
 * Read next: params.h.
 */
#ifndef TP_NN_INIT_H
#define TP_NN_INIT_H

#include "nn/params.h"

#ifdef __cplusplus
extern "C" {
#endif

/* TP_EARG unless bound, std or gain is finite and not negative, and p is in the list; the value of a constant may be
 * anything. Fans want at least two axes: TP_ESHAPE. On failure p is as it was. */

/* U(−bound, bound) | N(0, std²) | value everywhere */
tp_status tp_init_uniform(const tp_params *ps, tp_parameter *p, double bound);
tp_status tp_init_normal(const tp_params *ps, tp_parameter *p, double std);
tp_status tp_init_constant(tp_parameter *p, double value);

/* Glorot and Bengio 2010, Xavier in PyTorch: variance gain²·2/(fan_in + fan_out). */
tp_status tp_init_glorot_uniform(const tp_params *ps, tp_parameter *p, double gain);
tp_status tp_init_glorot_normal(const tp_params *ps, tp_parameter *p, double gain);
/* He et al. 2015, Kaiming in PyTorch (mode fan_in): variance gain²/fan_in. */
tp_status tp_init_he_uniform(const tp_params *ps, tp_parameter *p, double gain);
tp_status tp_init_he_normal(const tp_params *ps, tp_parameter *p, double gain);

/* Weight and bias of a linear or convolutional layer, as ps->init says; fan_in is how many numbers each output sees. */
tp_status tp_init_layer(const tp_params *ps, tp_parameter *weight, tp_parameter *bias,
                        double fan_in);
/* "pytorch", "glorot"; NULL behind the last. */
const char *tp_init_name(int scheme);

#ifdef __cplusplus
}
#endif
#endif
