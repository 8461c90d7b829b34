/* best.h: which epoch was the best so far, and its weights: for early stopping and for keeping the best model.
 *
 * Best is the lowest loss, on images held back from training (tp_dataset_split); of equal ones the first. As .best of
 * a tp_trainer it is part of the run's checkpoints. Read next: train.h, checkpoint.h.
 */
#ifndef TP_NN_BEST_H
#define TP_NN_BEST_H

#include "nn/params.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_best {
    uint64_t epoch; /* the best one; 0: none yet */
    double loss;    /* its loss; 0 while there is none */
    const tp_params *params;
    tp_tensor
        *value; /* its parameters, then its buffers, in the order of the list; NULL: not kept */
    int n;
} tp_best;

/* With weights it keeps a copy of all values in ps, those of now until tp_best_look says otherwise; without, the numbers
 * alone. TP_ENOMEM. */
tp_status tp_best_init(tp_best *b, const tp_params *ps, bool weights);
void tp_best_free(tp_best *b);

/* Says behind an epoch, counted from 1, what its loss is, and whether that is lower than all before: then it is the best, and
 * the values in the list are copied. A loss that is not finite is none. */
bool tp_best_look(tp_best *b, uint64_t epoch, double loss);

/* Exchanges the kept values with those in the list: to save or measure the best model, and back by a second call. In
 * between nothing may be trained and no checkpoint saved; what a tape has recorded before is void (tp_tape_reset). Nothing
 * happens without weights. */
void tp_best_swap(tp_best *b);

#ifdef __cplusplus
}
#endif
#endif
