/* test_oracle_schedule.c: every schedule against the rates that PyTorch's scheduler of that name gives.
 *
 * The schedules are optim.py's, where their options stand too. Read next: tests/nn/test_schedule.c.
 */
#include "tests/oracle/oracle.h"

#include <string.h>

#include "nn/schedule.h"

ORACLE_FIXTURE("optim.safetensors");

static const uint64_t milestones[] = {3, 9, 9, 20};

/* One schedule for each name that optim.py wrote rates of. */
static tp_schedule schedule_named(const char *name, tp_schedule link[2])
{
    tp_schedule s = tp_schedule_defaults();
    s.lr = 0.3;
    link[0] = link[1] = s;
    if (strncmp(name, "step", 4) == 0)
        s.kind = TP_LR_step, s.step_size = 4;
    if (strcmp(name, "step_gamma") == 0)
        s.step_size = 7, s.gamma = 0.5;
    if (strcmp(name, "multistep") == 0)
        s.kind = TP_LR_multistep, memcpy(s.milestones, milestones, sizeof milestones),
        s.milestone_count = 4;
    if (strcmp(name, "exponential") == 0)
        s.kind = TP_LR_exponential, s.gamma = 0.9;
    if (strcmp(name, "cosine") == 0)
        s.kind = TP_LR_cosine, s.t_max = 10;
    if (strcmp(name, "cosine_min") == 0)
        s.kind = TP_LR_cosine, s.t_max = 20, s.eta_min = 0.02;
    if (strcmp(name, "linear") == 0)
        s.kind = TP_LR_linear;
    if (strcmp(name, "linear_down") == 0)
        s.kind = TP_LR_linear, s.start_factor = 1, s.end_factor = 0, s.total_iters = 12;
    if (strcmp(name, "warmup_cosine") == 0) {
        link[0].kind = TP_LR_cosine, link[0].t_max = 20, link[0].eta_min = 0.02;
        s.kind = TP_LR_linear, s.start_factor = 0.01, s.total_iters = s.until = 6;
        s.then = &link[0];
    }
    if (strcmp(name, "three") == 0) {
        link[1].kind = TP_LR_exponential, link[1].gamma = 0.8;
        link[0].kind = TP_LR_constant, link[0].until = 11 - 4, link[0].then = &link[1];
        s.kind = TP_LR_linear, s.start_factor = 0.1, s.total_iters = s.until = 4;
        s.then = &link[0];
    }
    return s;
}

static double rate_at(const tp_schedule *s, uint64_t t)
{
    double lr = NAN;
    assert_ok(tp_schedule_lr(s, t, &lr));
    return lr;
}

/* PyTorch goes from rate to rate, so rounding adds up there; at the end of the cosine 0 is 0 only nearly. */
static void test_schedules(void **state)
{
    (void)state;
    static const char *const names[] = {"constant",    "step",          "step_gamma", "multistep",
                                        "exponential", "cosine",        "cosine_min", "linear",
                                        "linear_down", "warmup_cosine", "three"};
    bool seen[TP_SCHEDULE_COUNT] = {false};
    double worst = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[ORACLE_NAME];
        tp_schedule link[2], s = schedule_named(names[i], link);
        tp_tensor want = oracle_load(&file, joined(text, "lr", names[i]));
        double later = 0;
        seen[s.kind] = true;
        for (int64_t t = 0; t < tp_numel(&want); t++) {
            double lr = rate_at(&s, (uint64_t)t);
            assert_close(lr, tp_flat(&want, t), 1e-14, 1e-13);
            worst = fmax(worst, fabs(lr - tp_flat(&want, t)));
            later = fmax(later, fabs(rate_at(&s, (uint64_t)t + 1) - tp_flat(&want, t)));
        }
        assert_true(later > 1e-3 || s.kind == TP_LR_constant); /* counting from 1 is noticed */
        tp_tensor_free(&want);
    }
    for (int i = 0; i < TP_SCHEDULE_COUNT; i++)
        assert_true(seen[i]);
    print_message("rates off by %.2g\n", worst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_schedules)};
    return cmocka_run_group_tests(tests, open_file, close_file) != 0;
}
