/* test_rows.c: every row of dist.def, on the cases of its file, against its own density.
 *
 * The density must integrate (sum) to 1; mean, variance and entropy must be the integrals that they are; draws must
 * have that mean, that variance and that distribution. Draws whose spread is a mix-up of σ, σ² and log σ² are the
 * control: they must be caught. Then known numbers, refusals, gradients. Read next: test_kl.c.
 */
#include "tests/support/dists.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "autograd/check.h"
#include "autograd/sweep.h"

enum { DRAWS = SANITIZED ? 4000 : 20000 };

/* Runs f on every case of every row; d is its distribution on an empty tape. */
static void on_every_case(void (*run)(fixture *f, tp_dist d))
{
    for (int i = 0; i < tp_dist_type_count; i++)
        for (int k = 0; k < tp_dist_types[i]->case_count; k++) {
            const tp_dist_type *type = tp_dist_types[i];
            fixture *f = fixture_new();
            print_message("%s: %s\n", type->name, type->cases[k].note);
            tp_dist d = dist_make(f, TP_F64, type, type->cases[k].param);
            run(f, d);
            assert_ok(tp_tape_status(f->tape));
            fixture_free(f);
        }
}

/* --- integrals of the density ------------------------------------------------------------------------------ */

/* Σ w p h over the grid of one element, for h = x^power or −log p. */
static double expectation(const grid *g, const double *logp, const double *x, int power,
                          double center, int64_t element)
{
    double sum = 0;
    for (int64_t i = element; i < g->nodes * g->elements; i += g->elements) {
        double p = exp(logp[i]), h = power < 0 ? -logp[i] : pow(x[i] - center, power);
        sum += p > 0 ? g->weight[i] * p * h : 0; /* 0·log 0 is 0 */
    }
    return sum;
}

static void check_integrals(fixture *f, tp_dist d)
{
    grid g = grid_make(f, d);
    double *logp = values_of(tp_dist_logprob(d, g.x)), *x = values_of(g.x);
    double *mean = values_of(tp_dist_mean(d)), *variance = values_of(tp_dist_variance(d)),
           *entropy = values_of(tp_dist_entropy(d));
    for (int64_t i = 0; i < g.elements; i++) {
        double sd = sqrt(variance[i]);
        assert_close(expectation(&g, logp, x, 0, 0, i), 1, 1e-9, 0);
        assert_close(expectation(&g, logp, x, 1, mean[i], i), 0, 1e-9 * sd, 0);
        assert_close(expectation(&g, logp, x, 2, mean[i], i), variance[i], 0, 1e-8);
        assert_close(expectation(&g, logp, x, -1, 0, i), entropy[i], 1e-8, 1e-8);
    }
    free(logp), free(x), free(mean), free(variance), free(entropy);
    grid_free(&g);
}

static void test_integrals(void **state)
{
    (void)state;
    on_every_case(check_integrals);
}

/* --- draws -------------------------------------------------------------------------------------------------- */

/* How far draws are from what the row says, each in units of what is allowed. */
typedef struct misfit {
    double mean, variance, shape;
} misfit;

/* z holds DRAWS numbers, stride apart. */
static misfit measure(const grid *g, const double *logp, const double *x, double mean,
                      double variance, const double *z, int64_t element)
{
    misfit m = {0, 0, 0};
    double m1 = 0, m2 = 0, m4 = expectation(g, logp, x, 4, mean, element), below = 0;
    for (int64_t i = element; i < DRAWS * g->elements; i += g->elements) {
        m1 += (z[i] - mean) / DRAWS;
        m2 += (z[i] - mean) * (z[i] - mean) / DRAWS;
    }
    m.mean = fabs(m1) / (4 * sqrt(variance / DRAWS));
    m.variance = fabs(m2 - variance) / (4 * sqrt((m4 - variance * variance) / DRAWS) + 1e-12);
    /* Kolmogorov and Smirnov: the share of draws up to a point against that of the density; 1.95 is its 0.1 % */
    for (int64_t i = element; i < g->nodes * g->elements; i += g->elements) {
        int64_t node = i / g->elements, count = 0;
        below += g->weight[i] * exp(logp[i]);
        if (g->nodes > 2 && node % 12 != 11) /* between two panels the density is summed up */
            continue;
        double upto =
            i + g->elements < g->nodes * g->elements ? (x[i] + x[i + g->elements]) / 2 : x[i];
        for (int64_t k = element; k < DRAWS * g->elements && below > 0; k += g->elements)
            count += z[k] <= upto;
        m.shape = fmax(m.shape, fabs((double)count / DRAWS - fmin(below, 1)) * sqrt(DRAWS) / 1.95);
    }
    return m;
}

