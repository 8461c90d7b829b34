/* schedule.h: learning rates as functions of the step.
 *
 * Names, defaults and values are PyTorch's, but nothing is kept between steps: a run that goes on from a checkpoint
 * needs its step and no more. A step may as well be an epoch: it is whatever the caller counts. tp_trainer counts
 * training steps; tp_batches_count is how many make an epoch. Read next: schedule.def, train.h.
 */
#ifndef TP_NN_SCHEDULE_H
#define TP_NN_SCHEDULE_H

#include "tensor/status.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* TP_LR_constant and so on: one value per row of schedule.def. */
typedef enum tp_schedule_kind {
#define TP_SCHEDULE(name, ...) TP_LR_##name,
#include "nn/schedule.def"
#undef TP_SCHEDULE
    TP_SCHEDULE_COUNT
} tp_schedule_kind;

enum { TP_MILESTONES = 16 };

typedef struct tp_schedule {
    tp_schedule_kind kind;
    double lr;    /* all kinds: the rate that they scale; no default */
    double gamma; /* step, multistep, exponential: 0.1 */

    uint64_t step_size; /* step: no default */

    uint64_t milestones[TP_MILESTONES]; /* multistep; one that is there twice counts twice */
    int milestone_count;

    uint64_t t_max; /* cosine: where it arrives at eta_min, no default; behind, it rises again */
    double eta_min; /* 0 */

    double start_factor, end_factor; /* linear: 1/3 and 1 */
    uint64_t total_iters;            /* 5; behind, it stays at end_factor */

    /* All kinds: what takes over at step until, where it counts from 0 again; NULL: nothing. A linear one with a 'then'
     * is a warm-up, one whose 'then' is itself restarts. */
    const struct tp_schedule *then;
    uint64_t until;
} tp_schedule;

/* The defaults above: start from them and change fields. */
tp_schedule tp_schedule_defaults(void);

/* TP_EARG unless the fields of its kind are what its formula needs; lr is looked at elsewhere. */
tp_status tp_schedule_check(const tp_schedule *s);
/* *lr = the rate of a step, of which the first is 0. TP_EARG if the schedule in force there has no lr > 0, or not what
 * its formula needs: then *lr is untouched. */
tp_status tp_schedule_lr(const tp_schedule *s, uint64_t step, double *lr);

/* For a program that has them as text: the kind of that name, with the defaults above. TP_EARG says which there are; *s is
 * untouched then. */
tp_status tp_schedule_named(tp_schedule *s, const char *name);
/* Sets a field that the kind has, lr or one that its formula names; of milestones all n values, of others the one. TP_EARG
 * says which there are or what is wrong with a value; *s is untouched then. */
tp_status tp_schedule_set(tp_schedule *s, const char *field, int n, const double *values);
/* Field i of the kind and, in values, what it holds: *n of them. NULL behind the last; the first is "lr". */
const char *tp_schedule_field(const tp_schedule *s, int i, int *n, double values[TP_MILESTONES]);

/* "cosine" and the like, and the formula as text; NULL behind the last. */
const char *tp_schedule_name(int kind);
const char *tp_schedule_formula(int kind);

#ifdef __cplusplus
}
#endif
#endif
