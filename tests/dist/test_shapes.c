/* test_shapes.c: events, leading samples, and what does not fit: the same for every distribution.
 *
 * Read next: nn/dist.c. */
#include "tests/support/dists.h"

#include <math.h>
#include <string.h>

#include "autograd/sweep.h"

/* Runs f on the first case of every row. */
static void on_every_row(void (*run)(fixture *f, tp_dist d))
{
    for (int i = 0; i < tp_dist_type_count; i++) {
        fixture *f = fixture_new();
        print_message("%s\n", tp_dist_types[i]->name);
        run(f, dist_make(f, TP_F64, tp_dist_types[i], tp_dist_types[i]->cases[0].param));
        fixture_free(f);
    }
}

/* --- events -------------------------------------------------------------------------------------------------- */

/* What an event sums is the sum of its elements, for densities and entropies. */
static void check_events(fixture *f, tp_dist d)
{
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    int rank = tp_dist_rank(&d), ndim = tp_dist_shape(&d).ndim, n = 1 + (d.type->entropy != NULL);
    tp_var x = tp_dist_sample(d, &c), small[2] = {tp_dist_logprob(d, x)};
    if (n == 2)
        small[1] = tp_dist_entropy(d);
    for (d.event_dims = rank; d.event_dims <= ndim; d.event_dims++) {
        tp_var large[2] = {tp_dist_logprob(d, x)};
        if (n == 2)
            large[1] = tp_dist_entropy(d);
        for (int k = 0; k < n; k++) {
            tp_var want = tp_event_sum(small[k], d.event_dims - rank);
            assert_true(same_values(tp_value(large[k]), tp_value(want)));
            assert_int_equal(tp_shape_of(large[k]).ndim, ndim - d.event_dims);
        }
    }
    assert_ok(tp_tape_status(f->tape));
    assert_status(tp_var_status(tp_dist_logprob(d, x)), TP_ESHAPE); /* one more than there are */
    assert_message("event_dims is");
    assert_message(d.type->name);
}

static void test_events(void **state)
{
    (void)state;
    on_every_row(check_events);
}

static void test_event_dims_of_a_batch(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_dist p = tp_normal_logvar(drawn(f, TP_SHAPE(2, 3, 4), 1), drawn(f, TP_SHAPE(2, 3, 4), 2));
    tp_dist standard = tp_normal_standard(p.param[0]);
    tp_var x = drawn(f, TP_SHAPE(2, 3, 4), 3);
    assert_true(tp_shape_equal(tp_shape_of(tp_dist_logprob(p, x)), TP_SHAPE(2, 3)));
    assert_true(tp_shape_equal(tp_shape_of(tp_dist_entropy(p)), TP_SHAPE(2, 3)));
    assert_true(tp_shape_equal(tp_shape_of(tp_kl(p, standard)), TP_SHAPE(2, 3)));
    assert_true(tp_shape_equal(tp_shape_of(tp_kl_elements(p, standard)), TP_SHAPE(2, 3, 4)));
    p.event_dims = standard.event_dims = 2;
    assert_true(tp_shape_equal(tp_shape_of(tp_dist_logprob(p, x)), TP_SHAPE(2)));
    assert_true(tp_shape_equal(tp_shape_of(tp_kl(p, standard)), TP_SHAPE(2)));
    p.event_dims = standard.event_dims = 0;
    assert_true(tp_shape_equal(tp_shape_of(tp_kl(p, standard)), TP_SHAPE(2, 3, 4)));
    fixture_free(f);
}

/* --- samples ---------------------------------------------------------------------------------------------------- */

/* k draws come as [k, draw…] and differ; the density of all is the densities of each. */
static void check_samples(fixture *f, tp_dist d)
{
    enum { K = 64 };
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_shape draw = tp_dist_shape(&d);
    tp_var z = tp_dist_sample_n(d, &c, K), logprob = tp_dist_logprob(d, z), first = {0};
    assert_int_equal(tp_shape_of(z).ndim, draw.ndim + 1);
    assert_int_equal(tp_shape_of(z).dim[0], K);
    bool differ = false;
    for (int64_t k = 0; k < K; k++) {
        tp_var one_z = tp_squeeze(tp_slice(z, 0, k, k + 1, 1), 0);
        tp_var want = tp_squeeze(tp_slice(logprob, 0, k, k + 1, 1), 0);
        assert_true(tp_shape_equal(tp_shape_of(one_z), draw));
        assert_true(same_values(tp_value(tp_dist_logprob(d, one_z)), tp_value(want)));
        first = k == 0 ? one_z : first;
        differ = differ || !same_values(tp_value(first), tp_value(one_z));
    }
    assert_true(differ);
    assert_true(tp_shape_equal(tp_shape_of(tp_dist_sample(d, &c)), draw));
    assert_ok(tp_tape_status(f->tape));
}

