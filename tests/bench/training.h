/* training.h: vae or conv_vae in training on made-up digits, through the public API as examples/06_vae.c does it.
 *
 * Rows that train share it; so do the child processes. Read next: training.c, handwritten.h. */
#ifndef TP_BENCH_TRAINING_H
#define TP_BENCH_TRAINING_H

#include "models/vae.h"

enum { DIGITS = 60000, PIXELS = 784, LATENT = 20, BENCH_SEED = 1 };

typedef struct training {
    tp_model model;
    tp_batches batches;
    tp_optimizer adam;
    tp_tape *tape;
    tp_trainer trainer;
    tp_stats stats; /* of the last window */
    uint64_t epoch;
    int64_t window; /* batches of one call of training_run */
} training;

/* 60000 made-up images of 784 bytes, 19 % of them not 0 as in MNIST; made at the first call. */
const tp_dataset *training_digits(void);

/* A model PIXELS-hidden-20, its convolutions not counted, f32, and Adam; ends the program if they cannot be made. */
void training_model_init(tp_model *m, tp_optimizer *adam, const tp_model_type *type,
                         int64_t hidden);
training *training_new(const tp_model_type *type, const tp_dataset *data, int64_t hidden,
                       int64_t batch, int64_t window);
/* Trains for a window of batches, or an epoch if that is shorter; state is a training. */
void training_run(void *state);
void training_free(training *t);

/* Floating point operations of the matrix products and convolutions of one sample trained: forward, both backward
 * products, without the gradient of the data. A convolution has one multiply-add per element of the kernel at each
 * position, whether or not it lies on the picture. */
double training_flops(const tp_model_type *type, int64_t hidden);

#endif
