/* test_schedule.c: schedules are functions of the step, what they refuse; and clipping: what it leaves alone, bits on
 * any number of threads, numbers near the edge of a type.
 *
 * PyTorch's numbers are tests/oracle/test_oracle_schedule.c and test_oracle_optim.c. Read next: test_optim_resume.c.
 */
#include "tests/support/check.h"

#include <math.h>
#include <string.h>

#include "nn/clip.h"
#include "nn/schedule.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"
#include "tensor/rng.h"

/* --- schedules ---------------------------------------------------------------------------------- */

static double rate_at(const tp_schedule *s, uint64_t t)
{
    double lr = NAN;
    assert_ok(tp_schedule_lr(s, t, &lr));
    return lr;
}

static void test_defaults(void **state)
{
    (void)state;
    tp_schedule s = tp_schedule_defaults();
    assert_true(s.kind == TP_LR_constant && s.gamma == 0.1 && s.eta_min == 0 && s.then == NULL);
    assert_true(s.start_factor == 1.0 / 3 && s.end_factor == 1 && s.total_iters == 5);
    s.lr = 0.25;
    assert_close(rate_at(&s, 0), 0.25, 0, 0);
    assert_close(rate_at(&s, UINT64_MAX), 0.25, 0, 0);
}

/* Any order of asking gives the same. One that names itself is a restart. */
static void test_restarts(void **state)
{
    (void)state;
    tp_schedule s = tp_schedule_defaults();
    s.kind = TP_LR_cosine, s.lr = 0.5, s.t_max = s.until = 7, s.then = &s;
    for (uint64_t t = 100; t-- > 0;)
        assert_close(rate_at(&s, t), rate_at(&s, t % 7), 0, 0);
    assert_close(rate_at(&s, 70), 0.5, 0, 0);
    assert_true(rate_at(&s, 69) < 0.05);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(tp_schedule_name(TP_LR_cosine), "cosine");
    assert_non_null(strstr(tp_schedule_formula(TP_LR_step), "step_size"));
    assert_null(tp_schedule_name(TP_SCHEDULE_COUNT));
    assert_null(tp_schedule_name(-1));
    assert_null(tp_schedule_formula(TP_SCHEDULE_COUNT));
}