static void test_samples(void **state)
{
    (void)state;
    on_every_row(check_samples);
}

/* Parameters decoded from several samples, one x: expanded by hand, it is the densities of each. */
static void test_one_x_for_samples(void **state)
{
    (void)state;
    enum { K = 3 };
    fixture *f = fixture_new();
    tp_dist p = tp_bernoulli_logits(drawn(f, TP_SHAPE(K, 4, 2), 1));
    tp_var x = tp_sigmoid(drawn(f, TP_SHAPE(4, 2), 2));
    tp_var all = tp_dist_logprob(p, tp_expand(x, tp_dist_shape(&p)));
    for (int64_t k = 0; k < K; k++) {
        tp_dist part = tp_bernoulli_logits(tp_squeeze(tp_slice(p.param[0], 0, k, k + 1, 1), 0));
        tp_var want = tp_squeeze(tp_slice(all, 0, k, k + 1, 1), 0);
        assert_true(same_values(tp_value(tp_dist_logprob(part, x)), tp_value(want)));
    }
    assert_status(tp_var_status(tp_dist_logprob(p, x)), TP_ESHAPE);
    fixture_free(f);
}

/* A batch of nothing is legal everywhere. */
static void check_empty(fixture *f, tp_dist d)
{
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_dist none = tp_dist_repeat(d, TP_SHAPE(0));
    tp_var z = tp_dist_sample_n(none, &c, 2), y = tp_dist_logprob(none, z);
    assert_int_equal(tp_shape_of(z).dim[1], 0);
    assert_int_equal(tp_shape_of(z).ndim, tp_dist_shape(&d).ndim + 2);
    assert_int_equal(tp_shape_of(y).dim[1], 0);
    if (d.type->mean != NULL)
        tp_dist_mean(none), tp_dist_variance(none);
    if (d.type->entropy != NULL)
        tp_dist_entropy(none);
    for (int i = 0; i < tp_kl_type_count; i++)
        if (tp_kl_types[i].q == d.type && tp_kl_types[i].p == d.type)
            tp_kl(none, none);
    assert_ok(tp_tape_status(f->tape));
}

static void test_empty(void **state)
{
    (void)state;
    on_every_row(check_empty);
}

/* With gradient, without, and refused where there is none. */
static void check_sample_gradient(fixture *f, tp_dist d)
{
    tp_ctx c = tp_ctx_train(f->tape, 1, 0), again = c;
    tp_var leaf[TP_DIST_PARAMS] = {{0}};
    for (int i = 0; i < d.type->params; i++) /* the numbers of the case */
        leaf[i] = tp_leaf(f->tape, &f->tensor[i]);
    d = d.type->make(leaf);
    tp_var z = tp_dist_sample(d, &c);
    assert_false(tp_needs_grad(z));
    assert_int_equal(tp_dist_has_rsample(&d), d.type->pathwise);
    tp_var r = tp_dist_rsample(d, &again);
    if (d.type->pathwise) {
        assert_true(tp_needs_grad(r));
        assert_true(same_values(tp_value(r), tp_value(z)));
        return;
    }
    assert_status(tp_var_status(r), TP_EGRAD);
    assert_message("no gradient flows through its draws");
    assert_message(d.type->name);
}

static void test_sample_gradient(void **state)
{
    (void)state;
    on_every_row(check_sample_gradient);
}

/* Noise depends on seed, stream, step and the number of the draw: all of them, and nothing else. */
static void test_noise_streams(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_dist q = tp_normal_standard(tp_full(f->tape, TP_F64, TP_SHAPE(8), 0));
    tp_ctx c[] = {tp_ctx_train(f->tape, 1, 2), tp_ctx_train(f->tape, 1, 2),
                  tp_ctx_train(f->tape, 2, 2), tp_ctx_train(f->tape, 1, 3),
                  tp_ctx_eval(f->tape, 1, 2)};
    tp_var z[6];
    for (int i = 0; i < 5; i++)
        z[i] = tp_dist_rsample(q, &c[i]);
    z[5] = tp_dist_rsample(q, &c[0]); /* the second draw of its step */
    assert_true(same_values(tp_value(z[0]), tp_value(z[1])));
    for (int i = 1; i < 6; i++)
        for (int k = i + 1; k < 6; k++)
            assert_false(same_values(tp_value(z[i]), tp_value(z[k])));
    fixture_free(f);
}

