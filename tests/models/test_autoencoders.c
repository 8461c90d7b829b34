/* test_autoencoders.c: the denoising and the sparse autoencoder: what their options do, by statistics, in plain C, and
 * against what they are mistaken for.
 *
 * What all models owe is test_conformance.c. Read next: models/ae.c, test_capacity_dip.c.
 */
#include "tests/models/step.h"

/* --- denoising ------------------------------------------------------------------------------------------------ */

/* What the encoder got; false if it got x itself. */
static bool corrupted(const step *s, tp_var *found)
{
    for (uint32_t id = 1; id <= tp_tape_length(s->t); id++) {
        char text[TP_VAR_TEXT];
        tp_var v = {s->t, id, s->o.total.epoch};
        tp_var_text(v, text);
        if (strstr(text, "'corrupted' = ") != NULL) {
            *found = v;
            return true;
        }
    }
    return false;
}

enum { WIDE = 100, MANY = SANITIZED ? 100 : 400 };

/* A step on many equal numbers. */
static step *spoilt(double x, double sigma, double dropout, uint64_t at)
{
    const tp_model_type *type = &tp_model_denoising_ae;
    tp_model_config config = small(type);
    tp_tensor data;
    config.data_dim = WIDE;
    set(&config, type, "sigma", sigma);
    set(&config, type, "dropout", dropout);
    assert_ok(tp_tensor_new(&data, TP_F64, TP_SHAPE(MANY, WIDE)));
    assert_ok(tp_fill(&data, x));
    return step_new(type, config, data, at);
}

/* Mean and variance, about 0, of the noise on those numbers that are not 0; and the share of zeros. */
typedef struct statistics {
    double zeros, mean, variance, least, most;
    int64_t kept;
} statistics;

static statistics measure(const step *s, double x)
{
    tp_var v;
    statistics r = {.least = INFINITY, .most = -INFINITY};
    assert_true(corrupted(s, &v));
    const double *y = numbers(v);
    for (int64_t i = 0; i < MANY * WIDE; i++) {
        if (y[i] == 0)
            continue;
        r.kept++;
        r.mean += y[i] - x;
        r.variance += (y[i] - x) * (y[i] - x);
        r.least = fmin(r.least, y[i]);
        r.most = fmax(r.most, y[i]);
    }
    r.zeros = 1 - (double)r.kept / (MANY * WIDE);
    r.mean /= (double)r.kept;
    r.variance /= (double)r.kept;
    return r;
}

/* Its variance is σ², which neither σ nor σ⁴ is; and it may leave [0,1], where a Bernoulli distribution wants its data. */
static void test_gaussian_noise(void **state)
{
    (void)state;
    const double sigma = 0.3, x = 0.9;
    step *s = spoilt(x, sigma, 0, 3);
    statistics r = measure(s, x);
    double n = MANY * WIDE, se = sigma * sigma * sqrt(2 / n);
    assert_true(r.zeros == 0);
    assert_close(r.mean, 0, 4 * sigma / sqrt(n), 0);
    assert_close(r.variance, sigma * sigma, 4 * se, 0);
    assert_false(close_enough(r.variance, sigma, 4 * se, 0));
    assert_false(close_enough(r.variance, pow(sigma, 4), 4 * se, 0));
    assert_true(r.least < 0 && r.most > 1);
    step_free(s);
}

/* A share p of zeros; what is left is what it was, not x/(1 − p). */
static void test_masking_noise(void **state)
{
    (void)state;
    const double p[] = {0.1, 0.25, 0.8, 1}, x = 0.6;
    for (int i = 0; i < 4; i++) {
        step *s = spoilt(x, 0, p[i], 3);
        statistics r = measure(s, x);
        assert_close(r.zeros, p[i], 4 * sqrt(p[i] * (1 - p[i]) / (MANY * WIDE)), 0);
        if (r.kept > 0)
            assert_true(r.least == x && r.most == x && x / (1 - p[i]) > 1.1 * x);
        step_free(s);
    }
}

/* Noise first, then the mask: zeros are clean, and which they are has nothing to do with the noise. */
static void test_both_noises(void **state)
{
    (void)state;
    const double x = 0.5, sigma = 0.2, p = 0.25, n = MANY * WIDE * (1 - p);
    step *s = spoilt(x, sigma, p, 3);
    statistics r = measure(s, x);
    assert_close(r.zeros, p, 4 * sqrt(p * (1 - p) / (MANY * WIDE)), 0);
    assert_close(r.mean, 0, 4 * sigma / sqrt(n), 0);
    assert_close(r.variance, sigma * sigma, 4 * sigma * sigma * sqrt(2 / n), 0);
    step_free(s);
}

