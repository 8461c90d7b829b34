/* test_gmm.c: the mixture and its EM: what is exact is compared with sums over the components, a step of EM with weighted
 * means by hand, and what is learned with the truth that data were drawn from. Read next: models/gmm_em.c.
 */
#include "tests/models/fixture.h"

#include <math.h>

#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "models/gmm.h"
#include "models/uses.h"

enum { N = 40, D = 3, C = 4 };

static tp_model start(int64_t components, uint64_t seed)
{
    tp_model m;
    tp_model_config config = tp_model_defaults(&tp_model_gmm);
    config.data_dim = D;
    config.latent_dim = components;
    assert_ok(tp_model_set(&config, &tp_model_gmm, "sigma", 0.7));
    assert_ok(tp_model_set(&config, &tp_model_gmm, "logvar", 0));
    assert_ok(tp_model_set(&config, &tp_model_gmm, "speed", 1)); /* parameters are what they say */
    assert_ok(tp_model_init(&m, &tp_model_gmm, config, TP_F64, seed));
    return m;
}

/* The same with weights and variances that are not equal either. */
static tp_model uneven(uint64_t seed)
{
    tp_model m = start(C, seed);
    assert_ok(tp_init_normal(&m.params, tp_params_find(&m.params, "logits"), 1));
    assert_ok(tp_init_normal(&m.params, tp_params_find(&m.params, "spread"), 1));
    return m;
}

/* Any real numbers; the last element is the same in all of them, as border pixels are. */
static tp_tensor points(int64_t n, uint64_t seed)
{
    tp_tensor x;
    assert_ok(tp_tensor_new(&x, TP_F64, TP_SHAPE(n, D)));
    assert_ok(tp_random_normal(&x, (tp_rng_key){seed, 0, 0}));
    for (int64_t i = 0; i < n; i++)
        assert_ok(tp_set_flat(&x, i * D + D - 1, 0.25));
    return x;
}

/* --- exactness --------------------------------------------------------------------------------------------- */

/* For every x: log p(x), and the bound Σ_z q(z)(log p(x|z) + log p(z) − log q(z)) for q = softmax(posterior's logits)
 * along axis, from the parts of the model. */
static void bound(const tp_model *m, tp_tape *t, const tp_tensor *data, int axis, tp_var *logprob,
                  tp_var *elbo)
{
    const double zs[] = {0, 1, 2, 3};
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_tensor z;
    tp_var x = tp_constant(t, data), all, joint;
    assert_ok(tp_tensor_new(&z, TP_I64, TP_SHAPE(C, N)));
    for (int64_t i = 0; i < C * N; i++)
        assert_ok(tp_set_flat(&z, i, zs[i / N]));
    all = tp_reshape(tp_constant(t, &z), TP_SHAPE(C, N));
    joint = tp_add(tp_data_logprob(tp_model_decode(m, &c, all), x),
                   tp_dist_logprob(tp_model_prior(m, &c), all)); /* [C, N] */
    tp_var log_q = tp_log_softmax(tp_transpose(tp_model_posterior(m, &c, x).param[0]), axis);
    *logprob = m->type->logprob(m->self, &c, x);
    *elbo = tp_sum(tp_mul(tp_exp(log_q), tp_sub(joint, log_q)), TP_AXES(0), false);
    assert_ok(tp_var_status(*elbo));
    assert_ok(tp_var_status(*logprob));
    tp_tensor_free(&z); /* all that is asked for is there */
}