static void test_number_of_samples(void **state)
{
    (void)state;
    for (int64_t k = 0; k >= -1; k--) {
        fixture *f = fixture_new();
        tp_ctx c = tp_ctx_train(f->tape, 1, 0);
        tp_dist q = tp_normal_standard(drawn(f, TP_SHAPE(3), 1));
        assert_status(
            tp_var_status(k == 0 ? tp_dist_rsample_n(q, &c, k) : tp_dist_sample_n(q, &c, k)),
            TP_EARG);
        assert_message("samples: 1 or more needed");
        fixture_free(f);
    }
}

/* More axes than a tensor has. */
static void test_too_many_axes(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_dist q = tp_normal_standard(drawn(f, TP_SHAPE(1, 1, 1, 1, 1, 1, 1, 2), 1));
    assert_status(tp_var_status(tp_dist_rsample_n(q, &c, 2)), TP_ESHAPE);
    assert_message("at most 8 axes");
    fixture_free(f);
}

/* --- what does not fit -------------------------------------------------------------------------------------- */

/* Losses do not broadcast: a forgotten dimension must not become a wrong number. */
static void test_no_broadcasting(void **state)
{
    (void)state;
    static const tp_shape wrong[] = {TP_DIMS(3),    TP_DIMS(1, 3),    TP_DIMS(4, 1),
                                     TP_DIMS(2, 3), TP_DIMS(2, 3, 4), TP_DIMS()};
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < 4; k++) {
            fixture *f = fixture_new();
            tp_var full = drawn(f, TP_SHAPE(4, 3), 1), bad = {0};
            tp_var part = tp_constant(f->tape, fixture_draw(f, TP_F64, wrong[i], 1, 0, 0.5));
            tp_ctx c = tp_ctx_train(f->tape, 1, 0);
            if (k == 0)
                bad = tp_dist_logprob(tp_normal_logvar(full, full), part);
            if (k == 1)
                bad = tp_dist_logprob(tp_bernoulli_logits(full), part);
            if (k < 2)
                assert_message("losses do not broadcast");
            if (k == 2)
                bad = tp_dist_logprob(tp_normal_logvar(full, part), full);
            if (k == 3)
                bad = tp_dist_rsample(tp_normal_logvar(full, part), &c);
            assert_status(tp_var_status(bad), TP_ESHAPE);
            fixture_free(f);
        }
}

/* Poisoned, stale or empty vars, and a distribution without a type, pass through without a crash; the first failure
 * stays. */
static void check_poison(fixture *f, tp_dist d)
{
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_dist ok = tp_normal_standard(drawn(f, TP_SHAPE(3), 1)), bad = d;
    tp_var param[TP_DIST_PARAMS] = {tp_add(drawn(f, TP_SHAPE(2), 1), drawn(f, TP_SHAPE(3), 1))};
    for (int i = 1; i < d.type->params; i++)
        param[i] = ok.param[0];
    bad = d.type->make(param);
    tp_var error, y[] = {tp_dist_logprob(bad, ok.param[0]),
                         tp_dist_sample(bad, &c),
                         tp_dist_mean(bad),
                         tp_dist_variance(bad),
                         tp_dist_entropy(bad),
                         tp_dist_logprob(ok, bad.param[0]),
                         tp_kl(bad, ok),
                         tp_kl(ok, bad),
                         tp_kl_monte_carlo(ok, bad, &c, 2, &error),
                         error};
    for (size_t i = 0; i < sizeof y / sizeof *y; i++)
        assert_status(tp_var_status(y[i]), TP_ESHAPE);
    assert_non_null(strstr(tp_tape_message(f->tape), "add"));
}

