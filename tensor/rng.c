/* rng.c: Philox4x32-10 and the distributions drawn from it.
 *
 * Words are made for 64 counters at a time, lane by lane, so that the compiler vectorises the rounds;
 * they become doubles in a small buffer, which the iterator then spreads over y in whatever layout it
 * has. An element's value depends on its row-major index only. Nothing here allocates.
 * Read next: rng.h for the contract, tests/unit/test_rng.c for the published vectors.
 */
#include "tensor/rng.h"

#include <math.h>

#include "tensor/gather.h"
#include "tensor/iter.h"
#include "tensor/parallel.h"

enum { LANES = 64, BATCH = 4 * LANES, CHUNK = 64 * BATCH }; /* elements per batch and per chunk */

#define PI 3.14159265358979323846

typedef enum kind { UNIFORM, NORMAL, BERNOULLI } kind;

/* Ten rounds on LANES counters, in place; multipliers and key increments are those of the paper. */
static void philox_lanes(uint32_t c[4][LANES], uint32_t k0, uint32_t k1)
{
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < LANES; i++) {
            uint64_t a = (uint64_t)0xD2511F53u * c[0][i], b = (uint64_t)0xCD9E8D57u * c[2][i];
            c[0][i] = (uint32_t)(b >> 32) ^ c[1][i] ^ k0;
            c[1][i] = (uint32_t)b;
            c[2][i] = (uint32_t)(a >> 32) ^ c[3][i] ^ k1;
            c[3][i] = (uint32_t)a;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

void tp_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* The BATCH words that start at a block, in element order. */
static void batch_words(const tp_rng_key *key, uint32_t block, uint32_t word[BATCH])
{
    uint32_t c[4][LANES];
    for (int i = 0; i < LANES; i++) {
        c[0][i] = block + (uint32_t)i;
        c[1][i] = key->draw;
        c[2][i] = (uint32_t)key->step;
        c[3][i] = (uint32_t)(key->step >> 32);
    }
    philox_lanes(c, (uint32_t)key->seed, (uint32_t)(key->seed >> 32));
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < 4; j++)
            word[4 * i + j] = c[j][i];
}

static double word_uniform(uint32_t w)
{
    return (w + 0.5) * 0x1p-32;
}

/* n values of the batch that starts at element first; n is the whole batch or the end of a tensor. */
static void batch_values(kind what, const tp_rng_key *key, int64_t first, int n, double *value)
{
    uint32_t word[BATCH];
    batch_words(key, (uint32_t)(first / 4), word);
    if (what != NORMAL) {
        for (int i = 0; i < BATCH; i++)
            value[i] = word_uniform(word[i]);
        return;
    }
    for (int i = 0; i < n; i += 2) { /* Box–Muller: a radius and an angle make two normals */
        double radius = sqrt(-2 * log(word_uniform(word[i])));
        double angle = 2 * PI * word_uniform(word[i + 1]);
        value[i] = radius * cos(angle);
        value[i + 1] = radius * sin(angle);
    }
}

/* --- spreading values over a tensor ------------------------------------------------------------- */

typedef struct job {
    tp_iter it; /* operands y and, for a Bernoulli draw, p */
    tp_rng_key key;
    kind what;
    tp_run_fn store;
} job;

/* The values still to be stored, consumed run by run. */
typedef struct feed {
    const double *value;
    double top; /* no f32 may exceed it: keeps a uniform that rounds to 1 below 1 */
} feed;

static void store_f32(int64_t n, char *const *ptr, const int64_t *stride, void *arg)
{
    feed *f = arg;
    float top = (float)f->top;
    if (stride[0] == sizeof(float)) {
        float *y = (float *)ptr[0];
        for (int64_t i = 0; i < n; i++)
            y[i] = (float)f->value[i] < top ? (float)f->value[i] : top;
    } else {
        for (int64_t i = 0; i < n; i++)
            *(float *)(ptr[0] + i * stride[0]) =
                (float)f->value[i] < top ? (float)f->value[i] : top;
    }
    f->value += n;
}

static void store_f64(int64_t n, char *const *ptr, const int64_t *stride, void *arg)
{
    feed *f = arg;
    for (int64_t i = 0; i < n; i++)
        *(double *)(ptr[0] + i * stride[0]) = f->value[i];
    f->value += n;
}

/* y = u < p. The usual layouts have their own loops, which vectorise: p elementwise or one number. */
#define STORE_BELOW(T)                                                                             \
    feed *f = arg;                                                                                 \
    const double *u = f->value;                                                                    \
    T *y = (T *)ptr[0];                                                                            \
    const T *p = (const T *)ptr[1];                                                                \
    if (stride[0] == sizeof(T) && stride[1] == sizeof(T)) {                                        \
        for (int64_t i = 0; i < n; i++)                                                            \
            y[i] = u[i] < (double)p[i] ? 1 : 0;                                                    \
    } else if (stride[0] == sizeof(T) && stride[1] == 0) {                                         \
        double same = (double)*p;                                                                  \
        for (int64_t i = 0; i < n; i++)                                                            \
            y[i] = u[i] < same ? 1 : 0;                                                            \
    } else {                                                                                       \
        for (int64_t i = 0; i < n; i++)                                                            \
            *(T *)(ptr[0] + i * stride[0]) =                                                       \
                u[i] < (double)*(const T *)(ptr[1] + i * stride[1]) ? 1 : 0;                       \
    }                                                                                              \
    f->value += n;

