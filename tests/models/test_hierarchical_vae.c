/* test_hierarchical_vae.c: the bound of two levels and each of its terms, the likelihood and what is generated, against
 * numerical integration.
 *
 * Two latent dimensions below, one above, so that everything is a sum over a grid of three. Read next:
 * models/hierarchical_vae.c. */
#include "tests/models/plain.h"

enum { N1 = 2, N2 = 1 };

static tp_model make_with(const char *option)
{
    tp_model m;
    tp_model_config config = tiny_tanh(&tp_model_hierarchical_vae, N1);
    if (option != NULL)
        assert_ok(tp_model_set(&config, &tp_model_hierarchical_vae, option, 1));
    assert_ok(tp_model_set(&config, &tp_model_hierarchical_vae, "latent2", N2));
    assert_ok(tp_model_set(&config, &tp_model_hierarchical_vae, "hidden2", 5));
    assert_ok(tp_model_init(&m, &tp_model_hierarchical_vae, config, TP_F64, 3));
    /* q is to be wider than p(z|x), or weights would not settle. */
    assert_ok(tp_fill(&plain_parameter(&m, "logvar", "bias")->value, 0.3));
    assert_ok(tp_fill(&plain_parameter(&m, "up.logvar", "bias")->value, -0.5));
    return m;
}

static tp_model make(void)
{
    return make_with(NULL);
}

/* --- by integration ------------------------------------------------------------------------------------- */

enum { NODES = SANITIZED ? 31 : 49 };

/* Nodes and weights for expectations of N(0,1). */
typedef struct grid {
    double at[NODES], weight[NODES];
} grid;

static grid standard_grid(void)
{
    grid g;
    const double step = 12.0 / (NODES - 1);
    for (int i = 0; i < NODES; i++) {
        g.at[i] = -6 + step * i;
        g.weight[i] = step * exp(plain_log_standard(1, &g.at[i]));
    }
    return g;
}

typedef struct truth {
    double evidence;        /* log p(x) */
    double means_only;      /* the same if z1 were the mean of p(z1|z2) */
    double recon, kl1, kl2; /* what the terms of the loss are in expectation */
    double independent_kl1; /* E KL(q(z1|x) ‖ p(z1|z2)) */
} truth;

static int upper(const tp_model *m, const double *z1, double *mu, double *logvar)
{
    return plain_normal(m, "up.0", "up.mu", "up.logvar", z1, mu, logvar);
}

static int lower(const tp_model *m, const double *z2, double *mu, double *logvar)
{
    return plain_normal(m, "down.0", "down.mu", "down.logvar", z2, mu, logvar);
}

static double moved(double mu, double logvar, double eps)
{
    return mu + exp(logvar / 2) * eps;
}

/* From above: z2 ~ p(z2), z1 ~ p(z1|z2). */
static void integrate_p(const tp_model *m, const grid *g, const double *x, truth *t)
{
    double sum = 0, means = 0;
    for (int k = 0; k < NODES; k++) {
        double mu[N1], logvar[N1];
        lower(m, &g->at[k], mu, logvar);
        means += g->weight[k] * exp(plain_log_decode(m, mu, x));
        for (int i = 0; i < NODES; i++)
            for (int j = 0; j < NODES; j++) {
                double z1[] = {moved(mu[0], logvar[0], g->at[i]),
                               moved(mu[1], logvar[1], g->at[j])};
                double weight = g->weight[k] * g->weight[i] * g->weight[j];
                sum += weight * exp(plain_log_decode(m, z1, x));
            }
    }
    t->evidence = log(sum);
    t->means_only = log(means);
}

/* KL between normals of n independent dimensions, as in any textbook. */
static double plain_kl(int n, const double *m, const double *v, const double *m2, const double *v2)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum +=
            0.5 * (v2[i] - v[i] + (exp(v[i]) + (m[i] - m2[i]) * (m[i] - m2[i])) / exp(v2[i]) - 1);
    return sum;
}

