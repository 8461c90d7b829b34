/* norm.h: layers that shift and scale to mean 0 and variance 1, then to what they learn: batch and layer norm.
 *
 * Layer norm looks at one example, batch norm at one channel of all: its output depends on who else is in the
 * batch, and in eval mode on running statistics, which are buffers. Read next: nn/buffer.h.
 */
#ifndef TP_NN_LAYERS_NORM_H
#define TP_NN_LAYERS_NORM_H

#include "nn/ctx.h"
#include "nn/init.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero fields mean the defaults. */
typedef struct tp_nn_batch_norm_opts {
    double eps;      /* 1e-5, added to the variance */
    double momentum; /* 0.1: how far the running statistics go towards those of a batch */
} tp_nn_batch_norm_opts;

typedef struct tp_nn_batch_norm {
    tp_parameter weight, bias;           /* [channels] */
    tp_buffer running_mean, running_var; /* [channels] */
    tp_buffer num_batches_tracked;       /* i64 [] */
    tp_nn_batch_norm_opts opts;
} tp_nn_batch_norm;

/* Registers "<name>.weight" (1) and "<name>.bias" (0), and as buffers "<name>.running_mean" (0),
 * "<name>.running_var" (1) and "<name>.num_batches_tracked" (0): torch.nn.BatchNorm1d. TP_ESHAPE unless channels is
 * positive; TP_EARG for eps or momentum outside (0, ∞) or (0, 1], or for the name as tp_nn_linear_init. */
tp_status tp_nn_batch_norm_init(tp_nn_batch_norm *l, tp_params *ps, const char *name,
                                int64_t channels, tp_nn_batch_norm_opts opts);
/* x [batch, channels, ..] -> (x − mean)/√(variance + eps) ⊙ weight + bias, same shape (Ioffe and Szegedy 2015). In
 * training mean and variance (the population's, Σ(x − mean)²/n) are those of the channel in x; the running ones move
 * to momentum·new + (1 − momentum)·old when the step succeeds (tp_params_commit, which the trainer calls), with
 * the unbiased variance Σ(x − mean)²/(n − 1). In eval mode they are the running ones. TP_ESHAPE for another number
 * of channels, and in training unless n >= 2: a last batch of one example is a batch size to change. */
tp_var tp_nn_batch_norm_apply(const tp_nn_batch_norm *l, tp_ctx *c, tp_var x);

/* A zero field means the default. */
typedef struct tp_nn_layer_norm_opts {
    double eps; /* 1e-5, added to the variance */
} tp_nn_layer_norm_opts;

typedef struct tp_nn_layer_norm {
    tp_parameter weight, bias; /* [event…] */
    tp_nn_layer_norm_opts opts;
} tp_nn_layer_norm;

/* Registers "<name>.weight" (1) and "<name>.bias" (0) of the shape of the last axes of x: torch.nn.LayerNorm.
 * TP_ESHAPE for a shape without axes or elements; TP_EARG for eps outside (0, ∞), or for the name. */
tp_status tp_nn_layer_norm_init(tp_nn_layer_norm *l, tp_params *ps, const char *name,
                                tp_shape event, tp_nn_layer_norm_opts opts);
/* x [.., event…] -> (x − mean)/√(variance + eps) ⊙ weight + bias, same shape, with mean and variance (the
 * population's) over the event of each example (Ba, Kiros and Hinton 2016). TP_ESHAPE for another event. */
tp_var tp_nn_layer_norm_apply(const tp_nn_layer_norm *l, tp_ctx *c, tp_var x);

#ifdef __cplusplus
}
#endif
#endif
