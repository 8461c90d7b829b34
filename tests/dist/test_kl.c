/* test_kl.c: every row of kl.def against the definition E_q[log q − log p]: as an integral (a sum), and as an average
 * over draws within four standard errors; zero for equal distributions and never negative; its gradients. Then pairs
 * without a row, and the estimate for them. Read next: test_normal.c. */
#include "tests/support/dists.h"

#include <math.h>
#include <string.h>

#include "autograd/check.h"
#include "autograd/sweep.h"

enum { DRAWS = SANITIZED ? 3000 : 20000 };

/* Case k of q and case l of p, if their draws have one shape. p is flipped, so that it is another distribution even
 * where the types are the same. */
static void on_pair(void (*run)(fixture *f, const tp_kl_type *pair, tp_dist q, tp_dist p),
                    const tp_kl_type *pair, int k, int l)
{
    fixture *f = fixture_new();
    tp_dist q = dist_make(f, TP_F64, pair->q, pair->q->cases[k].param);
    tp_dist p = dist_flipped(dist_make(f, TP_F64, pair->p, pair->p->cases[l].param));
    if (tp_shape_equal(tp_dist_shape(&q), tp_dist_shape(&p))) {
        print_message("KL(%s ‖ %s): %s, %s\n", pair->q->name, pair->p->name, pair->q->cases[k].note,
                      pair->p->cases[l].note);
        q.event_dims = p.event_dims = dist_rank(q, p);
        run(f, pair, q, p);
        assert_ok(tp_tape_status(f->tape));
    }
    fixture_free(f);
}

/* Runs f on the cases of every pair of kl.def. */
static void on_every_pair(void (*run)(fixture *f, const tp_kl_type *pair, tp_dist q, tp_dist p))
{
    for (int i = 0; i < tp_kl_type_count; i++) {
        const tp_kl_type *pair = &tp_kl_types[i];
        for (int k = 0; k < pair->q->case_count; k++)
            for (int l = 0; l < pair->p->case_count; l++)
                on_pair(run, pair, k, l);
    }
}

/* --- the definition ---------------------------------------------------------------------------------------- */

static double integral_of_ratio(const grid *g, const double *logq, const double *logp,
                                int64_t element)
{
    double sum = 0;
    for (int64_t i = element; i < g->nodes * g->elements; i += g->elements)
        sum += exp(logq[i]) > 0 ? g->weight[i] * exp(logq[i]) * (logq[i] - logp[i]) : 0;
    return sum;
}

/* A product of densities has no grid: those of its numbers have, and KLs add up. */
static bool splits(tp_dist q, tp_dist p)
{
    return tp_dist_rank(&q) >= tp_dist_rank(&p);
}

static void check_definition(fixture *f, const tp_kl_type *pair, tp_dist q, tp_dist p)
{
    double *kl = values_of(tp_kl(q, p)),
           *itself = pair->q == pair->p ? values_of(tp_kl(q, q)) : NULL;
    int64_t n = tp_shape_numel(tp_shape_of(tp_kl(q, p)));
    for (int64_t i = 0; i < n; i++) {
        assert_true(kl[i] >= 0);
        if (itself != NULL)
            assert_close(itself[i], 0, 1e-14, 0);
    }
    if (splits(q, p)) { /* else sampling judges alone */
        double rel = pair->p->kinks ? 2e-4 : 1e-8;
        grid g = grid_make(f, q);
        double *logq = values_of(tp_dist_logprob(q, g.x)),
               *logp = values_of(tp_dist_logprob(p, g.x));
        for (int64_t i = 0; i < n; i++)
            assert_close(integral_of_ratio(&g, logq, logp, i), kl[i], 1e-8, rel);
        free(logq), free(logp);
        grid_free(&g);
    }
    free(kl), free(itself);
}

static void test_definition(void **state)
{
    (void)state;
    on_every_pair(check_definition);
}

static void check_sampling(fixture *f, const tp_kl_type *pair, tp_dist q, tp_dist p)
{
    tp_ctx c = tp_ctx_train(f->tape, 11, (uint64_t)(pair - tp_kl_types));
    tp_var error;
    double *estimate = values_of(tp_kl_monte_carlo(q, p, &c, DRAWS, &error)),
           *kl = values_of(tp_kl(q, p)), *allowed = values_of(error);
    for (int64_t i = 0; i < tp_shape_numel(tp_shape_of(error)); i++)
        assert_close(estimate[i], kl[i], 4 * allowed[i] + 1e-12, 0);
    free(estimate), free(kl), free(allowed);
}

static void test_sampling(void **state)
{
    (void)state;
    on_every_pair(check_sampling);
}

/* What is wrong in many a program must not pass here: the variance taken for σ (e^2v), σ for the variance (e^{v/2}),
 * the ½ or the 1 forgotten. */
