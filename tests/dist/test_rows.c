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

/* What is asked about: the density of an event at the nodes of a grid, and one of the event's numbers. */
typedef struct view {
    const grid *g;
    const double *logp, *x; /* [nodes, elements], [nodes, elements, width] */
    int64_t element, which; /* of the event */
} view;

typedef double (*measured)(const double *event, int64_t which, double center);

static double one_of(const double *event, int64_t which, double center)
{
    (void)event, (void)which, (void)center;
    return 1;
}

static double gap(const double *event, int64_t which, double center)
{
    return event[which] - center;
}

static double square(const double *event, int64_t which, double center)
{
    return gap(event, which, center) * gap(event, which, center);
}

static double is(const double *event, int64_t which, double center)
{
    (void)which;
    return event[0] == center;
}

/* E f, and of f² in another call. */
static double expectation(view v, measured f, double center, int power)
{
    double sum = 0;
    const grid *g = v.g;
    for (int64_t i = v.element; i < g->nodes * g->elements; i += g->elements) {
        double p = exp(v.logp[i]);
        sum += p > 0 ? g->weight[i] * p * pow(f(v.x + i * g->width, v.which, center), power) : 0;
    }
    return sum;
}

static double entropy_of(view v)
{
    double sum = 0;
    const grid *g = v.g;
    for (int64_t i = v.element; i < g->nodes * g->elements; i += g->elements)
        sum -= exp(v.logp[i]) > 0 ? g->weight[i] * exp(v.logp[i]) * v.logp[i] : 0;
    return sum;
}

/* Of classes the row gives mean and variance of the one-hot vector. */
static void check_one_hot(view v, const double *mean, const double *variance)
{
    for (int64_t k = 0; k < v.g->nodes; k++) {
        double p = expectation(v, is, (double)k, 1);
        assert_close(mean[v.element * v.g->nodes + k], p, 0, 1e-13);
        assert_close(variance[v.element * v.g->nodes + k], p * (1 - p), 0, 1e-9);
    }
}

static void check_moments(view v, const double *mean, const double *variance)
{
    for (v.which = 0; v.which < v.g->width; v.which++) {
        int64_t i = v.element * v.g->width + v.which;
        assert_close(expectation(v, gap, mean[i], 1), 0, 1e-9 * sqrt(variance[i]), 0);
        assert_close(expectation(v, square, mean[i], 1), variance[i], 0, 1e-8);
    }
}

