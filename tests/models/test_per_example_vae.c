/* test_per_example_vae.c: the search for a posterior on decoders for which the best one is known, and the table of those
 * of the training examples. Read next: models/infer.c.
 */
#include "tests/models/fixture.h"

#include <math.h>

#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "models/infer.h"
#include "models/uses.h"

/* --- p(x|z) = N(Wz, e^v): everything is known --------------------------------------------------------------- */

enum { N = 5, D = 4, NZ = 2 };
static const double LOGVAR = -1;

typedef struct linear {
    double w[D * NZ];
    tp_tensor weight;
} linear;

static tp_dist linear_prior(void *self, tp_ctx *c)
{
    (void)self;
    return tp_normal_standard(tp_full(c->tape, TP_F64, TP_SHAPE(NZ), 0));
}

static tp_dist linear_decode(void *self, tp_ctx *c, tp_var z)
{
    linear *m = self;
    tp_var none = tp_full(c->tape, TP_F64, TP_SHAPE(D), 0);
    return tp_normal_fixed(tp_linear(z, tp_constant(c->tape, &m->weight), none), LOGVAR);
}

static const tp_model_type linear_type = {.prior = linear_prior, .decode = linear_decode};

/* Columns that are orthogonal, so that the true posterior has independent dimensions; or are not. */
static linear linear_of(bool orthogonal)
{
    linear m = {.w = {1, 2, -2, 1, 0.5, 0, 0, 1}};
    if (!orthogonal)
        m.w[1] = 0.7, m.w[2] = 1.2;
    assert_ok(tp_tensor_from(&m.weight, TP_F64, TP_SHAPE(D, NZ), m.w));
    return m;
}

/* The true posterior of x: precision[NZ·NZ] = I + WᵀW/σ², mean = precision⁻¹·Wᵀx/σ². */
static void truth(const linear *m, const tp_tensor *x, int64_t row, double *precision, double *mean)
{
    double wx[NZ] = {0}, scale = exp(-LOGVAR);
    for (int i = 0; i < NZ * NZ; i++) {
        precision[i] = i % NZ == i / NZ;
        for (int d = 0; d < D; d++)
            precision[i] += scale * m->w[d * NZ + i / NZ] * m->w[d * NZ + i % NZ];
    }
    for (int i = 0; i < NZ * D; i++)
        wx[i / D] += scale * m->w[i % D * NZ + i / D] * tp_flat(x, row * D + i % D);
    double det = precision[0] * precision[3] - precision[1] * precision[2];
    mean[0] = (precision[3] * wx[0] - precision[1] * wx[1]) / det;
    mean[1] = (precision[0] * wx[1] - precision[2] * wx[0]) / det;
}

/* KL(q ‖ p(z|x)) = log p(x) − ELBO, the largest of all x, after a search. */
static double gap(const linear *m, tp_infer_opts opts, double *off_mean, double *off_variance)
{
    tp_tape *t;
    double worst = 0;
    tp_tensor x = uniform(TP_F64, N, D, 3);
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_dist q = tp_infer_normal(&linear_type, (void *)m, &c, tp_constant(t, &x), opts);
    assert_ok(tp_var_status(q.param[1]));
    *off_mean = *off_variance = 0;
    for (int64_t n = 0; n < N; n++) {
        double p[NZ * NZ], mean[NZ], kl = 0, d[NZ];
        truth(m, &x, n, p, mean);
        for (int i = 0; i < NZ; i++) {
            double v = tp_flat(tp_value(q.param[1]), n * NZ + i);
            d[i] = tp_flat(tp_value(q.param[0]), n * NZ + i) - mean[i];
            kl += p[i * NZ + i] * exp(v) - v - 1;
            *off_mean = fmax(*off_mean, fabs(d[i]));
            *off_variance = fmax(*off_variance, fabs(exp(v) * p[i * NZ + i] - 1));
        }
        for (int i = 0; i < NZ * NZ; i++)
            kl += d[i / NZ] * p[i] * d[i % NZ];
        worst = fmax(worst, (kl - log(p[0] * p[3] - p[1] * p[2])) / 2);
    }
    tp_tape_free(t);
    tp_tensor_free(&x);
    return worst;
}

/* Independent dimensions: the true posterior, at rate 1 in one step. */
static void test_search_is_exact(void **state)
{
    (void)state;
    double mean, variance;
    linear m = linear_of(true);
    assert_true(gap(&m, (tp_infer_opts){0, 1}, &mean, &variance) > 1); /* the prior is far away */
    assert_true(gap(&m, (tp_infer_opts){1, 1}, &mean, &variance) < 1e-12);
    assert_true(gap(&m, (tp_infer_opts){20, 0.2}, &mean, &variance) < 0.05);
    assert_true(gap(&m, (tp_infer_opts){200, 0.2}, &mean, &variance) < 1e-12);
    assert_true(mean < 1e-10 && variance < 1e-10);
    tp_tensor_free(&m.weight);
}

