/* walk.h: ways through a latent space: codes to decode one after the other.
 *
 * Vectors of numbers in, vectors of numbers out: which model they belong to does not matter, as long as its codes are real
 * numbers. tp_model_decode makes pictures of them. Read next: walk.c, uses.h.
 */
#ifndef TP_MODELS_WALK_H
#define TP_MODELS_WALK_H

#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A latent dimension and the numbers that it goes from and to. */
typedef struct tp_walk {
    int64_t dim;
    double from, to;
} tp_walk;

/* Traversals (Higgins et al. 2017, figure 4): z [dims] f32 or f64; row i·steps + j of the new codes [n·steps, dims] is z with
 * number walk[i].dim replaced by the j-th of `steps` equally spaced ones from walk[i].from to walk[i].to, both included; a
 * single step is in the middle. TP_ESHAPE, TP_EDTYPE; TP_EARG unless there are walks and steps and each dim is one of z. */
tp_status tp_traverse(tp_tensor *codes, const tp_tensor *z, const tp_walk *walk, int64_t n,
                      int64_t steps);

typedef enum tp_path {
    TP_STRAIGHT, /* (1 − t)·a + t·b */
    /* (sin((1 − t)ω)·a + sin(tω)·b) / sin ω, ω the angle between a and b (White 2016): between two draws from N(0,1) in many
     * dimensions it keeps the length that draws have. STRAIGHT where there is no such angle. */
    TP_SPHERICAL
} tp_path;

/* Interpolations: a and b [n, dims] f32 or f64; row i·steps + j of the new codes [n·steps, dims] lies between a_i (j = 0)
 * and b_i (j = steps − 1) at t = j/(steps − 1). TP_ESHAPE, TP_EDTYPE; TP_EARG unless steps > 1. */
tp_status tp_interpolate(tp_tensor *codes, const tp_tensor *a, const tp_tensor *b, int64_t steps,
                         tp_path path);

#ifdef __cplusplus
}
#endif
#endif
