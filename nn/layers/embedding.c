/* embedding.c: see embedding.h. */
#include "nn/layers/embedding.h"
#include "autograd/compose.h"
#include "nn/layers/layer.h"

tp_status tp_nn_embedding_init(tp_nn_embedding *e, tp_params *ps, const char *name, int64_t count,
                               int64_t dim)
{
    if (count < 1 || dim < 1)
        return tp_fail(TP_ESHAPE,
                       "embedding '%.120s' of %lld rows of %lld: at least 1 of each needed", name,
                       (long long)count, (long long)dim);
    TP_TRY(tp_layer_parameter(ps, &e->weight, name, "weight", TP_SHAPE(count, dim)));
    return tp_init_normal(ps, &e->weight, 1);
}

tp_var tp_nn_embedding_apply(const tp_nn_embedding *e, tp_ctx *c, tp_var index)
{
    return tp_embedding(tp_params_var(c, &e->weight), index);
}
