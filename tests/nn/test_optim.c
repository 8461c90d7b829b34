/* test_optim.c: SGD and Adam: numbers by hand, which parameters move, what is refused, denormals.
 *
 * Whole training runs against PyTorch are tests/oracle/test_oracle_adam.c. Gradients are written here directly,
 * no tape is involved. Read next: test_update.c.
 */
#include "tests/support/check.h"

#include <math.h>
#include <string.h>

#include "nn/optim.h"
#include "tensor/mem.h"

/* Two parameters, a of three elements and b of one, with gradients set by hand. */
typedef struct fixture {
    tp_params ps;
    tp_parameter a, b;
    tp_optimizer o;
} fixture;

static void set_values(tp_tensor *t, double x, double y, double z)
{
    const double v[] = {x, y, z};
    for (int64_t i = 0; i < tp_numel(t); i++)
        assert_ok(tp_set_flat(t, i, v[i]));
}

static void set_grad(tp_parameter *p, double x, double y, double z)
{
    set_values(&p->grad, x, y, z);
    p->has_grad = true;
}

static void make(fixture *f, tp_dtype dtype)
{
    *f = (fixture){.ps = tp_params_make(dtype, 1)};
    assert_ok(tp_params_add(&f->ps, &f->a, "a", TP_SHAPE(3)));
    assert_ok(tp_params_add(&f->ps, &f->b, "b", TP_SHAPE(1)));
    set_values(&f->a.value, 1, -2, 0.5);
    set_values(&f->b.value, 4, 0, 0);
}

static void drop(fixture *f)
{
    tp_optimizer_free(&f->o);
    tp_params_free(&f->ps);
}

/* --- numbers ------------------------------------------------------------------------------------ */

static void test_sgd(void **state)
{
    (void)state;
    fixture f;
    make(&f, TP_F64);
    assert_ok(tp_sgd_init(&f.o, &f.ps, (tp_sgd_opts){.lr = 0.5}));
    set_grad(&f.a, 2, -4, 0);
    set_grad(&f.b, 8, 0, 0);
    assert_ok(tp_optimizer_step(&f.o));
    const double want_a[] = {0, 0, 0.5}, want_b[] = {0};
    assert_tensor_close(&f.a.value, want_a, 3, 0, 0);
    assert_tensor_close(&f.b.value, want_b, 1, 0, 0);
    assert_true(f.a.has_grad); /* gradients are kept */
    assert_close(tp_flat(&f.a.grad, 1), -4, 0, 0);
    assert_int_equal(f.o.step, 1);
    assert_null(f.o.moments[0].first.storage);
    drop(&f);
}

/* v: g, g + ½g = 1½g, then ½·1½g + g = 1¾g */
static void test_momentum(void **state)
{
    (void)state;
    fixture f;
    make(&f, TP_F64);
    assert_ok(tp_sgd_init(&f.o, &f.ps, (tp_sgd_opts){.lr = 0.25, .momentum = 0.5}));
    set_grad(&f.a, 4, 0, -8);
    const double want[3][3] = {{0, -2, 2.5}, {-1.5, -2, 5.5}, {-3.25, -2, 9}};
    for (int i = 0; i < 3; i++) {
        assert_ok(tp_optimizer_step(&f.o));
        assert_tensor_close(&f.a.value, want[i], 3, 0, 0);
    }
    drop(&f);
}

/* The paper's algorithm 1 in long double, with other gradients at each step. */
static void check_adam(tp_dtype dtype, tp_adam_opts opts, double rel)
{
    fixture f;
    make(&f, dtype);
    assert_ok(tp_adam_init(&f.o, &f.ps, opts));
    long double p[3] = {1, -2, 0.5L}, m[3] = {0}, v[3] = {0};
    for (int t = 1; t <= 20; t++) {
        const double g[] = {0.5 * t, (t % 3 - 1) * 1e-3, t % 2 ? -100 : 60};
        set_grad(&f.a, g[0], g[1], g[2]);
        assert_ok(tp_optimizer_step(&f.o));
        for (int i = 0; i < 3; i++) {
            long double gi = tp_flat(&f.a.grad, i);
            m[i] = opts.beta1 * m[i] + (1 - (long double)opts.beta1) * gi;
            v[i] = opts.beta2 * v[i] + (1 - (long double)opts.beta2) * gi * gi;
            long double mean = m[i] / (1 - powl(opts.beta1, t));
            long double root = sqrtl(v[i] / (1 - powl(opts.beta2, t)));
            p[i] -= opts.lr * mean / (root + opts.eps);
            assert_close(tp_flat(&f.a.value, i), (double)p[i], rel, rel);
        }
    }
    drop(&f);
}

