/* test_distributions.c: the normal and the Bernoulli: densities, KL, samplers, what they refuse.
 *
 * Numbers come from the formulas evaluated with 30 digits; closed forms are also compared with sampling. The
 * mix-ups of σ, σ² and log σ² that gradient checks do not see are looked for here. Read next:
 * test_objective.c.
 */
#include "tests/nn/fixture.h"

#include <math.h>
#include <string.h>

#include "autograd/sweep.h"
#include "nn/bernoulli.h"
#include "nn/event.h"
#include "nn/normal.h"

/* --- numbers ------------------------------------------------------------------------------------ */

static void test_normal_numbers(void **state)
{
    (void)state;
    const struct {
        double x, mu, logvar, want;
    } rows[] = {
        {0, 0, 0, -0.918938533204672781},
        {3, 0, 0, -5.41893853320467311},
        {1, 0, -20, -2.42582588623833686e8},
        {0.7, 0.7, -100, 49.081061466795326},
    };
    for (int d = TP_F32; d <= TP_F64; d++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            fixture *f = fixture_new();
            tp_dtype dtype = (tp_dtype)d;
            tp_normal p =
                tp_normal_logvar(one(f, dtype, rows[i].mu), one(f, dtype, rows[i].logvar));
            tp_var y = tp_normal_logprob(p, one(f, dtype, rows[i].x));
            assert_close(tp_item_of(y), rows[i].want, 0, dtype == TP_F64 ? 1e-15 : 5e-7);
            fixture_free(f);
        }
}

static void test_kl_numbers(void **state)
{
    (void)state;
    const struct {
        double mu, logvar, want;
        double rel32;
    } rows[] = {
        {0, 1, 0.359140914229522601, 3e-7},
        {0, 1e-8, 2.5e-17, 3e-7},
        {0, -1e-8, 2.5e-17, 3e-7},
        {0, 1e-4, 2.50008333541670835e-9, 3e-7},
        {3, -2, 5.06766764161830618, 3e-7},
        {0, -100, 49.5, 3e-7},
        {0, 20, 2.42582587204895139e8, 3e-7},
    };
    for (int d = TP_F32; d <= TP_F64; d++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            fixture *f = fixture_new();
            tp_dtype dtype = (tp_dtype)d;
            tp_normal q =
                tp_normal_logvar(one(f, dtype, rows[i].mu), one(f, dtype, rows[i].logvar));
            double kl = tp_item_of(tp_normal_kl_std(q));
            assert_true(kl > 0);
            assert_close(kl, rows[i].want, 0, dtype == TP_F64 ? 1e-8 : rows[i].rel32 + 1e-7);
            if (fabs(rows[i].logvar) != 1e-8) /* 2.5e-17 is itself rounded above */
                assert_close(kl, rows[i].want, 0, dtype == TP_F64 ? 2e-15 : rows[i].rel32);
            fixture_free(f);
        }
}

/* The largest finite log-variance, and beyond it an error that names the culprit. */
static void test_kl_overflow(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_normal q = tp_normal_logvar(one(f, TP_F32, 0), one(f, TP_F32, 89));
    double kl = tp_item_of(tp_normal_kl_std(q));
    assert_close(kl, 2.24480640958717e38, 0, 2e-6);
    q = tp_normal_logvar(one(f, TP_F32, 0), one(f, TP_F32, 90));
    assert_status(tp_var_status(tp_normal_kl_std(q)), TP_EVALUE);
    assert_non_null(strstr(tp_tape_message(f->tape), "logvar"));
    fixture_free(f);
}

static void test_bernoulli_numbers(void **state)
{
    (void)state;
    const struct {
        double logit, x, want;
    } rows[] = {
        {0, 1, -0.693147180559945286},
        {0, 0.25, -0.693147180559945286},
        {100, 1, -3.72007597602083596e-44},
        {-100, 1, -100},
        {1000, 0.5, -500},
        {1e30, 0, -1e30},
        {2, 0, -2.12692801104297249},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture *f = fixture_new();
        tp_bernoulli p = tp_bernoulli_logits(one(f, TP_F64, rows[i].logit));
        tp_var y = tp_bernoulli_logprob(p, one(f, TP_F64, rows[i].x));
        assert_close(tp_item_of(y), rows[i].want, 0, 1e-15);
        fixture_free(f);
    }
}

