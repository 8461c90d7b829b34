/* ops.c: the op table, expanded from ops.def. */
#include "autograd/ops.h"

const tp_op *const tp_ops[] = {
#define TP_OP(name, parameters) &tp_op_##name,
#include "autograd/ops.def"
#undef TP_OP
};

const int tp_op_count = (int)(sizeof tp_ops / sizeof *tp_ops);
