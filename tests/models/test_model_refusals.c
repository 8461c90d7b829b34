/* test_model_refusals.c: what every row refuses, with which words, and that a refusal leaves no memory behind.
 *
 * Configurations first, then data at the loss. Read next: conformance.h.
 */
#include "tests/models/conformance.h"

#include "autograd/ops.h"
#include "tensor/matmul.h"
#include "tensor/mem.h"

/* --- configurations ---------------------------------------------------------------------------------------- */

static void refuse(const tp_model_type *type, tp_model_config config, const char *says)
{
    tp_model m = {0};
    size_t before = tp_mem().live_bytes;
    assert_status(tp_model_init(&m, type, config, TP_F32, 1), TP_EARG);
    assert_message(type->name);
    assert_message(says);
    assert_null(m.self);
    assert_int_equal(tp_mem().live_bytes, before);
    tp_model_free(&m); /* of a model that never was: fine */
}

static void sizes(const tp_model_type *type, tp_likelihood likelihood)
{
    const tp_model_config good = tiny_of(type, likelihood);
    tp_model_config c = good;
    c.data_dim = 0;
    refuse(type, c, "a model of 0 inputs and 2 latents");
    c = good, c.latent_dim = -2;
    refuse(type, c, "inputs and -2 latents");
    c = good, c.hidden_layers = 0;
    refuse(type, c, "0 hidden layers: 1 to 7 are supported");
    c = good, c.hidden_layers = 8;
    refuse(type, c, "8 hidden layers: 1 to 7 are supported");
    c = good, c.hidden_layers = 2;
    refuse(type, c, "hidden layer 2 has size 0");
}

/* What is said of pictures must be true, whether the model looks at it or not. */
static void shapes(const tp_model_type *type, tp_likelihood likelihood)
{
    static const tp_shape bad[] = {{1, {24}},    {2, {4, 5}},    {2, {-4, -6}},
                                   {2, {0, 24}}, {3, {2, 4, 4}}, {4, {1, 1, 4, 6}}};
    static const char *const says[] = {"[24]",   "[4,5]",   "[-4,-6]",
                                       "[0,24]", "[2,4,4]", "[1,1,4,6]"};
    static const tp_shape good[] = {{2, {4, 6}}, {2, {6, 4}}, {3, {1, 4, 6}}};
    tp_model_config c = tiny_of(type, likelihood);
    c.data_dim = 24;
    for (int i = 0; i < 6; i++) {
        c.data_shape = bad[i];
        if (i == 0 && type->pictures == 0) { /* rows of numbers, for models that want no pictures */
            assert_ok(tp_model_check(type, &c));
            c.data_shape = TP_SHAPE(23);
        }
        refuse(type, c, i == 0 && type->pictures == 0 ? "[23]" : says[i]);
        assert_message(" with 24 numbers each: [height,width] or [channels,height,width] of so "
                       "many needed");
    }
    for (int i = 0; i < 3; i++) {
        c.data_shape = good[i];
        assert_ok(tp_model_check(type, &c));
    }
    if (type->pictures == 0)
        return;
    shaped(&c, 3, type->pictures - 1, 9);
    refuse(type, c, "rows and 9 columns: at least ");
    shaped(&c, 3, 9, type->pictures - 1);
    refuse(type, c, "pictures of 9 rows and ");
    c.data_shape = TP_SHAPE(); /* nobody said it: a square is one, 26 is none */
    c.data_dim = 25;
    assert_ok(tp_model_check(type, &c));
    c.data_dim = 26;
    refuse(type, c,
           "26 numbers are no square one: data_shape [height,width] or "
           "[channels,height,width] needed");
}

static void likelihoods(const tp_model_type *type, tp_likelihood likelihood)
{
    tp_model_config c = tiny_of(type, likelihood);
    for (int l = 0; l < TP_LIKELIHOODS; l++) {
        c.likelihood = (tp_likelihood)l;
        if (!row_allows(type, l))
            refuse(type, c, tp_likelihood_name(l));
    }
    c.likelihood = TP_CATEGORICAL;
    c.levels = 1;
    if (row_allows(type, TP_CATEGORICAL))
        refuse(type, c, "1 grey levels: 2 to 256 needed");
}

static void betas(const tp_model_type *type, tp_likelihood likelihood)
{
    static const double bad[] = {-1, NAN, INFINITY};
    tp_model_config c = tiny_of(type, likelihood);
    for (int i = 0; i < 3; i++) {
        c.beta = bad[i];
        refuse(type, c, "beta is ");
    }
    c.beta = 2;
    if (!type->beta)
        refuse(type, c, "beta is 2, and its objective has none");
}