static void test_refused(void **state)
{
    (void)state;
    tp_schedule bad = tp_schedule_defaults(), good = bad;
    good.lr = 1;
    const struct {
        tp_schedule s;
        const char *message;
    } cases[] = {
        {{.kind = TP_LR_constant},
         "E_ARG schedule constant: lr is 0, expected a finite number > 0"},
        {{.kind = TP_LR_cosine, .lr = NAN, .t_max = 3},
         "E_ARG schedule cosine: lr is nan, expected"},
        {{.kind = TP_LR_cosine, .lr = 1},
         "E_ARG schedule cosine: expected t_max > 0 and eta_min >= 0, got t_max 0, eta_min 0: start "
         "from tp_schedule_defaults()"},
        {{.kind = TP_LR_step, .lr = 1, .gamma = 0.1},
         "E_ARG schedule step: expected step_size > 0 and gamma > 0, got gamma 0.1, step_size 0"},
        {{.kind = TP_LR_step, .lr = 1, .step_size = 3}, "expected step_size > 0 and gamma > 0"},
        {{.kind = TP_LR_multistep, .lr = 1, .gamma = 0.1},
         "E_ARG schedule multistep: expected milestones and gamma > 0, got gamma 0.1, 0 milestones"},
        {{.kind = TP_LR_exponential, .lr = 1, .gamma = -1},
         "E_ARG schedule exponential: expected gamma > 0"},
        {{.kind = TP_LR_linear, .lr = 1, .total_iters = 5, .end_factor = 1},
         "E_ARG schedule linear: expected total_iters > 0, start_factor > 0 and end_factor >= 0"},
        {{.kind = TP_LR_constant, .lr = 1, .then = &good},
         "E_ARG schedule: until is 0, expected the step at which 'then' takes over"},
        {{.kind = TP_SCHEDULE_COUNT, .lr = 1}, "E_ARG schedule: there is no kind 6"},
        {{.kind = TP_LR_exponential, .lr = 1, .gamma = 1e300},
         "E_ARG schedule exponential: lr is inf at step 9"},
        {{.kind = TP_LR_constant, .lr = 1, .then = &bad, .until = 9},
         "E_ARG schedule constant: lr is 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double lr = 7;
        assert_status(tp_schedule_lr(&cases[i].s, 9, &lr), TP_EARG);
        assert_message(cases[i].message);
        assert_close(lr, 7, 0, 0);
    }
    /* What is not in force yet is not looked at. */
    assert_close(rate_at(&cases[11].s, 8), 1, 0, 0);
}

/* --- clipping ----------------------------------------------------------------------------------- */

enum { PARAMS = 4 };

typedef struct fixture {
    tp_params ps;
    tp_parameter p[PARAMS];
} fixture;

/* Gradients of 1, 5000, 0 and 300 elements. */
static void make(fixture *f, tp_dtype dtype)
{
    static const int64_t sizes[PARAMS] = {1, 5000, 0, 300};
    static const char *const names[PARAMS] = {"a", "b", "c", "d"};
    *f = (fixture){.ps = tp_params_make(dtype, 1)};
    for (int i = 0; i < PARAMS; i++) {
        assert_ok(tp_params_add(&f->ps, &f->p[i], names[i], TP_SHAPE(sizes[i])));
        assert_ok(tp_random_normal(&f->p[i].grad, (tp_rng_key){.seed = 5, .draw = (uint32_t)i}));
        f->p[i].has_grad = true;
    }
}

static double true_norm(const fixture *f)
{
    long double sum = 0;
    for (int i = 0; i < PARAMS; i++)
        for (int64_t k = 0; k < tp_numel(&f->p[i].grad) && f->p[i].has_grad && !f->p[i].frozen; k++)
            sum += (long double)tp_flat(&f->p[i].grad, k) * tp_flat(&f->p[i].grad, k);
    return (double)sqrtl(sum);
}

static void test_norm(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_F64; d++) {
        fixture f;
        double norm, eps = d == TP_F32 ? 1e-6 : 1e-14;
        make(&f, (tp_dtype)d);
        double want = true_norm(&f), element = tp_flat(&f.p[1].grad, 77);
        assert_ok(tp_clip_grad_norm(&f.ps, INFINITY, &norm)); /* only measures */
        assert_close(norm, want, 0, 1e-14);
        assert_close(tp_flat(&f.p[1].grad, 77), element, 0, 0);
        assert_ok(tp_clip_grad_norm(&f.ps, 2, &norm));
        assert_close(norm, want, 0, 1e-14); /* the one before */
        assert_close(true_norm(&f), 2, 0, 1e-6);
        assert_close(tp_flat(&f.p[1].grad, 77), element * 2 / (want + 1e-6), 0, eps);
        assert_ok(tp_clip_grad_norm(&f.ps, 3, NULL)); /* nothing to do */
        assert_close(true_norm(&f), 2, 0, 1e-6);
        tp_params_free(&f.ps);
    }
}

/* Who is frozen or has no gradient counts for nothing and is left alone, NaN or not. */
static void test_left_alone(void **state)
{
    (void)state;
    fixture f;
    double norm;
    make(&f, TP_F64);
    f.p[0].frozen = true;
    f.p[3].has_grad = false;
    assert_ok(tp_fill(&f.p[0].grad, NAN));
    double want = true_norm(&f), element = tp_flat(&f.p[3].grad, 5);
    assert_ok(tp_clip_grad_norm(&f.ps, 1, &norm));
    assert_close(norm, want, 0, 1e-14);
    assert_ok(tp_clip_grad_value(&f.ps, 1e-5));
    assert_close(tp_flat(&f.p[3].grad, 5), element, 0, 0);
    assert_true(isnan(tp_flat(&f.p[0].grad, 0)));
    assert_close(fabs(tp_flat(&f.p[1].grad, 5)), 1e-5, 0, 0);
    tp_params_zero_grad(&f.ps);
    assert_ok(tp_clip_grad_norm(&f.ps, 1, &norm)); /* nobody has one */
    assert_close(norm, 0, 0, 0);
    tp_params_free(&f.ps);
}

