/* test_oracle_optim.c: every optimizer, and clipping, against PyTorch's numbers: 20 steps with given gradients,
 * elementwise after each step, one parameter 0-d, one often without a gradient, one whose gradient is often zero.
 *
 * Wrong formulas stand here too: each must miss PyTorch's numbers by far more than is allowed. Training runs are
 * test_oracle_adam.c; the cases are optim.py's. Read next: test_oracle_schedule.c.
 */
#include "tests/oracle/oracle.h"

#include <string.h>

#include "nn/clip.h"
#include "nn/optim/rule.h"
#include "nn/schedule.h"

enum { STEPS = 20, PARAMS = 4 };

static const char *const param_names[PARAMS] = {"matrix", "late", "scalar", "zero"};

ORACLE_FIXTURE("optim.safetensors");

/* --- the cases ---------------------------------------------------------------------------------- */

typedef enum rule { SGD, ADAM, ADAMW, RMSPROP, ADAGRAD } rule;

typedef struct setup {
    const char *name;
    rule rule;
    tp_sgd_opts sgd;
    tp_adam_opts adam;
    tp_rmsprop_opts rmsprop;
    tp_adagrad_opts adagrad;
} setup;

#define BETAS .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8
#define OTHERS .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3
#define SHORT .beta1 = 0.8, .beta2 = 0.7, .eps = 1e-8, .amsgrad = true

/* clang-format off */
static const setup setups[] = {
    {"sgd",               SGD, .sgd = {.lr = 1e-3}},
    {"sgd_decay",         SGD, .sgd = {.lr = 0.05, .weight_decay = 0.1}},
    {"momentum",          SGD, .sgd = {.lr = 0.05, .momentum = 0.9}},
    {"dampening",         SGD, .sgd = {.lr = 0.05, .momentum = 0.9, .dampening = 0.3}},
    {"momentum_decay",    SGD, .sgd = {.lr = 0.05, .momentum = 0.8, .weight_decay = 0.1, .dampening = 0.5}},
    {"nesterov",          SGD, .sgd = {.lr = 0.05, .momentum = 0.9, .nesterov = true}},
    {"nesterov_decay",    SGD, .sgd = {.lr = 0.05, .momentum = 0.9, .nesterov = true, .weight_decay = 0.1}},
    {"adam",              ADAM, .adam = {.lr = 1e-3, BETAS}},
    {"adam_options",      ADAM, .adam = {.lr = 0.05, OTHERS}},
    {"adam_decay",        ADAM, .adam = {.lr = 0.05, BETAS, .weight_decay = 0.1}},
    {"amsgrad",           ADAM, .adam = {.lr = 0.05, SHORT}},
    {"amsgrad_decay",     ADAM, .adam = {.lr = 0.05, SHORT, .weight_decay = 0.1}},
    {"adamw",             ADAMW, .adam = {.lr = 1e-3, BETAS, .weight_decay = 1e-2}},
    {"adamw_options",     ADAMW, .adam = {.lr = 0.05, OTHERS, .weight_decay = 0.2}},
    {"adamw_amsgrad",     ADAMW, .adam = {.lr = 0.05, SHORT, .weight_decay = 1e-2}},
    {"adamw_no_decay",    ADAMW, .adam = {.lr = 0.05, BETAS}},
    {"rmsprop",           RMSPROP, .rmsprop = {.lr = 1e-2, .alpha = 0.99, .eps = 1e-8}},
    {"rmsprop_options",   RMSPROP, .rmsprop = {.lr = 0.05, .alpha = 0.8, .eps = 1e-3, .weight_decay = 0.1}},
    {"rmsprop_momentum",  RMSPROP, .rmsprop = {.lr = 0.02, .alpha = 0.99, .eps = 1e-8, .momentum = 0.7, .weight_decay = 0.1}},
    {"centered",          RMSPROP, .rmsprop = {.lr = 0.02, .alpha = 0.99, .eps = 1e-8, .centered = true}},
    {"centered_momentum", RMSPROP, .rmsprop = {.lr = 0.02, .alpha = 0.9, .eps = 1e-8, .centered = true, .momentum = 0.7, .weight_decay = 0.1}},
    {"adagrad",           ADAGRAD, .adagrad = {.lr = 1e-2, .eps = 1e-10}},
    {"adagrad_options",   ADAGRAD, .adagrad = {.lr = 0.1, .lr_decay = 0.05, .weight_decay = 0.1, .initial_accumulator_value = 0.2, .eps = 1e-3}},
};
/* clang-format on */
enum { SETUPS = sizeof setups / sizeof *setups };

