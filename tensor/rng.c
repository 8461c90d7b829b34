/* rng.c: Philox4x32-10 and the distributions drawn from it.
 *
 * A kernel (kernels/draw.inc) makes a batch of doubles in a small buffer, which the iterator then spreads
 * over y in whatever layout it has. An element's value depends on its row-major index only. Nothing here
 * allocates. Read next: rng.h for the contract, tests/unit/test_rng.c for the published vectors.
 */
#include "tensor/rng.h"

#include "tensor/gather.h"
#include "tensor/iter.h"
#include "tensor/kernels/kernels.h"
#include "tensor/parallel.h"
#include "tensor/scan.h"

enum { BATCH = TP_DRAW, CHUNK = 16 * BATCH }; /* elements per batch and per chunk */

typedef enum kind { UNIFORM, NORMAL, BERNOULLI } kind;

typedef struct job {
    const tp_kernels *kernels;
    tp_iter it; /* operands y and, for a Bernoulli draw, p */
    tp_rng_key key;
    kind what;
    tp_dtype dtype;
    tp_run_fn store;
} job;

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

/* The BATCH values of a draw that start at element first. */
static void batch_values(const job *j, int64_t first, double value[BATCH])
{
    uint32_t block = (uint32_t)(first / 4);
    if (j->what == NORMAL)
        j->kernels->normal(&j->key, block, value);
    else
        j->kernels->uniform(&j->key, block, value);
    if (j->what == UNIFORM && j->dtype == TP_F32)
        for (int i = 0; i < BATCH; i++) /* no f32 may round to 1 */
            value[i] = value[i] < 0x1.fffffep-1 ? value[i] : 0x1.fffffep-1;
}

/* --- spreading values over a tensor ------------------------------------------------------------- */

/* The values still to be stored, consumed run by run. */
typedef struct feed {
    const double *value;
    tp_scaled_fn convert;
    int64_t size; /* of an element of y */
} feed;

static void store_run(int64_t n, char *const *ptr, const int64_t *stride, void *arg)
{
    feed *f = arg;
    if (stride[0] == f->size)
        f->convert(n, ptr[0], f->value, 1);
    else
        for (int64_t i = 0; i < n; i++)
            f->convert(1, ptr[0] + i * stride[0], f->value + i, 1);
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
        batch_values(j, first, value);
        feed f = {value, j->kernels->scaled[TP_F64][j->dtype], tp_dtype_size(j->dtype)};
        tp_iter_range(&j->it, first, first + BATCH < end ? first + BATCH : end, j->store, &f);
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
    job j = {.kernels = tp_kernels_get(),
             .key = key,
             .what = what,
             .dtype = y->dtype,
             .store = store_run};
    if (p != NULL)
        j.store = y->dtype == TP_F32 ? store_below_f32 : store_below_f64;
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

tp_status tp_random_bernoulli(tp_tensor *y, const tp_tensor *p, tp_rng_key key)
{
    if (p->dtype != y->dtype)
        return tp_fail(TP_EDTYPE, "random: y is %s but p is %s", tp_dtype_name(y->dtype),
                       tp_dtype_name(p->dtype));
    if (tp_dtype_is_float(p->dtype)) { /* otherwise draw() refuses */
        int64_t bad = tp_first_outside(p, 0, 1);
        char at[TP_SHAPE_TEXT];
        if (bad >= 0)
            return tp_fail(TP_EVALUE, "random: p%s = %g, a probability must be in [0,1]",
                           tp_index_text(p->shape, bad, at), tp_flat(p, bad));
    }
    return draw(BERNOULLI, y, p, key);
}

/* --- permutation -------------------------------------------------------------------------------- */

/* The words of a draw, in order. */
typedef struct words {
    tp_rng_key key;
    uint32_t block, word[BATCH];
    int used;
} words;

static uint64_t next_64(words *w)
{
    if (w->used == BATCH) {
        tp_kernels_get()->words(&w->key, w->block, w->word);
        w->block += BATCH / 4;
        w->used = 0;
    }
    w->used += 2;
    return (uint64_t)w->word[w->used - 2] << 32 | w->word[w->used - 1];
}

static void shuffle(int64_t *out, int64_t n, words *w)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = i;
    for (int64_t i = n - 1; i > 0;) {
        uint64_t x = next_64(w), bound = (uint64_t)i + 1, r = x % bound;
        if (x - r > 0 - bound) /* the last, incomplete stretch would favour small residues */
            continue;
        int64_t swap = out[i];
        out[i] = out[r];
        out[r] = swap;
        i--;
    }
}

void tp_random_permutations(int64_t *out, int64_t lines, int64_t n, tp_rng_key key)
{
    words w = {.key = key, .used = BATCH};
    for (int64_t i = 0; i < lines; i++)
        shuffle(out + i * n, n, &w);
}

void tp_random_permutation(int64_t *out, int64_t n, tp_rng_key key)
{
    tp_random_permutations(out, 1, n, key);
}
