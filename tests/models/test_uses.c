/* test_uses.c: what comes for free with a model: that it is there, that it is refused with a name where a part is
 * missing, and that hooks take the place of what is derived.
 *
 * Whether the numbers are true is test_truth.c. Read next: models/uses.h.
 */
#include "tests/models/fixture.h"

#include <math.h>
#include <string.h>

#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "models/uses.h"
#include "models/vae.h"
#include "tensor/mem.h"

enum { BATCH = 5, NX = 3, NZ = 2 };

typedef struct bench {
    tp_model m;
    tp_tape *tape;
    tp_tensor x;
    tp_ctx c;
} bench;

static void start(bench *b, const tp_model_type *type)
{
    assert_ok(tp_model_init(&b->m, type, tiny(TP_TANH, TP_BERNOULLI), TP_F64, 1));
    assert_ok(tp_tape_new(&b->tape));
    b->x = uniform(TP_F64, BATCH, NX, 1);
    b->c = tp_ctx_eval(b->tape, 1, 0);
}

static void stop(bench *b)
{
    tp_tape_free(b->tape);
    tp_tensor_free(&b->x);
    tp_model_free(&b->m);
}

static bool shaped(tp_var v, tp_shape s)
{
    assert_ok(tp_var_status(v));
    return tp_shape_equal(tp_shape_of(v), s);
}

/* --- types that lack something ------------------------------------------------------------------------- */

static tp_var hook_code(void *self, tp_ctx *c, tp_var x)
{
    (void)self, (void)c;
    return tp_slice(x, 1, 0, NZ, 1);
}

static tp_dist hook_generate(void *self, tp_ctx *c, int64_t n)
{
    (void)self;
    return tp_bernoulli_logits(tp_full(c->tape, TP_F64, TP_SHAPE(n, NX), 4));
}

static tp_log_densities hook_densities(void *self, tp_ctx *c, tp_dist q, tp_var x, int64_t k)
{
    (void)self, (void)q;
    tp_shape shape = TP_SHAPE(k, tp_shape_of(x).dim[0]);
    return (tp_log_densities){.logprob = tp_full(c->tape, TP_F64, shape, -7)};
}

static tp_var hook_logprob(void *self, tp_ctx *c, tp_var x)
{
    (void)self, (void)c;
    return tp_neg(tp_sum(x, TP_AXES(1), false));
}

static tp_var hook_kl(void *self, tp_ctx *c, tp_var x)
{
    (void)self, (void)c;
    return tp_scale(x, 2);
}

static tp_dist flat_prior(void *self, tp_ctx *c)
{
    (void)self;
    return tp_uniform_between(tp_full(c->tape, TP_F64, TP_SHAPE(NZ), -50),
                              tp_full(c->tape, TP_F64, TP_SHAPE(NZ), 50));
}

/* A VAE of parts: bits of what it has. */
enum { POSTERIOR = 1, PRIOR = 2, DECODER = 4, ALL = 7 };

static tp_model_type parts(int has)
{
    tp_model_type t = tp_model_vae;
    t.name = "parts";
    t.posterior = has & POSTERIOR ? t.posterior : NULL;
    t.prior = has & PRIOR ? t.prior : NULL;
    t.decode = has & DECODER ? t.decode : NULL;
    return t;
}

static void test_has(void **state)
{
    (void)state;
    for (int has = 0; has <= ALL; has++) {
        tp_model_type t = parts(has);
        assert_true(tp_model_has_code(&t) == ((has & POSTERIOR) != 0));
        assert_true(tp_model_has_samples(&t) == ((has & PRIOR) && (has & DECODER)));
        assert_true(tp_model_has_weights(&t) == (has == ALL));
        assert_true(tp_model_has_nll(&t) == (has == ALL));
        t.code = hook_code;
        t.generate = hook_generate;
        assert_true(tp_model_has_code(&t) && tp_model_has_samples(&t));
        assert_true(tp_model_has_nll(&t) == (has == ALL));
        t.logprob = hook_logprob;
        assert_true(tp_model_has_nll(&t) && tp_model_has_weights(&t) == (has == ALL));
        t.logprob = NULL;
        t.densities = hook_densities;
        assert_true(tp_model_has_nll(&t) && tp_model_has_weights(&t));
    }
}

/* What there is of type t is poisoned for want of a part, and says so. */
static void refused(bench *b, tp_var got, const char *says)
{
    assert_status(tp_var_status(got), TP_EARG);
    assert_non_null(strstr(tp_tape_message(b->tape), says));
    tp_tape_reset(b->tape);
}

