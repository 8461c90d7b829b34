/* test_named.c: optimizers and schedules as a command line has them: by name, their fields as numbers.
 *
 * What the fields do: test_optim.c, test_schedule.c. Read next: nn/optim/named.c.
 */
#include "tests/support/check.h"

#include <math.h>
#include <string.h>

#include "nn/optim.h"
#include "nn/schedule.h"
#include "tensor/mem.h"

/* --- optimizers --------------------------------------------------------------------------------- */

static tp_optim named(const char *name)
{
    tp_optim o;
    assert_ok(tp_optim_named(&o, name));
    return o;
}

static double option(const tp_optim *o, const char *name)
{
    double value = NAN;
    const char *at;
    for (int i = 0; (at = tp_optim_option(o, i, &value)) != NULL; i++)
        if (strcmp(at, name) == 0)
            return value;
    fail_msg("%s has no %s", tp_optim_rule_name(o), name);
    return NAN;
}

/* Each rule comes with the defaults of its own function. */
static void test_defaults(void **state)
{
    (void)state;
    static const char *const names[] = {"sgd", "adam", "adamw", "rmsprop", "adagrad"};
    for (int i = 0; i < 5; i++) {
        tp_optim o = named(names[i]);
        double lr;
        assert_string_equal(tp_optim_name(i), names[i]);
        assert_string_equal(tp_optim_rule_name(&o), names[i]);
        assert_string_equal(tp_optim_option(&o, 0, &lr), "lr");
        assert_ok(tp_optim_check(&o));
    }
    assert_null(tp_optim_name(5));
    assert_null(tp_optim_name(-1));
    tp_optim adam = named("adam"), adamw = named("adamw");
    assert_true(memcmp(&adam.opts.adam, &(tp_adam_opts){1e-3, 0.9, 0.999, 1e-8, 0, false},
                       offsetof(tp_adam_opts, amsgrad)) == 0);
    assert_close(option(&adam, "weight_decay"), 0, 0, 0);
    assert_close(option(&adamw, "weight_decay"), 1e-2, 0, 0);
    assert_null(tp_optim_option(&adam, 6, &(double){0}));
    assert_null(tp_optim_option(&adam, 8, &(double){0}));
    assert_null(tp_optim_option(&adam, -1, &(double){0}));
}

/* An option set by name is that field of the struct, and no other; bools, too. */
static void test_set(void **state)
{
    (void)state;
    tp_optim o = named("adam");
    tp_adam_opts want = tp_adam_defaults();
    want.beta1 = 0.99, want.eps = 1e-4, want.amsgrad = true;
    assert_ok(tp_optim_set(&o, "beta1", 0.99));
    assert_ok(tp_optim_set(&o, "eps", 1e-4));
    assert_ok(tp_optim_set(&o, "amsgrad", 1));
    const tp_adam_opts *a = &o.opts.adam;
    assert_true(a->lr == want.lr && a->beta1 == want.beta1 && a->beta2 == want.beta2 &&
                a->eps == want.eps && a->weight_decay == 0 && a->amsgrad);
    assert_ok(tp_optim_set(&o, "amsgrad", 0));
    assert_false(a->amsgrad);
    o = named("adagrad");
    assert_ok(tp_optim_set(&o, "initial_accumulator_value", 0.25));
    assert_close(o.opts.adagrad.initial_accumulator_value, 0.25, 0, 0);
    assert_close(option(&o, "initial_accumulator_value"), 0.25, 0, 0);
}