/* Draws stretched about the mean by the factor. */
static misfit measure_stretched(const grid *g, const double *logp, const double *x, double mean,
                                double variance, const double *z, int64_t element, double factor)
{
    double *wrong = calloc((size_t)(DRAWS * g->elements), sizeof *wrong);
    assert_non_null(wrong);
    for (int64_t i = element; i < DRAWS * g->elements; i += g->elements)
        wrong[i] = mean + factor * (z[i] - mean);
    misfit m = measure(g, logp, x, mean, variance, wrong, element);
    free(wrong);
    return m;
}

static void check_draws(fixture *f, tp_dist d)
{
    tp_ctx c = tp_ctx_train(f->tape, 31, (uint64_t)d.type->rank);
    grid g = grid_make(f, d);
    double *logp = values_of(tp_dist_logprob(d, g.x)), *x = values_of(g.x);
    double *mean = values_of(tp_dist_mean(d)), *variance = values_of(tp_dist_variance(d)),
           *z = values_of(tp_dist_sample_n(d, &c, DRAWS));
    for (int64_t i = 0; i < g.elements; i++) {
        double sd = sqrt(variance[i]), mix_ups[] = {1.06, sd, 1 / sd, sqrt(sd)};
        misfit m = measure(&g, logp, x, mean[i], variance[i], z, i);
        if (!(m.mean < 1 && m.variance < 1 && m.shape < 1))
            fail_msg("draws do not fit the density: mean %g, variance %g, shape %g of what is "
                     "allowed",
                     m.mean, m.variance, m.shape);
        for (int k = 0; k < 4 && d.type->support == TP_REALS; k++) {
            m = measure_stretched(&g, logp, x, mean[i], variance[i], z, i, mix_ups[k]);
            if (fabs(mix_ups[k] - 1) > 0.05 && m.variance < 1)
                fail_msg("draws stretched by %g were not noticed", mix_ups[k]);
        }
    }
    free(logp), free(x), free(mean), free(variance), free(z);
    grid_free(&g);
}

static void test_draws(void **state)
{
    (void)state;
    on_every_case(check_draws);
}

/* --- known numbers, refusals ---------------------------------------------------------------------------------- */

/* With the trap on, forward and backward: numbers this far out must stay finite. */
static void check_value(const tp_dist_type *type, const tp_dist_value *v, tp_dtype dtype)
{
    double rel = dtype == TP_F64 ? 4e-15 : 1e-6, abs = dtype == TP_F64 ? 1e-300 : FLT_TRUE_MIN;
    fixture *f = fixture_new();
    tp_var param[TP_DIST_PARAMS] = {{0}};
    tp_tape_trap(f->tape, true);
    for (int i = 0; i < type->params; i++)
        param[i] = tp_leaf(f->tape, fixture_tensor(f, dtype, v->param[i].shape, v->param[i].at));
    tp_dist d = type->make(param);
    d.event_dims = tp_dist_shape(&d).ndim;
    tp_var logprob = tp_dist_logprob(d, dist_x(f, dtype, type, &v->x)),
           entropy = tp_dist_entropy(d);
    assert_close(tp_item_of(logprob), v->logprob, abs, rel);
    if (!isnan(v->entropy))
        assert_close(tp_item_of(entropy), v->entropy, abs, rel);
    assert_ok(tp_backward(tp_add(logprob, entropy)));
    fixture_free(f);
}

static void test_values(void **state)
{
    (void)state;
    for (int i = 0; i < tp_dist_type_count; i++)
        for (int k = 0; k < tp_dist_types[i]->value_count; k++) {
            print_message("%s: %s\n", tp_dist_types[i]->name, tp_dist_types[i]->values[k].note);
            check_value(tp_dist_types[i], &tp_dist_types[i]->values[k], TP_F64);
            check_value(tp_dist_types[i], &tp_dist_types[i]->values[k], TP_F32);
        }
}