static void test_mix_ups(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        fixture *f = fixture_new();
        tp_var mu = tp_full(f->tape, TP_F64, TP_SHAPE(1), 0.8),
               v = tp_full(f->tape, TP_F64, TP_SHAPE(1), -1);
        tp_dist q = tp_normal_logvar(mu, v), prior = tp_normal_standard(mu);
        tp_ctx c = tp_ctx_train(f->tape, 12, 0);
        tp_var error, right = tp_kl(q, prior);
        double wrong[] = {tp_item_of(tp_kl(tp_normal_fixed(mu, -2), prior)),
                          tp_item_of(tp_kl(tp_normal_fixed(mu, -0.5), prior)),
                          2 * tp_item_of(right), tp_item_of(right) + 0.5};
        double estimate = tp_item_of(tp_kl_monte_carlo(q, prior, &c, DRAWS, &error));
        assert_close(estimate, tp_item_of(right), 4 * tp_item_of(error), 0);
        assert_true(fabs(estimate - wrong[k]) > 4 * tp_item_of(error));
        fixture_free(f);
    }
}

/* The standard error is the spread of repeated estimates. */
static void test_standard_error(void **state)
{
    (void)state;
    enum { TIMES = 400, SAMPLES = 50 };
    fixture *f = fixture_new();
    tp_var mu = tp_full(f->tape, TP_F64, TP_SHAPE(TIMES, 1), 0.8);
    tp_ctx c = tp_ctx_train(f->tape, 3, 0);
    tp_dist q = tp_normal_fixed(mu, -1), p = tp_normal_fixed(tp_scale(mu, -1), 0.4);
    tp_var error;
    double *estimate = values_of(tp_kl_monte_carlo(q, p, &c, SAMPLES, &error)),
           *s = values_of(error);
    double kl = tp_flat(tp_value(tp_kl(q, p)), 0), spread = 0, said = 0;
    for (int i = 0; i < TIMES; i++) {
        spread += (estimate[i] - kl) * (estimate[i] - kl) / TIMES;
        said += s[i] * s[i] / TIMES;
    }
    assert_close(said, spread, 0, 4 * sqrt(2.0 / TIMES)); /* a variance out of TIMES numbers */
    free(estimate), free(s);
    fixture_free(f);
}

/* --- gradients ------------------------------------------------------------------------------------------------ */

struct question {
    const tp_kl_type *pair;
    bool sampled;
    tp_parameter param[2 * TP_DIST_PARAMS];
};

static tp_var ask(tp_tape *t, void *user)
{
    struct question *k = user;
    tp_var v[2 * TP_DIST_PARAMS] = {{0}};
    int nq = k->pair->q->params, np = k->pair->p->params;
    for (int i = 0; i < nq + np; i++)
        v[i] = tp_param(t, &k->param[i]);
    tp_dist q = k->pair->q->make(v), p = k->pair->p->make(v + nq);
    tp_ctx c = tp_ctx_train(t, 5, 0);
    return k->sampled ? tp_kl_monte_carlo(q, p, &c, 3, NULL) : tp_kl(q, p);
}

static void check_gradients(fixture *f, const tp_kl_type *pair, tp_dist q, tp_dist p)
{
    struct question k = {.pair = pair};
    tp_parameter *wrt[2 * TP_DIST_PARAMS];
    int nq = pair->q->params, n = nq + pair->p->params;
    (void)f;
    for (int i = 0; i < n; i++) {
        tp_var v = i < nq ? q.param[i] : p.param[i - nq];
        assert_ok(tp_parameter_init(&k.param[i], i < nq ? "q" : "p", TP_F64, tp_shape_of(v)));
        if (i >= nq && pair->p == &tp_dist_uniform) /* elsewhere it is infinite */
            v = tp_shift(tp_scale(v, 0.1), i == nq ? -1000 : 1000);
        assert_ok(tp_copy(&k.param[i].value, tp_value(v)));
        wrt[i] = &k.param[i];
    }
    for (int sampled = 0; sampled <= pair->q->pathwise; sampled++)
        for (int order = 1; order <= 2 - sampled; order++) {
            k.sampled = sampled;
            if (tp_gradcheck(ask, &k, n, wrt,
                             (tp_check_opts){.order = order, .rounding = 16, .atol = 1e-12},
                             NULL) != TP_OK)
                fail_msg("%s, order %d: %s", sampled ? "sampled" : "closed form", order,
                         tp_last_error());
        }
    for (int i = 0; i < n; i++)
        tp_parameter_free(&k.param[i]);
}

static void test_gradients(void **state)
{
    (void)state;
    on_every_pair(check_gradients);
}

/* --- pairs without a row ---------------------------------------------------------------------------------------- */

