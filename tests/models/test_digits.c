/* test_digits.c: every row, trained for a second on the digits that come with the source, tells digits that it has not seen
 * from independent pixels.
 *
 * The rule: held-out digits cost at least MARGIN nats less than under the best model of independent pixels of the same
 * likelihood, on every seed. What they cost is −log p(x), exact or from weighted samples (tp_model_nll, which overstates
 * it), whatever the objective was, and the term "recon" where a model has no such thing.
 * Bits are drawn once and for good (TP_BINARIZE_STATIC). Independent pixels are at 198.4 nats, the worst row with bits at
 * 171. A model with parameters for each example gets fewer of them, more often. Read next:
 * conformance.h.
 */
#include "tests/models/conformance.h"
#include "tests/models/blind.h"

#include "tensor/parallel.h"

enum { TRAIN = 3000, FEWER = 10, HELD_OUT = 300, PIXELS = 28 * 28 };
enum { SEEDS = 3, EPOCHS = 7, STEP = 40, DRAWS = 16 };
static const double MARGIN = 20;

/* --- data ------------------------------------------------------------------------------------------------- */

static tp_dataset train, few, held_out; /* few: the first TRAIN / FEWER of train */

/* The first n of a split. */
static tp_dataset digits(const char *split, int64_t n)
{
    tp_dataset all, part = {0};
    tp_tensor some, labels;
    assert_ok(tp_dataset_read(&all, TAPIR_SOURCE_DIR "/examples/data", split));
    assert_ok(tp_view_slice(&all.x, 0, 0, n, 1, &some));
    assert_ok(tp_view_slice(&all.labels, 0, 0, n, 1, &labels));
    assert_ok(tp_clone(&part.x, &some));
    assert_ok(tp_clone(&part.labels, &labels));
    tp_dataset_free(&all);
    return part;
}

static int read_digits(void **state)
{
    (void)state;
    assert_ok(tp_set_threads(
        1)); /* networks this small lose more by waiting than they win, above all on a busy machine */
    train = digits("train", TRAIN);
    few = digits("train", TRAIN / FEWER);
    held_out = digits("t10k", HELD_OUT);
    return 0;
}

static int free_digits(void **state)
{
    (void)state;
    tp_dataset_free(&train);
    tp_dataset_free(&few);
    tp_dataset_free(&held_out);
    return 0;
}

static void batches_of(tp_batches *b, const tp_dataset *d, tp_likelihood likelihood)
{
    tp_binarize_opts bits = {TP_BINARIZE_STATIC, d == &held_out ? 2 : 1};
    assert_ok(tp_batches_init(b, d, d == &held_out ? HELD_OUT : STEP, TP_F32));
    if (likelihood == TP_BERNOULLI)
        assert_ok(tp_batches_binarize(b, bits));
}

/* --- independent pixels ------------------------------------------------------------------------------------- */

typedef struct pixel_stats {
    double mean[PIXELS], variance[PIXELS],
        common; /* common: the variance that suits all together */
} pixel_stats;

static pixel_stats stats_of(tp_likelihood likelihood)
{
    pixel_stats s = {0};
    tp_batches b;
    tp_batch batch;
    bool got;
    batches_of(&b, &train, likelihood);
    for (tp_batches_rewind(&b);;) {
        assert_ok(tp_batches_next(&b, &batch, &got));
        for (int64_t i = 0; got && i < batch.n * PIXELS; i++) {
            double x = tp_flat(&batch.x, i);
            s.mean[i % PIXELS] += x / TRAIN;
            s.variance[i % PIXELS] += x * x / TRAIN;
        }
        if (!got)
            break;
    }
    for (int j = 0; j < PIXELS; j++) {
        s.variance[j] = fmax(s.variance[j] - s.mean[j] * s.mean[j], 0);
        s.common += s.variance[j] / PIXELS;
    }
    tp_batches_free(&b);
    return s;
}

/* −log p of one pixel. A variance that is learned may be each pixel's own, with the floor of that likelihood; a fixed one
 * is 1, but for models whose mean is any number: they have one of their own for all pixels. A bit that never was 1 is one
 * in about twice as many examples. */
static double pixel_cost(const pixel_stats *s, const tp_model_type *type, tp_likelihood likelihood,
                         int64_t j, double x)
{
    double p = (s->mean[j] * TRAIN + 0.5) / (TRAIN + 1);
    double variance = likelihood == TP_GAUSSIAN_LEARNED ? fmax(s->variance[j], exp(-6))
                      : type->any_real                  ? s->common
                                                        : 1;
    if (likelihood == TP_BERNOULLI)
        return -x * log(p) - (1 - x) * log(1 - p);
    double off = x - s->mean[j];
    return 0.5 * (log(2 * acos(-1) * variance) + off * off / variance);
}