static void test_refusals(void **state)
{
    (void)state;
    const char *const no_posterior = "model 'parts' has no posterior",
                      *const no_prior = "model 'parts' has no prior",
                      *const no_decoder = "model 'parts' has no decoder",
                      *const no_weights =
                          "model 'parts' has no posterior over a latent variable with a prior";
    for (int has = 0; has < ALL; has++) {
        bench b;
        tp_model_type t = parts(has);
        start(&b, &t);
        const tp_tensor *x = &b.x;
        if (!(has & POSTERIOR)) {
            refused(&b, tp_dist_mean(tp_model_posterior(&b.m, &b.c, tp_constant(b.tape, x))),
                    no_posterior);
            refused(&b, tp_model_code(&b.m, &b.c, tp_constant(b.tape, x)), no_posterior);
            refused(&b, tp_model_reconstruct(&b.m, &b.c, tp_constant(b.tape, x)), no_posterior);
        }
        if (!(has & PRIOR)) {
            refused(&b, tp_dist_mean(tp_model_prior(&b.m, &b.c)), no_prior);
            refused(&b, tp_dist_mean(tp_model_generate(&b.m, &b.c, 2)), no_prior);
        }
        if (!(has & DECODER)) {
            tp_var z = tp_full(b.tape, TP_F64, TP_SHAPE(2, NZ), 0);
            refused(&b, tp_dist_mean(tp_model_decode(&b.m, &b.c, z)), no_decoder);
        }
        if (has == (POSTERIOR | PRIOR)) {
            refused(&b, tp_model_reconstruct(&b.m, &b.c, tp_constant(b.tape, x)), no_decoder);
            refused(&b, tp_dist_mean(tp_model_generate(&b.m, &b.c, 2)), no_decoder);
        }
        refused(&b, tp_model_log_weight(&b.m, &b.c, tp_constant(b.tape, x), 3), no_weights);
        stop(&b);
    }
}

/* --- what is derived, and what hooks say instead --------------------------------------------------------- */

static void test_codes(void **state)
{
    (void)state;
    bench b;
    tp_model_type hooked = parts(ALL);
    hooked.code = hook_code;
    start(&b, &tp_model_vae);
    tp_var x = tp_constant(b.tape, &b.x), code = tp_model_code(&b.m, &b.c, x);
    assert_true(shaped(code, TP_SHAPE(BATCH, NZ)));
    tp_dist q = tp_vae_posterior(b.m.self, &b.c, x);
    assert_true(equal_bits(tp_value(code), tp_value(q.param[0])));
    tp_var back = tp_model_reconstruct(&b.m, &b.c, x);
    assert_true(shaped(back, TP_SHAPE(BATCH, NX)));
    tp_var mean = tp_dist_mean(tp_vae_decode(b.m.self, &b.c, code));
    assert_true(equal_bits(tp_value(back), tp_value(mean)));
    assert_int_equal(b.c.key.draw, 0); /* nothing was drawn */
    b.m.type = &hooked;
    code = tp_model_code(&b.m, &b.c, x);
    assert_true(tp_flat(tp_value(code), 3) == tp_flat(&b.x, 4));
    mean = tp_dist_mean(tp_vae_decode(b.m.self, &b.c, code));
    assert_true(equal_bits(tp_value(tp_model_reconstruct(&b.m, &b.c, x)), tp_value(mean)));
    stop(&b);
}

/* n pictures out of n draws: each another one, the same for the same key. */
static void test_generate(void **state)
{
    (void)state;
    bench b;
    tp_model_type hooked = parts(0);
    hooked.generate = hook_generate;
    start(&b, &tp_model_vae);
    for (int64_t n = 1; n <= 7; n += 3) {
        tp_ctx again = b.c, other = tp_ctx_eval(b.tape, 1, 5);
        tp_var first = tp_dist_mean(tp_model_generate(&b.m, &b.c, n));
        tp_var second = tp_dist_mean(tp_model_generate(&b.m, &again, n));
        tp_var third = tp_dist_mean(tp_model_generate(&b.m, &other, n));
        assert_true(shaped(first, TP_SHAPE(n, NX)));
        assert_true(equal_bits(tp_value(first), tp_value(second)));
        assert_true(again.key.draw > 0 && !equal_bits(tp_value(first), tp_value(third)));
        for (int64_t i = 1; i < n; i++)
            assert_true(tp_flat(tp_value(first), i * NX) != tp_flat(tp_value(first), 0));
        b.c = tp_ctx_eval(b.tape, 1, 0);
    }
    assert_status(tp_var_status(tp_dist_mean(tp_model_generate(&b.m, &b.c, 0))), TP_EARG);
    tp_tape_reset(b.tape);
    b.m.type = &hooked;
    tp_var mean = tp_dist_mean(tp_model_generate(&b.m, &b.c, 4));
    assert_true(shaped(mean, TP_SHAPE(4, NX)));
    assert_close(tp_flat(tp_value(mean), 0), 1 / (1 + exp(-4)), 1e-15, 0);
    stop(&b);
}

