/* test_whole.c: what every objective owes: the same loss for a permuted batch, the sum of losses for a union, a total
 * that is its terms, and gradients that are those of its value.
 *
 * One small Gaussian model gives all of them what they take. A new objective is one row of the table. Read next:
 * test_refused.c.
 */
#include "tests/objective/exact.h"

#include "autograd/check.h"
#include "autograd/sweep.h"
#include "nn/objective.h"
#include "tensor/mem.h"

enum { BATCH = 5, D = 2, K = 3, M = 2, PARAMETERS = 3 };

/* What objectives are made of: q(z|x) = N(mu, e^logvar) per example, samples, and p(x|z) = N(z, e^noise). */
typedef struct made {
    tp_var mu, logvar, kl_each, kl; /* [b, D], …, [b] */
    tp_var z, log_q, log_prior;     /* [b, D], [b], [b] */
    tp_var logprob, log_w;          /* [b], [M, K, b] */
    tp_var mmd, pair;               /* 0-d, [b, b, D] */
    tp_var zs, path_w; /* [K, b, D]; [K, b], the weights of zs with q detached in its density */
} made;

static made make(tp_var mu, tp_var logvar, tp_var x, tp_var eps, tp_var noise)
{
    tp_tape *t = mu.tape;
    tp_shape s = tp_shape_of(mu), many = TP_SHAPE(M, K, s.dim[0], D);
    tp_var zero = tp_scalar(t, tp_dtype_of(mu), 0);
    made a = {.mu = mu, .logvar = logvar, .kl_each = tp_gaussian_kl(mu, logvar)};
    a.kl = tp_sum(a.kl_each, TP_AXES(1), false);
    tp_var zs = tp_reparameterize(tp_expand(mu, many), tp_expand(logvar, many), eps);
    tp_var first = tp_slice(tp_slice(zs, 0, 0, 1, 1), 1, 0, 1, 1);
    a.z = tp_reshape(first, s);
    a.log_q = log_normal(a.z, mu, logvar);
    a.log_prior = log_normal(a.z, zero, zero);
    a.logprob = log_normal(x, a.z, noise);
    a.log_w = tp_log_weight(log_normal(x, zs, noise), log_normal(zs, zero, zero),
                            log_normal(zs, mu, logvar));
    a.zs = tp_reshape(tp_slice(zs, 0, 0, 1, 1), TP_SHAPE(K, s.dim[0], D));
    a.path_w = tp_log_weight(log_normal(x, a.zs, noise), log_normal(a.zs, zero, zero),
                             log_normal(a.zs, tp_detach(mu), tp_detach(logvar)));
    a.mmd =
        tp_mmd(a.z, tp_noise_normal(t, tp_dtype_of(mu), TP_SHAPE(4, D), (tp_rng_key){.seed = 9}),
               (tp_mmd_opts){.kernel = TP_MMD_IMQ});
    tp_var gap = tp_sub(tp_unsqueeze(a.z, 1), tp_unsqueeze(mu, 0)), v = tp_unsqueeze(logvar, 0);
    a.pair =
        tp_scale(tp_add(tp_mul(tp_square(gap), tp_exp(tp_neg(v))), tp_shift(v, LOG_2PI)), -0.5);
    return a;
}

static tp_objective reconstruction(const made *a)
{
    return tp_reconstruction(a->logprob);
}

static tp_objective exact(const made *a)
{
    return tp_negative_loglikelihood(a->logprob);
}

static tp_objective elbo(const made *a)
{
    return tp_negative_elbo(a->logprob, a->kl, (tp_elbo_opts){.beta = 0.7});
}

static tp_objective sampled_elbo(const made *a)
{
    return tp_negative_elbo(a->logprob, tp_sampled_kl(a->log_q, a->log_prior), tp_elbo_defaults());
}

static tp_objective capacity(const made *a)
{
    return tp_capacity_elbo(a->logprob, a->kl, 30, 1.1);
}

static tp_objective free_bits(const made *a)
{
    return tp_free_bits_elbo(a->logprob, a->kl_each, 0.6);
}

static tp_var first_of_m(const made *a)
{
    tp_shape s = tp_shape_of(a->log_w);
    return tp_reshape(tp_slice(a->log_w, 0, 0, 1, 1), TP_SHAPE(K, s.dim[2]));
}

static tp_objective iwae(const made *a)
{
    return tp_iwae(first_of_m(a));
}

static tp_objective miwae(const made *a)
{
    return tp_miwae(a->log_w);
}

static tp_objective dreg(const made *a)
{
    return tp_dreg(a->path_w, a->zs);
}

static tp_objective score(const made *a)
{
    tp_var log_q = log_normal(tp_detach(a->zs), a->mu, a->logvar); /* [K, b] */
    tp_var f = tp_score_function(tp_detach(a->path_w), log_q, tp_leave_one_out(a->path_w));
    return tp_reconstruction(tp_sample_mean(f));
}

static tp_objective wae(const made *a)
{
    return tp_wae(a->logprob, a->mmd, 10);
}

