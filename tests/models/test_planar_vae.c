/* test_planar_vae.c: the posterior's draws, density and the likelihood made of it, against the flow in plain C and numerical
 * integration.
 *
 * Read next: models/planar_vae.c, tests/dist/test_flows.c. */
#include "tests/models/plain.h"

#include "nn/dist_type.h"

enum { LAYERS = 3, LATENTS = 2, BATCH = 4 };

/* Every layer is to bend much: flow.u begins small. */
static tp_model make(void)
{
    tp_model m;
    tp_model_config config = tiny_tanh(&tp_model_planar_vae, LATENTS);
    assert_ok(tp_model_set(&config, &tp_model_planar_vae, "layers", LAYERS));
    assert_ok(tp_model_init(&m, &tp_model_planar_vae, config, TP_F64, 1));
    assert_ok(
        tp_random_normal(&plain_parameter(&m, "flow.u", "weight")->value, (tp_rng_key){2, 0, 0}));
    assert_ok(
        tp_random_normal(&plain_parameter(&m, "flow.u", "bias")->value, (tp_rng_key){3, 0, 0}));
    /* And q is to be wider than p(z|x), or the weights would not settle. */
    assert_ok(tp_fill(&plain_parameter(&m, "logvar", "bias")->value, 0.8));
    return m;
}

/* --- the flow once more ---------------------------------------------------------------------------------- */

/* z through all layers of the flow that the encoder chooses for x. û as the paper has it, where the head of u begins at
 * log(e − 1)·w/|w|². */
static void flow(const tp_model *m, const double *x, double z[LATENTS])
{
    double h[PLAIN_WIDTH], u[PLAIN_WIDTH], w[PLAIN_WIDTH], b[PLAIN_WIDTH];
    plain_hidden(m, "encoder.0", x, h);
    plain_linear(m, "flow.u", h, u);
    plain_linear(m, "flow.w", h, w);
    int layers = plain_linear(m, "flow.b", h, b);
    for (int i = 0; i < layers; i++) {
        const double *wi = w + (ptrdiff_t)LATENTS * i;
        double *ui = u + (ptrdiff_t)LATENTS * i, ww = 0, wu = 0, at = b[i];
        for (int d = 0; d < LATENTS; d++)
            ww += wi[d] * wi[d];
        for (int d = 0; d < LATENTS; d++) {
            ui[d] += log(exp(1) - 1) * wi[d] / ww;
            wu += wi[d] * ui[d];
            at += wi[d] * z[d];
        }
        for (int d = 0; d < LATENTS; d++)
            z[d] += (ui[d] + (log1p(exp(wu)) - 1 - wu) * wi[d] / ww) * tanh(at);
    }
}

/* log |det ∂f/∂z| by central differences of fourth order. */
static double log_determinant(const tp_model *m, const double *x, const double z[LATENTS])
{
    static const double step = 1e-3, at[] = {-2, -1, 1, 2},
                        weight[] = {1.0 / 12, -2.0 / 3, 2.0 / 3, -1.0 / 12};
    double j[LATENTS][LATENTS] = {{0}};
    for (int i = 0; i < LATENTS; i++)
        for (int k = 0; k < 4; k++) {
            double y[LATENTS] = {z[0], z[1]};
            y[i] += at[k] * step;
            flow(m, x, y);
            for (int d = 0; d < LATENTS; d++)
                j[d][i] += weight[k] * y[d] / step;
        }
    return log(fabs(j[0][0] * j[1][1] - j[0][1] * j[1][0]));
}

/* log p(x) by integration over a grid. */
static double evidence(const tp_model *m, const double *x)
{
    const double step = SANITIZED ? 0.2 : 0.1;
    double sum = 0;
    for (double a = -8; a < 8; a += step)
        for (double b = -8; b < 8; b += step) {
            double z[] = {a, b};
            sum += exp(plain_log_standard(LATENTS, z) + plain_log_decode(m, z, x)) * step * step;
        }
    return log(sum);
}

/* --- draws and their density ------------------------------------------------------------------------------- */

/* The known noise through the encoder and the flow in plain C: the same z; and log q by the change of variables. The
 * controls: without the determinant, and with its sign turned. */