static const setup *setup_named(const char *name)
{
    for (int i = 0; i < SETUPS; i++)
        if (strcmp(setups[i].name, name) == 0)
            return &setups[i];
    fail_msg("no case %s", name);
    return NULL;
}

typedef struct run {
    tp_params ps;
    tp_parameter p[PARAMS];
    tp_tensor start[PARAMS], grads[PARAMS], late; /* grads [STEPS, …] */
    tp_optimizer o;
} run;

static void start(run *r, tp_dtype dtype)
{
    char text[ORACLE_NAME];
    *r = (run){.ps = tp_params_make(dtype, 1), .late = oracle_load(&file, "present.late")};
    for (int k = 0; k < PARAMS; k++) {
        r->start[k] = oracle_load(&file, joined(text, "p", param_names[k]));
        r->grads[k] = oracle_load(&file, joined(text, "g", param_names[k]));
        assert_ok(tp_params_add(&r->ps, &r->p[k], param_names[k], r->start[k].shape));
        assert_ok(tp_copy(&r->p[k].value, &r->start[k]));
    }
}

static void make(run *r, const setup *c)
{
    switch (c->rule) {
    case SGD:
        assert_ok(tp_sgd_init(&r->o, &r->ps, c->sgd));
        break;
    case ADAM:
        assert_ok(tp_adam_init(&r->o, &r->ps, c->adam));
        break;
    case ADAMW:
        assert_ok(tp_adamw_init(&r->o, &r->ps, c->adam));
        break;
    case RMSPROP:
        assert_ok(tp_rmsprop_init(&r->o, &r->ps, c->rmsprop));
        break;
    case ADAGRAD:
        assert_ok(tp_adagrad_init(&r->o, &r->ps, c->adagrad));
        break;
    }
}

static void finish(run *r)
{
    tp_optimizer_free(&r->o);
    tp_params_free(&r->ps);
    tp_tensor_free(&r->late);
    for (int k = 0; k < PARAMS; k++) {
        tp_tensor_free(&r->start[k]);
        tp_tensor_free(&r->grads[k]);
    }
}

static bool present(const run *r, int k, int t)
{
    return k != 1 || tp_flat(&r->late, t) != 0;
}

static void set_gradients(run *r, int t)
{
    tp_params_zero_grad(&r->ps);
    for (int k = 0; k < PARAMS; k++) {
        tp_tensor g;
        assert_ok(tp_view_select(&r->grads[k], 0, t, &g));
        assert_ok(tp_copy(&r->p[k].grad, &g));
        r->p[k].has_grad = present(r, k, t);
    }
}

/* The values after step t, [..], of what was written for a case. */
static void compare_step(const run *r, const char *name, int t, double tolerance, double *worst)
{
    for (int k = 0; k < PARAMS; k++) {
        char text[ORACLE_NAME];
        tp_tensor course = oracle_load(&file, joined(text, name, param_names[k])), want;
        assert_ok(tp_view_select(&course, 0, t, &want));
        compare_within(text, &r->p[k].value, &want, tolerance, tolerance, worst);
        tp_tensor_free(&course);
    }
}

static void compare_states(run *r, const char *name, double tolerance, double *worst)
{
    for (int k = 0; k < PARAMS; k++)
        for (int i = 0; i < TP_MAX_STATES; i++) {
            char text[ORACLE_NAME];
            snprintf(text, sizeof text, "%s.%s.state%d", name, param_names[k], i);
            bool kept = i < tp_optimizer_states(&r->o);
            assert_true(kept == (tp_safetensors_find(&file, text) != NULL));
            if (!kept)
                continue;
            tp_tensor want = oracle_load(&file, text);
            compare_within(text, tp_moment(&r->o.moments[k], i), &want, tolerance, tolerance,
                           worst);
            tp_tensor_free(&want);
        }
}

