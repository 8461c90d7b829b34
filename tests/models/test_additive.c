/* test_additive.c: for every row, the loss of a batch is the mean of the losses of its examples (of types that do not say
 * .coupled), and their order does not matter (of all).
 *
 * Noise is keyed by the place in the batch, so what draws any is compared in the mean over many seeds, within 4 standard
 * errors; what draws none, exactly. A divisor that is not the number of examples, an axis taken for another one, a sum for
 * a mean: all are wrong here and right to a gradient check. Read next: conformance.h.
 */
#include "tests/models/conformance.h"

#include "autograd/compose.h"
#include "models/vae.h"

enum { SEEDS = SANITIZED ? 100 : 400, PARTS = 2 };

/* Mean and variance so far: Welford. */
typedef struct moments {
    double mean, squares;
    int n;
} moments;

static void see(moments *m, double x)
{
    double off = x - m->mean;
    m->n++;
    m->mean += off / m->n;
    m->squares += off * (x - m->mean);
}

/* Variance of the mean. */
static double error2(const moments *m)
{
    return m->squares / (m->n - 1) / m->n;
}

/* Two mean losses are the same: within 4 standard errors, or to rounding when nothing was drawn. Every mean has seeds of
 * its own, or equal noise in equal places would be taken for agreement. */
static bool agree(const moments *a, const moments *b, bool draws, char why[WHY])
{
    double error = draws ? sqrt(error2(a) + error2(b)) : 0;
    double off = fabs(a->mean - b->mean), most = 4 * error + 1e-12 * (1 + fabs(a->mean));
    snprintf(why, WHY, "%.9g against %.9g: %.3g apart, at most %.3g", a->mean, b->mean, off, most);
    return off <= most;
}

/* The losses of several batches, averaged with the numbers of their examples, over seeds; the same seed is not used for
 * two of them. */
static moments losses(specimen *s, int n, const examples *parts, uint64_t stream, bool *draws)
{
    moments m = {0};
    uint64_t drawn, any = 1;
    for (uint64_t i = 0; i < SEEDS && any != 0; i++) {
        double sum = 0, count = 0;
        any = 0;
        for (int k = 0; k < n; k++) {
            double size = (double)parts[k].x.shape.dim[0];
            uint64_t seed = (stream * SEEDS + i) * PARTS + (uint64_t)k;
            sum += size * loss_of(s, &parts[k], TP_TRAIN, seed, &drawn);
            count += size;
            any |= drawn;
        }
        see(&m, sum / count);
    }
    *draws = any != 0;
    return m;
}

/* The whole batch against one that holds the examples at some places, or against two. */
static bool compare(specimen *s, int n, const examples *parts, char why[WHY])
{
    bool draws, also;
    moments whole = losses(s, 1, &s->batch, 1, &draws), rest = losses(s, n, parts, 2, &also);
    assert_int_equal(draws, also);
    return agree(&whole, &rest, draws, why);
}

static bool is_permutable(specimen *s, char why[WHY])
{
    static const int64_t back[BATCH] = {3, 5, 0, 4, 2, 1};
    examples other = examples_at(&s->batch, BATCH, back);
    bool good = compare(s, 1, &other, why);
    examples_free(&other);
    return good;
}

/* A union of batches, of sizes that differ. */
static bool is_additive(specimen *s, char why[WHY])
{
    static const int64_t order[BATCH] = {0, 1, 2, 3, 4, 5};
    examples parts[PARTS] = {examples_at(&s->batch, 4, order),
                             examples_at(&s->batch, BATCH - 4, order + 4)};
    bool good = compare(s, PARTS, parts, why);
    examples_free(&parts[0]);
    examples_free(&parts[1]);
    return good;
}

/* Every example twice. */
static bool is_a_mean(specimen *s, char why[WHY])
{
    static const int64_t twice[2 * BATCH] = {0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5};
    examples other = examples_at(&s->batch, 2 * BATCH, twice);
    bool good = compare(s, 1, &other, why);
    examples_free(&other);
    return good;
}

/* A fresh model hardly looks at its input, and then all examples cost the same: larger weights. */
static void specimen_of(specimen *s, const tp_model_type *type, tp_likelihood likelihood)
{
    specimen_make(s, type, tiny_of(type, likelihood), TP_F64);
    for (int i = 0; i < s->model.params.n; i++) {
        tp_tensor *w = &s->model.params.item[i]->value;
        for (int64_t k = 0; k < tp_numel(w); k++)
            assert_ok(tp_set_flat(w, k, 3 * tp_flat(w, k)));
    }
}