static void test_weights(void **state)
{
    (void)state;
    bench b;
    tp_model_type hooked = parts(ALL);
    hooked.densities = hook_densities;
    start(&b, &tp_model_vae);
    tp_ctx again = b.c;
    tp_var x = tp_constant(b.tape, &b.x), w = tp_model_log_weight(&b.m, &b.c, x, 4);
    tp_var same = tp_type_log_weight(&tp_model_vae, b.m.self, &again, x, 4);
    assert_true(shaped(w, TP_SHAPE(4, BATCH)) && equal_bits(tp_value(w), tp_value(same)));
    assert_true(tp_flat(tp_value(w), 0) != tp_flat(tp_value(w), BATCH)); /* draws of their own */
    assert_ok(tp_backward(tp_sum(w, TP_ALL_AXES, false)));
    for (int i = 0; i < b.m.params.n; i++) /* reparameterized: encoder and decoder alike */
        assert_non_null(tp_parameter_grad(b.m.params.item[i]));
    b.m.type = &hooked;
    w = tp_model_log_weight(&b.m, &b.c, x, 3);
    assert_true(shaped(w, TP_SHAPE(3, BATCH)) && tp_flat(tp_value(w), 0) == -7);
    stop(&b);
}

/* Per dimension, and their sum is the term of the loss. */
static void test_kl(void **state)
{
    (void)state;
    bench b;
    tp_model_type type = parts(ALL);
    start(&b, &tp_model_vae);
    tp_var x = tp_constant(b.tape, &b.x), kl = {0};
    assert_true(tp_model_kl(&b.m, &b.c, x, &kl));
    tp_var code, again;
    tp_model_latents(&b.m, &b.c, x, &code, &again);
    assert_true(equal_bits(tp_value(kl), tp_value(again)));
    assert_true(equal_bits(tp_value(code), tp_value(tp_model_code(&b.m, &b.c, x))));
    assert_true(shaped(kl, TP_SHAPE(BATCH, NZ)));
    tp_objective o = tp_model_loss(&b.m, &b.c, x);
    assert_string_equal(o.term[1].name, "kl");
    double sum = tp_item_of(tp_sum(kl, TP_ALL_AXES, false));
    assert_close(sum / BATCH, tp_item_of(o.term[1].value), 0, 1e-14);
    /* no closed form, no prior, no posterior: nothing is known, and nothing fails */
    b.m.type = &type;
    type.prior = flat_prior;
    assert_false(tp_model_kl(&b.m, &b.c, x, &kl));
    type = parts(POSTERIOR | DECODER);
    assert_false(tp_model_kl(&b.m, &b.c, x, &kl));
    type = parts(PRIOR | DECODER);
    assert_false(tp_model_kl(&b.m, &b.c, x, &kl));
    assert_ok(tp_tape_status(b.tape));
    type.kl = hook_kl;
    assert_true(tp_model_kl(&b.m, &b.c, x, &kl));
    assert_true(tp_flat(tp_value(kl), 1) == 2 * tp_flat(&b.x, 1));
    stop(&b);
}

/* --- over a data set ------------------------------------------------------------------------------------ */

/* room: bytes that may be taken; 0: as many as there are */
static tp_status nll_within(bench *b, int64_t samples, size_t room, double *out)
{
    tp_dataset d = {.x = b->x};
    tp_batches batches;
    assert_ok(tp_batches_init(&batches, &d, 2, TP_F64));
    tp_mem_set_budget(room > 0 ? tp_mem().live_bytes + room : 0);
    tp_status s = tp_model_nll(&b->m, b->tape, &batches, 1, samples, out);
    tp_mem_set_budget(0);
    tp_batches_free(&batches);
    return s;
}

static tp_status nll(bench *b, int64_t samples, double *out)
{
    return nll_within(b, samples, 0, out);
}

static void test_nll(void **state)
{
    (void)state;
    bench b;
    double out = 0.5;
    tp_model_type type = parts(0);
    start(&b, &tp_model_vae);
    assert_ok(nll(&b, 3, &out));
    assert_true(out > 0 && out < 20);
    out = 0.5;
    for (int64_t samples = -1; samples <= 0; samples++)
        assert_status(nll(&b, samples, &out), TP_EARG);
    assert_message("log p(x) from 0 samples: 1 or more needed");
    b.m.type = &type;
    assert_status(nll(&b, 3, &out), TP_EARG);
    assert_message("model 'parts' has no posterior over a latent variable with a prior");
    b.m.type = &tp_model_vae;
    assert_status(nll_within(&b, 3, 1, &out), TP_ENOMEM);
    assert_true(out == 0.5); /* all or nothing */
    b.m.type = &type;
    type.logprob = hook_logprob;
    assert_ok(nll(&b, 1, &out));
    double want = 0;
    for (int i = 0; i < BATCH * NX; i++)
        want += tp_flat(&b.x, i) / BATCH;
    assert_close(out, want, 0, 1e-14);
    stop(&b);
}

