/* test_capacity_dip.c: the VAE of controlled capacity, and DIP-VAE: when its capacity rises, and the covariance by hand.
 *
 * The formulas themselves are tests/objective. Read next: models/beta_vae.c, models/dip_vae.c.
 */
#include "tests/models/step.h"

/* --- controlled capacity ------------------------------------------------------------------------------------------ */

enum { CAP_N = 6 };

static step *capacity(double gamma, double c, double steps, uint64_t at)
{
    const tp_model_type *type = &tp_model_beta_vae;
    tp_model_config config = small(type);
    set(&config, type, "gamma", gamma);
    set(&config, type, "capacity", c);
    set(&config, type, "steps", steps);
    return step_new(type, config, uniform(TP_F64, CAP_N, 3, 1), at);
}

/* At C = 0 it is the β-VAE with β = γ: of the same parameters, data and noise the same loss. */
static void test_no_capacity(void **state)
{
    (void)state;
    step *s = capacity(4, 25, 100, 0);
    tp_model_config config = small(&tp_model_vae);
    config.beta = 4;
    step *vae = step_new(&tp_model_vae, config, uniform(TP_F64, CAP_N, 3, 1), 0);
    assert_true(term(s, "recon") == term(vae, "recon"));
    assert_close(term(s, "capacity"), term(vae, "kl"), 0, 1e-14);
    assert_close(total(s), term(vae, "recon") + 4 * term(vae, "kl"), 0, 1e-14);
    assert_close(total(s), total(vae), 0, 1e-14);
    step_free(s);
    step_free(vae);
}

/* C rises in proportion to the step, and stays; evaluation is at its end. The distance is taken per example: that of the
 * mean KL, the control, is smaller as soon as C lies between the KLs. */
static void test_capacity_rises(void **state)
{
    (void)state;
    const struct {
        uint64_t step;
        double steps, c;
    } rows[] = {{0, 100, 0},   {1, 100, 0.01}, {50, 100, 0.5},       {99, 100, 0.99},
                {100, 100, 1}, {1000, 100, 1}, {UINT64_MAX, 100, 1}, {0, 0, 1}};
    bool between = false;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        tp_var elements;
        step *s = capacity(30, 0.08, rows[r].steps, rows[r].step);
        double c = 0.08 * rows[r].c, away = 0, mean = 0;
        assert_true(tp_model_kl(&s->m, &s->c, tp_constant(s->t, &s->x), &elements));
        const double *kl = numbers(elements);
        for (int i = 0; i < CAP_N; i++) {
            away += fabs(kl[2 * i] + kl[2 * i + 1] - c) / CAP_N;
            mean += (kl[2 * i] + kl[2 * i + 1]) / CAP_N;
        }
        assert_close(term(s, "capacity"), away, 1e-14, 1e-14);
        assert_close(term(s, "kl"), mean, 0, 1e-14);
        assert_close(total(s), term(s, "recon") + 30 * away, 0, 1e-14);
        between |= !close_enough(away, fabs(mean - c), 1e-3, 0);
        step_free(s);
    }
    assert_true(between);
}

/* Trained, the KL of the examples comes to C, where the plain VAE has another. */
static void test_capacity_is_reached(void **state)
{
    (void)state;
    enum { STEPS = SANITIZED ? 300 : 600 };
    const double c = 1.5;
    step *s = capacity(50, c, 200, 0);
    assert_true(term(s, "kl") < 0.5 * c);
    step_train(s, STEPS);
    assert_close(term(s, "kl"), c, 0.1, 0);
    step_free(s);
}

static void test_capacity_gradient(void **state)
{
    (void)state;
    step_check_gradient(capacity(30, 0.08, 0, 0));
}

/* --- DIP-VAE -------------------------------------------------------------------------------------------------------- */

static void fill(tp_model *m, const char *name, int n, const double *v)
{
    tp_parameter *p = tp_params_find(&m->params, name);
    assert_true(p != NULL && tp_numel(&p->value) == n);
    for (int i = 0; i < n; i++)
        assert_ok(tp_set_flat(&p->value, i, v[i]));
}

