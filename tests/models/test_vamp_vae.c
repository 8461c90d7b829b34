/* test_vamp_vae.c: the prior is the mixture of what the encoder makes of the pseudo-inputs, and the likelihood is right
 * with it.
 *
 * Read next: models/vamp_vae.c. */
#include "tests/models/plain.h"

#include "autograd/sweep.h"

enum { COMPONENTS = 5, LATENTS = 2 };

static tp_model make(int64_t latents, int components)
{
    tp_model m;
    tp_model_config config = tiny_tanh(&tp_model_vamp_vae, latents);
    assert_ok(tp_model_set(&config, &tp_model_vamp_vae, "components", components));
    assert_ok(tp_model_init(&m, &tp_model_vamp_vae, config, TP_F64, 1));
    assert_ok(tp_random_normal(&tp_params_find(&m.params, "pseudo_inputs")->value,
                               (tp_rng_key){8, 0, 0}));
    plain_scale(&m, 3); /* so that components lie apart */
    return m;
}

/* log q(z|u_c) of every component, from the parameters. */
static int components(const tp_model *m, const double *z, double mu[][LATENTS],
                      double logvar[][LATENTS], double *each)
{
    const tp_tensor *p = &tp_params_find(&m->params, "pseudo_inputs")->value;
    int n = (int)p->shape.dim[0], nz = 0;
    for (int k = 0; k < n; k++) {
        double u[BITS];
        for (int i = 0; i < BITS; i++)
            u[i] = 1 / (1 + exp(-tp_flat(p, k * BITS + i)));
        nz = plain_encode(m, u, mu[k], logvar[k]);
        each[k] = plain_log_normal(nz, z, mu[k], logvar[k]);
    }
    return n;
}

static double log_mean_exp(const double *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += exp(x[i]);
    return log(sum / n);
}

static double explicit_prior(const tp_model *m, const double *z)
{
    double mu[COMPONENTS][LATENTS], logvar[COMPONENTS][LATENTS], each[COMPONENTS];
    return log_mean_exp(each, components(m, z, mu, logvar, each));
}

/* The parenthesis in the wrong place: a mixture in each dimension, summed over them. */
static double prior_by_dimension(const tp_model *m, const double *z)
{
    double mu[COMPONENTS][LATENTS], logvar[COMPONENTS][LATENTS], each[COMPONENTS], sum = 0;
    int n = components(m, z, mu, logvar, each);
    for (int d = 0; d < LATENTS; d++) {
        for (int k = 0; k < n; k++)
            each[k] = plain_log_normal(1, &z[d], &mu[k][d], &logvar[k][d]);
        sum += log_mean_exp(each, n);
    }
    return sum;
}

/* And log C taken off every component before the exponential is: off the sum of densities, not off its logarithm. */
static double prior_minus_inside(const tp_model *m, const double *z)
{
    double mu[COMPONENTS][LATENTS], logvar[COMPONENTS][LATENTS], each[COMPONENTS], sum = 0;
    int n = components(m, z, mu, logvar, each);
    for (int k = 0; k < n; k++)
        sum += exp(each[k]);
    return log(sum - log(n));
}

static void test_prior_is_the_explicit_mixture(void **state)
{
    (void)state;
    enum { N = 9 };
    tp_model m = make(LATENTS, COMPONENTS);
    tp_tape *t;
    tp_tensor z;
    assert_ok(tp_tape_new(&t));
    assert_ok(tp_tensor_new(&z, TP_F64, TP_SHAPE(N, LATENTS)));
    assert_ok(tp_random_normal(&z, (tp_rng_key){4, 0, 0}));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_var log_p = tp_dist_logprob(tp_model_prior(&m, &c), tp_constant(t, &z));
    assert_true(tp_shape_equal(tp_shape_of(log_p), TP_SHAPE(N)));
    for (int i = 0; i < N; i++) {
        double at[] = {tp_flat(&z, LATENTS * i), tp_flat(&z, LATENTS * i + 1)};
        double got = tp_flat(tp_value(log_p), i);
        assert_close(got, explicit_prior(&m, at), 1e-13, 1e-13);
        assert_false(close_enough(got, prior_by_dimension(&m, at), 1e-3, 0));
        assert_false(close_enough(got, prior_minus_inside(&m, at), 1e-3, 0)); /* NaN, or far off */
    }
    tp_tape_free(t);
    tp_tensor_free(&z);
    tp_model_free(&m);
}

