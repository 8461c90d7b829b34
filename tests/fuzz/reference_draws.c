/* reference_draws.c: the naive reference of operations without inputs, and of random draws: the generator from its
 * paper, written once more. See reference.c. */
#include "tests/fuzz/reference.h"

#include <math.h>
#include <stdlib.h>

/* --- sources ------------------------------------------------------------------------------------ */

/* Philox4x32-10 as in the paper: word i % 4 of block i / 4. */
static uint32_t philox(tp_rng_key key, int64_t i)
{
    uint32_t c[4] = {(uint32_t)(i / 4), key.draw, (uint32_t)key.step, (uint32_t)(key.step >> 32)};
    uint32_t k[2] = {(uint32_t)key.seed, (uint32_t)(key.seed >> 32)};
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53 * c[0], b = (uint64_t)0xCD9E8D57 * c[2];
        c[0] = (uint32_t)(b >> 32) ^ c[1] ^ k[0];
        c[1] = (uint32_t)b;
        c[2] = (uint32_t)(a >> 32) ^ c[3] ^ k[1];
        c[3] = (uint32_t)a;
        k[0] += 0x9E3779B9;
        k[1] += 0xBB67AE85;
    }
    return c[i % 4];
}

static real uniform(tp_rng_key key, int64_t i)
{
    return ((real)philox(key, i) + 0.5L) / 0x1p32L;
}

static tp_status draw_shape(ref_call *c)
{
    tp_dtype dtype = (tp_dtype)ref_whole(c, "dtype");
    return !tp_dtype_is_float(dtype) ? TP_EDTYPE
                                     : ref_make(c, dtype, *(const tp_shape *)ref_field(c, "shape"));
}

static tp_status full(ref_call *c)
{
    TP_TRY(draw_shape(c));
    REF_EACH(c, i, index)
    c->y->v[i] = ref_round(c->y->dtype, *(const double *)ref_field(c, "value"));
    return TP_OK;
}

/* cos 2πu and sin 2πu from the nearest quarter turn, so that they are right also where they are small */
static real turn(real u, bool sine)
{
    int quarter = (int)floorl(4 * u + 0.5L);
    real rest = 6.283185307179586476925L * (u - (real)quarter / 4);
    real s = sinl(rest), c = cosl(rest);
    const real cosines[] = {c, -s, -c, s}, sines[] = {s, c, -s, -c};
    return sine ? sines[quarter % 4] : cosines[quarter % 4];
}

static tp_status noise_normal(ref_call *c)
{
    TP_TRY(draw_shape(c));
    const tp_rng_key *key = ref_field(c, "key");
    REF_EACH(c, i, index)
    {
        real radius = sqrtl(-2 * logl(uniform(*key, i - i % 2)));
        c->y->v[i] = radius * turn(uniform(*key, i - i % 2 + 1), i % 2 == 1);
        c->y->e[i] = fabsl(c->y->v[i]);
    }
    return TP_OK;
}

static tp_status noise_uniform(ref_call *c)
{
    TP_TRY(draw_shape(c));
    const tp_rng_key *key = ref_field(c, "key");
    bool f32 = c->y->dtype == TP_F32;
    REF_EACH(c, i, index)
    {
        real u = uniform(*key, i);
        c->y->v[i] = f32 && u > 0x1.fffffep-1L ? 0x1.fffffep-1L : ref_round(c->y->dtype, u);
    }
    return TP_OK;
}

/* Two words as one number, from place *at of the stream on. */
static uint64_t next_64(tp_rng_key key, int64_t *at)
{
    uint64_t high = philox(key, (*at)++);
    return high << 32 | philox(key, (*at)++);
}

/* Fisher and Yates, line by line out of one stream of words; residues that would not be equally likely are
 * drawn again. */
static tp_status noise_permutation(ref_call *c)
{
    tp_shape shape = *(const tp_shape *)ref_field(c, "shape");
    const tp_rng_key *key = ref_field(c, "key");
    int axis, last = shape.ndim - 1;
    TP_TRY(tp_shape_check(shape, 8));
    TP_TRY(tp_axis_normal(shape.ndim, (int)ref_whole(c, "axis"), &axis));
    if (tp_shape_numel(shape) > (int64_t)1 << 33)
        return TP_ESHAPE;
    TP_TRY(ref_make(c, TP_I64, shape));
    tp_shape turned = shape; /* the axis last */
    turned.dim[axis] = shape.dim[last], turned.dim[last] = shape.dim[axis];
    int64_t n = shape.dim[axis], at = 0;
    int64_t *order =
        malloc(((size_t)(c->y->n <= FUZZ_LIMIT && c->y->n > 0 ? n : 0) + 1) * sizeof *order);
    for (int64_t line = 0; c->y->v != NULL && line < c->y->n; line += n) {
        for (int64_t i = 0; i < n; i++)
            order[i] = i;
        for (int64_t i = n - 1; i > 0;) {
            uint64_t x = next_64(*key, &at), bound = (uint64_t)i + 1, r = x % bound;
            if (x - r > UINT64_MAX - bound + 1)
                continue;
            int64_t swap = order[i];
            order[i] = order[r];
            order[r] = swap;
            i--;
        }
        for (int64_t i = 0; i < n; i++) {
            int64_t index[TP_MAX_DIMS];
            ref_unflatten(turned, line + i, index);
            int64_t swap = index[axis];
            index[axis] = index[last];
            index[last] = swap;
            c->y->v[ref_flatten(shape, index)] = (real)order[i];
        }
    }
    free(order);
    return TP_OK;
}

static tp_status noise_bernoulli(ref_call *c)
{
    const tp_rng_key *key = ref_field(c, "key");
    TP_TRY(ref_make(c, c->x[0].dtype, c->x[0].shape));
    REF_EACH(c, i, index)
    {
        real p = c->x[0].v[i];
        if (!(p >= 0 && p <= 1))
            return TP_EVALUE;
        c->y->v[i] = uniform(*key, i) < p;
    }
    return TP_OK;
}

const ref_row ref_draws[] = {REF_ROW(full),
                             REF_ROW(noise_normal),
                             REF_ROW(noise_uniform),
                             REF_ROW(noise_bernoulli),
                             REF_ROW(noise_permutation),
                             {NULL, NULL}};
