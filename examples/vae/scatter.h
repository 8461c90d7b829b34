/* scatter.h: the codes of images as points in a plane. Read next: scatter.c. */
#ifndef VAE_SCATTER_H
#define VAE_SCATTER_H

#include "measure.h"

/* One <svg>: codes of at most o.count images, spread over picture_images, in two latent dimensions: o.dims, or those with
 * most KL; each label has its colour and shape. TP_EARG unless codes are vectors of at least two real numbers. l as
 * picture_measure has it. */
tp_status scatter_draw(run *r, const latents *l, json *out);
bool scatter_has(const run *r, const latents *l);

#endif