static void store_below_f32(int64_t n, char *const *ptr, const int64_t *stride, void *arg)
{
    STORE_BELOW(float)
}

static void store_below_f64(int64_t n, char *const *ptr, const int64_t *stride, void *arg)
{
    STORE_BELOW(double)
}

static void fill_chunk(int64_t chunk, void *arg)
{
    const job *j = arg;
    int64_t end = (chunk + 1) * CHUNK < j->it.numel ? (chunk + 1) * CHUNK : j->it.numel;
    for (int64_t first = chunk * CHUNK; first < end; first += BATCH) {
        double value[BATCH];
        int n = end - first < BATCH ? (int)(end - first) : BATCH;
        batch_values(j->what, &j->key, first, n, value);
        feed f = {value, j->what == UNIFORM ? 0x1.fffffep-1 : (double)INFINITY};
        tp_iter_range(&j->it, first, first + n, j->store, &f);
    }
}

static tp_status draw(kind what, tp_tensor *y, const tp_tensor *p, tp_rng_key key)
{
    char text[TP_TENSOR_TEXT];
    if (!tp_dtype_is_float(y->dtype))
        return tp_fail(TP_EDTYPE, "random: y is %s, expected f32 or f64", tp_tensor_text(y, text));
    if (tp_numel(y) > (int64_t)1 << 34)
        return tp_fail(TP_ESHAPE, "random: y is %s, one draw has at most 2^34 elements",
                       tp_tensor_text(y, text));
    if (tp_may_overlap(y))
        return tp_fail(TP_EARG, "random: y %s overlaps itself (an expanded view?), cannot write it",
                       tp_tensor_text(y, text));
    const tp_tensor *operands[2] = {y, p};
    job j = {.key = key, .what = what};
    if (p != NULL)
        j.store = y->dtype == TP_F32 ? store_below_f32 : store_below_f64;
    else
        j.store = y->dtype == TP_F32 ? store_f32 : store_f64;
    TP_TRY(tp_iter_init(&j.it, p ? 2 : 1, operands));
    if (j.it.numel == 0)
        return TP_OK;
    tp_data_mut(y);
    tp_parallel((j.it.numel + CHUNK - 1) / CHUNK, fill_chunk, &j);
    return TP_OK;
}

tp_status tp_random_uniform(tp_tensor *y, tp_rng_key key)
{
    return draw(UNIFORM, y, NULL, key);
}

tp_status tp_random_normal(tp_tensor *y, tp_rng_key key)
{
    return draw(NORMAL, y, NULL, key);
}

/* --- Bernoulli ---------------------------------------------------------------------------------- */

/* Looks for the first element outside [0,1]; NaN counts as outside. */
typedef struct domain_check {
    int64_t seen, bad; /* elements so far; row-major index of the first bad one or -1 */
    double value;
    tp_dtype dtype;
} domain_check;

static void check_run(int64_t n, char *const *ptr, const int64_t *stride, void *arg)
{
    domain_check *c = arg;
    int64_t inside = 0;
    if (c->dtype == TP_F32 && stride[0] == sizeof(float)) /* the usual case, in a tight loop */
        for (const float *p = (const float *)ptr[0]; inside < n; inside++)
            if (!(p[inside] >= 0 && p[inside] <= 1))
                break;
    for (int64_t i = inside; i < n && c->bad < 0; i++) {
        const char *at = ptr[0] + i * stride[0];
        double v = c->dtype == TP_F32 ? (double)*(const float *)at : *(const double *)at;
        if (!(v >= 0 && v <= 1)) {
            c->bad = c->seen + i;
            c->value = v;
        }
    }
    c->seen += n;
}

tp_status tp_random_bernoulli(tp_tensor *y, const tp_tensor *p, tp_rng_key key)
{
    if (p->dtype != y->dtype)
        return tp_fail(TP_EDTYPE, "random: y is %s but p is %s", tp_dtype_name(y->dtype),
                       tp_dtype_name(p->dtype));
    if (tp_dtype_is_float(p->dtype)) { /* otherwise draw() refuses */
        tp_iter it;
        domain_check c = {0, -1, 0, p->dtype};
        TP_TRY(tp_iter_init(&it, 1, &p));
        tp_iter_range(&it, 0, it.numel, check_run, &c);
        char at[TP_SHAPE_TEXT];
        if (c.bad >= 0)
            return tp_fail(TP_EVALUE, "random: p%s = %g, a probability must be in [0,1]",
                           tp_index_text(p->shape, c.bad, at), c.value);
    }
    return draw(BERNOULLI, y, p, key);
}

/* --- permutation -------------------------------------------------------------------------------- */

void tp_random_permutation(int64_t *out, int64_t n, tp_rng_key key)
{
    uint32_t word[BATCH];
    uint32_t block = 0;
    int used = BATCH;
    for (int64_t i = 0; i < n; i++)
        out[i] = i;
    for (int64_t i = n - 1; i > 0;) {
        if (used == BATCH) {
            batch_words(&key, block, word);
            block += LANES;
            used = 0;
        }
        uint64_t x = (uint64_t)word[used] << 32 | word[used + 1], bound = (uint64_t)i + 1;
        used += 2;
        uint64_t r = x % bound;
        if (x - r >
            0 - bound) /* the last, incomplete stretch of residues would favour small ones */
            continue;
        int64_t swap = out[i];
        out[i] = out[r];
        out[r] = swap;
        i--;
    }
}