/* The expectation step leaves no gap: KL(q ‖ p(z|x)) = 0. The control normalises over the examples, not the components. */
static void test_posterior_is_exact(void **state)
{
    (void)state;
    tp_tape *t;
    tp_model m = uneven(1);
    tp_tensor x = points(N, 2);
    double worst = 0;
    assert_ok(tp_tape_new(&t));
    tp_var logprob, right, wrong;
    bound(&m, t, &x, 0, &logprob, &right);
    bound(&m, t, &x, 1, &logprob, &wrong);
    for (int64_t i = 0; i < N; i++) {
        double p = tp_flat(tp_value(logprob), i);
        assert_close(tp_flat(tp_value(right), i), p, 1e-10, 0);
        worst = fmax(worst, fabs(tp_flat(tp_value(wrong), i) - p));
    }
    assert_true(worst > 1);
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

/* So every importance weight of a draw is p(x) itself, and the KL is what log p(x|z) exceeds log p(x) by. */
static void test_weights(void **state)
{
    (void)state;
    tp_tape *t;
    tp_model m = uneven(3);
    tp_tensor x = points(N, 2);
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_var data = tp_constant(t, &x), w = tp_model_log_weight(&m, &c, data, 5), kl;
    tp_var logprob = m.type->logprob(m.self, &c, data);
    for (int64_t i = 0; i < 5 * N; i++)
        assert_close(tp_flat(tp_value(w), i), tp_flat(tp_value(logprob), i % N), 1e-12, 0);
    assert_true(tp_model_kl(&m, &c, data, &kl));
    assert_true(tp_shape_equal(tp_shape_of(kl), TP_SHAPE(N, 1)));
    tp_var code = tp_model_code(&m, &c, data), q = tp_model_posterior(&m, &c, data).param[0];
    for (int64_t i = 0; i < N; i++)
        for (int64_t k = 0; k < C; k++)
            assert_true(tp_flat(tp_value(q), i * C + k) <=
                        tp_flat(tp_value(q), i * C + (int64_t)tp_flat(tp_value(code), i)));
    assert_ok(tp_var_status(tp_model_reconstruct(&m, &c, data)));
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

/* --- a step of EM ------------------------------------------------------------------------------------------------- */

/* The model after the step, against sums by hand over the responsibilities before it. */
static void test_step_by_hand(void **state)
{
    (void)state;
    tp_tape *t;
    tp_model m = uneven(4);
    tp_tensor x = points(N, 5);
    double r[N][C], logprob, want = 0;
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_var data = tp_constant(t, &x), q = tp_dist_mean(tp_model_posterior(&m, &c, data));
    tp_var before = m.type->logprob(m.self, &c, data);
    for (int64_t i = 0; i < N * C; i++)
        r[i / C][i % C] = tp_flat(tp_value(q), i);
    for (int64_t i = 0; i < N; i++)
        want += tp_flat(tp_value(before), i) / N;
    assert_ok(tp_gmm_em_step(&m, &x, &logprob));
    assert_close(logprob, want, 1e-13, 0);
    tp_tape_reset(t);
    const tp_gmm *now = m.self;
    tp_var logvar = tp_logvar_above(tp_param(t, (tp_parameter *)&now->spread), -6);
    for (int k = 0; k < C; k++) {
        double count = 0;
        for (int i = 0; i < N; i++)
            count += r[i][k];
        assert_close(tp_flat(&now->logits.value, k), log(count / N), 1e-12, 0);
        for (int d = 0; d < D; d++) {
            double mean = 0, variance = 0;
            for (int i = 0; i < N; i++)
                mean += r[i][k] * tp_flat(&x, i * D + d) / count;
            for (int i = 0; i < N; i++)
                variance += r[i][k] * pow(tp_flat(&x, i * D + d) - mean, 2) / count;
            assert_close(tp_flat(&now->mu.value, k * D + d), mean, 1e-12, 0);
            assert_close(tp_flat(tp_value(logvar), k * D + d), fmax(log(variance), -6), 2e-9, 0);
        }
    }
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

/* log p(x) rises with every step until there is nothing left to gain, from any start, under the floor as above it; and
 * then the gradient is 0. A constant element, a component far away from everything and one example too many are there. */
static void test_monotone(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        tp_model m = seed % 2 ? start(C, seed) : uneven(seed);
        tp_tensor x = points(N, 100 + seed);
        double last = -INFINITY, logprob, gained = 1;
        int steps = 0;
        for (int64_t d = 0; d < D && seed == 3; d++)
            assert_ok(tp_set_flat(&((tp_gmm *)m.self)->mu.value, d, 1e4));
        for (; steps < 3000 && gained > 1e-13; steps++) {
            assert_ok(tp_gmm_em_step(&m, &x, &logprob));
            gained = logprob - last;
            assert_true(gained > -1e-13 * fabs(logprob));
            last = logprob;
        }
        assert_true(steps > 5 && steps < 3000);
        tp_tensor_free(&x);
        tp_model_free(&m);
    }
}

/* How parameters are scaled for optimizers is nothing to EM: the same log p(x), step by step. */
static void test_speed(void **state)
{
    (void)state;
    tp_model plain = start(C, 3), fast;
    tp_model_config config = plain.config;
    tp_tensor x = points(N, 103);
    double a, b;
    assert_ok(tp_model_set(&config, &tp_model_gmm, "speed", 8));
    assert_ok(tp_model_init(&fast, &tp_model_gmm, config, TP_F64, 3));
    for (int i = 0; i < 20; i++) {
        assert_ok(tp_gmm_em_step(&plain, &x, &a));
        assert_ok(tp_gmm_em_step(&fast, &x, &b));
        assert_close(b, a, 1e-10, 0);
    }
    const tp_parameter *p = tp_params_find(&plain.params, "mu"),
                       *f = tp_params_find(&fast.params, "mu");
    assert_close(8 * tp_flat(&f->value, 0), tp_flat(&p->value, 0), 1e-8, 0);
    tp_tensor_free(&x);
    tp_model_free(&plain);
    tp_model_free(&fast);
}

/* The maximisation of a wrong expectation: responsibilities normalised over the examples. log p(x) falls. */
static void test_wrong_axis_falls(void **state)
{
    (void)state;
    tp_tape *t;
    tp_model m = start(C, 2);
    tp_gmm *g = m.self;
    tp_tensor x = points(N, 102);
    double logprob, after;
    for (int i = 0; i < 200; i++)
        assert_ok(tp_gmm_em_step(&m, &x, &logprob));
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_var data = tp_constant(t, &x);
    tp_var r = tp_softmax(tp_model_posterior(&m, &c, data).param[0], 0);
    tp_var mu = tp_matmul(tp_transpose(r), data); /* each column of r sums to 1 */
    assert_ok(tp_var_status(mu));
    assert_ok(tp_copy(&g->mu.value, tp_value(mu)));
    assert_ok(tp_gmm_em_step(&m, &x, &after));
    assert_true(after < logprob - 1e-3);
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

/* Fisher's identity: the gradient of log p(x) is that of Q(θ; θ_old) = E_q[log p(x,z)] at θ_old, where EM begins. */
static void test_gradient_is_that_of_em(void **state)
{
    (void)state;
    tp_tape *t;
    tp_model m = uneven(6);
    const tp_gmm *g = m.self;
    tp_tensor x = points(N, 7);
    assert_ok(tp_tape_new(&t));
    tp_ctx c = tp_ctx_train(t, 1, 0);
    tp_var data = tp_constant(t, &x), gx[3], gq[3];
    tp_var in[] = {tp_params_var(&c, &g->logits), tp_params_var(&c, &g->mu),
                   tp_params_var(&c, &g->spread)};
    tp_var loss = tp_model_loss(&m, &c, data).total;
    tp_var joint = tp_model_posterior(&m, &c, data).param[0]; /* log p(z) + log p(x|z) */
    tp_var r = tp_detach(tp_softmax(joint, -1));
    tp_var q = tp_scale(tp_sum(tp_mul(r, joint), TP_ALL_AXES, false), -1.0 / N);
    assert_ok(tp_grad(1, &loss, 3, in, gx, (tp_grad_opts){0}));
    assert_ok(tp_grad(1, &q, 3, in, gq, (tp_grad_opts){0}));
    for (int i = 0; i < 3; i++)
        for (int64_t k = 0; k < tp_numel(tp_value(gx[i])); k++)
            assert_close(tp_flat(tp_value(gq[i]), k), tp_flat(tp_value(gx[i]), k), 1e-8, 1e-8);
    tp_tape_free(t);
    tp_tensor_free(&x);
    tp_model_free(&m);
}

/* --- what is learned ------------------------------------------------------------------------------------------------- */

/* Three clouds far apart: EM finds their weights, means and variances within four standard errors. */
static void test_finds_the_truth(void **state)
{
    (void)state;
    enum { CLOUDS = 3, MANY = 3000 };
    static const double weight[] = {0.2, 0.3, 0.5}, sigma[] = {0.5, 1, 2};
    static const double at[CLOUDS][D] = {{-10, 0, 5}, {0, 12, -4}, {11, -9, 0}};
    tp_model m = start(CLOUDS, 1);
    tp_gmm *g = m.self;
    tp_tensor x;
    double logprob;
    assert_ok(tp_tensor_new(&x, TP_F64, TP_SHAPE(MANY, D)));
    assert_ok(tp_random_normal(&x, (tp_rng_key){9, 0, 0}));
    for (int64_t i = 0; i < MANY * D; i++) {
        int k = i / D % 10 < 2 ? 0 : i / D % 10 < 5 ? 1 : 2;
        assert_ok(tp_set_flat(&x, i, at[k][i % D] + sigma[k] * tp_flat(&x, i)));
    }
    for (int k = 0; k < CLOUDS; k++) /* not too near the truth, but one to each */
        for (int d = 0; d < D; d++)
            assert_ok(tp_set_flat(&g->mu.value, k * D + d, at[k][d] + 4 - 2 * d));
    assert_ok(tp_fill(&g->spread.value, 2));
    for (int i = 0; i < 60; i++)
        assert_ok(tp_gmm_em_step(&m, &x, &logprob));
    for (int k = 0; k < CLOUDS; k++) {
        double n = weight[k] * MANY, variance = sigma[k] * sigma[k];
        assert_close(exp(tp_flat(&g->logits.value, k)), weight[k], 1e-3, 0);
        for (int d = 0; d < D; d++) {
            double logvar = -6 + log1p(exp(tp_flat(&g->spread.value, k * D + d) + 6));
            assert_close(tp_flat(&g->mu.value, k * D + d), at[k][d], 4 * sqrt(variance / n), 0);
            assert_close(logvar, log(variance), 4 * sqrt(2 / n), 0);
        }
    }
    tp_tensor_free(&x);
    tp_model_free(&m);
}

/* --- refusals: nothing is changed ---------------------------------------------------------------------------------- */

static void refuse(tp_model *m, const tp_tensor *x, tp_status status, const char *says)
{
    tp_tensor before[8];
    double logprob = 17;
    for (int i = 0; i < m->params.n; i++)
        assert_ok(tp_clone(&before[i], &m->params.item[i]->value));
    assert_status(tp_gmm_em_step(m, x, &logprob), status);
    assert_message(says);
    assert_true(logprob == 17);
    for (int i = 0; i < m->params.n; i++) {
        assert_true(equal_bits(&before[i], &m->params.item[i]->value));
        tp_tensor_free(&before[i]);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    tp_model m = start(C, 1), vae;
    tp_tensor x = points(N, 1), some, narrow, f32 = uniform(TP_F32, N, D, 1);
    assert_ok(tp_model_init(&vae, &tp_model_vae, tiny(TP_RELU, TP_BERNOULLI), TP_F64, 1));
    assert_ok(tp_view_slice(&x, 0, 0, 0, 1, &some));
    assert_ok(tp_view_slice(&x, 1, 0, 2, 1, &narrow));
    refuse(&m, &some, TP_EARG, "n > 0");
    refuse(&m, &narrow, TP_ESHAPE, "[40,4,2]");
    refuse(&m, &f32, TP_EDTYPE, "f32");
    assert_ok(tp_set_flat(&x, 5, INFINITY));
    refuse(&m, &x, TP_ENONFINITE, "");
    tp_model_free(&m);
    double logprob;
    assert_status(tp_gmm_em_step(&vae, &x, &logprob), TP_EARG);
    assert_message("model 'vae' is no gmm");
    tp_model_free(&vae);
    tp_tensor_free(&x);
    tp_tensor_free(&f32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posterior_is_exact),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_step_by_hand),
        cmocka_unit_test(test_monotone),
        cmocka_unit_test(test_speed),
        cmocka_unit_test(test_wrong_axis_falls),
        cmocka_unit_test(test_gradient_is_that_of_em),
        cmocka_unit_test(test_finds_the_truth),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