/* Dimensions that hang together: the mean is right all the same, and the variances are 1/precision_ii, which are the best,
 * not those of the true posterior, which are larger. What is left is known: ½ log Π precision_ii/det precision. */
static void test_best_of_the_family(void **state)
{
    (void)state;
    double p[NZ * NZ], unused[NZ], mean, variance;
    tp_tensor x = uniform(TP_F64, N, D, 3);
    linear m = linear_of(false);
    truth(&m, &x, 0, p, unused);
    double det = p[0] * p[3] - p[1] * p[2], least = log(p[0] * p[3] / det) / 2;
    assert_true(least > 0.1);
    double excess = gap(&m, (tp_infer_opts){1000, 0.03}, &mean, &variance) - least;
    assert_true(excess > -1e-12 && excess < 5e-3);
    assert_true(mean < 1e-5 && variance < 0.15);
    assert_true(p[0] * p[3] / det - 1 > 0.7); /* the other variances would be told from these */
    tp_tensor_free(&x);
    tp_tensor_free(&m.weight);
}

/* --- the model ---------------------------------------------------------------------------------------------------- */

static tp_model start(int64_t examples, tp_dtype dtype)
{
    tp_model m;
    tp_model_config config = tp_model_defaults(&tp_model_per_example_vae);
    config.data_dim = D;
    config.hidden[0] = 8;
    config.latent_dim = NZ;
    config.activation = TP_TANH;
    config.examples = examples;
    assert_ok(tp_model_set(&config, &tp_model_per_example_vae, "speed", 10));
    assert_ok(tp_model_init(&m, &tp_model_per_example_vae, config, dtype, 3));
    for (int i = 0; i < m.params.n; i++) { /* z must matter */
        tp_tensor *p = &m.params.item[i]->value;
        for (int64_t k = 0; i > 1 && k < tp_numel(p); k++)
            assert_ok(tp_set_flat(p, k, 3 * tp_flat(p, k)));
    }
    return m;
}

/* q(z|x) depends on x alone: not on the other examples, the context's noise or the mode of the tape, which stays; and it
 * hands no gradient to the decoder. */