/* From below: z1 ~ q(z1|x), z2 ~ q(z2|z1). */
static void integrate_q(const tp_model *m, const grid *g, const double *x, truth *t)
{
    double mu[N1], logvar[N1];
    plain_encode(m, x, mu, logvar);
    for (int i = 0; i < NODES; i++)
        for (int j = 0; j < NODES; j++) {
            static const double zero[N2];
            double z1[] = {moved(mu[0], logvar[0], g->at[i]), moved(mu[1], logvar[1], g->at[j])};
            double mu2[N2], logvar2[N2], weight = g->weight[i] * g->weight[j];
            double log_q1 = plain_log_normal(N1, z1, mu, logvar);
            upper(m, z1, mu2, logvar2);
            t->recon -= weight * plain_log_decode(m, z1, x);
            t->kl2 += weight * plain_kl(N2, mu2, logvar2, zero, zero);
            for (int k = 0; k < NODES; k++) {
                double z2 = moved(mu2[0], logvar2[0], g->at[k]), pmu[N1], plogvar[N1];
                lower(m, &z2, pmu, plogvar);
                double each = weight * g->weight[k];
                t->kl1 += each * (log_q1 - plain_log_normal(N1, z1, pmu, plogvar));
                t->independent_kl1 += each * plain_kl(N1, mu, logvar, pmu, plogvar);
            }
        }
}

static truth integrate(const tp_model *m, const double *x)
{
    const grid g = standard_grid();
    truth t = {0};
    integrate_p(m, &g, x, &t);
    integrate_q(m, &g, x, &t);
    return t;
}

/* --- against it ------------------------------------------------------------------------------------------- */

enum { TERMS = 3 };

/* The mean of each term over many batches of one picture, and its standard error. */
static void average_terms(tp_model *m, const double *x, double mean[TERMS], double error[TERMS])
{
    enum { BATCHES = 50, SIZE = SANITIZED ? 100 : 1000 };
    static const char *const names[] = {"recon", "kl1", "kl2"};
    static double all[SIZE * BITS], value[TERMS][BATCHES];
    tp_tape *t;
    for (int i = 0; i < SIZE * BITS; i++)
        all[i] = x[i % BITS];
    tp_tensor batch = bits(all, SIZE);
    assert_ok(tp_tape_new(&t));
    for (int b = 0; b < BATCHES; b++) {
        tp_tape_reset(t);
        tp_ctx c = tp_ctx_eval(t, 1, (uint64_t)b);
        tp_objective o = tp_model_loss(m, &c, tp_constant(t, &batch));
        assert_int_equal(o.terms, TERMS);
        for (int k = 0; k < TERMS; k++) {
            assert_string_equal(o.term[k].name, names[k]);
            value[k][b] = tp_item_of(o.term[k].value);
        }
    }
    for (int k = 0; k < TERMS; k++)
        mean[k] = plain_mean(value[k], BATCHES, &error[k]);
    tp_tape_free(t);
    tp_tensor_free(&batch);
}

/* Each term in expectation. The control is the textbook's KL of z1, as if z2 had not been drawn from z1. */
static void test_terms(void **state)
{
    (void)state;
    static const double x[][BITS] = {{0, 1, 0}, {1, 0, 1}};
    tp_model m = make();
    tp_tensor *up = &plain_parameter(&m, "up.mu", "weight")->value;
    for (int64_t i = 0; i < tp_numel(up); i++) /* z2 says much of z1 */
        assert_ok(tp_set_flat(up, i, -4 * tp_flat(up, i)));
    for (int i = 0; i < 2; i++) {
        truth t = integrate(&m, x[i]);
        double mean[TERMS], error[TERMS], want[] = {t.recon, t.kl1, t.kl2};
        average_terms(&m, x[i], mean, error);
        for (int k = 0; k < TERMS; k++)
            assert_close(mean[k], want[k], 4 * error[k], 0);
        assert_true(t.evidence >= -(t.recon + t.kl1 + t.kl2));
        assert_true(fabs(mean[1] - t.independent_kl1) > 8 * error[1]);
    }
    tp_model_free(&m);
}

/* With textbook_kl the second term is the textbook's, in expectation. */
static void test_textbook_kl(void **state)
{
    (void)state;
    static const double x[BITS] = {1, 0, 1};
    tp_model m = make_with("textbook_kl");
    tp_tensor *up = &plain_parameter(&m, "up.mu", "weight")->value;
    for (int64_t i = 0; i < tp_numel(up); i++)
        assert_ok(tp_set_flat(up, i, -4 * tp_flat(up, i)));
    truth t = integrate(&m, x);
    double mean[TERMS], error[TERMS];
    average_terms(&m, x, mean, error);
    assert_close(mean[1], t.independent_kl1, 4 * error[1], 0);
    assert_close(mean[2], t.kl2, 4 * error[2], 0);
    assert_true(fabs(mean[1] - t.kl1) > 8 * error[1]);
    check_weights(&m, x, t.evidence); /* are of the model, whatever it is trained by */
    tp_model_free(&m);
}