/* A batch of two whose posterior means are [[1,2],[3,6]] and variances (3/2, 2), by parameters set by hand. */
static step *dip(double kind)
{
    const tp_model_type *type = &tp_model_dip_vae;
    tp_model_config config = small(type);
    config.data_dim = 2, config.hidden[0] = 2, config.activation = TP_RELU;
    set(&config, type, "off_diagonal", 10);
    set(&config, type, "diagonal", 5);
    set(&config, type, "kind", kind);
    step *s = step_new(type, config, given(2, 2, (double[]){0.1, 0.2, 0.3, 0.6}), 0);
    const double unit[] = {1, 0, 0, 1}, ten[] = {10, 0, 0, 10}, zero[4] = {0};
    fill(&s->m, "encoder.0.weight", 4, unit);
    fill(&s->m, "encoder.0.bias", 2, zero);
    fill(&s->m, "mu.weight", 4, ten);
    fill(&s->m, "mu.bias", 2, zero);
    fill(&s->m, "logvar.weight", 4, zero);
    fill(&s->m, "logvar.bias", 2, (double[]){log(1.5), log(2)});
    tp_tape_reset(s->t);
    s->o = tp_model_loss(&s->m, &s->c, tp_constant(s->t, &s->x));
    return s;
}

/* Centred over the batch the means are [[−1,−2],[1,2]], and have covariance [[1,2],[2,4]]. The control, centred over the
 * latents, is [[¼,−¼],[−¼,¼]] and [[9/4,−9/4],[−9/4,9/4]], in the mean 5/4: not what comes out. */
static void test_dip(void **state)
{
    (void)state;
    const double var[] = {0 * 0 + 3 * 3, 1.5 * 1.5 + 5 * 5};
    const double kl = 0.5 * (5 + 45) / 2 + 0.5 * (1.5 - 1 - log(1.5)) + 0.5 * (2 - 1 - log(2));
    for (int kind = 1; kind <= 2; kind++) {
        step *s = dip(kind);
        assert_close(term(s, "kl"), kl, 0, 1e-14);
        assert_close(term(s, "cov"), 2 * 2 * 2, 0, 1e-13);
        assert_close(term(s, "var"), var[kind - 1], 0, 1e-13);
        assert_close(total(s), term(s, "recon") + kl + 10 * 8 + 5 * var[kind - 1], 0, 1e-13);
        assert_false(close_enough(term(s, "cov"), 2 * 1.25 * 1.25, 1, 0));
        step_free(s);
    }
}

/* Both weights 0: the VAE. */
static void test_dip_off(void **state)
{
    (void)state;
    const tp_model_type *type = &tp_model_dip_vae;
    tp_model_config config = small(type);
    set(&config, type, "off_diagonal", 0);
    set(&config, type, "diagonal", 0);
    step *s = step_new(type, config, uniform(TP_F64, 5, 3, 1), 2);
    step *vae = step_new(&tp_model_vae, small(&tp_model_vae), uniform(TP_F64, 5, 3, 1), 2);
    assert_true(total(s) == total(vae));
    step_free(s);
    step_free(vae);
}

static void test_dip_gradient(void **state)
{
    (void)state;
    for (int kind = 1; kind <= 2; kind++) {
        tp_model_config config = small(&tp_model_dip_vae);
        set(&config, &tp_model_dip_vae, "kind", kind);
        step_check_gradient(step_new(&tp_model_dip_vae, config, uniform(TP_F64, 5, 3, 1), 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_capacity),
        cmocka_unit_test(test_capacity_rises),
        cmocka_unit_test(test_capacity_is_reached),
        cmocka_unit_test(test_capacity_gradient),
        cmocka_unit_test(test_dip),
        cmocka_unit_test(test_dip_off),
        cmocka_unit_test(test_dip_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
