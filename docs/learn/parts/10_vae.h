/* 10_vae.h: the 3-4-2-4-3 VAE of chapters 10 and 11, with weights that a pencil can follow.
 *
 * Here is the network as tapir records it. The same by hand is 10_hand.h. */
#ifndef DOCS_LEARN_PARTS_10_VAE_H
#define DOCS_LEARN_PARTS_10_VAE_H

#include "docs/learn/learn.h"
#include "docs/learn/parts/10_hand.h"

typedef struct tiny_vae {
    tp_params params;
    tp_nn_linear enc, mu, logvar, dec, out;
    tp_tape *tape;
    tp_tensor x, eps; /* [batch, 3], [batch, 2] */
} tiny_vae;

/* What one forward pass leaves on the tape. */
typedef struct tiny_graph {
    tp_var h, mu, logvar, z, kld, sum_bce, sum_kld, loss;
} tiny_graph;

/* What derivations call these and the parameters: as chapter 10 does. */
extern const tp_symbol tiny_symbols[];

/* A model with these weights and a batch of n examples with their noise. */
tp_status tiny_vae_init(tiny_vae *m, const tiny_weights *w, int n, const double *x,
                        const double *eps);
/* The one of chapter 10, with its example. */
tp_status tiny_vae_start(tiny_vae *m);
void tiny_vae_free(tiny_vae *m);
/* Records the loss on the model's tape, which it resets before. */
tiny_graph tiny_vae_loss(tiny_vae *m, double beta);
/* What the parameters, and their gradients, are now: 63 numbers. */
void tiny_vae_values(const tiny_vae *m, double values[TINY_COUNT]);
void tiny_vae_gradients(const tiny_vae *m, double gradients[TINY_COUNT]);

#endif
