/* tapir.h: everything, for programs that use the library. */
#ifndef TP_TAPIR_H
#define TP_TAPIR_H

#define TP_VERSION_MAJOR 0
#define TP_VERSION_MINOR 1
#define TP_VERSION_PATCH 0

#include "autograd/check.h"
#include "autograd/compose.h"
#include "autograd/explain.h"
#include "autograd/ops.h"
#include "autograd/print.h"
#include "autograd/sweep.h"
#include "models/ais.h"
#include "models/gmm.h"
#include "models/made.h"
#include "models/uses.h"
#include "models/walk.h"
#include "nn/checkpoint.h"
#include "nn/clip.h"
#include "nn/data.h"
#include "nn/dist.h"
#include "nn/dist_type.h"
#include "nn/hmc.h"
#include "nn/init.h"
#include "nn/layers.h"
#include "nn/objective.h"
#include "nn/optim.h"
#include "nn/schedule.h"
#include "nn/train.h"
#include "tensor/gather.h"
#include "tensor/io/idx.h"
#include "tensor/io/npy.h"
#include "tensor/io/png.h"
#include "tensor/io/safetensors.h"
#include "tensor/map.h"
#include "tensor/matmul.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"
#include "tensor/reduce.h"
#include "tensor/rng.h"

#endif
