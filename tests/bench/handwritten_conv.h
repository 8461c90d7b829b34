/* handwritten_conv.h: the convolutions of conv_vae by hand: what stands in front of the hidden layers of
 * handwritten.c, and behind them. Read next: handwritten_conv.c. */
#ifndef TP_BENCH_HANDWRITTEN_CONV_H
#define TP_BENCH_HANDWRITTEN_CONV_H

#include "models/vae.h"
#include "tensor/mem.h"

typedef struct handwritten_conv {
    tp_tensor down[TP_CONV_LAYERS]; /* [batch,32,14,14], [batch,64,7,7]: after the activation */
    tp_tensor up
        [TP_CONV_LAYERS]; /* what goes into the layers upwards: [batch,64,7,7], [batch,32,14,14] */
    tp_tensor gdown[TP_CONV_LAYERS], gup[TP_CONV_LAYERS]; /* gradients of the same shapes */
    tp_tensor features, gfeatures;                        /* views [batch,3136] of down[1] */
    tp_tensor up_features, gup_features;                  /* and of up[0] */
    tp_arena scratch;
} handwritten_conv;

void handwritten_conv_init(handwritten_conv *w, const tp_vae *m, int64_t batch);
void handwritten_conv_free(handwritten_conv *w);

/* x [batch,784] -> features | up_features -> logits [batch,784] */
void handwritten_conv_down(handwritten_conv *w, const tp_vae *m, const tp_tensor *x);
void handwritten_conv_up(handwritten_conv *w, const tp_vae *m, tp_tensor *logits);
/* gfeatures -> the weights of the layers down | glogits -> those of the layers up, and gup_features. Gradients of features
 * are those after the activation; the layer that made up_features masks for itself. */
void handwritten_conv_down_backward(handwritten_conv *w, tp_vae *m, const tp_tensor *x);
void handwritten_conv_up_backward(handwritten_conv *w, tp_vae *m, const tp_tensor *glogits);

#endif
