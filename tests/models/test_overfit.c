/* test_overfit.c: every row learns eight pictures by heart, with each likelihood that it can have.
 *
 * The pictures are random bits, so that nothing but learning by heart helps. The rule: of the way from the best constant
 * distribution of the likelihood (every pixel with its own parameters, the same for all pictures) to what is attainable a
 * model comes at least four fifths with its default likelihood. With the others it is a third: a unit Gaussian offers less
 * than a code may cost, and a variance that falls to its floor takes long. β is 0.01 where there is one.
 *   What it pays is "recon" after training, in eval mode; where the objective has no such term, the objective itself, and
 *   then to say which picture it is costs log 8 nats, whatever the model.
 *   Attainable are 0 nats for bits and grey levels, ½ log 2π a pixel for unit Gaussians at their means, and 3 nats a pixel
 *   less for learned variances, which have a floor of e^−6.
 * Read next: conformance.h.
 */
#include "tests/models/conformance.h"
#include "tests/models/blind.h"

enum { PICTURES = 8, SIDE = 20, PIXELS = SIDE * SIDE, STEPS = 500 };

static double entropy(double p)
{
    return p <= 0 || p >= 1 ? 0 : -p * log(p) - (1 - p) * log(1 - p);
}

/* What one pixel pays under the best constant distribution, if it is 1 in this part of the pictures; and what it pays when
 * all is known. */
static double constant(tp_likelihood likelihood, double p)
{
    double log_2pi = log(2 * acos(-1)), variance = fmax(p * (1 - p), exp(-6));
    if (likelihood == TP_GAUSSIAN)
        return 0.5 * (log_2pi + p * (1 - p));
    if (likelihood == TP_GAUSSIAN_LEARNED)
        return 0.5 * (log_2pi + log(variance) + p * (1 - p) / variance);
    return entropy(p);
}

static double attainable(tp_likelihood likelihood)
{
    return constant(likelihood, 0);
}

/* The bound of the rule, in nats for one picture. */
static double bound(const examples *e, tp_likelihood likelihood, bool whole_objective, double share)
{
    double by_heart = PIXELS * attainable(likelihood) + (whole_objective ? log(PICTURES) : 0);
    double blind = 0;
    for (int64_t j = 0; j < PIXELS; j++) {
        double ones = 0;
        for (int64_t i = 0; i < PICTURES; i++)
            ones += tp_flat(&e->x, i * PIXELS + j);
        blind += constant(likelihood, ones / PICTURES);
    }
    return blind + share * (by_heart - blind);
}

/* What a model pays now: the term "recon", or all. */
static double paid(tp_model *m, const examples *e, bool *whole_objective)
{
    tp_tape *t;
    assert_ok(tp_tape_new(&t));
    tp_ctx c = eval_ctx(t, e, 1);
    tp_objective o = tp_model_loss(m, &c, tp_constant(t, &e->x));
    assert_ok(tp_tape_status(t));
    double value = tp_item_of(o.total);
    *whole_objective = true;
    for (int i = 0; i < o.terms; i++)
        if (strcmp(o.term[i].name, "recon") == 0)
            value = tp_item_of(o.term[i].value), *whole_objective = false;
    tp_tape_free(t);
    return value;
}

/* Trains a fresh model; whether the rule holds before and after. */
static void learn(const tp_model_type *type, tp_likelihood likelihood, bool *before, bool *after,
                  char why[WHY])
{
    tp_model_config config = tiny_of(type, likelihood);
    tp_model m;
    bool whole;
    shaped(&config, 1, SIDE, SIDE);
    config.hidden[0] = 48;
    config.latent_dim = 8;
    config.activation = TP_RELU;
    config.beta = type->beta ? 0.01 : 1;
    config.levels = 2;
    config.examples = PICTURES;
    examples e = examples_of(TP_BERNOULLI, TP_F32, PICTURES, PIXELS);
    for (int64_t i = 0; i < PICTURES; i++)
        ((int64_t *)tp_data_mut(&e.index))[i] = i;
    assert_ok(tp_model_init(&m, type, config, TP_F32, 1));
    double share = likelihood == tp_model_defaults(type).likelihood ? 0.8 : 0.33;
    double start = paid(&m, &e, &whole), most = bound(&e, likelihood, whole, share);
    /* Convolutions share their weights and take smaller steps: at 1e-3 a learned scale, which these pictures have no
     * lower bound for, makes the loss jump at the last of 500 steps or not, as the compiler rounds. */
    train_on(&m, &e, TP_F32, type->pictures > 0 ? 5e-4 : 4e-3, STEPS);
    double end = paid(&m, &e, &whole);
    *before = start <= most;
    *after = end <= most;
    snprintf(why, WHY, "%.4g nats a picture at the start, %.4g after %d steps, at most %.4g", start,
             end, STEPS, most);
    tp_model_free(&m);
    examples_free(&e);
}

static void by_heart(const tp_model_type *type, tp_likelihood likelihood)
{
    char why[WHY];
    bool before, after;
    if (!FULL_SPEED)
        skip(); /* the same code as in the other tests of all rows */
    learn(type, likelihood, &before, &after, why);
    if (before || !after)
        fail_msg("%s", why);
}

/* The control is found, though it learns the best constant. */
static void test_blind_model_is_found(void **state)
{
    (void)state;
    for (int l = 0; l < (FULL_SPEED ? TP_LIKELIHOODS : 1); l++) {
        char why[WHY];
        bool before, after;
        learn(&blind_type, (tp_likelihood)l, &before, &after, why);
        assert_false(before || after);
    }
}

int main(void)
{
    static const property properties[] = {{"by heart", by_heart, false}};
    const struct CMUnitTest more[] = {cmocka_unit_test(test_blind_model_is_found)};
    return rows_run(properties, 1, more, 1);
}
