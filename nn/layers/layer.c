/* layer.c: see layer.h. */
#include "nn/layers/layer.h"
#include "autograd/compose/refuse.h"

#include <stdio.h>
#include <string.h>

enum { LAYER_NAME = 120, PART_NAME = 24 };

/* "<layer>.<part>" */
static tp_status join(char full[LAYER_NAME + PART_NAME], const char *layer, const char *part)
{
    if (strlen(layer) > LAYER_NAME)
        return tp_fail(TP_EARG, "the layer name '%.40s…' is longer than %d bytes", layer,
                       LAYER_NAME);
    snprintf(full, LAYER_NAME + PART_NAME, "%s.%s", layer, part);
    return TP_OK;
}

tp_status tp_layer_parameter(tp_params *ps, tp_parameter *p, const char *layer, const char *part,
                             tp_shape shape)
{
    char full[LAYER_NAME + PART_NAME];
    TP_TRY(join(full, layer, part));
    return tp_params_add(ps, p, full, shape);
}

tp_status tp_layer_buffer(tp_params *ps, tp_buffer *b, const char *layer, const char *part,
                          tp_dtype dtype, tp_shape shape)
{
    char full[LAYER_NAME + PART_NAME];
    TP_TRY(join(full, layer, part));
    return tp_params_add_buffer(ps, b, full, dtype, shape);
}

tp_var tp_layer_refuse(const char *kind, const tp_parameter *weight, tp_var x, tp_status status)
{
    char who[LAYER_NAME + 2 * PART_NAME];
    int length = weight->name != NULL ? (int)strlen(weight->name) - (int)strlen(".weight") : 0;
    snprintf(who, sizeof who, "%s '%.*s'", kind, length, weight->name != NULL ? weight->name : "");
    return tp_refuse(who, x, status);
}
