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

/* In f32 the nearest, but never 1. */
static quad uniform_as_drawn(const quad_call *c, int64_t i)
{
    quad u = uniform(key_of(c), i);
    return c->dtype == TP_F32 ? fminq((float)u, (quad)0x1.fffffep-1f) : u;
}

static void noise_uniform(quad_call *c)
{
    quad_result(c, quad_attr_shape(c, "shape"), 0);
    for (int64_t j = 0; j < c->count; j++)
        c->part[STRAIGHT][j] = uniform_as_drawn(c, j);
}

/* −log(−log(1 − u)); the inner logarithm is rounded, which moves the outer one by ε however small it is. */
static void noise_gumbel(quad_call *c)
{
    quad_result(c, quad_attr_shape(c, "shape"), 0);
    for (int64_t j = 0; j < c->count; j++) {
        c->part[STRAIGHT][j] = -logq(-log1pq(-uniform_as_drawn(c, j)));
        c->size[j] = fabsq(c->part[STRAIGHT][j]) + 1;
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

/* Fisher and Yates, from the end; a position is 64 bits, a pair of words, modulo how many there are. Pairs beyond
 * the last multiple of that are passed over. All lines along the axis share the stream. */
static void noise_permutation(quad_call *c)
{
    tp_shape s = quad_attr_shape(c, "shape");
    int axis = quad_axis(s.ndim, (int)quad_attr_int(c, "axis")), last = s.ndim - 1;
    int64_t n = s.dim[axis], next = 0;
    quad_result(c, s, 0);
    for (int64_t line = 0; n > 0 && line < c->count / n; line++) {
        int64_t *order = quad_alloc(n, sizeof *order), index[TP_MAX_DIMS];
        for (int64_t i = 0; i < n; i++)
            order[i] = i;
        for (int64_t i = n - 1; i > 0;) {
            uint64_t high = word(key_of(c), next), low = word(key_of(c), next + 1);
            __extension__ unsigned __int128 draw = high << 32 | low, all = (uint64_t)-1, m = i + 1;
            next += 2;
            if (draw >= (all + 1) / m * m)
                continue;
            int64_t other = (int64_t)(draw % m), held = order[i];
            order[i--] = order[other];
            order[other] = held;
        }
        /* lines are counted with axis and the last axis exchanged */
        tp_shape exchanged = s;
        exchanged.dim[axis] = s.dim[last], exchanged.dim[last] = n;
        for (int64_t i = 0; i < n; i++) {
            quad_index(exchanged, line * n + i, index);
            int64_t held = index[axis];
            index[axis] = index[last], index[last] = held;
            c->part[STRAIGHT][quad_flat(s, index)] = order[i];
        }
        free(order);
    }
}

const quad_op quad_noise_ops[] = {
    {.name = "full", .forward = full},
    {.name = "noise_uniform", .forward = noise_uniform},
    {.name = "noise_gumbel", .forward = noise_gumbel},
    {.name = "noise_normal", .forward = noise_normal},
    {.name = "noise_permutation", .forward = noise_permutation},
    {.name = "noise_bernoulli", .forward = noise_bernoulli},
    {0},
};
