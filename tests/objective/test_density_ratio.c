/* test_density_ratio.c: a discriminator's loss by hand, what it leads to where the ratio of densities is known, and the
 * shuffling of dimensions, which must take apart the dimensions and nothing else. Read next: test_schedules.c.
 */
#include "tests/objective/exact.h"

#include "autograd/sweep.h"
#include "nn/layers.h"
#include "nn/objective.h"
#include "nn/optim.h"

/* --- by hand ------------------------------------------------------------------------------------------------- */

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void test_by_hand(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double a[] = {0.5, -1, 2}, b[] = {0.3, -2}, zero[] = {0, 0, 0}, sure[] = {1e4, 1e4, 1e4};
    double on_p = 0, on_q = 0;
    for (int i = 0; i < 3; i++)
        on_p -= log(sigmoid(a[i])) / 3;
    for (int i = 0; i < 2; i++)
        on_q -= log(1 - sigmoid(b[i])) / 2;
    tp_var p = given(f, TP_SHAPE(3), a), q = given(f, TP_SHAPE(2), b);
    double got = tp_item_of(tp_discriminator_loss(p, q));
    assert_close(got, (on_p + on_q) / 2, 1e-15, 0);
    /* not the mean over all samples, where the larger side would count for more; nor with the sides the other way */
    assert_true(fabs(got - (3 * on_p + 2 * on_q) / 5) > 0.01);
    assert_true(fabs(got - tp_item_of(tp_discriminator_loss(q, p))) > 0.01);
    tp_var nothing = given(f, TP_SHAPE(3), zero), all = given(f, TP_SHAPE(3), sure);
    assert_close(tp_item_of(tp_discriminator_loss(nothing, nothing)), log(2), 1e-15, 0);
    assert_close(tp_item_of(tp_discriminator_loss(all, all)), 5e3, 0, 1e-15);
    assert_close(tp_item_of(tp_discriminator_loss(all, tp_neg(all))), 0, 0, 0);
    fixture_free(f);
}

static void test_objective(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    const double logprob[] = {-1, -2, -6}, kls[] = {0.5, 1, 3}, ratio[] = {0.2, -0.1, 0.8};
    const char *const names[] = {"recon", "kl", "tc", "discriminator"};
    const double want[] = {3, 1.5, 0.3, 0.6};
    tp_objective o = tp_factor_elbo(given(f, TP_SHAPE(3), logprob), given(f, TP_SHAPE(3), kls),
                                    given(f, TP_SHAPE(3), ratio), number(f, 0.6), 35);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(o.term[i].name, names[i]);
        assert_close(tp_item_of(o.term[i].value), want[i], 0, 1e-15);
    }
    assert_close(tp_item_of(o.total), 3 + 1.5 + 35 * 0.3 + 0.6, 0, 1e-15);
    fixture_free(f);
}

/* --- shuffling ------------------------------------------------------------------------------------------------ */

typedef tp_var (*shuffle_fn)(tp_var z, tp_rng_key key);

/* The mistake of several ports: an order per row, of its numbers. */
static tp_var within_rows(tp_var z, tp_rng_key key)
{
    return tp_gather(z, tp_noise_permutation(z.tape, tp_shape_of(z), 1, key), 1);
}

/* One order for all columns: the same codes again. */
static tp_var whole_rows(tp_var z, tp_rng_key key)
{
    int64_t n = tp_shape_of(z).dim[0];
    return tp_index_select(z, tp_noise_permutation(z.tape, TP_SHAPE(n), 0, key), 0);
}

enum { ROWS = 20, COLUMNS = 3, RUNS = 600 };

/* What is found over many keys. */
typedef struct found {
    bool columns_kept; /* each column holds the numbers it had, each once */
    double stay,
        meet; /* mean counts: of numbers in their old row; of rows whose first two numbers were in one row */
    double first, later; /* how often row 0 gets its number from the first and the second half */
} found;

/* The number of row i, column d is 100·d + i, so it says where it comes from. */
static found look(shuffle_fn shuffle)
{
    found r = {.columns_kept = true};
    fixture *f = fixture_new();
    double v[ROWS * COLUMNS];
    for (int k = 0; k < ROWS * COLUMNS; k++)
        v[k] = 100 * (k % COLUMNS) + k / COLUMNS;
    tp_tensor *z = fixture_tensor(f, TP_F64, TP_SHAPE(ROWS, COLUMNS), v);
    for (int run = 0; run < RUNS; run++) {
        int count[COLUMNS][ROWS] = {{0}};
        tp_tape_reset(f->tape);
        const double *y =
            numbers(shuffle(tp_constant(f->tape, z), (tp_rng_key){1, (uint64_t)run, 0}));
        for (int k = 0; k < ROWS * COLUMNS; k++) {
            int from = (int)y[k] % 100, column = (int)y[k] / 100;
            r.columns_kept &= column == k % COLUMNS && count[column][from]++ == 0;
            r.stay += (double)(from == k / COLUMNS) / COLUMNS / RUNS;
            if (k % COLUMNS == 0)
                r.meet += (double)(from == (int)y[k + 1] % 100) / RUNS;
        }
        r.first += (double)((int)y[0] % 100 < ROWS / 2) / RUNS;
        r.later += (double)((int)y[1] % 100 >= ROWS / 2) / RUNS;
    }
    fixture_free(f);
    return r;
}