/* What a held-out digit costs under independent pixels. */
static double independent(const tp_model_type *type, tp_likelihood likelihood)
{
    pixel_stats s = stats_of(likelihood);
    tp_batches b;
    tp_batch batch;
    bool got;
    double sum = 0;
    batches_of(&b, &held_out, likelihood);
    assert_ok(tp_batches_next(&b, &batch, &got));
    for (int64_t i = 0; i < HELD_OUT * PIXELS; i++)
        sum += pixel_cost(&s, type, likelihood, i % PIXELS, tp_flat(&batch.x, i));
    tp_batches_free(&b);
    return sum / HELD_OUT;
}

/* --- models -------------------------------------------------------------------------------------------------- */

static double cost(tp_model *m, tp_tape *t)
{
    tp_batches b;
    tp_stats stats;
    double value = NAN;
    batches_of(&b, &held_out, m->config.likelihood);
    if (tp_model_has_nll(m->type)) {
        assert_ok(tp_model_nll(m, t, &b, 1, DRAWS, &value));
    } else {
        tp_trainer trainer = {.tape = t, .loss = tp_model_loss, .model = m, .seed = 1};
        assert_ok(tp_evaluate(&trainer, &b, &stats));
        for (int i = 0; i < stats.terms; i++)
            if (strcmp(stats.name[i], "recon") == 0)
                value = stats.term[i];
    }
    tp_batches_free(&b);
    return value;
}

/* What a held-out digit costs a model after training. */
static double trained(const tp_model_type *type, tp_likelihood likelihood, uint64_t seed)
{
    tp_model m;
    tp_optimizer o;
    tp_batches b;
    tp_stats stats;
    tp_model_config config = tp_model_defaults(type);
    tp_adam_opts adam = tp_adam_defaults();
    adam.lr = type->pictures > 0 ? 1e-3 : 1e-2; /* convolutions lose the code for good with more */
    config.data_dim = PIXELS;
    config.hidden[0] = 64;
    config.latent_dim = 12;
    config.likelihood = likelihood;
    config.classes = 10;
    config.examples = TRAIN;
    assert_ok(tp_model_init(&m, type, config, TP_F32, seed));
    assert_ok(tp_adam_init(&o, &m.params, adam));
    batches_of(&b, type->indexed ? &few : &train, likelihood);
    tp_trainer t = {
        .loss = tp_model_loss, .model = &m, .optimizer = &o, .seed = seed, .step = LATE};
    assert_ok(tp_tape_new(&t.tape));
    for (uint64_t e = 1; e <= (type->indexed ? FEWER * EPOCHS : EPOCHS); e++)
        assert_ok(tp_train_epoch(&t, &b, e, &stats));
    double value = cost(&m, t.tape);
    tp_tape_free(t.tape);
    tp_batches_free(&b);
    tp_optimizer_free(&o);
    tp_model_free(&m);
    return value;
}

static void beats_independent_pixels(const tp_model_type *type, tp_likelihood likelihood)
{
    if (!FULL_SPEED)
        skip(); /* the same code as in the other tests of all rows */
    double most = independent(type, likelihood) - MARGIN;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        double got = trained(type, likelihood, seed);
        if (!(got <= most))
            fail_msg("seed %d: a held-out digit costs %.5g nats, at most %.5g needed", (int)seed,
                     got, most);
    }
}

/* --- the control: independent pixels, learned like the others --------------------------------------------- */

static void test_blind_model_does_not(void **state)
{
    (void)state;
    if (!FULL_SPEED)
        skip(); /* the control of tests that are run at full speed alone */
    double got = trained(&blind_type, TP_BERNOULLI, 1),
           best = independent(&blind_type, TP_BERNOULLI);
    assert_true(got > best - 1); /* nothing to tell them from but noise in the data */
    assert_true(got < best + 5); /* and the training is long enough for that much */
}

int main(void)
{
    static const property properties[] = {{"held-out digits", beats_independent_pixels, true}};
    const struct CMUnitTest more[] = {cmocka_unit_test(test_blind_model_does_not)};
    read_digits(NULL);
    int failed = rows_run(properties, 1, more, 1);
    free_digits(NULL);
    return failed;
}