static void check_integrals(fixture *f, tp_dist d)
{
    grid g = grid_make(f, d);
    double *logp = values_of(tp_dist_logprob(d, g.x)), *x = values_of(g.x);
    double *mean = NULL, *variance = NULL, *entropy = NULL;
    if (d.type->mean != NULL)
        mean = values_of(tp_dist_mean(d)), variance = values_of(tp_dist_variance(d));
    if (d.type->entropy != NULL)
        entropy = values_of(tp_dist_entropy(d));
    for (int64_t i = 0; i < g.elements; i++) {
        view v = {&g, logp, x, i, 0};
        assert_close(expectation(v, one_of, 0, 1), 1, 1e-9, 0);
        if (mean != NULL && d.type->support == TP_CLASSES)
            check_one_hot(v, mean, variance);
        else if (mean != NULL)
            check_moments(v, mean, variance);
        if (entropy != NULL)
            assert_close(entropy_of(v), entropy[i], 1e-8, 1e-8);
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

/* The average of f over draws against its expectation, in units of four standard errors. */
static double misfit(view v, measured f, double center, const double *z)
{
    double mean = expectation(v, f, center, 1), sum = 0;
    double variance = expectation(v, f, center, 2) - mean * mean;
    for (int64_t i = v.element; i < DRAWS * v.g->elements; i += v.g->elements)
        sum += f(z + i * v.g->width, v.which, center) / DRAWS;
    return fabs(sum - mean) / (4 * sqrt(fmax(variance, 0) / DRAWS) + 1e-12);
}

/* A wave over all numbers of the event: sees how they hang together. */
static double wave(const double *event, int64_t which, double center)
{
    double phase = center;
    for (int64_t i = 0; i <= which; i++)
        phase += (double)(i + 1) * event[i];
    return cos(phase);
}

/* Kolmogorov and Smirnov: the share of draws up to the end of a panel of the grid against that of the density, in units
 * of its 0.1 %. */
static double misfit_of_shares(view v, const double *z)
{
    enum { PANEL = 12 };
    double below = 0, worst = 0;
    int64_t n = v.g->elements;
    for (int64_t k = 0; k + 1 < v.g->nodes; k++) {
        int64_t i = k * n + v.element, count = 0;
        below += v.g->weight[i] * exp(v.logp[i]);
        if (k % PANEL != PANEL - 1 || below < 1e-6 || below > 1 - 1e-6)
            continue;
        for (int64_t j = v.element; j < DRAWS * n; j += n)
            count += z[j] <= (v.x[i] + v.x[i + n]) / 2;
        worst = fmax(worst, fabs((double)count / DRAWS - below) * sqrt(DRAWS) / 1.95);
    }
    return worst;
}

static void fit(double off, const char *what)
{
    if (!(off < 1))
        fail_msg("%s of draws does not fit the density: %g times what is allowed", what, off);
}

/* Draws stretched about the mean by the factor: sampling that takes σ² or √σ for σ. */
static void check_control(view v, double mean, double factor, const double *z)
{
    int64_t n = DRAWS * v.g->elements * v.g->width;
    double *wrong = calloc((size_t)n, sizeof *wrong);
    assert_non_null(wrong);
    for (int64_t i = 0; i < n; i++)
        wrong[i] = mean + factor * (z[i] - mean);
    if (fabs(factor - 1) > 0.05 && misfit(v, square, mean, wrong) < 1)
        fail_msg("draws stretched by %g were not noticed", factor);
    free(wrong);
}

static void check_draws(fixture *f, tp_dist d)
{
    tp_ctx c = tp_ctx_train(f->tape, 31, 2);
    grid g = grid_make(f, d);
    bool reals = d.type->support == TP_REALS;
    double *logp = values_of(tp_dist_logprob(d, g.x)), *x = values_of(g.x),
           *z = values_of(tp_dist_sample_n(d, &c, DRAWS));
    for (int64_t i = 0; i < g.elements; i++) {
        view v = {&g, logp, x, i, 0};
        for (v.which = 0; v.which < g.width; v.which++) {
            double mean = expectation(v, gap, 0, 1), sd = sqrt(expectation(v, square, mean, 1));
            fit(misfit(v, gap, mean, z), "the mean");
            fit(misfit(v, square, mean, z), "the variance");
            fit(misfit(v, wave, -mean, z), "a wave");
            const double mix_ups[] = {1.1, sd, 1 / sd, sqrt(sd)};
            for (int k = 0; k < 4 && reals; k++)
                check_control(v, mean, mix_ups[k], z);
        }
        for (int64_t k = 0; k < g.nodes && d.type->support == TP_CLASSES; k++)
            fit(misfit(v, is, (double)k, z), "the share of a class");
        if (reals && tp_dist_rank(&d) == 0)
            fit(misfit_of_shares(v, z), "the distribution");
    }
    free(logp), free(x), free(z);
    grid_free(&g);
}

static void test_draws(void **state)
{
    (void)state;
    on_every_case(check_draws);
}

/* In f32: the draws of f64, rounded, and finite densities. A bit or a class may flip where rounding decides. */
static void check_f32(fixture *f, tp_dist d)
{
    const tp_dist_type *type = d.type;
    tp_ctx c = tp_ctx_train(f->tape, 31, 2), again = c;
    tp_dist single = dist_make_again(f, TP_F32, type);
    tp_var z = tp_dist_sample_n(d, &c, DRAWS), y = tp_dist_sample_n(single, &again, DRAWS);
    assert_ok(tp_var_finite(tp_dist_logprob(single, y)));
    double *want = values_of(z), *got = values_of(y), scale = 0;
    int64_t n = tp_numel(tp_value(z)), flipped = 0;
    for (int64_t i = 0; i < n; i++)
        scale = fmax(scale, fabs(want[i]));
    for (int64_t i = 0; i < n; i++)
        if (type->pathwise)
            assert_close(got[i], want[i], 1e-5 * scale, 0);
        else
            flipped += fabs(got[i] - want[i]) > 1e-5 * scale;
    assert_true(flipped * 1000 <= n);
    free(want), free(got);
}

static void test_f32(void **state)
{
    (void)state;
    on_every_case(check_f32);
}

/* --- known numbers, refusals ---------------------------------------------------------------------------------- */

/* With the trap on, forward and backward: numbers this far out must stay finite. */
static void check_value(const tp_dist_type *type, const tp_dist_value *v, tp_dtype dtype)
{
    double rel = dtype == TP_F64 ? 1e-14 : 1e-6, abs = dtype == TP_F64 ? 1e-300 : FLT_TRUE_MIN;
    fixture *f = fixture_new();
    tp_var param[TP_DIST_PARAMS] = {{0}};
    tp_tape_trap(f->tape, true);
    for (int i = 0; i < type->params; i++)
        param[i] = tp_leaf(f->tape, fixture_tensor(f, dtype, v->param[i].shape, v->param[i].at));
    tp_dist d = type->make(param);
    d.event_dims = tp_dist_shape(&d).ndim;
    tp_tape_trap(f->tape, isfinite(v->logprob)); /* −∞ is an answer, too */
    tp_var logprob = tp_dist_logprob(d, dist_x(f, dtype, type, &v->x));
    assert_close(tp_item_of(logprob), v->logprob, abs, rel);
    assert_ok(tp_backward(logprob));
    if (type->entropy != NULL) {
        tp_var entropy = tp_dist_entropy(d);
        assert_close(tp_item_of(entropy), isnan(v->entropy) ? tp_item_of(entropy) : v->entropy, abs,
                     rel);
        assert_ok(tp_backward(entropy));
    }
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

enum { LOGPROB, RSAMPLE, OF_ITSELF, MEAN, VARIANCE, ENTROPY, FUNCTIONS };
static const char *const function_names[] = {"log_prob", "rsample",  "log_prob of rsample",
                                             "mean",     "variance", "entropy"};

struct question {
    const tp_dist_type *type;
    int function;
    tp_parameter param[TP_DIST_PARAMS + 1]; /* and x, where the density has a gradient by it */
    tp_tensor x;
};

/* In a simplex or among whole numbers x cannot move alone. */
static bool by_x(const tp_dist_type *type)
{
    return type->support == TP_REALS;
}

static tp_var ask(tp_tape *t, void *user)
{
    struct question *k = user;
    tp_var v[TP_DIST_PARAMS] = {{0}}, logprob;
    tp_ctx c = tp_ctx_train(t, 5, 0);
    for (int i = 0; i < k->type->params; i++)
        v[i] = tp_param(t, &k->param[i]);
    tp_dist d = k->type->make(v);
    switch (k->function) {
    case LOGPROB:
        return tp_dist_logprob(d, by_x(k->type) ? tp_param(t, &k->param[k->type->params])
                                                : tp_constant(t, &k->x));
    case RSAMPLE:
        return tp_dist_rsample_n(d, &c, 2);
    case OF_ITSELF:
        tp_dist_rsample_logprob(tp_dist_repeat(d, TP_SHAPE(2)), &c, &logprob);
        return logprob;
    case MEAN:
        return tp_dist_mean(d);
    case VARIANCE:
        return tp_dist_variance(d);
    default:
        return tp_dist_entropy(d);
    }
}

static bool has(const tp_dist_type *type, int asked)
{
    const bool there[] = {true,
                          type->pathwise,
                          type->pathwise,
                          type->mean != NULL,
                          type->variance != NULL,
                          type->entropy != NULL};
    return there[asked];
}

/* The gradient of each function by each parameter, and of the density by x. */
static void check_gradients(fixture *f, tp_dist d)
{
    struct question k = {.type = d.type};
    tp_parameter *wrt[TP_DIST_PARAMS + 1];
    tp_ctx c = tp_ctx_train(f->tape, 77, 0);
    int n = d.type->params;
    tp_var x = tp_dist_sample_n(d, &c, 2);
    assert_ok(tp_clone(&k.x, tp_value(x)));
    for (int i = 0; i < n + by_x(d.type); i++) {
        const tp_tensor *v =
            i < n ? &f->tensor[i] : tp_value(x); /* the numbers of the case come first */
        assert_ok(tp_parameter_init(&k.param[i], "p", TP_F64, v->shape));
        assert_ok(tp_copy(&k.param[i].value, v));
        wrt[i] = &k.param[i];
    }
    for (k.function = 0; k.function < FUNCTIONS; k.function++)
        for (int order = 1; order <= 2; order++) {
            tp_check_report report;
            if (!has(d.type, k.function))
                continue;
            if (tp_gradcheck(ask, &k, n + (k.function == LOGPROB && by_x(d.type)), wrt,
                             (tp_check_opts){.order = order, .rounding = 16, .atol = 1e-11},
                             &report) != TP_OK)
                fail_msg("%s, order %d: %s", function_names[k.function], order, tp_last_error());
        }
    for (int i = 0; i < n + by_x(d.type); i++)
        tp_parameter_free(&k.param[i]);
    tp_tensor_free(&k.x);
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
        cmocka_unit_test(test_f32),       cmocka_unit_test(test_values),
        cmocka_unit_test(test_refusals),  cmocka_unit_test(test_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