static void permutable(const tp_model_type *type, tp_likelihood likelihood)
{
    specimen s;
    char why[WHY];
    specimen_of(&s, type, likelihood);
    if (!is_permutable(&s, why))
        fail_msg("another order: %s", why);
    specimen_free(&s);
}

static void additive(const tp_model_type *type, tp_likelihood likelihood)
{
    specimen s;
    char why[WHY];
    if (type->coupled)
        return;
    specimen_of(&s, type, likelihood);
    if (!is_additive(&s, why))
        fail_msg("batches apart: %s", why);
    if (!is_a_mean(&s, why))
        fail_msg("every example twice: %s", why);
    specimen_free(&s);
}

/* One example is a batch, too. */
static void one_example(const tp_model_type *type, tp_likelihood likelihood)
{
    static const int64_t second[] = {1};
    specimen s;
    if (type->coupled)
        return;
    specimen_make(&s, type, tiny_of(type, likelihood), TP_F32);
    examples e = examples_at(&s.batch, 1, second);
    assert_true(isfinite(loss_of(&s, &e, TP_TRAIN, 1, NULL)));
    assert_true(isfinite(loss_of(&s, &e, TP_EVAL, 1, NULL)));
    examples_free(&e);
    specimen_free(&s);
}

/* --- the controls: a VAE that is wrong in one way after another ------------------------------------------- */

typedef enum fault {
    NO_FAULT,
    KL_OVER_A_CONSTANT, /* the KL divided by a batch size that is not this one's */
    KL_SUMMED,          /* and not divided */
    FIRST_COUNTS_TWICE, /* depends on the order */
    LOOKS_AT_THE_BATCH  /* a product of means */
} fault;
static fault broken;

static tp_objective wrong_loss(void *self, tp_ctx *c, tp_var x)
{
    tp_vae_pass v = tp_vae_forward(self, c, x);
    tp_var kl = v.kl; /* [batch] */
    double n = (double)tp_shape_of(x).dim[0];
    if (broken == KL_OVER_A_CONSTANT)
        kl = tp_scale(kl, n / BATCH);
    if (broken == LOOKS_AT_THE_BATCH)
        kl = tp_mul(kl, tp_expand(tp_mean(kl, TP_ALL_AXES, false), tp_shape_of(kl)));
    if (broken == KL_SUMMED)
        kl = tp_scale(kl, n);
    if (broken == FIRST_COUNTS_TWICE)
        v.logprob = tp_add(v.logprob, tp_expand(tp_slice(v.logprob, 0, 0, 1, 1), tp_shape_of(kl)));
    return tp_negative_elbo(v.logprob, kl, tp_elbo_defaults());
}

static const tp_model_type wrong_type = {.name = "wrong",
                                         .size = sizeof(tp_vae),
                                         .init = tp_vae_init,
                                         .loss = wrong_loss,
                                         .posterior = tp_vae_posterior,
                                         .prior = tp_vae_prior,
                                         .decode = tp_vae_decode};

static void test_wrong_losses_are_found(void **state)
{
    (void)state;
    for (broken = NO_FAULT; broken <= LOOKS_AT_THE_BATCH; broken++) {
        specimen s;
        char why[WHY];
        specimen_of(&s, &wrong_type, TP_BERNOULLI);
        bool permutes = is_permutable(&s, why), adds = is_additive(&s, why),
             mean = is_a_mean(&s, why);
        assert_int_equal(permutes, broken != FIRST_COUNTS_TWICE);
        if (broken != FIRST_COUNTS_TWICE)
            assert_int_equal(adds, broken == NO_FAULT);
        if (broken < FIRST_COUNTS_TWICE)
            assert_int_equal(mean, broken == NO_FAULT);
        specimen_free(&s);
    }
    broken = NO_FAULT;
}

int main(void)
{
    static const property properties[] = {
        {"another order", permutable, false},
        {"a mean over examples", additive, false},
        {"one example", one_example, true},
    };
    const struct CMUnitTest more[] = {cmocka_unit_test(test_wrong_losses_are_found)};
    return rows_run(properties, sizeof properties / sizeof *properties, more,
                    sizeof more / sizeof *more);
}