/* Σ over the event of x log p + (1 − x) log(1 − p), by hand. */
static void test_bernoulli_events(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double logits[] = {-1, 0.5, 2, 0, 3, -2}, x[] = {0, 1, 0.25, 1, 0, 0.5};
    double want[2] = {0, 0};
    for (int i = 0; i < 6; i++) {
        double p = 1 / (1 + exp(-logits[i]));
        want[i / 3] += x[i] * log(p) + (1 - x[i]) * log(1 - p);
    }
    tp_bernoulli p = tp_bernoulli_logits(given(f, TP_SHAPE(2, 3), logits));
    tp_var y = tp_bernoulli_logprob(p, given(f, TP_SHAPE(2, 3), x));
    assert_tensor_close(tp_value(y), want, 2, 0, 1e-14);
    assert_true(same_values(tp_value(tp_bernoulli_mean(p)), tp_value(tp_sigmoid(p.logits))));
    fixture_free(f);
}

/* --- events ------------------------------------------------------------------------------------- */

static void test_event_dims(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_normal p = tp_normal_logvar(drawn(f, TP_SHAPE(2, 3, 4), 1), drawn(f, TP_SHAPE(2, 3, 4), 2));
    tp_var x = drawn(f, TP_SHAPE(2, 3, 4), 3);
    assert_true(tp_shape_equal(tp_shape_of(tp_normal_logprob(p, x)), TP_SHAPE(2, 3)));
    assert_true(tp_shape_equal(tp_shape_of(tp_normal_kl_std(p)), TP_SHAPE(2, 3)));
    assert_true(tp_shape_equal(tp_shape_of(tp_normal_kl_std_elements(p)), TP_SHAPE(2, 3, 4)));
    tp_normal image = p, scalar = p;
    image.event_dims = 2;
    scalar.event_dims = 0;
    tp_var wide = tp_normal_logprob(image, x), narrow = tp_normal_logprob(scalar, x);
    assert_true(tp_shape_equal(tp_shape_of(wide), TP_SHAPE(2)));
    assert_true(tp_shape_equal(tp_shape_of(narrow), TP_SHAPE(2, 3, 4)));
    for (int64_t b = 0; b < 2; b++) {
        double sum = 0;
        for (int64_t i = 0; i < 12; i++)
            sum += tp_flat(tp_value(narrow), 12 * b + i);
        assert_close(tp_flat(tp_value(wide), b), sum, 0, 1e-14);
    }
    fixture_free(f);
}

/* A fixed log-variance is the same as one given elementwise, and gets no gradient. */
static void test_fixed(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_var mu = drawn(f, TP_SHAPE(3, 4), 1), x = drawn(f, TP_SHAPE(3, 4), 2);
    tp_normal fixed = tp_normal_fixed(mu, -1.5);
    tp_normal full = tp_normal_logvar(mu, tp_full(f->tape, TP_F64, TP_SHAPE(3, 4), -1.5));
    assert_true(
        same_values(tp_value(tp_normal_logprob(fixed, x)), tp_value(tp_normal_logprob(full, x))));
    assert_false(tp_needs_grad(fixed.logvar));
    fixture_free(f);
}

/* --- sampling ----------------------------------------------------------------------------------- */

enum { DRAWS = 200000 };

/* Var[z] = σ² = e^logvar, not e^{2 logvar} nor e^{logvar/2}; within four standard errors. */
static void test_sampler_variance(void **state)
{
    (void)state;
    const double logvar[] = {-3, 0, 1.2};
    for (int k = 0; k < 3; k++) {
        fixture *f = fixture_new();
        tp_ctx c = tp_ctx_train(f->tape, 7, (uint64_t)k);
        tp_var mu = tp_full(f->tape, TP_F64, TP_SHAPE(DRAWS), 0.5);
        tp_var z = tp_normal_rsample(tp_normal_fixed(mu, logvar[k]), &c);
        double mean = 0, square = 0, variance = exp(logvar[k]);
        const double *v = tp_data(tp_value(z));
        for (int64_t i = 0; i < DRAWS; i++) {
            mean += v[i] / DRAWS;
            square += (v[i] - 0.5) * (v[i] - 0.5) / DRAWS;
        }
        assert_close(mean, 0.5, 4 * sqrt(variance / DRAWS), 0);
        assert_close(square, variance, 4 * variance * sqrt(2.0 / DRAWS), 0);
        fixture_free(f);
    }
}

