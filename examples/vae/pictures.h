/* pictures.h: pictures of what a model does, as PNG grids. Read next: pictures.c. */
#ifndef VAE_PICTURES_H
#define VAE_PICTURES_H

#include "run.h"

/* Means of p(x|z) of `count` draws from the prior; of a model with labels a column for each class. 0: 64, or whole
 * rows. TP_EARG unless tp_model_has_samples. */
tp_status picture_samples(run *r, const char *path, int64_t count, uint64_t seed);
/* Ten images spread over the test images (training images if there are none) above their reconstructions from the
 * code, mostly the mean of q(z|x). TP_EARG unless the model has a code and a decoder. */
bool picture_has_reconstructions(const run *r);
tp_status picture_reconstructions(run *r, const char *path);
/* Decoder means over a 2-D latent space: equal steps of probability under N(0,1), z0 growing to the right and z1
 * upwards (Kingma and Welling 2014, figure 4). TP_EARG unless the model decodes a picture from two real numbers and
 * nothing else, which *has says. */
tp_status picture_has_manifold(run *r, bool *has);
tp_status picture_manifold(run *r, const char *path);

#endif