/* The noise belongs to the step: the same again at the same, another at the next. */
static void test_noise_is_keyed(void **state)
{
    (void)state;
    tp_var a = {0}, b = {0}, c = {0};
    step *s[] = {spoilt(0.5, 0.2, 0.3, 3), spoilt(0.5, 0.2, 0.3, 3), spoilt(0.5, 0.2, 0.3, 4)};
    assert_true(corrupted(s[0], &a) && corrupted(s[1], &b) && corrupted(s[2], &c));
    assert_true(equal_bits(tp_value(a), tp_value(b)));
    assert_false(equal_bits(tp_value(a), tp_value(c)));
    for (int i = 0; i < 3; i++)
        step_free(s[i]);
}

/* Copies the parameters by name. */
static void share(tp_model *to, const tp_model *from)
{
    for (int i = 0; i < to->params.n; i++) {
        const tp_parameter *p = tp_params_find(&from->params, to->params.item[i]->name);
        assert_non_null(p);
        assert_ok(tp_copy(&to->params.item[i]->value, &p->value));
    }
}

/* The autoencoder with the parameters of s, on its x; in train mode at the same step. */
static step *plain(const step *s)
{
    tp_tensor x;
    tp_model_config config = s->m.config;
    assert_ok(tp_clone(&x, &s->x));
    memset(config.option, 0, sizeof config.option);
    step *a = step_new(&tp_model_ae, config, x, s->c.step);
    share(&a->m, &s->m);
    tp_tape_reset(a->t);
    a->o = tp_model_loss(&a->m, &a->c, tp_constant(a->t, &a->x));
    return a;
}

static void assert_same_gradients(const step *a, const step *b)
{
    assert_int_equal(a->m.params.n, b->m.params.n);
    assert_ok(tp_backward(a->o.total));
    assert_ok(tp_backward(b->o.total));
    for (int i = 0; i < a->m.params.n; i++)
        assert_true(equal_bits(tp_parameter_grad(a->m.params.item[i]),
                               tp_parameter_grad(b->m.params.item[i])));
}

/* Without noise, and in evaluation whatever the noise, it is the autoencoder, bit for bit, and draws nothing. */
static void test_without_noise(void **state)
{
    (void)state;
    const uint64_t at[] = {3, UINT64_MAX, 3};
    const double sigma[] = {0, 0.2, 0.2};
    for (int i = 0; i < 3; i++) {
        tp_var v;
        step *s = spoilt(0.6, sigma[i], sigma[i], at[i]), *ae = plain(s);
        bool spoils = i == 2; /* the control */
        assert_true(corrupted(s, &v) == spoils);
        assert_true((s->c.key.draw == 0) == !spoils);
        assert_true((total(s) == total(ae)) == !spoils);
        if (!spoils)
            assert_same_gradients(s, ae);
        step_free(s);
        step_free(ae);
    }
}

/* What is to be restored is the clean example; the control is measured against the spoilt one. */
static void test_target_is_clean(void **state)
{
    (void)state;
    const tp_model_type *type = &tp_model_denoising_ae;
    for (int l = 0; l < TP_LIKELIHOODS; l++) {
        tp_model_config config = small(type);
        tp_var spoilt_x;
        config.likelihood = (tp_likelihood)l;
        set(&config, type, "sigma", 0.2);
        step *s = step_new(type, config, uniform(TP_F64, 6, 3, 1), 3);
        assert_true(corrupted(s, &spoilt_x));
        tp_dist p = tp_model_decode(&s->m, &s->c, tp_model_code(&s->m, &s->c, spoilt_x));
        tp_var clean = tp_data_logprob(p, tp_constant(s->t, &s->x));
        tp_var wrong = tp_data_logprob(p, tp_clamp(spoilt_x, 0, 1));
        assert_true(total(s) == -tp_item_of(tp_mean(clean, TP_ALL_AXES, false)));
        assert_true(fabs(total(s) + tp_item_of(tp_mean(wrong, TP_ALL_AXES, false))) > 1e-3);
        step_free(s);
    }
}

static void test_denoising_gradient(void **state)
{
    (void)state;
    const tp_model_type *type = &tp_model_denoising_ae;
    tp_model_config config = small(type);
    set(&config, type, "sigma", 0.2);
    step_check_gradient(step_new(type, config, uniform(TP_F64, 5, 3, 1), 0));
}

/* --- sparse codes ---------------------------------------------------------------------------------------------- */

static step *sparse(double l1, double kl, double rho)
{
    const tp_model_type *type = &tp_model_sparse_ae;
    tp_model_config config = small(type);
    set(&config, type, "l1", l1);
    set(&config, type, "kl", kl);
    set(&config, type, "rho", rho);
    return step_new(type, config, uniform(TP_F64, 5, 3, 1), 3);
}