static tp_objective info(const made *a)
{
    return tp_info_elbo(a->logprob, a->kl, a->mmd, 0.3, 10);
}

static tp_objective stratified(const made *a)
{
    tp_tc_parts parts = tp_tc_decompose(a->pair, a->log_prior, (tp_tc_opts){.data_size = 40});
    return tp_tc_elbo(a->logprob, parts, (tp_tc_weights){1, 6, 0.5});
}

static tp_objective weighted(const made *a)
{
    tp_tc_parts parts = tp_tc_decompose(a->pair, a->log_prior, (tp_tc_opts){TP_TC_MWS, 40});
    return tp_tc_elbo(a->logprob, parts, (tp_tc_weights){1, 6, 0.5});
}

static tp_objective adversary(const made *a)
{
    tp_var ratio = tp_sum(a->z, TP_AXES(1), false);
    return tp_factor_elbo(a->logprob, a->kl, ratio, tp_discriminator_loss(ratio, a->log_q), 5);
}

static tp_objective dip_one(const made *a)
{
    return tp_dip_elbo(a->logprob, a->kl, a->mu, (tp_var){0}, (tp_dip_opts){10, 5});
}

static tp_objective dip_two(const made *a)
{
    return tp_dip_elbo(a->logprob, a->kl, a->mu, a->logvar, (tp_dip_opts){10, 5});
}

static tp_objective sparse(const made *a)
{
    return tp_sparse_reconstruction(a->logprob, tp_sigmoid(a->mu), a->mu,
                                    (tp_sparse_opts){.l1 = 0.4, .kl = 3, .rho = 0.2});
}

static tp_objective sparse_l1(const made *a)
{
    return tp_sparse_reconstruction(a->logprob, a->mu, (tp_var){0}, (tp_sparse_opts){.l1 = 0.4});
}

static const struct row {
    const char *name;
    tp_objective (*objective)(const made *a);
    bool additive;  /* a sum over examples */
    bool estimator; /* whose gradient is that of another function than its value */
} rows[] = {{"reconstruction", reconstruction, true},
            {"exact", exact, true},
            {"elbo", elbo, true},
            {"sampled elbo", sampled_elbo, true},
            {"capacity", capacity, true},
            {"free bits", free_bits, false},
            {"iwae", iwae, true},
            {"miwae", miwae, true},
            {"dreg", dreg, true, true},
            {"score function", score, true, true},
            {"wae", wae, false},
            {"info", info, false},
            {"tc, stratified", stratified, false},
            {"tc, weighted", weighted, false},
            {"adversary", adversary, true}, /* but for the shuffling */
            {"dip I", dip_one, false},
            {"dip II", dip_two, false},
            {"sparse", sparse, false},
            {"sparse, l1 only", sparse_l1, true}};
enum { ROWS = sizeof rows / sizeof *rows };

/* --- values ------------------------------------------------------------------------------------------------- */

/* The loss of the examples in list; noise goes with its example. */
static tp_objective loss_of(fixture *f, const struct row *row, tp_dtype dtype, int n,
                            const int64_t *list)
{
    tp_tensor *index = &f->tensor[f->n++];
    assert_ok(tp_tensor_from(index, TP_I64, TP_SHAPE(n), list));
    tp_var at = tp_constant(f->tape, index);
    tp_shape each = TP_SHAPE(BATCH, D), many = TP_SHAPE(M, K, BATCH, D);
    tp_var mu = tp_constant(f->tape, fixture_draw(f, dtype, each, 1, 1, 0));
    tp_var logvar = tp_constant(f->tape, fixture_draw(f, dtype, each, 2, 1, 0));
    tp_var x = tp_constant(f->tape, fixture_draw(f, dtype, each, 3, 1, 0));
    tp_var eps = tp_constant(f->tape, fixture_draw(f, dtype, many, 4, 1, 0));
    made a =
        make(tp_index_select(mu, at, 0), tp_index_select(logvar, at, 0), tp_index_select(x, at, 0),
             tp_index_select(eps, at, 2), tp_scalar(f->tape, dtype, -0.3));
    return row->objective(&a);
}

static double total_in(tp_dtype dtype, const struct row *row, int n, const int64_t *list)
{
    fixture *f = fixture_new();
    double loss = tp_item_of(loss_of(f, row, dtype, n, list).total);
    assert_true(isfinite(loss));
    fixture_free(f);
    return loss;
}

static double total_of(const struct row *row, int n, const int64_t *list)
{
    return total_in(TP_F64, row, n, list);
}

static void test_permutation(void **state)
{
    (void)state;
    const int64_t in_order[] = {0, 1, 2, 3, 4}, mixed[] = {3, 0, 4, 2, 1};
    for (int i = 0; i < ROWS; i++)
        assert_close(total_of(&rows[i], BATCH, mixed), total_of(&rows[i], BATCH, in_order), 0,
                     1e-13);
}