static void test_shuffle(void **state)
{
    (void)state;
    /* The matches of independent permutations have mean 1 and variance 1. */
    double meet_error = 4 / sqrt(RUNS), stay_error = 4 / sqrt(RUNS * COLUMNS),
           half_error = 2 / sqrt(RUNS);
    found right = look(tp_shuffle_dimensions), rows = look(within_rows), all = look(whole_rows);
    assert_true(right.columns_kept);
    assert_close(right.meet, 1, meet_error, 0);
    assert_close(right.stay, 1, stay_error, 0);
    assert_close(right.first, 0.5, half_error, 0);
    assert_close(right.later, 0.5, half_error, 0);
    /* the controls: the first moves numbers to other columns, the second keeps what was together */
    assert_false(rows.columns_kept);
    assert_true(all.columns_kept);
    assert_close(all.stay, 1, 3 * stay_error, 0);
    assert_close(all.meet, ROWS, 0, 1e-12);
}

/* --- the best discriminator ------------------------------------------------------------------------------------- */

enum { N = SANITIZED ? 1000 : 4000, STEPS = SANITIZED ? 150 : 300 };

/* N draws of two normal numbers of correlation rho. */
static tp_var correlated(fixture *f, double rho, uint64_t seed)
{
    tp_tensor *t = fixture_draw(f, TP_F64, TP_SHAPE(N, 2), seed, 1, 0);
    double *z = tp_data_mut(t);
    for (int i = 0; i < N; i++)
        z[2 * i + 1] = rho * z[2 * i] + sqrt(1 - rho * rho) * z[2 * i + 1];
    return tp_constant(f->tape, t);
}

/* [N, 2] -> [N, 3]: the squares and the product, of which log p/q of normals is a linear function. */
static tp_var quadratic(tp_var z)
{
    tp_var a = tp_slice(z, 1, 0, 1, 1), b = tp_slice(z, 1, 1, 2, 1);
    return tp_concat((tp_var[]){tp_square(a), tp_square(b), tp_mul(a, b)}, 3, 1);
}

static tp_var discriminate(const tp_nn_linear *l, tp_ctx *c, tp_var z)
{
    return tp_squeeze(tp_nn_linear_apply(l, c, quadratic(z)), 1); /* [N] */
}

/* Learns to tell z from shuffled z; the mean logit of other draws. want[4]: weights and bias of the exact log-ratio, from
 * which it must not be far; NULL: not looked at. */
static double learned(double rho, shuffle_fn shuffle, const double *want)
{
    tp_nn_linear l;
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_optimizer o;
    assert_ok(tp_nn_linear_init(&l, &ps, "d", 3, 1));
    assert_ok(tp_adam_init(&o, &ps, (tp_adam_opts){0.05, 0.9, 0.999, 1e-8}));
    fixture *f = fixture_new();
    for (uint64_t step = 0; step < STEPS; step++) {
        fixture_free(f);
        f = fixture_new();
        tp_ctx c = tp_ctx_train(f->tape, 1, step);
        tp_var z = correlated(f, rho, 100 + step);
        tp_var shuffled = shuffle(z, tp_ctx_draw(&c));
        tp_params_zero_grad(&ps);
        assert_ok(tp_backward(
            tp_discriminator_loss(discriminate(&l, &c, z), discriminate(&l, &c, shuffled))));
        o.lr = 0.05 * (1 - (double)step / STEPS);
        assert_ok(tp_optimizer_step(&o));
    }
    tp_ctx c = tp_ctx_eval(f->tape, 1, 0);
    double ratio =
        tp_item_of(tp_mean(discriminate(&l, &c, correlated(f, rho, 1)), TP_ALL_AXES, false));
    for (int i = 0; want != NULL && i < 4; i++)
        assert_close(i < 3 ? tp_flat(&l.weight.value, i) : tp_flat(&l.bias.value, 0), want[i],
                     SANITIZED ? 0.15 : 0.07, 0);
    fixture_free(f);
    tp_optimizer_free(&o);
    tp_params_free(&ps);
    return ratio;
}

static void test_total_correlation(void **state)
{
    (void)state;
    const double rho[] = {0, 0.5, -0.7};
    for (int i = 0; i < 3; i++) {
        double r = rho[i], s = 1 - r * r, truth = -0.5 * log(s), error = SANITIZED ? 0.08 : 0.04;
        /* log N(z; 0, [[1, r], [r, 1]]) − log N(z; 0, I) */
        const double want[] = {-0.5 * r * r / s, -0.5 * r * r / s, r / s, truth};
        double tc = learned(r, tp_shuffle_dimensions, want);
        print_message("correlation %.1f: TC %.4f, by the discriminator %.4f\n", r, truth, tc);
        assert_close(tc, truth, error, 0);
    }
    /* the controls, of which the truth is 0.337: both give what they are to be told from */
    assert_close(learned(-0.7, whole_rows, NULL), 0, 0.1, 0);
    assert_close(learned(-0.7, within_rows, NULL), 0, 0.1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_objective),
        cmocka_unit_test(test_shuffle),
        cmocka_unit_test(test_total_correlation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
