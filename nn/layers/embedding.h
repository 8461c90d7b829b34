/* embedding.h: a table of learned rows, looked up by number. The op is tp_embedding. */
#ifndef TP_NN_LAYERS_EMBEDDING_H
#define TP_NN_LAYERS_EMBEDDING_H

#include "nn/ctx.h"
#include "nn/init.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_nn_embedding {
    tp_parameter weight; /* [count, dim] */
} tp_nn_embedding;

/* Registers "<name>.weight", drawn from N(0,1): torch.nn.Embedding's default. TP_ESHAPE unless count and dim are
 * positive; TP_EARG for the name as tp_nn_linear_init. */
tp_status tp_nn_embedding_init(tp_nn_embedding *e, tp_params *ps, const char *name, int64_t count,
                               int64_t dim);
/* index i64 [..] -> [.., dim]; a row used k times gets k gradients. TP_EVALUE names an index outside. */
tp_var tp_nn_embedding_apply(const tp_nn_embedding *e, tp_ctx *c, tp_var index);

#ifdef __cplusplus
}
#endif
#endif