static void test_adam(void **state)
{
    (void)state;
    check_adam(TP_F64, tp_adam_defaults(), 1e-14);
    check_adam(TP_F32, tp_adam_defaults(), 1e-6);
    check_adam(TP_F64, (tp_adam_opts){0.1, 0.5, 0.9, 1e-4}, 1e-13);
    check_adam(TP_F64, (tp_adam_opts){0.1, 0, 0, 1e-8}, 1e-13);
}

/* The first step moves every element by lr, whatever the size of its gradient. */
static void test_adam_first_step(void **state)
{
    (void)state;
    fixture f;
    make(&f, TP_F64);
    assert_ok(tp_adam_init(&f.o, &f.ps, tp_adam_defaults()));
    set_grad(&f.a, 1e3, -1e-3, 0);
    assert_ok(tp_optimizer_step(&f.o));
    const double want[] = {1 - 1e-3 * (1e3 / (1e3 + 1e-8)), -2 + 1e-3 * (1e-3 / (1e-3 + 1e-8)),
                           0.5};
    assert_tensor_close(&f.a.value, want, 3, 0, 1e-14);
    drop(&f);
}

static void test_defaults(void **state)
{
    (void)state;
    tp_adam_opts adam = tp_adam_defaults();
    tp_sgd_opts sgd = tp_sgd_defaults();
    assert_true(adam.lr == 1e-3 && adam.beta1 == 0.9 && adam.beta2 == 0.999 && adam.eps == 1e-8);
    assert_true(sgd.lr == 1e-2 && sgd.momentum == 0);
}

/* A schedule writes lr between steps; 0 stands still. */
static void test_lr_changes(void **state)
{
    (void)state;
    fixture f;
    make(&f, TP_F64);
    assert_ok(tp_sgd_init(&f.o, &f.ps, (tp_sgd_opts){.lr = 0}));
    set_grad(&f.b, 1, 0, 0);
    assert_ok(tp_optimizer_step(&f.o));
    assert_close(tp_flat(&f.b.value, 0), 4, 0, 0);
    f.o.lr = 2;
    assert_ok(tp_optimizer_step(&f.o));
    assert_close(tp_flat(&f.b.value, 0), 2, 0, 0);
    drop(&f);
}

/* --- who moves ---------------------------------------------------------------------------------- */

/* Without a gradient since zero_grad a parameter stays, and so do its moments: momentum does not push it. */
static void test_has_grad(void **state)
{
    (void)state;
    for (int adam = 0; adam < 2; adam++) {
        fixture f;
        make(&f, TP_F64);
        assert_ok(adam ? tp_adam_init(&f.o, &f.ps, tp_adam_defaults())
                       : tp_sgd_init(&f.o, &f.ps, (tp_sgd_opts){.lr = 0.1, .momentum = 0.9}));
        set_grad(&f.a, 1, 1, 1);
        set_grad(&f.b, 1, 0, 0);
        assert_ok(tp_optimizer_step(&f.o));
        double at = tp_flat(&f.a.value, 0), moment = tp_flat(&f.o.moments[0].first, 0);
        tp_params_zero_grad(&f.ps);
        set_grad(&f.b, 1, 0, 0);
        double b = tp_flat(&f.b.value, 0);
        assert_ok(tp_optimizer_step(&f.o));
        assert_close(tp_flat(&f.a.value, 0), at, 0, 0);
        assert_close(tp_flat(&f.o.moments[0].first, 0), moment, 0, 0);
        assert_true(tp_flat(&f.b.value, 0) < b);
        tp_params_zero_grad(&f.ps);
        assert_ok(tp_optimizer_step(&f.o)); /* nobody has one */
        drop(&f);
    }
}

static void test_frozen(void **state)
{
    (void)state;
    fixture f;
    make(&f, TP_F32);
    assert_ok(tp_adam_init(&f.o, &f.ps, tp_adam_defaults()));
    f.a.frozen = true;
    set_grad(&f.a, 1, NAN, 1); /* not looked at */
    set_grad(&f.b, 1, 0, 0);
    assert_ok(tp_optimizer_step(&f.o));
    const double want[] = {1, -2, 0.5};
    assert_tensor_close(&f.a.value, want, 3, 0, 0);
    assert_close(tp_flat(&f.o.moments[0].first, 0), 0, 0, 0);
    assert_true(tp_flat(&f.b.value, 0) < 4);
    drop(&f);
}

/* Parameters of no elements, and a list without any, are no special case. */
static void test_empty(void **state)
{
    (void)state;
    tp_params ps = tp_params_make(TP_F32, 1);
    tp_parameter none;
    tp_optimizer o;
    assert_ok(tp_adam_init(&o, &ps, tp_adam_defaults()));
    assert_ok(tp_optimizer_step(&o));
    tp_optimizer_free(&o);
    assert_ok(tp_params_add(&ps, &none, "none", TP_SHAPE(0, 3)));
    none.has_grad = true;
    assert_ok(tp_adam_init(&o, &ps, tp_adam_defaults()));
    assert_ok(tp_optimizer_step(&o));
    tp_optimizer_free(&o);
    tp_params_free(&ps);
}

