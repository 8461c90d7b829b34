/* pictures.h: pictures of what a model does, as PNG grids. Read next: pictures.c. */
#ifndef VAE_PICTURES_H
#define VAE_PICTURES_H

#include "run.h"

/* Decoder means of `count` draws from the prior. */
tp_status picture_samples(run *r, const char *path, int64_t count, uint64_t seed);
/* Ten images spread over the test images (training images if there are none) above their
 * reconstructions from the mean of q(z|x). */
tp_status picture_reconstructions(run *r, const char *path);
/* Decoder means over a 2-D latent space: equal steps of probability under the prior, z0 growing to the
 * right and z1 upwards (Kingma and Welling 2014, figure 4). TP_EARG unless it has two dimensions. */
tp_status picture_manifold(run *r, const char *path);

#endif
