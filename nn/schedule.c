/* schedule.c: the rate of a step. The formulas are rows of schedule.def. */
#include "nn/schedule.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define PI 3.14159265358979323846

static const struct {
    const char *name, *fields, *needs, *formula;
} rows[TP_SCHEDULE_COUNT] = {
#define TP_SCHEDULE(name, fields, good, needs, value, text) {#name, fields, needs, text},
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
#define TP_SCHEDULE(name, fields, good, needs, value, text)                                        \
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
#define TP_SCHEDULE(name, fields, good, needs, value, text)                                        \
    case TP_LR_##name:                                                                             \
        return value;
#include "nn/schedule.def"
#undef TP_SCHEDULE
    case TP_SCHEDULE_COUNT:
        break;
    }
    return NAN;
}

/* --- by name ------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    size_t offset;
    bool whole;
} fields[] = {
    {"lr", offsetof(tp_schedule, lr), false},
    {"gamma", offsetof(tp_schedule, gamma), false},
    {"step_size", offsetof(tp_schedule, step_size), true},
    {"milestones", offsetof(tp_schedule, milestones), true},
    {"t_max", offsetof(tp_schedule, t_max), true},
    {"eta_min", offsetof(tp_schedule, eta_min), false},
    {"start_factor", offsetof(tp_schedule, start_factor), false},
    {"end_factor", offsetof(tp_schedule, end_factor), false},
    {"total_iters", offsetof(tp_schedule, total_iters), true},
};

enum { FIELDS = sizeof fields / sizeof *fields, NAMES = 256 };

static bool is_list(int field)
{
    return fields[field].offset == offsetof(tp_schedule, milestones);
}

static bool has_field(const tp_schedule *s, int field)
{
    char word[32];
    snprintf(word, sizeof word, " %s ", fields[field].name);
    return field == 0 || strstr(rows[s->kind].fields, word) != NULL;
}

/* Adds a name to a list of them. */
static void list(char names[NAMES], const char *name)
{
    size_t used = strlen(names);
    snprintf(names + used, NAMES - used, used > 0 ? ", %s" : "%s", name);
}

tp_status tp_schedule_named(tp_schedule *s, const char *name)
{
    char names[NAMES] = "";
    for (int i = 0; i < TP_SCHEDULE_COUNT; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            *s = tp_schedule_defaults();
            s->kind = (tp_schedule_kind)i;
            return TP_OK;
        }
        list(names, rows[i].name);
    }
    return tp_fail(TP_EARG, "there is no schedule '%.60s', only: %s", name, names);
}

static tp_status set_field(tp_schedule *s, int field, int n, const double *values)
{
    const char *name = fields[field].name, *kind = rows[s->kind].name;
    int most = is_list(field) ? TP_MILESTONES : 1;
    if (n < 1 || n > most)
        return tp_fail(TP_EARG, "schedule %s: %d values of %s, expected %s%d", kind, n, name,
                       most > 1 ? "1 to " : "", most);
    for (int i = 0; i < n; i++) {
        double v = values[i], end = fields[field].whole ? 0x1p53 : INFINITY;
        if (!(v >= 0 && v < end) || (fields[field].whole && v != floor(v)))
            return tp_fail(TP_EARG, "schedule %s: %s is %g, expected a %s >= 0", kind, name, v,
                           fields[field].whole ? "whole number" : "finite number");
    }
    char *at = (char *)s + fields[field].offset;
    for (int i = 0; i < n; i++)
        if (fields[field].whole)
            ((uint64_t *)(void *)at)[i] = (uint64_t)values[i];
        else
            *(double *)(void *)at = values[i];
    if (is_list(field))
        s->milestone_count = n;
    return TP_OK;
}

tp_status tp_schedule_set(tp_schedule *s, const char *field, int n, const double *values)
{
    char names[NAMES] = "";
    for (int i = 0; i < FIELDS; i++) {
        if (!has_field(s, i))
            continue;
        if (strcmp(fields[i].name, field) == 0)
            return set_field(s, i, n, values);
        list(names, fields[i].name);
    }
    return tp_fail(TP_EARG, "schedule %s has no '%.60s', only: %s", rows[s->kind].name, field,
                   names);
}

const char *tp_schedule_field(const tp_schedule *s, int i, int *n, double values[TP_MILESTONES])
{
    int field = i < 0 ? FIELDS : 0;
    while (field < FIELDS && (!has_field(s, field) || i-- > 0))
        field++;
    if (field == FIELDS)
        return NULL;
    const char *at = (const char *)s + fields[field].offset;
    *n = is_list(field) ? s->milestone_count : 1;
    for (int k = 0; k < *n; k++)
        values[k] = fields[field].whole ? (double)((const uint64_t *)(const void *)at)[k]
                                        : *(const double *)(const void *)at;
    return fields[field].name;
}

/* --- the rate ----------------------------------------------------------------------------------- */

/* Fields that make no sense: what they must be, and what they are. */
static tp_status refuse_fields(const tp_schedule *s, const char *advice)
{
    char got[NAMES] = "", value[64];
    for (int i = 1; i < FIELDS; i++) { /* without lr */
        const char *at = (const char *)s + fields[i].offset, *name = fields[i].name;
        if (!has_field(s, i))
            continue;
        if (is_list(i))
            snprintf(value, sizeof value, "%d %s", s->milestone_count, name);
        else
            snprintf(value, sizeof value, "%s %g", name,
                     fields[i].whole ? (double)*(const uint64_t *)(const void *)at
                                     : *(const double *)(const void *)at);
        list(got, value);
    }
    return tp_fail(TP_EARG, "schedule %s: expected %s, got %s%s", rows[s->kind].name,
                   rows[s->kind].needs, got, advice);
}

tp_status tp_schedule_check(const tp_schedule *s)
{
    if ((unsigned)s->kind >= TP_SCHEDULE_COUNT)
        return tp_fail(TP_EARG, "schedule: there is no kind %d", (int)s->kind);
    return is_good(s) ? TP_OK : refuse_fields(s, "");
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
        return refuse_fields(s, ": start from tp_schedule_defaults()");
    double now = rate(s, (double)step);
    if (!(now >= 0 && now < INFINITY))
        return tp_fail(TP_EARG, "schedule %s: lr is %g at step %llu", name, now,
                       (unsigned long long)step);
    *lr = now;
    return TP_OK;
}