static void what_data_must_have(const tp_model_type *type, tp_likelihood likelihood)
{
    tp_model_config c = tiny_of(type, likelihood);
    c.classes = 0;
    if (type->labels)
        refuse(type, c, "wants labels");
    c = tiny_of(type, likelihood), c.examples = 0;
    if (type->indexed)
        refuse(type, c, "number of training examples");
}

static void options(const tp_model_type *type, tp_likelihood likelihood)
{
    tp_model_config c = tiny_of(type, likelihood), before = c;
    const tp_model_option *o = type->options;
    assert_status(tp_model_set(&c, type, "no such option", 1), TP_EARG);
    assert_message("there is no option 'no such option'");
    assert_message(type->name);
    for (int i = 0; o != NULL && o[i].name != NULL; i++) {
        const double bad[] = {o[i].min - fabs(o[i].min) - 1, o[i].max + fabs(o[i].max) + 1, NAN};
        for (int k = 0; k < 3; k++) {
            assert_status(tp_model_set(&c, type, o[i].name, bad[k]), TP_EARG);
            assert_message(o[i].name);
            tp_model_config wrong = c;
            wrong.option[i] = bad[k];
            refuse(type, wrong, o[i].name);
        }
        assert_status(tp_model_set(&c, type, o[i].name, o[i].min + 0.5),
                      o[i].whole ? TP_EARG : TP_OK);
        if (o[i].whole)
            assert_message("a whole number needed");
        c = before;
    }
    assert_memory_equal(c.option, before.option, sizeof c.option);
}

/* Failures further in, some after half of the model was made. */
static void further_in(const tp_model_type *type, tp_likelihood likelihood)
{
    const tp_model_config good = tiny_of(type, likelihood);
    tp_model_config c = good;
    tp_model m;
    size_t before = tp_mem().live_bytes;
    assert_status(tp_model_init(&m, type, good, TP_I64, 1), TP_EDTYPE);
    c.data_dim = INT64_C(1) << 61; /* more than an address can count */
    c.data_shape = TP_SHAPE((INT64_C(1) << 30), (INT64_C(1) << 31));
    assert_status(tp_model_init(&m, type, c, TP_F32, 1), TP_ESHAPE);
    assert_ok(tp_model_init(&m, type, good, TP_F32, 1));
    size_t needs = tp_mem().live_bytes - before;
    tp_model_free(&m);
    for (size_t part = 1; part < 10; part++) {
        tp_mem_set_budget(before + needs * part / 10);
        assert_status(tp_model_init(&m, type, good, TP_F32, 1), TP_ENOMEM);
        assert_int_equal(tp_mem().live_bytes, before);
    }
    tp_mem_set_budget(0);
}

/* --- data ------------------------------------------------------------------------------------------------------ */

typedef struct attempt {
    specimen s;
    size_t before; /* live bytes */
    tp_mode modes; /* TP_EVAL: both */
} attempt;

static void begin(attempt *a, const tp_model_type *type, tp_likelihood likelihood)
{
    tp_matmul_release(); /* what it keeps for the next product */
    a->before = tp_mem().live_bytes;
    a->modes = TP_EVAL;
    specimen_make(&a->s, type, tiny_of(type, likelihood), TP_F32);
}

/* The loss of the batch as it is now. */
static void end(attempt *a, tp_status want, const char *const says[], int n)
{
    for (int mode = TP_TRAIN; mode <= (int)a->modes; mode++) {
        tp_tape_reset(a->s.tape);
        tp_ctx c = mode == TP_TRAIN ? train_ctx(a->s.tape, &a->s.batch, 1)
                                    : eval_ctx(a->s.tape, &a->s.batch, 1);
        c.labels = a->s.batch.labels.storage != NULL ? c.labels : NULL;
        c.index = a->s.batch.index.storage != NULL ? c.index : NULL;
        tp_objective o = tp_model_loss(&a->s.model, &c, tp_constant(a->s.tape, &a->s.batch.x));
        assert_status(tp_var_status(o.total), want);
        if (want != TP_OK)
            assert_string_equal(tp_last_error(), tp_tape_message(a->s.tape));
        for (int i = 0; i < n; i++)
            assert_message(says[i]);
        for (int i = 0; i < a->s.model.params.n; i++)
            assert_null(tp_parameter_grad(a->s.model.params.item[i]));
    }
    specimen_free(&a->s);
    tp_matmul_release();
    assert_int_equal(tp_mem().live_bytes, a->before);
}

