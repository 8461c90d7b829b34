/* test_optim_rules.c: what holds for every rule of optim.def: names, defaults, refusals, denormals, standing still.
 *
 * Numbers are tests/oracle/test_oracle_optim.c; SGD and Adam have more in test_optim.c. Read next: test_schedule.c.
 */
#include "tests/support/check.h"

#include <math.h>
#include <string.h>

#include "nn/optim/rule.h"
#include "tensor/mem.h"
#include "tensor/scan.h"

/* One parameter of three elements. */
typedef struct fixture {
    tp_params ps;
    tp_parameter a;
    tp_optimizer o;
} fixture;

static void make(fixture *f, tp_dtype dtype)
{
    *f = (fixture){.ps = tp_params_make(dtype, 1)};
    assert_ok(tp_params_add(&f->ps, &f->a, "a", TP_SHAPE(3)));
    assert_ok(tp_fill(&f->a.value, 0.5));
}

static void drop(fixture *f)
{
    tp_optimizer_free(&f->o);
    tp_params_free(&f->ps);
}

static void set_grad(tp_parameter *p, double x, double y, double z)
{
    const double v[] = {x, y, z};
    for (int i = 0; i < 3; i++)
        assert_ok(tp_set_flat(&p->grad, i, v[i]));
    p->has_grad = true;
}

enum { FORMS = 9 };

/* Every rule, and every state that one may have. */
static void init(fixture *f, int form)
{
    tp_sgd_opts sgd = {.lr = 0.1, .momentum = 0.5, .nesterov = true};
    tp_adam_opts adam = tp_adam_defaults(), adamw = tp_adamw_defaults();
    tp_rmsprop_opts rmsprop = tp_rmsprop_defaults();
    adam.amsgrad = form == 3;
    adam.beta1 = adamw.beta1 = 0.5, adam.beta2 = adamw.beta2 = 0.6;
    rmsprop.alpha = 0.6;
    rmsprop.momentum = form == 6 || form == 7 ? 0.5 : 0;
    rmsprop.centered = form == 7;
    assert_ok(form == 0   ? tp_sgd_init(&f->o, &f->ps, tp_sgd_defaults())
              : form == 1 ? tp_sgd_init(&f->o, &f->ps, sgd)
              : form <= 3 ? tp_adam_init(&f->o, &f->ps, adam)
              : form == 4 ? tp_adamw_init(&f->o, &f->ps, adamw)
              : form <= 7 ? tp_rmsprop_init(&f->o, &f->ps, rmsprop)
                          : tp_adagrad_init(&f->o, &f->ps, tp_adagrad_defaults()));
}

static void test_names(void **state)
{
    (void)state;
    static const tp_optim_rule *const rules[] = {
#define TP_OPTIM(name) &tp_optim_##name,
#include "nn/optim.def"
#undef TP_OPTIM
    };
    bool seen[sizeof rules / sizeof *rules] = {false};
    for (int form = 0; form < FORMS; form++) {
        fixture f;
        char kind[TP_OPTIMIZER_KIND];
        make(&f, TP_F32);
        init(&f, form);
        for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
            seen[i] = seen[i] || f.o.rule == rules[i];
        tp_optimizer_kind(&f.o, kind);
        assert_memory_equal(kind, tp_optimizer_name(&f.o), strlen(tp_optimizer_name(&f.o)));
        assert_non_null(strstr(tp_optimizer_formula(&f.o), "p ← "));
        for (const tp_option *p = f.o.rule->option; p->name != NULL; p++)
            if (p->range != TP_SWITCH && strcmp(p->name, "momentum") != 0)
                assert_non_null(
                    strstr(tp_optimizer_formula(&f.o), p->name)); /* no option is left out */
        drop(&f);
    }
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        assert_true(seen[i]); /* a new row of optim.def needs a form */
}

/* Options that need other state, or another kernel, are not those of this optimizer. */
static void test_other_kind(void **state)
{
    (void)state;
    fixture f;
    double values[TP_MAX_OPTIONS];
    make(&f, TP_F32);
    assert_ok(tp_adam_init(&f.o, &f.ps, tp_adam_defaults()));
    assert_int_equal(tp_optimizer_get(&f.o, values), 6);
    values[0] = 0.5;
    assert_ok(tp_optimizer_set(&f.o, values));
    values[0] = 0.25, values[5] = 1; /* amsgrad */
    assert_status(tp_optimizer_set(&f.o, values), TP_EARG);
    assert_message("adam: the options are those of another kind");
    assert_true(f.o.lr == 0.5 && !f.o.opts.adam.amsgrad);
    drop(&f);
}