/* By name or by its function: the same optimizer, which makes the same step. */
static void test_init(void **state)
{
    (void)state;
    size_t live = tp_mem().live_bytes;
    for (int by_name = 0; by_name < 2; by_name++) {
        tp_params ps = tp_params_make(TP_F64, 1);
        tp_parameter p;
        tp_optimizer o;
        assert_ok(tp_params_add(&ps, &p, "p", TP_SHAPE(1)));
        assert_ok(tp_fill(&p.grad, 2));
        p.has_grad = true;
        tp_optim as = named("adagrad");
        assert_ok(tp_optim_set(&as, "lr", 0.5));
        assert_ok(tp_optim_set(&as, "initial_accumulator_value", 5));
        if (by_name)
            assert_ok(tp_optimizer_init(&o, &ps, &as));
        else
            assert_ok(tp_adagrad_init(&o, &ps, as.opts.adagrad));
        assert_string_equal(tp_optimizer_name(&o), "adagrad");
        assert_ok(tp_optimizer_step(&o)); /* s = 5 + 2² */
        assert_close(tp_flat(&p.value, 0), -0.5 * 2 / (3 + 1e-10), 0, 1e-15);
        tp_optimizer_free(&o);
        tp_params_free(&ps);
    }
    assert_int_equal(tp_mem().live_bytes, live);
}

static void test_optim_refused(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *option;
        double value;
        const char *message;
    } cases[] = {
        {"adam", "beta3", 1,
         "E_ARG adam has no option 'beta3', only: lr, beta1, beta2, eps, weight_decay, amsgrad"},
        {"sgd", "", 1,
         "sgd has no option '', only: lr, momentum, dampening, weight_decay, nesterov"},
        {"adam", "beta1", 1, "E_ARG adam: beta1 is 1, expected 0 <= x < 1"},
        {"adam", "eps", 0, "E_ARG adam: eps is 0, expected a finite number > 0"},
        {"adam", "lr", NAN, "adam: lr is nan, expected a finite number >= 0"},
        {"adam", "amsgrad", 0.5, "adam: amsgrad is 0.5, expected 0 or 1"},
        {"rmsprop", "centered", -1, "rmsprop: centered is -1, expected 0 or 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tp_optim o = named(cases[i].rule), before = o;
        assert_status(tp_optim_set(&o, cases[i].option, cases[i].value), TP_EARG);
        assert_message(cases[i].message);
        assert_memory_equal(&o, &before, sizeof o);
    }
    tp_optim o = {0};
    assert_status(tp_optim_named(&o, "adma"), TP_EARG);
    assert_message("there is no optimizer 'adma', only: sgd, adam, adamw, rmsprop, adagrad");
    assert_null(o.rule);
    o = named("sgd"); /* each is fine by itself */
    assert_ok(tp_optim_set(&o, "nesterov", 1));
    assert_status(tp_optim_check(&o), TP_EARG);
    assert_message("sgd: nesterov with momentum 0 and dampening 0, expected momentum > 0");
    assert_ok(tp_optim_set(&o, "momentum", 0.9));
    assert_ok(tp_optim_check(&o));
}

/* --- schedules ---------------------------------------------------------------------------------- */

static tp_schedule schedule(const char *name)
{
    tp_schedule s;
    assert_ok(tp_schedule_named(&s, name));
    assert_string_equal(tp_schedule_name((int)s.kind), name);
    return s;
}

static double rate_at(const tp_schedule *s, uint64_t t)
{
    double lr = NAN;
    assert_ok(tp_schedule_lr(s, t, &lr));
    return lr;
}

/* Every field that a kind has can be set, read back, and is what its formula needs. */
static void test_fields(void **state)
{
    (void)state;
    for (int kind = 0; kind < TP_SCHEDULE_COUNT; kind++) {
        tp_schedule s = schedule(tp_schedule_name(kind));
        const char *name;
        double values[TP_MILESTONES] = {0}, three = 3;
        int n, fields = 0;
        for (; (name = tp_schedule_field(&s, fields, &n, values)) != NULL; fields++) {
            assert_true(fields > 0 || strcmp(name, "lr") == 0);
            assert_true(fields == 0 || strstr(tp_schedule_formula(kind), name) != NULL);
            assert_ok(tp_schedule_set(&s, name, 1, &three));
            assert_string_equal(tp_schedule_field(&s, fields, &n, values), name);
            assert_true(n == 1 && values[0] == 3);
        }
        assert_true(fields == 1 || kind != TP_LR_constant);
        assert_ok(tp_schedule_check(&s));
        assert_null(tp_schedule_field(&s, -1, &n, values));
    }
}