/* A picture of another width: both shapes are named. */
static void width(const tp_model_type *type, tp_likelihood likelihood)
{
    attempt a;
    begin(&a, type, likelihood);
    examples wide = examples_of(likelihood, TP_F32, BATCH, a.s.model.config.data_dim + 4);
    examples_free(&a.s.batch);
    a.s.batch = wide;
    end(&a, TP_ESHAPE, NULL, 0);
    const char *one = strchr(tp_last_error(), '[');
    assert_non_null(one);
    assert_non_null(strchr(one + 1, '['));
}

/* Numbers outside of [0,1], but for a mean that may be anything. */
static void range(const tp_model_type *type, tp_likelihood likelihood)
{
    static const double bad[] = {1.5, -0.25};
    bool gaussian = likelihood == TP_GAUSSIAN || likelihood == TP_GAUSSIAN_LEARNED;
    for (int i = 0; i < 2; i++) {
        attempt a;
        char number[20];
        begin(&a, type, likelihood);
        assert_ok(tp_set_flat(&a.s.batch.x, 2 * a.s.model.config.data_dim + 3, bad[i]));
        snprintf(number, sizeof number, " %g", bad[i]);
        const char *const says[] = {number};
        bool fine = gaussian && type->any_real;
        end(&a, fine ? TP_OK : TP_EVALUE, says, !fine);
    }
}

static void labels(const tp_model_type *type, tp_likelihood likelihood)
{
    static const char *const says[] = {"label"};
    attempt a;
    if (!type->labels)
        return;
    begin(&a, type, likelihood);
    tp_tensor_free(&a.s.batch.labels);
    end(&a, TP_EARG, says, 1);
    begin(&a, type, likelihood);
    ((int64_t *)tp_data_mut(&a.s.batch.labels))[3] = CLASSES;
    end(&a, TP_EVALUE, says, 0);
}

/* In evaluation there is no place in the training data to ask for. */
static void places(const tp_model_type *type, tp_likelihood likelihood)
{
    static const char *const says[] = {"numbers of the batch"};
    attempt a;
    if (!type->indexed)
        return;
    begin(&a, type, likelihood);
    a.modes = TP_TRAIN;
    tp_tensor_free(&a.s.batch.index);
    end(&a, TP_EARG, says, 1);
    begin(&a, type, likelihood);
    a.modes = TP_TRAIN;
    ((int64_t *)tp_data_mut(&a.s.batch.index))[3] = EXAMPLES;
    end(&a, TP_EVALUE, says, 0);
}

/* --- uses that a type has no parts for -------------------------------------------------------------------------- */

typedef enum use { POSTERIOR, PRIOR, DECODE, CODE, SAMPLES, WEIGHTS, USES } use;

static void try_use(const tp_model *m, tp_ctx *c, tp_var x, use u)
{
    if (u == POSTERIOR)
        tp_model_posterior(m, c, x);
    else if (u == PRIOR)
        tp_model_prior(m, c);
    else if (u == DECODE)
        tp_model_decode(m, c, tp_full(c->tape, TP_F32, TP_SHAPE(BATCH, LATENTS), 0));
    else if (u == CODE)
        tp_model_code(m, c, x);
    else if (u == SAMPLES)
        tp_model_generate(m, c, 3);
    else
        tp_model_log_weight(m, c, x, 2);
}

static void lacking(const tp_model_type *type, tp_likelihood likelihood)
{
    const bool has[USES] = {type->posterior != NULL,    type->prior != NULL,
                            type->decode != NULL,       tp_model_has_code(type),
                            tp_model_has_samples(type), tp_model_has_weights(type)};
    attempt a;
    begin(&a, type, likelihood);
    for (use u = POSTERIOR; u < USES; u++) {
        if (has[u])
            continue; /* these work: test_model_uses.c */
        tp_tape_reset(a.s.tape);
        tp_ctx c = eval_ctx(a.s.tape, &a.s.batch, 1);
        try_use(&a.s.model, &c, tp_constant(a.s.tape, &a.s.batch.x), u);
        assert_status(tp_tape_status(a.s.tape), TP_EARG);
        assert_non_null(strstr(tp_tape_message(a.s.tape), type->name));
    }
    specimen_free(&a.s);
    tp_matmul_release();
    assert_int_equal(tp_mem().live_bytes, a.before);
}

int main(void)
{
    static const property properties[] = {
        {"sizes", sizes, true},
        {"shapes", shapes, true},
        {"likelihoods", likelihoods, true},
        {"beta", betas, true},
        {"what data must have", what_data_must_have, true},
        {"options", options, true},
        {"failures further in", further_in, false},
        {"width of the data", width, false},
        {"range of the data", range, false},
        {"labels", labels, true},
        {"numbers of examples", places, true},
        {"uses without parts", lacking, true},
    };
    return rows_run(properties, sizeof properties / sizeof *properties, NULL, 0);
}