/* Over a fine grid of one latent dimension: log p(x), and the integral of the prior. */
static double evidence(const tp_model *m, const double *x, double *mass)
{
    const double step = 0.02;
    double sum = 0;
    *mass = 0;
    for (double z = -15; z < 15; z += step) {
        double p = exp(explicit_prior(m, &z)) * step;
        *mass += p;
        sum += p * exp(plain_log_decode(m, &z, x));
    }
    return log(sum);
}

/* The mean weight is p(x) by numerical integration. Two components: unlike K, unlike the batch. */
static void test_likelihood(void **state)
{
    (void)state;
    static const double x[][BITS] = {{0, 0, 0}, {1, 0, 1}};
    tp_model m = make(1, 2);
    for (int i = 0; i < 2; i++) {
        double mass, log_p = evidence(&m, x[i], &mass);
        assert_close(mass, 1, 1e-9, 0);
        check_weights(&m, x[i], log_p);
    }
    tp_model_free(&m);
}

/* What the prior draws has the explicit mixture's mean and variance. */
static void test_draws(void **state)
{
    (void)state;
    enum { N = 20000 };
    const double zero[LATENTS] = {0};
    tp_model m = make(LATENTS, COMPONENTS);
    tp_tape *t;
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    const tp_tensor *z = tp_value(tp_dist_sample_n(tp_model_prior(&m, &c), &c, N));
    double mu[COMPONENTS][LATENTS], logvar[COMPONENTS][LATENTS], each[COMPONENTS], draw[N], error;
    components(&m, zero, mu, logvar, each);
    for (int d = 0; d < LATENTS; d++) {
        double mean = 0, square = 0;
        for (int k = 0; k < COMPONENTS; k++) {
            mean += mu[k][d] / COMPONENTS;
            square += (mu[k][d] * mu[k][d] + exp(logvar[k][d])) / COMPONENTS;
        }
        for (int i = 0; i < N; i++)
            draw[i] = tp_flat(z, LATENTS * i + d);
        double got = plain_mean(draw, N, &error);
        assert_close(got, mean, 4 * error, 0);
        for (int i = 0; i < N; i++)
            draw[i] = (draw[i] - mean) * (draw[i] - mean);
        got = plain_mean(draw, N, &error);
        assert_close(got, square - mean * mean, 4 * error, 0);
    }
    tp_tape_free(t);
    tp_model_free(&m);
}

/* Where the encoder is asked about nothing but pseudo-inputs, its gradient comes through them alone. */
static void test_gradients_through_pseudo_inputs(void **state)
{
    (void)state;
    static const char *const reached[] = {"pseudo_inputs", "encoder.0.weight", "mu.weight",
                                          "logvar.bias"};
    tp_model m = make(LATENTS, COMPONENTS);
    tp_tape *t;
    tp_tensor z;
    assert_ok(tp_tape_new(&t));
    assert_ok(tp_tensor_new(&z, TP_F64, TP_SHAPE(3, LATENTS)));
    assert_ok(tp_random_normal(&z, (tp_rng_key){4, 0, 0}));
    tp_ctx c = tp_ctx_train(t, 1, 0);
    tp_var log_p = tp_dist_logprob(tp_model_prior(&m, &c), tp_constant(t, &z));
    assert_ok(tp_backward(tp_sum(log_p, TP_ALL_AXES, false)));
    for (int i = 0; i < 4; i++) {
        const tp_tensor *g = tp_parameter_grad(tp_params_find(&m.params, reached[i]));
        assert_non_null(g);
        for (int64_t k = 0; k < tp_numel(g); k++)
            assert_true(tp_flat(g, k) != 0 && isfinite(tp_flat(g, k)));
    }
    assert_null(tp_parameter_grad(plain_parameter(&m, "decoder.0", "weight")));
    tp_tape_free(t);
    tp_tensor_free(&z);
    tp_model_free(&m);
}