/* --- what is refused ---------------------------------------------------------------------------- */

/* All or nothing: the bad gradient is in the second parameter, the first must not have moved. */
static void test_not_finite(void **state)
{
    (void)state;
    const double bad[] = {NAN, INFINITY, -INFINITY};
    for (int k = 0; k < 6; k++) {
        fixture f;
        make(&f, k < 3 ? TP_F32 : TP_F64);
        assert_ok(tp_adam_init(&f.o, &f.ps, tp_adam_defaults()));
        set_grad(&f.a, 1, 2, 3);
        set_grad(&f.b, bad[k % 3], 0, 0);
        assert_status(tp_optimizer_step(&f.o), TP_ENONFINITE);
        assert_message("gradient of parameter 'b' is not finite");
        const double want[] = {1, -2, 0.5}, zero[] = {0, 0, 0};
        assert_tensor_close(&f.a.value, want, 3, 0, 0);
        assert_tensor_close(&f.o.moments[0].first, zero, 3, 0, 0);
        assert_tensor_close(&f.o.moments[0].second, zero, 3, 0, 0);
        assert_int_equal(f.o.step, 0);
        set_grad(&f.b, 1, 0, 0); /* and it can go on */
        assert_ok(tp_optimizer_step(&f.o));
        drop(&f);
    }
}

/* Large but finite gradients pass, even if their sum or square would not. */
static void test_large_gradients(void **state)
{
    (void)state;
    fixture f;
    make(&f, TP_F32);
    assert_ok(tp_sgd_init(&f.o, &f.ps, (tp_sgd_opts){.lr = 0}));
    set_grad(&f.a, 3e38, 3e38, 3e38);
    assert_ok(tp_optimizer_step(&f.o));
    drop(&f);
}

static void test_options(void **state)
{
    (void)state;
    fixture f;
    make(&f, TP_F32);
    size_t before = tp_mem().live_bytes;
    const struct {
        tp_adam_opts opts;
        const char *message;
    } adam[] = {
        {{-1, 0.9, 0.999, 1e-8}, "E_ARG adam: lr is -1, expected a finite number >= 0"},
        {{INFINITY, 0.9, 0.999, 1e-8}, "E_ARG adam: lr is inf, expected a finite number >= 0"},
        {{NAN, 0.9, 0.999, 1e-8}, "E_ARG adam: lr is nan, expected"},
        {{1e-3, 1, 0.999, 1e-8}, "E_ARG adam: beta1 is 1, expected 0 <= x < 1"},
        {{1e-3, -0.1, 0.9, 1e-8}, "E_ARG adam: beta1 is -0.1, expected 0 <= x < 1"},
        {{1e-3, 0.9, 1.5, 1e-8}, "E_ARG adam: beta2 is 1.5, expected 0 <= x < 1"},
        {{1e-3, 0.9, NAN, 1e-8}, "E_ARG adam: beta2 is nan, expected 0 <= x < 1"},
        {{1e-3, 0.9, 0.999, -1}, "E_ARG adam: eps is -1, expected a finite number > 0"},
        {{.lr = 1e-3},
         "E_ARG adam: eps is 0, expected a finite number > 0: start from tp_adam_defaults()"},
        {{1e-3, 0.9, 0.999, 1e-8, -1},
         "E_ARG adam: weight_decay is -1, expected a finite number >= 0"},
    };
    for (size_t i = 0; i < sizeof adam / sizeof *adam; i++) {
        assert_status(tp_adam_init(&f.o, &f.ps, adam[i].opts), TP_EARG);
        assert_message(adam[i].message);
    }
    const struct {
        tp_sgd_opts opts;
        const char *message;
    } sgd[] = {
        {{-1}, "E_ARG sgd: lr is -1, expected a finite number >= 0"},
        {{NAN}, "E_ARG sgd: lr is nan, expected a finite number >= 0"},
        {{1, 1}, "E_ARG sgd: momentum is 1, expected 0 <= x < 1"},
        {{1, -0.5}, "E_ARG sgd: momentum is -0.5, expected 0 <= x < 1"},
        {{1, NAN}, "E_ARG sgd: momentum is nan, expected 0 <= x < 1"},
        {{1, 0.5, 2}, "E_ARG sgd: dampening is 2, expected 0 <= x < 1"},
        {{1, 0.5, 0, INFINITY}, "E_ARG sgd: weight_decay is inf, expected a finite number >= 0"},
        {{.lr = 1, .nesterov = true},
         "E_ARG sgd: nesterov with momentum 0 and dampening 0, expected momentum > 0 and dampening 0"},
        {{.lr = 1, .momentum = 0.5, .dampening = 0.5, .nesterov = true},
         "E_ARG sgd: nesterov with momentum 0.5 and dampening 0.5, expected"},
    };
    for (size_t i = 0; i < sizeof sgd / sizeof *sgd; i++) {
        assert_status(tp_sgd_init(&f.o, &f.ps, sgd[i].opts), TP_EARG);
        assert_message(sgd[i].message);
    }
    assert_int_equal(tp_mem().live_bytes, before);
    drop(&f);
}

