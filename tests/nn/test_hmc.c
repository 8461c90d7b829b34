/* test_hmc.c: Hamiltonian Monte Carlo against a plain one written here, against the moments of what it is to draw from,
 * and against the same with well-known mistakes, which must be found out.
 *
 * Chains begin at exact draws, so that nothing has to converge: after any number of transitions they are exact draws still.
 * Read next: nn/hmc.c, test_hmc_refused.c.
 */
#include "tests/nn/fixture.h"

#include <math.h>
#include <string.h>

#include "nn/hmc.h"
#include "tensor/mem.h"

/* --- densities of the plane, on the tape and in plain C ---------------------------------------------------------- */

typedef struct plane {
    void (*record)(void *user, tp_ctx *c, tp_var z, tp_var *part);
    double (*log_density)(const double z[2], double grad[2]);
    void (*exact)(const double noise[2], double z[2]); /* a draw */
    double step;                                       /* with which some transitions are refused */
} plane;

static tp_var axis(tp_var z, int i)
{
    return tp_squeeze(tp_slice(z, -1, i, i + 1, 1), -1);
}

/* Precision [[2.5, 1.5], [1.5, 2.5]]: variance 0.625, covariance −0.375. */
static void gauss_record(void *user, tp_ctx *c, tp_var z, tp_var *part)
{
    (void)user, (void)c;
    tp_var x = axis(z, 0), y = axis(z, 1), squares = tp_add(tp_square(x), tp_square(y));
    part[0] = tp_neg(tp_add(tp_scale(squares, 1.25), tp_scale(tp_mul(x, y), 1.5)));
}

static double gauss(const double z[2], double grad[2])
{
    grad[0] = -2.5 * z[0] - 1.5 * z[1];
    grad[1] = -1.5 * z[0] - 2.5 * z[1];
    return 0.5 * (z[0] * grad[0] + z[1] * grad[1]);
}

static void gauss_exact(const double noise[2], double z[2])
{
    z[0] = sqrt(0.625) * noise[0];
    z[1] = -0.6 * z[0] + sqrt(0.4) * noise[1];
}

/* A banana: x ~ N(0,1), y|x ~ N(x² − 1, 1). */
static void banana_record(void *user, tp_ctx *c, tp_var z, tp_var *part)
{
    (void)user, (void)c;
    tp_var x = axis(z, 0), d = tp_sub(axis(z, 1), tp_shift(tp_square(x), -1));
    part[0] = tp_scale(tp_add(tp_square(x), tp_square(d)), -0.5);
}

static double banana(const double z[2], double grad[2])
{
    double d = z[1] - (z[0] * z[0] - 1);
    grad[0] = -z[0] + 2 * z[0] * d;
    grad[1] = -d;
    return -0.5 * (z[0] * z[0] + d * d);
}

static void banana_exact(const double noise[2], double z[2])
{
    z[0] = noise[0];
    z[1] = noise[0] * noise[0] - 1 + noise[1];
}

static const plane planes[] = {{gauss_record, gauss, gauss_exact, 0.75},
                               {banana_record, banana, banana_exact, 0.4}};
enum { PLANES = 2, LEAPS = 6 };

/* --- a transition in plain C ---------------------------------------------------------------------------------------- */

typedef enum mistake {
    RIGHT,
    WHOLE_KICK,    /* the first kick is a whole one, and there is none at the end */
    NO_METROPOLIS, /* every proposal is taken */
    MOMENTUM_SIGN, /* H = U − |q|²/2 */
    MISTAKES
} mistake;

static double up(const plane *p, const double z[2], const double q[2], mistake m)
{
    double grad[2], kinetic = 0.5 * (q[0] * q[0] + q[1] * q[1]);
    return p->log_density(z, grad) - (m == MOMENTUM_SIGN ? -kinetic : kinetic);
}