/* The rates of Burda, Grosse and Salakhutdinov: 3^i epochs at 0.001·10^(−i/7). */
static void test_milestones(void **state)
{
    (void)state;
    tp_schedule s = schedule("multistep");
    double lr = 1e-3, gamma = pow(10, -1.0 / 7), milestones[7] = {1}, got[TP_MILESTONES];
    int n;
    for (int i = 1; i < 7; i++)
        milestones[i] = 3 * milestones[i - 1] + 1;
    assert_ok(tp_schedule_set(&s, "lr", 1, &lr));
    assert_ok(tp_schedule_set(&s, "gamma", 1, &gamma));
    assert_status(tp_schedule_check(&s), TP_EARG);
    assert_message("schedule multistep: expected milestones and gamma > 0");
    assert_ok(tp_schedule_set(&s, "milestones", 7, milestones));
    assert_ok(tp_schedule_check(&s));
    assert_string_equal(tp_schedule_field(&s, 2, &n, got), "milestones");
    assert_int_equal(n, 7);
    assert_memory_equal(got, milestones, sizeof milestones);
    assert_close(rate_at(&s, 0), 1e-3, 0, 1e-15);
    assert_close(rate_at(&s, 3), 1e-3 * gamma, 0, 1e-14);
    assert_close(rate_at(&s, 4), 1e-3 * gamma * gamma, 0, 1e-14);
    assert_close(rate_at(&s, 3279), 1e-4, 0, 1e-14);
    assert_ok(tp_schedule_set(&s, "milestones", 1, milestones)); /* instead of the others */
    assert_close(rate_at(&s, 3279), 1e-3 * gamma, 0, 1e-14);
}

static void test_schedule_refused(void **state)
{
    (void)state;
    static const double many[TP_MILESTONES + 1] = {1};
    static const struct {
        const char *kind, *field;
        int n;
        double value;
        const char *message;
    } cases[] = {
        {"step", "eta_min", 1, 1,
         "E_ARG schedule step has no 'eta_min', only: lr, gamma, step_size"},
        {"constant", "gamma", 1, 1, "E_ARG schedule constant has no 'gamma', only: lr"},
        {"cosine", "t", 1, 1, "schedule cosine has no 't', only: lr, t_max, eta_min"},
        {"step", "step_size", 1, 2.5,
         "schedule step: step_size is 2.5, expected a whole number >= 0"},
        {"step", "step_size", 1, -1,
         "schedule step: step_size is -1, expected a whole number >= 0"},
        {"step", "step_size", 1, 1e300,
         "schedule step: step_size is 1e+300, expected a whole number"},
        {"step", "gamma", 1, NAN, "schedule step: gamma is nan, expected a finite number >= 0"},
        {"step", "gamma", 2, 1, "schedule step: 2 values of gamma, expected 1"},
        {"multistep", "milestones", TP_MILESTONES + 1, 1,
         "schedule multistep: 17 values of milestones, expected 1 to 16"},
        {"multistep", "milestones", 0, 1, "schedule multistep: 0 values of milestones"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tp_schedule s = schedule(cases[i].kind), before = s;
        const double *values = cases[i].n > 2 ? many : &cases[i].value;
        assert_status(tp_schedule_set(&s, cases[i].field, cases[i].n, values), TP_EARG);
        assert_message(cases[i].message);
        assert_memory_equal(&s, &before, sizeof s);
    }
    tp_schedule s = {0}, zero = s;
    assert_status(tp_schedule_named(&s, "warmup"), TP_EARG);
    assert_message("there is no schedule 'warmup', only: constant, step, multistep, exponential");
    assert_memory_equal(&s, &zero, sizeof s);
    s.kind = TP_SCHEDULE_COUNT;
    assert_status(tp_schedule_check(&s), TP_EARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_optim_refused),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_milestones),
        cmocka_unit_test(test_schedule_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