/* --- denormals and memory ----------------------------------------------------------------------- */

static bool has_denormal(const tp_tensor *t)
{
    for (int64_t i = 0; i < tp_numel(t); i++) {
        double v = tp_flat(t, i);
        int kind = t->dtype == TP_F32 ? fpclassify((float)v) : fpclassify(v);
        if (kind == FP_SUBNORMAL)
            return true;
    }
    return false;
}

/* A parameter whose gradient dies out: moments decay through the denormal range without ever being in it,
 * and the values do not notice. */
static void test_denormals(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_F64; d++)
        for (int adam = 0; adam < 2; adam++) {
            fixture f;
            make(&f, (tp_dtype)d);
            assert_ok(adam ? tp_adam_init(&f.o, &f.ps, (tp_adam_opts){1e-3, 0.5, 0.6, 1e-8})
                           : tp_sgd_init(&f.o, &f.ps, (tp_sgd_opts){.lr = 0.1, .momentum = 0.5}));
            for (int t = 0; t < 3000; t++) {
                double g = t == 0 ? 1 : 0;
                set_grad(&f.a, g, 1e-3 * g, d == TP_F32 ? -1e-37 : -1e-307);
                assert_ok(tp_optimizer_step(&f.o));
                assert_false(has_denormal(&f.o.moments[0].first));
                assert_false(adam && has_denormal(&f.o.moments[0].second));
            }
            assert_close(tp_flat(&f.o.moments[0].first, 0), 0, 0, 0);
            assert_close(tp_flat(&f.a.value, 2), 0.5, 1e-20, 0);
            drop(&f);
        }
}

/* State is made at init; a step allocates nothing. Freeing gives everything back. */
static void test_memory(void **state)
{
    (void)state;
    fixture f;
    make(&f, TP_F32);
    size_t before = tp_mem().live_bytes;
    assert_ok(tp_adam_init(&f.o, &f.ps, tp_adam_defaults()));
    set_grad(&f.a, 1, 2, 3);
    size_t calls = tp_mem().calls;
    for (int i = 0; i < 10; i++)
        assert_ok(tp_optimizer_step(&f.o));
    assert_int_equal(tp_mem().calls, calls);
    tp_optimizer_free(&f.o);
    tp_optimizer_free(&f.o); /* twice is fine */
    assert_int_equal(tp_mem().live_bytes, before);
    drop(&f);
}

/* As in PyTorch, bias correction counts the updates of the parameter, not of the optimizer: a parameter
 * whose first gradient comes late makes a first step, of size lr. */
static void test_late_gradient(void **state)
{
    (void)state;
    fixture f;
    make(&f, TP_F64);
    assert_ok(tp_adam_init(&f.o, &f.ps, (tp_adam_opts){0.5, 0.9, 0.999, 1e-8}));
    set_grad(&f.a, 1, 1, 1);
    for (int i = 0; i < 10; i++)
        assert_ok(tp_optimizer_step(&f.o));
    set_grad(&f.b, 3, 0, 0);
    assert_ok(tp_optimizer_step(&f.o));
    assert_close(tp_flat(&f.b.value, 0), 4 - 0.5, 1e-8, 0);
    assert_int_equal(f.o.moments[0].step, 11);
    assert_int_equal(f.o.moments[1].step, 1);
    assert_int_equal(f.o.step, 11);
    drop(&f);
}

static void test_late_parameter(void **state)
{
    (void)state;
    fixture f;
    tp_parameter c;
    make(&f, TP_F64);
    assert_ok(tp_adam_init(&f.o, &f.ps, tp_adam_defaults()));
    assert_ok(tp_params_add(&f.ps, &c, "c", TP_SHAPE(1)));
    assert_status(tp_optimizer_step(&f.o), TP_EARG);
    assert_message("made for 2 parameters, now there are 3");
    drop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sgd),
        cmocka_unit_test(test_momentum),
        cmocka_unit_test(test_adam),
        cmocka_unit_test(test_adam_first_step),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_lr_changes),
        cmocka_unit_test(test_has_grad),
        cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_large_gradients),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_denormals),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_late_gradient),
        cmocka_unit_test(test_late_parameter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