/* torch.optim's. */
static void test_defaults(void **state)
{
    (void)state;
    tp_sgd_opts s = tp_sgd_defaults();
    tp_adam_opts a = tp_adam_defaults(), w = tp_adamw_defaults();
    tp_rmsprop_opts r = tp_rmsprop_defaults();
    tp_adagrad_opts g = tp_adagrad_defaults();
    assert_true(s.momentum == 0 && s.dampening == 0 && s.weight_decay == 0 && !s.nesterov);
    assert_true(a.weight_decay == 0 && !a.amsgrad);
    assert_true(w.lr == 1e-3 && w.beta1 == 0.9 && w.beta2 == 0.999 && w.eps == 1e-8 &&
                w.weight_decay == 1e-2 && !w.amsgrad);
    assert_true(r.lr == 1e-2 && r.alpha == 0.99 && r.eps == 1e-8 && r.weight_decay == 0 &&
                r.momentum == 0 && !r.centered);
    assert_true(g.lr == 1e-2 && g.lr_decay == 0 && g.weight_decay == 0 &&
                g.initial_accumulator_value == 0 && g.eps == 1e-10);
}

static void test_options(void **state)
{
    (void)state;
    fixture f;
    make(&f, TP_F64);
    size_t before = tp_mem().live_bytes;
    tp_adam_opts w = tp_adamw_defaults();
    tp_rmsprop_opts r = tp_rmsprop_defaults();
    tp_adagrad_opts g = tp_adagrad_defaults();
    w.weight_decay = -1;
    assert_status(tp_adamw_init(&f.o, &f.ps, w), TP_EARG);
    assert_message("E_ARG adamw: weight_decay is -1, expected a finite number >= 0");
    assert_status(tp_adamw_init(&f.o, &f.ps, (tp_adam_opts){.lr = 1}), TP_EARG);
    assert_message("E_ARG adamw: eps is 0, expected a finite number > 0: start from "
                   "tp_adamw_defaults()");
    r.alpha = 1;
    assert_status(tp_rmsprop_init(&f.o, &f.ps, r), TP_EARG);
    assert_message("E_ARG rmsprop: alpha is 1, expected 0 <= x < 1");
    r = tp_rmsprop_defaults(), r.momentum = 1;
    assert_status(tp_rmsprop_init(&f.o, &f.ps, r), TP_EARG);
    assert_message("E_ARG rmsprop: momentum is 1, expected 0 <= x < 1");
    g.lr_decay = NAN;
    assert_status(tp_adagrad_init(&f.o, &f.ps, g), TP_EARG);
    assert_message("E_ARG adagrad: lr_decay is nan, expected a finite number >= 0");
    g = tp_adagrad_defaults(), g.initial_accumulator_value = -1;
    assert_status(tp_adagrad_init(&f.o, &f.ps, g), TP_EARG);
    assert_message("E_ARG adagrad: initial_accumulator_value is -1, expected a finite number >= 0");
    assert_int_equal(tp_mem().live_bytes, before);
    drop(&f);
}

/* Options that were changed since are looked at before each step. */
static void test_changed_options(void **state)
{
    (void)state;
    fixture f;
    make(&f, TP_F64);
    init(&f, 4);
    set_grad(&f.a, 1, 2, 3);
    f.o.lr = NAN;
    assert_status(tp_optimizer_step(&f.o), TP_EARG);
    assert_message("E_ARG adamw: lr is nan, expected a finite number >= 0");
    assert_close(tp_flat(&f.a.value, 0), 0.5, 0, 0);
    assert_int_equal(f.o.step, 0);
    f.o.lr = 0.1;
    assert_ok(tp_optimizer_step(&f.o));
    drop(&f);
}

/* --- what a step does ----------------------------------------------------------------------------- */

static bool has_denormal(const tp_tensor *t)
{
    for (int64_t i = 0; t->storage != NULL && i < tp_numel(t); i++) {
        double v = tp_flat(t, i);
        if ((t->dtype == TP_F32 ? fpclassify((float)v) : fpclassify(v)) == FP_SUBNORMAL)
            return true;
    }
    return false;
}