/* unit_variance is a p(z1|z2) whose log-variance is 0. */
static void test_unit_variance(void **state)
{
    (void)state;
    tp_model m = make(), unit = make_with("unit_variance");
    tp_tensor x = uniform(TP_F64, 4, BITS, 1);
    assert_null(tp_params_find(&unit.params, "down.logvar.weight"));
    assert_int_equal(unit.params.n, m.params.n - 2);
    for (int i = 0; i < unit.params.n; i++) {
        tp_parameter *p = unit.params.item[i];
        assert_ok(tp_copy(&p->value, &tp_params_find(&m.params, p->name)->value));
    }
    assert_true(fabs(evaluate(&unit, &x) - evaluate(&m, &x)) > 1e-3);
    plain_fill(&m, "down.logvar", 0, 0);
    assert_close(evaluate(&unit, &x), evaluate(&m, &x), 0, 1e-14);
    tp_tensor_free(&x);
    tp_model_free(&unit);
    tp_model_free(&m);
}

static void relu_layer(const tp_model *m, const char *layer, const double *x, double *y)
{
    int n = plain_linear(m, layer, x, y);
    for (int i = 0; i < n; i++)
        y[i] = fmax(y[i], 0);
}

/* Saito, Deep Learning from Scratch 5, step 8, where nothing has a half: Σ(x−x̂)² − Σ(1 + log σ2² − μ2² − σ2²)
 * − Σ(1 + log σ1² − (μ1−ẑ1)² − σ1²) is twice this loss without the constant of the normal distribution. Draws are so near
 * to their means that they are no draws. */
static void test_book(void **state)
{
    (void)state;
    static const char *const options[] = {"unit_variance", "textbook_kl", "one_activation"};
    static const double x[BITS] = {0.75, 0.25, 1};
    const double logvar = -50;
    tp_model m;
    tp_model_config config = tiny_tanh(&tp_model_hierarchical_vae, N1);
    config.activation = TP_RELU;
    config.likelihood = TP_GAUSSIAN;
    assert_ok(tp_model_set(&config, &tp_model_hierarchical_vae, "latent2", N2));
    assert_ok(tp_model_set(&config, &tp_model_hierarchical_vae, "hidden2", 5));
    for (int i = 0; i < 3; i++)
        assert_ok(tp_model_set(&config, &tp_model_hierarchical_vae, options[i], 1));
    assert_ok(tp_model_init(&m, &tp_model_hierarchical_vae, config, TP_F64, 3));
    plain_fill(&m, "logvar", 0, logvar);
    plain_fill(&m, "up.logvar", 0, logvar);
    assert_ok(tp_fill(&plain_parameter(&m, "up.0", "bias")->value, 0.5)); /* some units are on */
    assert_ok(tp_fill(&plain_parameter(&m, "down.0", "bias")->value, 0.5));

    double h[PLAIN_WIDTH], mu1[N1], mu2[N2], z1[N1], y[BITS], want = 0;
    relu_layer(&m, "encoder.0", x, h);
    plain_linear(&m, "mu", h, mu1);
    relu_layer(&m, "up.0", mu1, h);
    plain_linear(&m, "up.mu", h, mu2);
    relu_layer(&m, "down.0", mu2, h);
    plain_linear(&m, "down.mu", h, z1);
    relu_layer(&m, "decoder.0", mu1, h);
    plain_linear(&m, "decoder.2", h, y);
    for (int i = 0; i < BITS; i++)
        want += pow(x[i] - 1 / (1 + exp(-y[i])), 2);
    for (int i = 0; i < N2; i++)
        want -= 1 + logvar - mu2[i] * mu2[i] - exp(logvar);
    for (int i = 0; i < N1; i++)
        want -= 1 + logvar - pow(mu1[i] - z1[i], 2) - exp(logvar);
    tp_tensor one = bits(x, 1);
    assert_close(2 * evaluate(&m, &one) - BITS * LOG_2PI, want, 0, 1e-9);
    tp_tensor_free(&one);
    tp_model_free(&m);
}

static void test_likelihood(void **state)
{
    (void)state;
    static const double x[][BITS] = {{0, 1, 0}, {1, 0, 1}};
    tp_model m = make();
    for (int i = 0; i < 2; i++)
        check_weights(&m, x[i], integrate(&m, x[i]).evidence);
    tp_model_free(&m);
}