static void plain_step(const plane *p, double z[2], const double momentum[2], double uniform,
                       mistake m)
{
    double q[2] = {momentum[0], momentum[1]}, to[2] = {z[0], z[1]}, grad[2];
    double first = m == WHOLE_KICK ? 1 : 0.5, last = m == WHOLE_KICK ? 0 : 0.5;
    p->log_density(to, grad);
    for (int i = 1; i <= LEAPS; i++) {
        for (int d = 0; d < 2; d++) {
            q[d] += (i == 1 ? first : 1) * p->step * grad[d];
            to[d] += p->step * q[d];
        }
        p->log_density(to, grad);
    }
    for (int d = 0; d < 2; d++)
        q[d] += last * p->step * grad[d];
    if (m == NO_METROPOLIS || log(uniform) < up(p, to, q, m) - up(p, z, momentum, m))
        memcpy(z, to, sizeof to);
}

/* --- the chains -------------------------------------------------------------------------------------------------------- */

enum { STEPS = 12, CHAINS = SANITIZED ? 3000 : 20000, BATCH = 2 };
static const tp_rng_key KEY = {.seed = 3, .step = 100};
static const int64_t NUMBER[BATCH] = {4, 9};

static tp_tensor *exact_draws(fixture *f, const plane *p, int64_t chains)
{
    tp_tensor *z = fixture_draw(f, TP_F64, TP_SHAPE(chains, BATCH, 2), 8, 1, 0);
    double *at = tp_data_mut(z);
    for (int64_t i = 0; i < chains * BATCH; i++) {
        double noise[2] = {at[2 * i], at[2 * i + 1]};
        p->exact(noise, at + 2 * i);
    }
    return z;
}

static tp_hmc_opts opts_of(const plane *p)
{
    return (tp_hmc_opts){.leapfrog = LEAPS, .step = p->step, .key = KEY, .number = NUMBER};
}

static void library_run(fixture *f, const plane *p, tp_tensor *z)
{
    tp_hmc h;
    tp_hmc_density d = {.record = p->record, .parts = 1};
    assert_ok(tp_hmc_init(&h, f->tape, d, opts_of(p), z));
    for (int i = 0; i < STEPS; i++)
        assert_ok(tp_hmc_step(&h));
    assert_int_equal(h.steps, STEPS);
    double accepted = 0.5 * (tp_flat(&h.accepted, 0) + tp_flat(&h.accepted, 1));
    assert_true(accepted > 0.5 && accepted < 0.97);
    assert_ok(tp_copy(z, &h.at.z));
    tp_hmc_free(&h);
}

/* With the draws that hmc.h promises. */
static void plain_run(const plane *p, tp_tensor *z, mistake m)
{
    int64_t chains = z->shape.dim[0];
    tp_tensor q, u;
    assert_ok(tp_tensor_new(&q, TP_F64, TP_SHAPE(chains, 2)));
    assert_ok(tp_tensor_new(&u, TP_F64, TP_SHAPE(chains)));
    for (int i = 0; i < STEPS; i++)
        for (int j = 0; j < BATCH; j++) {
            tp_rng_key key = {KEY.seed, KEY.step + (uint64_t)NUMBER[j], (uint32_t)(2 * i)};
            assert_ok(tp_random_normal(&q, key));
            key.draw++;
            assert_ok(tp_random_uniform(&u, key));
            for (int64_t k = 0; k < chains; k++)
                plain_step(p, (double *)tp_data_mut(z) + 2 * (k * BATCH + j),
                           (const double *)tp_data(&q) + 2 * k, tp_flat(&u, k), m);
        }
    tp_tensor_free(&q);
    tp_tensor_free(&u);
}

static double distance(const tp_tensor *a, const tp_tensor *b)
{
    double most = 0;
    for (int64_t i = 0; i < tp_numel(a); i++)
        most = fmax(most, fabs(tp_flat(a, i) - tp_flat(b, i)));
    return most;
}

/* Number for number. A rounding error grows with every transition. */
static void test_plain(void **state)
{
    (void)state;
    for (int p = 0; p < PLANES; p++)
        for (int m = RIGHT; m < MISTAKES; m++) {
            fixture *f = fixture_new();
            tp_tensor *a = exact_draws(f, &planes[p], 5), *b = exact_draws(f, &planes[p], 5);
            library_run(f, &planes[p], a);
            plain_run(&planes[p], b, (mistake)m);
            if (m == RIGHT)
                assert_true(distance(a, b) < 1e-9);
            else
                assert_true(distance(a, b) > 0.1);
            fixture_free(f);
        }
}

