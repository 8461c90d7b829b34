/* test_vq_vae.c: what gradient the encoder gets, what the codebook learns and when, and which bound the weights are.
 *
 * The codebook by itself is tests/nn/test_codebook.c. Read next: models/vq_vae.c.
 */
#include "tests/models/fixture.h"

#include <math.h>
#include <string.h>

#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "models/uses.h"
#include "nn/checkpoint.h"

enum { NX = 3, NZ = 2, WIDTH = 2, CODES = 3, BATCH = 4 };

/* A 3-4-(2 of 3 codes of 2)-4-3 model. */
static void make(tp_model *m, tp_dtype dtype, uint64_t seed, double commitment)
{
    tp_model_config config = tp_model_defaults(&tp_model_vq_vae), t = tiny(TP_TANH, TP_BERNOULLI);
    config.data_dim = t.data_dim;
    config.hidden[0] = t.hidden[0];
    config.latent_dim = NZ;
    config.activation = TP_TANH;
    assert_ok(tp_model_set(&config, &tp_model_vq_vae, "codes", CODES));
    assert_ok(tp_model_set(&config, &tp_model_vq_vae, "code_width", WIDTH));
    assert_ok(tp_model_set(&config, &tp_model_vq_vae, "commitment", commitment));
    assert_ok(tp_model_set(&config, &tp_model_vq_vae, "decay", 0.9));
    assert_ok(tp_model_init(m, &tp_model_vq_vae, config, dtype, seed));
}

static tp_parameter *parameter(const tp_model *m, const char *name)
{
    tp_parameter *p = tp_params_find(&m->params, name);
    assert_non_null(p);
    return p;
}

static const tp_tensor *buffer(const tp_model *m, const char *name)
{
    const tp_buffer *b = tp_params_find_buffer(&m->params, name);
    assert_non_null(b);
    return &b->value;
}

/* Then the encoder gives its last bias whatever x is: z is known. */
static const double Z[NZ * WIDTH] = {0.31, -0.42, -0.77, 0.18};

static void pin_encoder(tp_model *m)
{
    assert_ok(tp_fill(&parameter(m, "encoder.2.weight")->value, 0));
    for (int64_t i = 0; i < NZ * WIDTH; i++)
        assert_ok(tp_set_flat(&parameter(m, "encoder.2.bias")->value, i, Z[i]));
}

/* The codes nearest to Z, and ‖Z − e‖². */
static double nearest(const tp_model *m, double e[NZ * WIDTH])
{
    const tp_tensor *n = buffer(m, "codebook.counts"), *sums = buffer(m, "codebook.sums");
    double all = 0, distance = 0;
    for (int64_t k = 0; k < CODES; k++)
        all += tp_flat(n, k);
    for (int j = 0; j < NZ; j++) {
        double least = INFINITY;
        for (int64_t k = 0; k < CODES; k++) {
            double count = (tp_flat(n, k) + 1e-5) * all / (all + CODES * 1e-5);
            double a = tp_flat(sums, k * WIDTH) / count, b = tp_flat(sums, k * WIDTH + 1) / count;
            double far = pow(Z[j * WIDTH] - a, 2) + pow(Z[j * WIDTH + 1] - b, 2);
            if (far < least)
                least = far, e[j * WIDTH] = a, e[j * WIDTH + 1] = b;
        }
        distance += least;
    }
    return distance;
}

/* Mean −log p(x|z) over the batch. */
static double recon_at(tp_model *m, const tp_tensor *x, const double z[NZ * WIDTH])
{
    tp_tape *t;
    tp_tensor at;
    assert_ok(tp_tape_new(&t));
    assert_ok(tp_tensor_new(&at, TP_F64, TP_SHAPE(BATCH, NZ * WIDTH)));
    for (int64_t i = 0; i < BATCH * NZ * WIDTH; i++)
        assert_ok(tp_set_flat(&at, i, z[i % (NZ * WIDTH)]));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_dist p = tp_model_decode(m, &c, tp_constant(t, &at));
    double mean = -tp_item_of(tp_mean(tp_data_logprob(p, tp_constant(t, x)), TP_ALL_AXES, false));
    tp_tape_free(t);
    tp_tensor_free(&at);
    return mean;
}

/* --- the loss and its gradients ------------------------------------------------------------------- */