static void test_optimizers(void **state)
{
    (void)state;
    bool seen[TP_UPDATE_COUNT] = {false};
    for (int d = TP_F32; d <= TP_F64; d++) {
        double worst = 0, tolerance = d == TP_F64 ? 1e-13 : 1e-4;
        for (int i = 0; i < SETUPS; i++) {
            run r;
            start(&r, (tp_dtype)d);
            make(&r, &setups[i]);
            seen[r.o.update] = true;
            for (int t = 0; t < STEPS; t++) {
                set_gradients(&r, t);
                assert_ok(tp_optimizer_step(&r.o));
                compare_step(&r, setups[i].name, t, tolerance, &worst);
            }
            compare_states(&r, setups[i].name, tolerance, &worst);
            finish(&r);
        }
        print_message("%d cases in %s: off by %.2g\n", SETUPS, d == TP_F64 ? "f64" : "f32", worst);
    }
    for (int i = 0; i < TP_UPDATE_COUNT; i++)
        assert_true(seen[i]); /* a new row of updates.def needs a case */
}

/* --- wrong formulas ----------------------------------------------------------------------------- */

typedef enum mistake {
    NONE,
    DECAY_LEFT_OUT,
    DECAY_COUPLED, /* AdamW's in the gradient, Adam's beside it */
    FIRST_DAMPED,
    LOOK_AHEAD_TWICE, /* nesterov that adds momentum·v to v */
    NO_CORRECTION,
    STEP_OF_OPTIMIZER, /* bias corrections that count the steps of all parameters */
    EPS_IN_ROOT,
    EPS_UNCORRECTED,  /* added before the root is corrected */
    MAX_OF_ROOT_ONLY, /* amsgrad that keeps the second moment itself at its maximum */
    MEAN_NOT_SQUARED,
    RATE_DECAYS_AT_ONCE, /* lr/(1 + t·lr_decay) */
    NO_INITIAL_SUM,
    WITHOUT_GRADIENT_TOO, /* a missing gradient is a zero one */
} mistake;

/* One element as PyTorch's pages have it. */
typedef struct element {
    double p, s[3];
    int t; /* updates so far */
} element;

static void naive_sgd(const tp_sgd_opts *o, mistake m, element *e, double g)
{
    g += m == DECAY_LEFT_OUT ? 0 : o->weight_decay * e->p;
    double v = e->t == 1 && m != FIRST_DAMPED ? g : o->momentum * e->s[0] + (1 - o->dampening) * g;
    e->s[0] = v;
    if (o->nesterov)
        v = (m == LOOK_AHEAD_TWICE ? v : g) + o->momentum * v;
    e->p -= o->lr * (o->momentum > 0 ? v : g);
}

static void naive_adam(const tp_adam_opts *o, bool decoupled, mistake m, element *e, double g,
                       int steps)
{
    int t = m == STEP_OF_OPTIMIZER ? steps : e->t;
    if (m == DECAY_COUPLED)
        decoupled = !decoupled;
    if (m != DECAY_LEFT_OUT && decoupled)
        e->p *= 1 - o->lr * o->weight_decay;
    else if (m != DECAY_LEFT_OUT)
        g += o->weight_decay * e->p;
    e->s[0] = o->beta1 * e->s[0] + (1 - o->beta1) * g;
    e->s[1] = o->beta2 * e->s[1] + (1 - o->beta2) * g * g;
    e->s[2] = o->amsgrad ? fmax(e->s[2], e->s[1]) : e->s[1];
    if (m == MAX_OF_ROOT_ONLY)
        e->s[1] = e->s[2];
    double c1 = m == NO_CORRECTION ? 1 : 1 - pow(o->beta1, t);
    double c2 = m == NO_CORRECTION ? 1 : 1 - pow(o->beta2, t), u = e->s[2];
    double root = m == EPS_IN_ROOT       ? sqrt(u / c2 + o->eps)
                  : m == EPS_UNCORRECTED ? (sqrt(u) + o->eps) / sqrt(c2)
                                         : sqrt(u / c2) + o->eps;
    e->p -= o->lr * e->s[0] / c1 / root;
}