static void test_search_is_a_function(void **state)
{
    (void)state;
    tp_tape *t;
    tp_tensor x = uniform(TP_F64, N, D, 3), last;
    tp_model m = start(7, TP_F64);
    double all[2][N * NZ];
    assert_ok(tp_view_slice(&x, 0, N - 1, N, 1, &last));
    assert_ok(tp_tape_new(&t));
    for (uint64_t run = 0; run < 4; run++) {
        tp_tape_reset(t);
        if (run % 2)
            tp_no_grad_begin(t);
        tp_ctx c = tp_ctx_eval(t, run, run);
        tp_dist q = tp_model_posterior(&m, &c, tp_constant(t, run < 2 ? &x : &last));
        assert_ok(tp_var_status(q.param[1]));
        assert_int_equal(c.key.draw, 0);
        assert_int_equal(c.frozen, 0);
        for (int i = 0; i < 2; i++) {
            const tp_tensor *v = tp_value(q.param[i]);
            assert_false(tp_needs_grad(q.param[i]));
            for (int64_t k = 0; k < tp_numel(v); k++)
                if (run == 0)
                    all[i][k] = tp_flat(v, k);
                else if (run == 1)
                    assert_true(all[i][k] == tp_flat(v, k));
                else
                    assert_close(tp_flat(v, k), all[i][(N - 1) * NZ + k], 1e-12, 0);
        }
        tp_var w = tp_param(t, m.params.item[2]);
        assert_true(tp_needs_grad(tp_scale(w, 2)) == (run % 2 == 0));
    }
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

/* What a step computed is forgotten: a hundred times as many take little more memory. */
static void test_search_in_little_memory(void **state)
{
    (void)state;
    tp_tape *t;
    tp_tensor x = uniform(TP_F64, 400, D, 3);
    tp_model m = start(7, TP_F64);
    size_t bytes[2];
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < 2; i++) {
        tp_tape_reset(t);
        tp_no_grad_begin(t);
        tp_ctx c = tp_ctx_eval(t, 1, 0);
        tp_dist q = tp_infer_normal(m.type, m.self, &c, tp_constant(t, &x),
                                    (tp_infer_opts){i == 0 ? 1 : 101, 0.2});
        assert_ok(tp_var_status(q.param[0]));
        bytes[i] = tp_tape_bytes(t);
    }
    size_t decoding = (size_t)2 * 400 * (8 + D) * sizeof(double);
    assert_true((bytes[1] - bytes[0]) / 100 < decoding);
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

/* Only the rows of the batch get gradients; one that is there twice gets both. */
static void test_rows(void **state)
{
    (void)state;
    tp_tape *t;
    tp_tensor x = uniform(TP_F64, 3, D, 3), index;
    tp_model m = start(6, TP_F64);
    const int64_t rows[] = {4, 1, 4};
    assert_ok(tp_tensor_from(&index, TP_I64, TP_SHAPE(3), rows));
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_train(t, 1, 0);
    c.index = &index;
    assert_ok(tp_backward(tp_model_loss(&m, &c, tp_constant(t, &x)).total));
    for (int i = 0; i < m.params.n; i++) {
        const tp_tensor *g = tp_parameter_grad(m.params.item[i]);
        assert_non_null(g);
        for (int64_t k = 0; i < 2 && k < tp_numel(g); k++)
            assert_true((tp_flat(g, k) != 0) == (k / NZ == 1 || k / NZ == 4));
    }
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_tensor_free(&index);
    tp_model_free(&m);
}

/* The examples' own bound improves as they are trained, far beyond what the prior as a posterior gives; and what the
 * search finds for them, without the table, is as good. */
static void test_training(void **state)
{
    (void)state;
    enum { MANY = 24, EPOCHS = 500 };
    tp_model m = start(MANY, TP_F32);
    tp_optimizer o;
    tp_batches b;
    tp_stats first, last, searched;
    tp_dataset d = {.x = uniform(TP_F32, MANY, D, 2)};
    for (int64_t i = 0; i < MANY * D; i++) /* two bits, each of them twice */
        assert_ok(tp_set_flat(&d.x, i, (i / D >> (i % D / 2)) & 1));
    assert_ok(tp_adam_init(&o, &m.params, (tp_adam_opts){5e-3, 0.9, 0.999, 1e-8}));
    assert_ok(tp_batches_init(&b, &d, 8, TP_F32));
    tp_trainer t = {.loss = tp_model_loss, .model = &m, .optimizer = &o, .seed = 1};
    assert_ok(tp_tape_new(&t.tape));
    assert_ok(tp_train_epoch(&t, &b, 0, &first));
    for (uint64_t e = 1; e < EPOCHS; e++)
        assert_ok(tp_train_epoch(&t, &b, e, &last));
    assert_ok(tp_evaluate(&t, &b, &searched));
    assert_true(last.loss < 2.3 && last.loss < first.loss - 0.5);
    assert_true(fabs(searched.loss - last.loss) < 0.4);
    assert_true(last.loss > 2 * log(2)); /* the entropy of the data */
    tp_tape_free(t.tape);
    tp_batches_free(&b);
    tp_optimizer_free(&o);
    tp_model_free(&m);
    tp_dataset_free(&d);
}

/* --- refusals --------------------------------------------------------------------------------------------------------- */

static void test_refusals(void **state)
{
    (void)state;
    tp_tape *t;
    tp_model m = start(3, TP_F64), none;
    tp_model_config config = m.config;
    config.examples = 0;
    assert_status(tp_model_init(&none, &tp_model_per_example_vae, config, TP_F64, 1), TP_EARG);
    assert_message("it wants to know the number of training examples");
    tp_tensor x = uniform(TP_F64, 2, D, 1), index;
    const int64_t rows[] = {1, 3};
    assert_ok(tp_tensor_from(&index, TP_I64, TP_SHAPE(2), rows));
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_train(t, 1, 0);
    assert_status(tp_var_status(tp_model_loss(&m, &c, tp_constant(t, &x)).total), TP_EARG);
    assert_message("the numbers of the batch are needed");
    tp_tape_reset(t);
    c.index = &index;
    assert_status(tp_var_status(tp_model_loss(&m, &c, tp_constant(t, &x)).total), TP_EVALUE);
    assert_message("3");
    tp_tape_reset(t);
    c = tp_ctx_eval(t, 1, 0); /* which needs no numbers, and refuses pictures that do not fit */
    assert_ok(tp_var_status(tp_model_loss(&m, &c, tp_constant(t, &x)).total));

    tp_var flat = tp_full(t, TP_F64, TP_SHAPE(D), 1);
    assert_status(tp_var_status(tp_model_code(&m, &c, flat)), TP_ESHAPE);
    assert_message("tp_infer_normal: x has shape [4] and the prior is normal");
    tp_tape_reset(t);
    tp_var narrow = tp_full(t, TP_F64, TP_SHAPE(2, D - 1), 1);
    assert_status(tp_var_status(tp_model_code(&m, &c, narrow)), TP_ESHAPE);
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_tensor_free(&index);
    tp_model_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_search_is_exact),
        cmocka_unit_test(test_best_of_the_family),
        cmocka_unit_test(test_search_is_a_function),
        cmocka_unit_test(test_search_in_little_memory),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_training),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
