/* layers.h: all layers: what owns parameters, and how it is applied.
 *
 * tp_linear is the op x·Wᵀ + b; tp_nn_linear is the layer that owns W and b (as F.linear and nn.Linear).
 * Initial values are PyTorch's default; nn/init.h has others. Read next: layers/linear.h, layers/norm.h.
 */
#ifndef TP_NN_LAYERS_H
#define TP_NN_LAYERS_H

#include "nn/layers/codebook.h"
#include "nn/layers/conv.h"
#include "nn/layers/dropout.h"
#include "nn/layers/embedding.h"
#include "nn/layers/gated.h"
#include "nn/layers/linear.h"
#include "nn/layers/masked.h"
#include "nn/layers/mlp.h"
#include "nn/layers/norm.h"
#include "nn/layers/residual.h"

#endif
