/* masked.c: see masked.h. The mask selects; a product with 0 would let infinities through as NaN. */
#include "nn/layers/masked.h"
#include "autograd/compose.h"
#include "nn/layers/layer.h"
#include "tensor/gather.h"

#include <math.h>

static tp_status check_mask(const char *name, const tp_tensor *mask)
{
    char text[TP_TENSOR_TEXT], place[TP_SHAPE_TEXT];
    if (mask->shape.ndim != 2 || tp_numel(mask) == 0)
        return tp_fail(TP_ESHAPE,
                       "masked linear layer '%.120s': the mask is %s: a matrix [out,in] needed",
                       name, tp_tensor_text(mask, text));
    for (int64_t i = 0; i < tp_numel(mask); i++) {
        double v = tp_flat(mask, i);
        if (v != 0 && v != 1)
            return tp_fail(TP_EVALUE, "masked linear layer '%.120s': mask%s = %g: 0 or 1 needed",
                           name, tp_index_text(mask->shape, i, place), v);
    }
    return TP_OK;
}

tp_status tp_nn_masked_linear_init(tp_nn_masked_linear *l, tp_params *ps, const char *name,
                                   const tp_tensor *mask)
{
    TP_TRY(check_mask(name, mask));
    TP_TRY(tp_layer_parameter(ps, &l->weight, name, "weight", mask->shape));
    TP_TRY(tp_layer_parameter(ps, &l->bias, name, "bias", TP_SHAPE(mask->shape.dim[0])));
    TP_TRY(tp_layer_buffer(ps, &l->mask, name, "mask", ps->dtype, mask->shape));
    TP_TRY(tp_copy(&l->mask.value, mask));
    return tp_init_layer(ps, &l->weight, &l->bias, (double)mask->shape.dim[1]);
}

static tp_var affine(tp_var x, tp_var mask, tp_var weight, tp_var bias)
{
    tp_var none = tp_scalar(weight.tape, tp_dtype_of(weight), 0);
    return tp_linear(x, tp_where(mask, weight, none), bias);
}

tp_var tp_nn_masked_linear_apply(const tp_nn_masked_linear *l, tp_ctx *c, tp_var x)
{
    tp_var mask = tp_constant(c->tape, &l->mask.value);
    tp_var weight = tp_params_var(c, &l->weight), bias = tp_params_var(c, &l->bias);
    return affine(x, mask, weight, bias);
}

tp_var tp_nn_masked_linear_rows(const tp_nn_masked_linear *l, tp_ctx *c, tp_var x, int64_t first,
                                int64_t end)
{
    tp_var mask = tp_slice(tp_constant(c->tape, &l->mask.value), 0, first, end, 1);
    tp_var weight = tp_slice(tp_params_var(c, &l->weight), 0, first, end, 1);
    tp_var bias = tp_slice(tp_params_var(c, &l->bias), 0, first, end, 1);
    return affine(x, mask, weight, bias);
}

tp_status tp_made_mask(tp_tensor *mask, const int64_t *in, const int64_t *out, bool strict)
{
    char text[TP_TENSOR_TEXT];
    if (mask->shape.ndim != 2)
        return tp_fail(TP_ESHAPE, "tp_made_mask: the mask is %s: a matrix [outs,ins] needed",
                       tp_tensor_text(mask, text));
    int64_t ins = mask->shape.dim[1];
    for (int64_t k = 0; k < tp_numel(mask); k++) {
        int64_t from = in[k % ins], to = out[k / ins];
        TP_TRY(tp_set_flat(mask, k, from < to || (from == to && !strict)));
    }
    return TP_OK;
}