static void test_poison(void **state)
{
    (void)state;
    on_every_row(check_poison);
    fixture *f = fixture_new();
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_dist old = tp_normal_standard(drawn(f, TP_SHAPE(3), 1)), none = {0};
    tp_tape_reset(f->tape);
    assert_status(tp_var_status(tp_dist_rsample(old, &c)), TP_ESTALE);
    tp_tape_reset(f->tape);
    tp_dist ok = tp_normal_standard(drawn(f, TP_SHAPE(3), 1));
    tp_dist_logprob(none, (tp_var){0});
    tp_dist_rsample(none, &c);
    tp_dist_entropy(none);
    tp_dist_mean(tp_bernoulli_logits((tp_var){0}));
    tp_kl(none, none);
    assert_ok(tp_tape_status(f->tape));
    for (int k = 0; k < 4; k++) { /* on the tape that is there */
        tp_tape_reset(f->tape);
        ok = tp_normal_standard(tp_full(f->tape, TP_F64, TP_SHAPE(3), 1));
        tp_dist empty = tp_normal_logvar((tp_var){0}, (tp_var){0});
        tp_var y = k == 0   ? tp_kl(empty, ok)
                   : k == 1 ? tp_kl(ok, empty)
                   : k == 2 ? tp_dist_logprob(empty, ok.param[0])
                            : tp_dist_logprob(ok, (tp_var){0});
        assert_status(tp_tape_status(f->tape), TP_ETAPE);
        assert_true(tp_var_status(y) != TP_OK);
    }
    tp_tape_reset(f->tape);
    ok = tp_normal_standard(tp_full(f->tape, TP_F64, TP_SHAPE(3), 1));
    ok.type = NULL;
    assert_status(tp_var_status(tp_dist_logprob(ok, ok.param[0])), TP_EARG);
    assert_message("a distribution without a type");
    fixture_free(f);
}

/* --- without gradient ---------------------------------------------------------------------------------------- */

/* Whether anything that depends on d needs a gradient: log p of x and, if they carry one, draws. */
static bool learns(tp_dist d, tp_ctx c, tp_var x)
{
    bool draws = d.type->pathwise && tp_needs_grad(tp_dist_rsample(d, &c));
    return draws || tp_needs_grad(tp_dist_logprob(d, x));
}

/* Detached, a distribution is the same one, bit for bit, and nothing reaches its parameters. */
static void check_detached(fixture *f, tp_dist d)
{
    tp_ctx c = tp_ctx_train(f->tape, 1, 0), same = c;
    tp_dist fixed = tp_dist_detach(d);
    tp_var x = tp_detach(tp_dist_sample(d, &c)), again = tp_dist_sample(fixed, &same);
    assert_true(same_values(tp_value(x), tp_value(again)));
    tp_var want = tp_dist_logprob(d, x), got = tp_dist_logprob(fixed, x);
    assert_true(same_values(tp_value(want), tp_value(got)));
    assert_true(tp_shape_equal(tp_dist_shape(&fixed), tp_dist_shape(&d)));
    assert_int_equal(fixed.event_dims, d.event_dims);
    assert_true(learns(d, c, x));
    assert_false(learns(fixed, c, x));
    assert_ok(tp_tape_status(f->tape));
}

static void check_detached_row(fixture *f, tp_dist d)
{
    for (int i = 0; i < TP_DIST_PARAMS; i++)
        if (d.param[i].tape != NULL)
            d.param[i] = tp_leaf(f->tape, tp_value(d.param[i]));
    check_detached(f, d);
}

/* Of a transformed one each map learns, too: only one leaf at a time, so that none is forgotten. */
static void test_detach(void **state)
{
    (void)state;
    on_every_row(check_detached_row);
    for (int which = 0; which < 4; which++) {
        fixture *f = fixture_new();
        tp_var v[4];
        for (int i = 0; i < 4; i++) {
            v[i] = drawn(f, TP_SHAPE(3), 1 + (uint64_t)i);
            v[i] = i == which ? tp_leaf(f->tape, tp_value(v[i])) : v[i];
        }
        tp_flow flow[] = {tp_flow_affine(v[1], tp_scale(v[1], 0.1)),
                          tp_flow_affine(tp_scale(v[2], 2), v[3])};
        check_detached(f, tp_transformed(tp_normal_logvar(v[0], v[0]), 2, flow));
        fixture_free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_event_dims_of_a_batch),
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_sample_gradient),
        cmocka_unit_test(test_one_x_for_samples),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_noise_streams),
        cmocka_unit_test(test_number_of_samples),
        cmocka_unit_test(test_too_many_axes),
        cmocka_unit_test(test_no_broadcasting),
        cmocka_unit_test(test_poison),
        cmocka_unit_test(test_detach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