/* How far the moments of z are from those of exact draws, in standard errors: the worst. */
static double off(const plane *p, const tp_tensor *z, fixture *f)
{
    enum { MOMENTS = 6 };
    double worst = 0;
    const tp_tensor *fresh = fixture_draw(f, TP_F64, TP_SHAPE(200000, 2), 77, 1, 0);
    double mean[2][MOMENTS] = {{0}}, square[2][MOMENTS] = {{0}};
    const int64_t n[2] = {tp_numel(z) / 2, 200000};
    for (int s = 0; s < 2; s++)
        for (int64_t i = 0; i < n[s]; i++) {
            double at[2] = {tp_flat(s == 0 ? z : fresh, 2 * i),
                            tp_flat(s == 0 ? z : fresh, 2 * i + 1)};
            if (s == 1)
                p->exact((double[]){at[0], at[1]}, at);
            double x = at[0], y = at[1], moment[MOMENTS] = {x, y, x * x, y * y, x * y, x * x * y};
            for (int k = 0; k < MOMENTS; k++) {
                mean[s][k] += moment[k] / (double)n[s];
                square[s][k] += moment[k] * moment[k] / (double)n[s];
            }
        }
    for (int k = 0; k < MOMENTS; k++) {
        double variance = square[1][k] - mean[1][k] * mean[1][k];
        double error = sqrt(variance * (1 / (double)n[0] + 1 / (double)n[1]));
        worst = fmax(worst, fabs(mean[0][k] - mean[1][k]) / error);
    }
    return worst;
}

/* Every mistake shows on one of the two. */
static void test_invariant(void **state)
{
    (void)state;
    double worst[MISTAKES] = {0};
    for (int p = 0; p < PLANES; p++)
        for (int m = RIGHT; m < MISTAKES; m++) {
            fixture *f = fixture_new();
            tp_tensor *z = exact_draws(f, &planes[p], CHAINS);
            if (m == RIGHT)
                library_run(f, &planes[p], z);
            else
                plain_run(&planes[p], z, (mistake)m);
            worst[m] = fmax(worst[m], off(&planes[p], z, f));
            fixture_free(f);
        }
    assert_true(worst[RIGHT] < 4);
    for (int m = RIGHT + 1; m < MISTAKES; m++)
        assert_true(worst[m] > (SANITIZED ? 5 : 20));
}

/* --- energy: a wrong gradient leaves the density as it is, and the energy not ---------------------------------------------- */

/* The value of the banana with the gradient of its square root. */
static void other_gradient(void *user, tp_ctx *c, tp_var z, tp_var *part)
{
    banana_record(user, c, z, part);
    part[0] = tp_straight_through(part[0], tp_scale(part[0], 0.5));
}

/* 1 − acceptance of short steps over a way of length 0.6. */
static double refused(void (*record)(void *, tp_ctx *, tp_var, tp_var *), double step)
{
    fixture *f = fixture_new();
    tp_hmc h;
    tp_hmc_opts o = {.leapfrog = (int64_t)(0.6 / step + 0.5), .step = step, .key = KEY};
    assert_ok(tp_hmc_init(&h, f->tape, (tp_hmc_density){record, NULL, 1}, o,
                          exact_draws(f, &planes[1], 500)));
    assert_ok(tp_hmc_step(&h));
    double sum = 1 - 0.5 * (tp_flat(&h.accepted, 0) + tp_flat(&h.accepted, 1));
    tp_hmc_free(&h);
    fixture_free(f);
    return sum;
}

/* Half the step, a quarter of the error: leapfrog is of second order. */
static void test_order(void **state)
{
    (void)state;
    double right = refused(banana_record, 0.1) / refused(banana_record, 0.05);
    double wrong = refused(other_gradient, 0.1) / refused(other_gradient, 0.05);
    assert_true(right > 3.6 && right < 4.4);
    assert_true(wrong < 1.5);
}

/* --- two parts ------------------------------------------------------------------------------------------------------------ */

