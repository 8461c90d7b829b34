/* conv.h: layers that look at images [.., channels, height, width] through small kernels: the convolution, and the
 * transposed one, which makes large images of small ones.
 *
 * Not the ops: those are tp_conv2d and tp_conv_transpose2d, for [n, c, h, w]. Pooling and upsampling are ops without
 * parameters: what has none needs no layer. Read next: models/conv_nets.h.
 */
#ifndef TP_NN_LAYERS_CONV_H
#define TP_NN_LAYERS_CONV_H

#include "nn/layers/mlp.h"
#include "tensor/conv.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_nn_conv2d {
    tp_parameter weight; /* [out, in/groups, kh, kw] */
    tp_parameter bias;   /* [out] */
    tp_conv_opts opts;   /* with the defaults filled in */
} tp_nn_conv2d;

/* Registers "<name>.weight" and "<name>.bias", both drawn from U(±1/√fan) with fan = in/groups·kh·kw:
 * torch.nn.Conv2d's default, He et al. 2015 with a = √5. TP_ESHAPE unless in, out, kh and kw are positive; TP_EARG for
 * options that are out of range, groups that do not divide in and out, an output_padding, or the name as
 * tp_nn_linear_init. */
tp_status tp_nn_conv2d_init(tp_nn_conv2d *l, tp_params *ps, const char *name, int64_t in,
                            int64_t out, int64_t kh, int64_t kw, tp_conv_opts opts);
/* x [.., in, h, w] -> [.., out, oh, ow], as tp_conv2d, with the bias of a channel at every position. TP_ESHAPE for another
 * number of channels, more than 5 axes in front of them, or an image that the kernel does not fit into. */
tp_var tp_nn_conv2d_apply(const tp_nn_conv2d *l, tp_ctx *c, tp_var x);
/* The same, and the activation of it. */
tp_var tp_nn_conv2d_activate(const tp_nn_conv2d *l, tp_ctx *c, tp_var x, tp_activation a);

typedef struct tp_nn_conv_transpose2d {
    tp_parameter weight; /* [in, out/groups, kh, kw] */
    tp_parameter bias;   /* [out] */
    tp_conv_opts opts;   /* with the defaults filled in */
} tp_nn_conv_transpose2d;

/* As tp_nn_conv2d_init, but fan = out/groups·kh·kw: torch.nn.ConvTranspose2d takes the second axis of its weight for that
 * of the inputs. With an output_padding, which is less than the stride: TP_EARG. */
tp_status tp_nn_conv_transpose2d_init(tp_nn_conv_transpose2d *l, tp_params *ps, const char *name,
                                      int64_t in, int64_t out, int64_t kh, int64_t kw,
                                      tp_conv_opts opts);
/* x [.., in, h, w] -> [.., out, oh, ow], as tp_conv_transpose2d; else as tp_nn_conv2d_apply. */
tp_var tp_nn_conv_transpose2d_apply(const tp_nn_conv_transpose2d *l, tp_ctx *c, tp_var x);
tp_var tp_nn_conv_transpose2d_activate(const tp_nn_conv_transpose2d *l, tp_ctx *c, tp_var x,
                                       tp_activation a);

#ifdef __cplusplus
}
#endif
#endif
