/* ops.h: the typed functions of ops.def, e.g. tp_var tp_exp(tp_var x), and their descriptors.
 * What each does stands in ops.def; what can be built from them in compose.h. */
#ifndef TP_AUTOGRAD_OPS_H
#define TP_AUTOGRAD_OPS_H

#include "autograd/op.h"
#include "tensor/conv.h"
#include "tensor/pool.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TP_OP(name, parameters)                                                                    \
    tp_var tp_##name parameters;                                                                   \
    extern const tp_op tp_op_##name;
#include "autograd/ops.def"
#undef TP_OP

#ifdef __cplusplus
}
#endif
#endif