static void naive_rmsprop(const tp_rmsprop_opts *o, mistake m, element *e, double g)
{
    g += m == DECAY_LEFT_OUT ? 0 : o->weight_decay * e->p;
    e->s[0] = o->alpha * e->s[0] + (1 - o->alpha) * g * g;
    e->s[1] = o->alpha * e->s[1] + (1 - o->alpha) * g;
    double mean = m == MEAN_NOT_SQUARED ? e->s[1] : e->s[1] * e->s[1];
    double variance = fmax(0, e->s[0] - (o->centered ? mean : 0));
    double root = m == EPS_IN_ROOT ? sqrt(variance + o->eps) : sqrt(variance) + o->eps;
    e->s[2] = o->momentum * e->s[2] + g / root;
    e->p -= o->lr * e->s[2];
}

static void naive_adagrad(const tp_adagrad_opts *o, mistake m, element *e, double g)
{
    g += m == DECAY_LEFT_OUT ? 0 : o->weight_decay * e->p;
    if (e->t == 1 && m != NO_INITIAL_SUM)
        e->s[0] = o->initial_accumulator_value;
    e->s[0] += g * g;
    double t = m == RATE_DECAYS_AT_ONCE ? e->t : e->t - 1;
    double root = m == EPS_IN_ROOT ? sqrt(e->s[0] + o->eps) : sqrt(e->s[0]) + o->eps;
    e->p -= o->lr / (1 + t * o->lr_decay) * g / root;
}

/* How far it ends from PyTorch's numbers: the largest difference. */
static double naive(const setup *c, mistake m)
{
    run r;
    double off = 0;
    start(&r, TP_F64);
    for (int k = 0; k < PARAMS; k++) {
        char text[ORACLE_NAME];
        int64_t n = tp_numel(&r.start[k]);
        tp_tensor course = oracle_load(&file, joined(text, c->name, param_names[k]));
        for (int64_t i = 0; i < n; i++) {
            element e = {.p = tp_flat(&r.start[k], i)};
            for (int t = 0; t < STEPS; t++) {
                bool there = present(&r, k, t);
                if (!there && m != WITHOUT_GRADIENT_TOO)
                    continue;
                double g = there ? tp_flat(&r.grads[k], t * n + i) : 0;
                e.t++;
                if (c->rule == SGD)
                    naive_sgd(&c->sgd, m, &e, g);
                else if (c->rule == ADAM || c->rule == ADAMW)
                    naive_adam(&c->adam, c->rule == ADAMW, m, &e, g, t + 1);
                else if (c->rule == RMSPROP)
                    naive_rmsprop(&c->rmsprop, m, &e, g);
                else
                    naive_adagrad(&c->adagrad, m, &e, g);
            }
            off = fmax(off, fabs(e.p - tp_flat(&course, (STEPS - 1) * n + i)));
        }
        tp_tensor_free(&course);
    }
    finish(&r);
    return off;
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        mistake m;
    } wrong[] = {
        {"sgd_decay", DECAY_LEFT_OUT},
        {"nesterov_decay", DECAY_LEFT_OUT},
        {"dampening", FIRST_DAMPED},
        {"nesterov", LOOK_AHEAD_TWICE},
        {"momentum", WITHOUT_GRADIENT_TOO},
        {"adam", NO_CORRECTION},
        {"adam", STEP_OF_OPTIMIZER},
        {"adam_options", EPS_IN_ROOT},
        {"adam_options", EPS_UNCORRECTED},
        {"adam_decay", DECAY_COUPLED},
        {"adam_decay", DECAY_LEFT_OUT},
        {"amsgrad", MAX_OF_ROOT_ONLY},
        {"adamw", DECAY_COUPLED},
        {"adamw_options", DECAY_LEFT_OUT},
        {"adamw", WITHOUT_GRADIENT_TOO},
        {"rmsprop_options", DECAY_LEFT_OUT},
        {"rmsprop_options", EPS_IN_ROOT},
        {"centered_momentum", MEAN_NOT_SQUARED},
        {"adagrad_options", EPS_IN_ROOT},
        {"adagrad_options", RATE_DECAYS_AT_ONCE},
        {"adagrad_options", NO_INITIAL_SUM},
        {"adagrad_options", DECAY_LEFT_OUT},
    };
    double least = INFINITY;
    for (int i = 0; i < SETUPS; i++)
        assert_close(naive(&setups[i], NONE), 0, 1e-13, 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        double off = naive(setup_named(wrong[i].name), wrong[i].m);
        if (!(off > 1e-5))
            print_error("%s with mistake %d is off by %g only\n", wrong[i].name, wrong[i].m, off);
        assert_true(off > 1e-5);
        least = fmin(least, off);
    }
    print_message("the nearest of the wrong formulas is off by %.2g\n", least);
}

