/* test_schedules.c: warm-up, capacity and free bits by numbers worked out by hand. Read next: test_whole.c. */
#include "tests/objective/exact.h"

#include "autograd/sweep.h"
#include "nn/objective.h"

static void test_ramp(void **state)
{
    (void)state;
    const struct {
        uint64_t step, steps;
        double from, to, want;
    } rows[] = {{0, 100, 0, 1, 0},        {1, 100, 0, 1, 0.01},
                {50, 100, 0, 1, 0.5},     {99, 100, 0, 1, 0.99},
                {100, 100, 0, 1, 1},      {101, 100, 0, 1, 1},
                {UINT64_MAX, 3, 0, 1, 1}, {0, 0, 0, 25, 25},
                {7, 0, 0, 25, 25},        {25000, 100000, 0, 25, 6.25},
                {1, 4, 4, 1, 3.25},       {3, 4, -1, -1, -1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_close(tp_ramp(rows[i].step, rows[i].steps, rows[i].from, rows[i].to), rows[i].want,
                     0, 1e-15);
}

static const double LOGPROB[] = {-1, -2, -6};

/* KLs 3, 5, 10 at capacity 5: off by 2, 0, 5. The difference of the mean, |6 − 5| = 1, is another objective. */
static void test_capacity(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double kls[] = {3, 5, 10}, grad[] = {-1000 / 3.0, 0, 1000 / 3.0};
    tp_var kl = tp_leaf(f->tape, fixture_tensor(f, TP_F64, TP_SHAPE(3), kls));
    tp_objective o = tp_capacity_elbo(given(f, TP_SHAPE(3), LOGPROB), kl, 1000, 5);
    assert_close(tp_item_of(o.term[0].value), 3, 0, 1e-15);
    assert_close(tp_item_of(o.term[1].value), 7 / 3.0, 0, 1e-15);
    assert_close(tp_item_of(o.term[2].value), 6, 0, 1e-15);
    assert_close(tp_item_of(o.total), 3 + 7000 / 3.0, 0, 1e-15);
    assert_true(o.terms == 3 && o.term[1].weight == 1000 && o.term[2].weight == 0);
    assert_string_equal(o.term[1].name, "capacity");
    assert_string_equal(o.term[2].name, "kl");
    assert_ok(tp_backward(o.total));
    assert_tensor_close(tp_leaf_grad(kl), grad, 3, 0, 1e-15);
    /* no capacity: β = γ */
    tp_var p = given(f, TP_SHAPE(3), LOGPROB);
    assert_close(tp_item_of(tp_capacity_elbo(p, kl, 4, 0).total),
                 tp_item_of(tp_negative_elbo(p, kl, (tp_elbo_opts){.beta = 4}).total), 0, 1e-15);
    fixture_free(f);
}

/* Means over the batch 0.2, 3 and 0.5 of three groups; λ = 0.5. The maximum per example (4.05), and that of the whole
 * KL (3.7), are other objectives. */
static void test_free_bits(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double kls[] = {0.1, 2, 0.6, 0.3, 4, 0.4};
    const double grad[] = {0, 0.5, 0.25, 0, 0.5, 0.25}; /* the third is a tie */
    tp_var kl = tp_leaf(f->tape, fixture_tensor(f, TP_F64, TP_SHAPE(2, 3), kls));
    tp_objective o = tp_free_bits_elbo(given(f, TP_SHAPE(2), LOGPROB), kl, 0.5);
    assert_close(tp_item_of(tp_free_bits(kl, 0.5)), 4, 0, 1e-15);
    assert_close(tp_item_of(o.total), 1.5 + 4, 0, 1e-15);
    assert_close(tp_item_of(o.term[1].value), 4, 0, 1e-15);
    assert_close(tp_item_of(o.term[2].value), 3.7, 0, 1e-15);
    assert_true(o.terms == 3 && o.term[2].weight == 0);
    assert_string_equal(o.term[1].name, "free_bits");
    assert_string_equal(o.term[2].name, "kl");
    double per_example = 0, whole = fmax(0.5, 3.7);
    for (int i = 0; i < 6; i++)
        per_example += fmax(0.5, kls[i]) / 2;
    assert_true(fabs(per_example - 4) > 0.04 && fabs(whole - 4) > 0.2);
    assert_ok(tp_backward(o.total));
    assert_tensor_close(tp_leaf_grad(kl), grad, 6, 0, 1e-15);
    /* λ = 0 is the ELBO */
    assert_close(tp_item_of(tp_free_bits(kl, 0)), 3.7, 0, 1e-15);
    fixture_free(f);
}

/* A term of weight 0 is not in the total, not even as 0·∞; an objective of such terms alone is 0. */
static void test_logged_only(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_var big = tp_full(f->tape, TP_F64, TP_SHAPE(), INFINITY),
           a = tp_full(f->tape, TP_F64, TP_SHAPE(), 3);
    tp_objective o = tp_objective_of(3, (tp_term[]){{"off", big, 0}, {"a", a, 2}, {"on", a, 1}});
    assert_true(tp_item_of(o.total) == 9);
    assert_true(isinf(tp_item_of(o.term[0].value)));
    assert_true(tp_item_of(tp_objective_of(1, (tp_term[]){{"a", a, 0}}).total) == 0);
    fixture_free(f);
}

/* A term of weight 0 is logged and sends no gradient. */
static void test_terms(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_var a = number(f, 3), b = number(f, 0.1), c = number(f, 7);
    tp_objective o = tp_objective_of(3, (tp_term[]){{"a", a, 2}, {"b", b, 0.3}, {"c", c, 0}});
    volatile double twice = 2 * 3.0, weighted = 0.3 * 0.1;
    assert_true(tp_item_of(o.total) == twice + weighted);
    assert_true(o.terms == 3 && o.term[2].value.id == c.id && o.term[1].weight == 0.3);
    tp_objective alone = tp_objective_of(1, (tp_term[]){{"a", a, 1}});
    assert_int_equal(alone.total.id, a.id);
    tp_objective scaled = tp_objective_of(1, (tp_term[]){{"a", a, 0.5}});
    assert_true(tp_item_of(scaled.total) == 1.5 && tp_item_of(scaled.term[0].value) == 3);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ramp),        cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_free_bits),   cmocka_unit_test(test_terms),
        cmocka_unit_test(test_logged_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