static tp_objective loss(tp_model *m, tp_tape *t, const tp_tensor *x)
{
    tp_tape_reset(t);
    tp_ctx c = tp_ctx_train(t, 1, 0);
    return tp_model_loss(m, &c, tp_constant(t, x));
}

/* −log p(x|e) + β·‖z − e‖², and how many codes are in use for the reader only. */
static void test_loss(void **state)
{
    (void)state;
    tp_model m;
    tp_tape *t;
    tp_tensor x = uniform(TP_F64, BATCH, NX, 1);
    double e[NZ * WIDTH];
    make(&m, TP_F64, 5, 0.7);
    pin_encoder(&m);
    assert_ok(tp_tape_new(&t));
    tp_objective o = loss(&m, t, &x);
    double distance = nearest(&m, e), recon = recon_at(&m, &x, e);
    assert_int_equal(o.terms, 3);
    assert_string_equal(o.term[1].name, "commitment");
    assert_close(tp_item_of(o.term[0].value), recon, 0, 1e-14);
    assert_close(tp_item_of(o.term[1].value), distance, 0, 1e-14);
    assert_close(tp_item_of(o.term[2].value), CODES, 0, 1e-9); /* all counts begin at 1 */
    assert_close(tp_item_of(o.total), recon + 0.7 * distance, 0, 1e-14);
    assert_true(fabs(recon_at(&m, &x, Z) - recon) > 1e-3); /* it is not decoded from z itself */
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

/* The gradient at the codes is handed to the encoder as it is, and commitment adds 2β(z − e). That is an estimate: the
 * derivative of the loss, which is the control, has only the second part, for the codes do not move with z. */
static void test_straight_through(void **state)
{
    (void)state;
    tp_model m;
    tp_tape *t;
    tp_tensor x = uniform(TP_F64, BATCH, NX, 1);
    const double beta = 0.7, h = 1e-5;
    double e[NZ * WIDTH], missed = 0;
    make(&m, TP_F64, 5, beta);
    pin_encoder(&m);
    nearest(&m, e);
    assert_ok(tp_tape_new(&t));
    assert_ok(tp_backward(loss(&m, t, &x).total));
    tp_parameter *bias = parameter(&m, "encoder.2.bias"); /* moves the z of all examples at once */
    for (int64_t i = 0; i < NZ * WIDTH; i++) {
        double up[NZ * WIDTH], down[NZ * WIDTH];
        memcpy(up, e, sizeof up), memcpy(down, e, sizeof down);
        up[i] += h, down[i] -= h;
        double at_code = (recon_at(&m, &x, up) - recon_at(&m, &x, down)) / (2 * h);
        double got = tp_flat(tp_parameter_grad(bias), i);
        assert_close(got, at_code + 2 * beta * (Z[i] - e[i]), 1e-9, 1e-8);
        assert_ok(tp_set_flat(&bias->value, i, Z[i] + h));
        double right = evaluate(&m, &x);
        assert_ok(tp_set_flat(&bias->value, i, Z[i] - h));
        double left = evaluate(&m, &x);
        assert_ok(tp_set_flat(&bias->value, i, Z[i]));
        assert_close((right - left) / (2 * h), 2 * beta * (Z[i] - e[i]), 1e-9, 1e-8);
        missed = fmax(missed, fabs(at_code));
    }
    assert_true(missed > 0.01);
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

/* The decoder's gradient is exact, and the codebook is not among what has one. */
static void test_gradients(void **state)
{
    (void)state;
    tp_model m;
    tp_check_report report;
    make(&m, TP_F64, 5, 0.25);
    tp_batch batch = {.x = uniform(TP_F64, BATCH, NX, 1), .n = BATCH};
    assert_ok(tp_model_gradcheck(&m, &batch, (tp_check_opts){0}, &report));
    assert_int_equal(report.skipped_kinks, 0);
    assert_int_equal(m.params.n, 8);       /* two layers each, weights and biases */
    assert_int_equal(m.params.buffers, 3); /* the codebook's two and the prior */
    for (int i = 0; i < m.params.n; i++)
        assert_null(strstr(m.params.item[i]->name, "codebook"));
    tp_tensor_free(&batch.x);
    tp_model_free(&m);
}

static void test_too_large(void **state)
{
    (void)state;
    tp_model m = {0};
    tp_model_config config = tp_model_defaults(&tp_model_vq_vae);
    config.latent_dim = INT64_MAX;
    assert_status(tp_model_init(&m, &tp_model_vq_vae, config, TP_F32, 1), TP_ESHAPE);
    assert_message(
        "model 'vq_vae': an encoder of 9223372036854775807 times 2 outputs is too large");
}

/* --- the codebook in training --------------------------------------------------------------------- */

typedef struct run {
    tp_model model;
    tp_optimizer optimizer;
    tp_dataset data;
    tp_batches batches;
    tp_trainer trainer;
} run;

static void start(run *r, int64_t batch)
{
    *r = (run){.data = {.x = uniform(TP_F32, 11, NX, 3)}};
    make(&r->model, TP_F32, 5, 0.25);
    assert_ok(tp_adam_init(&r->optimizer, &r->model.params, tp_adam_defaults()));
    assert_ok(tp_batches_init(&r->batches, &r->data, batch, TP_F32));
    r->trainer = (tp_trainer){.loss = tp_model_loss,
                              .model = &r->model,
                              .optimizer = &r->optimizer,
                              .seed = 1,
                              .epoch = 1};
    assert_ok(tp_tape_new(&r->trainer.tape));
}

static void finish(run *r)
{
    tp_tape_free(r->trainer.tape);
    tp_batches_free(&r->batches);
    tp_optimizer_free(&r->optimizer);
    tp_model_free(&r->model);
    tp_dataset_free(&r->data);
}

static bool same(const tp_model *a, const tp_model *b)
{
    bool equal = true;
    for (int i = 0; i < a->params.n; i++)
        equal &= equal_bits(&a->params.item[i]->value, &b->params.item[i]->value);
    for (int i = 0; i < a->params.buffers; i++)
        equal &= equal_bits(&a->params.buffer[i]->value, &b->params.buffer[i]->value);
    return equal;
}

/* A step moves the codes; a step that fails, after they have been looked up, and an evaluation do not. */
static void test_when_it_learns(void **state)
{
    (void)state;
    run r, fresh;
    tp_stats stats;
    start(&r, 11);
    start(&fresh, 11);
    assert_ok(tp_evaluate(&r.trainer, &r.batches, &stats));
    assert_true(same(&r.model, &fresh.model));
    assert_ok(tp_set_flat(&r.data.x, 0, 1.5)); /* no Bernoulli distribution has that */
    assert_status(tp_train_epoch(&r.trainer, &r.batches, 1, &stats), TP_EVALUE);
    assert_true(same(&r.model, &fresh.model));
    assert_ok(tp_set_flat(&r.data.x, 0, 0.5));
    assert_ok(tp_train_epoch(&r.trainer, &r.batches, 1, &stats));
    assert_false(
        equal_bits(buffer(&r.model, "codebook.sums"), buffer(&fresh.model, "codebook.sums")));
    double all = 0;
    for (int64_t i = 0; i < CODES; i++)
        all += tp_flat(buffer(&r.model, "codebook.counts"), i);
    assert_close(all, 0.9 * CODES + 0.1 * 11 * NZ, 0, 1e-6);
    finish(&r);
    finish(&fresh);
}

/* Stopped after an epoch, saved, and gone on with elsewhere: the bits of a run that never stopped. */
static void test_resume(void **state)
{
    (void)state;
    run whole, first, second;
    tp_stats stats;
    tp_checkpoint c;
    const char *directory = test_tmp("");
    start(&whole, BATCH);
    start(&first, BATCH);
    start(&second, BATCH);
    for (int e = 0; e < 2; e++)
        assert_ok(tp_train_rest(&whole.trainer, &whole.batches, &stats));
    assert_ok(tp_train_rest(&first.trainer, &first.batches, &stats));
    assert_ok(tp_checkpoint_save(directory, &first.trainer, &first.batches, NULL));
    assert_ok(tp_checkpoint_open(&c, directory));
    assert_non_null(c.path);
    assert_ok(tp_checkpoint_load(&c, &second.trainer, &second.batches));
    tp_checkpoint_close(&c);
    assert_true(same(&first.model, &second.model));
    assert_false(same(&second.model, &whole.model));
    assert_ok(tp_train_rest(&second.trainer, &second.batches, &stats));
    assert_true(same(&second.model, &whole.model));
    finish(&whole);
    finish(&first);
    finish(&second);
}

/* --- the bound ------------------------------------------------------------------------------------ */

/* log p(x|z) of one example for all CODES^NZ latents. */
static void all_latents(tp_model *m, tp_ctx *c, tp_var x, tp_tensor *index, double *logprob)
{
    const tp_tensor *n = buffer(m, "codebook.counts"), *sums = buffer(m, "codebook.sums");
    assert_ok(tp_tensor_new(index, TP_F64, TP_SHAPE(CODES * CODES, BATCH, NZ * WIDTH)));
    for (int64_t s = 0; s < CODES * CODES; s++)
        for (int64_t i = 0; i < BATCH * NZ * WIDTH; i++) {
            int64_t j = i % (NZ * WIDTH) / WIDTH, k = j == 0 ? s / CODES : s % CODES;
            assert_ok(tp_set_flat(index, s * BATCH * NZ * WIDTH + i,
                                  tp_flat(sums, k * WIDTH + i % WIDTH) / tp_flat(n, k)));
        }
    tp_var lp = tp_data_logprob(tp_model_decode(m, c, tp_constant(c->tape, index)), x);
    assert_true(tp_shape_equal(tp_shape_of(lp), TP_SHAPE(CODES * CODES, BATCH)));
    for (int64_t i = 0; i < CODES * CODES * BATCH; i++)
        logprob[i] = tp_flat(tp_value(lp), i);
}

/* How often each latent is which code, so that the prior is anything but even. */
static const double usage[NZ][CODES] = {{0.7, 0.2, 0.1}, {0.05, 0.15, 0.8}};

/* One model: how often log p(x|e) by itself is above log p(x). */
static int check_bound(uint64_t seed)
{
    tp_model m;
    tp_tape *t;
    tp_tensor x = uniform(TP_F64, BATCH, NX, seed), latents;
    double logprob[CODES * CODES * BATCH];
    int above = 0;
    make(&m, TP_F64, seed, 0.25);
    assert_ok(tp_tape_new(&t));
    for (int64_t i = 0; i < BATCH * NX; i++)
        assert_ok(tp_set_flat(&x, i, tp_flat(&x, i) < 0.5 ? 0 : 1));
    for (int i = 0; i < m.params.n; i++) { /* a decoder that tells the codes apart */
        tp_tensor *p = &m.params.item[i]->value;
        for (int64_t k = 0; k < tp_numel(p); k++)
            assert_ok(tp_set_flat(p, k, 4 * tp_flat(p, k)));
    }
    for (int k = 0; k < NZ * CODES; k++)
        assert_ok(
            tp_set_flat((tp_tensor *)buffer(&m, "prior.usage"), k, usage[k / CODES][k % CODES]));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_var data = tp_constant(t, &x);
    const tp_tensor *w = tp_value(tp_model_log_weight(&m, &c, data, 5));
    assert_true(tp_shape_equal(w->shape, TP_SHAPE(5, BATCH)));
    all_latents(&m, &c, data, &latents, logprob);
    for (int64_t b = 0; b < BATCH; b++) {
        double evidence = 0, cost = 0, off = INFINITY;
        for (int64_t s = 0; s < CODES * CODES; s++) {
            double prior = log(usage[0][s / CODES]) + log(usage[1][s % CODES]);
            double joint = logprob[s * BATCH + b] + prior, gap = fabs(tp_flat(w, b) - joint);
            evidence += exp(joint);
            if (gap < off)
                off = gap, cost = -prior;
        }
        assert_true(off < 1e-2); /* counts are smoothed by 1e-5, the prior by 1e-4 */
        assert_true(tp_flat(w, b) < log(evidence));
        above += tp_flat(w, b) + cost > log(evidence);
        for (int64_t k = 1; k < 5; k++)
            assert_true(tp_flat(w, k * BATCH + b) == tp_flat(w, b));
    }
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_tensor_free(&latents);
    tp_model_free(&m);
    return above;
}

/* log w = log p(x|e) + log p(e) is one of the terms that add up to log p(x) = log Σ_z p(z)·p(x|z), so always
 * below it. Without the prior it is not: the control. */
static void test_bound(void **state)
{
    (void)state;
    int above = 0;
    for (uint64_t seed = 1; seed <= 10; seed++)
        above += check_bound(seed);
    assert_true(above > 5);
}

/* In training the prior follows what the codes are used for, 1 − decay of the way; in evaluation it stays. */
static void test_prior_counts(void **state)
{
    (void)state;
    tp_model m;
    tp_tape *t;
    make(&m, TP_F64, 5, 0.25);
    tp_tensor x = uniform(TP_F64, BATCH, NX, 1);
    assert_ok(tp_tape_new(&t));
    for (int mode = TP_EVAL; mode >= (int)TP_TRAIN; mode--) {
        tp_tape_reset(t);
        tp_ctx c = mode == TP_TRAIN ? tp_ctx_train(t, 1, 0) : tp_ctx_eval(t, 1, 0);
        tp_var data = tp_constant(t, &x), kl;
        assert_ok(tp_var_status(tp_model_loss(&m, &c, data).total));
        assert_true(tp_model_kl(&m, &c, data, &kl));
        for (int i = 0; i < BATCH * NZ; i++) /* an even prior as yet */
            assert_close(tp_flat(tp_value(kl), i), log(CODES), 0, 1e-14);
        tp_params_commit(&m.params, t);
    }
    tp_var code = tp_model_code(&m, &(tp_ctx){.tape = t, .mode = TP_EVAL}, tp_constant(t, &x));
    assert_ok(tp_var_status(code));
    for (int j = 0; j < NZ; j++) {
        double sum = 0, seen = 0;
        for (int k = 0; k < CODES; k++) {
            double is = (tp_flat(buffer(&m, "prior.usage"), j * CODES + k) - 0.99 / CODES) / 0.01;
            assert_close(is * BATCH, round(is * BATCH), 1e-9, 0); /* so many of the batch */
            sum += is;
            seen = fmax(seen, is);
        }
        assert_close(sum, 1, 1e-9, 0);
        assert_true(seen >= 1.0 / CODES);
    }
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

/* Pictures of codes as often as the prior has them: one latent of one number, which a straight line decodes, so that x
 * tells the code. */
static void test_generate(void **state)
{
    (void)state;
    enum { N = 3000 };
    tp_model m;
    tp_tape *t;
    tp_model_config config = tp_model_defaults(&tp_model_vq_vae);
    static const double e[CODES] = {-1, 0, 2};
    int seen[CODES] = {0};
    config.data_dim = config.latent_dim = config.hidden[0] = 1;
    config.option[0] = CODES;
    config.option[1] = 1;
    assert_ok(tp_model_init(&m, &tp_model_vq_vae, config, TP_F64, 1));
    for (int64_t k = 0; k < CODES; k++) {
        double count = k == 0 ? 8 : 1; /* of all latents together, which is not the prior */
        assert_ok(tp_set_flat((tp_tensor *)buffer(&m, "prior.usage"), k, usage[1][k]));
        assert_ok(tp_set_flat((tp_tensor *)buffer(&m, "codebook.counts"), k, count));
        assert_ok(tp_set_flat((tp_tensor *)buffer(&m, "codebook.sums"), k, e[k] * count));
    }
    for (int i = 0; i < m.params.n; i++)
        assert_ok(tp_fill(&m.params.item[i]->value, i % 2 == 0)); /* weights 1 */
    assert_ok(tp_fill(&parameter(&m, "decoder.0.bias")->value, 3));
    assert_ok(tp_fill(&parameter(&m, "decoder.2.bias")->value, -3));
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    const tp_tensor *p = tp_value(tp_data_mean(tp_model_generate(&m, &c, N)));
    assert_true(tp_shape_equal(p->shape, TP_SHAPE(N, 1)));
    for (int64_t i = 0; i < N; i++)
        for (int k = 0; k < CODES; k++)
            seen[k] += fabs(tp_flat(p, i) - 1 / (1 + exp(-e[k]))) < 1e-4;
    for (int k = 0; k < CODES; k++)
        assert_close(seen[k], N * usage[1][k], 4 * sqrt(N * usage[1][k] * (1 - usage[1][k])) + 2,
                     0);
    assert_int_equal(seen[0] + seen[1] + seen[2], N);
    tp_tape_free(t);
    tp_model_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss),           cmocka_unit_test(test_straight_through),
        cmocka_unit_test(test_gradients),      cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_when_it_learns), cmocka_unit_test(test_resume),
        cmocka_unit_test(test_bound),          cmocka_unit_test(test_prior_counts),
        cmocka_unit_test(test_generate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
