/* noise.c: references of the sources: a Philox of its own, and the mapping that tensor/rng.h documents.
 * Read next: differences.c. */
#include "tests/ops/quad/quad.h"

#include <stdlib.h>
#include <string.h>

/* Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011): word i of the draw that key names. */
static uint32_t word(tp_rng_key key, int64_t i)
{
    uint32_t c[4] = {(uint32_t)(i / 4), key.draw, (uint32_t)key.step, (uint32_t)(key.step >> 32)};
    uint32_t k[2] = {(uint32_t)key.seed, (uint32_t)(key.seed >> 32)};
    for (int round = 0; round < 10; round++) {
        uint64_t p = (uint64_t)c[0] * 0xD2511F53u, q = (uint64_t)c[2] * 0xCD9E8D57u;
        uint32_t next[4] = {(uint32_t)(q >> 32) ^ c[1] ^ k[0], (uint32_t)q,
                            (uint32_t)(p >> 32) ^ c[3] ^ k[1], (uint32_t)p};
        memcpy(c, next, sizeof c);
        k[0] += 0x9E3779B9u, k[1] += 0xBB67AE85u;
    }
    return c[i % 4];
}

static quad uniform(tp_rng_key key, int64_t i)
{
    return (word(key, i) + (quad)0.5) / 4294967296;
}

static tp_rng_key key_of(const quad_call *c)
{
    return *(const tp_rng_key *)quad_attr(c, "key");
}

static void full(quad_call *c)
{
    quad_result(c, quad_attr_shape(c, "shape"), 0);
    for (int64_t j = 0; j < c->count; j++)
        c->part[STRAIGHT][j] = quad_attr_real(c, "value");
}

/* f32: the nearest, but never 1. */
static void noise_uniform(quad_call *c)
{
    quad_result(c, quad_attr_shape(c, "shape"), 0);
    for (int64_t j = 0; j < c->count; j++) {
        quad u = uniform(key_of(c), j);
        c->part[STRAIGHT][j] = c->dtype == TP_F32 ? fminq((float)u, (quad)0x1.fffffep-1f) : u;
    }
}

/* Box and Muller: of each pair of words, the first makes the radius and the second the angle. */
static void noise_normal(quad_call *c)
{
    quad_result(c, quad_attr_shape(c, "shape"), 0);
    for (int64_t j = 0; j < c->count; j++) {
        quad radius = sqrtq(-2 * logq(uniform(key_of(c), j & ~(int64_t)1)));
        quad angle = 2 * QUAD_PI * uniform(key_of(c), j | 1);
        c->part[STRAIGHT][j] = radius * (j & 1 ? sinq(angle) : cosq(angle));
    }
}

static void noise_bernoulli(quad_call *c)
{
    quad_result(c, c->x[0].shape, 0);
    for (int64_t j = 0; j < c->count; j++)
        c->part[STRAIGHT][j] = uniform(key_of(c), j) < c->x[0].at[j];
}

const quad_op quad_noise_ops[] = {
    {.name = "full", .forward = full},
    {.name = "noise_uniform", .forward = noise_uniform},
    {.name = "noise_normal", .forward = noise_normal},
    {.name = "noise_bernoulli", .forward = noise_bernoulli},
    {0},
};
