/* test_conformance.c: what every row of models.def must be: described, differentiable, the same each time, kept by its
 * file, left alone by an evaluation.
 *
 * Whether its loss is a mean over examples: test_additive.c. What it refuses: test_model_refusals.c. What can be done with
 * it: test_model_uses.c. Whether it learns: test_overfit.c, test_digits.c.
 */
#include "tests/models/conformance.h"

#include "autograd/check.h"
#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "models/vae.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"

/* --- what the row says ----------------------------------------------------------------------------------- */

static bool said(const char *text)
{
    return text != NULL && *text != '\0' && strchr(text, '\n') == NULL;
}

/* The file of that name below the source tree as one string; the caller frees it. */
static char *source(const char *folder, const char *name)
{
    enum { MOST = 1 << 20 };
    char path[500], *text = malloc(MOST);
    assert_non_null(text);
    snprintf(path, sizeof path, "%s/%s/%s.c", TAPIR_SOURCE_DIR, folder, name);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        fail_msg("there is no %s", path);
    size_t n = fread(text, 1, MOST - 1, f);
    fclose(f);
    text[n] = '\0';
    return text;
}

/* Whether training takes a flag of that name, by the table in the tool's source: a row is name, word for the value or NULL,
 * commands. Flags of other commands cannot be meant where a model's options are set. */
static bool is_flag(const char *name)
{
    char begin[100], *text = source("examples/vae", "options");
    bool flag = false;
    snprintf(begin, sizeof begin, "    {\"%s\",", name);
    for (const char *at = text; !flag && (at = strstr(at, begin)) != NULL;) {
        at += strlen(begin);
        const char *word = at + strspn(at, " "), *end = NULL, *train;
        if (*word != '"' || (word = strchr(word + 1, '"')) == NULL)
            continue;
        if ((train = strstr(word, "TRAIN")) != NULL)
            end = strchr(word + 2, ','); /* behind the commands */
        flag = end != NULL && train < end;
    }
    free(text);
    return flag;
}

static void check_options(const tp_model_type *type)
{
    const tp_model_option *o = type->options;
    for (int i = 0; o != NULL && o[i].name != NULL; i++) {
        assert_true(i < TP_MODEL_OPTIONS);
        if (!said(o[i].name) || !said(o[i].text) || !(o[i].min <= o[i].value) ||
            !(o[i].value <= o[i].max) || is_flag(o[i].name))
            fail_msg("option '%s': a text, min <= default <= max and a name that is no flag of "
                     "the tool needed",
                     o[i].name);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(o[i].name, o[j].name);
    }
}

static void described(const tp_model_type *type, tp_likelihood likelihood)
{
    (void)likelihood;
    assert_true(said(type->name) && said(type->summary));
    assert_true(said(type->objective) && said(type->source));
    assert_ptr_equal(tp_model_find(type->name), type);
    assert_true(type->size > 0 && type->init != NULL && type->loss != NULL);
    check_options(type);
    char *text = source("models", type->name);
    int lines = 0;
    for (const char *p = text; *p != '\0'; p++)
        lines += *p == '\n';
    free(text);
    if (lines > 150)
        fail_msg("models/%s.c has %d lines: architecture only, at most 150", type->name, lines);
}

static void test_described_can_fail(void **state)
{
    (void)state;
    assert_true(is_flag("latent-dim") && is_flag("hidden") && is_flag("lr"));
    assert_true(!is_flag("latent") && !is_flag("height") && !is_flag("chains"));
    assert_false(said("two\nlines") || said("") || said(NULL));
}

/* --- gradients ------------------------------------------------------------------------------------------ */