/* The log-density is minus the label, which follows the example, whose number is its first element. */
static tp_var by_label(void *self, tp_ctx *c, tp_var x)
{
    (void)self;
    const tp_tensor *index = tp_value(tp_ctx_index(c));
    tp_var labels = tp_ctx_labels(c);
    for (int64_t i = 0; i < tp_numel(index); i++)
        assert_true(tp_flat(index, i) == tp_flat(tp_value(x), i * NX));
    tp_var hot = tp_one_hot(labels, 10, TP_F64); /* [batch, 10] */
    tp_var number = tp_cumsum(tp_ones_like(hot), 1);
    return tp_neg(tp_sum(tp_mul(hot, number), TP_AXES(1), false));
}

static void test_labels(void **state)
{
    (void)state;
    bench b;
    tp_batches batches;
    double out;
    tp_model_type type = parts(0);
    type.logprob = by_label;
    start(&b, &type);
    tp_dataset d = {.x = b.x};
    assert_ok(tp_tensor_new(&d.labels, TP_U8, TP_SHAPE(BATCH)));
    for (int i = 0; i < BATCH; i++) {
        assert_ok(tp_set_flat(&d.labels, i, 9 - i));
        assert_ok(tp_set_flat(&d.x, i * NX, i));
    }
    assert_ok(tp_batches_init(&batches, &d, 2, TP_F64));
    tp_batches_shuffle(&batches, 1, 1); /* nll goes in stored order all the same */
    assert_ok(tp_model_nll(&b.m, b.tape, &batches, 1, 1, &out));
    assert_close(out, 8, 0, 1e-15); /* the mean of 10, 9, 8, 7, 6 */
    tp_batches_free(&batches);
    tp_tensor_free(&d.labels);
    assert_status(nll(&b, 1, &out), TP_EARG);
    assert_message("the labels of the batch are needed");
    stop(&b);
}

/* A draw from which x is impossible weighs nothing, wherever it comes among the draws; if all are, so is x. */
static double weight_of[40];

static tp_log_densities given_weight(void *self, tp_ctx *c, tp_dist q, tp_var x, int64_t k)
{
    (void)self, (void)q;
    tp_var all[40];
    static int next;
    next = c->key.draw == 0 ? 0 : next;
    for (int64_t i = 0; i < k; i++) {
        all[i] = tp_full(c->tape, TP_F64, TP_SHAPE(1, tp_shape_of(x).dim[0]), weight_of[next++]);
        tp_ctx_draw(c);
    }
    return (tp_log_densities){.logprob = tp_concat(all, (int)k, 0)};
}

static void test_impossible_draws(void **state)
{
    (void)state;
    bench b;
    tp_model_type type = parts(0);
    double out;
    type.densities = given_weight;
    start(&b, &type);
    for (int at = 0; at < 40; at++) {
        for (int i = 0; i < 40; i++)
            weight_of[i] = i == at ? -INFINITY : -800;
        assert_ok(nll(&b, 40, &out));
        assert_close(out, 800 - log(39 / 40.0), 1e-12, 0);
    }
    for (int i = 0; i < 40; i++)
        weight_of[i] = -INFINITY;
    assert_ok(nll(&b, 40, &out));
    assert_true(out == INFINITY);
    weight_of[17] = NAN;
    assert_ok(nll(&b, 40, &out));
    assert_true(isnan(out));
    stop(&b);
}

/* --- gradient checks ------------------------------------------------------------------------------------- */

/* z is drawn without reparameterization: the encoder gets the gradient of the KL only. */
static tp_objective severed_loss(void *self, tp_ctx *c, tp_var x)
{
    tp_dist q = tp_vae_posterior(self, c, x);
    tp_var z = tp_dist_sample(q, c);
    return tp_negative_elbo(tp_dist_logprob(tp_vae_decode(self, c, z), x),
                            tp_kl(q, tp_normal_standard(z)), tp_elbo_defaults());
}

/* The report of a gradient that is wrong says what the message says. */
static void test_gradcheck_reports(void **state)
{
    (void)state;
    bench b;
    tp_model_type type = tp_model_vae;
    tp_check_report r = {0};
    type.loss = severed_loss;
    start(&b, &type);
    tp_batch batch = {.x = b.x, .n = BATCH};
    assert_status(tp_model_gradcheck(&b.m, &batch, (tp_check_opts){0}, &r), TP_EVALUE);
    assert_true(r.worst > 1 && r.analytic != r.numeric && r.checked > 0);
    assert_non_null(strstr(tp_last_error(), r.parameter));
    stop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_has),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_generate),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_kl),
        cmocka_unit_test(test_nll),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_impossible_draws),
        cmocka_unit_test(test_gradcheck_reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
