/* train.h: the training loop, over any loss made of vars.
 *
 * Knows nothing of models: it gets a function that records the objective of a batch. One step is: reset the
 * tape, forward, backward with release, optimizer step. Read next: checkpoint.h, models/model.h.
 */
#ifndef TP_NN_TRAIN_H
#define TP_NN_TRAIN_H

#include "nn/best.h"
#include "nn/clip.h"
#include "nn/data.h"
#include "nn/objective.h"
#include "nn/optim.h"
#include "nn/schedule.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Records the objective of a batch x [n, width]. */
typedef tp_objective (*tp_loss_fn)(void *model, tp_ctx *c, tp_var x);

enum { TP_TERM_NAME = 32 };

/* Averages over the samples seen so far in an epoch. Names of terms are cut to fit. */
typedef struct tp_stats {
    int64_t samples, batches;
    double loss;
    int terms;
    char name[TP_MAX_TERMS][TP_TERM_NAME];
    double term[TP_MAX_TERMS];
} tp_stats;

typedef struct tp_trainer {
    tp_tape *tape;
    tp_loss_fn loss;
    void *model;
    tp_optimizer *optimizer;
    const tp_schedule *schedule; /* of optimizer->lr, by t->step; NULL: the caller sets it */
    uint64_t
        schedule_every; /* training steps that the schedule counts as one: tp_batches_count for epochs; 0: 1 */
    double clip_value,
        clip_norm; /* as in clip.h, in this order, before each step of the optimizer; 0: not */
    tp_best *
        best; /* the best epoch so far, which the caller looks after: checkpoints hold it, too; NULL: none */
    uint64_t seed;
    bool trap; /* turns the tape's trap on: see tp_tape_trap */
    /* Called after every training batch, if set; false stops there. May save a checkpoint, or evaluate other batches
     * than those of the epoch. */
    bool (*on_batch)(void *user, const tp_stats *so_far);
    void *user;
    /* Where the run is: zero at its start, kept by the functions below and by checkpoints. */
    uint64_t step;  /* steps done */
    uint64_t epoch; /* the one that is going on; between epochs, the next */
    tp_stats done;  /* its batches so far */
} tp_trainer;

/* One pass over the data in the order of (seed, epoch). On failure parameters, buffers and t->done are those of the
 * last good step and the message says which step failed. TP_ENONFINITE names the operation that the loss became
 * infinite or NaN by, or, where only a gradient did, the parameter: which operation that was, only the trap can
 * say. *stats covers what was done; after a whole epoch t->done is empty, and t->epoch the next. */
tp_status tp_train_epoch(tp_trainer *t, tp_batches *b, uint64_t epoch, tp_stats *stats);

/* The rest of epoch t->epoch, behind the samples that t->done has: goes on where on_batch said stop, or where
 * a checkpoint was saved. *stats is of the whole epoch. TP_EARG if b cannot have given t->done. */
tp_status tp_train_rest(tp_trainer *t, tp_batches *b, tp_stats *stats);

/* The objective of a batch as the next step would record it, with the noise of that step, to look at: see tp_explain. Resets
 * the tape and changes nothing else. */
tp_objective tp_train_record(tp_trainer *t, const tp_batch *batch);

/* The objective over all batches in stored order, in eval mode, without gradients; changes no parameter.
 * TP_ENONFINITE as above. */
tp_status tp_evaluate(tp_trainer *t, tp_batches *b, tp_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
