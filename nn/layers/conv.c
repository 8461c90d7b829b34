/* conv.c: see conv.h. The two layers differ in the op, and in which axis of the weight is whose. */
#include "nn/layers/conv.h"
#include "autograd/compose.h"
#include "nn/layers/layer.h"

#include <math.h>

static const char convolution[] = "convolution", transposed[] = "transposed convolution";

/* --- making ------------------------------------------------------------------------------------- */

static tp_status check_opts(const char *kind, int64_t in, int64_t out, tp_conv_opts *o)
{
    TP_TRY(tp_conv_opts_check(o));
    if (in % o->groups != 0 || out % o->groups != 0)
        return tp_fail(
            TP_EARG, "%lld input and %lld output channels in %lld groups: multiples of %lld needed",
            (long long)in, (long long)out, (long long)o->groups, (long long)o->groups);
    for (int i = 0; i < 2; i++) {
        long long more[] = {o->output_padding[0], o->output_padding[1]};
        if (kind == convolution && more[i] != 0)
            return tp_fail(TP_EARG, "output_padding %lld,%lld: only the transposed one has any",
                           more[0], more[1]);
        if (more[i] >= o->stride[i])
            return tp_fail(TP_EARG,
                           "output_padding %lld,%lld: less than the stride %lld,%lld needed",
                           more[0], more[1], (long long)o->stride[0], (long long)o->stride[1]);
    }
    return TP_OK;
}

static tp_status check_layer(const char *kind, const char *name, int64_t in, int64_t out,
                             int64_t kh, int64_t kw, tp_conv_opts *o)
{
    if (in < 1 || out < 1 || kh < 1 || kw < 1)
        return tp_fail(TP_ESHAPE,
                       "%s '%.120s' from %lld to %lld channels with a kernel of %lld by %lld: at "
                       "least 1 of each needed",
                       kind, name, (long long)in, (long long)out, (long long)kh, (long long)kw);
    tp_status s = check_opts(kind, in, out, o);
    if (s != TP_OK)
        tp_fail_prefix("%s '%.120s': ", kind, name);
    return s;
}

/* Registers and draws both; PyTorch's fan is that of the weight's axes behind the first, for both layers. */
static tp_status add_weights(tp_params *ps, const char *name, tp_parameter *weight,
                             tp_parameter *bias, tp_shape shape, int64_t out)
{
    double fan = (double)shape.dim[1] * (double)shape.dim[2] * (double)shape.dim[3];
    TP_TRY(tp_layer_parameter(ps, weight, name, "weight", shape));
    TP_TRY(tp_layer_parameter(ps, bias, name, "bias", TP_SHAPE(out)));
    return tp_init_layer(ps, weight, bias, fan);
}

tp_status tp_nn_conv2d_init(tp_nn_conv2d *l, tp_params *ps, const char *name, int64_t in,
                            int64_t out, int64_t kh, int64_t kw, tp_conv_opts opts)
{
    TP_TRY(check_layer(convolution, name, in, out, kh, kw, &opts));
    l->opts = opts;
    return add_weights(ps, name, &l->weight, &l->bias, TP_SHAPE(out, in / opts.groups, kh, kw),
                       out);
}

tp_status tp_nn_conv_transpose2d_init(tp_nn_conv_transpose2d *l, tp_params *ps, const char *name,
                                      int64_t in, int64_t out, int64_t kh, int64_t kw,
                                      tp_conv_opts opts)
{
    TP_TRY(check_layer(transposed, name, in, out, kh, kw, &opts));
    l->opts = opts;
    return add_weights(ps, name, &l->weight, &l->bias, TP_SHAPE(in, out / opts.groups, kh, kw),
                       out);
}

/* --- applying ----------------------------------------------------------------------------------- */

enum { IMAGE = 3 }; /* axes of one */

/* x [.., in, h, w] -> [n, in, h, w]; refuses what has no such shape. */
static tp_var images_of(const char *kind, const tp_parameter *weight, int64_t in, tp_var x)
{
    char text[TP_SHAPE_TEXT];
    tp_shape s = tp_shape_of(x), four = TP_SHAPE(1, 0, 0, 0);
    int lead = s.ndim - IMAGE;
    if (lead < 0 || s.dim[lead] != in)
        return tp_layer_refuse(kind, weight, x,
                               tp_fail(TP_ESHAPE, "x has shape %s, expected [..,%lld,h,w]",
                                       tp_shape_text(s, text), (long long)in));
    for (int i = 0; i < lead; i++)
        four.dim[0] *= s.dim[i];
    for (int i = 0; i < IMAGE; i++)
        four.dim[1 + i] = s.dim[lead + i];
    return lead == 1 ? x : tp_reshape(x, four);
}

/* y [n, out, oh, ow] of a convolution, with its bias and activation, and the axes that x has in front. */
static tp_var finish(tp_var y, tp_var bias, tp_activation a, tp_shape x)
{
    tp_shape full = x, s = tp_shape_of(y), beside = TP_SHAPE(s.dim[1], 1, 1);
    int lead = x.ndim - IMAGE;
    if (tp_var_status(y) != TP_OK)
        return y;
    y = tp_activate(a, tp_add(y, tp_reshape(bias, beside)));
    for (int i = 0; i < IMAGE; i++)
        full.dim[lead + i] = s.dim[1 + i];
    return lead == 1 ? y : tp_reshape(y, full);
}

tp_var tp_nn_conv2d_activate(const tp_nn_conv2d *l, tp_ctx *c, tp_var x, tp_activation a)
{
    tp_var weight = tp_params_var(c, &l->weight), bias = tp_params_var(c, &l->bias);
    if (tp_var_status(x) != TP_OK || tp_var_status(weight) != TP_OK)
        return tp_conv2d(x, weight, l->opts); /* which says why */
    int64_t in = l->weight.value.shape.dim[1] * l->opts.groups;
    tp_var images = images_of(convolution, &l->weight, in, x);
    return finish(tp_conv2d(images, weight, l->opts), bias, a, tp_shape_of(x));
}

tp_var tp_nn_conv2d_apply(const tp_nn_conv2d *l, tp_ctx *c, tp_var x)
{
    return tp_nn_conv2d_activate(l, c, x, TP_IDENTITY);
}

tp_var tp_nn_conv_transpose2d_activate(const tp_nn_conv_transpose2d *l, tp_ctx *c, tp_var x,
                                       tp_activation a)
{
    tp_var weight = tp_params_var(c, &l->weight), bias = tp_params_var(c, &l->bias);
    if (tp_var_status(x) != TP_OK || tp_var_status(weight) != TP_OK)
        return tp_conv_transpose2d(x, weight, l->opts); /* which says why */
    int64_t in = l->weight.value.shape.dim[0];
    tp_var images = images_of(transposed, &l->weight, in, x);
    return finish(tp_conv_transpose2d(images, weight, l->opts), bias, a, tp_shape_of(x));
}

tp_var tp_nn_conv_transpose2d_apply(const tp_nn_conv_transpose2d *l, tp_ctx *c, tp_var x)
{
    return tp_nn_conv_transpose2d_activate(l, c, x, TP_IDENTITY);
}