static void check_refusal(const tp_dist_type *type, const tp_dist_refusal *r, tp_dtype dtype)
{
    fixture *f = fixture_new();
    tp_dist d = dist_make(f, dtype, type, r->param);
    tp_var y = tp_dist_logprob(d, dist_x(f, dtype, type, &r->x));
    assert_status(tp_var_status(y), r->status);
    if (strstr(tp_tape_message(f->tape), r->says) == NULL)
        fail_msg("'%s' does not say '%s'", tp_tape_message(f->tape), r->says);
    fixture_free(f);
}

static void test_refusals(void **state)
{
    (void)state;
    for (int i = 0; i < tp_dist_type_count; i++)
        for (int k = 0; k < tp_dist_types[i]->refusal_count; k++) {
            print_message("%s: %s\n", tp_dist_types[i]->name, tp_dist_types[i]->refusals[k].note);
            check_refusal(tp_dist_types[i], &tp_dist_types[i]->refusals[k], TP_F64);
            check_refusal(tp_dist_types[i], &tp_dist_types[i]->refusals[k], TP_F32);
        }
}

/* --- gradients -------------------------------------------------------------------------------------------------- */

enum { LOGPROB, RSAMPLE, MEAN, VARIANCE, ENTROPY, FUNCTIONS };
static const char *const function_names[] = {"log_prob", "rsample", "mean", "variance", "entropy"};

struct question {
    const tp_dist_type *type;
    int function;
    tp_parameter param[TP_DIST_PARAMS + 1]; /* and x */
};

static tp_var ask(tp_tape *t, void *user)
{
    struct question *k = user;
    tp_var v[TP_DIST_PARAMS] = {{0}};
    tp_ctx c = tp_ctx_train(t, 5, 0);
    for (int i = 0; i < k->type->params; i++)
        v[i] = tp_param(t, &k->param[i]);
    tp_dist d = k->type->make(v);
    switch (k->function) {
    case LOGPROB:
        return tp_dist_logprob(d, tp_param(t, &k->param[k->type->params]));
    case RSAMPLE:
        return tp_dist_rsample_n(d, &c, 2);
    case MEAN:
        return tp_dist_mean(d);
    case VARIANCE:
        return tp_dist_variance(d);
    default:
        return tp_dist_entropy(d);
    }
}

/* The gradient of each function by each parameter, and of the density by x. */
static void check_gradients(fixture *f, tp_dist d)
{
    struct question k = {.type = d.type};
    tp_parameter *wrt[TP_DIST_PARAMS + 1];
    tp_ctx c = tp_ctx_train(f->tape, 77, 0);
    int n = d.type->params, smooth_x = d.type->support == TP_REALS;
    for (int i = 0; i <= n; i++) {
        tp_var v = i < n ? d.param[i] : tp_dist_sample_n(d, &c, 2);
        assert_ok(tp_parameter_init(&k.param[i], "p", TP_F64, tp_shape_of(v)));
        assert_ok(tp_copy(&k.param[i].value, tp_value(v)));
        wrt[i] = &k.param[i];
    }
    k.param[n].frozen = !smooth_x;
    for (k.function = 0; k.function < FUNCTIONS; k.function++)
        for (int order = 1; order <= 2; order++) {
            tp_check_report report;
            if (k.function == RSAMPLE && !d.type->pathwise)
                continue;
            if (tp_gradcheck(ask, &k, n + (k.function == LOGPROB && smooth_x), wrt,
                             (tp_check_opts){.order = order, .rounding = 16}, &report) != TP_OK)
                fail_msg("%s, order %d: %s", function_names[k.function], order, tp_last_error());
        }
    for (int i = 0; i <= n; i++)
        tp_parameter_free(&k.param[i]);
}

static void test_gradients(void **state)
{
    (void)state;
    on_every_case(check_gradients);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integrals), cmocka_unit_test(test_draws),
        cmocka_unit_test(test_values),    cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
