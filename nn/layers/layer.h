/* layer.h: what layers have in common: the names of their parts. Private to nn/layers.
 *
 * A layer's name is that of its weight without ".weight". */
#ifndef TP_NN_LAYERS_LAYER_H
#define TP_NN_LAYERS_LAYER_H

#include "nn/ctx.h"
#include "nn/params.h"

/* Registers "<layer>.<part>", zero. TP_EARG if the layer's name has more than 120 bytes; as tp_params_add. */
tp_status tp_layer_parameter(tp_params *ps, tp_parameter *p, const char *layer, const char *part,
                             tp_shape shape);
tp_status tp_layer_buffer(tp_params *ps, tp_buffer *b, const char *layer, const char *part,
                          tp_dtype dtype, tp_shape shape);

/* `return tp_layer_refuse("batch norm", &l->weight, x, tp_fail(…))`: as tp_refuse, under the layer's name. */
tp_var tp_layer_refuse(const char *kind, const tp_parameter *weight, tp_var x, tp_status status);

#endif