static double bernoulli_kl(double q, double p)
{
    return q * log(q / p) + (1 - q) * log((1 - q) / (1 - p));
}

/* With the code as the model gives it, in plain C. The controls: the KL the other way round, that of each example's
 * activation, the mean over the code where a sum belongs. */
static void test_sparse_penalties(void **state)
{
    (void)state;
    enum { N = 5, NZ = 2 };
    const double rho = 0.2;
    step *s = sparse(0.7, 1.3, rho);
    const double *z = numbers(tp_model_code(&s->m, &s->c, tp_constant(s->t, &s->x)));
    double l1 = 0, kl = 0, reverse = 0, each = 0;
    for (int j = 0; j < NZ; j++) {
        double mean = 0;
        for (int i = 0; i < N; i++) {
            assert_true(z[i * NZ + j] > 0 && z[i * NZ + j] < 1);
            l1 += z[i * NZ + j] / N;
            mean += z[i * NZ + j] / N;
            each += bernoulli_kl(rho, z[i * NZ + j]) / N;
        }
        kl += bernoulli_kl(rho, mean);
        reverse += bernoulli_kl(mean, rho);
    }
    assert_close(term(s, "l1"), l1, 0, 1e-14);
    assert_close(term(s, "sparsity"), kl, 0, 1e-13);
    assert_close(total(s), term(s, "recon") + 0.7 * l1 + 1.3 * kl, 0, 1e-14);
    assert_false(close_enough(term(s, "sparsity"), reverse, 0, 1e-3));
    assert_false(close_enough(term(s, "sparsity"), each, 0, 1e-3));
    assert_false(close_enough(term(s, "sparsity"), kl / NZ, 0, 1e-3));
    step_free(s);
}

/* Without the KL the code is a ReLU, and what is minimised looks at one example at a time. */
static void test_sparse_relu(void **state)
{
    (void)state;
    step *s = sparse(0.7, 0, 0.2), *ae = plain(s);
    const double *z = numbers(tp_model_code(&s->m, &s->c, tp_constant(s->t, &s->x)));
    const double *raw = numbers(tp_model_code(&ae->m, &ae->c, tp_constant(ae->t, &ae->x)));
    double l1 = 0;
    int off = 0;
    for (int i = 0; i < 10; i++) {
        assert_true(z[i] == (raw[i] > 0 ? raw[i] : 0));
        off += z[i] == 0;
        l1 += z[i] / 5;
    }
    assert_true(off > 0 && off < 10);
    assert_int_equal(s->o.terms, 2);
    assert_close(term(s, "l1"), l1, 0, 1e-14);
    assert_close(total(s), term(s, "recon") + 0.7 * l1, 0, 1e-15);
    step_free(s);
    step_free(ae);
}

/* Trained on random bits, the codes are on as often as was asked, and not if nobody asks. */
static void test_sparsity_is_reached(void **state)
{
    (void)state;
    enum { N = 64, NX = 12, NZ = 6, STEPS = SANITIZED ? 300 : 600 };
    const double weight[] = {20, 1e-9}, rho = 0.15;
    double off[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        const tp_model_type *type = &tp_model_sparse_ae;
        tp_model_config config = small(type);
        config.data_dim = NX, config.latent_dim = NZ, config.hidden[0] = 16;
        set(&config, type, "kl", weight[i]);
        set(&config, type, "rho", rho);
        tp_tensor x = uniform(TP_F64, N, NX, 3);
        for (int64_t k = 0; k < N * NX; k++)
            assert_ok(tp_set_flat(&x, k, tp_flat(&x, k) < 0.5));
        step *s = step_new(type, config, x, 0);
        step_train(s, STEPS);
        tp_var z = tp_model_code(&s->m, &s->c, tp_constant(s->t, &s->x));
        const double *mean = numbers(tp_mean(z, TP_AXES(0), false));
        for (int j = 0; j < NZ; j++)
            off[i] = fmax(off[i], fabs(mean[j] - rho));
        step_free(s);
    }
    assert_true(off[0] < 0.02);
    assert_true(off[1] > 0.1); /* the control */
}

static void test_sparse_gradient(void **state)
{
    (void)state;
    step_check_gradient(sparse(0.7, 1.3, 0.2));
    step_check_gradient(sparse(0.7, 0, 0.2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gaussian_noise),     cmocka_unit_test(test_masking_noise),
        cmocka_unit_test(test_both_noises),        cmocka_unit_test(test_noise_is_keyed),
        cmocka_unit_test(test_without_noise),      cmocka_unit_test(test_target_is_clean),
        cmocka_unit_test(test_denoising_gradient), cmocka_unit_test(test_sparse_penalties),
        cmocka_unit_test(test_sparse_relu),        cmocka_unit_test(test_sparsity_is_reached),
        cmocka_unit_test(test_sparse_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