/* KL(q‖p) = E_q[log q(z) − log p(z)]: the closed form against sampling, within four standard errors. */
static void test_kl_monte_carlo(void **state)
{
    (void)state;
    const double mu[] = {0, 1.5, -0.7}, logvar[] = {-2, 0.3, 1};
    for (int k = 0; k < 3; k++) {
        fixture *f = fixture_new();
        tp_ctx c = tp_ctx_train(f->tape, 11, (uint64_t)k);
        tp_normal q =
            tp_normal_fixed(tp_full(f->tape, TP_F64, TP_SHAPE(DRAWS, 1), mu[k]), logvar[k]);
        tp_normal prior = tp_normal_fixed(tp_zeros_like(q.mu), 0);
        tp_var z = tp_normal_rsample(q, &c);
        tp_var ratio = tp_sub(tp_normal_logprob(q, z), tp_normal_logprob(prior, z));
        double mean = 0, square = 0;
        const double *v = tp_data(tp_value(ratio));
        for (int64_t i = 0; i < DRAWS; i++) {
            mean += v[i] / DRAWS;
            square += v[i] * v[i] / DRAWS;
        }
        double kl = tp_flat(tp_value(tp_normal_kl_std(q)), 0);
        assert_close(mean, kl, 4 * sqrt((square - mean * mean) / DRAWS), 0);
        fixture_free(f);
    }
}

/* dz/dμ = 1 and dz/dlogvar = ½ σ ε = ½ (z − μ). */
static void test_rsample_gradient(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_var mu = tp_leaf(f->tape, fixture_draw(f, TP_F64, TP_SHAPE(4, 3), 1, 1, 0));
    tp_var logvar = tp_leaf(f->tape, fixture_draw(f, TP_F64, TP_SHAPE(4, 3), 2, 1, 0));
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var z = tp_normal_rsample(tp_normal_logvar(mu, logvar), &c);
    assert_ok(tp_backward(tp_sum(z, TP_ALL_AXES, false)));
    for (int64_t i = 0; i < 12; i++) {
        double gap = tp_flat(tp_value(z), i) - tp_flat(tp_value(mu), i);
        assert_close(tp_flat(tp_leaf_grad(mu), i), 1, 0, 0);
        assert_close(tp_flat(tp_leaf_grad(logvar), i), gap / 2, 1e-15, 1e-14);
    }
    fixture_free(f);
}

/* Noise depends on seed, stream, step and the number of the draw: all of them, and nothing else. */
static void test_noise_streams(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_normal q = tp_normal_fixed(tp_full(f->tape, TP_F64, TP_SHAPE(8), 0), 0);
    tp_ctx c[] = {tp_ctx_train(f->tape, 1, 2), tp_ctx_train(f->tape, 1, 2),
                  tp_ctx_train(f->tape, 2, 2), tp_ctx_train(f->tape, 1, 3),
                  tp_ctx_eval(f->tape, 1, 2)};
    tp_var z[6];
    for (int i = 0; i < 5; i++)
        z[i] = tp_normal_rsample(q, &c[i]);
    z[5] = tp_normal_rsample(q, &c[0]); /* the second draw of its step */
    assert_true(same_values(tp_value(z[0]), tp_value(z[1])));
    for (int i = 1; i < 6; i++)
        for (int k = i + 1; k < 6; k++)
            assert_false(same_values(tp_value(z[i]), tp_value(z[k])));
    fixture_free(f);
}

static void test_bernoulli_sample(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_tensor *data = fixture_draw(f, TP_F64, TP_SHAPE(1), 1, 0, log(0.3 / 0.7));
    tp_var leaf = tp_leaf(f->tape, data);
    tp_bernoulli p = tp_bernoulli_logits(tp_expand(leaf, TP_SHAPE(DRAWS)));
    tp_var s = tp_bernoulli_sample(p, &c);
    double ones = 0;
    for (int64_t i = 0; i < DRAWS; i++) {
        double v = tp_flat(tp_value(s), i);
        assert_true(v == 0 || v == 1);
        ones += v / DRAWS;
    }
    assert_close(ones, 0.3, 4 * sqrt(0.3 * 0.7 / DRAWS), 0);
    assert_false(
        tp_needs_grad(s)); /* sampling blocks the gradient, and says so when asked for one */
    assert_status(tp_backward(tp_sum(s, TP_ALL_AXES, false)), TP_EGRAD);
    assert_message("noise_bernoulli");
    fixture_free(f);
}

