/* handwritten.h: a training step of the VAE without a tape: what the tape is measured against.
 *
 * The same kernels, called one by one on tensors that are there from the start, with the gradients worked
 * out by hand. It does less where that is easy by hand: no check of what the data and the KL hold, a product
 * that adds to a gradient, masks in place. Read next: handwritten.c. */
#ifndef TP_BENCH_HANDWRITTEN_H
#define TP_BENCH_HANDWRITTEN_H

#include "tests/bench/handwritten_conv.h"
#include "tests/bench/training.h"

typedef struct handwritten {
    tp_model model; /* for its parameters alone: vae or conv_vae */
    tp_batches batches;
    tp_optimizer adam;
    uint64_t epoch, step;
    int64_t window;
    double loss;                     /* of the last step */
    tp_tensor h, mu, logvar, eps, z; /* [batch, hidden], [batch, nz]: after the activation */
    tp_tensor d, logits, bce, kl;    /* [batch, hidden], [batch, nx], [batch, nx], [batch, nz] */
    tp_tensor gh, gmu, glogvar, gz, gd, glogits, gkl; /* gradients of the same shapes */
    tp_tensor per_example, sum;                       /* [batch], [] */
    tp_tensor each;                                   /* [1]: 1/batch, the gradient of a mean */
    handwritten_conv conv;                            /* of conv_vae */
} handwritten;

/* The model, data and noise that training_new of the same arguments starts from. */
handwritten *handwritten_new(const tp_model_type *type, const tp_dataset *data, int64_t hidden,
                             int64_t batch, int64_t window);
/* Trains for a window of full batches; state is a handwritten. */
void handwritten_run(void *state);
void handwritten_free(handwritten *w);

#endif