/* --- clipping ----------------------------------------------------------------------------------- */

static void compare_gradients(run *r, const char *name)
{
    double worst = 0;
    for (int k = 0; k < PARAMS; k++) {
        char text[ORACLE_NAME];
        tp_tensor want = oracle_load(&file, joined(text, name, param_names[k]));
        compare_within(text, &r->p[k].grad, &want, 1e-14, 0, &worst);
        tp_tensor_free(&want);
    }
}

static void test_clip(void **state)
{
    (void)state;
    static const char *const tags[] = {"clip.small", "clip.large"};
    for (int i = 0; i < 2; i++) {
        char text[ORACLE_NAME];
        double norm = NAN;
        run r;
        start(&r, TP_F64);
        set_gradients(&r, 0);
        r.p[1].has_grad = true;
        assert_ok(tp_clip_grad_norm(&r.ps, i == 0 ? 0.5 : 100, &norm));
        assert_close(norm, oracle_item(&file, joined(text, tags[i], "norm")), 0, 1e-14);
        compare_gradients(&r, tags[i]);
        set_gradients(&r, 0);
        r.p[1].has_grad = true;
        assert_ok(tp_clip_grad_value(&r.ps, 0.75));
        compare_gradients(&r, "clip.value");
        finish(&r);
    }
}

/* AdamW, its rate from a warm-up and a cosine, the norm clipped: all together, as the trainer does it. */
static void test_together(void **state)
{
    (void)state;
    run r;
    double worst = 0;
    tp_tensor norms = oracle_load(&file, "together.norms");
    tp_schedule after = tp_schedule_defaults(), s = after;
    after.kind = TP_LR_cosine, after.lr = 0.1, after.t_max = 16;
    s.kind = TP_LR_linear, s.lr = 0.1, s.start_factor = 0.1, s.total_iters = s.until = 4;
    s.then = &after;
    start(&r, TP_F64);
    assert_ok(tp_adamw_init(&r.o, &r.ps, tp_adamw_defaults()));
    int clipped = 0;
    for (int t = 0; t < STEPS; t++) {
        double norm;
        set_gradients(&r, t);
        assert_ok(tp_schedule_lr(&s, (uint64_t)t, &r.o.lr));
        assert_ok(tp_clip_grad_norm(&r.ps, 3, &norm));
        assert_close(norm, tp_flat(&norms, t), 0, 1e-14);
        clipped += norm > 3;
        assert_ok(tp_optimizer_step(&r.o));
        compare_step(&r, "together", t, 1e-13, &worst);
    }
    assert_in_range(clipped, 1, STEPS - 1);
    print_message("together: off by %.2g\n", worst);
    tp_tensor_free(&norms);
    finish(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_optimizers),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_clip),
        cmocka_unit_test(test_together),
    };
    return cmocka_run_group_tests(tests, open_file, close_file) != 0;
}
