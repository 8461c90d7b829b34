/* codebook.h: vectors that follow what is assigned to them: the codebook of vector quantisation, learned by counting.
 *
 * Each vector is the running mean of the inputs it was nearest to, an online k-means: no gradient, no parameter, two
 * buffers. Not the objective: that is tp_vq. Read next: models/vq_vae.c.
 */
#ifndef TP_NN_LAYERS_CODEBOOK_H
#define TP_NN_LAYERS_CODEBOOK_H

#include "nn/ctx.h"
#include "nn/params.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero fields mean the defaults. */
typedef struct tp_nn_codebook_opts {
    double decay; /* of the running sums, per step; below 1 (0.99) */
    double eps;   /* added to every count (1e-5) */
} tp_nn_codebook_opts;

typedef struct tp_nn_codebook {
    tp_buffer counts; /* N [codes], inputs per step */
    tp_buffer sums;   /* m [codes, width], their sums */
    tp_nn_codebook_opts opts;
} tp_nn_codebook;

/* Registers the buffers "<name>.counts", 1 each, and "<name>.sums", drawn from N(0, 1/width). TP_ESHAPE unless codes and
 * width are positive; TP_EARG for the name as tp_nn_linear_init, and for options out of range. */
tp_status tp_nn_codebook_init(tp_nn_codebook *b, tp_params *ps, const char *name, int64_t codes,
                              int64_t width, tp_nn_codebook_opts opts);

/* e_i = m_i / N̂_i with N̂_i = (N_i + eps)·ΣN/(ΣN + codes·eps), so that a code which nothing is assigned to does not divide
 * by 0: [codes, width], without gradient. Van den Oord et al. 2017, appendix A.1; N̂ as in their published code. */
tp_var tp_nn_codebook_vectors(const tp_nn_codebook *b, tp_ctx *c);
/* z [.., width] -> i64 [..]: argmin_i |z − e_i|², the first of equals. TP_ESHAPE for another width. */
tp_var tp_nn_codebook_nearest(const tp_nn_codebook *b, tp_ctx *c, tp_var z);
/* index i64 [..] -> e [.., width], without gradient. TP_EVALUE names an index outside. */
tp_var tp_nn_codebook_lookup(const tp_nn_codebook *b, tp_ctx *c, tp_var index);
/* In training, when the step succeeds: N_i = decay·N_i + (1 − decay)·(how many of index are i), m_i likewise with the sum
 * of their z; z [.., width], index [..]. What codes are used afterwards is nobody's before tp_params_commit. */
void tp_nn_codebook_learn(const tp_nn_codebook *b, tp_ctx *c, tp_var z, tp_var index);
/* e^H of the frequencies N̂/ΣN, 0-d: how many codes are in use, from 1 to codes. */
tp_var tp_nn_codebook_perplexity(const tp_nn_codebook *b, tp_ctx *c);

#ifdef __cplusplus
}
#endif
#endif
