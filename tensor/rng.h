/* rng.h: random numbers as a pure function of a key and an element's index.
 *
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011). There is
 * no state to save, and the number of threads cannot matter: replaying a key replays the draw.
 * Element i of a tensor, counted row-major, takes word i%4 of the block with counter
 * {i/4, draw, step low, step high} under the key {seed low, seed high}.
 * Read next: autograd/ops/noise_normal.c.
 */
#ifndef TP_TENSOR_RNG_H
#define TP_TENSOR_RNG_H

#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Names one draw: seed of the run, number of the step, number of the draw within the step. */
typedef struct tp_rng_key {
    uint64_t seed, step;
    uint32_t draw;
} tp_rng_key;

/* The bare generator: four words out of a counter and a key. */
void tp_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Fill y (f32 or f64, any strides, at most 2^34 elements). The f32 value is the f64 value rounded.
 * uniform: (word + 1/2) / 2^32, never 0 or 1 (an f32 that would round to 1 becomes the largest below).
 * normal: Box–Muller on the words 0,1 and 2,3 of a block; |z| < 6.8. Within 4 ulp of the true value, of which
 *   the last bits depend on the ISA level.
 * bernoulli: 1 where uniform < p, else 0; p broadcasts to y, TP_EVALUE unless 0 <= p <= 1 everywhere. */
tp_status tp_random_uniform(tp_tensor *y, tp_rng_key key);
tp_status tp_random_normal(tp_tensor *y, tp_rng_key key);
tp_status tp_random_bernoulli(tp_tensor *y, const tp_tensor *p, tp_rng_key key);

/* A permutation of 0 … n-1 into out (Fisher–Yates with unbiased draws); depends on the key only. */
void tp_random_permutation(int64_t *out, int64_t n, tp_rng_key key);
/* Independent ones, one behind the other: out is [lines, n], at most 2^33 elements. All lines are dealt
 * from one stream, the words of this draw, each word used once: a key derived per line would be the key
 * of some other draw. The first line is tp_random_permutation. */
void tp_random_permutations(int64_t *out, int64_t lines, int64_t n, tp_rng_key key);

#ifdef __cplusplus
}
#endif
#endif
