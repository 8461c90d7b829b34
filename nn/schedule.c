/* schedule.c: the rate of a step. The formulas are rows of schedule.def. */
#include "nn/schedule.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#define PI 3.14159265358979323846

static const struct {
    const char *name, *needs, *formula;
} rows[TP_SCHEDULE_COUNT] = {
#define TP_SCHEDULE(name, good, needs, value, text) {#name, needs, text},
#include "nn/schedule.def"
#undef TP_SCHEDULE
};

tp_schedule tp_schedule_defaults(void)
{
    return (tp_schedule){.gamma = 0.1, .start_factor = 1.0 / 3, .end_factor = 1, .total_iters = 5};
}

const char *tp_schedule_name(int kind)
{
    return (unsigned)kind < TP_SCHEDULE_COUNT ? rows[kind].name : NULL;
}

const char *tp_schedule_formula(int kind)
{
    return (unsigned)kind < TP_SCHEDULE_COUNT ? rows[kind].formula : NULL;
}

static double milestones_passed(const tp_schedule *s, double t)
{
    int n = 0;
    for (int i = 0; i < s->milestone_count; i++)
        n += (double)s->milestones[i] <= t;
    return n;
}

static bool is_good(const tp_schedule *s)
{
    switch (s->kind) {
#define TP_SCHEDULE(name, good, needs, value, text)                                                \
    case TP_LR_##name:                                                                             \
        return good;
#include "nn/schedule.def"
#undef TP_SCHEDULE
    case TP_SCHEDULE_COUNT:
        break;
    }
    return false;
}

static double rate(const tp_schedule *s, double t)
{
    switch (s->kind) {
#define TP_SCHEDULE(name, good, needs, value, text)                                                \
    case TP_LR_##name:                                                                             \
        return value;
#include "nn/schedule.def"
#undef TP_SCHEDULE
    case TP_SCHEDULE_COUNT:
        break;
    }
    return NAN;
}

tp_status tp_schedule_lr(const tp_schedule *s, uint64_t step, double *lr)
{
    for (; s->then != NULL && step >= s->until; s = s->then) {
        if (s->until == 0)
            return tp_fail(TP_EARG, "schedule: until is 0, expected the step at which 'then' "
                                    "takes over");
        step -= s->until;
    }
    if ((unsigned)s->kind >= TP_SCHEDULE_COUNT)
        return tp_fail(TP_EARG, "schedule: there is no kind %d", (int)s->kind);
    const char *name = rows[s->kind].name;
    if (!(s->lr > 0 && s->lr < INFINITY))
        return tp_fail(TP_EARG, "schedule %s: lr is %g, expected a finite number > 0", name, s->lr);
    if (!is_good(s))
        return tp_fail(TP_EARG, "schedule %s: expected %s: start from tp_schedule_defaults()", name,
                       rows[s->kind].needs);
    double now = rate(s, (double)step);
    if (!(now >= 0 && now < INFINITY))
        return tp_fail(TP_EARG, "schedule %s: lr is %g at step %llu", name, now,
                       (unsigned long long)step);
    *lr = now;
    return TP_OK;
}