/* One component, of which the encoder makes N(0,1): without the hidden layer a black picture leaves nothing but zero
 * biases. The loss is then the VAE's with the KL of its draw. */
static void test_one_component_is_the_vae(void **state)
{
    (void)state;
    enum { N = 6 };
    tp_model m, vae;
    tp_model_config config = tiny_tanh(&tp_model_vamp_vae, LATENTS);
    tp_tensor x = uniform(TP_F64, N, BITS, 1);
    tp_tape *t;
    config.option[0] = 1;
    assert_ok(tp_model_init(&m, &tp_model_vamp_vae, config, TP_F64, 1));
    assert_ok(tp_model_init(&vae, &tp_model_vae, tiny_tanh(&tp_model_vae, LATENTS), TP_F64, 2));
    assert_ok(tp_fill(&tp_params_find(&m.params, "pseudo_inputs")->value, -1000)); /* black */
    assert_ok(tp_fill(&plain_parameter(&m, "encoder.0", "bias")->value, 0));
    assert_ok(tp_fill(&plain_parameter(&m, "mu", "bias")->value, 0));
    assert_ok(tp_fill(&plain_parameter(&m, "logvar", "bias")->value, 0));
    for (int i = 0; i < vae.params.n; i++)
        assert_ok(tp_copy(&vae.params.item[i]->value, &m.params.item[i]->value));
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_var log_w = tp_model_log_weight(&vae, &c, tp_constant(t, &x), 1);
    assert_close(evaluate(&m, &x), -tp_item_of(tp_mean(log_w, TP_ALL_AXES, false)), 0, 1e-14);
    assert_ok(tp_fill(&plain_parameter(&m, "mu", "bias")->value, 0.1)); /* not N(0,1) any more */
    assert_ok(tp_fill(&plain_parameter(&vae, "mu", "bias")->value, 0.1));
    c = tp_ctx_eval(t, 1, 0);
    log_w = tp_model_log_weight(&vae, &c, tp_constant(t, &x), 1);
    assert_true(fabs(evaluate(&m, &x) + tp_item_of(tp_mean(log_w, TP_ALL_AXES, false))) > 1e-4);
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&vae);
    tp_model_free(&m);
}

/* Pseudo-inputs begin as nearly black pictures that differ from each other. */
static void test_initial_pictures(void **state)
{
    (void)state;
    tp_model m;
    assert_ok(
        tp_model_init(&m, &tp_model_vamp_vae, tp_model_defaults(&tp_model_vamp_vae), TP_F32, 1));
    const tp_tensor *u = &tp_params_find(&m.params, "pseudo_inputs")->value;
    assert_true(tp_shape_equal(u->shape, TP_SHAPE(100, 784)));
    double grey = 0;
    for (int64_t i = 0; i < tp_numel(u); i++)
        grey += 1 / (1 + exp(-tp_flat(u, i))) / (double)tp_numel(u);
    assert_close(grey, 0.12, 0.01, 0); /* MNIST: 0.13 */
    assert_true(tp_flat(u, 0) != tp_flat(u, 784));
    tp_model_free(&m);
}

static void test_warmup(void **state)
{
    (void)state;
    check_warmup(&tp_model_vamp_vae);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prior_is_the_explicit_mixture),
        cmocka_unit_test(test_likelihood),
        cmocka_unit_test(test_draws),
        cmocka_unit_test(test_gradients_through_pseudo_inputs),
        cmocka_unit_test(test_one_component_is_the_vae),
        cmocka_unit_test(test_initial_pictures),
        cmocka_unit_test(test_warmup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