static void test_not_finite(void **state)
{
    (void)state;
    const double bad[] = {NAN, INFINITY, -INFINITY};
    for (int k = 0; k < 12; k++) {
        fixture f;
        double norm = 7;
        make(&f, k % 2 ? TP_F64 : TP_F32);
        double first = tp_flat(&f.p[0].grad, 0);
        assert_ok(tp_set_flat(&f.p[1].grad, 4999, bad[k / 2 % 3]));
        assert_ok(tp_set_flat(&f.p[3].grad, 0, NAN)); /* a later one is not named */
        assert_status(k < 6 ? tp_clip_grad_norm(&f.ps, 1e-3, &norm)
                            : tp_clip_grad_value(&f.ps, 1e-3),
                      TP_ENONFINITE);
        assert_message("E_NONFINITE the gradient of parameter 'b' is not finite");
        assert_close(tp_flat(&f.p[0].grad, 0), first, 0, 0);
        assert_close(norm, 7, 0, 0);
        tp_params_free(&f.ps);
    }
    fixture f;
    make(&f, TP_F64);
    const double bounds[] = {0, -1, NAN};
    for (int i = 0; i < 3; i++) {
        assert_status(tp_clip_grad_norm(&f.ps, bounds[i], NULL), TP_EARG);
        assert_message("E_ARG clip_grad_norm: max_norm is ");
        assert_message(", expected a number > 0");
        assert_status(tp_clip_grad_value(&f.ps, bounds[i]), TP_EARG);
        assert_message("E_ARG clip_grad_value: clip_value is ");
    }
    tp_params_free(&f.ps);
}

/* Squares of large gradients would overflow: in f32 those of 3e38, in f64 those of 1e300. */
static void test_large(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_F64; d++) {
        fixture f;
        double size = d == TP_F32 ? 3e38 : 1e300, norm;
        make(&f, (tp_dtype)d);
        for (int i = 0; i < PARAMS; i++)
            assert_ok(tp_fill(&f.p[i].grad, size));
        assert_ok(tp_clip_grad_norm(&f.ps, 1, &norm));
        assert_close(norm, size * sqrt(5301), 0, 1e-6);
        assert_close(true_norm(&f), 1, 0, d == TP_F32 ? 1e-4 : 1e-6); /* the factor is denormal */
        tp_params_free(&f.ps);
    }
}

static void test_threads(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_F64; d++) {
        fixture one;
        double norm;
        make(&one, (tp_dtype)d);
        assert_ok(tp_clip_grad_norm(&one.ps, 2, &norm));
        for (int threads = 2; threads <= 4; threads++) {
            fixture many;
            double again;
            make(&many, (tp_dtype)d);
            assert_ok(tp_set_threads(threads));
            size_t calls = tp_mem().calls;
            assert_ok(tp_clip_grad_norm(&many.ps, 2, &again));
            assert_int_equal(tp_mem().calls, calls); /* and it allocates nothing */
            assert_ok(tp_set_threads(1));
            assert_true(norm == again);
            for (int i = 0; i < PARAMS; i++)
                assert_true(equal_bits(&one.p[i].grad, &many.p[i].grad));
            tp_params_free(&many.ps);
        }
        tp_params_free(&one.ps);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),   cmocka_unit_test(test_restarts),
        cmocka_unit_test(test_names),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_norm),       cmocka_unit_test(test_left_alone),
        cmocka_unit_test(test_not_finite), cmocka_unit_test(test_large),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
