/* train.h: the training loop, over any loss made of vars.
 *
 * Knows nothing of models: it gets a function that records the objective of a batch. One step is: reset the
 * tape, forward, backward with release, optimizer step. Read next: models/model.h.
 */
#ifndef TP_NN_TRAIN_H
#define TP_NN_TRAIN_H

#include "nn/data.h"
#include "nn/objective.h"
#include "nn/optim.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Records the objective of a batch x [n, width]. */
typedef tp_objective (*tp_loss_fn)(void *model, tp_ctx *c, tp_var x);

/* Averages over the samples seen so far in an epoch. */
typedef struct tp_stats {
    int64_t samples, batches;
    double loss;
    int terms;
    const char *name[TP_MAX_TERMS];
    double term[TP_MAX_TERMS];
} tp_stats;

typedef struct tp_trainer {
    tp_tape *tape;
    tp_loss_fn loss;
    void *model;
    tp_optimizer *optimizer;
    uint64_t seed;
    uint64_t step; /* steps done */
    bool trap;     /* turns the tape's trap on: see tp_tape_trap */
    /* Called after every training batch, if set; false ends the epoch early. */
    bool (*on_batch)(void *user, const tp_stats *so_far);
    void *user;
} tp_trainer;

/* One pass over the data in the order of (seed, epoch). On failure the parameters are those of the last good
 * step and the message says which step failed. TP_ENONFINITE names the operation that the loss became infinite
 * or NaN by, or, where only a gradient did, the parameter: which operation that was, only the trap can say. */
tp_status tp_train_epoch(tp_trainer *t, tp_batches *b, uint64_t epoch, tp_stats *stats);

/* The objective over all batches in stored order, in eval mode, without gradients; changes no parameter.
 * TP_ENONFINITE as above. */
tp_status tp_evaluate(tp_trainer *t, tp_batches *b, tp_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