/* log N(z; 0, 1) and what is missing to log N(z; 2, e^−1), up to constants. */
static void two_parts(void *user, tp_ctx *c, tp_var z, tp_var *part)
{
    (void)user, (void)c;
    part[0] = tp_scale(tp_sum(tp_square(z), TP_AXES(-1), false), -0.5);
    tp_var narrow = tp_scale(tp_sum(tp_square(tp_shift(z, -2)), TP_AXES(-1), false), -0.5 * exp(1));
    part[1] = tp_sub(narrow, part[0]);
}

/* The same at a fixed β, as one. */
static void mixed(void *user, tp_ctx *c, tp_var z, tp_var *part)
{
    tp_var two[2];
    two_parts(NULL, c, z, two);
    part[0] = tp_add(two[0], tp_scale(two[1], *(const double *)user));
}

/* Weights may change between steps: values and gradients of the place where the chains are hold for the new ones. */
static void test_weights(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_hmc h, one;
    tp_tensor *z = fixture_draw(f, TP_F64, TP_SHAPE(7, BATCH, 2), 8, 1, 0);
    tp_hmc_opts o = {.leapfrog = 4, .step = 0.3, .key = KEY};
    assert_ok(tp_hmc_init(&h, f->tape, (tp_hmc_density){two_parts, NULL, 2}, o, z));
    for (int i = 0; i <= 5; i++) {
        double beta = i / 5.0;
        o.key.draw = (uint32_t)(2 * i);
        assert_ok(tp_hmc_init(&one, f->tape, (tp_hmc_density){mixed, &beta, 1}, o, &h.at.z));
        h.weight[1] = beta;
        assert_ok(tp_hmc_step(&h));
        assert_ok(tp_hmc_step(&one));
        assert_true(distance(&h.at.z, &one.at.z) < 1e-13);
        tp_hmc_free(&one);
    }
    tp_hmc_free(&h);
    fixture_free(f);
}

static int infinite; /* which part is −∞ */

static void infinite_part(void *user, tp_ctx *c, tp_var z, tp_var *part)
{
    tp_var *finite = &part[1 - infinite];
    gauss_record(user, c, z, finite);
    part[infinite] = tp_log(tp_mul(*finite, tp_full(c->tape, TP_F64, tp_shape_of(*finite), 0)));
}

/* A part without weight may be −∞. */
static void test_weightless(void **state)
{
    (void)state;
    for (infinite = 0; infinite < 2; infinite++) {
        fixture *f = fixture_new();
        tp_hmc h;
        tp_tensor *z = exact_draws(f, &planes[0], 50), *before = exact_draws(f, &planes[0], 50);
        assert_ok(tp_hmc_init(&h, f->tape, (tp_hmc_density){infinite_part, NULL, 2},
                              opts_of(&planes[0]), z));
        h.weight[infinite] = 0;
        assert_ok(tp_hmc_step(&h));
        assert_true(tp_flat(&h.accepted, 0) > 0.5);
        assert_false(same_values(&h.at.z, before));
        tp_hmc_free(&h);
        fixture_free(f);
    }
}

/* --- step sizes --------------------------------------------------------------------------------------------------------------- */

/* Example j is N(0, 100^j). */
static void two_widths(void *user, tp_ctx *c, tp_var z, tp_var *part)
{
    tp_var precision =
        tp_expand(tp_constant(c->tape, user), TP_SHAPE(tp_shape_of(z).dim[0], BATCH));
    part[0] = tp_scale(tp_mul(precision, tp_sum(tp_square(z), TP_AXES(-1), false)), -0.5);
}

static void test_adapt(void **state)
{
    (void)state;
    const double begin[] = {1e-4, 50}, precision[] = {1, 0.01};
    for (int b = 0; b < 2; b++) {
        fixture *f = fixture_new();
        tp_hmc h;
        tp_tensor *user = fixture_tensor(f, TP_F64, TP_SHAPE(BATCH), precision);
        tp_tensor *z = fixture_draw(f, TP_F64, TP_SHAPE(40, BATCH, 20), 8, 1, 0);
        tp_hmc_opts o = {.leapfrog = 3, .step = begin[b], .key = KEY};
        double accepted[BATCH] = {0}, step[BATCH] = {0};
        assert_ok(tp_hmc_init(&h, f->tape, (tp_hmc_density){two_widths, user, 1}, o, z));
        for (int i = 0; i < 300; i++) {
            assert_ok(tp_hmc_step(&h));
            tp_hmc_adapt(&h, 0.65);
            for (int j = 0; j < BATCH && i >= 200; j++) {
                accepted[j] += tp_flat(&h.accepted, j) / 100;
                step[j] += tp_flat(&h.step, j) / 100;
            }
        }
        for (int j = 0; j < BATCH; j++)
            assert_close(accepted[j], 0.65, 0.03, 0);
        assert_close(step[1] / step[0], 10, 0, 0.1);
        tp_hmc_free(&h);
        fixture_free(f);
    }
}