/* Refused by name; the estimate works, and agrees with the integral. */
static void test_missing_pair(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double logits[] = {0.3, -1}, mu[] = {0.2, 0.5};
    tp_var x = given(f, TP_SHAPE(2), logits), m = given(f, TP_SHAPE(2), mu);
    tp_dist q = tp_bernoulli_logits(x), p = tp_normal_fixed(m, 0.5);
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var error, estimate = tp_kl_monte_carlo(q, p, &c, DRAWS, &error);
    double want = 0;
    for (int i = 0; i < 2; i++)
        for (int bit = 0; bit < 2; bit++) {
            double logq = -log1p(exp(bit ? -logits[i] : logits[i]));
            want +=
                exp(logq) *
                (logq + 0.5 * ((bit - mu[i]) * (bit - mu[i]) * exp(-0.5) + 0.5 + log(8 * atan(1))));
        }
    assert_close(tp_item_of(estimate), want, 4 * tp_item_of(error), 0);
    assert_true(tp_item_of(error) < 0.02);
    assert_status(tp_var_status(tp_kl(q, p)), TP_EARG);
    assert_message("no closed form of KL(bernoulli ‖ normal) in kl.def: tp_kl_monte_carlo");
    fixture_free(f);
}

/* A sampled KL whose gradient would silently be wrong; without gradients it is right. */
static void test_no_gradient_through_draws(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_var leaf = tp_leaf(f->tape, fixture_draw(f, TP_F64, TP_SHAPE(2), 1, 1, 0));
    tp_dist q = tp_bernoulli_logits(leaf), p = tp_bernoulli_logits(tp_zeros_like(leaf));
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_no_grad_begin(f->tape);
    assert_ok(tp_var_status(tp_kl_monte_carlo(q, p, &c, 10, NULL)));
    tp_no_grad_end(f->tape);
    assert_status(tp_var_status(tp_kl_monte_carlo(q, p, &c, 10, NULL)), TP_EGRAD);
    assert_message("no gradient flows through draws of q");
    fixture_free(f);
}

/* Shapes that do not fit, and numbers of samples that make no sense. */
static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        tp_shape q, p;
        int q_dims, p_dims;
        const char *says;
    } rows[] = {
        {TP_DIMS(4, 3), TP_DIMS(3, 3), 1, 1, "draws have shapes [4,3] and [3,3]"},
        {TP_DIMS(4, 3), TP_DIMS(4, 1), 1, 1, "p may lack leading axes of q, no others"},
        {TP_DIMS(3), TP_DIMS(4, 3), 1, 1, "draws have shapes [3] and [4,3]"},
        {TP_DIMS(4, 3), TP_DIMS(3), 2, 2, "event_dims is 2, one draw has shape [3]"},
        {TP_DIMS(4, 3), TP_DIMS(4, 3), 1, 2, "events of 1 and 2 axes"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int sampled = 0; sampled < 2; sampled++) {
            fixture *f = fixture_new();
            tp_dist q = tp_normal_fixed(drawn(f, rows[i].q, 1), 0),
                    p = tp_normal_fixed(drawn(f, rows[i].p, 2), 0);
            tp_ctx c = tp_ctx_train(f->tape, 1, 0);
            tp_var error;
            q.event_dims = rows[i].q_dims, p.event_dims = rows[i].p_dims;
            tp_var kl = sampled ? tp_kl_monte_carlo(q, p, &c, 2, &error) : tp_kl(q, p);
            assert_status(tp_var_status(kl), TP_ESHAPE);
            assert_message(rows[i].says);
            if (sampled)
                assert_status(tp_var_status(error), TP_ESHAPE);
            fixture_free(f);
        }
    for (int samples = 0; samples < 2; samples++) {
        fixture *f = fixture_new();
        tp_dist q = tp_normal_standard(drawn(f, TP_SHAPE(3), 1));
        tp_ctx c = tp_ctx_train(f->tape, 1, 0);
        tp_var error;
        assert_status(
            tp_var_status(tp_kl_monte_carlo(q, q, &c, samples, samples == 1 ? &error : NULL)),
            TP_EARG);
        assert_message("samples:");
        fixture_free(f);
    }
}

/* One prior for a batch: the same as one for each; the estimate likewise. */
static void test_shared_prior(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_var m = drawn(f, TP_SHAPE(3), 4), v = drawn(f, TP_SHAPE(3), 5);
    tp_dist q = tp_normal_logvar(drawn(f, TP_SHAPE(4, 3), 1), drawn(f, TP_SHAPE(4, 3), 2)),
            p = tp_normal_logvar(m, v);
    tp_dist each = tp_normal_logvar(tp_expand(m, TP_SHAPE(4, 3)), tp_expand(v, TP_SHAPE(4, 3)));
    assert_true(same_values(tp_value(tp_kl(q, p)), tp_value(tp_kl(q, each))));
    assert_true(tp_shape_equal(tp_shape_of(tp_kl(q, p)), TP_SHAPE(4)));
    tp_ctx c = tp_ctx_train(f->tape, 1, 0), again = c;
    assert_true(same_values(tp_value(tp_kl_monte_carlo(q, p, &c, 5, NULL)),
                            tp_value(tp_kl_monte_carlo(q, each, &again, 5, NULL))));
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition),
        cmocka_unit_test(test_sampling),
        cmocka_unit_test(test_mix_ups),
        cmocka_unit_test(test_standard_error),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_missing_pair),
        cmocka_unit_test(test_no_gradient_through_draws),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_shared_prior),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