/* A gradient that dies out, and one whose square no number of the type holds: no state is ever denormal. */
static void test_denormals(void **state)
{
    (void)state;
    for (int d = TP_F32; d <= TP_F64; d++)
        for (int form = 0; form < FORMS; form++) {
            fixture f;
            make(&f, (tp_dtype)d);
            init(&f, form);
            for (int t = 0; t < 2500; t++) {
                double g = t == 0 ? 1 : 0;
                set_grad(&f.a, g, 1e-3 * g, d == TP_F32 ? -1e-20 : -1e-155);
                assert_ok(tp_optimizer_step(&f.o));
                for (int k = 0; k < TP_MAX_STATES; k++)
                    assert_false(has_denormal(tp_moment(&f.o.moments[0], k)));
            }
            assert_true(tp_all_finite(&f.a.value));
            drop(&f);
        }
}

/* The variance of a gradient that never changes: rounding makes s − a² negative, whose root PyTorch takes. */
static void test_no_variance(void **state)
{
    (void)state;
    bool negative = false;
    for (int d = TP_F32; d <= TP_F64; d++) {
        fixture f;
        make(&f, (tp_dtype)d);
        init(&f, 7);
        for (int t = 0; t < 200; t++) {
            set_grad(&f.a, 0.1, -0.7, 1e-3);
            assert_ok(tp_optimizer_step(&f.o));
            for (int i = 0; i < 3; i++) {
                double s = tp_flat(&f.o.moments[0].first, i),
                       a = tp_flat(&f.o.moments[0].second, i);
                negative = negative || s - a * a < 0;
            }
            assert_true(tp_all_finite(&f.a.value));
        }
        drop(&f);
    }
    assert_true(negative); /* else nothing was tested */
}

/* No gradient at all: not even weight decay moves a parameter, and no state is touched; a zero one is something else. */
static void test_no_gradient(void **state)
{
    (void)state;
    for (int form = 0; form < FORMS; form++) {
        fixture f;
        make(&f, TP_F64);
        init(&f, form);
        set_grad(&f.a, 1, -2, 0.25);
        assert_ok(tp_optimizer_step(&f.o));
        tp_tensor before[1 + TP_MAX_STATES] = {0};
        assert_ok(tp_clone(&before[0], &f.a.value));
        for (int k = 0; k < tp_optimizer_states(&f.o); k++)
            assert_ok(tp_clone(&before[1 + k], tp_moment(&f.o.moments[0], k)));
        tp_params_zero_grad(&f.ps);
        assert_ok(tp_optimizer_step(&f.o));
        assert_true(equal_bits(&before[0], &f.a.value));
        for (int k = 0; k < tp_optimizer_states(&f.o); k++)
            assert_true(equal_bits(&before[1 + k], tp_moment(&f.o.moments[0], k)));
        assert_int_equal(f.o.moments[0].step, 1);
        set_grad(&f.a, 0, 0, 0);
        assert_ok(tp_optimizer_step(&f.o));
        bool rests = form == 0 || form == 5 || form == 8; /* what has neither momentum nor decay */
        assert_true(equal_bits(&before[0], &f.a.value) == rests);
        for (int k = 0; k < 1 + TP_MAX_STATES; k++)
            tp_tensor_free(&before[k]);
        drop(&f);
    }
}

/* State is made at init; a step allocates nothing. Freeing gives everything back. */
static void test_memory(void **state)
{
    (void)state;
    for (int form = 0; form < FORMS; form++) {
        fixture f;
        make(&f, TP_F32);
        size_t before = tp_mem().live_bytes;
        init(&f, form);
        set_grad(&f.a, 1, 2, 3);
        size_t calls = tp_mem().calls;
        for (int i = 0; i < 3; i++)
            assert_ok(tp_optimizer_step(&f.o));
        assert_int_equal(tp_mem().calls, calls);
        for (int k = 0; k < TP_MAX_STATES; k++)
            assert_true((tp_moment(&f.o.moments[0], k)->storage != NULL) ==
                        (k < tp_optimizer_states(&f.o)));
        tp_optimizer_free(&f.o);
        assert_int_equal(tp_mem().live_bytes, before);
        drop(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),           cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_other_kind),      cmocka_unit_test(test_options),
        cmocka_unit_test(test_changed_options), cmocka_unit_test(test_denormals),
        cmocka_unit_test(test_no_variance),     cmocka_unit_test(test_no_gradient),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