/* --- where there are no numbers ------------------------------------------------------------------------------------------------- */

/* Gamma(3, 1) in each dimension, which is NaN for negative z. */
static void gamma_record(void *user, tp_ctx *c, tp_var z, tp_var *part)
{
    (void)user, (void)c;
    part[0] = tp_sum(tp_sub(tp_scale(tp_log(z), 2), z), TP_AXES(-1), false);
}

static void test_no_number(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_hmc h;
    double sum = 0;
    int64_t seen = 0;
    tp_tensor *z = fixture_draw(f, TP_F64, TP_SHAPE(200, 1, 1), 8, 0, 3);
    tp_hmc_opts o = {.leapfrog = 4, .step = 0.9, .key = KEY};
    assert_ok(tp_hmc_init(&h, f->tape, (tp_hmc_density){gamma_record, NULL, 1}, o, z));
    for (int i = 0; i < 220; i++) {
        assert_ok(tp_hmc_step(&h));
        for (int64_t k = 0; k < 200 && i >= 20; k++, seen++)
            sum += tp_flat(&h.at.z, k);
    }
    assert_close(sum / (double)seen, 3, 0.06, 0);
    assert_ok(tp_fill(&h.step, 1e200));
    assert_ok(tp_copy(z, &h.at.z));
    assert_ok(tp_hmc_step(&h));
    assert_true(same_values(&h.at.z, z));
    assert_true(tp_flat(&h.accepted, 0) == 0);
    tp_hmc_free(&h);
    fixture_free(f);
}

/* --- draws and memory ------------------------------------------------------------------------------------------------------------- */

/* An example goes its way whatever else is in the batch. */
static void test_alone(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_tensor *both = exact_draws(f, &planes[1], 6), alone, view;
    tp_tensor *z = exact_draws(f, &planes[1], 6);
    library_run(f, &planes[1], both);
    for (int j = 0; j < BATCH; j++) {
        tp_hmc h;
        tp_hmc_opts o = opts_of(&planes[1]);
        o.number = &NUMBER[j];
        assert_ok(tp_view_slice(z, 1, j, j + 1, 1, &alone));
        assert_ok(tp_hmc_init(&h, f->tape, (tp_hmc_density){banana_record, NULL, 1}, o, &alone));
        for (int i = 0; i < STEPS; i++)
            assert_ok(tp_hmc_step(&h));
        assert_ok(tp_view_slice(both, 1, j, j + 1, 1, &view));
        assert_true(same_values(&h.at.z, &view));
        tp_hmc_free(&h);
    }
    fixture_free(f);
}

static void test_memory(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    tp_hmc h;
    assert_ok(tp_hmc_init(&h, f->tape, (tp_hmc_density){banana_record, NULL, 1},
                          opts_of(&planes[1]), exact_draws(f, &planes[1], 30)));
    assert_ok(tp_hmc_step(&h));
    size_t calls = tp_mem().calls, bytes = tp_mem().live_bytes;
    for (int i = 0; i < 500; i++)
        assert_ok(tp_hmc_step(&h));
    assert_true(tp_mem().calls == calls && tp_mem().live_bytes == bytes);
    tp_hmc_free(&h);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),      cmocka_unit_test(test_invariant),
        cmocka_unit_test(test_order),      cmocka_unit_test(test_weights),
        cmocka_unit_test(test_weightless), cmocka_unit_test(test_adapt),
        cmocka_unit_test(test_no_number),  cmocka_unit_test(test_alone),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
