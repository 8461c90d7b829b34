/* conv_nets.h: the convolutions of models of pictures: from a picture to its features, and back again.
 *
 * Each layer has a kernel of 4 by 4, stride 2 and padding 1, which halves height and width, ⌊h/2⌋; its mirror image
 * doubles them, plus one where one was lost, so that pictures of any size from 4 by 4 on come back as large as they were.
 * What is between the features and z is nets.h. Read next: conv_vae.c.
 */
#ifndef TP_MODELS_CONV_NETS_H
#define TP_MODELS_CONV_NETS_H

#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TP_CONV_LAYERS = 2, TP_CONV_LEAST = 4 /* rows and columns of a picture */ };

/* Of the picture, then behind each layer. */
typedef struct tp_conv_sizes {
    int64_t channels[TP_CONV_LAYERS + 1], height[TP_CONV_LAYERS + 1], width[TP_CONV_LAYERS + 1];
} tp_conv_sizes;

/* From the picture that the configuration says and the channels of the layers. TP_EARG as tp_model_picture, and for a
 * picture that is too small; TP_ESHAPE for one that is too large. */
tp_status tp_conv_sizes_of(tp_conv_sizes *s, const tp_model_config *config,
                           const int64_t channels[TP_CONV_LAYERS]);
/* Numbers behind the last layer. */
int64_t tp_conv_features(const tp_conv_sizes *s);

typedef struct tp_conv_down {
    int layers; /* 0: gives x back */
    tp_nn_conv2d layer[TP_CONV_LAYERS];
    tp_conv_sizes sizes;
    tp_activation activation; /* after every layer */
} tp_conv_down;

/* Registers "<name>.0.weight", "<name>.0.bias", "<name>.2.weight", …: as torch.nn.Sequential with activations between. */
tp_status tp_conv_down_init(tp_conv_down *d, tp_params *ps, const char *name,
                            const tp_conv_sizes *sizes, tp_activation activation);
/* x [.., data_dim] -> [.., features]. TP_ESHAPE for another x. */
tp_var tp_conv_down_apply(const tp_conv_down *d, tp_ctx *c, tp_var x);

typedef struct tp_conv_up {
    int layers; /* 0: gives its features back */
    tp_nn_conv_transpose2d layer[TP_CONV_LAYERS];
    tp_conv_sizes sizes;
    tp_activation activation; /* after every layer but the last */
    tp_likelihood likelihood;
    int64_t width; /* numbers for one element of the picture */
} tp_conv_up;

/* The mirror image, which makes the numbers of config's likelihood. Registers names as tp_conv_down_init. TP_ESHAPE if
 * they are too many. */
tp_status tp_conv_up_init(tp_conv_up *u, tp_params *ps, const char *name,
                          const tp_conv_sizes *sizes, const tp_model_config *config);
/* Features [.., features] -> [.., data_dim · width], in the order of tp_likelihood_dist. */
tp_var tp_conv_up_apply(const tp_conv_up *u, tp_ctx *c, tp_var features);

#ifdef __cplusplus
}
#endif
#endif