/* Those that look at the minibatch as a whole must not pass, or the column of the table says nothing. */
static void test_union(void **state)
{
    (void)state;
    const int64_t all[] = {0, 1, 2, 3, 4};
    for (int i = 0; i < ROWS; i++) {
        double sum = 3 * total_of(&rows[i], 3, all) + 2 * total_of(&rows[i], 2, all + 3);
        double whole = total_of(&rows[i], BATCH, all), off = fabs(sum / BATCH - whole);
        if (rows[i].additive)
            assert_close(sum / BATCH, whole, 0, 1e-13);
        else
            assert_true(off > 1e-4);
    }
}

static void test_single_precision(void **state)
{
    (void)state;
    const int64_t all[] = {0, 1, 2, 3, 4};
    for (int i = 0; i < ROWS; i++)
        assert_close(total_in(TP_F32, &rows[i], BATCH, all), total_of(&rows[i], BATCH, all), 0,
                     1e-5);
}

static void test_total_is_its_terms(void **state)
{
    (void)state;
    const int64_t all[] = {0, 1, 2, 3, 4};
    for (int i = 0; i < ROWS; i++) {
        fixture *f = fixture_new();
        tp_objective o = loss_of(f, &rows[i], TP_F64, BATCH, all);
        volatile double sum = o.term[0].weight * tp_item_of(o.term[0].value);
        for (int j = 1; j < o.terms; j++) {
            volatile double weighted_term = o.term[j].weight * tp_item_of(o.term[j].value);
            sum = sum + weighted_term;
        }
        assert_true(tp_item_of(o.total) == sum);
        fixture_free(f);
    }
}

/* --- gradients ------------------------------------------------------------------------------------------------ */

typedef struct check {
    const struct row *row;
    tp_parameter p[PARAMETERS];
    tp_tensor x, eps;
} check;

static tp_var loss_of_parameters(tp_tape *t, void *user)
{
    check *c = user;
    made a = make(tp_param(t, &c->p[0]), tp_param(t, &c->p[1]), tp_constant(t, &c->x),
                  tp_constant(t, &c->eps), tp_param(t, &c->p[2]));
    return c->row->objective(&a).total;
}

static void check_init(check *c)
{
    static const char *const names[] = {"mu", "logvar", "noise"};
    for (int i = 0; i < PARAMETERS; i++) {
        tp_shape s = i < 2 ? TP_SHAPE(BATCH, D) : TP_SHAPE();
        assert_ok(tp_parameter_init(&c->p[i], names[i], TP_F64, s));
        assert_ok(tp_random_normal(&c->p[i].value, (tp_rng_key){.seed = 1 + (uint64_t)i}));
    }
    assert_ok(tp_tensor_new(&c->x, TP_F64, TP_SHAPE(BATCH, D)));
    assert_ok(tp_random_normal(&c->x, (tp_rng_key){.seed = 5}));
    assert_ok(tp_tensor_new(&c->eps, TP_F64, TP_SHAPE(M, K, BATCH, D)));
    assert_ok(tp_random_normal(&c->eps, (tp_rng_key){.seed = 6}));
}

static void check_free(check *c)
{
    for (int i = 0; i < PARAMETERS; i++)
        tp_parameter_free(&c->p[i]);
    tp_tensor_free(&c->x);
    tp_tensor_free(&c->eps);
}

/* Estimators must fail the same check, or it would say nothing of the others. */
static void test_gradients(void **state)
{
    (void)state;
    check c;
    check_init(&c);
    tp_parameter *list[PARAMETERS] = {&c.p[0], &c.p[1], &c.p[2]};
    for (int i = 0; i < ROWS; i++)
        for (int order = 1; order <= (SANITIZED || rows[i].estimator ? 1 : 2); order++) {
            tp_check_report report;
            tp_check_opts opts = {.order = order};
            c.row = &rows[i];
            tp_status got = tp_gradcheck(loss_of_parameters, &c, PARAMETERS, list, opts, &report);
            assert_status(got, rows[i].estimator ? TP_EVALUE : TP_OK);
            if (!rows[i].estimator)
                assert_true(report.checked == 2 * BATCH * D + 1 && report.skipped_kinks == 0);
        }
    check_free(&c);
}

/* As the trainer steps: with release, and without memory once the tape has what it needs. */
static void test_steps_allocate_nothing(void **state)
{
    (void)state;
    check c;
    tp_tape *t;
    check_init(&c);
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < ROWS; i++) {
        size_t calls = 0;
        c.row = &rows[i];
        for (int step = 0; step < 6; step++) {
            calls = step == 3 ? tp_mem().calls : calls;
            tp_tape_reset(t);
            for (int j = 0; j < PARAMETERS; j++)
                tp_zero_grad(&c.p[j]);
            tp_var loss = loss_of_parameters(t, &c);
            assert_ok(tp_backward_opts(loss, (tp_sweep_opts){.release = true}));
        }
        assert_true(tp_mem().calls == calls);
    }
    tp_tape_free(t);
    check_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_permutation),      cmocka_unit_test(test_union),
        cmocka_unit_test(test_single_precision), cmocka_unit_test(test_total_is_its_terms),
        cmocka_unit_test(test_gradients),        cmocka_unit_test(test_steps_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