static void test_draws_and_density(void **state)
{
    (void)state;
    enum { K = 3 };
    tp_model m = make();
    tp_tape *t;
    tp_tensor eps, x = uniform(TP_F64, BATCH, BITS, 1);
    double most = 0;
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    assert_ok(tp_tensor_new(&eps, TP_F64, TP_SHAPE(K, BATCH, LATENTS)));
    assert_ok(tp_random_normal(&eps, c.key));
    tp_dist q = tp_model_posterior(&m, &c, tp_constant(t, &x));
    tp_var log_q, z = tp_dist_rsample_logprob(tp_dist_repeat(q, TP_SHAPE(K)), &c, &log_q);
    assert_true(tp_shape_equal(tp_shape_of(log_q), TP_SHAPE(K, BATCH)));
    for (int i = 0; i < K * BATCH; i++) {
        double mu[LATENTS], logvar[LATENTS], z0[LATENTS], zn[LATENTS], pixels[BITS];
        for (int k = 0; k < BITS; k++)
            pixels[k] = tp_flat(&x, i % BATCH * BITS + k);
        plain_encode(&m, pixels, mu, logvar);
        for (int d = 0; d < LATENTS; d++)
            zn[d] = z0[d] = mu[d] + exp(logvar[d] / 2) * tp_flat(&eps, i * LATENTS + d);
        flow(&m, pixels, zn);
        for (int d = 0; d < LATENTS; d++)
            assert_close(tp_flat(tp_value(z), i * LATENTS + d), zn[d], 1e-13, 1e-13);
        double base = plain_log_normal(LATENTS, z0, mu, logvar);
        double log_det = log_determinant(&m, pixels, z0), got = tp_flat(tp_value(log_q), i);
        assert_close(got, base - log_det, 1e-8, 1e-8);
        most = fabs(log_det) > most ? fabs(log_det) : most;
        assert_false(close_enough(got, base + log_det, 1.9 * fabs(log_det), 0));
    }
    assert_true(most > 0.3); /* the determinant is not to be left away */
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_tensor_free(&eps);
    tp_model_free(&m);
}

/* −Σ log |det| of as many draws as plain_log_weights has with the same seed. */
static void minus_log_determinants(const tp_model *m, const double *x, uint64_t seed, double *out)
{
    tp_tape *t;
    tp_tensor one = bits(x, 1);
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, seed, 0), again = c;
    tp_dist q = tp_dist_repeat(tp_model_posterior(m, &c, tp_constant(t, &one)), TP_SHAPE(WEIGHTS));
    tp_var log_q, log_base;
    tp_dist_rsample_logprob(q, &c, &log_q);
    tp_dist_rsample_logprob(tp_dist_part(&q), &again, &log_base);
    const tp_tensor *difference = tp_value(tp_sub(log_q, log_base));
    for (int64_t i = 0; i < WEIGHTS; i++)
        out[i] = tp_flat(difference, i);
    tp_tape_free(t);
    tp_tensor_free(&one);
}

/* The mean weight is p(x): what a density that is not normalised fails. The control takes the density of the base. */
static void test_likelihood(void **state)
{
    (void)state;
    static const double x[][BITS] = {{0, 1, 0}, {1, 0, 1}};
    static double log_w[WEIGHTS], correction[WEIGHTS];
    tp_model m = make();
    for (int i = 0; i < 2; i++) {
        double log_p = evidence(&m, x[i]), error;
        check_weights(&m, x[i], log_p);
        plain_log_weights(&m, x[i], WEIGHTS, 3, log_w);
        minus_log_determinants(&m, x[i], 3, correction);
        for (int k = 0; k < WEIGHTS; k++)
            log_w[k] = exp(log_w[k] + correction[k] - log_p);
        double wrong = plain_mean(log_w, WEIGHTS, &error);
        assert_true(fabs(wrong - 1) > 8 * error);
    }
    tp_model_free(&m);
}

/* The same by way of a data set, a few samples at a time. */
static void test_nll(void **state)
{
    (void)state;
    static const double x[][BITS] = {{0, 1, 0}, {1, 0, 1}, {1, 1, 1}};
    enum { N = 3, SAMPLES = 20000 };
    tp_model m = make();
    tp_tape *t;
    tp_batches b;
    tp_dataset d = {.x = bits(x[0], N)};
    double nll, want = 0;
    for (int i = 0; i < N; i++)
        want -= evidence(&m, x[i]) / N;
    assert_ok(tp_batches_init(&b, &d, 2, TP_F64));
    assert_ok(tp_tape_new(&t));
    assert_ok(tp_model_nll(&m, t, &b, 1, SAMPLES, &nll));
    assert_close(nll, want, 0.03, 0);
    tp_tape_free(t);
    tp_batches_free(&b);
    tp_dataset_free(&d);
    tp_model_free(&m);
}