/* --- refusals ----------------------------------------------------------------------------------- */

/* Losses do not broadcast: a forgotten dimension must not become a wrong number. */
static void test_no_broadcasting(void **state)
{
    (void)state;
    const tp_shape wrong[] = {TP_SHAPE(3), TP_SHAPE(1, 3), TP_SHAPE(4, 1), TP_SHAPE(2, 4, 3),
                              TP_SHAPE()};
    for (int i = 0; i < 5; i++) {
        fixture *f = fixture_new();
        tp_var full = drawn(f, TP_SHAPE(4, 3), 1);
        tp_var part = tp_constant(f->tape, fixture_draw(f, TP_F64, wrong[i], 1, 0, 0.5));
        tp_var bad[5];
        bad[0] = tp_normal_logprob(tp_normal_logvar(full, full), part);
        assert_status(tp_var_status(bad[0]), TP_ESHAPE);
        assert_non_null(strstr(tp_tape_message(f->tape), "losses do not broadcast"));
        for (int k = 1; k < 5; k++) {
            tp_tape_reset(f->tape);
            full = tp_constant(f->tape, &f->tensor[0]);
            part = tp_constant(f->tape, &f->tensor[1]);
            tp_ctx c = tp_ctx_train(f->tape, 1, 0);
            if (k == 1)
                bad[k] = tp_bernoulli_logprob(tp_bernoulli_logits(full), part);
            if (k == 2)
                bad[k] = tp_normal_kl_std(tp_normal_logvar(full, part));
            if (k == 3)
                bad[k] = tp_normal_logprob(tp_normal_logvar(full, part), full);
            if (k == 4)
                bad[k] = tp_normal_rsample(tp_normal_logvar(full, part), &c);
            assert_status(tp_var_status(bad[k]), TP_ESHAPE);
        }
        fixture_free(f);
    }
}

static void test_targets(void **state)
{
    (void)state;
    const double wrong[] = {1.0000001, -0.001, 255, NAN, INFINITY};
    for (int i = 0; i < 5; i++) {
        fixture *f = fixture_new();
        double x[6] = {0, 1, 0.5, 0, 0, 0};
        x[4] = wrong[i];
        tp_bernoulli p = tp_bernoulli_logits(drawn(f, TP_SHAPE(2, 3), 1));
        tp_var y = tp_bernoulli_logprob(p, given(f, TP_SHAPE(2, 3), x));
        assert_status(tp_var_status(y), TP_EVALUE);
        assert_non_null(strstr(tp_tape_message(f->tape), "outside [0,1]"));
        assert_non_null(strstr(tp_tape_message(f->tape), "[1,1]")); /* where it is */
        fixture_free(f);
    }
}

/* Poisoned or empty vars pass through without a crash. */
static void test_poison(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_var bad = tp_add(drawn(f, TP_SHAPE(2), 1), drawn(f, TP_SHAPE(3), 1));
    tp_var ok = drawn(f, TP_SHAPE(2, 3), 1);
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_normal_rsample(tp_normal_logvar(bad, bad), &c);
    tp_normal_logprob(tp_normal_logvar(bad, ok), ok);
    tp_normal_kl_std(tp_normal_fixed(bad, 0));
    tp_bernoulli_sample(tp_bernoulli_logits(bad), &c);
    tp_var y = tp_bernoulli_logprob(tp_bernoulli_logits(bad), ok);
    assert_status(tp_var_status(y), TP_ESHAPE);
    assert_non_null(strstr(tp_tape_message(f->tape), "add")); /* the first failure stays */
    tp_normal_kl_std(tp_normal_logvar((tp_var){0}, (tp_var){0}));
    tp_normal_logprob(tp_normal_logvar((tp_var){0}, (tp_var){0}), (tp_var){0});
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normal_numbers),
        cmocka_unit_test(test_kl_numbers),
        cmocka_unit_test(test_kl_overflow),
        cmocka_unit_test(test_bernoulli_numbers),
        cmocka_unit_test(test_bernoulli_events),
        cmocka_unit_test(test_event_dims),
        cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_sampler_variance),
        cmocka_unit_test(test_kl_monte_carlo),
        cmocka_unit_test(test_rsample_gradient),
        cmocka_unit_test(test_noise_streams),
        cmocka_unit_test(test_bernoulli_sample),
        cmocka_unit_test(test_no_broadcasting),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_poison),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