/* E p(x|z1) over generated z1 is p(x). The control forgets the noise of z1. */
static void test_generate(void **state)
{
    (void)state;
    static const double x[BITS] = {1, 0, 1};
    static double p[WEIGHTS];
    tp_model m = make();
    tp_tape *t;
    truth want = integrate(&m, x);
    tp_tensor one = bits(x, 1);
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_var all = tp_expand(tp_constant(t, &one), TP_SHAPE(WEIGHTS, BITS));
    tp_var log_p = tp_data_logprob(tp_model_generate(&m, &c, WEIGHTS), all);
    assert_ok(tp_var_status(log_p));
    for (int i = 0; i < WEIGHTS; i++)
        p[i] = exp(tp_flat(tp_value(log_p), i) - want.evidence);
    double error, mean = plain_mean(p, WEIGHTS, &error);
    assert_close(mean, 1, 4 * error, 0);
    assert_true(fabs(exp(want.means_only - want.evidence) - 1) > 8 * error);
    tp_tape_free(t);
    tp_tensor_free(&one);
    tp_model_free(&m);
}

/* The KL of each dimension adds up to the terms of the loss with the same draws. */
static void test_kl_by_dimension(void **state)
{
    (void)state;
    enum { BATCH = 4 };
    tp_model m = make();
    tp_tape *t;
    tp_tensor x = uniform(TP_F64, BATCH, BITS, 1);
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0), again = c;
    tp_var kl, data = tp_constant(t, &x);
    tp_objective o = tp_model_loss(&m, &c, data);
    assert_true(tp_model_kl(&m, &again, data, &kl));
    assert_true(tp_shape_equal(tp_shape_of(kl), TP_SHAPE(BATCH, N1 + N2)));
    double sum[2] = {0};
    for (int i = 0; i < BATCH * (N1 + N2); i++)
        sum[i % (N1 + N2) >= N1] += tp_flat(tp_value(kl), i) / BATCH;
    for (int k = 0; k < 2; k++)
        assert_close(sum[k], tp_item_of(o.term[1 + k].value), 1e-14, 1e-13);
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

/* With p(z1|z2) = N(0,1) and q(z2|z1) = N(0,1) the upper level says nothing: the VAE, with the KL of its draw. */
static void test_without_upper_level_it_is_the_vae(void **state)
{
    (void)state;
    tp_model m = make(), vae;
    tp_tape *t;
    tp_tensor x = uniform(TP_F64, 4, BITS, 1);
    assert_ok(tp_model_init(&vae, &tp_model_vae, tiny_tanh(&tp_model_vae, N1), TP_F64, 2));
    for (int i = 0; i < vae.params.n; i++)
        assert_ok(tp_copy(&vae.params.item[i]->value, &m.params.item[i]->value));
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_var log_w = tp_model_log_weight(&vae, &c, tp_constant(t, &x), 1);
    double want = -tp_item_of(tp_mean(log_w, TP_ALL_AXES, false));
    assert_true(fabs(evaluate(&m, &x) - want) > 1e-2);
    plain_fill(&m, "up.mu", 0, 0);
    plain_fill(&m, "up.logvar", 0, 0);
    plain_fill(&m, "down.mu", 0, 0);
    plain_fill(&m, "down.logvar", 0, 0);
    assert_close(evaluate(&m, &x), want, 0, 1e-13);
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&vae);
    tp_model_free(&m);
}

/* While nothing is paid for the KLs z1 may become large. What the levels make of each other stays finite, in f32 and whatever
 * the activation. */
static void test_large_codes(void **state)
{
    (void)state;
    tp_model m;
    tp_tensor x = uniform(TP_F32, 4, BITS, 1);
    tp_model_config config = tp_model_defaults(&tp_model_hierarchical_vae);
    config.data_dim = BITS;
    assert_ok(tp_model_init(&m, &tp_model_hierarchical_vae, config, TP_F32, 1));
    assert_ok(tp_fill(&plain_parameter(&m, "mu", "bias")->value, 3000));
    assert_true(isfinite(evaluate(&m, &x)));
    tp_tensor_free(&x);
    tp_model_free(&m);
}

static void test_warmup(void **state)
{
    (void)state;
    check_warmup(&tp_model_hierarchical_vae);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terms),
        cmocka_unit_test(test_textbook_kl),
        cmocka_unit_test(test_unit_variance),
        cmocka_unit_test(test_book),
        cmocka_unit_test(test_likelihood),
        cmocka_unit_test(test_generate),
        cmocka_unit_test(test_kl_by_dimension),
        cmocka_unit_test(test_without_upper_level_it_is_the_vae),
        cmocka_unit_test(test_large_codes),
        cmocka_unit_test(test_warmup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