/* --- what it is without its flow ---------------------------------------------------------------------------- */

/* With a head of u that gives 0 each layer is the identity: the VAE, with the KL of its draw. */
static void test_without_flow_it_is_the_vae(void **state)
{
    (void)state;
    tp_model m = make(), vae;
    tp_tensor x = uniform(TP_F64, BATCH, BITS, 1);
    tp_tape *t;
    assert_ok(tp_model_init(&vae, &tp_model_vae, tiny_tanh(&tp_model_vae, LATENTS), TP_F64, 2));
    for (int i = 0; i < vae.params.n; i++)
        assert_ok(tp_copy(&vae.params.item[i]->value, &m.params.item[i]->value));
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_var data = tp_constant(t, &x);
    double want = -tp_item_of(tp_mean(tp_model_log_weight(&vae, &c, data, 1), TP_ALL_AXES, false));
    assert_true(fabs(evaluate(&m, &x) - want) > 1e-2);
    plain_fill(&m, "flow.u", 0, 0);
    assert_close(evaluate(&m, &x), want, 0, 1e-13);
    tp_var code = tp_model_code(&m, &c, data), mean = tp_model_code(&vae, &c, data);
    for (int i = 0; i < BATCH * LATENTS; i++)
        assert_close(tp_flat(tp_value(code), i), tp_flat(tp_value(mean), i), 1e-14, 1e-14);
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&vae);
    tp_model_free(&m);
}

/* A fresh model is near there. */
static void test_begins_near_the_identity(void **state)
{
    (void)state;
    tp_model m;
    tp_tape *t;
    tp_tensor x = uniform(TP_F64, BATCH, 784, 1);
    assert_ok(tp_model_init(&m, &tp_model_planar_vae, tp_model_defaults(&tp_model_planar_vae),
                            TP_F64, 1));
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_dist q = tp_model_posterior(&m, &c, tp_constant(t, &x));
    tp_var logdet, z = tp_dist_rsample(tp_normal_standard(q.param[0]), &c);
    const tp_tensor *y = tp_value(tp_flow_forward(&q.flow[0], z, &logdet));
    for (int64_t i = 0; i < tp_numel(y); i++)
        assert_close(tp_flat(y, i), tp_flat(tp_value(z), i), 0.1, 0);
    for (int64_t i = 0; i < BATCH; i++)
        assert_close(tp_flat(tp_value(logdet), i), 0, 0.1, 0);
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

/* The code is where the flow brings the middle of the base distribution, and no draw. */
static void test_code(void **state)
{
    (void)state;
    tp_model m = make();
    tp_tape *t;
    tp_tensor x = uniform(TP_F64, BATCH, BITS, 1);
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    const tp_tensor *code = tp_value(tp_model_code(&m, &c, tp_constant(t, &x)));
    assert_int_equal(c.key.draw, 0);
    for (int i = 0; i < BATCH; i++) {
        double mu[LATENTS], logvar[LATENTS], pixels[BITS];
        for (int k = 0; k < BITS; k++)
            pixels[k] = tp_flat(&x, i * BITS + k);
        plain_encode(&m, pixels, mu, logvar);
        flow(&m, pixels, mu);
        for (int d = 0; d < LATENTS; d++)
            assert_close(tp_flat(code, i * LATENTS + d), mu[d], 1e-13, 1e-13);
    }
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

static void test_too_large(void **state)
{
    (void)state;
    tp_model m;
    tp_model_config config = tiny_tanh(&tp_model_planar_vae, INT64_C(1) << 61);
    assert_status(tp_model_init(&m, &tp_model_planar_vae, config, TP_F64, 1), TP_ESHAPE);
}

static void test_warmup(void **state)
{
    (void)state;
    check_warmup(&tp_model_planar_vae);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws_and_density),
        cmocka_unit_test(test_likelihood),
        cmocka_unit_test(test_nll),
        cmocka_unit_test(test_without_flow_it_is_the_vae),
        cmocka_unit_test(test_begins_near_the_identity),
        cmocka_unit_test(test_code),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_warmup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
