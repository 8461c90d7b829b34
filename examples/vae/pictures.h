/* pictures.h: pictures of what a model does, as PNG grids: in a file, or within a page. Read next: pictures.c, walks.c.
 */
#ifndef VAE_PICTURES_H
#define VAE_PICTURES_H

#include "measure.h"

/* Images of the run's size in rows of so many, and a line that says what the rows are, or nothing. */
enum { PICTURE_TEXT = 1024 };
typedef struct picture {
    tp_tensor x; /* [n, width] */
    int columns; /* 0: as square as possible */
    char text[PICTURE_TEXT];
} picture;

/* What fills one, whose x then is the caller's. The options of the run say how much is to be seen; l is what
 * picture_measure has found, and NULL for those that do not ask for it. */
typedef tp_status picture_maker(run *r, const latents *l, picture *p);

/* --- models that decode (pictures.c) ------------------------------------------------------------- */

/* Means of p(x|z) of o.count draws from the prior; of a model with labels a column for each class. 0: 64, or whole
 * rows. TP_EARG unless tp_model_has_samples. */
picture_maker picture_samples;
/* Ten images spread over the test images (training images if there are none) above their reconstructions from the
 * code, mostly the mean of q(z|x); below them o.draws rows from draws z ~ q(z|x). TP_EARG unless the model has a code and a
 * decoder, and for draws a posterior. */
picture_maker picture_reconstructions;
bool picture_has_reconstructions(const run *r);
/* Decoder means over a 2-D latent space: equal steps of probability under N(0,1), z0 growing to the right and z1
 * upwards (Kingma and Welling 2014, figure 4). TP_EARG unless the model decodes a picture from two real numbers and
 * nothing else, which *has says. */
picture_maker picture_manifold;
tp_status picture_has_manifold(run *r, bool *has);

/* --- codes of real numbers (walks.c); both want l --------------------------------------------------- */

/* Whether there are such codes, and a decoder for them. TP_EARG of picture_traversals and picture_interpolations without. */
bool picture_has_walks(const run *r);
/* A row for each latent dimension, from −3 to 3 of its prior N(0,1), the others held: o.dims, or the active ones, those
 * with most KL first. Held at the code of image o.image, or at the prior's mean. A model with another prior, or none, has the
 * mean of all codes and three of their standard deviations instead. */
picture_maker picture_traversals;
/* A row for each of o.count pairs of images: the first one, o.steps pictures from its code to the other's, the other. */
picture_maker picture_interpolations;

/* The latent dimensions, those with most KL first; without a KL for each, those whose codes vary most. order has l->dims
 * numbers. */
void picture_rank(const latents *l, int64_t *order);
/* "z3 (KL 2.41 nats)" */
void picture_dim_text(const latents *l, int64_t dim, char *text, size_t bytes);

/* --- on their way (pictures.c) ------------------------------------------------------------------------ */

/* The images that are shown: test images if there are any, else training images. */
const tp_dataset *picture_images(const run *r);
/* What traversals want to know of the codes of these. */
tp_status picture_measure(run *r, latents *l);
/* Examples by their numbers: x [n, width] is filled, index and labels (empty without labels) are made. */
tp_status picture_gather(const run *r, const int64_t *row, tp_tensor *x, tp_tensor *index,
                         tp_tensor *labels);
/* A context without gradients for what is drawn; picture_end after it. */
tp_ctx picture_begin(run *r, uint64_t seed);
tp_status picture_end(run *r, tp_var result);
/* Pictures in a row of a square grid: `most`, or as many as a PNG has room for. */
int picture_fitting(const run *r, int most);

/* text: room for the picture's line, or NULL. */
tp_status picture_save(run *r, const latents *l, picture_maker *make, const char *path,
                       char text[PICTURE_TEXT]);
/* As <img> for a page. */
tp_status picture_embed(run *r, const latents *l, picture_maker *make, json *page, const char *what,
                        char text[PICTURE_TEXT]);

#endif