static bool begins(const char *name, const char *prefix)
{
    return prefix != NULL && strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Whether a parameter is the adversary's: "<adversary>.…". */
static bool is_adversary(const tp_model_type *type, const char *name)
{
    return begins(name, type->adversary) && name[strlen(type->adversary)] == '.';
}

/* What one side minimises: the adversary's term, or all others; late, when all that is faded in counts. */
typedef struct game {
    specimen *s;
    bool adversary;
} game;

static tp_var side(tp_tape *t, void *user)
{
    const game *g = user;
    const tp_model_type *type = g->s->model.type;
    tp_ctx c = train_ctx(t, &g->s->batch, 7);
    tp_objective o = tp_model_loss(&g->s->model, &c, tp_constant(t, &g->s->batch.x));
    tp_var sum = {0};
    if (type->adversary == NULL)
        return o.total;
    for (int i = 0; i < o.terms; i++) {
        bool its = strcmp(o.term[i].name, type->adversary) == 0;
        if (its != g->adversary || o.term[i].weight == 0)
            continue;
        tp_var v = tp_scale(o.term[i].value, o.term[i].weight);
        sum = sum.tape == NULL ? v : tp_add(sum, v);
    }
    return sum;
}

/* Every parameter against differences of what its side minimises: element by element, or where a side has thousands of
 * them whatever the instance, in random directions. */
static bool differences_agree(specimen *s, char why[WHY])
{
    const tp_check_opts opts = {.all_up_to = SANITIZED ? 20 : 500};
    tp_batch batch = {s->batch.x, s->batch.index, s->batch.labels, BATCH};
    tp_check_report report;
    tp_status status = tp_model_gradcheck(&s->model, &batch, opts, &report);
    if (status == TP_OK && report.skipped_kinks == 0)
        return true;
    snprintf(why, WHY, "%s",
             status == TP_OK ? "elements at kinks, in spite of a smooth activation"
                             : tp_last_error());
    return false;
}

static bool all_zero(const tp_tensor *g)
{
    for (int64_t i = 0; i < tp_numel(g); i++)
        if (tp_flat(g, i) != 0)
            return false;
    return true;
}

/* Each side's terms reach all of its own parameters, estimated ones included, and not one of the other side. */
static bool sides_apart(specimen *s, char why[WHY])
{
    const tp_model_type *type = s->model.type;
    const tp_params *ps = &s->model.params;
    for (int a = 0; a <= (type->adversary != NULL); a++) {
        game g = {s, a == 1};
        tp_tape_reset(s->tape);
        tp_params_zero_grad(ps);
        assert_ok(tp_backward(side(s->tape, &g)));
        for (int i = 0; i < ps->n; i++) {
            const char *name = ps->item[i]->name;
            const tp_tensor *grad = tp_parameter_grad(ps->item[i]);
            bool reached = grad != NULL && !all_zero(grad);
            if (reached == (is_adversary(type, name) == g.adversary))
                continue;
            snprintf(why, WHY, "%s: %s gradient from the terms of %s", name, reached ? "a" : "no",
                     g.adversary ? type->adversary : "the model");
            return false;
        }
    }
    return true;
}

static void gradients(const tp_model_type *type, tp_likelihood likelihood)
{
    if (SANITIZED && likelihood != tp_model_defaults(type).likelihood)
        skip(); /* another likelihood runs the same lines of the model */
    for (int i = 0; i <= type->beta; i++) {
        specimen s;
        char why[WHY];
        tp_model_config config = tiny_of(type, likelihood);
        config.beta = i == 0 ? 1 : 2.5;
        specimen_make(&s, type, config, TP_F64);
        if (!differences_agree(&s, why) || !sides_apart(&s, why))
            fail_msg("%s", why);
        specimen_free(&s);
    }
}

/* The controls: a VAE with a critic of its codes, which is right or wrong in one way after another. */
typedef enum fault {
    NO_FAULT,
    CRITIC_TRAINS_ENCODER, /* the critic's loss is not kept from the encoder */
    ENCODER_TRAINS_CRITIC, /* the encoder's is not kept from the critic */
    WRONG_SLOPE,           /* another derivative than that of the value, by 1e-6 */
    DEAD_PARAMETER
} fault;
static fault broken;

typedef struct judged {
    tp_vae vae;
    tp_nn_linear critic;
} judged;

static tp_status judged_init(void *self, tp_params *ps, const tp_model_config *config)
{
    judged *m = self;
    TP_TRY(tp_vae_init(&m->vae, ps, config));
    return tp_nn_linear_init(&m->critic, ps, "critic", config->latent_dim, 1);
}

static tp_var verdict(judged *m, tp_ctx *c, tp_var z)
{
    return tp_mean(tp_softplus(tp_nn_linear_apply(&m->critic, c, z)), TP_ALL_AXES, false);
}

static tp_objective judged_loss(void *self, tp_ctx *c, tp_var x)
{
    judged *m = self;
    tp_vae_pass v = tp_vae_forward(self, c, x);
    bool frozen = broken != ENCODER_TRAINS_CRITIC;
    if (frozen)
        tp_ctx_freeze(c);
    tp_var fool = verdict(m, c, v.z);
    if (frozen)
        tp_ctx_thaw(c);
    if (broken == WRONG_SLOPE)
        fool = tp_add(fool, tp_scale(tp_sub(fool, tp_detach(fool)), 1e-6));
    tp_var real = verdict(m, c, tp_full(c->tape, TP_F64, tp_shape_of(v.z), 0.5));
    tp_var own = verdict(m, c, broken == CRITIC_TRAINS_ENCODER ? v.z : tp_detach(v.z));
    const tp_term terms[] = {
        {"recon", tp_neg(tp_mean(v.logprob, TP_ALL_AXES, false)), broken == DEAD_PARAMETER ? 0 : 1},
        {"kl", tp_mean(v.kl, TP_ALL_AXES, false), 1},
        {"fool", fool, 0.5},
        {"critic", tp_sub(own, real), 1}};
    return tp_objective_of(4, terms);
}

static const tp_model_type judged_type = {.name = "judged",
                                          .size = sizeof(judged),
                                          .init = judged_init,
                                          .loss = judged_loss,
                                          .posterior = tp_vae_posterior,
                                          .prior = tp_vae_prior,
                                          .decode = tp_vae_decode,
                                          .adversary = "critic"};

static void test_leaks_are_found(void **state)
{
    (void)state;
    static const char *const says[] = {
        [CRITIC_TRAINS_ENCODER] = "encoder.0.weight: a gradient from the terms of critic",
        [ENCODER_TRAINS_CRITIC] = "critic.weight: a gradient from the terms of the model",
        [DEAD_PARAMETER] = "decoder.0.weight: no gradient from the terms of the model",
    };
    for (broken = NO_FAULT; broken <= DEAD_PARAMETER; broken++) {
        specimen s;
        char why[WHY] = "";
        specimen_make(&s, &judged_type, tiny_of(&judged_type, TP_BERNOULLI), TP_F64);
        bool agree = broken == DEAD_PARAMETER || differences_agree(&s, why);
        bool good = agree && sides_apart(&s, why);
        assert_int_equal(good, broken == NO_FAULT);
        assert_int_equal(agree, broken != WRONG_SLOPE);
        if (says[broken] != NULL)
            assert_string_equal(why, says[broken]);
        specimen_free(&s);
    }
    broken = NO_FAULT;
}

/* --- files and steps ------------------------------------------------------------------------------------- */

/* What was trained, so that buffers are not what they were made as, comes back from its file bit by bit. */
static void kept(const tp_model_type *type, tp_likelihood likelihood)
{
    const char *path = test_tmp("model.safetensors");
    for (int d = TP_F32; d <= TP_F64; d++) {
        specimen a, b;
        tp_model_config config = tiny_of(type, likelihood);
        specimen_make(&a, type, config, (tp_dtype)d);
        specimen_make(&b, type, config, (tp_dtype)d);
        train_on(&a.model, &a.batch, (tp_dtype)d, 1e-2, 3);
        assert_false(same_state(&a.model.params, &b.model.params));
        assert_ok(tp_params_save(&a.model.params, path, NULL));
        assert_ok(tp_params_load(&b.model.params, path));
        assert_true(same_state(&a.model.params, &b.model.params));
        assert_true(loss_of(&a, &a.batch, TP_EVAL, 1, NULL) ==
                    loss_of(&b, &b.batch, TP_EVAL, 1, NULL));
        specimen_free(&a);
        specimen_free(&b);
    }
}

/* One seed, one set of bytes, before and after three steps, whatever the number of threads; another seed, others. The
 * instance is large enough to be cut into chunks. */
static void repeatable(const tp_model_type *type, tp_likelihood likelihood)
{
    enum { HEIGHT = 10, WIDTH = 53, ROWS = 67 };
    tp_model_config config = tiny_of(type, likelihood);
    tp_model m[3];
    shaped(&config, 1, HEIGHT, WIDTH);
    config.hidden[0] = 65;
    config.latent_dim = 3;
    config.examples = ROWS;
    examples e = examples_of(likelihood, TP_F32, ROWS, HEIGHT * WIDTH);
    for (int i = 0; i < 3; i++) {
        assert_ok(tp_model_init(&m[i], type, config, TP_F32, i < 2 ? 1 : 2));
        if (i > 0)
            assert_int_equal(same_state(&m[i].params, &m[0].params), i == 1);
        for (int k = 0; i > 0 && k < m[0].params.n; k++)
            assert_string_equal(m[i].params.item[k]->name, m[0].params.item[k]->name);
    }
    for (int i = 0; i < 2; i++) {
        assert_ok(tp_set_threads(i + 1));
        train_on(&m[i], &e, TP_F32, 1e-3, 3);
    }
    assert_ok(tp_set_threads(1));
    assert_true(same_state(&m[0].params, &m[1].params));
    for (int i = 0; i < 3; i++)
        tp_model_free(&m[i]);
    examples_free(&e);
}

/* --- evaluation ------------------------------------------------------------------------------------------- */

/* Everything there is in eval mode, and the end of a step behind it: parameters and buffers stay, and so does the loss. */
static void untouched(const tp_model_type *type, tp_likelihood likelihood)
{
    specimen s, before;
    double nll;
    tp_stats stats;
    tp_batches b;
    specimen_make(&s, type, tiny_of(type, likelihood), TP_F64);
    specimen_make(&before, type, tiny_of(type, likelihood), TP_F64);
    tp_dataset d = dataset_of(&s.batch);
    assert_ok(tp_batches_init(&b, &d, 4, TP_F64));
    tp_trainer t = {.tape = s.tape, .loss = tp_model_loss, .model = &s.model, .seed = 1};
    assert_ok(tp_evaluate(&t, &b, &stats));
    tp_params_commit(&s.model.params, s.tape);
    if (tp_model_has_nll(type))
        assert_ok(tp_model_nll(&s.model, s.tape, &b, 1, 3, &nll));
    tp_params_commit(&s.model.params, s.tape);
    tp_tape_reset(s.tape);
    tp_ctx c = eval_ctx(s.tape, &s.batch, 1);
    if (tp_model_has_code(type))
        tp_model_reconstruct(&s.model, &c, tp_constant(s.tape, &s.batch.x));
    tp_model_loss(&s.model, &c, tp_constant(s.tape, &s.batch.x));
    assert_ok(tp_tape_status(s.tape));
    tp_params_commit(&s.model.params, s.tape);
    assert_true(same_state(&s.model.params, &before.model.params));
    tp_batches_free(&b);
    tp_dataset_free(&d);
    specimen_free(&s);
    specimen_free(&before);
}

/* --- options ------------------------------------------------------------------------------------------------ */

/* Each option at both ends of its range gives a model with a finite loss, or a refusal that names it: or the message that
 * it wants more memory than most have. */
static void ends_of_options(const tp_model_type *type, tp_likelihood likelihood)
{
    enum { MEGABYTES = 16 };
    const tp_model_option *o = type->options;
    for (int i = 0; o != NULL && o[i].name != NULL; i++)
        for (int end = 0; end < 2; end++) {
            tp_model_config config = tiny_of(type, likelihood);
            double value = end == 0 ? o[i].min : o[i].max;
            specimen s;
            specimen_make(&s, type, config, TP_F32);
            tp_model_free(&s.model);
            assert_ok(tp_model_set(&config, type, o[i].name, value));
            tp_mem_set_budget(tp_mem().live_bytes + (MEGABYTES << 20));
            tp_status status = tp_model_init(&s.model, type, config, TP_F32, 1);
            bool refused = status == TP_EARG && strstr(tp_last_error(), o[i].name) != NULL;
            if (status == TP_OK) {
                tp_ctx c = train_ctx(s.tape, &s.batch, 1);
                tp_var x = tp_constant(s.tape, &s.batch.x);
                status = tp_var_finite(tp_model_loss(&s.model, &c, x).total);
            }
            tp_mem_set_budget(0);
            if (status != TP_OK && status != TP_ENOMEM && !refused)
                fail_msg("%s = %g: %s", o[i].name, value, tp_last_error());
            specimen_free(&s);
        }
}

int main(void)
{
    static const property properties[] = {
        {"described", described, true},          {"gradients", gradients, false},
        {"kept by its file", kept, false},       {"the same each time", repeatable, true},
        {"untouched by eval", untouched, false}, {"ends of options", ends_of_options, true},
    };
    const struct CMUnitTest more[] = {
        cmocka_unit_test(test_described_can_fail),
        cmocka_unit_test(test_leaks_are_found),
    };
    return rows_run(properties, sizeof properties / sizeof *properties, more,
                    sizeof more / sizeof *more);
}
